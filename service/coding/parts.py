"""How a text becomes parts, each the content of one submit, and back: 3GPP TS 23.040 and 23.038.

A single message holds 140 octets (70 UCS-2 characters); each part of a longer one gives 6 of them
to the user data header (67 characters). A character is never cut, nor a surrogate pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from service.coding import udh
from service.errors import Invalid

SINGLE_OCTETS = 140
"""What one message holds in UCS-2 and GB18030; ASCII holds what its part size says."""

MAX_PARTS = 255
"""The header counts the parts in one octet."""


class Coding(StrEnum):
    """How the characters of a text travel."""

    ASCII = "ascii"
    UCS2 = "ucs2"
    GB18030 = "gb18030"


_CODECS = {Coding.ASCII: "ascii", Coding.UCS2: "utf-16-be", Coding.GB18030: "gb18030"}


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


def split(
    text: str, *, coding: Coding = Coding.UCS2, allow_ascii: bool = False, ascii_part: int = 153
) -> tuple[Part, ...]:
    """Cut a text into the parts it is sent in; an empty text is one empty part.

    Args:
        text: the text, signature included; what cannot be encoded (half a surrogate pair) travels
            as a question mark.
        coding: for texts that are not sent as ASCII.
        allow_ascii: send a text as ASCII if all its characters are.
        ascii_part: ASCII characters in a part: 153, or 134 where the carrier never takes more than
            140 octets.

    Raises:
        Invalid: the text needs more than 255 parts.
    """
    chosen = Coding.ASCII if allow_ascii and text.isascii() else coding
    bodies = _bodies(text, chosen, ascii_part)
    if len(bodies) > MAX_PARTS:
        raise Invalid(
            f"the text needs {len(bodies)} parts; shorten it to at most {MAX_PARTS}",
            fields={"text": f"at most {MAX_PARTS} parts"},
        )
    return tuple(Part(n, len(bodies), chosen, body) for n, body in enumerate(bodies, start=1))


def count(
    text: str, *, coding: Coding = Coding.UCS2, allow_ascii: bool = False, ascii_part: int = 153
) -> tuple[Coding, int]:
    """The coding a text is sent in, and the number of its parts; arguments as for `split`."""
    parts = split(text, coding=coding, allow_ascii=allow_ascii, ascii_part=ascii_part)
    return parts[0].coding, len(parts)


def decode(body: bytes, coding: Coding) -> str:
    """The characters of a body; what makes no sense becomes U+FFFD, never an error."""
    return body.decode(_CODECS[coding], "replace")


def _bodies(text: str, coding: Coding, ascii_part: int) -> list[bytes]:
    part = ascii_part if coding is Coding.ASCII else SINGLE_OCTETS - udh.OCTETS
    whole = text.encode(_CODECS[coding], "replace")
    if len(whole) <= part + udh.OCTETS:
        return [whole]
    return list(_cut(text, _CODECS[coding], part))


def _cut(text: str, codec: str, limit: int) -> Iterator[bytes]:
    body = bytearray()
    for character in text:
        octets = character.encode(codec, "replace")
        if len(body) + len(octets) > limit:
            yield bytes(body)
            body.clear()
        body += octets
    yield bytes(body)
