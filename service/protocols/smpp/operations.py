"""The packets that ask about, replace and cancel messages, and those an ESME seldom meets.

SMPP 3.4 §4.1.7 (outbind), §4.5 (submit_multi), §4.8 to §4.10, §4.12. SMSCs rarely offer them.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self

from service.protocols.smpp import tlv
from service.protocols.smpp.packet import (
    NUMBER,
    PDU,
    RESPONSE,
    Reader,
    Response,
    SequenceKind,
    write_octet,
    write_text,
)

SME_ADDRESS = 1
DISTRIBUTION_LIST = 2


@dataclass(slots=True)
class Outbind(PDU):
    """outbind: an SMSC asks to be logged in to."""

    command: ClassVar[int] = 0xB
    kinds: ClassVar[tuple[SequenceKind, ...]] = (16, 9)
    system_id: str  # 16
    password: str  # 9


@dataclass(slots=True)
class AlertNotification(PDU):
    """alert_notification: a handset can be reached again; it has no answer."""

    command: ClassVar[int] = 0x102
    kinds: ClassVar[tuple[SequenceKind, ...]] = (NUMBER, NUMBER, 65, NUMBER, NUMBER, 65)
    source_addr_ton: int  # 1
    source_addr_npi: int  # 1
    source_addr: str  # 65
    esme_addr_ton: int  # 1
    esme_addr_npi: int  # 1
    esme_addr: str  # 65


@dataclass(slots=True)
class QuerySM(PDU):
    """query_sm: what became of a message."""

    command: ClassVar[int] = 0x3
    kinds: ClassVar[tuple[SequenceKind, ...]] = (65, NUMBER, NUMBER, 21)
    message_id: str  # 65
    source_addr_ton: int  # 1, as submitted
    source_addr_npi: int  # 1
    source_addr: str  # 21


@dataclass(slots=True)
class QuerySMResp(Response):
    """query_sm_resp."""

    command: ClassVar[int] = RESPONSE | QuerySM.command
    kinds: ClassVar[tuple[SequenceKind, ...]] = (65, 17, NUMBER, NUMBER)
    message_id: str = ""  # 65
    final_date: str = ""  # 1 or 17
    message_state: int = 0  # 1
    error_code: int = 0  # 1


@dataclass(slots=True)
class CancelSM(PDU):
    """cancel_sm; an empty message_id: all from that source to that destination."""

    command: ClassVar[int] = 0x8
    kinds: ClassVar[tuple[SequenceKind, ...]] = (6, 65, NUMBER, NUMBER, 21, NUMBER, NUMBER, 21)
    service_type: str  # 6
    message_id: str  # 65
    source_addr_ton: int  # 1
    source_addr_npi: int  # 1
    source_addr: str  # 21
    dest_addr_ton: int  # 1
    dest_addr_npi: int  # 1
    destination_addr: str  # 21


@dataclass(slots=True)
class CancelSMResp(Response):
    """cancel_sm_resp."""

    command: ClassVar[int] = RESPONSE | CancelSM.command


@dataclass(slots=True)
class ReplaceSM(PDU):
    """replace_sm: another text for a message that waits."""

    command: ClassVar[int] = 0x7
    message_id: str  # 65
    source_addr_ton: int  # 1
    source_addr_npi: int  # 1
    source_addr: str  # 21
    schedule_delivery_time: str  # 1 or 17
    validity_period: str  # 1 or 17
    registered_delivery: int  # 1
    sm_default_msg_id: int  # 1
    short_message: bytes  # after its length in 1

    def body(self) -> bytes:
        """The octets after the header."""
        pieces = [
            write_text(self.message_id, 65),
            bytes((self.source_addr_ton, self.source_addr_npi)),
            write_text(self.source_addr, 21),
            write_text(self.schedule_delivery_time, 17),
            write_text(self.validity_period, 17),
            bytes((self.registered_delivery, self.sm_default_msg_id, len(self.short_message))),
            self.short_message,
        ]
        return b"".join(pieces) + tlv.write(self.parameters)

    @classmethod
    def parse(cls, body: bytes, command_status: int) -> Self:
        """Read the octets after the header."""
        reader = Reader(body)
        return cls(
            message_id=reader.text(),
            source_addr_ton=reader.number(),
            source_addr_npi=reader.number(),
            source_addr=reader.text(),
            schedule_delivery_time=reader.text(),
            validity_period=reader.text(),
            registered_delivery=reader.number(),
            sm_default_msg_id=reader.number(),
            short_message=reader.octets(reader.number()),
            parameters=reader.parameters(),
            command_status=command_status,
        )


@dataclass(slots=True)
class ReplaceSMResp(Response):
    """replace_sm_resp."""

    command: ClassVar[int] = RESPONSE | ReplaceSM.command


@dataclass(slots=True)
class Destination:
    """One destination of a submit_multi: a handset's number, or the name of a list.

    flag: SME_ADDRESS or DISTRIBUTION_LIST; a list has neither ton nor npi.
    """

    address: str  # 21
    ton: int = 1  # 1
    npi: int = 1  # 1
    flag: int = SME_ADDRESS  # 1

    def encode(self) -> bytes:
        """The octets; ValueError if the address is too long."""
        if self.flag == DISTRIBUTION_LIST:
            return bytes((self.flag,)) + write_text(self.address, 21)
        return bytes((self.flag, self.ton, self.npi)) + write_text(self.address, 21)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read one; a flag that nobody knows is read as a number's."""
        flag = reader.number()
        if flag == DISTRIBUTION_LIST:
            return cls(reader.text(), 0, 0, flag)
        ton, npi = reader.number(), reader.number()
        return cls(reader.text(), ton, npi, flag)


@dataclass(slots=True)
class SubmitMulti(PDU):
    """submit_multi: one part to up to 254 destinations."""

    command: ClassVar[int] = 0x21
    source_addr: str  # 21
    dest_addresses: tuple[Destination, ...]  # after their number in 1
    short_message: bytes  # after its length in 1
    service_type: str = ""  # 6
    source_addr_ton: int = 0  # 1
    source_addr_npi: int = 0  # 1
    esm_class: int = 0  # 1
    protocol_id: int = 0  # 1
    priority_flag: int = 0  # 1
    schedule_delivery_time: str = ""  # 1 or 17
    validity_period: str = ""  # 1 or 17
    registered_delivery: int = 0  # 1
    replace_if_present_flag: int = 0  # 1
    data_coding: int = 0  # 1
    sm_default_msg_id: int = 0  # 1

    def body(self) -> bytes:
        """The octets after the header."""
        pieces = [
            write_text(self.service_type, 6),
            bytes((self.source_addr_ton, self.source_addr_npi)),
            write_text(self.source_addr, 21),
            write_octet(len(self.dest_addresses)),
            *(destination.encode() for destination in self.dest_addresses),
            bytes((self.esm_class, self.protocol_id, self.priority_flag)),
            write_text(self.schedule_delivery_time, 17),
            write_text(self.validity_period, 17),
            bytes((self.registered_delivery, self.replace_if_present_flag)),
            bytes((self.data_coding, self.sm_default_msg_id, len(self.short_message))),
            self.short_message,
        ]
        return b"".join(pieces) + tlv.write(self.parameters)

    @classmethod
    def parse(cls, body: bytes, command_status: int) -> Self:
        """Read the octets after the header."""
        reader = Reader(body)
        return cls(
            service_type=reader.text(),
            source_addr_ton=reader.number(),
            source_addr_npi=reader.number(),
            source_addr=reader.text(),
            dest_addresses=tuple(Destination.read(reader) for _ in range(reader.number())),
            esm_class=reader.number(),
            protocol_id=reader.number(),
            priority_flag=reader.number(),
            schedule_delivery_time=reader.text(),
            validity_period=reader.text(),
            registered_delivery=reader.number(),
            replace_if_present_flag=reader.number(),
            data_coding=reader.number(),
            sm_default_msg_id=reader.number(),
            short_message=reader.octets(reader.number()),
            parameters=reader.parameters(),
            command_status=command_status,
        )


@dataclass(slots=True)
class Unsuccess:
    """A destination that a submit_multi did not reach."""

    ton: int  # 1
    npi: int  # 1
    address: str  # 21
    error_status_code: int  # 4


@dataclass(slots=True)
class SubmitMultiResp(Response):
    """submit_multi_resp: one id for all destinations that were taken."""

    command: ClassVar[int] = RESPONSE | SubmitMulti.command
    message_id: str = ""  # 65
    unsuccess: tuple[Unsuccess, ...] = field(default=())  # after their number in 1

    def body(self) -> bytes:
        """The octets after the header; none for an error that says nothing more."""
        if self.command_status and not (self.message_id or self.unsuccess or self.parameters):
            return b""
        pieces = [write_text(self.message_id, 65), write_octet(len(self.unsuccess))]
        for failed in self.unsuccess:
            pieces += [bytes((failed.ton, failed.npi)), write_text(failed.address, 21)]
            pieces.append(failed.error_status_code.to_bytes(4, "big"))
        return b"".join(pieces) + tlv.write(self.parameters)

    @classmethod
    def parse(cls, body: bytes, command_status: int) -> Self:
        """Read what there is; what is missing is empty."""
        reader = Reader(body)
        message_id = reader.last_text()
        if reader.at >= len(body):
            return cls(message_id, command_status=command_status)
        unsuccess = tuple(_read_unsuccess(reader) for _ in range(reader.number()))
        parameters = reader.parameters()
        return cls(message_id, unsuccess, parameters=parameters, command_status=command_status)


def _read_unsuccess(reader: Reader) -> Unsuccess:
    ton, npi = reader.number(), reader.number()
    address = reader.text()
    return Unsuccess(ton, npi, address, int.from_bytes(reader.octets(4), "big"))
