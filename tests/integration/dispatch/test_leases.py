"""A lease is renewed whatever else waits for a connection to the database."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from service.crypto import Keyring
from service.dispatch.handoff import lease, lease_store
from service.dispatch.handoff.lease import HeldLease
from service.storage.postgres import Pool, open_pool
from tests.conftest import NOW
from tests.harness.ledger import add_channel
from tests.harness.stage import SetUp, kill
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

TTL = timedelta(seconds=1.5)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_store, "LEASE", TTL)
    monkeypatch.setattr(lease, "LEASE", TTL)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.2)
    monkeypatch.setattr(lease, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(lease, "MARGIN_SECONDS", 0.2)


EXPIRES = "SELECT max(expires_at) FROM connections"


async def _held(pool: Pool) -> bool:
    held: bool = await pool.fetchval(
        "SELECT count(*) > 0 FROM connections WHERE expires_at > clock_timestamp()"
    )
    return held


async def test_a_pool_without_a_free_connection_lets_no_lease_run_out(
    pool: Pool,
    keyring: Keyring,
    serve: Serve,
    simulate: Simulate,
    database_url: str,
) -> None:
    async with simulate() as simulator, open_pool(database_url, size=1) as watching:
        async with pool.acquire() as conn:
            await add_channel(conn, keyring, simulator.ports["cmpp"], NOW)
        await serve()
        await until(lambda: _held(watching))
        async with AsyncExitStack() as stack:
            for _ in range(pool.get_max_size()):
                await stack.enter_async_context(pool.acquire())
            lasts = await watching.fetchval(EXPIRES) + 2 * TTL

            async def renewed_twice() -> bool:
                assert await _held(watching)
                return bool(await watching.fetchval(EXPIRES) >= lasts)

            await until(renewed_twice)
        assert await watching.fetchval("SELECT max(epoch) FROM connections") == 1


async def test_what_could_not_be_noted_of_a_link_is_written_by_the_next_renewal(
    pool: Pool,
    keyring: Keyring,
    serve: Serve,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Noted once and lost, a link that works would be shown, and judged, as down for ever."""
    note = lease_store.note_connection
    lost: list[str] = []

    async def cut_once(conn: Any, mine: lease_store.Lease, state: str, *more: Any) -> None:
        if not lost:
            lost.append(state)
            raise ConnectionResetError("the network is cut for a moment")
        await note(conn, mine, state, *more)

    monkeypatch.setattr(lease_store, "note_connection", cut_once)
    async with simulate() as simulator:
        async with pool.acquire() as conn:
            await add_channel(conn, keyring, simulator.ports["cmpp"], NOW)
        await serve()

        async def up() -> bool:
            up: int = await pool.fetchval("SELECT count(*) FROM connections WHERE state = 'up'")
            return up == 1

        await until(up)
        assert lost == ["up"]


async def test_a_renewal_that_hangs_is_tried_again_over_another_connection(
    stage: SetUp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(1)
    held = HeldLease(await on.must_lease())
    renew = lease_store.renew_connection
    hung: list[Any] = []

    async def hang_once(conn: Any, mine: lease_store.Lease) -> str | None:
        if not hung:
            hung.append(conn)
            await conn.execute("SELECT pg_sleep(60)")
        return await renew(conn, mine)

    monkeypatch.setattr(lease_store, "renew_connection", hang_once)
    async with open_pool(database_url, size=1) as pool:
        keeping = asyncio.create_task(held.keep(pool))
        try:
            lasts = await on.pool.fetchval(EXPIRES) + TTL

            async def renewed() -> bool:
                return bool(await on.pool.fetchval(EXPIRES) >= lasts)

            await until(renewed)
            assert hung
            assert held.valid
        finally:
            await kill(keeping)


async def test_a_lease_that_somebody_else_took_is_noticed(stage: SetUp) -> None:
    on = await stage(1)
    held = HeldLease(await on.must_lease())
    keeping = asyncio.create_task(held.keep(on.pool))
    try:
        await on.take_over()
        await asyncio.wait_for(held.fenced.wait(), 5)
        assert not held.valid
    finally:
        await kill(keeping)
