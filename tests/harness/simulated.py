"""A gateway connected to a simulated carrier, and what it received, acknowledged or not."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from pydantic import SecretStr

from service.channels.contract.gateway import Delivery, Receipt, Submission, SubmitResult
from service.clock import Clock
from service.gateways.cmpp import CMPPConfig, CMPPGateway
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from tests.harness.session import PATIENCE_SECONDS

ACCOUNT = "901234"
SECRET = "1qaz2wsx"


def simulator(*, faults: dict[str, Any] | None = None, **others: Any) -> SimulatorConfig:
    """A simulated carrier without oddities whose receipts come at once, unless said otherwise."""
    odd = {"duplicate_receipts": 0, "early_receipts": 0, "unknown_receipts": 0, **(faults or {})}
    values: dict[str, Any] = {
        "accounts": (Account(account=ACCOUNT, secret=SecretStr(SECRET)),),
        "max_delay_seconds": 0,
        "faults": Faults(**odd),
    }
    return SimulatorConfig(**{**values, **others})


class Receiving(Protocol):
    """What takes a gateway's deliveries."""

    def deliver(self, item: Delivery, /) -> "asyncio.Future[None]": ...


class Inbox:
    """Stores what a gateway received, at once or, with `storing` off, never."""

    def __init__(self) -> None:
        self.storing = True
        self.receipts: list[Receipt] = []
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        assert isinstance(item, Receipt)
        self.receipts.append(item)
        task = asyncio.create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.storing:
            future.set_result(None)
        else:
            future.cancel()
        return future

    async def wait_for(self, number: int) -> list[Receipt]:
        """The receipts, once there are `number`."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            await self._arrived.wait_for(lambda: len(self.receipts) >= number)
        return self.receipts

    async def _tell(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()


def gateway(port: int, inbox: Receiving, **others: Any) -> CMPPGateway:
    """An unopened gateway for the simulator's account."""
    values = {
        "host": "127.0.0.1",
        "port": port,
        "account": ACCOUNT,
        "secret": SECRET,
        "access_number": "106900001234",
    }
    return CMPPGateway(CMPPConfig(**{**values, **others}), inbox.deliver, Clock())


@asynccontextmanager
async def connected(port: int, inbox: Inbox | None = None) -> AsyncIterator[CMPPGateway]:
    """A gateway that is logged in."""
    link = gateway(port, inbox or Inbox())
    await link.open()
    yield link
    await link.close(drain_seconds=0)


@asynccontextmanager
async def reached(
    config: SimulatorConfig, inbox: Inbox | None = None
) -> AsyncIterator[tuple[Simulator, CMPPGateway]]:
    """A simulated carrier, and a gateway that is logged in there."""
    async with running(config) as carrier, connected(carrier.ports["cmpp"], inbox) as link:
        yield carrier, link


def phones(number: int) -> list[str]:
    """Synthetic numbers of China Mobile."""
    return [f"+861979{index:07d}" for index in range(number)]


async def send(
    link: CMPPGateway, recipients: Sequence[str], text: str = "警钟"
) -> list[SubmitResult]:
    """Submit a text to each and wait for all answers."""
    parts = link.split(text)
    batch = [Submission((phone,), part, 7) for phone in recipients for part in parts]
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await asyncio.gather(*link.submit(batch)))
