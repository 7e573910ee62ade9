"""The keyed hashes: what is stored is found by them for good, so they never change."""

from service.crypto import Keyring


def test_a_keyed_hash_is_what_it_always_was() -> None:
    keyring = Keyring(b"\x01" * 32)
    found = [keyring.index(kind, "+8619790000001").hex() for kind in ("phone", "key", "phone")]
    assert found == [
        "9f3b7182d99f804acfc3d88c3361e0a5",
        "0d18fb93bde2018b9999353e1288e2b2",
        "9f3b7182d99f804acfc3d88c3361e0a5",
    ]
