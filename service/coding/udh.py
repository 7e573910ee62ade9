"""The user data header that lets a handset join the parts of a long text: 3GPP TS 23.040 §9.2.3.24.

We write the 8-bit reference; we read both widths and skip every other element.
"""

from dataclasses import dataclass

OCTETS = 6
"""The length of the header that `build` writes."""

_REFERENCE_8 = 0x00
_REFERENCE_16 = 0x08


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Which part of which long text a content is."""

    reference: int
    total: int
    number: int


def build(reference: int, total: int, number: int) -> bytes:
    """The header of part `number` of `total`; only the low 8 bits of the reference travel."""
    return bytes((5, _REFERENCE_8, 3, reference & 0xFF, total, number))


def parse(content: bytes) -> tuple[Concatenation | None, bytes]:
    """Take the header off a content.

    Returns what it says of joining, None if it says nothing usable, and the rest. A header that
    claims more octets than there are is no header: the whole content comes back.
    """
    if not content or content[0] >= len(content):
        return None, content
    end = content[0] + 1
    return _concatenation(content[1:end]), content[end:]


def _concatenation(elements: bytes) -> Concatenation | None:
    at = 0
    while at + 2 <= len(elements):
        kind, size = elements[at], elements[at + 1]
        data = elements[at + 2 : at + 2 + size]
        at += 2 + size
        if (kind, len(data)) in {(_REFERENCE_8, 3), (_REFERENCE_16, 4)}:
            *reference, total, number = data
            if 1 <= number <= total:
                return Concatenation(int.from_bytes(reference, "big"), total, number)
    return None
