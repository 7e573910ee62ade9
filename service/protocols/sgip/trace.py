"""The packets that ask which way a part went: SGIP 1.2 §4. Carriers rarely offer them."""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from service.protocols.sgip.packet import (
    NUMBER_OCTETS,
    PDU,
    RESERVE_OCTETS,
    RESPONSE,
    exactly,
    read_text,
    write_text,
)
from service.protocols.sgip.sequence import OCTETS as SEQUENCE_OCTETS


@dataclass(slots=True)
class Trace(PDU):
    """The question which way a part went, answered within 5 minutes."""

    command: ClassVar[int] = 0x1000
    layout: ClassVar[struct.Struct] = struct.Struct(">12s21s8x")
    reserve: ClassVar[int] = RESERVE_OCTETS
    submit_sequence: int  # 12
    user_number: str  # 21

    def body(self) -> bytes:
        """The octets after the header."""
        submit = self.submit_sequence.to_bytes(SEQUENCE_OCTETS, "big")
        return self.layout.pack(submit, write_text(self.user_number, NUMBER_OCTETS))

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        submit, number = cls.unpack(body)
        return cls(int.from_bytes(submit, "big"), read_text(number))


@dataclass(slots=True)
class Hop:
    """One node that a part went through."""

    layout: ClassVar[struct.Struct] = struct.Struct(">B6s16s16s8x")
    result: int  # 1
    node_id: str  # 6
    receive_time: str  # 16
    send_time: str  # 16


@dataclass(slots=True)
class TraceResp(PDU):
    """The answer to a TRACE."""

    command: ClassVar[int] = RESPONSE | Trace.command
    hops: tuple[Hop, ...] = ()  # after their number in 1

    def body(self) -> bytes:
        """The octets after the header."""
        return bytes((len(self.hops),)) + b"".join(
            Hop.layout.pack(
                hop.result,
                write_text(hop.node_id, 6),
                write_text(hop.receive_time, 16),
                write_text(hop.send_time, 16),
            )
            for hop in self.hops
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        entries = exactly(body, 1, body[0] * Hop.layout.size)
        return cls(
            tuple(
                Hop(result, read_text(node), read_text(received), read_text(sent))
                for result, node, received, sent in Hop.layout.iter_unpack(entries)
            )
        )
