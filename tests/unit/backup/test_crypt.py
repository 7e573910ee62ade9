"""Encrypted files are read with the right key alone, and only as they were written."""

from pathlib import Path

import pytest

from service.backup.crypt import (
    decrypt_compressed,
    decrypt_file,
    encrypt_compressed,
    encrypt_file,
    make_key,
    read_identities,
    read_recipients,
)
from service.errors import Misconfigured

PLAIN = bytes(range(256)) * 2_000


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "county.key"


@pytest.fixture
def encrypted(tmp_path: Path, key: Path) -> Path:
    source = tmp_path / "plain"
    source.write_bytes(PLAIN)
    found = encrypt_file(source, tmp_path / "plain.age", read_recipients(make_key(key)))
    assert found.octets == (tmp_path / "plain.age").stat().st_size
    return tmp_path / "plain.age"


def test_what_was_encrypted_is_read_again(tmp_path: Path, key: Path, encrypted: Path) -> None:
    assert PLAIN[:64] not in encrypted.read_bytes()
    decrypt_file(encrypted, tmp_path / "again", read_identities(key))
    assert (tmp_path / "again").read_bytes() == PLAIN


def test_what_was_compressed_is_read_again(tmp_path: Path, key: Path) -> None:
    source, to = tmp_path / "segment", tmp_path / "segment.gz.age"
    source.write_bytes(PLAIN)
    written = encrypt_compressed(source, to, read_recipients(make_key(key)))
    assert written.octets < len(PLAIN) / 10
    assert decrypt_compressed(to, read_identities(key)) == PLAIN


def test_any_of_several_keys_reads_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one.key", tmp_path / "two.key"
    recipients = read_recipients(f"{make_key(one)}, {make_key(two)}")
    (tmp_path / "plain").write_bytes(PLAIN)
    encrypt_file(tmp_path / "plain", tmp_path / "file.age", recipients)
    for key in (one, two):
        decrypt_file(tmp_path / "file.age", tmp_path / "again", read_identities(key))
        assert (tmp_path / "again").read_bytes() == PLAIN


@pytest.mark.parametrize("place", [300, 65_536, 200_000, -1])
def test_one_changed_octet_is_seen(tmp_path: Path, key: Path, encrypted: Path, place: int) -> None:
    octets = bytearray(encrypted.read_bytes())
    octets[place] ^= 1
    encrypted.write_bytes(octets)
    with pytest.raises(Misconfigured, match="is damaged: it was cut or changed"):
        decrypt_file(encrypted, tmp_path / "again", read_identities(key))


@pytest.mark.parametrize("rest", [0, 10, 65_752, 400_000])
def test_a_cut_file_is_seen(tmp_path: Path, key: Path, encrypted: Path, rest: int) -> None:
    encrypted.write_bytes(encrypted.read_bytes()[:rest])
    with pytest.raises(Misconfigured, match="is damaged"):
        decrypt_file(encrypted, tmp_path / "again", read_identities(key))


def test_another_key_is_refused_by_its_name(tmp_path: Path, encrypted: Path) -> None:
    make_key(tmp_path / "other.key")
    with pytest.raises(Misconfigured, match="cannot be read with this private key"):
        decrypt_file(encrypted, tmp_path / "again", read_identities(tmp_path / "other.key"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1\n", "age1abc\n"])
def test_a_file_without_a_private_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(Misconfigured, match="is no private key of the backups"):
        read_identities(tmp_path / "file")


def test_a_key_is_private_and_overwrites_none(key: Path) -> None:
    public = make_key(key)
    assert public.startswith("age1")
    assert key.stat().st_mode & 0o077 == 0
    assert public in key.read_text()
    with pytest.raises(Misconfigured, match="is there already"):
        make_key(key)


@pytest.mark.parametrize("text", ["", " ", "age1abc", "AGE-SECRET-KEY-1"])
def test_a_setting_without_a_public_key_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="TOCSIN_BACKUP_RECIPIENTS"):
        read_recipients(text)
