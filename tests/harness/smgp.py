"""SMGP as its tests need it: an account sheet, reports, and the carrier's packets."""

from typing import Any

from service.gateways.smgp import SMGPConfig, SMGPGateway
from service.protocols.smgp.digest import authenticator_server
from service.protocols.smgp.pdu import (
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Exit,
    ExitResp,
    Login,
    LoginResp,
    SubmitResp,
    decode,
    encode,
)
from service.protocols.smgp.report import Report
from tests.harness.scripted import Protocol
from tests.harness.session import SECRET, Peer
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("smgp", "smgp30")}
ID = bytes.fromhex("01006108091030123456")
RECORDED_PHONE = "+86133" + "12345678"
OWN_ID = bytes.fromhex("01006112312359999999")


class SMGPPeer(Peer):
    """The carrier's end of one SMGP connection."""

    def decode(self, frame: bytes) -> tuple[int, Any]:
        return decode(frame)

    def encode(self, sequence: int, pdu: Any) -> bytes:
        return encode(sequence, pdu)

    async def accept_login(self, status: int = 0, *, secret: str = SECRET) -> Login:
        """Read a login and answer it, as one who knows the secret."""
        sequence, login = await self.read()
        assert isinstance(login, Login)
        shown = authenticator_server(status, login.authenticator_client, secret)
        self.write(sequence, LoginResp(status, shown, 0x30))
        return login


def settings(port: int, **others: Any) -> SMGPConfig:
    """The account sheet of the tests."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "account": "12345678",
        "secret": SECRET,
        "access_number": "106590001234",
    }
    return SMGPConfig(**{**given, **others})


def id_of(sequence: int) -> bytes:
    """The id that the carrier gives the text of a submit."""
    return ID[:7] + bytes.fromhex(f"{sequence:06d}")


def report(
    stat: str = "DELIVRD", err: str = "000", *, msg_id: bytes = ID, **others: Any
) -> Deliver:
    """A report on a text, in a DELIVER of its own id."""
    content = Report(msg_id, stat, err, "2608091030", "2608091031").encode()
    values = {"msg_content": content, "is_report": 1, **others}
    return Deliver(OWN_ID, src_term_id="19790001234", dest_term_id="106590001234", **values)


SMGP = Protocol(
    name="smgp",
    gateway=SMGPGateway,
    settings=settings,
    peer=SMGPPeer,
    answer=lambda sequence, status: SubmitResp(id_of(sequence), status),
    ref=id_of,
    report=lambda sequence: report(msg_id=id_of(sequence)),
    acknowledgement=DeliverResp(OWN_ID, 0),
    text=Deliver(OWN_ID, "19790001234", "106590001234", "退订".encode("utf-16-be"), msg_format=8),
    text_acknowledgement=DeliverResp(OWN_ID, 0),
    at_once=ActiveTest(),
    answered_at_once=ActiveTestResp(),
    heartbeat=ActiveTest(),
    heartbeat_answer=ActiveTestResp(),
    logout=Exit(),
    logout_answer=ExitResp(),
    vectors=VECTORS,
    account="12345678",
)
