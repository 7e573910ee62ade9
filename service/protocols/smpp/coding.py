"""What the octets of a text mean: data_coding (SMPP 3.4 §5.2.19) and the user data header.

Reading is lenient: every data_coding gives a text, that of binary data is its hexadecimal form.
"""

from enum import StrEnum
from functools import partial

from service.coding import data_coding as schemes
from service.coding import gsm7, udh
from service.coding.parts import MAX_PARTS, SEPTETS, SEPTETS_IN_PART, SINGLE_OCTETS, Coding
from service.coding.parts import decode as decode_coding
from service.coding.udh import Concatenation
from service.protocols.smpp import tlv
from service.protocols.smpp.pdu import DataSM, ShortMessage
from service.protocols.smpp.tlv import Tag

UDH_INDICATOR = 0x40

DEFAULT = 0
UCS2 = 8

_CODECS: dict[int, str | None] = {
    1: "ascii",
    2: None,
    3: "latin-1",
    4: None,
    5: "shift_jis",
    6: "iso8859_5",
    7: "iso8859_8",
    8: "utf-16-be",
    9: None,
    10: "iso2022_jp",
    13: "euc_jp",
    14: "euc_kr",
    15: "gb18030",
}


class DefaultAlphabet(StrEnum):
    """What an SMSC takes the default alphabet (data_coding 0) for."""

    GSM7 = "gsm7"
    GSM7_PACKED = "gsm7_packed"
    ASCII = "ascii"
    LATIN1 = "latin1"

    @property
    def coding(self) -> Coding:
        """How its characters travel; packed septets only differ on the wire."""
        return Coding.GSM7 if self is DefaultAlphabet.GSM7_PACKED else Coding(self.value)


def write_content(body: bytes, header: bytes, alphabet: DefaultAlphabet | None) -> bytes:
    """A part's content: the user data header, if any, and its characters.

    alphabet: None unless the part is in the default alphabet.
    """
    if alphabet is DefaultAlphabet.GSM7_PACKED:
        return header + gsm7.pack(body, fill_bits=gsm7.fill_bits(len(header)))
    return header + body


def single_octets(chosen: Coding, septet_part: int) -> int:
    """The octets above which a text that is not cut must travel as message_payload."""
    narrow = chosen in {Coding.GSM7, Coding.ASCII} and septet_part == SEPTETS_IN_PART
    return SEPTETS if narrow else SINGLE_OCTETS


def read_text(
    message: ShortMessage | DataSM, alphabet: DefaultAlphabet
) -> tuple[str, Concatenation]:
    """The text of a message and its place among the parts of a longer one.

    The place comes from the user data header, else from the sar parameters; a part of a single
    text is part 1 of 1.
    """
    content = message.content
    joining, body = None, content
    if message.esm_class & UDH_INDICATOR:
        joining, body = udh.parse(content)
    text = decode(body, message.data_coding, alphabet, header_octets=len(content) - len(body))
    return text, joining or _segment(message) or Concatenation(reference=0, total=1, number=1)


def decode(
    body: bytes,
    data_coding: int,
    alphabet: DefaultAlphabet = DefaultAlphabet.GSM7,
    *,
    header_octets: int = 0,
) -> str:
    """The characters of a body; what makes no sense becomes U+FFFD, never an error."""
    default = partial(_decode_default, alphabet=alphabet, header_octets=header_octets)
    return schemes.decode(body, data_coding, _CODECS, default)


def _decode_default(body: bytes, alphabet: DefaultAlphabet, header_octets: int) -> str:
    if alphabet is DefaultAlphabet.GSM7_PACKED:
        body = gsm7.unpack(body, fill_bits=gsm7.fill_bits(header_octets))
    return decode_coding(body, alphabet.coding)


def _segment(message: ShortMessage | DataSM) -> Concatenation | None:
    parameters = message.parameters
    if not parameters:
        return None
    reference = tlv.number(parameters, Tag.SAR_MSG_REF_NUM)
    total = tlv.number(parameters, Tag.SAR_TOTAL_SEGMENTS)
    number = tlv.number(parameters, Tag.SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or number is None:
        return None
    if not 1 <= number <= total <= MAX_PARTS:
        return None
    return Concatenation(reference & 0xFFFF, total, number)
