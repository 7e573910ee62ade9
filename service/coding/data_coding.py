"""What the octets of a received text mean: the data coding scheme of 3GPP TS 23.038 §4 (pure).

A handset's text carries this octet, and a gateway hands it on in Msg_Fmt, MessageCoding, MsgFormat
or data_coding. Each protocol's own table names a few values (15 is GBK in the Chinese ones); all
others are read by their bits, so that UCS-2 with a message class (24, 25) or for automatic deletion
(72) is UCS-2. Reading is lenient: octets that are no characters come out in hexadecimal.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto

_COMPRESSED = 0x20
_GENERAL = 0xC0
"""Below this a value is of the general groups, or reserved ones, which are read like them."""

_STORE_UCS2 = 0xE0
_CLASSES = 0xF0


class Alphabet(Enum):
    """What a value's bits say of the octets."""

    DEFAULT = auto()
    OCTETS = auto()
    UCS2 = auto()


def alphabet(value: int) -> Alphabet:
    """The alphabet of a data coding, 0 to 255, by its coding group.

    Compressed texts are octets: nobody here expands them.
    """
    group, bits = value & 0xF0, value & 0x0C
    if group == _STORE_UCS2:
        return Alphabet.UCS2
    if group >= _GENERAL:
        octets = group == _CLASSES and value & 0x04
        return Alphabet.OCTETS if octets else Alphabet.DEFAULT
    if (value & _COMPRESSED and value < 0x80) or bits == 0x04:
        return Alphabet.OCTETS
    return Alphabet.UCS2 if bits == 0x08 else Alphabet.DEFAULT


def decode(
    body: bytes, value: int, own: Mapping[int, str | None], default: Callable[[bytes], str]
) -> str:
    """The characters of a body; what makes no sense becomes U+FFFD, never an error.

    own: the values of the protocol's own table, each with its codec, None for octets. default:
    reads the default alphabet as this protocol writes it.
    """
    codec = own.get(value)
    if codec is not None:
        return body.decode(codec, "replace")
    found = Alphabet.OCTETS if value in own else alphabet(value)
    if found is Alphabet.OCTETS:
        return body.hex()
    return body.decode("utf-16-be", "replace") if found is Alphabet.UCS2 else default(body)


_CHINESE = {0: "ascii", 3: None, 15: "gb18030"}


def decode_chinese(body: bytes, value: int) -> str:
    """The characters of a body in CMPP, SGIP or SMGP.

    There 0 is ASCII, 3 an operation on the card, and 15 GBK, read as GB18030, which contains it.
    Letters of the default alphabet travel one in an octet, as ASCII.
    """
    return decode(body, value, _CHINESE, _ascii)


def _ascii(body: bytes) -> str:
    return body.decode("ascii", "replace")
