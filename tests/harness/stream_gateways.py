"""A gateway of any stream protocol, logged in at a simulated carrier in the same loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from service.channels.contract.gateway import Delivery, Gateway, Receipt, Submission
from service.channels.contract.registry import factory, load
from service.clock import Clock
from service.protocols.stream import StreamGateway
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from tests.harness.links import account_of
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.simulated import ACCOUNT, SECRET


class Counted:
    """Stores every receipt at once, and counts."""

    def __init__(self) -> None:
        self.receipts = 0

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.receipts += isinstance(item, Receipt)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored


@asynccontextmanager
async def reached(
    kind: str, inbox: Counted, **faults: Any
) -> AsyncIterator[tuple[Simulator, StreamGateway[Any]]]:
    """A gateway of a kind, logged in at a simulated carrier in the same loop."""
    config = SimulatorConfig.model_validate(
        {
            "accounts": (Account(account=ACCOUNT, secret=SecretStr(SECRET)),),
            "max_delay_seconds": 0,
            "faults": Faults(duplicate_receipts=0, early_receipts=0, unknown_receipts=0, **faults),
            "cmpp_port": None,
            f"{kind}_port": 0,
        }
    )
    async with running(config) as carrier:
        settings = account_of(kind, host="127.0.0.1", port=carrier.ports[kind])
        model = load()[kind].config_model.model_validate(settings)
        gateway = factory(kind)(model, inbox.deliver, Clock())
        assert isinstance(gateway, StreamGateway)
        await gateway.open()
        yield carrier, gateway
        await gateway.close(drain_seconds=PATIENCE_SECONDS)


def submissions(gateway: Gateway, first: int, count: int) -> list[Submission]:
    (part,) = gateway.split("警钟")
    numbers = range(first, first + count)
    return [Submission((f"+861979{number:07d}",), part, 0) for number in numbers]
