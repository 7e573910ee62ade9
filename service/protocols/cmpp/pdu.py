"""The packets of CMPP 3.0, octet by octet: QB-GF-028-2003 §8, names as in the specification.

Octets after the last field are ignored, a missing reserve or LinkID is accepted.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from service.protocols.cmpp.packet import PDU, RESPONSE, exactly, read_text, write_text
from service.protocols.cmpp.query import Cancel, CancelResp, Query, QueryResp
from service.protocols.frame import Malformed

VERSION = 0x30
HEADER_OCTETS = 12
MAX_FRAME_OCTETS = 8192
"""Far above the longest SUBMIT: 100 destinations make 3,522 octets."""

TERMINAL_OCTETS = 32
LINK_ID_OCTETS = 20

_HEADER = struct.Struct(">III")


@dataclass(frozen=True, slots=True)
class Connect(PDU):
    """CMPP_CONNECT: a login."""

    command: ClassVar[int] = 0x1
    layout: ClassVar[struct.Struct] = struct.Struct(">6s16sBI")
    source_addr: str  # 6
    authenticator_source: bytes  # 16
    version: int  # 1
    timestamp: int  # 4

    def body(self) -> bytes:
        """The octets after the header."""
        account = write_text(self.source_addr, 6)
        return self.layout.pack(account, self.authenticator_source, self.version, self.timestamp)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        account, authenticator, version, timestamp = cls.layout.unpack_from(body)
        return cls(read_text(account), authenticator, version, timestamp)


@dataclass(frozen=True, slots=True)
class ConnectResp(PDU):
    """CMPP_CONNECT_RESP; a peer may answer in the 2.0 form, whose status has one octet."""

    command: ClassVar[int] = RESPONSE | Connect.command
    layout: ClassVar[struct.Struct] = struct.Struct(">I16sB")
    layout_20: ClassVar[struct.Struct] = struct.Struct(">B16sB")
    status: int  # 4
    authenticator_ismg: bytes  # 16
    version: int  # 1

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        layout = cls.layout if len(body) >= cls.layout.size else cls.layout_20
        return cls(*layout.unpack_from(body))


@dataclass(frozen=True, slots=True)
class Terminate(PDU):
    """CMPP_TERMINATE: a logout."""

    command: ClassVar[int] = 0x2


@dataclass(frozen=True, slots=True)
class TerminateResp(PDU):
    """CMPP_TERMINATE_RESP."""

    command: ClassVar[int] = RESPONSE | Terminate.command


@dataclass(frozen=True, slots=True)
class Submit(PDU):
    """CMPP_SUBMIT: one part to one or more handsets."""

    command: ClassVar[int] = 0x4
    layout: ClassVar[struct.Struct] = struct.Struct(">QBBBB10sB32sBBBB6s2s6s17s17s21sB")
    dest_terminal_id: tuple[str, ...]  # 32 each, after their number in 1
    msg_content: bytes  # after its length in 1: up to 159 in ASCII, else 140
    src_id: str  # 21
    msg_src: str  # 6
    msg_fmt: int  # 1
    msg_id: int = 0  # 8, the gateway's to fill
    pk_total: int = 1  # 1
    pk_number: int = 1  # 1
    registered_delivery: int = 1  # 1
    msg_level: int = 0  # 1
    service_id: str = ""  # 10
    fee_user_type: int = 2  # 1
    fee_terminal_id: str = ""  # 32
    fee_terminal_type: int = 0  # 1
    tp_pid: int = 0  # 1
    tp_udhi: int = 0  # 1
    fee_type: str = "01"  # 2
    fee_code: str = "0"  # 6
    valid_time: str = ""  # 17
    at_time: str = ""  # 17
    dest_terminal_type: int = 0  # 1, one octet for all destinations
    link_id: str = ""  # 20

    def body(self) -> bytes:
        """The octets after the header."""
        return b"".join(
            (
                self._head(),
                *(write_text(number, TERMINAL_OCTETS) for number in self.dest_terminal_id),
                bytes((self.dest_terminal_type, len(self.msg_content))),
                self.msg_content,
                write_text(self.link_id, LINK_ID_OCTETS),
            )
        )

    def _head(self) -> bytes:
        return self.layout.pack(
            self.msg_id,
            self.pk_total,
            self.pk_number,
            self.registered_delivery,
            self.msg_level,
            write_text(self.service_id, 10),
            self.fee_user_type,
            write_text(self.fee_terminal_id, TERMINAL_OCTETS),
            self.fee_terminal_type,
            self.tp_pid,
            self.tp_udhi,
            self.msg_fmt,
            write_text(self.msg_src, 6),
            write_text(self.fee_type, 2),
            write_text(self.fee_code, 6),
            write_text(self.valid_time, 17),
            write_text(self.at_time, 17),
            write_text(self.src_id, 21),
            len(self.dest_terminal_id),
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        head = cls.layout.unpack_from(body)
        at = cls.layout.size + TERMINAL_OCTETS * head[18]
        content = exactly(body, at + 2, body[at + 1])
        return cls(
            dest_terminal_id=_terminals(body[cls.layout.size : at]),
            msg_content=content,
            src_id=read_text(head[17]),
            msg_src=read_text(head[12]),
            msg_fmt=head[11],
            msg_id=head[0],
            pk_total=head[1],
            pk_number=head[2],
            registered_delivery=head[3],
            msg_level=head[4],
            service_id=read_text(head[5]),
            fee_user_type=head[6],
            fee_terminal_id=read_text(head[7]),
            fee_terminal_type=head[8],
            tp_pid=head[9],
            tp_udhi=head[10],
            fee_type=read_text(head[13]),
            fee_code=read_text(head[14]),
            valid_time=read_text(head[15]),
            at_time=read_text(head[16]),
            dest_terminal_type=body[at],
            link_id=_link_id(body, at + 2 + len(content)),
        )


@dataclass(frozen=True, slots=True)
class SubmitResp(PDU):
    """CMPP_SUBMIT_RESP; Msg_Id means something only if the result is 0."""

    command: ClassVar[int] = RESPONSE | Submit.command
    layout: ClassVar[struct.Struct] = struct.Struct(">QI")
    msg_id: int  # 8
    result: int  # 4


@dataclass(frozen=True, slots=True)
class Deliver(PDU):
    """CMPP_DELIVER: a text from a handset, or a state report in its content."""

    command: ClassVar[int] = 0x5
    layout: ClassVar[struct.Struct] = struct.Struct(">Q21s10sBBB32sBBB")
    msg_id: int  # 8, of this deliver
    dest_id: str  # 21
    src_terminal_id: str  # 32
    msg_content: bytes  # after its length in 1
    registered_delivery: int = 0  # 1: 0 a text, 1 a report
    msg_fmt: int = 0  # 1
    service_id: str = ""  # 10
    tp_pid: int = 0  # 1
    tp_udhi: int = 0  # 1
    src_terminal_type: int = 0  # 1
    link_id: str = ""  # 20

    def body(self) -> bytes:
        """The octets after the header."""
        head = self.layout.pack(
            self.msg_id,
            write_text(self.dest_id, 21),
            write_text(self.service_id, 10),
            self.tp_pid,
            self.tp_udhi,
            self.msg_fmt,
            write_text(self.src_terminal_id, TERMINAL_OCTETS),
            self.src_terminal_type,
            self.registered_delivery,
            len(self.msg_content),
        )
        return head + self.msg_content + write_text(self.link_id, LINK_ID_OCTETS)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        head = cls.layout.unpack_from(body)
        return cls(
            msg_id=head[0],
            dest_id=read_text(head[1]),
            src_terminal_id=read_text(head[6]),
            msg_content=exactly(body, cls.layout.size, head[9]),
            registered_delivery=head[8],
            msg_fmt=head[5],
            service_id=read_text(head[2]),
            tp_pid=head[3],
            tp_udhi=head[4],
            src_terminal_type=head[7],
            link_id=_link_id(body, cls.layout.size + head[9]),
        )


@dataclass(frozen=True, slots=True)
class DeliverResp(PDU):
    """CMPP_DELIVER_RESP; Msg_Id is that of the DELIVER itself, not of the reported message."""

    command: ClassVar[int] = RESPONSE | Deliver.command
    layout: ClassVar[struct.Struct] = struct.Struct(">QI")
    msg_id: int  # 8
    result: int = 0  # 4


@dataclass(frozen=True, slots=True)
class ActiveTest(PDU):
    """CMPP_ACTIVE_TEST: a heartbeat, from either side."""

    command: ClassVar[int] = 0x8


@dataclass(frozen=True, slots=True)
class ActiveTestResp(PDU):
    """CMPP_ACTIVE_TEST_RESP; some peers leave the octet out."""

    command: ClassVar[int] = RESPONSE | ActiveTest.command
    layout: ClassVar[struct.Struct] = struct.Struct(">B")
    reserve: ClassVar[int] = 1
    reserved: int = 0  # 1


@dataclass(frozen=True, slots=True)
class Unknown(PDU):
    """A command that an SP does not know; to be skipped."""

    command_id: int


_KNOWN: dict[int, type[PDU]] = {
    kind.command: kind
    for kind in (
        *(Connect, ConnectResp, Terminate, TerminateResp, Submit, SubmitResp),
        *(Deliver, DeliverResp, Query, QueryResp, Cancel, CancelResp, ActiveTest, ActiveTestResp),
    )
}


def encode(sequence: int, pdu: PDU) -> bytes:
    """The whole packet.

    Raises:
        ValueError: a text field does not fit.
    """
    body = pdu.body()
    return _HEADER.pack(HEADER_OCTETS + len(body), pdu.command, sequence) + body


def decode(frame: bytes) -> tuple[int, PDU]:
    """The sequence number and the packet of one frame.

    Raises:
        Malformed: it is shorter than its fields.
    """
    try:
        _, command, sequence = _HEADER.unpack_from(frame)
        kind = _KNOWN.get(command)
        if kind is None:
            return sequence, Unknown(command)
        return sequence, kind.parse(frame[HEADER_OCTETS:])
    except (struct.error, IndexError) as error:
        raise Malformed(f"a packet of {len(frame)} octets is too short for its fields") from error


def _terminals(numbers: bytes) -> tuple[str, ...]:
    starts = range(0, len(numbers), TERMINAL_OCTETS)
    return tuple(read_text(numbers[start : start + TERMINAL_OCTETS]) for start in starts)


def _link_id(body: bytes, at: int) -> str:
    return read_text(body[at : at + LINK_ID_OCTETS])
