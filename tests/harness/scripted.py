"""A gateway of any stream protocol that is logged in at a scripted carrier, over real TCP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from service.channels.contract.gateway import Delivery, Inbound, Receipt, Submission, SubmitResult
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.protocols.session import Session
from service.protocols.stream import StreamGateway
from tests.harness.session import SECRET, Peer, carrier_of, soon

CLOCK = Clock(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC), anchor=0.0, speed=0.0)
PHONE = "+8619790001234"
DONE_AT = datetime(2026, 8, 9, 2, 31, tzinfo=UTC)
"""When a text had reached its handset, where a report says that."""


class Store:
    """Where a gateway's deliveries go; each stays unstored until the test says so."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Delivery] = asyncio.Queue()
        self.futures: list[asyncio.Future[None]] = []

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.items.put_nowait(item)
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    async def next(self) -> Delivery:
        item: Delivery = await soon(self.items.get())
        return item

    async def receipt(self) -> Receipt:
        item = await self.next()
        assert isinstance(item, Receipt)
        return item

    async def inbound(self) -> Inbound:
        item = await self.next()
        assert isinstance(item, Inbound)
        return item

    def store_all(self) -> None:
        """Everything that was taken is stored."""
        for future in self.futures:
            if not future.done():
                future.set_result(None)


@dataclass(frozen=True)
class Protocol:
    """What a test must know of one protocol; what a gateway must do is for the test to say.

    settings, account: the account sheet, for a port, and its name there. peer: the carrier's end.
    answer: to the submit of a sequence, with a status; ref: how its text is known then; report:
    says that it was delivered, and is acknowledged with `acknowledgement`. text: from a handset,
    with its own acknowledgement. at_once: asks for `answered_at_once`, whatever waits. heartbeat:
    with its answer, None where there is none. logout: with its answer. number: the carrier's own
    sequence numbers. code, done_at: of a receipt.
    """

    name: str
    gateway: type[StreamGateway[Any]]
    settings: Callable[..., Any]
    peer: type[Peer]
    answer: Callable[[int, int], Any]
    ref: Callable[[int], bytes]
    report: Callable[[int], Any]
    acknowledgement: Any
    text: Any
    text_acknowledgement: Any
    at_once: Any
    answered_at_once: Any
    heartbeat: Any
    heartbeat_answer: Any
    logout: Any
    logout_answer: Any
    vectors: dict[str, Any] = field(repr=False)
    account: str
    secrets: tuple[str, ...] = (SECRET,)
    code: str = "DELIVRD"
    done_at: datetime | None = DONE_AT
    number: Callable[[int], int] = int

    def __str__(self) -> str:
        return self.name

    @property
    def header(self) -> int:
        """How many octets the header of its frames has."""
        return self.gateway.header_octets

    def recorded(self, vector: str) -> bytes:
        """The octets of a recorded frame."""
        return bytes.fromhex(self.vectors[vector]["hex"])

    def receipt(self, sequence: int) -> Receipt:
        """What a gateway makes of `report`."""
        ref = self.ref(sequence)
        return Receipt(ref, PHONE, ReceiptState.DELIVERED, self.code, "", self.done_at)

    def made(self, port: int, store: Store | None = None, **others: Any) -> StreamGateway[Any]:
        """A gateway that has not connected."""
        kind: Any = self.gateway
        made: StreamGateway[Any] = kind(
            self.settings(port, **others), (store or Store()).deliver, CLOCK
        )
        return made

    @asynccontextmanager
    async def opening(
        self, store: Store | None = None, /, **others: Any
    ) -> AsyncIterator[tuple[StreamGateway[Any], "asyncio.Task[None]", Any]]:
        """A gateway that has connected, its task, and the carrier's end: nobody has answered."""
        async with carrier_of(self.peer) as scripted:
            gateway = self.made(scripted.port, store, **others)
            task = asyncio.create_task(gateway.open())
            peer = await scripted.peer()
            yield gateway, task, peer
            peer.cut()
            await soon(gateway.link.lost.wait())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def opened(self, **others: Any) -> AsyncIterator[tuple[StreamGateway[Any], Any, Store]]:
        """A gateway that is logged in, the carrier's end, and where its deliveries go."""
        store = Store()
        async with self.opening(store, **others) as (gateway, task, peer):
            await peer.accept_login()
            await task
            yield gateway, peer, store

    async def acknowledged_before(self, peer: Peer) -> list[Any]:
        """What was acknowledged up to now: something asked for later must be answered after it."""
        sequence = self.number(999)
        peer.write(sequence, self.at_once)
        seen = []
        while (packet := await peer.read()) != (sequence, self.answered_at_once):
            seen.append(packet)
        return seen


def submissions(
    gateway: StreamGateway[Any],
    text: str = "警钟",
    *,
    recipients: Sequence[str] = (PHONE,),
    reference: int = 0xBEA7,
    **others: Any,
) -> list[Submission]:
    """A text as it is handed to a gateway."""
    return [
        Submission(tuple(recipients), part, reference, **others) for part in gateway.split(text)
    ]


async def answer(future: "asyncio.Future[SubmitResult]") -> SubmitResult:
    result: SubmitResult = await soon(future)
    return result


def later(link: Session, seconds: float) -> None:
    """Let the link look at its deadlines as if that much time had passed."""
    link.on_tick(link.loop.time() + seconds)
