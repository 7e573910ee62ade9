"""Pace on a real Valkey: never more than the TPS in any second, whatever happens to the bucket."""

import asyncio
import time
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from service.dispatch.limits.pace import (
    MAX_AGE,
    SLOWER,
    Pace,
    RateLimit,
    channel_limit,
    lot_size,
    run_limit,
)
from service.errors import Unavailable
from tests.harness.busiest import busiest_second
from tests.harness.pauses import delay
from tests.harness.tiers import cases
from tests.harness.valkey import answered
from tests.harness.waiting import PATIENCE_SECONDS, until


async def spend(pace: Pace, limits: list[RateLimit], enough: int, written: list[float]) -> None:
    """Write as fast as the tokens come, like a sender does, until all have written enough."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(written) < enough:
            grant = await pace.take(limits, 100)
            if grant.count and not grant.stale:
                written += [time.monotonic()] * grant.count
            elif not grant.count:
                await delay(min(grant.wait, 0.05))


@pytest.mark.parametrize("tps", cases([7, 49, 50, 100, 500, 2000], 7, 50, 2000))
async def test_four_writers_share_one_limit(redis: Redis, tps: int) -> None:
    written: list[float] = []
    limits = [channel_limit(1, tps)]
    await asyncio.gather(*(spend(Pace(redis), limits, 2 * tps, written) for _ in range(4)))
    assert busiest_second(written) <= tps


@pytest.mark.attack
async def test_an_emptied_redis_lets_no_burst_through(redis: Redis) -> None:
    written: list[float] = []

    async def empty() -> None:
        while True:
            await redis.flushall()
            await delay(0.11)

    emptying = asyncio.create_task(empty())
    await spend(Pace(redis), [channel_limit(1, 500)], 501, written)
    emptying.cancel()
    await asyncio.gather(emptying, return_exceptions=True)
    assert busiest_second(written) <= 500


async def test_the_tightest_of_several_limits_counts_and_all_are_charged(redis: Redis) -> None:
    written: list[float] = []
    both = [channel_limit(1, 1000), run_limit("r", 60)]
    await spend(Pace(redis), both, 90, written)
    assert busiest_second(written) <= 60


async def test_too_fast_stops_for_a_moment_and_goes_on_slower(redis: Redis) -> None:
    pace = Pace(redis)
    limit = channel_limit(1, 500)
    await pace.take([limit], 1)
    assert await pace.slow(limit, 0.5) == pytest.approx(SLOWER)
    grant = await pace.take([limit], 1)
    assert grant.count == 0
    assert 0.4 < grant.wait <= 0.51

    async def goes_on() -> int:
        return (await pace.take([limit], 1)).count

    await until(goes_on)
    written: list[float] = []
    await spend(pace, [limit], round(2 * 500 * SLOWER), written)
    assert busiest_second(written) <= 500 * SLOWER


async def test_connections_that_tell_of_one_trouble_slow_the_account_down_once(
    redis: Redis,
) -> None:
    limit = channel_limit(1, 500)
    shares = [await Pace(redis).slow(limit, 0.1) for _ in range(5)]
    assert shares == [pytest.approx(SLOWER)] * 5
    await answered(redis.hset(limit.key, "slowed", str(int((time.time() - 2) * 1_000_000))))
    assert await Pace(redis).slow(limit, 0.1) == pytest.approx(SLOWER**2)


@pytest.mark.slow
async def test_the_pace_climbs_back_while_nothing_is_too_fast(redis: Redis) -> None:
    limit = channel_limit(1, 500)
    pace = Pace(redis)
    await pace.slow(limit, 0.0)
    for seconds, share in ((4, 0.8), (5, 0.82), (26, 0.9), (50, 1.0), (400, 1.0)):
        rate = 485 * share + 10

        async def comes(seconds: int = seconds, rate: float = rate) -> bool:
            """Whether it does; a busy machine may need more than one second."""
            slowed = int((time.time() - seconds) * 1_000_000)
            await answered(redis.hset(limit.key, "slowed", str(slowed)))
            written: list[float] = []
            await pace.take([limit], 1)
            await spend(pace, [limit], round(1.2 * rate), written)
            assert busiest_second(written) <= 1.08 * rate
            return busiest_second(written) >= 0.92 * rate

        await until(comes)


async def test_a_writer_that_wakes_late_loses_few_tokens(redis: Redis) -> None:
    pace, limit = Pace(redis), channel_limit(1, 2000)
    written: list[float] = []

    async def keeps_up() -> bool:
        """Whether most tokens of half a second came, though the writer slept between."""
        before, end = len(written), time.monotonic() + 0.5
        while time.monotonic() < end:
            written.extend([time.monotonic()] * (await pace.take([limit], 100)).count)
            await delay(0.015)
        return len(written) - before > 0.85 * 2000 * 0.5

    await until(keeps_up)
    assert busiest_second(written) <= 2000


@pytest.mark.parametrize(("tps", "lot"), [(400, 50), (100, 12), (30, 3)])
async def test_lots_of_recipients_come_whole_and_within_the_limit(
    redis: Redis, tps: int, lot: int
) -> None:
    assert lot_size(lot, tps) == lot
    written: list[float] = []
    enough = 2 * tps
    limits = [channel_limit(1, tps, lot)]

    async def spend_lots() -> None:
        pace = Pace(redis)
        while len(written) < enough:
            grant = await pace.take(limits, lot, least=lot)
            assert grant.count in (0, lot)
            if grant.count and not grant.stale:
                written.extend([time.monotonic()] * grant.count)
            elif not grant.count:
                await delay(min(grant.wait, 0.05))

    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(spend_lots() for _ in range(3)))
    assert busiest_second(written) <= tps


def test_a_lot_is_no_more_than_an_eighth_of_a_second() -> None:
    assert [lot_size(100, tps) for tps in (None, 4000, 400, 100, 7)] == [100, 100, 50, 12, 1]


def test_the_oldest_tokens_of_a_second_fit_with_its_own_into_the_tps() -> None:
    for tps in (*range(1, 120), 199, 500, 999, 4000):
        for lot in {lot_size(lot, tps) for lot in (1, 7, 100)}:
            limit = channel_limit(1, tps, lot)
            rate = 1_000_000 / limit.interval
            assert int(limit.burst + (1 + MAX_AGE) * rate - 1e-6) <= tps, (tps, lot)
            assert rate >= 0.96 * tps or lot > 1, (tps, rate)


async def test_an_old_token_is_stale(redis: Redis) -> None:
    grant = await Pace(redis).take([], 1)
    assert not grant.stale
    assert replace(grant, asked_at=grant.asked_at - MAX_AGE).stale


@pytest.mark.attack
async def test_without_redis_nothing_is_granted() -> None:
    nowhere = Redis.from_url("unix:///nowhere/valkey.sock")
    try:
        for limits in ([], [channel_limit(1, 500)]):
            with pytest.raises(Unavailable, match="nothing is sent"):
                await Pace(nowhere).take(limits, 1)
    finally:
        await nowhere.aclose()


async def test_a_grant_says_when_there_are_as_many_again(redis: Redis) -> None:
    limit = channel_limit(3, 500)  # ten at once, 485 a second
    assert (await Pace(redis).take([limit], 100)).count == 0  # a new bucket is empty
    await answered(redis.hset(limit.key, "tat", str(int((await redis.time())[0] - 1) * 1_000_000)))
    first = await Pace(redis).take([limit], 100, least=2)
    assert first.count == limit.burst == 10
    assert first.wait == pytest.approx(2 / 485.1, rel=0.01)
    again = await Pace(redis).take([limit], 100, least=10)
    assert (again.count, again.wait > first.wait) == (0, True)
