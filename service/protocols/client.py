"""The side of an SP, whatever the protocol: login, submits in a window, logout.

A protocol's client says how frames look; kept here is what must not differ: every submit gets its
answer, or is given up: after the response timeout, when the link is gone, or when its answer cannot
be read; and no later answer changes that.
"""

import asyncio
import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ClassVar, Generic, NamedTuple, TypeVar

from service.logs import seldom
from service.protocols.frame import BrokenFrame, Frames, Malformed
from service.protocols.session import Session, Timing
from service.protocols.window import Window

logger = logging.getLogger(__name__)

LATE_ANSWER = "answer to a submit that is no longer waited for"

LOGOUT_SECONDS = 3.0
"""How long the answer to a logout is waited for."""

LoginT = TypeVar("LoginT")
AnswerT = TypeVar("AnswerT")
ResultT = TypeVar("ResultT")


class Request(NamedTuple):
    """A submit as it is written. recipients: how many it is for."""

    sequence: int
    frame: bytes
    recipients: int


class Client(Session, Generic[LoginT, AnswerT, ResultT]):
    """The SP's end of a link. Login, Answer: the PDUs that answer a login and a submit.

    read_answer: turns the answer to a submit, or None for none, with the submit's sequence number
        and how many recipients it has, into what `transmit` promised; set before anything is sent.
    on_broken: takes each delivery whose body cannot be read; who has stored its octets calls
        `refuse_broken`. Set before anything is sent.
    """

    login_answers: ClassVar[frozenset[int]]
    """The commands that answer a login."""

    submit_answer: ClassVar[int]
    """The command that answers a submit."""

    deliveries: ClassVar[frozenset[int]]
    """The commands by which the other side hands on texts and receipts."""

    on_broken: Callable[[BrokenFrame], None]
    read_answer: Callable[[AnswerT | None, int, int], ResultT]

    def __init__(self, frames: Frames, timing: Timing) -> None:
        super().__init__(frames, timing)
        self._login: asyncio.Future[LoginT | None] = self.loop.create_future()
        self._window = Window[tuple[int, int, asyncio.Future[ResultT]]]()
        self._logged_in = False
        self._logged_in_at = math.inf

    @abstractmethod
    def farewell(self) -> bytes:
        """A logout request to send now."""

    @abstractmethod
    def refuse_broken(self, broken: BrokenFrame) -> None:
        """Tell the other side that a delivery cannot be read; nothing if the link is gone."""

    @property
    def ready(self) -> bool:
        """Whether a submit can be written."""
        return self._logged_in and self.is_open

    @property
    def takes_heartbeats(self) -> bool:
        """Not before the login, nor after the logout."""
        return self._logged_in and super().takes_heartbeats

    @property
    def heard_seconds(self) -> float:
        """From the login to the last octets that were received."""
        return max(0.0, self._received_at - self._logged_in_at)

    @property
    def unanswered(self) -> list["asyncio.Future[ResultT]"]:
        """The submits in flight."""
        return [future for _, _, future in self._window.items()]

    async def ask_login(self, frame: bytes) -> LoginT | None:
        """Send a login and wait for its answer; None if the link went away before there was one."""
        self.request(frame)
        return await self._login

    def login_answered(self, answer: LoginT) -> None:
        """The answer to the login has come; only the first counts."""
        if not self._login.done():
            self._login.set_result(answer)

    def logged_in(self) -> None:
        """The login was accepted: submits may be written from here on."""
        self._logged_in = True
        self._logged_in_at = self.loop.time()

    def transmit(self, requests: Iterable[Request]) -> list["asyncio.Future[ResultT]"]:
        """Write submits in one write."""
        deadline = self.deadline
        futures = []
        for sequence, frame, recipients in requests:
            future: asyncio.Future[ResultT] = self.loop.create_future()
            self._window.add(sequence, (sequence, recipients, future), deadline)
            self.request(frame)
            futures.append(future)
        self.flush()
        return futures

    def answered(self, sequence: int, answer: AnswerT) -> None:
        """The answer to a submit has come."""
        entry = self._window.take(sequence)
        if entry is None:
            seldom(logger, logging.WARNING, LATE_ANSWER, sequence=sequence, answer=repr(answer))
            return
        _, recipients, future = entry
        if not future.done():
            future.set_result(self.read_answer(answer, sequence, recipients))

    def broken(self, broken: BrokenFrame) -> None:
        """Hand on a delivery, give up the submit of an answer; skip anything else.

        Only an answer to the login that cannot be read ends the link: it is no login then.
        """
        if broken.command in self.deliveries:
            self.on_broken(broken)
        elif broken.command == self.submit_answer:
            entry = self._window.take(broken.sequence)
            self._give_up([] if entry is None else [entry])
        elif broken.command in self.login_answers and not self._login.done():
            self.fail(Malformed(broken.fault))

    async def logout(self) -> None:
        """Log out and close; no submit is written from here on."""
        self._logged_in = False
        if self.is_open:
            self.request(self.farewell())
            with suppress(TimeoutError):
                async with asyncio.timeout(LOGOUT_SECONDS):
                    await self.lost.wait()
        await self.cut("logged out without an answer")

    def on_tick(self, now: float) -> None:
        """Give up the submits that have waited too long."""
        self._give_up(self._window.overdue(now))

    def on_unread(self) -> None:
        """Wait for the answers as long again: they may be there unread."""
        self._window.postpone(self.deadline)

    def on_lost(self) -> None:
        """Give up everything in flight: it was written, so nobody knows."""
        if not self._login.done():
            self._login.set_result(None)
        self._give_up(self._window.clear())

    def _give_up(self, entries: list[tuple[int, int, "asyncio.Future[ResultT]"]]) -> None:
        for sequence, recipients, future in entries:
            if not future.done():
                future.set_result(self.read_answer(None, sequence, recipients))
