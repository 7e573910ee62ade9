"""The packets of SGIP 1.2, octet by octet: SGIP 1.2 §4, names as in the specification.

Octets after the last field are ignored, a missing reserve is accepted.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from service.protocols.frame import Malformed
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
from service.protocols.sgip.trace import Trace, TraceResp

HEADER_OCTETS = 20
MAX_PACKET_OCTETS = 2048
"""The longest packet of the specification (§4.1); we write none that is longer."""
MAX_FRAME_OCTETS = 8192
"""The longest we read: carriers append fields."""

_HEADER = struct.Struct(">II12s")


@dataclass(slots=True)
class Bind(PDU):
    """A login; the password travels in clear."""

    command: ClassVar[int] = 0x1
    layout: ClassVar[struct.Struct] = struct.Struct(">B16s16s8x")
    reserve: ClassVar[int] = RESERVE_OCTETS
    login_type: int  # 1: 1 SP to SMG, 2 SMG to SP
    login_name: str  # 16
    login_password: str  # 16

    def body(self) -> bytes:
        """The octets after the header."""
        name, password = write_text(self.login_name, 16), write_text(self.login_password, 16)
        return self.layout.pack(self.login_type, name, password)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        login_type, name, password = cls.unpack(body)
        return cls(login_type, read_text(name), read_text(password))


@dataclass(slots=True)
class Response(PDU):
    """What all answers but those to UNBIND and TRACE carry."""

    layout: ClassVar[struct.Struct] = struct.Struct(">B8x")
    reserve: ClassVar[int] = RESERVE_OCTETS
    result: int = 0  # 1


@dataclass(slots=True)
class BindResp(Response):
    """The answer to a BIND."""

    command: ClassVar[int] = RESPONSE | Bind.command


@dataclass(slots=True)
class Unbind(PDU):
    """A logout."""

    command: ClassVar[int] = 0x2


@dataclass(slots=True)
class UnbindResp(PDU):
    """The answer to an UNBIND; some peers give it the body of the other answers."""

    command: ClassVar[int] = RESPONSE | Unbind.command


@dataclass(slots=True)
class Submit(PDU):
    """One part to one or more handsets; its sequence number is its id."""

    command: ClassVar[int] = 0x3
    layout: ClassVar[struct.Struct] = struct.Struct(">21s21sB")
    tail: ClassVar[struct.Struct] = struct.Struct(">5s10sB6s6sBBB16s16sBBBBBI")
    sp_number: str  # 21
    user_number: tuple[str, ...]  # 21 each, after their number in 1
    corp_id: str  # 5
    message_content: bytes  # after its length in 4
    message_coding: int  # 1
    charge_number: str = "0" * NUMBER_OCTETS  # 21; zeros: the SP pays, blank: each recipient
    service_type: str = ""  # 10
    fee_type: int = 1  # 1
    fee_value: str = "0"  # 6
    given_value: str = "0"  # 6
    agent_flag: int = 0  # 1
    morelateto_mt_flag: int = 2  # 1
    priority: int = 0  # 1
    expire_time: str = ""  # 16
    schedule_time: str = ""  # 16
    report_flag: int = 1  # 1: 0 of failures, 1 always, 2 never
    tp_pid: int = 0  # 1
    tp_udhi: int = 0  # 1
    message_type: int = 0  # 1
    link_id: str = ""  # 8, the reserve

    def body(self) -> bytes:
        """The octets after the header."""
        head = self.layout.pack(
            write_text(self.sp_number, NUMBER_OCTETS),
            write_text(self.charge_number, NUMBER_OCTETS),
            len(self.user_number),
        )
        return b"".join(
            (
                head,
                *(_padded(number, NUMBER_OCTETS) for number in self.user_number),
                self._tail(),
                self.message_content,
                _padded(self.link_id, RESERVE_OCTETS),
            )
        )

    def _tail(self) -> bytes:
        return self.tail.pack(
            write_text(self.corp_id, 5),
            write_text(self.service_type, 10),
            self.fee_type,
            write_text(self.fee_value, 6),
            write_text(self.given_value, 6),
            self.agent_flag,
            self.morelateto_mt_flag,
            self.priority,
            write_text(self.expire_time, 16),
            write_text(self.schedule_time, 16),
            self.report_flag,
            self.tp_pid,
            self.tp_udhi,
            self.message_coding,
            self.message_type,
            len(self.message_content),
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        sp_number, charge_number, count = cls.layout.unpack_from(body)
        at = cls.layout.size + NUMBER_OCTETS * count
        tail = cls.tail.unpack_from(body, at)
        start = at + cls.tail.size
        content = exactly(body, start, tail[15])
        return cls(
            sp_number=read_text(sp_number),
            user_number=_numbers(body[cls.layout.size : at]),
            corp_id=read_text(tail[0]),
            message_content=content,
            message_coding=tail[13],
            charge_number=read_text(charge_number),
            service_type=read_text(tail[1]),
            fee_type=tail[2],
            fee_value=read_text(tail[3]),
            given_value=read_text(tail[4]),
            agent_flag=tail[5],
            morelateto_mt_flag=tail[6],
            priority=tail[7],
            expire_time=read_text(tail[8]),
            schedule_time=read_text(tail[9]),
            report_flag=tail[10],
            tp_pid=tail[11],
            tp_udhi=tail[12],
            message_type=tail[14],
            link_id=_link_id(body, start + len(content)),
        )


@dataclass(slots=True)
class SubmitResp(Response):
    """The answer to a SUBMIT; it gives no id."""

    command: ClassVar[int] = RESPONSE | Submit.command


@dataclass(slots=True)
class Deliver(PDU):
    """A text from a handset."""

    command: ClassVar[int] = 0x4
    layout: ClassVar[struct.Struct] = struct.Struct(">21s21sBBBI")
    user_number: str  # 21
    sp_number: str  # 21
    message_content: bytes  # after its length in 4
    message_coding: int = 0  # 1
    tp_pid: int = 0  # 1
    tp_udhi: int = 0  # 1
    link_id: str = ""  # 8, the reserve

    def body(self) -> bytes:
        """The octets after the header."""
        head = self.layout.pack(
            write_text(self.user_number, NUMBER_OCTETS),
            write_text(self.sp_number, NUMBER_OCTETS),
            self.tp_pid,
            self.tp_udhi,
            self.message_coding,
            len(self.message_content),
        )
        return head + self.message_content + _padded(self.link_id, RESERVE_OCTETS)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        user_number, sp_number, tp_pid, tp_udhi, coding, octets = cls.layout.unpack_from(body)
        return cls(
            user_number=read_text(user_number),
            sp_number=read_text(sp_number),
            message_content=exactly(body, cls.layout.size, octets),
            message_coding=coding,
            tp_pid=tp_pid,
            tp_udhi=tp_udhi,
            link_id=_link_id(body, cls.layout.size + octets),
        )


@dataclass(slots=True)
class DeliverResp(Response):
    """The answer to a DELIVER."""

    command: ClassVar[int] = RESPONSE | Deliver.command


@dataclass(slots=True)
class Report(PDU):
    """What became of one part for one recipient."""

    command: ClassVar[int] = 0x5
    layout: ClassVar[struct.Struct] = struct.Struct(">12sB21sBB8x")
    reserve: ClassVar[int] = RESERVE_OCTETS
    submit_sequence: int  # 12, of the SUBMIT
    user_number: str  # 21
    state: int  # 1
    error_code: int = 0  # 1
    report_type: int = 0  # 1: 0 about a SUBMIT, 1 about a DELIVER passed on

    def body(self) -> bytes:
        """The octets after the header."""
        number = write_text(self.user_number, NUMBER_OCTETS)
        submit = self.submit_sequence.to_bytes(SEQUENCE_OCTETS, "big")
        return self.layout.pack(submit, self.report_type, number, self.state, self.error_code)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        submit, report_type, number, state, error_code = cls.unpack(body)
        sequence = int.from_bytes(submit, "big")
        return cls(sequence, read_text(number), state, error_code, report_type)


@dataclass(slots=True)
class ReportResp(Response):
    """The answer to a REPORT."""

    command: ClassVar[int] = RESPONSE | Report.command


@dataclass(slots=True)
class UserRpt(PDU):
    """What has changed about a subscriber."""

    command: ClassVar[int] = 0x11
    layout: ClassVar[struct.Struct] = struct.Struct(">21s21sB8x")
    reserve: ClassVar[int] = RESERVE_OCTETS
    sp_number: str  # 21
    user_number: str  # 21
    user_condition: int  # 1: 0 cancelled, 1 suspended for arrears, 2 back to normal

    def body(self) -> bytes:
        """The octets after the header."""
        return self.layout.pack(
            write_text(self.sp_number, NUMBER_OCTETS),
            write_text(self.user_number, NUMBER_OCTETS),
            self.user_condition,
        )

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the octets after the header."""
        sp_number, user_number, condition = cls.unpack(body)
        return cls(read_text(sp_number), read_text(user_number), condition)


@dataclass(slots=True)
class UserRptResp(Response):
    """The answer to a USERRPT."""

    command: ClassVar[int] = RESPONSE | UserRpt.command


@dataclass(slots=True)
class Unknown(PDU):
    """A command that an SP does not know; to be skipped."""

    command_id: int


_KNOWN: dict[int, type[PDU]] = {
    kind.command: kind
    for kind in (
        *(Bind, BindResp, Unbind, UnbindResp, Submit, SubmitResp, Deliver, DeliverResp),
        *(Report, ReportResp, UserRpt, UserRptResp, Trace, TraceResp),
    )
}


def encode(sequence: int, pdu: PDU) -> bytes:
    """The whole packet.

    Raises:
        ValueError: a text field does not fit, or the packet is longer than SGIP allows.
    """
    body = pdu.body()
    length = HEADER_OCTETS + len(body)
    if length > MAX_PACKET_OCTETS:
        raise ValueError(f"a packet of {length} octets; SGIP allows {MAX_PACKET_OCTETS}")
    return _HEADER.pack(length, pdu.command, sequence.to_bytes(SEQUENCE_OCTETS, "big")) + body


def decode(frame: bytes) -> tuple[int, PDU]:
    """The sequence number, of 96 bits, and the packet of one frame.

    Raises:
        Malformed: it is shorter than its fields.
    """
    try:
        _, command, sequence = _HEADER.unpack_from(frame)
        number = int.from_bytes(sequence, "big")
        kind = _KNOWN.get(command)
        if kind is None:
            return number, Unknown(command)
        return number, kind.parse(frame[HEADER_OCTETS:])
    except (struct.error, IndexError) as error:
        raise Malformed(f"a packet of {len(frame)} octets is too short for its fields") from error


def _padded(value: str, octets: int) -> bytes:
    return write_text(value, octets).ljust(octets, b"\x00")


def _numbers(octets: bytes) -> tuple[str, ...]:
    starts = range(0, len(octets), NUMBER_OCTETS)
    return tuple(read_text(octets[start : start + NUMBER_OCTETS]) for start in starts)


def _link_id(body: bytes, at: int) -> str:
    return read_text(body[at : at + RESERVE_OCTETS])
