"""A gateway over one long TCP link: what CMPP, SGIP, SMGP and SMPP share.

The carrier cannot tell a lost answer from a lost submit, nor can we: whatever was written and not
answered is `unanswered`, never sent again here. What is received is acknowledged once it is stored.
"""

import asyncio
import logging
import ssl
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import Field

from service.channels.contract.gateway import (
    Delivery,
    DeliveryHandler,
    Gateway,
    Inbound,
    LoginRefused,
    RawDelivery,
    Receipt,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
    UnreadReason,
)
from service.channels.contract.outcome import Outcome
from service.logs import seldom
from service.protocols.carrier_codes import LoginMeaning
from service.protocols.client import Client, Request
from service.protocols.frame import BrokenFrame
from service.protocols.session import connect
from service.words.phrase import phrase

logger = logging.getLogger(__name__)

NOT_STORED = "a deliver could not be stored and is not acknowledged"
UNREAD = "a deliver that cannot be read is kept as it came"

OPEN_SECONDS = 15.0
"""How long connecting and logging in may take together."""


ResponseTimeout = Annotated[
    float, Field(gt=0, description=phrase("Longest wait for an answer (timer T)"))
]
Heartbeat = Annotated[
    float, Field(gt=0, description=phrase("Silence after which a heartbeat is sent (timer C)"))
]
Silence = Annotated[
    float,
    Field(
        gt=0,
        description=phrase(
            "Link given up after so long without a sign of life, not even a heartbeat's answer; it"
            " counts while something waits for its answer"
        ),
    ),
]
"""The timers of a link, as settings of every kind that has one."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the carrier's gateway is, and how long it may take to answer.

    tls: gives the context for TLS, where there is TLS; called in a thread, for it may read files.
    """

    host: str
    port: int
    response_timeout_seconds: float
    tls: Callable[[], ssl.SSLContext] | None = None
    server_name: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """What the carrier said to a login. refusal: what its status means, None when accepted."""

    status: int
    refusal: LoginMeaning | None


def delivery(item: Receipt | Inbound | UnreadReason, frame: bytes, header: int) -> Delivery:
    """What is stored of a frame: what it says or, if that cannot be read, its octets."""
    if isinstance(item, UnreadReason):
        seldom(logger, logging.WARNING, UNREAD, why=item.value, octets=len(frame))
        return RawDelivery(frame, header, item)
    return item


ClientT = TypeVar("ClientT", bound=Client[Any, Any, SubmitResult])


class StreamGateway(Gateway, Generic[ClientT]):
    """One connection of an account; a protocol's gateway says how to log in and what to write."""

    protocol: ClassVar[str]
    """The protocol's name in sentences."""

    header_octets: ClassVar[int]
    """How many octets the header of its frames has."""

    def __init__(self, link: ClientT, address: Address, deliver: DeliveryHandler) -> None:
        self.link = link
        link.on_broken = self.keep
        self.lost = link.lost
        self._address = address
        self._deliver = deliver
        self._storing: set[asyncio.Future[None]] = set()

    @property
    def ended(self) -> str:
        """Why the link is gone, in plain words; "" while it is there."""
        return self.link.reason

    @property
    def heard_seconds(self) -> float:
        """From the login to the last that was received."""
        return self.link.heard_seconds

    @abstractmethod
    async def log_in(self) -> LoginAnswer | None:
        """Log in; None if the link went away before there was an answer."""

    @abstractmethod
    def request(self, submission: Submission) -> Request | SubmitResult:
        """The submit as it is written, or the result where it cannot be.

        Raises:
            ValueError: it cannot be encoded.
        """

    async def open(self) -> None:
        """Connect and log in.

        Raises:
            GatewayError: nobody answers, the login is refused, or it is another protocol.
        """
        address = self._address
        seconds = min(OPEN_SECONDS, address.response_timeout_seconds)
        try:
            async with asyncio.timeout(seconds):
                await connect(
                    self.link,
                    address.host,
                    address.port,
                    tls=await asyncio.to_thread(address.tls) if address.tls else None,
                    server_name=address.server_name,
                )
                answer = await self.log_in()
        except OSError as error:  # a TimeoutError is one
            self.link.abort("the login got no answer")
            raise Unreachable(
                phrase(
                    "no login at {address} within {seconds:g} s; check address, port and firewall",
                    address=address,
                    seconds=seconds,
                )
            ) from error
        except asyncio.CancelledError:
            self.link.abort("opening was cancelled")
            raise
        self._check_login(answer)

    def submit(self, batch: Sequence[Submission]) -> list["asyncio.Future[SubmitResult]"]:
        """Write the submissions in one write and return a future for each answer."""
        if not self.link.ready:
            return [self._settled(SubmitResult(Outcome.NOT_SENT)) for _ in batch]
        items = [self.request(submission) for submission in batch]
        answers = iter(self.link.transmit(item for item in items if isinstance(item, Request)))
        return [
            next(answers) if isinstance(item, Request) else self._settled(item) for item in items
        ]

    async def close(self, *, drain_seconds: float) -> None:
        """Wait for open answers and stores, log out, and close."""
        open_ends: set[asyncio.Future[Any]] = {*self.link.unanswered, *self._storing}
        if open_ends:
            await asyncio.wait(open_ends, timeout=drain_seconds)
        await self.link.logout()

    def take(self, item: Receipt | Inbound | UnreadReason, acknowledge: Callable[[], None]) -> None:
        """Take what the carrier sent; once it is stored, it is acknowledged.

        What says nothing that can be read is stored as it came. What cannot be stored is not
        acknowledged: the carrier sends it again.
        """
        self._store(delivery(item, self.link.frame, self.header_octets), acknowledge)

    def keep(self, broken: BrokenFrame) -> None:
        """Keep the octets of a delivery that cannot be read; once they are stored, it is refused
        with the protocol's own error.
        """
        raw = RawDelivery(broken.frame, self.header_octets, UnreadReason.BROKEN_LENGTH)
        self._store(raw, partial(self.link.refuse_broken, broken))

    def _store(self, item: Delivery, answer: Callable[[], None]) -> None:
        self.link.storing()
        stored = self._deliver(item)
        self._storing.add(stored)
        stored.add_done_callback(partial(self._stored, answer))

    def _stored(self, answer: Callable[[], None], stored: "asyncio.Future[None]") -> None:
        self._storing.discard(stored)
        if stored.cancelled() or stored.exception() is not None:
            seldom(logger, logging.ERROR, NOT_STORED)
        else:
            answer()
        self.link.stored()

    def _check_login(self, answer: LoginAnswer | None) -> None:
        if answer is not None:
            if answer.refusal is None:
                return
            self.link.close("the login was refused")
            raise LoginRefused(
                phrase(
                    "{address} refused the login: {refusal_text} (status {status})",
                    address=self._address,
                    refusal_text=answer.refusal.text,
                    status=answer.status,
                ),
                retryable=answer.refusal.retryable,
                code=str(answer.status),
            )
        if self.link.fault is not None:
            raise Unparseable(
                phrase(
                    "{address} does not speak {protocol}: {fault}",
                    address=self._address,
                    protocol=self.protocol,
                    fault=self.link.fault.message,
                )
            )
        raise Unreachable(
            phrase(
                "{address} closed the connection before answering the login", address=self._address
            )
        )

    def _settled(self, result: SubmitResult) -> "asyncio.Future[SubmitResult]":
        future: asyncio.Future[SubmitResult] = self.link.loop.create_future()
        future.set_result(result)
        return future
