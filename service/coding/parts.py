"""How a text becomes parts, each the content of one submit, and back: 3GPP TS 23.040 and 23.038.

A single message holds 140 octets (70 UCS-2 characters); each part of a longer one gives 6 of them
to the user data header (67 characters). A character is never cut, nor a surrogate pair or a
character of GSM 7-bit's extension.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from service.coding import gsm7, udh
from service.errors import Invalid
from service.words.phrase import phrase

SINGLE_OCTETS = 140
"""What one message holds; in ASCII and GSM 7-bit what their part size says."""

SEPTETS = 160
"""What one message holds in GSM 7-bit: the network packs them into the 140 octets."""

SEPTETS_IN_PART = 153

MAX_PARTS = 255
"""The header counts the parts in one octet."""


class Coding(StrEnum):
    """How the characters of a text travel."""

    ASCII = "ascii"
    GSM7 = "gsm7"
    LATIN1 = "latin1"
    UCS2 = "ucs2"
    GB18030 = "gb18030"
    GBK = "gbk"


_CODECS = {
    Coding.ASCII: "ascii",
    Coding.LATIN1: "latin-1",
    Coding.UCS2: "utf-16-be",
    Coding.GB18030: "gb18030",
    Coding.GBK: "gbk",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One submit's worth of a text.

    number: from 1 to total.
    body: the encoded characters, without a user data header.
    """

    number: int
    total: int
    coding: Coding
    body: bytes


def uncut(text: str, most_characters: int) -> tuple[Part, ...]:
    """One part, whatever the length: whoever takes the text cuts it, and reports on it as a whole.

    Raises:
        Invalid: it is longer than whoever takes it allows.
    """
    if len(text) > most_characters:
        raise Invalid(
            phrase(
                "the text has {count:,} characters and the provider takes"
                " {most_characters:,}; shorten it",
                count=len(text),
                most_characters=most_characters,
            ),
            fields={
                "text": phrase(
                    "at most {most_characters:,} characters", most_characters=most_characters
                )
            },
        )
    return (Part(1, 1, Coding.UCS2, text.encode("utf-16-be", "replace")),)


def split(
    text: str, *, coding: Coding = Coding.UCS2, allow_ascii: bool = False, ascii_part: int = 153
) -> tuple[Part, ...]:
    """Cut a text into the parts it is sent in; an empty text is one empty part.

    Args:
        text: the text, signature included; what cannot be encoded (half a surrogate pair) travels
            as a question mark.
        coding: for texts that are not sent as ASCII. A text with a character that GBK lacks (rare
            hanzi, emoji) is sent in UCS-2 instead.
        allow_ascii: send a text as ASCII if all its characters are.
        ascii_part: ASCII characters or septets in a part: 153, or 134 where the carrier never takes
            more than 140 octets.

    Raises:
        Invalid: the text needs more than 255 parts.
    """
    chosen = Coding.ASCII if allow_ascii and text.isascii() else coding
    if chosen is Coding.GBK and not fits(text, chosen):
        chosen = Coding.UCS2
    bodies = _bodies(text, chosen, ascii_part)
    if len(bodies) > MAX_PARTS:
        raise Invalid(
            phrase(
                "the text needs {count} parts; shorten it to at most {max_parts}",
                count=len(bodies),
                max_parts=MAX_PARTS,
            ),
            fields={"text": phrase("at most {max_parts} parts", max_parts=MAX_PARTS)},
        )
    return tuple(Part(n, len(bodies), chosen, body) for n, body in enumerate(bodies, start=1))


def count(
    text: str, *, coding: Coding = Coding.UCS2, allow_ascii: bool = False, ascii_part: int = 153
) -> tuple[Coding, int]:
    """The coding a text is sent in, and the number of its parts; arguments as for `split`."""
    parts = split(text, coding=coding, allow_ascii=allow_ascii, ascii_part=ascii_part)
    return parts[0].coding, len(parts)


def fits(text: str, coding: Coding) -> bool:
    """Whether every character of the text can travel in a coding."""
    if coding is Coding.GSM7:
        return gsm7.fits(text)
    try:
        text.encode(_CODECS[coding])
    except UnicodeEncodeError:
        return False
    return True


def decode(body: bytes, coding: Coding) -> str:
    """The characters of a body; what makes no sense becomes U+FFFD, never an error."""
    if coding is Coding.GSM7:
        return gsm7.decode(body)
    return body.decode(_CODECS[coding], "replace")


def _bodies(text: str, coding: Coding, ascii_part: int) -> list[bytes]:
    encode = _encoder(coding)
    single, part = _limits(coding, ascii_part)
    whole = encode(text)
    if len(whole) <= single:
        return [whole]
    return list(_cut(text, encode, part))


def _limits(coding: Coding, ascii_part: int) -> tuple[int, int]:
    """The octets of a single message and of a part."""
    if coding is Coding.GSM7 and ascii_part == SEPTETS_IN_PART:
        return SEPTETS, SEPTETS_IN_PART
    narrow = coding in {Coding.ASCII, Coding.GSM7}
    part = ascii_part if narrow else SINGLE_OCTETS - udh.OCTETS
    return part + udh.OCTETS, part


def _encoder(coding: Coding) -> Callable[[str], bytes]:
    if coding is Coding.GSM7:
        return gsm7.encode
    return partial(str.encode, encoding=_CODECS[coding], errors="replace")


def _cut(text: str, encode: Callable[[str], bytes], limit: int) -> Iterator[bytes]:
    body = bytearray()
    for character in text:
        octets = encode(character)
        if len(body) + len(octets) > limit:
            yield bytes(body)
            body.clear()
        body += octets
    yield bytes(body)
