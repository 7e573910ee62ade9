"""The carrier's end of a link, whatever the protocol: the login gate, submits, receipts, faults.

`Submits` is what a link does on which an SP submits, `Reports` what one does on which receipts and
replies go out, `Server` is both at once. A protocol says how its packets look, nothing else. It
puts its session first, as in `class CMPPServer(CMPPSession, Server)`, and calls `join`.
"""

import asyncio
import logging
import ssl
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from service.errors import Misconfigured
from service.protocols.frame import Frames
from service.protocols.session import Session, Timing
from service.protocols.window import Window
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.carrier.receipts import CarrierItem, MOPart, Owed
from service.simulator.carrier.smsc import SMSC
from service.simulator.carrier.subscriber import (
    LoginRefusal,
    SubmitRefusal,
    SubmittedPart,
    Subscriber,
)
from service.words.phrase import phrase

logger = logging.getLogger(__name__)

LOGIN = "simulated login"

OK = 0
"""The status of success in all the protocols."""

LOGIN_SECONDS = 10.0
"""A connection on which nobody has logged in is closed after that."""

GARBAGE = b"\xff" * 16
"""No frame of any protocol: its length field is far above every ceiling."""


class Served(Session):
    """A link of a simulated carrier; subscriber: whose, once it is logged in."""

    protocol: ClassVar[str]
    """The name of the protocol's module."""

    smsc: SMSC
    subscriber: Subscriber | None = None

    def __init__(self, frames: Frames, timing: Timing) -> None:
        super().__init__(frames, timing)
        self._frozen = False

    def join(self, smsc: SMSC) -> None:
        """Become a link of a carrier; called once, at the end of the construction."""
        self.smsc = smsc
        smsc.sessions.add(self)

    @property
    def takes_heartbeats(self) -> bool:
        """Not before the login."""
        return self.subscriber is not None and super().takes_heartbeats

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the link, half-open if that is the fault of the hour."""
        super().connection_made(transport)
        self.faults_changed()

    def faults_changed(self) -> None:
        """Stop reading and writing, or go on."""
        half_open = self.smsc.faults.half_open
        if half_open == self._frozen or self._transport is None or self._transport.is_closing():
            return
        self._frozen = half_open
        if half_open:
            self._waiting_since = None  # a carrier that has died does not notice silence either
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def send(self, frame: bytes) -> None:
        """Write a frame, unless the link is half-open."""
        if not self._frozen:
            super().send(frame)

    def request(self, frame: bytes) -> None:
        """Write a frame that must be answered, unless the link is half-open."""
        if not self._frozen:
            super().request(frame)

    def flush(self) -> None:
        """Note in the journal what is about to be answered, then answer."""
        self.smsc.journal.flush()
        super().flush()

    def on_lost(self) -> None:
        """Belong to the carrier no longer."""
        super().on_lost()
        self.smsc.sessions.discard(self)


class Submits(Served):
    """A link on which an SP logs in and submits."""

    login_statuses: ClassVar[Mapping[LoginRefusal, int]]
    """What the protocol answers to a login that is refused."""

    refusals: ClassVar[Mapping[SubmitRefusal, int]]
    """What the protocol answers to a submit that is refused."""

    highest_status: ClassVar[int] = 0xFF
    """The highest status that the answer to a login has room for."""

    def __init__(self, frames: Frames, timing: Timing) -> None:
        super().__init__(frames, timing)
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._submits = 0
        self._opened_at = self.loop.time()

    @abstractmethod
    def submit_answer(self, sequence: int, ids: Sequence[bytes], status: int) -> bytes:
        """The answer to a submit; ids: of its recipients, none if it is refused."""

    def login_status(self, account: str, knows: Callable[[Subscriber], bool]) -> int:
        """What to answer to a login. knows: whether the SP knows the secret."""
        subscriber = self.smsc.subscribers.get((self.protocol, account))
        status = self._login_status(subscriber, knows)
        logger.info(LOGIN, extra={"protocol": self.protocol, "status": status})
        if subscriber is not None and status != OK:
            subscriber.tally.logins_refused += 1
        return status

    def account(self, name: str) -> Subscriber | None:
        """The account of a name."""
        return self.smsc.subscribers.get((self.protocol, name))

    def digest_secret(self, subscriber: Subscriber) -> str:
        """The secret that the carrier's own digest is made with: a wrong one as a fault."""
        wrong = self.smsc.faults.wrong_digest
        return f"not {subscriber.secret}" if wrong else subscriber.secret

    def enter(self, account: str) -> None:
        """The login was answered with success: submits are taken from here on, or for a moment."""
        self.subscriber = subscriber = self.smsc.subscribers[self.protocol, account]
        subscriber.tally.logins += 1
        subscriber.links.append(self)
        seconds = self.smsc.faults.close_after_login_seconds
        if seconds is not None:
            self.loop.call_later(seconds, self.close, "fault on demand")

    def faults_changed(self) -> None:
        """Count the submits until a cut anew."""
        self._submits = 0
        super().faults_changed()

    def on_tick(self, now: float) -> None:
        """Close a connection on which nobody logs in."""
        super().on_tick(now)
        waited = now - self._opened_at
        if self.subscriber is None and waited >= LOGIN_SECONDS and not self._frozen:
            self.close("nobody has logged in")

    def submitted(self, sequence: int, text: SubmittedPart) -> None:
        """Take a submit of the account that is logged in, and answer it or not."""
        assert self.subscriber is not None  # noqa: S101  # the login gate comes first
        verdict = self.smsc.submit(self.subscriber, text)
        if isinstance(verdict, SubmitRefusal):
            self.refuse(sequence, verdict)
            return
        self._submits += 1
        faults = self.smsc.faults
        if self._submits == faults.disconnect_after:
            self.smsc.journal.flush()
            self.abort("fault on demand")
        elif self.smsc.happens(faults.garbage_responses):
            self._answer(GARBAGE)
        elif self.smsc.happens(faults.swallow_responses):
            self.subscriber.tally.swallowed += 1
        else:
            self._answer(self.submit_answer(sequence, verdict, OK))

    def refuse(self, sequence: int, refusal: SubmitRefusal) -> None:
        """Answer a submit that is not accepted."""
        self._answer(self.submit_answer(sequence, (), self.refusals[refusal]))

    def on_lost(self) -> None:
        """Leave room for another connection of the account."""
        super().on_lost()
        self._delayed.clear()
        if self.subscriber and self in self.subscriber.links:
            self.subscriber.links.remove(self)

    def _login_status(
        self, subscriber: Subscriber | None, knows: Callable[[Subscriber], bool]
    ) -> int:
        fault = self.smsc.faults.login_status
        if fault is not None:
            return min(fault, self.highest_status)
        if subscriber is None:
            return self.login_statuses[LoginRefusal.UNKNOWN_ACCOUNT]
        if not knows(subscriber):
            return self.login_statuses[LoginRefusal.WRONG_SECRET]
        if len(subscriber.links) >= self.smsc.config.max_connections:
            return self.login_statuses[LoginRefusal.TOO_MANY_CONNECTIONS]
        return OK

    def _answer(self, frame: bytes) -> None:
        delay = self.smsc.faults.answer_delay_seconds
        if delay is None:
            delay = self.smsc.config.response_delay_seconds
        if delay == 0 and not self._delayed:
            self.send(frame)
            return
        due = self.loop.time() + delay
        if not self._delayed:  # else it waits for its turn, though its delay may be shorter
            self.loop.call_at(due, self._send_delayed)
        self._delayed.append((due, frame))

    def _send_delayed(self) -> None:
        now = self.loop.time()
        while self._delayed and self._delayed[0][0] <= now:
            self.send(self._delayed.popleft()[1])
        if self._delayed:
            self.loop.call_at(self._delayed[0][0], self._send_delayed)


class Reports(Served):
    """A link on which receipts and replies go out, each again until it is acknowledged."""

    def __init__(self, frames: Frames, timing: Timing) -> None:
        super().__init__(frames, timing)
        self._reported = Window[CarrierItem]()

    @abstractmethod
    def next_sequence(self) -> int:
        """A sequence number for a request of ours."""

    @abstractmethod
    def report(self, sequence: int, owed: Owed) -> bytes:
        """A receipt as the protocol writes it."""

    @abstractmethod
    def deliver(self, sequence: int, text: MOPart) -> bytes:
        """A part of a text from a handset as the protocol writes it."""

    @property
    def room(self) -> int:
        """How many more may be sent before one is acknowledged."""
        if not self.is_open or self._frozen:
            return 0
        return self.smsc.config.deliver_window - len(self._reported)

    def offer(self, subscriber: Subscriber) -> None:
        """The login is done: receipts and replies of the account may go out here."""
        self.subscriber = subscriber
        subscriber.receipts.links.append(self)
        subscriber.receipts.pump()

    def convey(self, item: CarrierItem) -> None:
        """Send a receipt or a reply."""
        sequence = self.next_sequence()
        if isinstance(item, Owed):
            frame = self.report(sequence, item)
        else:
            frame = self.deliver(sequence, item)
        if self.subscriber:
            self.subscriber.tally.sent(item)
        self._reported.add(sequence, item, self.deadline)
        self.request(frame)

    def acknowledged(self, sequence: int, *, taken: bool) -> None:
        """The SP has answered a receipt or a reply; taken: whether it took it."""
        item = self._reported.take(sequence)
        if item is None or self.subscriber is None:
            return
        receipts = self.subscriber.receipts
        if taken:
            self.smsc.acknowledged(self.subscriber, item)
        else:
            receipts.schedule(item, self.smsc.config.response_timeout_seconds)
        receipts.pump()

    def faults_changed(self) -> None:
        """Go on with what waited while the link was half-open."""
        super().faults_changed()
        if self.subscriber and not self._frozen:
            self.subscriber.receipts.pump()

    def on_tick(self, now: float) -> None:
        """Send again what was not acknowledged in time."""
        super().on_tick(now)
        if self._frozen:
            return
        late = self._reported.overdue(now)
        if late and self.subscriber:
            self.subscriber.receipts.again(late)

    def on_lost(self) -> None:
        """Give what was not acknowledged to another connection."""
        super().on_lost()
        if self.subscriber:
            receipts = self.subscriber.receipts
            if self in receipts.links:
                receipts.links.remove(self)
            receipts.again(self._reported.clear())


class Server(Submits, Reports):
    """A link on which submits come in, and receipts and replies go out."""


def timing(config: SimulatorConfig) -> Timing:
    """The timers of the carrier's links."""
    return Timing(config.heartbeat_seconds, config.response_timeout_seconds)


@asynccontextmanager
async def listening(
    smsc: SMSC, protocol: str, link: Callable[[], Served], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve a protocol on its configured port while the block runs; gives the port.

    Raises:
        Misconfigured: the address or port cannot be had.
    """
    host, port = smsc.config.host, smsc.config.port_of(protocol)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(link, host, port, ssl=tls)
    except OSError as error:
        raise Misconfigured(
            phrase(
                "the simulator cannot listen for {protocol} on {host}:{port}: {strerror};"
                " give another address or port, or 0 for any free one",
                protocol=protocol,
                host=host,
                port=port,
                strerror=error.strerror,
            )
        ) from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
