"""Judging the channels by what processes report, on a real PostgreSQL and Valkey."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.api.system.standing_store import read_standing
from service.channels.contract.model import Channel
from service.crypto import Keyring
from service.dispatch.failover import health_store
from service.dispatch.failover.channel_monitor import GAP, judge, look_at
from service.dispatch.failover.circuit_breaker import BreakerLimits
from service.dispatch.failover.health import ChannelCounts
from service.dispatch.limits.pace import SLOWEST, Pace, channel_limit
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import add_channel
from tests.harness.sick import (
    SECOND,
    breaker,
    events,
    open_breaker,
    seen,
    serve_channel,
    tell,
)
from tests.harness.three_channels import MOBILE, UNICOM, alter
from tests.harness.valkey import answered

LIMITS = BreakerLimits()
GOOD, BAD = seen(accepted=100), seen(accepted=5, unanswered=20)

AddServed = Callable[..., Awaitable[tuple[Channel, uuid.UUID]]]
Look = Callable[[datetime], Awaitable[None]]


@pytest.fixture
def add_served(pool: Pool, keyring: Keyring, now: datetime) -> AddServed:
    """A channel that somebody serves, with its connection up: the channel, and who."""

    async def add(*carriers: str, up: bool = True, **settings: Any) -> tuple[Channel, uuid.UUID]:
        async with pool.acquire() as conn:
            channel = await add_channel(conn, keyring, 1, now, **settings)
        await alter(pool, channel, carriers=list(carriers or (MOBILE,)))
        lease = await serve_channel(pool, channel.id, now, up=up)
        return channel, lease.owner

    return add


@pytest.fixture
def look(pool: Pool, redis: Any) -> Look:
    async def look_now(at: datetime) -> None:
        await judge(pool, Pace(redis), LIMITS, at)

    return look_now


async def state(pool: Pool, channel: Channel) -> str:
    row = await breaker(pool, channel.id)
    return str(row["state"])


async def test_what_processes_report_opens_it_and_is_recorded_with_figures(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    second = await serve_channel(pool, channel.id, now, slot=1)
    await pool.execute("UPDATE channels SET connections = 2")
    await look(now)
    assert await state(pool, channel) == "closed"
    now += 30 * SECOND
    half = seen(accepted=2, unanswered=6)
    await tell(pool, owner, channel.id, now, half, half)
    await look(now)
    assert await state(pool, channel) == "closed", "16 are too few to judge by"
    await tell(pool, second.owner, channel.id, now, half)
    await look(now)
    row = await breaker(pool, channel.id)
    assert (row["state"], row["cause"], row["changed_at"]) == ("open", "faults", now)
    assert await events(pool, channel.id) == [("opened", 0)]
    event = await pool.fetchrow("SELECT * FROM circuit_breaker_events")
    assert event is not None
    assert event["why"] == "18 of 24 submits went wrong: 18 without an answer."
    figures = event["figures"]
    assert (figures["unanswered"], figures["fault_share"], figures["up"]) == (18, 0.75, 2)
    await look(now + SECOND)
    assert await events(pool, channel.id) == [("opened", 0)]


async def test_refused_in_a_row_it_opens_at_once_if_no_process_is_accepted(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served(connections=2)
    other = (await serve_channel(pool, channel.id, now, slot=1)).owner
    await look(now)
    now += 30 * SECOND
    await tell(pool, owner, channel.id, now, replace(seen(accepted=500, failed=15), in_a_row=15))
    await tell(pool, other, channel.id, now, seen(accepted=500, failed=5))
    await look(now)
    assert await state(pool, channel) == "closed", "the other's last one was accepted"
    await tell(pool, other, channel.id, now + SECOND, replace(seen(failed=5), in_a_row=5))
    await look(now + SECOND)
    row = await breaker(pool, channel.id)
    why = "20 submits in a row refused for the channel's sake."
    assert (row["state"], row["cause"], row["why"]) == ("open", "faults", why)


async def test_what_a_dead_process_saw_does_not_count(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    await look(now)
    now += 30 * SECOND
    await tell(pool, owner, channel.id, now, BAD, BAD)
    await pool.execute("UPDATE connections SET expires_at = clock_timestamp() - interval '1 ms'")
    await look(now)
    assert await state(pool, channel) == "closed"


async def test_what_lies_too_far_back_does_not_count(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    await look(now - LIMITS.window * 2)
    await tell(pool, owner, channel.id, now - LIMITS.window, BAD, BAD)
    await look(now)
    assert await state(pool, channel) == "closed"


async def test_several_schedulers_make_one_decision(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    await look(now)
    now += 30 * SECOND
    for _ in range(3):  # so that all are connected and have their statements ready
        await asyncio.gather(*(look(now) for _ in range(8)))
    await tell(pool, owner, channel.id, now, BAD, BAD)
    await asyncio.gather(*(look(now) for _ in range(8)))
    assert await events(pool, channel.id) == [("opened", 0)]
    assert (await breaker(pool, channel.id))["trips"] == 1


async def test_the_way_back_is_tried_and_the_pace_begins_at_its_slowest(
    pool: Pool, redis: Any, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served(tps=1000)
    await look(now)
    now += 30 * SECOND
    await tell(pool, owner, channel.id, now, BAD, BAD)
    await look(now)
    now += LIMITS.rest
    await look(now)
    assert await state(pool, channel) == "half_open"
    now += 5 * SECOND
    await tell(pool, owner, channel.id, now, seen(accepted=LIMITS.probes))
    await look(now)
    row = await breaker(pool, channel.id)
    assert (row["state"], row["climbing"], row["why"]) == ("closed", True, "")
    key = channel_limit(channel.id, 1000).key
    assert float(await answered(redis.hget(key, "pace"))) == SLOWEST
    await look(now + LIMITS.climb)
    assert not (await breaker(pool, channel.id))["climbing"]
    kinds = [kind for kind, _ in await events(pool, channel.id)]
    assert kinds == ["opened", "probing", "closed", "returned"]


async def test_the_eased_pace_is_kept_and_climbs(redis: Any) -> None:
    pace, limit = Pace(redis), channel_limit(1, 1000)
    await pace.take([limit], 1)
    assert await pace.ease(limit) == SLOWEST
    await answered(redis.hset(limit.key, "tat", str(int((await redis.time())[0] - 1) * 1_000_000)))
    grant = await pace.take([limit], 1000, least=limit.burst)
    assert grant.count == limit.burst
    assert grant.wait == pytest.approx(limit.burst * limit.interval / 1e6 / SLOWEST, rel=0.01)
    await answered(
        redis.hset(limit.key, "slowed", str(int((await redis.time())[0] - 1_000) * 1_000_000))
    )
    await answered(redis.hset(limit.key, "tat", str(int((await redis.time())[0] - 1) * 1_000_000)))
    grant = await pace.take([limit], 1000, least=limit.burst)
    assert grant.wait == pytest.approx(limit.burst * limit.interval / 1e6, rel=0.01)
    assert await pace.ease(limit) == SLOWEST, "however far it had climbed"


# ---- without a connection


async def test_without_a_connection_for_minutes_it_opens(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, _ = await add_served(up=False)
    for after in range(0, int(LIMITS.down.total_seconds()), 5):
        await look(now + after * SECOND)
    assert await state(pool, channel) == "closed"
    await look(now + LIMITS.down)
    row = await breaker(pool, channel.id)
    assert (row["state"], row["cause"], row["why"]) == (
        "open",
        "down",
        "No connection for 3 minutes.",
    )
    await pool.execute("UPDATE connections SET state = 'up'")
    for after in range(0, int((LIMITS.rest + LIMITS.idle).total_seconds()) + 10, 5):
        await look(now + LIMITS.down + after * SECOND)
    assert await state(pool, channel) == "closed", "it is connected, and nothing waits"


async def test_while_nobody_looks_or_nobody_tries_no_time_passes(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    """All schedulers or all channel processes were away: that says nothing of the carriers."""
    channel, _ = await add_served(up=False)
    await look(now)
    now += LIMITS.down
    assert LIMITS.down > GAP
    await look(now)
    assert await state(pool, channel) == "closed"
    await pool.execute("UPDATE connections SET owner = NULL, expires_at = NULL")
    for _ in range(20):
        now += 15 * SECOND
        await look(now)
    assert await state(pool, channel) == "closed"


async def test_in_its_hours_of_maintenance_a_channel_needs_no_connection(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, _ = await add_served(up=False, maintenance=(("09:00", "10:00"),))  # it is 09:30
    for _ in range(60):
        now += 15 * SECOND
        await look(now)
    assert await state(pool, channel) == "closed"
    assert (await breaker(pool, channel.id))["connected_at"] == now


# ---- slow and silent


@pytest.mark.parametrize("covered", [True, False])
async def test_a_silent_channel_is_left_only_if_another_can_take_over(
    pool: Pool, add_served: AddServed, look: Look, now: datetime, covered: bool
) -> None:
    channel, owner = await add_served()
    other, _ = await add_served(UNICOM)
    await alter(pool, other, on_net_only=not covered)
    await look(now)
    await tell(pool, owner, channel.id, now + SECOND, ChannelCounts(receipts=5, delivered=5))
    for _ in range(50):
        now += 15 * SECOND
        await tell(pool, owner, channel.id, now, seen(accepted=5))
        await look(now)
        if await state(pool, channel) == "open":
            break
    row = await breaker(pool, channel.id)
    assert (row["state"], row["cause"]) == (("open", "silent") if covered else ("closed", ""))
    assert await state(pool, other) == "closed"


async def test_a_channel_that_never_reported_is_not_silent(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    other, _ = await add_served(UNICOM)
    await alter(pool, other, on_net_only=False)
    for _ in range(50):
        now += 15 * SECOND
        await tell(pool, owner, channel.id, now, seen(accepted=5))
        await look(now)
    assert await state(pool, channel) == "closed"


async def test_a_night_without_work_is_no_silence(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    other, _ = await add_served(UNICOM)
    await alter(pool, other, on_net_only=False)
    await tell(pool, owner, channel.id, now, ChannelCounts(receipts=5))
    now += timedelta(hours=12)
    await tell(pool, owner, channel.id, now, seen(accepted=500))
    await look(now)
    await look(now + 60 * SECOND)
    assert await state(pool, channel) == "closed"


async def test_if_all_are_slow_none_is_left(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    (one, first), (two, second) = [await add_served() for _ in range(2)]
    await look(now)
    now += 30 * SECOND
    slow = seen(accepted=30, seconds=20.0)
    for channel, owner in ((one, first), (two, second)):
        await tell(pool, owner, channel.id, now, slow)
    await look(now)
    assert (await state(pool, one), await state(pool, two)) == ("closed", "closed")
    now += LIMITS.window
    await tell(pool, first, one.id, now, slow)
    await tell(pool, second, two.id, now, GOOD)
    await look(now)
    assert (await state(pool, one), await state(pool, two)) == ("open", "closed")


# ---- reports


async def test_a_report_of_a_channel_that_is_gone_harms_nobody(
    pool: Pool, add_served: AddServed, now: datetime
) -> None:
    channel, owner = await add_served()
    async with transaction(pool) as conn:
        await health_store.report(conn, owner, {channel.id: GOOD, 999: GOOD}, now)
    assert await pool.fetchval("SELECT count(*) FROM channel_health") == 1


async def test_old_reports_are_forgotten(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    await tell(pool, owner, channel.id, now, GOOD)
    await look(now + health_store.KEEP)
    assert await pool.fetchval("SELECT count(*) FROM channel_health") == 1
    await look(now + health_store.KEEP + SECOND)
    assert await pool.fetchval("SELECT count(*) FROM channel_health") == 0


async def test_what_was_reported_stays_counted_when_reports_are_forgotten(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    (one, owner), (two, other) = [await add_served() for _ in range(2)]
    counts = ChannelCounts(
        accepted=7,
        refused=1,
        failed=2,
        unanswered=3,
        unsent=4,
        throttled=5,
        receipts=6,
        delivered=2,
    )

    async def counted() -> dict[str, dict[str, int]]:
        async with pool.acquire() as conn:
            standing = await read_standing(conn, now)
        wanted = ("accepted", "refused", "failed", "unanswered", "unsent", "too_fast")
        return {
            row["name"]: {n: row[n] for n in (*wanted, "arrived", "not_arrived")}
            for row in standing.channels
        }

    nothing = dict.fromkeys(
        ("accepted", "refused", "failed", "unanswered", "unsent", "too_fast", "arrived"), 0
    ) | {"not_arrived": 0}
    once = {"accepted": 7, "refused": 1, "failed": 2, "unanswered": 3, "unsent": 4}
    once |= {"too_fast": 5, "arrived": 2, "not_arrived": 4}
    await tell(pool, owner, one.id, now, counts)
    assert await counted() == {one.name: once, two.name: nothing}
    for hours in range(1, 4):
        at = now + hours * (health_store.KEEP + SECOND)
        await look(at)
        assert await pool.fetchval("SELECT count(*) FROM channel_health") == 0
        many = {name: count * hours for name, count in once.items()}
        assert (await counted())[one.name] == many, "none is forgotten, and none counted twice"
        await tell(pool, owner, one.id, at, counts)
    await tell(pool, other, two.id, at, counts)
    assert (await counted())[two.name] == once


async def test_a_process_hears_what_was_decided(
    pool: Pool, add_served: AddServed, now: datetime
) -> None:
    channel, owner = await add_served()
    await open_breaker(pool, channel.id, now)
    async with transaction(pool) as conn:
        standings = await health_store.report(conn, owner, {}, now)
    assert standings[channel.id].state == "open"
    assert standings[channel.id].most(64, now) == 1


async def test_the_figures_can_be_looked_at_without_judging(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served()
    async with pool.acquire() as conn:
        nobody, none = await look_at(conn, channel.id, LIMITS, now)
    assert nobody is None
    assert none.counts == ChannelCounts()
    await look(now)
    await tell(pool, owner, channel.id, now + SECOND, GOOD)
    async with pool.acquire() as conn:
        found, figures = await look_at(conn, channel.id, LIMITS, now + SECOND)
    assert found is not None
    assert (found.state, figures.counts.accepted, figures.up) == ("closed", 100, 1)


async def test_a_list_whose_results_are_to_come_is_no_channel_that_does_not_work(
    pool: Pool, add_served: AddServed, look: Look, now: datetime
) -> None:
    channel, owner = await add_served(up=False)
    await pool.execute("UPDATE channels SET kind = 'list_file'")
    await look(now)
    for _ in range(60):
        now += 15 * SECOND
        await tell(pool, owner, channel.id, now, seen(accepted=5, unanswered=50))
        await look(now)
    assert await state(pool, channel) == "closed"
