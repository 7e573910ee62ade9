"""What all packets of CMPP share: fixed fields in a fixed order, text filled with zero octets.

Strict in what is written, lenient in what is read: text ends at the first zero octet.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Self

from service.protocols.cmpp.version import Version
from service.protocols.text import read_text as read_text
from service.protocols.text import write_text as write_text

constant_text = lru_cache(maxsize=4096)(write_text)
"""`write_text` of what an account says in every packet; a recipient's number is none of that."""

repeated_text = lru_cache(maxsize=4096)(read_text)
"""`read_text` of what many packets say alike: a status, a minute, our own number."""


@dataclass(slots=True)  # a frozen one takes five times as long to make, and each text takes six
class PDU:
    """A packet without its header, the same in every version.

    command: its Command_Id. reserve: how many octets at the end may be missing.
    """

    command: ClassVar[int]
    reserve: ClassVar[int] = 0

    def body(self, version: Version) -> bytes:
        """The octets after the header.

        Raises:
            ValueError, OverflowError, struct.error: a value does not fit its field.
        """
        values = (getattr(self, field.name) for field in fields(self))
        return version.layouts[self.command].pack(*values)

    @classmethod
    def parse(cls, body: bytes, version: Version) -> Self:
        """Read the octets after the header; struct.error or IndexError if there are too few."""
        return cls(*cls.unpack(body, version))

    @classmethod
    def unpack(cls, body: bytes, version: Version) -> tuple[Any, ...]:
        """The fields in order; text fields come as octets."""
        layout = version.layouts[cls.command]
        if len(body) < layout.size <= len(body) + cls.reserve:
            body = body.ljust(layout.size, b"\x00")
        return layout.unpack_from(body)


def exactly(body: bytes, start: int, octets: int) -> bytes:
    """That many octets of a body; IndexError if they are not there."""
    content = body[start : start + octets]
    if len(content) < octets:
        raise IndexError(octets)
    return content
