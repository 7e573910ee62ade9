"""The optional parameters after the Reserve of SUBMIT and DELIVER: tag 2, length 2, value.

The specification fixes the width of text values; some stacks write them short with a zero octet at
the end. We write the fixed width and read by the length. Tags that nobody here knows are kept.
"""

import struct
from dataclasses import dataclass
from typing import Final

from service.protocols.smgp.packet import read_text, write_text

_HEAD = struct.Struct(">HH")
_NUMBER = struct.Struct(">HHB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The optional parameters of one packet; None: not there.

    unknown: tag and value of every other one, in the order they came.
    """

    tp_pid: int | None = None  # 1, as all numbers here
    tp_udhi: int | None = None  # 1: the content begins with a user data header
    link_id: str | None = None  # 20, for texts that a handset ordered
    charge_user_type: int | None = None  # 0 recipient, 1 sender, 2 SP, 3 see ChargeTermID
    charge_term_type: int | None = None  # 0 a real number, 1 a pseudonym
    charge_term_pseudo: str | None = None
    dest_term_type: int | None = None  # 0 real, 1 pseudonyms
    dest_term_pseudo: str | None = None
    pk_total: int | None = None  # parts of the text
    pk_number: int | None = None  # which of them, from 1
    submit_msg_type: int | None = None
    sp_deal_result: int | None = None
    src_term_type: int | None = None
    src_term_pseudo: str | None = None
    nodes_count: int | None = None
    msg_src: str | None = None  # 8: SP code in the fixed network, enterprise code in the mobile
    src_type: int | None = None
    m_service_id: str | None = None  # 21: product id in the mobile network
    unknown: tuple[tuple[int, bytes], ...] = ()


NO_OPTIONS: Final = Options()

_NUMBERS: Final = {
    0x0001: "tp_pid",
    0x0002: "tp_udhi",
    0x0004: "charge_user_type",
    0x0005: "charge_term_type",
    0x0007: "dest_term_type",
    0x0009: "pk_total",
    0x000A: "pk_number",
    0x000B: "submit_msg_type",
    0x000C: "sp_deal_result",
    0x000D: "src_term_type",
    0x000F: "nodes_count",
    0x0011: "src_type",
}

# The width of each text; None: as long as it is.
_TEXTS: Final[dict[int, tuple[str, int | None]]] = {
    0x0003: ("link_id", 20),
    0x0006: ("charge_term_pseudo", None),
    0x0008: ("dest_term_pseudo", None),
    0x000E: ("src_term_pseudo", None),
    0x0010: ("msg_src", 8),
    0x0012: ("m_service_id", 21),
}
_IN_ORDER: Final = sorted([*_NUMBERS, *_TEXTS])


def write_options(options: Options) -> bytes:
    """The parameters that are there, by their tags, then the unknown ones.

    Raises:
        ValueError: a text is not ASCII or does not fit.
        struct.error: a number does not fit an octet.
    """
    if options is NO_OPTIONS:
        return b""
    written = [_write(options, tag) for tag in _IN_ORDER]
    written += [_HEAD.pack(tag, len(value)) + value for tag, value in options.unknown]
    return b"".join(written)


def read_options(octets: bytes) -> Options:
    """Read what follows the Reserve, never raising: what is no whole parameter ends it.

    A tag that comes twice counts the first time.
    """
    if not octets:
        return NO_OPTIONS
    known: dict[str, int | str] = {}
    unknown = []
    at = 0
    while at + _HEAD.size <= len(octets):
        tag, length = _HEAD.unpack_from(octets, at)
        value = octets[at + _HEAD.size : at + _HEAD.size + length]
        if len(value) < length:
            break
        at += _HEAD.size + length
        if tag in _NUMBERS:
            known.setdefault(_NUMBERS[tag], int.from_bytes(value, "big"))
        elif tag in _TEXTS:
            known.setdefault(_TEXTS[tag][0], read_text(value))
        else:
            unknown.append((tag, value))
    return Options(**known, unknown=tuple(unknown))  # type: ignore[arg-type]  # each field by its tag's table


def _write(options: Options, tag: int) -> bytes:
    if tag in _NUMBERS:
        number = getattr(options, _NUMBERS[tag])
        return b"" if number is None else _NUMBER.pack(tag, 1, number)
    name, width = _TEXTS[tag]
    text = getattr(options, name)
    if text is None:
        return b""
    value = write_text(text, len(text) if width is None else width)
    return _HEAD.pack(tag, len(value)) + value
