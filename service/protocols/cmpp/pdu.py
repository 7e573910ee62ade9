"""The packets of CMPP, octet by octet: QB-GF-028-2003 §8, names as in the specification.

The widths in the comments are those of 2.0 and 3.0 where they differ; `version` has them as data.
Octets after the last field are ignored, a missing reserve or LinkID is accepted.
"""

import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from service.protocols.cmpp.packet import (
    PDU,
    constant_text,
    exactly,
    read_text,
    repeated_text,
    write_text,
)
from service.protocols.cmpp.query import Cancel, CancelResp, Query, QueryResp
from service.protocols.cmpp.version import (
    ACTIVE_TEST,
    CONNECT,
    DELIVER,
    REPORT_OCTETS_20,
    REPORT_OCTETS_30,
    RESPONSE,
    SUBMIT,
    TERMINATE,
    V30,
    Version,
    by_length,
)
from service.protocols.frame import Malformed

HEADER_OCTETS = 12
MAX_FRAME_OCTETS = 8192
"""Far above the longest SUBMIT: 100 destinations make 3,522 octets."""

MSG_ID_OCTETS = 8

_HEADER = struct.Struct(">III")


@dataclass(slots=True)
class Connect(PDU):
    """CMPP_CONNECT: a login."""

    command: ClassVar[int] = CONNECT
    source_addr: str  # 6
    authenticator_source: bytes  # 16
    version: int  # 1
    timestamp: int  # 4

    def body(self, version: Version) -> bytes:
        """The octets after the header."""
        return version.layouts[self.command].pack(
            write_text(self.source_addr, 6),
            self.authenticator_source,
            self.version,
            self.timestamp,
        )

    @classmethod
    def parse(cls, body: bytes, version: Version) -> Self:
        """Read the octets after the header."""
        account, *rest = cls.unpack(body, version)
        return cls(read_text(account), *rest)


@dataclass(slots=True)
class ConnectResp(PDU):
    """CMPP_CONNECT_RESP; read by length, since some peers keep to the other version."""

    command: ClassVar[int] = RESPONSE | CONNECT
    status: int  # 1 or 4
    authenticator_ismg: bytes  # 16
    version: int  # 1

    @classmethod
    def unpack(cls, body: bytes, version: Version) -> tuple[Any, ...]:  # noqa: ARG003  # by length
        """The fields in order."""
        return by_length(cls.command, body).unpack_from(body)


@dataclass(slots=True)
class Terminate(PDU):
    """CMPP_TERMINATE: a logout."""

    command: ClassVar[int] = TERMINATE


@dataclass(slots=True)
class TerminateResp(PDU):
    """CMPP_TERMINATE_RESP."""

    command: ClassVar[int] = RESPONSE | TERMINATE


@dataclass(slots=True)
class Submit(PDU):
    """CMPP_SUBMIT: one part to one or more handsets."""

    command: ClassVar[int] = SUBMIT
    dest_terminal_id: tuple[str, ...]  # 21 or 32 each, after their number in 1
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
    fee_terminal_id: str = ""  # 21 or 32
    fee_terminal_type: int = 0  # none or 1
    tp_pid: int = 0  # 1
    tp_udhi: int = 0  # 1
    fee_type: str = "01"  # 2
    fee_code: str = "0"  # 6
    valid_time: str = ""  # 17
    at_time: str = ""  # 17
    dest_terminal_type: int = 0  # none or 1, one octet for all destinations
    link_id: str = ""  # none or 20

    def body(self, version: Version) -> bytes:
        """The octets after the header."""
        return b"".join(
            (
                self._head(version),
                *(write_text(number, version.terminal_octets) for number in self.dest_terminal_id),
                self.dest_terminal_type.to_bytes(version.type_octets, "big"),
                len(self.msg_content).to_bytes(1, "big"),
                self.msg_content,
                _write_tail(self.link_id, version),
            )
        )

    def _head(self, version: Version) -> bytes:
        return version.layouts[SUBMIT].pack(
            self.msg_id,
            self.pk_total,
            self.pk_number,
            self.registered_delivery,
            self.msg_level,
            constant_text(self.service_id, 10),
            self.fee_user_type,
            constant_text(self.fee_terminal_id, version.terminal_octets),
            self.fee_terminal_type.to_bytes(version.type_octets, "big"),
            self.tp_pid,
            self.tp_udhi,
            self.msg_fmt,
            constant_text(self.msg_src, 6),
            constant_text(self.fee_type, 2),
            constant_text(self.fee_code, 6),
            constant_text(self.valid_time, 17),
            constant_text(self.at_time, 17),
            constant_text(self.src_id, 21),
            len(self.dest_terminal_id),
        )

    @classmethod
    def parse(cls, body: bytes, version: Version) -> Self:
        """Read the octets after the header."""
        layout = version.layouts[SUBMIT]
        head = layout.unpack_from(body)
        at = layout.size + version.terminal_octets * head[18]
        numbers = exactly(body, layout.size, at - layout.size)
        kind = exactly(body, at, version.type_octets)
        at += len(kind)
        content = exactly(body, at + 1, body[at])
        return cls(
            dest_terminal_id=_read_terminals(numbers, version.terminal_octets),
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
            fee_terminal_type=int.from_bytes(head[8], "big"),
            tp_pid=head[9],
            tp_udhi=head[10],
            fee_type=read_text(head[13]),
            fee_code=read_text(head[14]),
            valid_time=read_text(head[15]),
            at_time=read_text(head[16]),
            dest_terminal_type=int.from_bytes(kind, "big"),
            link_id=_read_link_id(body, at + 1 + len(content), version),
        )


@dataclass(slots=True)
class _Result(PDU):
    """An answer to a SUBMIT or a DELIVER."""

    msg_id: int  # 8
    result: int = 0  # 1 or 4

    def body(self, version: Version) -> bytes:
        """The octets after the header."""
        return version.layouts[self.command].pack(self.msg_id, self.result)


@dataclass(slots=True)
class SubmitResp(_Result):
    """CMPP_SUBMIT_RESP; Msg_Id means something only if the result is 0."""

    command: ClassVar[int] = RESPONSE | SUBMIT


@dataclass(slots=True)
class Deliver(PDU):
    """CMPP_DELIVER: a text from a handset, or a state report in its content."""

    command: ClassVar[int] = DELIVER
    msg_id: int  # 8, of this deliver
    dest_id: str  # 21
    src_terminal_id: str  # 21 or 32
    msg_content: bytes  # after its length in 1
    registered_delivery: int = 0  # 1: 0 a text, 1 a report
    msg_fmt: int = 0  # 1
    service_id: str = ""  # 10
    tp_pid: int = 0  # 1
    tp_udhi: int = 0  # 1
    src_terminal_type: int = 0  # none or 1
    link_id: str = ""  # none or 20

    def body(self, version: Version) -> bytes:
        """The octets after the header."""
        head = version.layouts[DELIVER].pack(
            self.msg_id,
            write_text(self.dest_id, 21),
            write_text(self.service_id, 10),
            self.tp_pid,
            self.tp_udhi,
            self.msg_fmt,
            write_text(self.src_terminal_id, version.terminal_octets),
            self.src_terminal_type.to_bytes(version.type_octets, "big"),
            self.registered_delivery,
            len(self.msg_content),
        )
        return head + self.msg_content + _write_tail(self.link_id, version)

    @classmethod
    def parse(cls, body: bytes, version: Version) -> Self:
        """Read the octets after the header."""
        layout = version.layouts[DELIVER]
        head = layout.unpack_from(body)
        report = head[8] and _read_report(body, layout.size, head[9])
        return cls(
            msg_id=head[0],
            dest_id=repeated_text(head[1]),
            src_terminal_id=read_text(head[6]),
            msg_content=report or exactly(body, layout.size, head[9]),
            registered_delivery=head[8],
            msg_fmt=head[5],
            service_id=repeated_text(head[2]),
            tp_pid=head[3],
            tp_udhi=head[4],
            src_terminal_type=int.from_bytes(head[7], "big"),
            link_id=_read_link_id(body, layout.size + head[9], version),
        )


@dataclass(slots=True)
class DeliverResp(_Result):
    """CMPP_DELIVER_RESP; Msg_Id is that of the DELIVER itself, not of the reported message."""

    command: ClassVar[int] = RESPONSE | DELIVER


@dataclass(slots=True)
class ActiveTest(PDU):
    """CMPP_ACTIVE_TEST: a heartbeat, from either side."""

    command: ClassVar[int] = ACTIVE_TEST


@dataclass(slots=True)
class ActiveTestResp(PDU):
    """CMPP_ACTIVE_TEST_RESP; some peers leave the octet out."""

    command: ClassVar[int] = RESPONSE | ACTIVE_TEST
    reserve: ClassVar[int] = 1
    reserved: int = 0  # 1


@dataclass(slots=True)
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


def encode(sequence: int, pdu: PDU, version: Version = V30) -> bytes:
    """The whole packet.

    Raises:
        ValueError: a value does not fit its field, or this version has no such field.
    """
    try:
        body = pdu.body(version)
    except (struct.error, OverflowError) as error:
        raise ValueError(
            f"{type(pdu).__name__} cannot be written in CMPP {version.name}: {error}"
        ) from error
    return _HEADER.pack(HEADER_OCTETS + len(body), pdu.command, sequence) + body


def decode(frame: bytes, version: Version = V30) -> tuple[int, PDU]:
    """The sequence number and the packet of one frame.

    Raises:
        Malformed: it is shorter than its fields.
    """
    try:
        _, command, sequence = _HEADER.unpack_from(frame)
        kind = _KNOWN.get(command)
        if kind is None:
            return sequence, Unknown(command)
        return sequence, kind.parse(frame[HEADER_OCTETS:], version)
    except (struct.error, IndexError) as error:
        raise Malformed(
            f"a packet of {len(frame)} octets is too short for its fields in CMPP {version.name}"
        ) from error


def _read_terminals(numbers: bytes, octets: int) -> tuple[str, ...]:
    starts = range(0, len(numbers), octets)
    return tuple(read_text(numbers[start : start + octets]) for start in starts)


def _read_report(body: bytes, start: int, octets: int) -> bytes:
    """A report block whose Msg_Length may be wrong: some gateways write 0 before it.

    Empty if the length is right, or if there is no whole block.
    """
    there = len(body) - start
    if REPORT_OCTETS_20 <= octets <= there or there < REPORT_OCTETS_20:
        return b""
    width = REPORT_OCTETS_30 if there >= REPORT_OCTETS_30 else REPORT_OCTETS_20
    return body[start : start + width]


def _read_link_id(body: bytes, at: int, version: Version) -> str:
    return read_text(body[at : at + version.link_id_octets])


def _write_tail(link_id: str, version: Version) -> bytes:
    return constant_text(link_id, version.link_id_octets) + version.reserve
