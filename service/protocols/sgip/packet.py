"""What all packets of SGIP share: fixed fields in a fixed order, text filled with zero octets.

Strict in what is written, lenient in what is read: text ends at the first zero octet, and the
reserve at the end of a packet may be missing.
"""

import struct
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from service.protocols.text import read_text as read_text
from service.protocols.text import write_text as write_text

RESPONSE = 0x8000_0000
"""The bit that makes a request's Command ID that of its response."""

RESERVE_OCTETS = 8
NUMBER_OCTETS = 21


@dataclass(slots=True)  # a frozen one takes five times as long to make, and each text takes six
class PDU:
    """A packet without its header.

    command: its Command ID. layout: its fields in order, up to what has no fixed place. reserve:
    how many octets at the end of the layout may be missing.
    """

    command: ClassVar[int]
    layout: ClassVar[struct.Struct] = struct.Struct("")
    reserve: ClassVar[int] = 0

    def body(self) -> bytes:
        """The octets after the header."""
        return self.layout.pack(*(getattr(self, field.name) for field in fields(self)))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header; struct.error or IndexError if there are too few."""
        return cls(*cls.unpack(body))

    @classmethod
    def unpack(cls, body: bytes) -> tuple[Any, ...]:
        """The fields in order; text fields come as octets."""
        if len(body) < cls.layout.size <= len(body) + cls.reserve:
            body = body.ljust(cls.layout.size, b"\x00")
        return cls.layout.unpack_from(body)


def exactly(body: bytes, start: int, octets: int) -> bytes:
    """That many octets of a body; IndexError if they are not there."""
    content = body[start : start + octets]
    if len(content) < octets:
        raise IndexError(octets)
    return content
