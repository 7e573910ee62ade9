"""SMPP as its tests need it: an account sheet, receipts, and the SMSC's packets."""

import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any

from service.gateways.smpp import SMPPConfig, SMPPGateway
from service.protocols.smpp.packet import RESPONSE
from service.protocols.smpp.pdu import (
    Bind,
    BindTransceiverResp,
    DeliverSM,
    DeliverSMResp,
    EnquireLink,
    EnquireLinkResp,
    SubmitSMResp,
    Unbind,
    UnbindResp,
    decode,
    encode,
)
from service.protocols.smpp.tlv import TLV, Tag
from tests.harness import session
from tests.harness.scripted import Protocol
from tests.harness.session import Carrier, carrier_of
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("smpp", "smpp34")}
VERSION_TLV = (TLV(Tag.SC_INTERFACE_VERSION, 0x34),)
ADDRESS = "8619790001234"
PASSWORD = "pw123456"


class Peer(session.Peer):
    """The SMSC's end of one connection, or an ESME's of one to our simulator."""

    def decode(self, frame: bytes) -> tuple[int, Any]:
        return decode(frame)

    def encode(self, sequence: int, pdu: Any) -> bytes:
        return encode(sequence, pdu)

    async def accept_login(self, status: int = 0, **_: str) -> Bind:
        """Read a login and answer it, whatever its role; an SMSC proves nothing."""
        sequence, bind = await self.read()
        assert isinstance(bind, Bind)
        name = "" if status else "SMSC01"
        answer = BindTransceiverResp(
            name, parameters=() if status else VERSION_TLV, command_status=status
        )
        frame = encode(sequence, answer)
        self.writer.write(frame[:4] + (RESPONSE | bind.command).to_bytes(4, "big") + frame[8:])
        return bind


def smsc(tls: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[Carrier[Peer]]:
    """A scripted SMSC for as long as the block runs, under TLS if there is a context for it."""
    return carrier_of(Peer, tls)


def settings(port: int, **others: Any) -> SMPPConfig:
    """The account sheet of the tests."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "esme01",
        "password": PASSWORD,
        "sender": "NOTICE",
    }
    return SMPPConfig(**{**given, **others})


def receipt_text(stat: str = "DELIVRD", message_id: str = "5f3c9a10", err: str = "000") -> bytes:
    """What a receipt says, in the usual form."""
    return (
        f"id:{message_id} sub:001 dlvrd:001 submit date:2608091030 done date:2608091031 "
        f"stat:{stat} err:{err} text:x"
    ).encode()


def report(stat: str = "DELIVRD", **others: Any) -> DeliverSM:
    """A receipt for a text."""
    values = {"short_message": receipt_text(stat), "esm_class": 4, **others}
    return DeliverSM(ADDRESS, "NOTICE", source_addr_ton=1, source_addr_npi=1, **values)


def id_of(sequence: int) -> str:
    """The id that the SMSC gives the text of a submit."""
    return f"5f3c{sequence:04x}"


def _answer(sequence: int, status: int) -> SubmitSMResp:
    return SubmitSMResp("" if status else id_of(sequence), command_status=status)


SMPP = Protocol(
    name="smpp",
    gateway=SMPPGateway,
    settings=settings,
    peer=Peer,
    answer=_answer,
    ref=lambda sequence: id_of(sequence).encode(),
    report=lambda sequence: report(short_message=receipt_text(message_id=id_of(sequence))),
    acknowledgement=DeliverSMResp(),
    text=DeliverSM(
        ADDRESS, "106900001234", "退订".encode("utf-16-be"), source_addr_ton=1, data_coding=8
    ),
    text_acknowledgement=DeliverSMResp(),
    at_once=EnquireLink(),
    answered_at_once=EnquireLinkResp(),
    heartbeat=EnquireLink(),
    heartbeat_answer=EnquireLinkResp(),
    logout=Unbind(),
    logout_answer=UnbindResp(),
    vectors=VECTORS,
    account="esme01",
    secrets=(PASSWORD,),
)
