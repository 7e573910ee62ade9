"""The packets of SMPP 3.4, octet by octet: SMPP 3.4 Issue 1.2 §4, names as in the specification.

Here are the session's packets and those that carry texts; the rest is in `operations`.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from service.protocols.frame import Malformed
from service.protocols.smpp import tlv
from service.protocols.smpp.operations import (
    AlertNotification,
    CancelSM,
    CancelSMResp,
    Outbind,
    QuerySM,
    QuerySMResp,
    ReplaceSM,
    ReplaceSMResp,
    SubmitMulti,
    SubmitMultiResp,
)
from service.protocols.smpp.packet import (
    NUMBER,
    PDU,
    RESPONSE,
    Reader,
    Response,
    SequenceKind,
    write_text,
)
from service.protocols.smpp.tlv import Tag

VERSION = 0x34
HEADER_OCTETS = 16
MAX_FRAME_OCTETS = 0x11000
"""A message_payload of 64 KiB and everything around it."""

PASSWORD_OCTETS = 65
"""The book says 9, its end included; some SMSCs give longer ones."""

ROK = 0x00
RINVCMDLEN = 0x02
RINVCMDID = 0x03

_HEADER = struct.Struct(">IIII")


@dataclass(slots=True)
class Bind(PDU):
    """A login, in one of three roles."""

    kinds: ClassVar[tuple[SequenceKind, ...]] = (
        16,
        PASSWORD_OCTETS,
        13,
        NUMBER,
        NUMBER,
        NUMBER,
        41,
    )
    system_id: str  # 16
    password: str  # 9
    system_type: str = ""  # 13
    interface_version: int = VERSION  # 1
    addr_ton: int = 0  # 1
    addr_npi: int = 0  # 1
    address_range: str = ""  # 41


@dataclass(slots=True)
class BindReceiver(Bind):
    """A login that receives only."""

    command: ClassVar[int] = 0x1


@dataclass(slots=True)
class BindTransmitter(Bind):
    """A login that submits only."""

    command: ClassVar[int] = 0x2


@dataclass(slots=True)
class BindTransceiver(Bind):
    """A login that submits and receives."""

    command: ClassVar[int] = 0x9


@dataclass(slots=True)
class BindResp(Response):
    """The answer to a login; with sc_interface_version where the SMSC says it."""

    kinds: ClassVar[tuple[SequenceKind, ...]] = (16,)
    system_id: str = ""  # 16


@dataclass(slots=True)
class BindReceiverResp(BindResp):
    """The answer to bind_receiver."""

    command: ClassVar[int] = RESPONSE | BindReceiver.command


@dataclass(slots=True)
class BindTransmitterResp(BindResp):
    """The answer to bind_transmitter."""

    command: ClassVar[int] = RESPONSE | BindTransmitter.command


@dataclass(slots=True)
class BindTransceiverResp(BindResp):
    """The answer to bind_transceiver."""

    command: ClassVar[int] = RESPONSE | BindTransceiver.command


@dataclass(slots=True)
class Unbind(PDU):
    """A logout, from either side."""

    command: ClassVar[int] = 0x6


@dataclass(slots=True)
class UnbindResp(Response):
    """The answer to a logout."""

    command: ClassVar[int] = RESPONSE | Unbind.command


@dataclass(slots=True)
class EnquireLink(PDU):
    """A heartbeat, from either side."""

    command: ClassVar[int] = 0x15


@dataclass(slots=True)
class EnquireLinkResp(Response):
    """The answer to a heartbeat."""

    command: ClassVar[int] = RESPONSE | EnquireLink.command


@dataclass(slots=True)
class GenericNack(Response):
    """The refusal of a packet that could not be understood."""

    command: ClassVar[int] = RESPONSE


_ADDRESS = struct.Struct(">BB")
_CLASSES = struct.Struct(">BBB")
_TAIL = struct.Struct(">BBBBB")


@dataclass(slots=True)
class ShortMessage(PDU):
    """The layout that submit_sm and deliver_sm share (§4.4, §4.6)."""

    source_addr: str  # 21
    destination_addr: str  # 21
    short_message: bytes  # after its length in 1: up to 254
    service_type: str = ""  # 6
    source_addr_ton: int = 0  # 1
    source_addr_npi: int = 0  # 1
    dest_addr_ton: int = 1  # 1
    dest_addr_npi: int = 1  # 1
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
        """The octets after the header; ValueError or struct.error if a field does not fit."""
        return b"".join(
            (
                write_text(self.service_type, 6),
                _ADDRESS.pack(self.source_addr_ton, self.source_addr_npi),
                write_text(self.source_addr, 21),
                _ADDRESS.pack(self.dest_addr_ton, self.dest_addr_npi),
                write_text(self.destination_addr, 21),
                _CLASSES.pack(self.esm_class, self.protocol_id, self.priority_flag),
                write_text(self.schedule_delivery_time, 17),
                write_text(self.validity_period, 17),
                _TAIL.pack(
                    self.registered_delivery,
                    self.replace_if_present_flag,
                    self.data_coding,
                    self.sm_default_msg_id,
                    len(self.short_message),
                ),
                self.short_message,
                tlv.write(self.parameters),
            )
        )

    @classmethod
    def parse(cls, body: bytes, command_status: int) -> Self:
        """Read the octets after the header."""
        reader = Reader(body)
        service_type = reader.text()
        source_ton, source_npi = reader.unpack(_ADDRESS)
        source = reader.text()
        dest_ton, dest_npi = reader.unpack(_ADDRESS)
        destination = reader.text()
        esm_class, protocol_id, priority = reader.unpack(_CLASSES)
        schedule, validity = reader.text(), reader.text()
        registered, replace, coding, default_id, length = reader.unpack(_TAIL)
        return cls(
            source_addr=source,
            destination_addr=destination,
            short_message=reader.octets(length),
            service_type=service_type,
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            dest_addr_ton=dest_ton,
            dest_addr_npi=dest_npi,
            esm_class=esm_class,
            protocol_id=protocol_id,
            priority_flag=priority,
            schedule_delivery_time=schedule,
            validity_period=validity,
            registered_delivery=registered,
            replace_if_present_flag=replace,
            data_coding=coding,
            sm_default_msg_id=default_id,
            parameters=reader.parameters(),
            command_status=command_status,
        )

    @property
    def content(self) -> bytes:
        """The text's octets: message_payload where there is one, else short_message."""
        payload = tlv.octets(self.parameters, Tag.MESSAGE_PAYLOAD)
        return self.short_message if payload is None else payload


@dataclass(slots=True)
class SubmitSM(ShortMessage):
    """submit_sm: one part to one handset."""

    command: ClassVar[int] = 0x4


@dataclass(slots=True)
class SubmitSMResp(Response):
    """submit_sm_resp; message_id is opaque text."""

    command: ClassVar[int] = RESPONSE | SubmitSM.command
    kinds: ClassVar[tuple[SequenceKind, ...]] = (65,)
    message_id: str = ""  # 65


@dataclass(slots=True)
class DeliverSM(ShortMessage):
    """deliver_sm: a text from a handset, or a delivery receipt."""

    command: ClassVar[int] = 0x5


@dataclass(slots=True)
class DeliverSMResp(Response):
    """deliver_sm_resp; its message_id is not used."""

    command: ClassVar[int] = RESPONSE | DeliverSM.command
    kinds: ClassVar[tuple[SequenceKind, ...]] = (65,)
    message_id: str = ""  # 65


@dataclass(slots=True)
class DataSM(PDU):
    """data_sm: a text in message_payload, in either direction; some SMSCs send receipts so."""

    command: ClassVar[int] = 0x103
    kinds: ClassVar[tuple[SequenceKind, ...]] = (
        *(6, NUMBER, NUMBER, 65, NUMBER, NUMBER, 65),
        *(NUMBER, NUMBER, NUMBER),
    )
    service_type: str  # 6
    source_addr_ton: int  # 1
    source_addr_npi: int  # 1
    source_addr: str  # 65
    dest_addr_ton: int  # 1
    dest_addr_npi: int  # 1
    destination_addr: str  # 65
    esm_class: int  # 1
    registered_delivery: int  # 1
    data_coding: int  # 1

    @property
    def content(self) -> bytes:
        """The text's octets."""
        return tlv.octets(self.parameters, Tag.MESSAGE_PAYLOAD) or b""


@dataclass(slots=True)
class DataSMResp(Response):
    """data_sm_resp."""

    command: ClassVar[int] = RESPONSE | DataSM.command
    kinds: ClassVar[tuple[SequenceKind, ...]] = (65,)
    message_id: str = ""  # 65


@dataclass(slots=True)
class Unknown(PDU):
    """A command that the specification does not have; to be refused."""

    command_id: int


_KNOWN: dict[int, type[PDU]] = {
    kind.command: kind
    for kind in (
        *(BindReceiver, BindReceiverResp, BindTransmitter, BindTransmitterResp),
        *(BindTransceiver, BindTransceiverResp, Outbind, Unbind, UnbindResp),
        *(SubmitSM, SubmitSMResp, SubmitMulti, SubmitMultiResp, DeliverSM, DeliverSMResp),
        *(DataSM, DataSMResp, QuerySM, QuerySMResp, CancelSM, CancelSMResp),
        *(ReplaceSM, ReplaceSMResp, EnquireLink, EnquireLinkResp, AlertNotification, GenericNack),
    )
}


def encode(sequence: int, pdu: PDU) -> bytes:
    """The whole packet.

    Raises:
        ValueError: a field does not fit.
    """
    try:
        body = pdu.body()
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a number does not fit its field: {error}") from error
    length = HEADER_OCTETS + len(body)
    return _HEADER.pack(length, pdu.command, pdu.command_status, sequence) + body


def decode(frame: bytes) -> tuple[int, PDU]:
    """The sequence number and the packet of one frame.

    Raises:
        Malformed: it is shorter than its fields.
    """
    try:
        _, command, status, sequence = _HEADER.unpack_from(frame)
        kind = _KNOWN.get(command)
        if kind is None:
            return sequence, Unknown(command, command_status=status)
        return sequence, kind.parse(frame[HEADER_OCTETS:], status)
    except (struct.error, IndexError) as error:
        raise Malformed(f"a packet of {len(frame)} octets is too short for its fields") from error
