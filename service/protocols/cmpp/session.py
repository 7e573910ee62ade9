"""A CMPP link from either side: QB-GF-028-2003 §6. Heartbeats and logouts are answered here.

`CMPPClient` is the side of an SP: login, submits in a window, delivers handed on.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Generic, TypeVar

from service.protocols.cmpp import digest
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import (
    HEADER_OCTETS,
    MAX_FRAME_OCTETS,
    VERSION,
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
from service.protocols.cmpp.status import CONNECT_OK
from service.protocols.frame import Frames
from service.protocols.session import Session, Timing
from service.protocols.window import Sequence as SequenceNumbers
from service.protocols.window import Window

logger = logging.getLogger(__name__)

GATEWAY_UNVERIFIED = "the gateway's login digest does not match the secret"
LATE_ANSWER = "answer to a submit that is no longer waited for"

LOGOUT_SECONDS = 3.0
"""How long the answer to a logout is waited for."""

R = TypeVar("R")


class CMPPSession(Session):
    """What both sides of a CMPP link do alike."""

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
        elif isinstance(pdu, Terminate):
            self.send(encode(sequence, TerminateResp()))
            self.close("the other side logged out")
        elif isinstance(pdu, TerminateResp):
            self.close("logged out")
        else:
            self.handle(sequence, pdu)

    def heartbeat(self) -> bytes:
        """An ACTIVE_TEST."""
        return encode(self.sequence.take(), ActiveTest())


class CMPPClient(CMPPSession, Generic[R]):
    """The side of an SP.

    read_answer: turns the answer to a submit, or None for none, into what `submit` returns.
    on_deliver: takes each DELIVER; whoever has stored it calls `acknowledge`.
    """

    def __init__(
        self,
        timing: Timing,
        *,
        read_answer: Callable[[SubmitResp | None], R],
        on_deliver: Callable[[int, Deliver], None],
    ) -> None:
        super().__init__(timing)
        self._read_answer = read_answer
        self._on_deliver = on_deliver
        self._login: asyncio.Future[ConnectResp | None] = self.loop.create_future()
        self._window = Window[asyncio.Future[R]]()
        self._logged_in = False

    async def login(self, account: str, secret: str, now: datetime) -> ConnectResp | None:
        """Log in; None if the link went away before there was an answer."""
        timestamp = digest.connect_timestamp(now)
        source = digest.authenticator_source(account.encode(), secret, timestamp)
        self.request(encode(self.sequence.take(), Connect(account, source, VERSION, timestamp)))
        answer = await self._login
        if answer is not None and answer.status == CONNECT_OK:
            self._check_gateway(answer, source, secret)
            self._logged_in = True
        return answer

    @property
    def ready(self) -> bool:
        """Whether a submit can be written."""
        return self._logged_in and self.is_open

    @property
    def unanswered(self) -> list["asyncio.Future[R]"]:
        """The submits in flight."""
        return self._window.items()

    def submit(self, pdus: Sequence[Submit]) -> list["asyncio.Future[R]"]:
        """Write the submits in one write; ValueError, before any is written, if one is too long."""
        numbers = [self.sequence.take() for _ in pdus]
        frames = [encode(number, pdu) for number, pdu in zip(numbers, pdus, strict=True)]
        deadline = self.deadline
        futures = []
        for number, frame in zip(numbers, frames, strict=True):
            future: asyncio.Future[R] = self.loop.create_future()
            self._window.add(number, future, deadline)
            self.request(frame)
            futures.append(future)
        self.flush()
        return futures

    def acknowledge(self, sequence: int, deliver: Deliver) -> None:
        """Tell the gateway that a DELIVER is stored; nothing if the link is gone."""
        if self.is_open:
            self.send(encode(sequence, DeliverResp(deliver.msg_id)))

    async def logout(self) -> None:
        """Log out and close; no submit is written from here on."""
        self._logged_in = False
        if self.is_open:
            self.request(encode(self.sequence.take(), Terminate()))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOGOUT_SECONDS):
                    await self.lost.wait()
        await self.cut("logged out without an answer")

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take answers and delivers; anything else is skipped, as the specification asks."""
        if isinstance(pdu, SubmitResp):
            self._answered(sequence, pdu)
        elif isinstance(pdu, Deliver):
            self._on_deliver(sequence, pdu)
        elif isinstance(pdu, ConnectResp) and not self._login.done():
            self._login.set_result(pdu)

    def on_tick(self, now: float) -> None:
        """Give up the submits that have waited too long."""
        self._settle(self._window.overdue(now))

    def on_lost(self) -> None:
        """Give up everything in flight: it was written, so nobody knows."""
        if not self._login.done():
            self._login.set_result(None)
        self._settle(self._window.clear())

    def _answered(self, sequence: int, answer: SubmitResp) -> None:
        future = self._window.take(sequence)
        if future is None:
            logger.warning(LATE_ANSWER, extra={"result": answer.result})
        elif not future.done():
            future.set_result(self._read_answer(answer))

    def _settle(self, futures: list["asyncio.Future[R]"]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(self._read_answer(None))

    def _check_gateway(self, answer: ConnectResp, source: bytes, secret: str) -> None:
        if not digest.ismg_matches(answer.authenticator_ismg, answer.status, source, secret):
            logger.warning(GATEWAY_UNVERIFIED)
