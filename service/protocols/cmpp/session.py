"""A CMPP link from either side: QB-GF-028-2003 §6. Heartbeats and logouts are answered here.

`CMPPClient` is the side of an SP: login, submits in a window, delivers handed on. The version, once
the CONNECT has named it, holds for the whole link.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from service.protocols.client import Client, Request, ResultT
from service.protocols.cmpp import digest
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import (
    HEADER_OCTETS,
    MAX_FRAME_OCTETS,
    MSG_ID_OCTETS,
    ActiveTest,
    ActiveTestResp,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
    Terminate,
    TerminateResp,
    decode,
    encode,
)
from service.protocols.cmpp.status import CONNECT_OK, RESULT_BAD_LENGTH
from service.protocols.cmpp.version import V30, Version
from service.protocols.frame import BrokenFrame, Frames
from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.session import Session, Timing
from service.protocols.window import Sequence as SequenceNumbers

logger = logging.getLogger(__name__)

LOWER_VERSION = "the gateway knows only a lower version of CMPP, yet accepted the login"


class CMPPSession(Session):
    """What both sides of a CMPP link do alike, in the layouts of `version`."""

    sequence_at: ClassVar = slice(8, 12)

    def __init__(self, timing: Timing, version: Version = V30) -> None:
        super().__init__(Frames(minimum=HEADER_OCTETS, maximum=MAX_FRAME_OCTETS), timing)
        self.sequence = SequenceNumbers()
        self.version = version

    @abstractmethod
    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a packet that is neither heartbeat nor logout."""

    def received(self, frame: bytes) -> None:
        """Read one packet, and answer heartbeats and logouts at once."""
        sequence, pdu = decode(frame, self.version)
        if isinstance(pdu, ActiveTest):
            self.send(self.packet(sequence, ActiveTestResp()))
        elif isinstance(pdu, Terminate):
            self.send(self.packet(sequence, TerminateResp()))
            self.close("the other side logged out")
        elif isinstance(pdu, TerminateResp):
            self.close("logged out")
        else:
            self.handle(sequence, pdu)

    def heartbeat(self) -> bytes:
        """An ACTIVE_TEST."""
        return self.packet(self.sequence.take(), ActiveTest())

    def packet(self, sequence: int, pdu: PDU) -> bytes:
        """A packet as this link's version writes it; ValueError if a value does not fit."""
        return encode(sequence, pdu, self.version)


class CMPPClient(CMPPSession, Client[ConnectResp, SubmitResp, ResultT]):
    """The side of an SP.

    on_deliver: takes each DELIVER; who has stored it calls `acknowledge`. verified: whether the
    gateway has shown at the login that it knows the secret.
    """

    login_answers: ClassVar = frozenset({ConnectResp.command})
    submit_answer: ClassVar = SubmitResp.command
    deliveries: ClassVar = frozenset({Deliver.command})

    def __init__(
        self,
        timing: Timing,
        version: Version = V30,
        *,
        read_answer: Callable[[SubmitResp | None, int, int], ResultT],
        on_deliver: Callable[[int, Deliver], None],
    ) -> None:
        super().__init__(timing, version)
        self.verified = False
        self.read_answer = read_answer
        self._on_deliver = on_deliver

    async def login(
        self, account: str, secret: str, now: datetime, *, verify: bool = False
    ) -> ConnectResp | None:
        """Log in; None if the link went away before there was an answer.

        verify: submit nothing to a gateway that does not know the secret; otherwise that is only
        logged, since stacks differ in how they make their digest.
        """
        timestamp = digest.connect_timestamp(now)
        source = digest.authenticator_source(account.encode(), secret, timestamp)
        connect = Connect(account, source, self.version.octet, timestamp)
        answer = await self.ask_login(self.packet(self.sequence.take(), connect))
        if answer is not None and answer.status == CONNECT_OK:
            self.verified = digest.ismg_matches(answer.authenticator_ismg, source, secret)
            self._warn(answer)
            if self.verified or not verify:
                self.logged_in()
        return answer

    def request_of(self, pdu: Submit) -> Request:
        """A SUBMIT with the next sequence number; ValueError if a field is too long."""
        sequence = self.sequence.take()
        return Request(sequence, self.packet(sequence, pdu), len(pdu.dest_terminal_id))

    def acknowledge(self, sequence: int, deliver: Deliver) -> None:
        """Tell the gateway that a DELIVER is stored; nothing if the link is gone."""
        if self.is_open:
            self.send(self.packet(sequence, DeliverResp(deliver.msg_id)))

    def refuse_broken(self, broken: BrokenFrame) -> None:
        """Tell the gateway that a DELIVER cannot be read: its length inside is wrong (4)."""
        if self.is_open:
            body = broken.frame[HEADER_OCTETS:]
            msg_id = int.from_bytes(body[:MSG_ID_OCTETS], "big")
            self.send(self.packet(broken.sequence, DeliverResp(msg_id, RESULT_BAD_LENGTH)))

    def farewell(self) -> bytes:
        """A TERMINATE."""
        return self.packet(self.sequence.take(), Terminate())

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take answers and delivers; anything else is skipped, as the specification asks."""
        if isinstance(pdu, SubmitResp):
            self.answered(sequence, pdu)
        elif isinstance(pdu, Deliver):
            self._on_deliver(sequence, pdu)
        elif isinstance(pdu, ConnectResp):
            self.login_answered(pdu)

    def _warn(self, answer: ConnectResp) -> None:
        if not self.verified:
            logger.warning(GATEWAY_UNVERIFIED)
        if answer.version < self.version.octet & 0xF0:
            logger.warning(LOWER_VERSION, extra={"version": f"{answer.version:#04x}"})
