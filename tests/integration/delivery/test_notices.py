"""Notices by text on a real PostgreSQL: who is told of what, once, and when."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.accounts.people.model import By, Role, User
from service.campaigns.approval import approval
from service.campaigns.calendar.fires import Why
from service.campaigns.core import store as campaigns
from service.campaigns.core.model import Act, State
from service.crypto import Keyring
from service.delivery.notices import notice_store, notices
from service.delivery.notices.notice_choice import NoticeKind
from service.dispatch.direct import direct
from service.settings import Settings
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import make_team, make_user, phone
from tests.harness.ledger import add_channel
from tests.harness.rounds import RACE_ROUNDS
from tests.harness.told import CONSOLE, LATER, Told

MINE = phone(7)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def told(pool: Pool, keyring: Keyring, runtime_settings: Settings, now: datetime) -> Told:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        await add_channel(conn, keyring, 1, now)
    settings = runtime_settings.model_copy(update={"console_url": CONSOLE})
    return Told(pool, keyring, settings, team, now)


async def _said(told: Told) -> list[str]:
    return [text.partition("】")[2] for text, _ in await told.texts()]


async def test_whoever_may_approve_is_told_once_a_minute_later(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    assert await told.make(notices.TOGETHER - timedelta(seconds=1)) == set()
    (channel,) = await told.make()
    assert channel
    ((text, number),) = await told.texts()
    assert number == MINE
    assert text.endswith(f"】待您签发的任务：1。登录查看：{CONSOLE}")
    for hours in (1, 5, 24):
        await told.make(timedelta(hours=hours))
    assert len(await told.texts()) == 1


async def test_nobody_is_told_who_did_not_ask(told: Told) -> None:
    await told.submit()
    await told.make()
    assert await told.all() == []
    assert await told.pool.fetchval("SELECT count(*) FROM notice_causes") == 0


async def test_only_those_who_could_approve_are_told(told: Told) -> None:
    """The operator wants it as well, and an approver who is out of service."""
    async with transaction(told.pool) as conn:
        gone = await make_user(
            conn, Role.APPROVER, now=told.now, department_id=told.team.department_id
        )
        stranger = await make_user(conn, Role.APPROVER, now=told.now)
    for number, user in enumerate((told.team.operator, told.team.approver, gone, stranger)):
        await told.wants(user, number=number)
    await told.pool.execute("UPDATE users SET disabled_at = $2 WHERE id = $1", gone.id, told.now)
    await told.submit()
    await told.make()
    assert [number for _, number in await told.texts()] == [phone(1)]


async def test_ten_submissions_in_a_minute_make_one_text(told: Told) -> None:
    await told.wants(told.team.approver)
    for _ in range(10):
        await told.submit()
    await told.make()
    assert await _said(told) == [f"待您签发的任务：10。登录查看：{CONSOLE}"]
    assert len({row["run_id"] for row in await told.all()}) == 1


async def test_the_next_text_comes_15_minutes_later_and_five_come_a_day(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    await told.make()
    began = told.now
    for turn in range(1, 8):
        told.now = began + turn * 20 * MINUTE
        await told.submit()
        await told.make(timedelta(0))
        await told.make()
    assert len(await told.texts()) == notices.MOST_A_DAY
    told.now = began + timedelta(hours=24) + 2 * MINUTE
    await told.make(timedelta(0))
    assert (await _said(told))[-1].startswith("待您签发的任务：3。")


async def test_a_second_text_waits_its_15_minutes(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    await told.make()
    await told.submit()
    await told.make(LATER + notices.APART - timedelta(seconds=1))
    assert len(await told.texts()) == 1
    await told.make(LATER + notices.APART)
    assert len(await told.texts()) == 2


async def test_what_was_decided_meanwhile_is_not_told(told: Told) -> None:
    await told.wants(told.team.approver)
    campaign = await told.submit()
    await told.make(timedelta(0))
    async with transaction(told.pool) as conn:
        await approval.approve(conn, told.team.approver, campaign.id, "", told.now)
    await told.submit()
    await told.make()
    assert (await _said(told))[0].startswith("待您签发的任务：1。")
    assert await told.skips() == ["over", None]


async def test_whoever_submitted_is_told_that_it_was_returned_and_the_approver_is_not(
    told: Told,
) -> None:
    await told.wants(told.team.operator)
    await told.wants(told.team.approver, [NoticeKind.RETURNED], number=8)
    campaign = await told.submit()
    await told.send_back(campaign.id)
    await told.make()
    ((text, number),) = await told.texts()
    assert (number, "退回给您的任务：1。" in text) == (MINE, True)


@pytest.mark.parametrize(("code", "expected"), [(Why.GUARD, 1), ("", 0)])
async def test_a_pause_by_itself_is_told_and_one_by_a_person_is_not(
    told: Told, code: str, expected: int
) -> None:
    await told.wants(told.team.operator, language="en")
    campaign = await told.submit()
    async with transaction(told.pool) as conn:
        await approval.approve(conn, told.team.approver, campaign.id, "", told.now)
        by = By(None if code else told.team.approver.id, "x", told.now, code)
        assert await campaigns.move(conn, campaign.id, Act.PAUSE, State.PAUSED, by)
    await told.make()
    said = f"campaigns of yours that paused by themselves: 1. Log in to see: {CONSOLE}"
    assert await _said(told) == [said] * expected


async def test_at_night_nobody_is_told_and_in_the_morning_all_comes_in_one_text(
    told: Told,
) -> None:
    await told.wants(told.team.approver)
    morning = told.now
    told.now = morning + timedelta(hours=12)  # 21:30 in Shanghai
    for _ in range(2):
        await told.submit()
    for hours in range(10):
        await told.make(timedelta(hours=hours) + LATER)
    assert await told.texts() == []
    await told.make(timedelta(hours=11))
    assert (await _said(told))[0].startswith("待您签发的任务：2。")


@pytest.mark.attack
async def test_a_notice_is_a_text_like_any_other(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    await told.make()
    (run,) = await told.pool.fetch("SELECT * FROM runs")
    assert (run["class"], run["over_cap"], run["confirms"]) == ("service", "stop", None)
    assert run["department_id"] == told.team.department_id
    assert run["send_hours"] == [["08:00", "20:00"]]
    assert run["valid_until"] == told.now + LATER + notices.VALIDITY


@pytest.mark.attack
async def test_whoever_opted_out_of_work_notices_gets_none_and_it_says_why(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.pool.execute(
        "INSERT INTO suppressions (phone_hash, reason, created_at, classes)"
        " VALUES ($1, 'opted_out', $2, '{service}')",
        told.keyring.phone_index(MINE),
        told.now,
    )
    await told.submit()
    assert await told.make() == set()
    assert (await told.texts(), await told.skips()) == ([], ["opted_out"])


@pytest.mark.attack
async def test_a_phone_that_is_not_proved_any_more_gets_nothing(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    await told.pool.execute("UPDATE users SET phone_proved_at = NULL")
    await told.make()
    assert (await told.texts(), await told.skips()) == ([], ["no_phone"])


async def test_a_department_that_may_send_no_work_notices_sends_none(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.pool.execute("UPDATE departments SET classes = '{public_interest}'")
    await told.submit()
    await told.make()
    assert (await told.texts(), await told.skips()) == ([], ["no_such_class"])


async def test_a_number_that_no_channel_takes_gets_nothing_and_it_says_why(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.pool.execute("UPDATE channels SET enabled = false")
    await told.submit()
    await told.make()
    assert await told.skips() == ["no_route"]


async def test_a_choice_that_was_taken_back_counts_also_for_what_waits(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    await told.make(timedelta(0))
    await told.wants(told.team.approver, [])
    await told.make()
    assert (await told.texts(), await told.skips()) == ([], ["off"])


STEPS: list[tuple[Any, str]] = [
    (notice_store, "take_cause"),
    (notice_store, "insert_notices"),
    (notice_store, "open_notices"),
    (direct, "start"),
    (notice_store, "settle"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
async def test_a_death_at_any_step_leaves_nothing_and_the_next_tells_once(
    told: Told, monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str]
) -> None:
    """The step is done, then the server ends the connection before the commit."""
    await told.wants(told.team.approver)
    await told.submit()
    real, deaths = getattr(*step), 0

    async def then_die(conn: Connection, *args: Any, **options: Any) -> Any:
        nonlocal deaths
        result = await real(conn, *args, **options)
        backend = await conn.fetchval("SELECT pg_backend_pid()")
        await told.pool.fetchval("SELECT pg_terminate_backend($1, 5000)", backend)
        deaths += 1
        return result

    with monkeypatch.context() as patched:
        patched.setattr(*step, then_die)
        await told.make()
    assert deaths == 1
    assert await told.texts() == []
    for _ in range(3):
        await told.make()
    assert len(await told.texts()) == 1


@pytest.mark.races
async def test_however_many_do_it_at_once_each_person_is_told_once(told: Told) -> None:
    users: list[User] = [told.team.approver, told.team.admin]
    for number, user in enumerate(users):
        await told.wants(user, number=number)
    for turn in range(min(RACE_ROUNDS, notices.MOST_A_DAY)):
        told.now += notices.APART + 2 * MINUTE
        await told.submit()
        await asyncio.gather(*[told.make() for _ in range(4)])
        assert len(await told.texts()) == 2 * (turn + 1)
    assert await told.skips() == [None] * len(await told.all())


async def test_what_is_old_is_forgotten(told: Told) -> None:
    await told.wants(told.team.approver)
    await told.submit()
    await told.make()
    await notices.forget(told.pool, told.now + notices.KEPT)
    assert len(await told.all()) == 1
    await notices.forget(told.pool, told.now + notices.KEPT + 2 * LATER)
    assert await told.all() == []
