"""CMPP as its tests need it: an account sheet, reports, and the carrier's packets."""

from dataclasses import replace
from functools import partial
from typing import Any

from service.gateways.cmpp import CMPPConfig, CMPPGateway
from service.protocols.cmpp.digest import authenticator_ismg
from service.protocols.cmpp.pdu import (
    ActiveTest,
    ActiveTestResp,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    SubmitResp,
    Terminate,
    TerminateResp,
    decode,
    encode,
)
from service.protocols.cmpp.report import Report
from service.protocols.cmpp.version import V20
from tests.harness.scripted import Protocol
from tests.harness.session import SECRET, Peer
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("cmpp", "cmpp20") + load("cmpp", "cmpp30")}
MSG_ID = 0x84A9EB4134FD012C


def settings(port: int, **others: Any) -> CMPPConfig:
    """The account sheet of the tests."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "account": "901234",
        "secret": SECRET,
        "access_number": "106900001234",
    }
    return CMPPConfig(**{**given, **others})


def report(stat: str = "DELIVRD", *, msg_id: int = MSG_ID, **others: Any) -> Deliver:
    """A report on a text, in a DELIVER of its own id."""
    block = Report(msg_id, stat, "2608091030", "2608091031", "19790001234")
    values = {"msg_content": block.encode(), "registered_delivery": 1, **others}
    return Deliver(msg_id=77, dest_id="106900001234", src_terminal_id="19790001234", **values)


CMPP = Protocol(
    name="cmpp",
    gateway=CMPPGateway,
    settings=settings,
    peer=Peer,
    answer=SubmitResp,
    ref=lambda sequence: sequence.to_bytes(8, "big"),
    report=lambda sequence: report(msg_id=sequence),
    acknowledgement=DeliverResp(77, 0),
    text=Deliver(78, "106900001234", "19790001234", "退订".encode("utf-16-be"), msg_fmt=8),
    text_acknowledgement=DeliverResp(78, 0),
    at_once=ActiveTest(),
    answered_at_once=ActiveTestResp(),
    heartbeat=ActiveTest(),
    heartbeat_answer=ActiveTestResp(),
    logout=Terminate(),
    logout_answer=TerminateResp(),
    vectors=VECTORS,
    account="901234",
)


class Peer20(Peer):
    """The carrier's end of a connection of version 2.0."""

    def decode(self, frame: bytes) -> tuple[int, Any]:
        return decode(frame, V20)

    def encode(self, sequence: int, pdu: Any) -> bytes:
        return encode(sequence, pdu, V20)

    async def accept_login(self, status: int = 0, *, secret: str = SECRET) -> Connect:
        """Read a login and answer it, as one who knows the secret."""
        sequence, connect = await self.read()
        assert isinstance(connect, Connect)
        digest = authenticator_ismg(status, connect.authenticator_source, secret, V20)
        self.write(sequence, ConnectResp(status, digest, V20.octet))
        return connect


CMPP20 = replace(CMPP, name="cmpp-2.0", settings=partial(settings, version="2.0"), peer=Peer20)
