"""The optional parameters of SMPP 3.4 §5.3: tag, length, value, after the fields of a packet.

Known ones are read as what they are (numbers, text, octets), unknown ones are kept as octets. What
does not fit the packet ends them: vendors append octets that are no parameters.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct(">HH")


class Tag(IntEnum):
    """The parameters that the specification names."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DESTINATION_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    USSD_SERVICE_OP = 0x0501
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


TlvValue = int | str | bytes


class TLV(NamedTuple):
    """One optional parameter. value: a number, text or octets, as its tag asks; else octets."""

    tag: int
    value: TlvValue


_WIDTHS: dict[int, int] = {
    **dict.fromkeys(
        (
            *(Tag.DEST_ADDR_SUBUNIT, Tag.DEST_NETWORK_TYPE, Tag.DEST_BEARER_TYPE),
            *(Tag.SOURCE_ADDR_SUBUNIT, Tag.SOURCE_NETWORK_TYPE, Tag.SOURCE_BEARER_TYPE),
            *(Tag.SOURCE_TELEMATICS_ID, Tag.PAYLOAD_TYPE, Tag.MS_MSG_WAIT_FACILITIES),
            *(Tag.PRIVACY_INDICATOR, Tag.USER_RESPONSE_CODE, Tag.LANGUAGE_INDICATOR),
            *(Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM, Tag.SC_INTERFACE_VERSION),
            *(Tag.CALLBACK_NUM_PRES_IND, Tag.NUMBER_OF_MESSAGES, Tag.DPF_RESULT, Tag.SET_DPF),
            *(Tag.MS_AVAILABILITY_STATUS, Tag.DELIVERY_FAILURE_REASON, Tag.MORE_MESSAGES_TO_SEND),
            *(Tag.MESSAGE_STATE, Tag.DISPLAY_TIME, Tag.MS_VALIDITY, Tag.ITS_REPLY_TYPE),
        ),
        1,
    ),
    **dict.fromkeys(
        (
            *(Tag.DEST_TELEMATICS_ID, Tag.USER_MESSAGE_REFERENCE, Tag.SOURCE_PORT),
            *(Tag.DESTINATION_PORT, Tag.SAR_MSG_REF_NUM, Tag.SMS_SIGNAL),
        ),
        2,
    ),
    Tag.QOS_TIME_TO_LIVE: 4,
}
"""The octets of the parameters that are numbers."""

_TEXTS: frozenset[int] = frozenset({Tag.RECEIPTED_MESSAGE_ID, Tag.ADDITIONAL_STATUS_INFO_TEXT})


def write(parameters: tuple[TLV, ...]) -> bytes:
    """The parameters one after the other.

    Raises:
        ValueError: a value is not what its tag asks for, or does not fit.
    """
    pieces = []
    for tag, value in parameters:
        octets = _octets(tag, value)
        if len(octets) > 0xFFFF:
            raise ValueError(f"{len(octets)} octets do not fit the optional parameter {tag:#06x}")
        pieces.append(_HEAD.pack(tag, len(octets)) + octets)
    return b"".join(pieces)


def read(body: bytes, at: int) -> tuple[TLV, ...]:
    """The parameters from offset `at` on; what is no whole parameter is left out."""
    if at >= len(body):
        return ()
    found = []
    while at + _HEAD.size <= len(body):
        tag, length = _HEAD.unpack_from(body, at)
        start = at + _HEAD.size
        at = start + length
        if at > len(body):
            break
        found.append(TLV(tag, _value(tag, body[start:at])))
    return tuple(found)


def number(parameters: tuple[TLV, ...], tag: Tag) -> int | None:
    """The number of the first parameter with that tag; None if there is none."""
    value = _first(parameters, tag)
    return value if isinstance(value, int) else None


def text(parameters: tuple[TLV, ...], tag: Tag) -> str | None:
    """The text of the first parameter with that tag; None if there is none."""
    value = _first(parameters, tag)
    return value if isinstance(value, str) else None


def octets(parameters: tuple[TLV, ...], tag: Tag) -> bytes | None:
    """The octets of the first parameter with that tag; None if there is none."""
    value = _first(parameters, tag)
    return value if isinstance(value, bytes) else None


def _first(parameters: tuple[TLV, ...], tag: Tag) -> TlvValue | None:
    for parameter in parameters:
        if parameter.tag == tag:
            return parameter.value
    return None


def _octets(tag: int, value: TlvValue) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError(f"the text of optional parameter {tag:#06x} contains a zero octet")
        return value.encode("latin-1") + b"\x00"
    try:
        return value.to_bytes(_WIDTHS.get(tag, 1), "big")
    except OverflowError as error:
        raise ValueError(f"{value} does not fit optional parameter {tag:#06x}") from error


def _value(tag: int, octets: bytes) -> TlvValue:
    """A number of another width than its own (4 octets for 1 are seen) is read all the same."""
    if tag in _WIDTHS and 1 <= len(octets) <= 8:
        return int.from_bytes(octets, "big")
    if tag in _TEXTS:
        return octets.split(b"\x00", 1)[0].decode("latin-1")
    return octets
