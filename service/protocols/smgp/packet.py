"""What all packets of SMGP share: fixed fields in a fixed order, text filled with zero octets.

Strict in what is written, lenient in what is read: text ends at the first zero octet.
"""

import struct
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from service.protocols.text import read_text as read_text
from service.protocols.text import write_text as write_text

RESPONSE = 0x8000_0000
"""The bit that makes a request's RequestID that of its response."""


@dataclass(slots=True)  # a frozen one takes five times as long to make, and each text takes six
class PDU:
    """A packet without its header.

    command: its RequestID. layout: its fields in order, where all have a fixed place.
    """

    command: ClassVar[int]
    layout: ClassVar[struct.Struct] = struct.Struct("")

    def body(self) -> bytes:
        """The octets after the header; struct.error if a number does not fit its field."""
        return self.layout.pack(*(getattr(self, field.name) for field in fields(self)))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header; struct.error or IndexError if there are too few."""
        return cls(*cls.layout.unpack_from(body))


def exactly(body: bytes, start: int, octets: int) -> bytes:
    """That many octets of a body; IndexError if they are not there."""
    content = body[start : start + octets]
    if len(content) < octets:
        raise IndexError(octets)
    return content
