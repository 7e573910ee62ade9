"""Quotas in parts by Beijing's calendar, and the hours in which a channel rests."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.channels.config.store import get_hold, update_channel
from service.channels.contract.gateway import Submission, SubmitResult
from service.channels.contract.model import Hold
from service.channels.contract.outcome import Outcome
from service.dispatch.limits import quota_store
from service.dispatch.limits.pace import RateLimit, TokenGrant
from service.liveness.life import Life
from service.liveness.offset import ClockState
from service.storage.postgres import transaction
from tests.harness.ledger import TEXT
from tests.harness.stage import Accept, Free, Scripted, SetUp, Stage, done, working
from tests.harness.waiting import until, until_blocked

MIDNIGHT = datetime(2027, 1, 12, 16, tzinfo=UTC)  # in Beijing
LONG = TEXT + "先做小任务返小钱、再让垫付大单的，都是刷单诈骗。" * 2  # two parts


async def settle(on: Stage, **changes: Any) -> None:
    """Change the channel's settings."""
    on.channel = replace(on.channel, **changes)
    async with on.pool.acquire() as conn:
        await update_channel(conn, on.keyring, on.channel)


async def hold_of(on: Stage) -> Hold | None:
    async with on.pool.acquire() as conn:
        return await get_hold(conn, on.channel.id, on.now)


async def used(on: Stage, at: datetime | None = None) -> tuple[int, int]:
    async with on.pool.acquire() as conn:
        return await quota_store.used_parts(conn, on.channel.id, at or on.now)


def held(on: Stage) -> Any:
    async def check() -> bool:
        return await hold_of(on) is not None and "submitting" not in await on.states()

    return check


async def test_two_connections_together_stay_within_the_days_quota(stage: SetUp) -> None:
    on = await stage(1_500, window=16, connections=2)
    await settle(on, daily_quota=101)
    gateways = [Scripted(lambda _: Accept) for _ in range(2)]
    async with (
        working(on, gateways[0]) as sender,
        working(on, gateways[1], lease=await on.must_lease(1)) as peer,
    ):
        await until(held(on), 10)
        await asyncio.gather(sender.looks(), peer.looks())
        assert sum(len(gateway.written) for gateway in gateways) == 101
        assert await used(on) == (101, 101)
        assert await hold_of(on) == Hold(
            MIDNIGHT, "the day's quota of 101 parts is used up", "quota"
        )
        sender.clock.at = peer.clock.at = on.now + timedelta(days=1)

        async def the_next_day() -> bool:
            return (await used(on, MIDNIGHT + timedelta(minutes=1)))[0] == 101

        await until(the_next_day, 10)
        await until(lambda: _nothing_leaving(on))
    assert sum(len(gateway.written) for gateway in gateways) == 202
    assert await used(on, MIDNIGHT) == (101, 202)
    assert (await on.states()) == {"submitted": 202, "queued": 1_298}


async def _nothing_leaving(on: Stage) -> bool:
    return "submitting" not in await on.states()


async def test_a_months_quota_holds_until_the_first(stage: SetUp) -> None:
    on = await stage(30, window=8)
    await settle(on, daily_quota=25, monthly_quota=10)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(held(on), 10)
    assert len(gateway.written) == 10
    hold = await hold_of(on)
    assert hold is not None
    assert (hold.until, hold.by) == (datetime(2027, 1, 31, 16, tzinfo=UTC), "quota")


async def test_a_text_that_does_not_fit_whole_waits(stage: SetUp) -> None:
    on = await stage(6, window=8, text=LONG)
    await settle(on, daily_quota=5)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(held(on), 10)
    assert len(gateway.written) == 4
    assert await used(on) == (4, 4)
    assert await on.states() == {"submitted": 2, "queued": 4}


async def test_what_was_not_sent_is_given_back(stage: SetUp) -> None:
    """The link breaks: what had not been written goes back, and so do its parts."""
    on = await stage(200, window=32)
    await settle(on, daily_quota=150)

    def answer(_: Submission) -> SubmitResult | None:
        return Accept if len(gateway.written) <= 20 else None

    gateway = Scripted(answer)

    class Few(Free):
        left = 23

        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            grant = await super().take(limits, min(want, self.left), least)
            self.left -= grant.count
            return TokenGrant(grant.count, 0.05, grant.asked_at)

    async with working(on, gateway, pace=Few()) as sender:

        async def more_is_marked_than_written() -> bool:
            return len(gateway.silent) == 3 and await on.marks() > 23

        await until(more_is_marked_than_written)
        gateway.lost.set()
        await sender.end()
    states = await on.states()
    assert (states["submitted"], states["uncertain"]) == (20, 3)
    assert await used(on) == (23, 23)


async def test_a_quota_that_has_room_again_holds_nobody(stage: SetUp) -> None:
    """Used up and held, and then some of it came back: the rest leaves today."""
    on = await stage(40, window=32)
    await settle(on, daily_quota=30)
    gateway = Scripted(lambda _: None)
    second = Scripted(lambda _: Accept)

    class Nothing(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            grant = await super().take(limits, want, least)
            return TokenGrant(0, 0.05, grant.asked_at)

    async with working(on, gateway, pace=Nothing()) as sender:

        async def is_held() -> bool:
            return await hold_of(on) is not None

        await until(is_held)
        gateway.lost.set()
        await sender.end()
    assert await used(on) == (0, 0)
    assert await hold_of(on) is None
    await on.expire(0)
    async with working(on, second) as sender:
        await until(held(on), 10)
        await sender.end()
    assert len(second.written) == 30


async def test_a_carrier_that_sends_nothing_more_today_costs_no_quota(stage: SetUp) -> None:
    on = await stage(20, window=4)
    await settle(on, daily_quota=15)
    gateway = Scripted(
        lambda _: (
            Accept if len(gateway.written) <= 6 else SubmitResult(Outcome.DAILY_LIMIT, code="75")
        )
    )
    async with working(on, gateway):
        await until(held(on), 10)
    hold = await hold_of(on)
    assert hold is not None
    assert hold.by == "carrier"
    assert await on.states() == {"submitted": 6, "queued": 14}
    assert await used(on) == (6, 6)


async def test_reservations_at_once_never_exceed_a_quota(stage: SetUp) -> None:
    on = await stage(1)
    await settle(on, daily_quota=100, monthly_quota=90)
    granted: list[int] = []

    async def reserve(number: int) -> None:
        for turn in range(10):
            async with transaction(on.pool) as conn:
                free, _ = await quota_store.free_parts(conn, on.channel.id, on.now)
                wanted = min(free, 1 + (number + turn) % 3)
                if wanted:
                    await quota_store.use(conn, on.channel.id, wanted, on.now)
                    granted.append(wanted)

    await asyncio.gather(*(reserve(number) for number in range(9)))
    assert sum(granted) == 90
    assert await used(on) == (90, 90)


async def test_a_quota_that_was_lowered_lets_nothing_more_through(stage: SetUp) -> None:
    on = await stage(40, window=4)
    async with on.pool.acquire() as conn:
        await settle(on, daily_quota=30)
        async with conn.transaction():
            await quota_store.free_parts(conn, on.channel.id, on.now)
            await quota_store.use(conn, on.channel.id, 20, on.now)
    await settle(on, daily_quota=10)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(held(on), 10)
    assert gateway.written == []


# ---- hours of maintenance


async def test_nothing_is_claimed_or_written_while_the_channel_rests(stage: SetUp) -> None:
    on = await stage(20, window=4)  # at 09:30 in Beijing
    on.channel = replace(on.channel, maintenance=(("09:00", "10:00"),))
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway) as sender:
        await sender.looks()
        assert gateway.written == []
        assert not await on.pool.fetchval("SELECT count(*) FROM slices WHERE touched")
        sender.clock.at = on.now + timedelta(minutes=31)
        await until(lambda: done(on), 10)
    assert len(gateway.written) == 20


async def test_nothing_is_claimed_while_the_clock_is_far_from_postgresqls(stage: SetUp) -> None:
    """Texts would leave outside their hours. They go on by themselves once it is right."""
    on = await stage(20, window=4)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, life=Life(clock=ClockState.UNFIT)) as sender:
        await sender.looks()
        assert gateway.written == []
        assert not await on.pool.fetchval("SELECT count(*) FROM slices WHERE touched")
        sender.life.clock = ClockState.DIFFERS
        await until(lambda: done(on), 10)
    assert len(gateway.written) == 20


@pytest.mark.parametrize("message_class", ["public_interest", "warning"])
async def test_what_waits_for_tokens_is_not_written_into_the_maintenance(
    stage: SetUp, message_class: str
) -> None:
    """Not even a warning: the carrier would refuse or lose it."""
    on = await stage(4, window=4)
    await on.pool.execute("UPDATE runs SET class = $1", message_class)
    on.channel = replace(on.channel, maintenance=(("23:00", "01:00"),))
    asked, resting = asyncio.Event(), asyncio.Event()

    class Withheld(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            asked.set()
            if not resting.is_set():
                return TokenGrant(0, 0.05, time.monotonic())
            return await super().take(limits, want, least)

    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Withheld()) as sender:
        await asyncio.wait_for(asked.wait(), 5)
        sender.clock.at = MIDNIGHT - timedelta(minutes=30)
        sender.clock.since = time.monotonic()
        resting.set()

        async def back() -> bool:
            return await on.states() == {"queued": 4}

        await until(back)
        assert gateway.written == []
        sender.clock.at = on.now + timedelta(days=1)  # the county's night is over, too
        await until(lambda: done(on), 10)
    assert len(gateway.written) == 4


async def test_what_is_given_back_while_others_count_is_counted_too(stage: SetUp) -> None:
    on = await stage(1)
    await settle(on, daily_quota=1_000)
    unsent = await on.pool.fetch("SELECT $1::timestamptz AS marked_at, 1 AS part_count", on.now)

    async def reserve_and_wait(go: asyncio.Event) -> None:
        async with transaction(on.pool) as conn:
            await quota_store.free_parts(conn, on.channel.id, on.now)
            await quota_store.use(conn, on.channel.id, 10, on.now)
            used_up.set()
            await go.wait()

    async def give_back() -> None:
        async with transaction(on.pool) as conn:
            await quota_store.give_back(conn, on.channel.id, unsent)

    go, used_up = asyncio.Event(), asyncio.Event()
    go.set()
    await reserve_and_wait(go)
    go.clear()
    used_up.clear()
    reserving = asyncio.create_task(reserve_and_wait(go))
    await until(used_up.is_set)
    giving = [asyncio.create_task(give_back()) for _ in range(5)]
    await until_blocked(on.pool, *giving)
    go.set()
    await asyncio.gather(reserving, *giving)
    assert await used(on) == (15, 15)
