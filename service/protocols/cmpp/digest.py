"""Who is who in CMPP: the MD5 digests of CONNECT and CONNECT_RESP, and the layout of a Msg_Id."""

from datetime import datetime
from hashlib import md5

from service.protocols.cmpp.version import V20, V30, Version
from service.protocols.times import BEIJING

"""All times in CMPP are Beijing local times; China has had no summer time since 1991."""

_WIDTHS = (4, 5, 5, 6, 6, 22, 16)
"""Bits of a Msg_Id: month, day, hour, minute, second, gateway, sequence."""

_SEQUENCE_MASK = 0xFFFF


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


def authenticator_ismg(status: int, source: bytes, secret: str, version: Version) -> bytes:
    """AuthenticatorISMG; the status is hashed as wide as it is written."""
    return _md5(status.to_bytes(version.result_octets, "big") + source + secret.encode())


def ismg_matches(digest: bytes, source: bytes, secret: str) -> bool:
    """Whether a gateway that accepts the login knows the secret.

    Some stacks hash a status of four octets in 2.0 too, so either width will do.
    """
    forms = (authenticator_ismg(0, source, secret, version) for version in (V20, V30))
    return digest in forms


def message_id(now: datetime, gateway: int, sequence: int) -> int:
    """A Msg_Id as the specification lays it out: an instant, the gateway's code, a sequence."""
    at = now.astimezone(BEIJING)
    instant = (at.month, at.day, at.hour, at.minute, at.second)
    value = 0
    for field, width in zip((*instant, gateway, sequence), _WIDTHS, strict=True):
        value = value << width | field
    return value


def message_id_digits(value: int) -> str:
    """A Msg_Id as people write it, in 22 digits: MMDDhhmmss, gateway in 7, sequence in 5."""
    fields = []
    for width in reversed(_WIDTHS):
        fields.append(value & (1 << width) - 1)
        value >>= width
    sequence, gateway, *instant = fields
    return "".join(f"{field:02d}" for field in reversed(instant)) + f"{gateway:07d}{sequence:05d}"


def message_ids(first: int, count: int) -> list[int]:
    """The Msg_Ids of a submit's recipients in order, given the first, which its response names.

    They differ in the sequence alone, whose 16 bits wrap by themselves: appendix 1.
    """
    base = first & ~_SEQUENCE_MASK
    return [base | first + n & _SEQUENCE_MASK for n in range(count)]


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()
