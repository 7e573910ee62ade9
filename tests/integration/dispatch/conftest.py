"""A channel process inside the test, against a simulated carrier over TCP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts.inbox import Inbox
from service.delivery.receipts.receipts import fold_receipts, rematch_answered
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import slice_store
from service.dispatch.handoff.channel_server import ChannelServer
from service.runtime import Runtime
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from service.storage.postgres import Pool
from tests.conftest import NOW
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import SetUp, Stage
from tests.harness.waiting import Calls, counted

CalmFaults = Faults(duplicate_receipts=0, early_receipts=0, unknown_receipts=0)


@pytest.fixture
def clock() -> Clock:
    import time

    return Clock(NOW, time.time())


Simulate = Callable[..., contextlib.AbstractAsyncContextManager[Simulator]]
"""Starts a simulated carrier with these settings."""

Serve = Callable[..., Awaitable[ChannelServer]]
"""Starts a channel server that takes `most` channels; 0: all."""


@pytest.fixture
def simulate(tmp_path: Path, clock: Clock) -> Simulate:
    def start(**settings: Any) -> contextlib.AbstractAsyncContextManager[Simulator]:
        config = SimulatorConfig(
            journal=tmp_path / "journal",
            **{
                "accounts": (Account(account="901234", secret=SecretStr("1qaz2wsx")),),
                "max_delay_seconds": 0.05,
                "faults": CalmFaults,
                **settings,
            },
        )
        return running(config, clock=clock)

    return start


@pytest.fixture
async def serve(
    runtime: Runtime, pool: Pool, keyring: Keyring, clock: Clock
) -> AsyncIterator[Serve]:
    """Starts channel servers that fold their receipts at once; stops them at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(most: int = 0) -> ChannelServer:
            async def fold(channel_id: int) -> None:
                await fold_receipts(pool, channel_id, clock.now())

            inbox = Inbox(pool, keyring, clock, fold)
            server = ChannelServer(
                runtime, inbox.deliver_for, rematch_answered, max_connections=most
            )
            stop = asyncio.Event()
            tasks = [asyncio.create_task(inbox.run()), asyncio.create_task(server.run(stop))]

            async def finish() -> None:
                stop.set()
                await tasks[1]
                tasks[0].cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            stack.push_async_callback(finish)
            return server

        yield start


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The looks of all connections for slices: whoever has nothing to do looks all the time."""
    monkeypatch.setattr("service.dispatch.handoff.sender.IDLE_SECONDS", 0.02)
    return counted(monkeypatch, slice_store, "claim_slices")


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: datetime) -> SetUp:
    async def set_up(people: int = 4, **more: Any) -> Stage:
        channel_keys = ("tps", "window", "connections", "destinations", "receipts")
        of_channel = {k: more.pop(k) for k in channel_keys if k in more}
        async with pool.acquire() as conn:
            scene = await make_scene(conn, now)
            await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], now)
            channel = await add_channel(conn, keyring, 1, now, **of_channel)
            run = await add_run(conn, scene, now, **more)
        made = await expand_run(pool, run, now)
        assert made is not None
        assert made.target == people
        return Stage(pool, keyring, scene, channel, run, now)

    return set_up
