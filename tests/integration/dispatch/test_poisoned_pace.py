"""Whoever can write to Valkey moves no pace above the TPS, and silences no channel for long."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from service.dispatch.limits import pace as module
from service.dispatch.limits.pace import ABSURD, MAX_AGE, TOO_MUCH, OwnCount, Pace, channel_limit
from service.errors import Unavailable
from tests.harness.pauses import delay, repeatedly
from tests.harness.valkey import answered
from tests.harness.waiting import until

pytestmark = pytest.mark.attack

TPS = 200
LIMIT = channel_limit(1, TPS)
KEY = LIMIT.key
Poison = Callable[[Redis], Awaitable[Any]]


def field(name: str, value: str) -> Poison:
    return lambda redis: answered(redis.hset(KEY, name, value))


async def is_text(redis: Redis) -> None:
    await redis.delete(KEY)
    await redis.set(KEY, "poison")


async def never_climbs(redis: Redis) -> None:
    await answered(redis.hset(KEY, mapping={"pace": "0.1", "slowed": "9" * 18}))


POISONS = [
    is_text,
    never_climbs,
    *(
        field(name, value)
        for name in ("tat", "pace", "slowed")
        for value in ("", "x", "nan", "-nan", "inf", "-inf", "1e308", "-1", "0", "9" * 18)
    ),
]
"""What no script of ours writes; a `slowed` or `pace` of it with a good other half, too."""


async def granted_within(pace: Pace, seconds: float) -> int:
    until, granted = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        granted += (await pace.take([LIMIT], 50)).count
        await delay(0.001)
    return granted


@pytest.mark.parametrize("poison", POISONS)
async def test_an_absurd_value_is_as_if_it_were_missing_and_is_said(
    redis: Redis, poison: Poison, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Pace(redis)
    await pace.ease(LIMIT)
    await poison(redis)
    first = await pace.take([LIMIT], 50)
    assert first.count <= LIMIT.burst
    assert first.wait <= 10 * LIMIT.burst * LIMIT.interval / 1_000_000 + 0.001, "not an hour"

    async def granted() -> int:
        return (await pace.take([LIMIT], 50)).count

    await until(granted, 10)
    assert ABSURD in caplog.messages
    await pace.slow(LIMIT, 0.01)
    await pace.ease(LIMIT)
    assert await redis.type(KEY) == b"hash"


@asynccontextmanager
async def written_again_and_again(poison: Poison, redis: Redis) -> AsyncIterator[None]:
    writing = asyncio.create_task(repeatedly(lambda: poison(redis), 0))
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def a_moment_ago(redis: Redis) -> None:
    """What the script could have written itself; it grants a burst each time."""
    seconds, _ = await redis.time()
    await answered(redis.hset(KEY, "tat", str((int(seconds) - 1) * 1_000_000)))


async def test_a_bucket_that_is_filled_again_and_again_grants_no_more_than_the_tps(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Pace(redis)
    async with written_again_and_again(a_moment_ago, redis):
        began = time.monotonic()
        granted = await granted_within(pace, 2.0)
        seconds = time.monotonic() - began
    assert granted <= TPS * seconds + LIMIT.burst
    assert TOO_MUCH in caplog.messages


@pytest.mark.parametrize(
    "answer", ["{1e9,-5,0}", "{-7,1e15,0}", "{'x',0,0}", "{1}", "'x'", "nil", "{{},{},{}}"]
)
async def test_a_server_that_answers_anything_is_not_believed(redis: Redis, answer: str) -> None:
    pace = Pace(redis)
    pace._take = redis.register_script(f"return {answer}")
    try:
        grant = await pace.take([LIMIT], 50)
    except Unavailable:
        return
    assert 0 <= grant.count <= LIMIT.burst * 1.5
    assert 0 <= grant.wait <= module.HOLD_MOST_SECONDS + 1


@pytest.mark.parametrize("tps", [1, 20, 49, 50, 200, 1_500])
def test_the_own_count_refuses_nothing_that_a_true_bucket_grants_in_time(tps: int) -> None:
    """Tokens that Redis grants at its pace, and that arrive up to MAX_AGE earlier or later."""
    limit, own = channel_limit(1, tps), OwnCount()
    interval = limit.interval / 1_000_000
    due = 0.0
    for n in range(2_000):
        due = max(due, 0.0) + interval
        seen = max(0.0, due - limit.burst * interval) + (MAX_AGE if n % 2 else 0.0)
        assert own.room(limit, 1_000 + seen) >= 1
        own.add(limit, 1, 1_000 + seen)


@pytest.mark.parametrize("tps", [1, 20, 49, 50, 200, 1_500])
@pytest.mark.parametrize("lot", [1, 10])
def test_by_its_own_count_no_second_has_more_than_the_tps(tps: int, lot: int) -> None:
    limit, own = channel_limit(1, tps, min(lot, max(1, tps // 8))), OwnCount()
    taken: list[tuple[float, int]] = []
    for step in range(3_000):
        now = 1_000 + step / 1_000
        count = own.room(limit, now)
        own.add(limit, count, now)
        taken.append((now, count))
    for start in range(0, 2_000, 7):
        second = sum(count for at, count in taken if 0 <= at - taken[start][0] < 1.0)
        assert second <= max(tps, limit.burst + 1)


def test_what_is_counted_of_limits_is_bounded() -> None:
    own = OwnCount()
    for run in range(5 * module.MOST_LIMITS):
        own.add(module.run_limit(run, 10), 1, float(run))
    assert len(own._due) <= module.MOST_LIMITS + 1
