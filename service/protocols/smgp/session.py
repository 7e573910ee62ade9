"""An SMGP link from either side. Heartbeats and logouts are answered here.

`SMGPClient` is the side of an SP: login, submits in a window, delivers handed on.
"""

import hmac
import logging
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from service.protocols.client import Client, Request, ResultT
from service.protocols.frame import BrokenFrame, Frames
from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.session import Session, Timing
from service.protocols.smgp import digest
from service.protocols.smgp.packet import PDU
from service.protocols.smgp.pdu import (
    HEADER_OCTETS,
    MAX_FRAME_OCTETS,
    MSG_ID_OCTETS,
    VERSION,
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Exit,
    ExitResp,
    Login,
    LoginResp,
    Submit,
    SubmitResp,
    decode,
    encode,
)
from service.protocols.smgp.status import STATUS_BAD_LENGTH, STATUS_OK
from service.protocols.smgp.times import login_timestamp
from service.protocols.window import Sequence as SequenceNumbers

logger = logging.getLogger(__name__)


class SMGPSession(Session):
    """What both sides of an SMGP link do alike."""

    sequence_at: ClassVar = slice(8, 12)

    def __init__(self, timing: Timing) -> None:
        super().__init__(Frames(minimum=HEADER_OCTETS, maximum=MAX_FRAME_OCTETS), timing)
        self.sequence = SequenceNumbers()

    @abstractmethod
    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a packet that is neither heartbeat nor logout."""

    def received(self, frame: bytes) -> None:
        """Read one packet, and answer heartbeats and logouts at once."""
        sequence, pdu = decode(frame)
        if isinstance(pdu, ActiveTest):
            self.send(encode(sequence, ActiveTestResp()))
        elif isinstance(pdu, Exit):
            self.send(encode(sequence, ExitResp()))
            self.close("the other side logged out")
        elif isinstance(pdu, ExitResp):
            self.close("logged out")
        else:
            self.handle(sequence, pdu)

    def heartbeat(self) -> bytes:
        """An Active_Test."""
        return encode(self.sequence.take(), ActiveTest())


class SMGPClient(SMGPSession, Client[LoginResp, SubmitResp, ResultT]):
    """The side of an SP. on_deliver: takes each Deliver; who has stored it calls `acknowledge`.

    verified: whether the gateway has shown at the login that it knows the secret.
    partner: another link without which this one is of no use; it is cut when this one is gone.
    """

    login_answers: ClassVar = frozenset({LoginResp.command})
    submit_answer: ClassVar = SubmitResp.command
    deliveries: ClassVar = frozenset({Deliver.command})

    def __init__(
        self,
        timing: Timing,
        *,
        read_answer: Callable[[SubmitResp | None, int, int], ResultT],
        on_deliver: Callable[[int, Deliver], None],
    ) -> None:
        super().__init__(timing)
        self.verified = False
        self.read_answer = read_answer
        self.partner: Session | None = None
        self._on_deliver = on_deliver

    async def login(
        self, account: str, secret: str, now: datetime, *, mode: int, verify: bool = False
    ) -> LoginResp | None:
        """Log in; None if the link went away before there was an answer.

        verify: submit nothing to a gateway that does not know the secret; otherwise that is only
        logged, since stacks differ in how they make their digest.
        """
        timestamp = login_timestamp(now)
        client = digest.authenticator_client(account.encode(), secret, timestamp)
        login = Login(account, client, mode, timestamp, VERSION)
        answer = await self.ask_login(encode(self.sequence.take(), login))
        if answer is not None and answer.status == STATUS_OK:
            expected = digest.authenticator_server(answer.status, client, secret)
            self.verified = hmac.compare_digest(answer.authenticator_server, expected)
            if not self.verified:
                logger.warning(GATEWAY_UNVERIFIED)
            if self.verified or not verify:
                self.logged_in()
        return answer

    def request_of(self, pdu: Submit) -> Request:
        """A Submit with the next sequence number; ValueError if a field is too long."""
        sequence = self.sequence.take()
        return Request(sequence, encode(sequence, pdu), len(pdu.dest_term_id))

    def acknowledge(self, sequence: int, deliver: Deliver) -> None:
        """Tell the gateway that a Deliver is stored; nothing if the link is gone."""
        if self.is_open:
            self.send(encode(sequence, DeliverResp(deliver.msg_id)))

    def refuse_broken(self, broken: BrokenFrame) -> None:
        """Tell the gateway that a Deliver cannot be read: bad MsgLength (36)."""
        if self.is_open:
            body = broken.frame[HEADER_OCTETS:]
            msg_id = body[:MSG_ID_OCTETS].ljust(MSG_ID_OCTETS, b"\x00")
            self.send(encode(broken.sequence, DeliverResp(msg_id, STATUS_BAD_LENGTH)))

    def farewell(self) -> bytes:
        """An Exit."""
        return encode(self.sequence.take(), Exit())

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take answers and delivers; anything else is skipped, as the specification asks."""
        if isinstance(pdu, SubmitResp):
            self.answered(sequence, pdu)
        elif isinstance(pdu, Deliver):
            self._on_deliver(sequence, pdu)
        elif isinstance(pdu, LoginResp):
            self.login_answered(pdu)

    def on_lost(self) -> None:
        """Give up everything in flight, and the partner with it."""
        super().on_lost()
        if self.partner is not None:
            self.partner.abort(f"the other link of the pair is gone: {self.reason}")
