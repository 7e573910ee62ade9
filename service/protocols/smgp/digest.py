"""Who is who in SMGP: the MD5 digests of Login and Login_Resp."""

from hashlib import md5


def authenticator_client(account: bytes, secret: str, timestamp: int) -> bytes:
    """AuthenticatorClient; clients hash the account as it is, some servers padded to 8 octets."""
    return _md5(account + bytes(7) + secret.encode() + f"{timestamp:010d}".encode())


def client_matches(digest: bytes, account: str, secret: str, timestamp: int) -> bool:
    """Whether a client knows the secret, whichever way it pads a short account."""
    name = account.encode()
    forms = (name, name.ljust(8, b"\x00"))
    return digest in [authenticator_client(form, secret, timestamp) for form in forms]


def authenticator_server(status: int, client: bytes, secret: str) -> bytes:
    """AuthenticatorServer, from the status in 4 octets and the client's own digest."""
    return _md5(status.to_bytes(4, "big") + client + secret.encode())


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()
