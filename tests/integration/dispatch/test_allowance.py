"""A department's quota in parts: kept over all channels and processes, and felt by nobody else."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.accounts.departments import department_store
from service.channels.contract.gateway import Submission, SubmitResult
from service.dispatch.limits.pace import RateLimit, TokenGrant
from service.storage.postgres import transaction
from tests.harness.ledger import TEXT
from tests.harness.shares import another, whose
from tests.harness.stage import Accept, Free, Scripted, SetUp, Stage, working
from tests.harness.waiting import until

MIDNIGHT = datetime(2027, 1, 12, 16, tzinfo=UTC)  # in Beijing
LONG = TEXT + "先做小任务返小钱、再让垫付大单的，都是刷单诈骗。" * 2  # two parts


async def allow(
    on: Stage,
    *,
    daily_quota: int | None = None,
    monthly_quota: int | None = None,
    yearly_quota: int | None = None,
) -> None:
    async with transaction(on.pool) as conn:
        found = await department_store.get_department(conn, on.scene.department, None)
        new = replace(
            found.settings,
            daily_quota=daily_quota,
            monthly_quota=monthly_quota,
            yearly_quota=yearly_quota,
        )
        await department_store.update_department(conn, on.scene.department, new)


async def used(on: Stage) -> dict[str, int]:
    rows = await on.pool.fetch("SELECT span, sum(parts) AS parts FROM department_use GROUP BY span")
    return {row["span"]: row["parts"] for row in rows}


async def hold_of(on: Stage) -> tuple[datetime, str] | None:
    async with on.pool.acquire() as conn:
        found = await department_store.get_department(conn, on.scene.department, None)
    return (found.held_until, found.held_why) if found.held_until else None


def held(on: Stage) -> Any:
    async def check() -> bool:
        return await hold_of(on) is not None and "submitting" not in await on.states()

    return check


async def test_two_connections_together_stay_within_the_days_quota(stage: SetUp) -> None:
    on = await stage(1_000, window=16, connections=2)
    await allow(on, daily_quota=101)
    gateways = [Scripted(lambda _: Accept) for _ in range(2)]
    async with (
        working(on, gateways[0]) as sender,
        working(on, gateways[1], lease=await on.must_lease(1)) as peer,
    ):
        await until(held(on), 10)
        assert sum(len(gateway.written) for gateway in gateways) == 101
        assert await used(on) == {"day": 101, "month": 101, "year": 101}
        why = "the department's quota of 101 parts a day is used up"
        assert await hold_of(on) == (MIDNIGHT, why)
        sender.clock.at = peer.clock.at = on.now + timedelta(days=1)

        async def the_next_day() -> bool:
            return (await used(on))["month"] == 202 and "submitting" not in await on.states()

        await until(the_next_day, 10)
    assert sum(len(gateway.written) for gateway in gateways) == 202


@pytest.mark.parametrize(
    ("quotas", "end"),
    [
        ({"daily_quota": 25, "monthly_quota": 10}, datetime(2027, 1, 31, 16, tzinfo=UTC)),
        ({"daily_quota": 25, "yearly_quota": 10}, datetime(2027, 12, 31, 16, tzinfo=UTC)),
    ],
)
async def test_the_tightest_quota_holds(
    stage: SetUp, quotas: dict[str, int], end: datetime
) -> None:
    on = await stage(30, window=8)
    await allow(on, **quotas)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(held(on), 10)
    assert len(gateway.written) == 10
    hold = await hold_of(on)
    assert hold is not None
    assert hold[0] == end


async def test_a_text_that_does_not_fit_whole_waits(stage: SetUp) -> None:
    on = await stage(6, window=8, text=LONG)
    await allow(on, daily_quota=5)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(held(on), 10)
    assert await used(on) == {"day": 4, "month": 4, "year": 4}
    assert await on.states() == {"submitted": 2, "queued": 4}


async def test_the_next_department_goes_on(stage: SetUp) -> None:
    on = await stage(300, window=8)
    other = await another(on, 1, 300)
    await allow(on, daily_quota=20)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):

        async def over() -> bool:
            return (await other.states()).get("submitted") == 300

        await until(over, 20)
    assert whose(gateway) == {0: 20, 1: 300}
    assert set(await used(on)) == {"day", "month", "year"}  # nothing is counted for the other


async def test_a_raised_quota_lets_the_rest_go(stage: SetUp) -> None:
    on = await stage(40, window=8)
    await allow(on, daily_quota=10)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway):
        await until(held(on), 10)
        await allow(on, daily_quota=None)

        async def over() -> bool:
            return (await on.states()).get("submitted") == 40

        await until(over, 10)


async def test_what_was_not_sent_is_given_back(stage: SetUp) -> None:
    on = await stage(40, window=32)
    await allow(on, daily_quota=30)

    def nothing(_: Submission) -> SubmitResult | None:
        return None

    gateway = Scripted(nothing)

    class Nothing(Free):
        async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
            grant = await super().take(limits, want, least)
            return TokenGrant(0, 0.05, grant.asked_at)

    async with working(on, gateway, pace=Nothing()) as sender:

        async def is_held() -> bool:
            return await hold_of(on) is not None

        await until(is_held)
        assert (await used(on))["day"] == 30
        gateway.lost.set()
        await sender.end()
    assert await used(on) == {"day": 0, "month": 0, "year": 0}
    assert await hold_of(on) is None
