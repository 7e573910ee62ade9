"""What all packets of SMPP share: text that ends with a zero octet, numbers, optional parameters.

Strict in what is written, lenient in what is read: a text may be longer than its field, and a
response may lack its body (by the book it does when it carries an error; many stacks send one).
"""

import struct
from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

from service.protocols.smpp import tlv
from service.protocols.smpp.tlv import TLV

RESPONSE = 0x8000_0000
"""The bit that makes a request's command_id that of its response."""

SequenceKind = int | None
"""How a field is written: the most octets of a text, its end included; None: a number of one."""

NUMBER: SequenceKind = None


def write_text(value: str, most: int) -> bytes:
    """A text with its zero octet.

    Raises:
        ValueError: it does not fit, contains a zero octet, or is not Latin-1.
    """
    data = value.encode("latin-1")
    if len(data) >= most:
        raise ValueError(f"{len(data)} characters do not fit a field of {most - 1}")
    if 0 in data:
        raise ValueError("a text cannot contain a zero octet")
    return data + b"\x00"


def write_octet(value: int) -> bytes:
    """A number of one octet; ValueError if it does not fit."""
    return bytes((value,))


class Reader:
    """Reads a body from front to back; IndexError where it ends too early."""

    def __init__(self, body: bytes, at: int = 0) -> None:
        self.body = body
        self.at = at

    def text(self) -> str:
        """A text up to its zero octet."""
        end = self.body.find(b"\x00", self.at)
        if end < 0:
            raise IndexError(self.at)
        start, self.at = self.at, end + 1
        return self.body[start:end].decode("latin-1")

    def last_text(self) -> str:
        """A text that may lack its end, or be missing."""
        start = self.at
        end = self.body.find(b"\x00", start)
        self.at = len(self.body) if end < 0 else end + 1
        return self.body[start : len(self.body) if end < 0 else end].decode("latin-1")

    def number(self) -> int:
        """A number of one octet."""
        value = self.body[self.at]
        self.at += 1
        return value

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        """Numbers of a fixed layout; struct.error if they are not all there."""
        start = self.at
        self.at += layout.size
        values: tuple[int, ...] = layout.unpack_from(self.body, start)
        return values

    def octets(self, length: int) -> bytes:
        """That many octets."""
        found = self.body[self.at : self.at + length]
        if len(found) < length:
            raise IndexError(length)
        self.at += length
        return found

    def parameters(self) -> tuple[TLV, ...]:
        """The optional parameters up to the end."""
        return tlv.read(self.body, self.at)


@dataclass(slots=True)  # a frozen one takes five times as long to make, and each text takes six
class PDU:
    """A packet.

    command: its command_id. kinds: how its fields are written, in order. parameters: the optional
    ones after them. command_status: in the header of every packet, 0 in requests.
    """

    command: ClassVar[int]
    kinds: ClassVar[tuple[SequenceKind, ...]] = ()
    parameters: tuple[TLV, ...] = field(default=(), kw_only=True)
    command_status: int = field(default=0, kw_only=True)  # 4

    def body(self) -> bytes:
        """The octets after the header; ValueError if a field does not fit."""
        pieces = []
        for name, kind in zip(self.names(), self.kinds, strict=True):
            value = getattr(self, name)
            pieces.append(write_octet(value) if kind is None else write_text(value, kind))
        return b"".join(pieces) + tlv.write(self.parameters)

    @classmethod
    def parse(cls, body: bytes, command_status: int) -> Self:
        """Read the octets after the header; struct.error or IndexError if there are too few."""
        reader = Reader(body)
        values = [reader.number() if kind is None else reader.text() for kind in cls.kinds]
        return cls(*values, parameters=reader.parameters(), command_status=command_status)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the fields that `kinds` describes, in order."""
        found = _NAMES.get(cls)
        if found is None:
            common = {"parameters", "command_status"}
            found = tuple(item.name for item in fields(cls) if item.name not in common)
            _NAMES[cls] = found
        return found


_NAMES: dict[type[PDU], tuple[str, ...]] = {}


@dataclass(slots=True)
class Response(PDU):
    """A response: without a body when it carries an error, unless it has something to say."""

    def body(self) -> bytes:
        """The octets after the header; none for an error that says nothing more."""
        if self.command_status and self == type(self)(command_status=self.command_status):
            return b""
        return PDU.body(self)

    @classmethod
    def parse(cls, body: bytes, command_status: int) -> Self:
        """Read what there is; what is missing is empty."""
        reader = Reader(body)
        values: list[int | str] = []
        for kind in cls.kinds:
            if reader.at >= len(body):
                break
            values.append(reader.number() if kind is None else reader.last_text())
        return cls(*values, parameters=reader.parameters(), command_status=command_status)
