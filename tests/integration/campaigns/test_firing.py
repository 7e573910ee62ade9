"""Firing: once, in time or by the late policy; and steering that waits for the hand-off."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import By
from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.core import store
from service.campaigns.core.model import Campaign, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs import firing
from service.campaigns.runs.firing import DriftLimits, fire_due
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import Team, make_scheduled, make_team, phone
from tests.harness.waiting import until_blocked

HOUR = timedelta(hours=1)


async def _scheduled(pool: Pool, now: datetime, schedule: Schedule) -> tuple[Team, Campaign]:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        return team, await make_scheduled(conn, team, now=now, schedule=schedule)


async def _state(pool: Pool, campaign: Campaign) -> State:
    async with transaction(pool) as conn:
        return (await planning.load(conn, campaign.id, None)).state


async def test_it_fires_at_its_time_and_once(pool: Pool, now: datetime) -> None:
    _, campaign = await _scheduled(pool, now, Schedule("once", now + HOUR))
    assert await fire_due(pool, now + HOUR - timedelta(seconds=1)) == []
    assert len(await fire_due(pool, now + HOUR)) == 1
    assert await fire_due(pool, now + HOUR) == []
    assert await _state(pool, campaign) is State.RUNNING


async def test_a_run_is_a_copy_of_what_was_approved(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, Schedule(validity_minutes=60))
    (run_id,) = await fire_due(pool, now)
    async with transaction(pool) as conn:
        run = await conn.fetchrow("SELECT * FROM runs WHERE id = $1", run_id)
    assert run is not None
    assert run["text"] == campaign.text
    assert run["rule"] == campaign.frozen_rule
    assert run["department_id"] == team.department_id
    assert run["fire_at"] == now
    assert run["valid_until"] == now + HOUR
    assert run["send_hours"] == [["08:00", "20:00"]]


async def test_many_schedulers_make_one_run(pool: Pool, now: datetime) -> None:
    for _ in range(3):
        await _scheduled(pool, now, Schedule())
    fired = await asyncio.gather(*(fire_due(pool, now) for _ in range(6)))
    runs = [run for one in fired for run in one]
    assert len(runs) == len(set(runs)) == 3
    async with transaction(pool) as conn:
        assert await conn.fetchval("SELECT count(*) FROM runs") == 3


@pytest.mark.parametrize(
    ("late", "minutes", "runs", "state"),
    [
        ("run", 15, 1, State.RUNNING),
        ("run", 60 * 24 * 30, 1, State.RUNNING),
        ("hold", 15, 1, State.RUNNING),
        ("hold", 16, 0, State.HELD),
        ("skip", 15, 1, State.RUNNING),
        ("skip", 16, 0, State.DONE),
    ],
)
async def test_a_late_fire_follows_the_plan(
    pool: Pool, now: datetime, late: LatePolicy, minutes: int, runs: int, state: State
) -> None:
    schedule = Schedule("once", now + HOUR, late=late)
    _, campaign = await _scheduled(pool, now, schedule)
    fired = await fire_due(pool, now + HOUR + timedelta(minutes=minutes))
    assert len(fired) == runs
    assert await _state(pool, campaign) is state


async def test_a_held_campaign_fires_once_released(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, Schedule("once", now + HOUR, late="hold"))
    later = now + 5 * HOUR
    assert await fire_due(pool, later) == []
    async with transaction(pool) as conn:
        by = By(team.operator.id, "checked", later)
        await lifecycle.release(conn, team.operator, campaign.id, by)
    assert len(await fire_due(pool, later)) == 1


@pytest.mark.attack
async def test_what_was_tampered_with_after_approval_is_held(pool: Pool, now: datetime) -> None:
    _, campaign = await _scheduled(pool, now, Schedule())
    async with transaction(pool) as conn:
        await conn.execute("UPDATE campaigns SET frozen_rule = 'gender = \"f\"'")
    assert await fire_due(pool, now) == []
    assert await _state(pool, campaign) is State.HELD
    async with transaction(pool) as conn:
        moves = await store.list_moves(conn, campaign.id)
    assert moves[-1].reason == "not what was approved"


async def test_one_campaigns_trouble_holds_up_no_other(
    pool: Pool, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bad = await _scheduled(pool, now, Schedule())
    await _scheduled(pool, now, Schedule())
    real = firing._fire

    async def fire(
        conn: Connection, campaign_id: UUID, at: datetime, limits: DriftLimits
    ) -> UUID | None:
        if campaign_id == bad.id:
            raise RuntimeError("trouble")
        return await real(conn, campaign_id, at, limits)

    monkeypatch.setattr(firing, "_fire", fire)
    assert len(await fire_due(pool, now)) == 1


async def test_a_campaign_paused_before_its_time_waits(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, Schedule("once", now + HOUR))
    by = By(team.operator.id, "r", now)
    async with transaction(pool) as conn:
        await lifecycle.pause(conn, team.operator, campaign.id, by)
    assert await fire_due(pool, now + HOUR) == []
    async with transaction(pool) as conn:
        resumed = await lifecycle.resume(conn, team.operator, campaign.id, by)
    assert resumed.state is State.SCHEDULED
    assert len(await fire_due(pool, now + HOUR)) == 1


async def test_a_campaign_cancelled_before_its_time_never_fires(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, Schedule("once", now + HOUR))
    async with transaction(pool) as conn:
        by = By(team.operator.id, "r", now)
        cancelled = await lifecycle.cancel(conn, team.operator, campaign.id, by)
    assert cancelled.next_fire_at is None
    assert await fire_due(pool, now + HOUR) == []


async def test_a_campaign_is_done_when_its_last_run_is(pool: Pool, now: datetime) -> None:
    _, campaign = await _scheduled(pool, now, Schedule())
    (run_id,) = await fire_due(pool, now)
    async with transaction(pool) as conn:
        assert await finish_campaigns(conn, [campaign.id], now) == []
        await conn.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run_id)
        assert await finish_campaigns(conn, [campaign.id], now) == [campaign.id]
    assert await _state(pool, campaign) is State.DONE


@pytest.mark.parametrize("act", [lifecycle.pause, lifecycle.cancel])
async def test_pause_and_cancel_wait_for_a_hand_off_that_is_being_marked(
    pool: Pool, now: datetime, act: Callable[..., Awaitable[Campaign]]
) -> None:
    """Invariant I7: they answer only once no hand-off is half-way through its mark."""
    team, campaign = await _scheduled(pool, now, Schedule())
    (run_id,) = await fire_due(pool, now)
    async with transaction(pool) as conn:
        await conn.execute("UPDATE runs SET state = 'running' WHERE id = $1", run_id)
        await conn.execute(
            """
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles)
            VALUES ($1, 1, $2, '', 1, 'china_mobile', '{}')
            """,
            run_id,
            phone(1).encode(),
        )

    async def steer() -> None:
        async with transaction(pool) as conn:
            await act(conn, team.operator, campaign.id, By(team.operator.id, "r", now))

    async with transaction(pool) as marking:
        await marking.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended($1::uuid::text, 0))", run_id
        )
        steering = asyncio.create_task(steer())
        await until_blocked(pool, steering)
        await marking.execute("UPDATE messages SET state = 'submitting' WHERE run_id = $1", run_id)
    await steering
    async with transaction(pool) as conn:
        run = await conn.fetchval("SELECT state FROM runs WHERE id = $1", run_id)
        message = await conn.fetchval("SELECT state::text FROM messages WHERE run_id = $1", run_id)
    assert run == ("paused" if act is lifecycle.pause else "cancelled")
    assert message == "submitting"  # it was marked before the answer, so it may leave
