"""The packets of SMGP 3.0, octet by octet, names as in the specification.

Octets after the last field are ignored, a missing Reserve is accepted.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from service.protocols.frame import Malformed
from service.protocols.smgp.packet import PDU, RESPONSE, exactly, read_text, write_text
from service.protocols.smgp.query import Query, QueryResp
from service.protocols.smgp.tlv import NO_OPTIONS, Options, read_options, write_options

VERSION = 0x30
HEADER_OCTETS = 12
MAX_FRAME_OCTETS = 8192
"""Far above the longest SUBMIT: 100 destinations make 2,481 octets and its parameters."""

MSG_ID_OCTETS = 10
TERMINAL_OCTETS = 21
MOST_DESTINATIONS = 100

SEND, RECEIVE, SEND_AND_RECEIVE = range(3)
"""The values of LoginMode: which way messages go over the connection."""

MT = 6
"""The MsgType of a message to a handset."""

_HEADER = struct.Struct(">III")
_RESERVE = bytes(8)
_REPORT_START = b"id:"
_REPORT_OCTETS = 122


@dataclass(slots=True)
class Login(PDU):
    """Login."""

    command: ClassVar[int] = 0x1
    layout: ClassVar[struct.Struct] = struct.Struct(">8s16sBIB")
    client_id: str  # 8
    authenticator_client: bytes  # 16
    login_mode: int  # 1: 0 send, 1 receive, 2 both
    timestamp: int  # 4, MMDDHHMMSS as a decimal number
    client_version: int  # 1

    def body(self) -> bytes:
        """The octets after the header."""
        account = write_text(self.client_id, 8)
        rest = self.login_mode, self.timestamp, self.client_version
        return self.layout.pack(account, self.authenticator_client, *rest)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        account, *rest = cls.layout.unpack_from(body)
        return cls(read_text(account), *rest)


@dataclass(slots=True)
class LoginResp(PDU):
    """Login_Resp."""

    command: ClassVar[int] = RESPONSE | Login.command
    layout: ClassVar[struct.Struct] = struct.Struct(">I16sB")
    status: int  # 4
    authenticator_server: bytes  # 16, zeros on failure
    server_version: int  # 1


@dataclass(slots=True)
class Submit(PDU):
    """Submit: one part to one or more handsets."""

    command: ClassVar[int] = 0x2
    layout: ClassVar[struct.Struct] = struct.Struct(">BBB10s2s6s6sB17s17s21s21sB")
    dest_term_id: tuple[str, ...]  # 21 each, after their number in 1
    msg_content: bytes  # after its length in 1: at most 140 by the book
    src_term_id: str  # 21
    msg_format: int  # 1
    msg_type: int = MT  # 1
    need_report: int = 1  # 1
    priority: int = 0  # 1: 0 low to 3 high
    service_id: str = ""  # 10
    fee_type: str = "00"  # 2
    fee_code: str = "0"  # 6
    fixed_fee: str = "0"  # 6
    valid_time: str = ""  # 17
    at_time: str = ""  # 17
    charge_term_id: str = ""  # 21
    options: Options = NO_OPTIONS  # after a Reserve of 8

    def body(self) -> bytes:
        """The octets after the header; ValueError if there are too many destinations."""
        if len(self.dest_term_id) > MOST_DESTINATIONS:
            raise ValueError(f"{len(self.dest_term_id)} destinations; {MOST_DESTINATIONS} is most")
        return b"".join(
            (
                self._head(),
                *(write_text(number, TERMINAL_OCTETS) for number in self.dest_term_id),
                bytes((len(self.msg_content),)),
                self.msg_content,
                _RESERVE,
                write_options(self.options),
            )
        )

    def _head(self) -> bytes:
        return self.layout.pack(
            self.msg_type,
            self.need_report,
            self.priority,
            write_text(self.service_id, 10),
            write_text(self.fee_type, 2),
            write_text(self.fee_code, 6),
            write_text(self.fixed_fee, 6),
            self.msg_format,
            write_text(self.valid_time, 17),
            write_text(self.at_time, 17),
            write_text(self.src_term_id, TERMINAL_OCTETS),
            write_text(self.charge_term_id, TERMINAL_OCTETS),
            len(self.dest_term_id),
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        head = cls.layout.unpack_from(body)
        at = cls.layout.size + TERMINAL_OCTETS * head[12]
        content = exactly(body, at + 1, body[at])
        return cls(
            dest_term_id=_terminals(body[cls.layout.size : at]),
            msg_content=content,
            src_term_id=read_text(head[10]),
            msg_format=head[7],
            msg_type=head[0],
            need_report=head[1],
            priority=head[2],
            service_id=read_text(head[3]),
            fee_type=read_text(head[4]),
            fee_code=read_text(head[5]),
            fixed_fee=read_text(head[6]),
            valid_time=read_text(head[8]),
            at_time=read_text(head[9]),
            charge_term_id=read_text(head[11]),
            options=_options(body, at + 1 + len(content)),
        )


@dataclass(slots=True)
class SubmitResp(PDU):
    """Submit_Resp; MsgID means something only if the status is 0, then the first recipient's."""

    command: ClassVar[int] = RESPONSE | Submit.command
    layout: ClassVar[struct.Struct] = struct.Struct(">10sI")
    msg_id: bytes  # 10
    status: int  # 4


@dataclass(slots=True)
class Deliver(PDU):
    """Deliver: a text from a handset, or a status report in its content."""

    command: ClassVar[int] = 0x3
    layout: ClassVar[struct.Struct] = struct.Struct(">10sBB14s21s21sB")
    msg_id: bytes  # 10, of this deliver
    src_term_id: str  # 21, the handset
    dest_term_id: str  # 21, the number of the SP
    msg_content: bytes  # after its length in 1
    is_report: int = 0  # 1
    msg_format: int = 0  # 1
    recv_time: str = ""  # 14, YYYYMMDDHHMMSS
    options: Options = NO_OPTIONS  # after a Reserve of 8

    def body(self) -> bytes:
        """The octets after the header."""
        head = self.layout.pack(
            self.msg_id,
            self.is_report,
            self.msg_format,
            write_text(self.recv_time, 14),
            write_text(self.src_term_id, TERMINAL_OCTETS),
            write_text(self.dest_term_id, TERMINAL_OCTETS),
            len(self.msg_content),
        )
        return head + self.msg_content + _RESERVE + write_options(self.options)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        head = cls.layout.unpack_from(body)
        report = head[1] and _report(body, cls.layout.size, head[6])
        content = report or exactly(body, cls.layout.size, head[6])
        return cls(
            msg_id=head[0],
            src_term_id=read_text(head[4]),
            dest_term_id=read_text(head[5]),
            msg_content=content,
            is_report=head[1],
            msg_format=head[2],
            recv_time=read_text(head[3]),
            options=_options(body, cls.layout.size + len(content)),
        )


@dataclass(slots=True)
class DeliverResp(PDU):
    """Deliver_Resp; MsgID is that of the Deliver itself, not of the reported message."""

    command: ClassVar[int] = RESPONSE | Deliver.command
    layout: ClassVar[struct.Struct] = struct.Struct(">10sI")
    msg_id: bytes  # 10
    status: int = 0  # 4


@dataclass(slots=True)
class ActiveTest(PDU):
    """Active_Test: a heartbeat, from either side."""

    command: ClassVar[int] = 0x4


@dataclass(slots=True)
class ActiveTestResp(PDU):
    """Active_Test_Resp, without an octet of body (unlike CMPP's)."""

    command: ClassVar[int] = RESPONSE | ActiveTest.command


@dataclass(slots=True)
class Exit(PDU):
    """Exit: a logout."""

    command: ClassVar[int] = 0x6


@dataclass(slots=True)
class ExitResp(PDU):
    """Exit_Resp."""

    command: ClassVar[int] = RESPONSE | Exit.command


@dataclass(slots=True)
class Unknown(PDU):
    """A command that an SP does not know; to be skipped."""

    command_id: int


_KNOWN: dict[int, type[PDU]] = {
    kind.command: kind
    for kind in (
        *(Login, LoginResp, Submit, SubmitResp, Deliver, DeliverResp, Query, QueryResp),
        *(ActiveTest, ActiveTestResp, Exit, ExitResp),
    )
}


def encode(sequence: int, pdu: PDU) -> bytes:
    """The whole packet.

    Raises:
        ValueError: a value does not fit its field.
    """
    try:
        body = pdu.body()
    except struct.error as error:
        raise ValueError(f"a number does not fit its field: {error}") from error
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


def _report(body: bytes, start: int, octets: int) -> bytes:
    """A report whose MsgLength is 0 or longer than the packet, and all that follows it.

    Empty if the length may be right, or if there is no whole report.
    """
    there = body[start:]
    if 0 < octets <= len(there) or len(there) < _REPORT_OCTETS:
        return b""
    return there if there.startswith(_REPORT_START) else b""


def _options(body: bytes, at: int) -> Options:
    """What follows the Reserve after a content that ends at `at`."""
    return read_options(body[at + len(_RESERVE) :])
