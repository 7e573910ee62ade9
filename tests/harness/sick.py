"""Channels that do not work, as processes report it and schedulers judge it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from service.clock import Clock
from service.dispatch.failover import health_store
from service.dispatch.failover.channel_monitor import judge
from service.dispatch.failover.circuit_breaker import BreakerLimits
from service.dispatch.failover.failover import shift_waiting
from service.dispatch.failover.health import BOUNDS, ChannelCounts
from service.dispatch.handoff import lease_store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.limits.pace import Pace
from service.storage.postgres import COLLISIONS, Pool, transaction
from tests.harness.pauses import repeatedly

SECOND = timedelta(seconds=1)


def seen(seconds: float = 0.1, **numbers: int) -> ChannelCounts:
    """Counts of submits that were answered after about `seconds`."""
    counts = ChannelCounts(**numbers, times=[0] * (len(BOUNDS) + 1))
    counts.submits = counts.submits or counts.judged
    counts.times[next(i for i, bound in enumerate(BOUNDS) if seconds <= bound)] = counts.accepted
    return counts


async def serve_channel(
    pool: Pool, channel_id: int, now: datetime, *, slot: int = 0, up: bool = True
) -> Lease:
    """Somebody who holds a connection of a channel."""
    async with transaction(pool) as conn:
        await lease_store.ensure_connections(conn, channel_id, slot + 1)
        lease = await lease_store.claim_connection(conn, channel_id, slot, uuid.uuid4(), now)
        assert lease is not None
        await lease_store.note_connection(conn, lease, "up" if up else "down", "", now)
    return lease


async def tell(
    pool: Pool, owner: uuid.UUID, channel_id: int, now: datetime, *what: ChannelCounts
) -> None:
    """Reports of a process, the last of them now and each ten seconds after the one before."""
    async with transaction(pool) as conn:
        for ago, counts in enumerate(reversed(what)):
            news: Mapping[int, ChannelCounts] = {channel_id: counts}
            await health_store.report(conn, owner, news, now - ago * 10 * SECOND)


async def open_breaker(
    pool: Pool, channel_id: int, now: datetime, *, state: str = "open", why: str = "It broke."
) -> None:
    """As a scheduler leaves it."""
    await pool.execute(
        """
        INSERT INTO circuit_breakers (channel_id, state, cause, why, changed_at, looked_at,
                                   connected_at)
        VALUES ($1, $2, CASE $2 WHEN 'closed' THEN '' ELSE 'faults' END, $3, $4, $4, $4)
        ON CONFLICT (channel_id) DO UPDATE SET
            state = excluded.state, cause = excluded.cause, changed_at = excluded.changed_at,
            shift_at = NULL
        """,
        channel_id,
        state,
        why,
        now,
    )


async def breaker(pool: Pool, channel_id: int) -> Any:
    return await pool.fetchrow("SELECT * FROM circuit_breakers WHERE channel_id = $1", channel_id)


async def events(pool: Pool, channel_id: int) -> list[tuple[str, int]]:
    """The kinds of what is recorded of a channel, with the number of texts, from old to new."""
    rows = await pool.fetch(
        "SELECT kind, messages FROM circuit_breaker_events WHERE channel_id = $1 ORDER BY id",
        channel_id,
    )
    return [(row["kind"], row["messages"]) for row in rows]


@asynccontextmanager
async def watching(
    pool: Pool, redis: Any, clock: Clock, limits: BreakerLimits, schedulers: int = 2
) -> AsyncIterator[None]:
    """Schedulers that judge and shift all the time."""

    async def watch() -> None:
        with suppress(*COLLISIONS):
            await judge(pool, Pace(redis), limits, clock.now())
            await shift_waiting(pool, clock.now())

    tasks = [asyncio.create_task(repeatedly(watch, 0.1)) for _ in range(schedulers)]
    try:
        yield
        for task in tasks:
            assert not task.done(), task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
