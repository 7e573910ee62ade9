"""A simulated SMSC, and SMPP gateways that are logged in there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from service.channels.contract.gateway import Delivery, Inbound, Receipt, Submission, SubmitResult
from service.clock import Clock
from service.gateways.smpp import SMPPConfig, SMPPGateway
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from tests.harness.session import PATIENCE_SECONDS

ACCOUNT = "esme01"
PASSWORD = "pw123456"
SENDER = "106900001234"
QUIET = {"duplicate_receipts": 0, "early_receipts": 0, "unknown_receipts": 0}


def config(*, faults: dict[str, Any] | None = None, **others: Any) -> SimulatorConfig:
    """A simulated SMSC without oddities whose receipts come at once, unless said otherwise."""
    values: dict[str, Any] = {
        "accounts": (Account(account=ACCOUNT, secret=SecretStr(PASSWORD)),),
        "cmpp_port": None,
        "smpp_port": 0,
        "max_delay_seconds": 0,
        "profile": "carrier",
        "seed": 1,
        "faults": Faults(**{**QUIET, **(faults or {})}),
    }
    return SimulatorConfig(**{**values, **others})


class Inbox:
    """Stores what gateways received, at once or, with `storing` off, never."""

    def __init__(self) -> None:
        self.storing = True
        self.items: list[Delivery] = []
        self._arrived = asyncio.Event()

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.items.append(item)
        self._arrived.set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.storing:
            future.set_result(None)
        else:
            future.cancel()
        return future

    @property
    def receipts(self) -> list[Receipt]:
        return [item for item in self.items if isinstance(item, Receipt)]

    @property
    def texts(self) -> list[Inbound]:
        return [item for item in self.items if isinstance(item, Inbound)]

    async def wait_for(self, number: int) -> None:
        """Until there are so many items."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.items) < number:
                self._arrived.clear()
                await self._arrived.wait()


def settings(port: int, **others: Any) -> SMPPConfig:
    values = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": ACCOUNT,
        "password": PASSWORD,
        "sender": SENDER,
    }
    return SMPPConfig(**{**values, **others})


@asynccontextmanager
async def connected(port: int, inbox: Inbox, **others: Any) -> AsyncIterator[SMPPGateway]:
    """A gateway that is logged in."""
    link = SMPPGateway(settings(port, **others), inbox.deliver, Clock())
    await link.open()
    yield link
    await link.close(drain_seconds=0)


@asynccontextmanager
async def reached(
    simulated: SimulatorConfig, inbox: Inbox | None = None, **others: Any
) -> AsyncIterator[tuple[Simulator, SMPPGateway]]:
    """A simulated SMSC, and a gateway that is logged in there."""
    async with (
        running(simulated) as carrier,
        connected(carrier.ports["smpp"], inbox or Inbox(), **others) as link,
    ):
        yield carrier, link


def phones(number: int) -> list[str]:
    """Synthetic numbers."""
    return [f"+861979{index:07d}" for index in range(number)]


async def send(
    link: SMPPGateway, recipients: Sequence[str], text: str = "警钟"
) -> list[SubmitResult]:
    """Submit a text to each and wait for all answers."""
    parts = link.split(text)
    batch = [Submission((phone,), part, 7) for phone in recipients for part in parts]
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await asyncio.gather(*link.submit(batch)))
