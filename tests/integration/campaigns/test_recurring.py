"""Recurring campaigns: each fire of the plan once, recorded, through outages and jumping clocks."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from service.accounts.people.model import By
from service.campaigns.approval import approval
from service.campaigns.calendar import county_store
from service.campaigns.calendar.fires import fires
from service.campaigns.calendar.holidays import CalendarChanges, Notice
from service.campaigns.calendar.hours import County
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import fire_store, store
from service.campaigns.core.model import Campaign, State, WrongState
from service.campaigns.plans import lifecycle, missed, planning
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs.firing import fire_due, reset_next_fires
from service.errors import Conflict
from service.storage.postgres import Pool, transaction
from tests.factories import Team, make_scheduled, make_team

SHANGHAI = ZoneInfo("Asia/Shanghai")
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3_600, 86_400))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def _plan(rrule: str, start: str = "2027-01-13T09:00", **more: Any) -> Schedule:
    return Schedule("recurring", _at(start), rrule=rrule, **more)


async def _scheduled(pool: Pool, now: datetime, plan: Schedule) -> tuple[Team, Campaign]:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        return team, await make_scheduled(conn, team, now=now, schedule=plan)


async def _load(pool: Pool, campaign: Campaign) -> Campaign:
    async with transaction(pool) as conn:
        return await planning.load(conn, campaign.id, None)


async def _close_runs(pool: Pool, now: datetime) -> None:
    """Everything is handed off."""
    async with transaction(pool) as conn:
        rows = await conn.fetch(
            "UPDATE runs SET state = 'sent' WHERE state = 'expanding' RETURNING campaign_id"
        )
        await finish_campaigns(conn, [row["campaign_id"] for row in rows], now)


async def _outcomes(pool: Pool, campaign_id: UUID) -> list[str]:
    """The days of the plan: (left out), [held], <missed>."""
    async with pool.acquire() as conn:
        found = await fire_store.list_fires(conn, campaign_id, None, 1_000)
    days = [(f"{f.planned_at.astimezone(SHANGHAI):%m-%d}", f.outcome) for f in reversed(found)]
    shown = {"fired": "{}", "skipped": "({})", "held": "[{}]", "missed": "<{}>"}
    return [shown[outcome].format(day) for day, outcome in days]


async def _fired_at(pool: Pool, campaign: Campaign) -> list[str]:
    async with pool.acquire() as conn:
        rows = await conn.fetch(
            "SELECT fire_at FROM runs WHERE campaign_id = $1 ORDER BY fire_at", campaign.id
        )
    return [f"{row['fire_at'].astimezone(SHANGHAI):%m-%d %H:%M}" for row in rows]


@pytest.mark.slow
async def test_a_year_of_each_kind_under_two_schedulers(pool: Pool, now: datetime) -> None:
    """At each instant at which anything is due, two schedulers look; a second before none is."""
    until = _at("2027-12-31T23:59")
    plans = [
        _plan("FREQ=WEEKLY;BYDAY=FR", until=until),
        _plan("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "2027-01-18T10:00", until=until),
        _plan("FREQ=MONTHLY;BYMONTHDAY=-1", "2027-01-13T15:00", until=until),
        _plan("FREQ=MONTHLY;BYMONTHDAY=5", "2027-01-13T11:00", holidays="skip", until=until),
        _plan("FREQ=DAILY;UNTIL=20270331", "2027-01-13T08:00", days="workdays"),
    ]
    campaigns = [(await _scheduled(pool, now, plan))[1] for plan in plans]
    steps = 0
    while True:
        async with pool.acquire() as conn:
            due = await conn.fetchval("SELECT min(next_fire_at) FROM campaigns")
            if due is None:
                break
            assert await store.due_campaigns(conn, due - SECOND) == []
        await asyncio.gather(fire_due(pool, due), fire_due(pool, due))
        await _close_runs(pool, due)
        steps += 1
    assert steps > 150
    for plan, campaign in zip(plans, campaigns, strict=True):
        expected = [f.at for f in fires(plan, plan.terms("public_interest"), County())]
        skipped = [f.at for f in fires(plan, plan.terms("public_interest"), County()) if f.skipped]
        async with pool.acquire() as conn:
            runs = await conn.fetch(
                "SELECT fire_at FROM runs WHERE campaign_id = $1 ORDER BY fire_at", campaign.id
            )
        assert [row["fire_at"] for row in runs] == [at for at in expected if at not in skipped]
        assert len(await _outcomes(pool, campaign.id)) == len(expected)
        assert (await _load(pool, campaign)).state is State.DONE
    weekly = await _fired_at(pool, campaigns[0])
    assert len(weekly) == 51
    assert weekly[3:5] == ["02-07 09:00", "02-12 09:00"]  # the eve is the 5th
    monthly = await _outcomes(pool, campaigns[3].id)
    assert monthly[:4] == ["(02-05)", "03-05", "(04-05)", "05-05"]
    workdays = await _fired_at(pool, campaigns[4])
    assert len(workdays) == 56 - 2  # weekdays, less the 5th and 8th of February
    assert not {"02-05 08:00", "02-06 08:00", "02-08 08:00"} & set(workdays)


@pytest.mark.parametrize(
    ("late", "outage", "outcomes", "state"),
    [
        # Daily at nine from the 13th; the schedulers are away from the 14th, 8:59:30.
        ("run", MINUTE, ["13", "14"], State.RUNNING),
        ("hold", MINUTE, ["13", "14"], State.RUNNING),
        ("skip", MINUTE, ["13", "14"], State.RUNNING),
        ("run", 16 * MINUTE, ["13", "14"], State.RUNNING),
        ("hold", 16 * MINUTE, ["13", "[14]"], State.SCHEDULED),
        ("skip", 16 * MINUTE, ["13", "(14)"], State.SCHEDULED),
        # Of several, the last stands for all.
        ("run", DAY + 5 * MINUTE, ["13", "(14)", "15"], State.RUNNING),
        ("hold", DAY + 5 * MINUTE, ["13", "(14)", "15"], State.RUNNING),
        ("skip", DAY + 5 * MINUTE, ["13", "(14)", "15"], State.RUNNING),
        ("run", 3 * DAY + HOUR, ["13", "(14)", "(15)", "(16)", "17"], State.RUNNING),
        ("hold", 3 * DAY + HOUR, ["13", "(14)", "(15)", "(16)", "[17]"], State.SCHEDULED),
        ("skip", 3 * DAY + HOUR, ["13", "(14)", "(15)", "(16)", "(17)"], State.SCHEDULED),
    ],
)
async def test_after_an_outage(
    pool: Pool, now: datetime, late: str, outage: timedelta, outcomes: list[str], state: State
) -> None:
    _, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY", late=late))
    assert len(await fire_due(pool, _at("2027-01-13T09:00"))) == 1
    await _close_runs(pool, _at("2027-01-13T12:00"))
    assert (await _load(pool, campaign)).state is State.SCHEDULED
    back = _at("2027-01-14T08:59:30") + outage
    await asyncio.gather(*(fire_due(pool, back) for _ in range(3)))
    found = [day.replace("01-", "") for day in await _outcomes(pool, campaign.id)]
    assert found == outcomes
    after = await _load(pool, campaign)
    assert after.state is state
    assert after.next_fire_at == _at("2027-01-13T09:00") + len(outcomes) * DAY
    async with pool.acquire() as conn:
        doubles = await conn.fetchval(
            "SELECT count(*) - count(DISTINCT fire_at) FROM runs WHERE campaign_id = $1",
            campaign.id,
        )
    assert doubles == 0


async def test_a_fire_that_is_held_holds_none_after_it(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY", late="hold"))
    assert await fire_due(pool, _at("2027-01-13T10:00")) == []
    for day in (14, 15):
        assert len(await fire_due(pool, _at(f"2027-01-{day}T09:00"))) == 1
    assert await _outcomes(pool, campaign.id) == ["[01-13]", "01-14", "01-15"]
    released = _at("2027-01-15T11:00")
    await _release(pool, team, campaign, released)
    assert len(await fire_due(pool, released)) == 1
    assert await fire_due(pool, released + SECOND) == []
    assert await _outcomes(pool, campaign.id) == ["01-13", "01-14", "01-15"]
    assert (await _fired_at(pool, campaign))[-1] == "01-15 11:00"
    assert (await _load(pool, campaign)).next_fire_at == _at("2027-01-16T09:00")


async def _release(
    pool: Pool, team: Team, campaign: Campaign, at: datetime, **how: Any
) -> Campaign:
    async with transaction(pool) as conn:
        by = By(team.operator.id, "checked", at)
        return await lifecycle.release(conn, team.operator, campaign.id, by, **how)


async def test_of_several_held_fires_one_is_named(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY;COUNT=3", late="hold"))
    for day in (13, 14, 15):
        assert await fire_due(pool, _at(f"2027-01-{day}T10:00")) == []
    assert await _outcomes(pool, campaign.id) == ["[01-13]", "[01-14]", "[01-15]"]
    await _close_runs(pool, _at("2027-01-15T10:00"))
    assert (await _load(pool, campaign)).state is State.SCHEDULED, "it waits for a person"
    at = _at("2027-01-15T11:00")
    with pytest.raises(missed.SeveralHeld, match="planned_at"):
        await _release(pool, team, campaign, at)
    with pytest.raises(Conflict, match="no fire of this instant"):
        await _release(pool, team, campaign, at, planned_at=_at("2027-01-12T09:00"))
    await _release(pool, team, campaign, at, planned_at=_at("2027-01-14T09:00"))
    await _release(pool, team, campaign, at, planned_at=_at("2027-01-13T09:00"), missed="skip")
    assert len(await fire_due(pool, at)) == 1
    assert await _outcomes(pool, campaign.id) == ["(01-13)", "01-14", "[01-15]"]
    await _close_runs(pool, at)
    assert (await _load(pool, campaign)).state is State.SCHEDULED
    done = await _release(pool, team, campaign, at + HOUR, missed="skip")
    assert done.state is State.DONE, "nothing of it is to come"
    with pytest.raises(WrongState):
        await _release(pool, team, campaign, at + HOUR)


async def test_a_plan_that_says_so_waits_as_a_whole(pool: Pool, now: datetime) -> None:
    plan = _plan("FREQ=DAILY", late="hold", hold_following=True)
    team, campaign = await _scheduled(pool, now, plan)
    assert await fire_due(pool, _at("2027-01-13T10:00")) == []
    assert (await _load(pool, campaign)).state is State.HELD
    for day in (14, 15):
        at = _at(f"2027-01-{day}T12:00")
        assert await fire_due(pool, at) == []
        assert await missed.record_missed(pool, at) > 0
    assert await _outcomes(pool, campaign.id) == ["[01-13]", "<01-14>", "<01-15>"]
    with pytest.raises(missed.MissedFires, match="2027-01-15 09:00"):
        await _release(pool, team, campaign, at)
    first = _at("2027-01-13T09:00")
    for choice in ("run", "skip"):
        with pytest.raises(Conflict, match="stands for those before it: name 2027-01-15 09:00"):
            await _release(pool, team, campaign, at, planned_at=first, missed=choice)
    await _release(pool, team, campaign, at, missed="run")
    assert len(await fire_due(pool, at)) == 1
    assert await _outcomes(pool, campaign.id) == ["(01-13)", "(01-14)", "01-15"]
    assert (await _load(pool, campaign)).next_fire_at == _at("2027-01-16T09:00")


@pytest.mark.parametrize(
    ("late", "choice", "outcomes", "runs"),
    [
        ("hold", "run", ["(01-13)", "01-14"], 1),
        ("hold", "hold", ["(01-13)", "[01-14]"], 0),
        ("hold", "skip", ["(01-13)", "(01-14)"], 0),
        ("run", None, ["(01-13)", "01-14"], 1),
        ("run", "hold", ["(01-13)", "[01-14]"], 0),
        ("skip", None, ["(01-13)", "(01-14)"], 0),
        ("skip", "skip", ["(01-13)", "(01-14)"], 0),
    ],
)
async def test_whoever_resumes_says_what_becomes_of_what_was_missed(
    pool: Pool, now: datetime, late: str, choice: Any, outcomes: list[str], runs: int
) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY", late=late))
    at = _at("2027-01-14T12:00")
    async with transaction(pool) as conn:
        await lifecycle.pause(conn, team.operator, campaign.id, By(team.operator.id, "r", now))
    assert await missed.record_missed(pool, at) == 1
    assert await missed.record_missed(pool, at) == 0, "each once"
    assert await _outcomes(pool, campaign.id) == ["<01-13>", "<01-14>"]
    async with transaction(pool) as conn:
        by = By(team.operator.id, "r", at)
        await lifecycle.resume(conn, team.operator, campaign.id, by, choice)
    assert len(await fire_due(pool, at)) == runs
    assert await _outcomes(pool, campaign.id) == outcomes
    assert len(await fire_due(pool, _at("2027-01-15T09:00"))) == 1, "later fires go on"


@pytest.mark.parametrize(("late", "choice"), [("hold", None), ("skip", "run"), ("skip", "hold")])
async def test_without_a_choice_that_the_plan_allows_it_is_not_resumed(
    pool: Pool, now: datetime, late: str, choice: Any
) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY", late=late))
    async with transaction(pool) as conn:
        await lifecycle.pause(conn, team.operator, campaign.id, By(team.operator.id, "r", now))
    by = By(team.operator.id, "r", _at("2027-01-13T09:16"))
    with pytest.raises(Conflict, match="missed"):
        async with transaction(pool) as conn:
            await lifecycle.resume(conn, team.operator, campaign.id, by, choice)
    assert (await _load(pool, campaign)).state is State.PAUSED
    async with transaction(pool) as conn:
        by = By(team.operator.id, "r", _at("2027-01-13T09:15"))
        await lifecycle.resume(conn, team.operator, campaign.id, by)
    assert len(await fire_due(pool, _at("2027-01-13T09:15"))) == 1, "in time it simply fires"


@pytest.mark.parametrize("jump", [-3 * DAY, -HOUR, HOUR, 8 * HOUR])
async def test_a_clock_that_jumps_repeats_nothing(
    pool: Pool, now: datetime, jump: timedelta
) -> None:
    _, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY"))
    fired = _at("2027-01-14T09:00")
    for at in (_at("2027-01-13T09:00"), fired, fired + jump, fired + SECOND):
        await fire_due(pool, at)
    assert await _outcomes(pool, campaign.id) == ["01-13", "01-14"]
    assert (await _load(pool, campaign)).next_fire_at == _at("2027-01-15T09:00")


async def test_it_fires_while_an_earlier_run_goes_on(pool: Pool, now: datetime) -> None:
    _, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY;COUNT=2"))
    await fire_due(pool, _at("2027-01-13T09:00"))
    await fire_due(pool, _at("2027-01-14T09:00"))
    assert await _fired_at(pool, campaign) == ["01-13 09:00", "01-14 09:00"]
    assert (await _load(pool, campaign)).state is State.RUNNING
    await _close_runs(pool, _at("2027-01-15T09:00"))
    assert (await _load(pool, campaign)).state is State.DONE


async def test_a_plan_ends_only_with_its_last_run(pool: Pool, now: datetime) -> None:
    """Else nobody could pause or cancel what is still going out."""
    plan = _plan("FREQ=DAILY;COUNT=2", late="skip")
    _, campaign = await _scheduled(pool, now, plan)
    await fire_due(pool, _at("2027-01-13T09:00"))
    await pool.execute("UPDATE campaigns SET state = 'scheduled'")  # held and released meanwhile
    late = _at("2027-01-14T10:00")
    assert await fire_due(pool, late) == []
    assert await _outcomes(pool, campaign.id) == ["01-13", "(01-14)"]
    assert (await _load(pool, campaign)).state is State.SCHEDULED
    await _close_runs(pool, late)
    assert (await _load(pool, campaign)).state is State.DONE


async def test_a_plan_is_not_rejected_while_a_run_of_it_goes_on(pool: Pool, now: datetime) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY"))
    await fire_due(pool, _at("2027-01-13T09:00"))
    await pool.execute("UPDATE campaigns SET baseline = 1000")
    later = _at("2027-01-14T09:00")
    await fire_due(pool, later)
    assert (await _load(pool, campaign)).state is State.PENDING_APPROVAL
    with pytest.raises(Conflict, match="cancel it"):
        async with transaction(pool) as conn:
            await approval.reject(conn, team.approver, campaign.id, "no", later)
    await _close_runs(pool, later)
    async with transaction(pool) as conn:
        await approval.reject(conn, team.approver, campaign.id, "no", later)
    assert (await _load(pool, campaign)).state is State.REJECTED


async def test_paused_it_waits_and_its_missed_fires_follow_the_plan(
    pool: Pool, now: datetime
) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY", late="skip"))
    by = By(team.operator.id, "r", now)
    async with transaction(pool) as conn:
        await lifecycle.pause(conn, team.operator, campaign.id, by)
    assert await fire_due(pool, _at("2027-01-14T12:00")) == []
    async with transaction(pool) as conn:
        resumed = await lifecycle.resume(conn, team.operator, campaign.id, by)
    assert resumed.state is State.SCHEDULED
    assert await fire_due(pool, _at("2027-01-14T12:00")) == []
    assert await _outcomes(pool, campaign.id) == ["(01-13)", "(01-14)"]


async def test_a_plan_that_recurred_may_become_one_that_fires_once(
    pool: Pool, now: datetime
) -> None:
    team, campaign = await _scheduled(pool, now, _plan("FREQ=DAILY"))
    await fire_due(pool, _at("2027-01-13T09:00"))
    edited = _at("2027-01-13T12:00")
    await _close_runs(pool, edited)
    once = Schedule("once", _at("2027-01-20T10:00"))
    async with transaction(pool) as conn:
        await planning.edit(
            conn, team.operator, campaign.id, lambda plan: replace(plan, schedule=once), edited
        )
        await approval.submit(conn, team.operator, campaign.id, edited)
        await approval.approve(conn, team.approver, campaign.id, "", edited)
    assert await fire_due(pool, _at("2027-01-20T09:59")) == []
    assert len(await fire_due(pool, _at("2027-01-20T10:00"))) == 1
    await _close_runs(pool, _at("2027-01-20T11:00"))
    assert (await _load(pool, campaign)).state is State.DONE
    assert await _fired_at(pool, campaign) == ["01-13 09:00", "01-20 10:00"]


async def test_a_new_calendar_moves_what_is_to_come(pool: Pool, now: datetime) -> None:
    """The notice makes Friday the 15th a holiday; the plan goes to the working day before."""
    plan = _plan("FREQ=WEEKLY;BYDAY=FR", holidays="previous_workday")
    _, campaign = await _scheduled(pool, now, plan)
    assert campaign.next_fire_at == _at("2027-01-15T09:00")
    notice = Notice(2027, "通知", {date(2027, 1, 15): "节"}, frozenset())
    async with transaction(pool) as conn:
        body = CalendarChanges((notice,)).as_json()
        await county_store.insert_version(conn, "calendar", body, "announced", None, now)
        assert await reset_next_fires(conn, now) == 1
    assert (await _load(pool, campaign)).next_fire_at == _at("2027-01-14T09:00")
    assert len(await fire_due(pool, _at("2027-01-14T09:00"))) == 1
    assert (await _load(pool, campaign)).next_fire_at == _at("2027-01-22T09:00")


async def test_a_calendar_that_nobody_armed_for_is_looked_at_when_it_fires(
    pool: Pool, now: datetime
) -> None:
    _, campaign = await _scheduled(pool, now, _plan("FREQ=WEEKLY;BYDAY=FR", holidays="skip"))
    notice = Notice(2027, "通知", {date(2027, 1, 15): "节"}, frozenset())
    async with transaction(pool) as conn:
        body = CalendarChanges((notice,)).as_json()
        await county_store.insert_version(conn, "calendar", body, "announced", None, now)
    assert await fire_due(pool, _at("2027-01-15T09:00")) == []
    after = await _load(pool, campaign)
    assert (after.state, after.next_fire_at) == (State.SCHEDULED, _at("2027-01-22T09:00"))
