"""Who is who in CMPP: the MD5 digests of CONNECT and CONNECT_RESP, and the layout of a Msg_Id."""

from datetime import datetime, timedelta, timezone
from hashlib import md5

BEIJING = timezone(timedelta(hours=8), "Beijing")
"""All times in CMPP are Beijing local times; China has had no summer time since 1991."""


def connect_timestamp(now: datetime) -> int:
    """MMDDHHMMSS read as one decimal number."""
    return int(now.astimezone(BEIJING).strftime("%m%d%H%M%S"))


def authenticator_source(account: bytes, secret: str, timestamp: int) -> bytes:
    """AuthenticatorSource; clients send the account as it is, some hash it padded to 6 octets."""
    stamp = f"{timestamp:010d}".encode()
    return _md5(account + bytes(9) + secret.encode() + stamp)


def source_matches(digest: bytes, account: str, secret: str, timestamp: int) -> bool:
    """Whether a client knows the secret, whichever way it pads a short account."""
    name = account.encode()
    forms = (name, name.ljust(6, b"\x00"))
    return digest in [authenticator_source(form, secret, timestamp) for form in forms]


def authenticator_ismg(status: bytes, source: bytes, secret: str) -> bytes:
    """AuthenticatorISMG; the status is hashed in 4 octets (in 1 by some stacks and in 2.0)."""
    return _md5(status + source + secret.encode())


def ismg_matches(digest: bytes, status: int, source: bytes, secret: str) -> bool:
    """Whether a gateway knows the secret, whichever width of status it hashes."""
    forms = (status.to_bytes(4, "big"), bytes((status & 0xFF,)))
    return digest in [authenticator_ismg(form, source, secret) for form in forms]


def message_id(now: datetime, gateway: int, sequence: int) -> int:
    """A Msg_Id as the specification lays it out: an instant, the gateway's code, a sequence."""
    at = now.astimezone(BEIJING)
    bits = ((at.month, 4), (at.day, 5), (at.hour, 5), (at.minute, 6), (at.second, 6))
    value = 0
    for field, width in (*bits, (gateway, 22), (sequence, 16)):
        value = value << width | field
    return value


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()
