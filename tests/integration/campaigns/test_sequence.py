"""Sequences: the persons of a fire get each further text once, at its day, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from service.accounts.people.model import By
from service.audience.suppressions.suppression_store import insert_suppressions
from service.campaigns.approval import approval
from service.campaigns.calendar import county_store
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Campaign, Plan, State
from service.campaigns.plans import lifecycle, missed, planning, sequence_store
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs.firing import fire_due
from service.campaigns.stops import stop_all
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.errors import Invalid
from service.reports import work_store
from service.storage.postgres import Pool, transaction
from tests.factories import TEXT, Team, make_contact, make_scheduled, make_team, phone, suppression
from tests.harness.ledger import add_channel, lift_caps

MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (60, 3_600, 86_400))
SECOND = "【旌德县反诈中心】陌生人让你先付款再返利的，都是刷单诈骗，请拨打96110。"
THIRD = "【旌德县反诈中心】自称客服要退款、让你共享屏幕的，都是诈骗，请拨打96110。"
LATER = [(SECOND, 7), (THIRD, 21)]


class Series:
    """A team with a sequence of three texts, its people, and the clock that the test turns."""

    def __init__(self, pool: Pool, keyring: Keyring, team: Team, now: datetime) -> None:
        self.pool, self.keyring, self.team, self.begin = pool, keyring, team, now
        self.now = now
        self.campaign: Campaign

    async def approve(
        self, schedule: Schedule | None = None, further: list[tuple[str, int | None]] | None = None
    ) -> None:
        async with transaction(self.pool) as conn:
            self.campaign = await make_scheduled(
                conn,
                self.team,
                now=self.now,
                schedule=schedule,
                further=LATER if further is None else further,
            )

    async def add(self, *numbers: int) -> None:
        async with transaction(self.pool) as conn:
            for number in numbers:
                await make_contact(
                    conn, self.keyring, self.team.department_id, number, now=self.now
                )

    async def at(self, after: timedelta, schedulers: int = 2) -> list[tuple[int, list[int]]]:
        """What went out at an instant after the begin: each run's text number and whom it is to."""
        self.now = self.begin + after
        fired = await asyncio.gather(*(fire_due(self.pool, self.now) for _ in range(schedulers)))
        found = []
        for run_id in [run for runs in fired for run in runs]:
            await asyncio.gather(*(expand_run(self.pool, run_id, self.now) for _ in range(2)))
            found.append(await self.sent(run_id))
            async with transaction(self.pool) as conn:
                await conn.execute(
                    "UPDATE messages SET state = 'delivered' WHERE run_id = $1", run_id
                )
                await conn.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run_id)
                await finish_campaigns(conn, [self.campaign.id], self.now)
        return found

    async def sent(self, run_id: Any) -> tuple[int, list[int]]:
        rows = await self.pool.fetch("SELECT phone_cipher FROM messages WHERE run_id = $1", run_id)
        run = await self.pool.fetchrow("SELECT text_no, text FROM runs WHERE id = $1", run_id)
        assert run is not None
        assert run["text"] == [TEXT, SECOND, THIRD][run["text_no"] - 1]
        phones = [self.keyring.decrypt("phone", row["phone_cipher"]) for row in rows]
        return run["text_no"], sorted(int(number[-7:]) for number in phones)

    async def steer(self, act: Callable[..., Awaitable[Campaign]]) -> Campaign:
        async with transaction(self.pool) as conn:
            by = By(self.team.operator.id, "r", self.now)
            return await act(conn, self.team.operator, self.campaign.id, by)

    async def state(self) -> State:
        async with self.pool.acquire() as conn:
            return (await planning.load(conn, self.campaign.id, None)).state

    async def outcomes(self) -> list[tuple[int, str | None]]:
        async with self.pool.acquire() as conn:
            steps = await sequence_store.list_steps(conn, self.campaign.id, 0, 100)
        return [(step.text_no, step.outcome) for step in steps]

    async def edit(self, change: Callable[[Plan], Plan]) -> None:
        async with transaction(self.pool) as conn:
            await planning.edit(conn, self.team.operator, self.campaign.id, change, self.now)

    async def approve_again(self) -> None:
        async with transaction(self.pool) as conn:
            await approval.submit(conn, self.team.operator, self.campaign.id, self.now)
            await approval.approve(conn, self.team.approver, self.campaign.id, "", self.now)


@pytest.fixture
async def series(pool: Pool, keyring: Keyring, now: datetime) -> Series:
    async with transaction(pool) as conn:
        await lift_caps(conn)
        team = await make_team(conn, now=now)
        await add_channel(conn, keyring, 1, now)
    made = Series(pool, keyring, team, now)
    await made.add(1, 2, 3)
    return made


async def test_each_text_comes_at_its_day_to_the_people_of_the_fire(series: Series) -> None:
    """Whoever joins later is not among them; and it is done only after the last text."""
    await series.approve()
    assert await series.at(timedelta()) == [(1, [1, 2, 3])]
    await series.add(4)
    assert await series.at(7 * DAY - MINUTE) == []
    assert await series.state() is State.SCHEDULED
    assert await series.at(7 * DAY) == [(2, [1, 2, 3])]
    assert await series.at(21 * DAY - MINUTE) == []
    assert await series.at(21 * DAY) == [(3, [1, 2, 3])]
    assert await series.state() is State.DONE
    assert await series.outcomes() == [(2, "fired"), (3, "fired")]
    assert await series.at(90 * DAY) == []


async def test_who_refused_or_left_is_left_out_by_name_at_each_step(series: Series) -> None:
    await series.approve()
    await series.at(timedelta())
    async with transaction(series.pool) as conn:
        hashed = series.keyring.phone_index(phone(1))
        await insert_suppressions(conn, [hashed], suppression("opted_out"), series.now)
    assert await series.at(7 * DAY) == [(2, [2, 3])]
    gone = series.keyring.phone_index(phone(2))
    await series.pool.execute("UPDATE contacts SET listed = false WHERE phone_hash = $1", gone)
    assert await series.at(21 * DAY) == [(3, [3])]
    rows = await series.pool.fetch(
        "SELECT reason FROM exclusions e JOIN runs r ON r.id = e.run_id ORDER BY r.text_no, reason"
    )
    assert [row["reason"] for row in rows] == ["opted_out", "no_longer_listed", "opted_out"]


async def test_the_rule_is_asked_once(series: Series) -> None:
    """Whoever changed town or carrier since is still one of the same people."""
    await series.approve()
    await series.at(timedelta())
    await series.pool.execute("UPDATE runs SET rule = 'age < 18'")
    await series.pool.execute("UPDATE contacts SET gender = 'f'")
    assert await series.at(7 * DAY) == [(2, [1, 2, 3])]


async def test_newcomers_get_the_series_from_their_own_day_on(series: Series) -> None:
    """Two groups of newcomers whose texts fall on the same instant."""
    await series.approve(Schedule("joining", roles=("finance",)))
    for number, first in ((11, 10 * MINUTE), (12, 7 * DAY + 10 * MINUTE)):
        await series.add(number)
        await series.pool.execute(
            """
            WITH roster AS (
                INSERT INTO rosters (department_id, name, basis, expires_on)
                SELECT department_id, 'r' || $1, 'duty', '2100-01-01' FROM contacts LIMIT 1
                RETURNING id)
            INSERT INTO links (contact_id, roster_id, digest, roles)
            SELECT c.id, r.id, $1::text::bytea, '{finance}' FROM contacts c, roster r
            WHERE c.phone_hash = $2
            """,
            str(number),
            series.keyring.phone_index(phone(number)),
        )
        found = await series.at(first)
        assert (1, [number]) in found
    assert (2, [11]) in found
    assert len(found) == 2
    assert await series.at(14 * DAY + 10 * MINUTE) == [(2, [12])]
    assert await series.at(21 * DAY + 10 * MINUTE) == [(3, [11])]
    assert await series.at(28 * DAY + 10 * MINUTE) == [(3, [12])]


@pytest.mark.parametrize(
    ("late", "sent", "state"),
    [
        ("run", [(2, [1, 2, 3])], State.SCHEDULED),
        ("skip", [], State.SCHEDULED),
        ("hold", [], State.HELD),
    ],
)
async def test_a_late_step_follows_the_plan(
    series: Series, late: Any, sent: list[Any], state: State
) -> None:
    await series.approve(Schedule(late=late))
    await series.at(timedelta())
    assert await series.at(7 * DAY + HOUR) == sent
    assert await series.state() is state
    if state is State.HELD:
        await series.steer(lifecycle.release)
        assert await series.at(7 * DAY + HOUR + MINUTE) == [(2, [1, 2, 3])]
        assert await series.at(21 * DAY + HOUR) == []
        assert await series.at(21 * DAY + HOUR + MINUTE) == [(3, [1, 2, 3])]
    else:
        moved = HOUR if sent else timedelta()  # each text keeps its days from the one before
        assert await series.at(21 * DAY + moved - MINUTE) == []
        assert await series.at(21 * DAY + moved) == [(3, [1, 2, 3])]
    assert await series.state() is State.DONE


async def test_an_outage_over_two_steps_gives_nobody_two_texts_at_once(series: Series) -> None:
    await series.approve()
    await series.at(timedelta())
    assert await series.at(30 * DAY, schedulers=4) == [(2, [1, 2, 3])]
    assert await series.at(44 * DAY - MINUTE) == []
    assert await series.at(44 * DAY) == [(3, [1, 2, 3])]


async def test_skipping_its_last_step_ends_it(series: Series) -> None:
    await series.approve(Schedule(late="skip"))
    await series.at(timedelta())
    assert await series.at(30 * DAY) == []
    assert await series.outcomes() == [(2, "skipped"), (3, "skipped")]
    assert await series.state() is State.DONE


async def test_a_pause_keeps_its_steps_and_a_cancel_ends_them(series: Series) -> None:
    await series.approve()
    await series.at(timedelta())
    await series.steer(lifecycle.pause)
    assert await series.at(7 * DAY) == []
    assert (await series.steer(lifecycle.resume)).state is State.SCHEDULED
    assert await series.at(7 * DAY + MINUTE) == [(2, [1, 2, 3])]
    await series.steer(lifecycle.cancel)
    assert await series.at(21 * DAY) == []
    assert await series.outcomes() == [(2, "fired"), (3, "skipped")]


@pytest.mark.parametrize(
    ("choice", "state", "sent"),
    [
        ("run", State.SCHEDULED, [(2, [1, 2, 3])]),
        ("hold", State.HELD, []),
        ("skip", State.SCHEDULED, []),
    ],
)
async def test_whoever_resumes_after_a_missed_step_says_what_becomes_of_it(
    series: Series, choice: Any, state: State, sent: list[Any]
) -> None:
    await series.approve(Schedule(late="hold"))
    await series.at(timedelta())
    await series.steer(lifecycle.pause)
    assert await series.at(7 * DAY + HOUR) == []
    assert await missed.record_missed(series.pool, series.now) == 1
    assert await missed.record_missed(series.pool, series.now) == 0
    with pytest.raises(missed.MissedFires):
        await series.steer(lifecycle.resume)
    assert await series.state() is State.PAUSED
    await series.steer(partial(lifecycle.resume, missed=choice))
    assert await series.state() is state, "and it stays so"
    assert await series.at(7 * DAY + HOUR + MINUTE) == sent
    assert await series.state() is state
    kinds = await series.pool.fetch(
        "SELECT kind, code FROM interruptions WHERE kind LIKE 'fire.%' ORDER BY id"
    )
    after = {"run": [("fire.late", "late")], "hold": [], "skip": [("fire.skipped", "person")]}
    assert [tuple(row) for row in kinds] == [("fire.missed", "paused"), *after[choice]]


async def test_a_step_that_is_held_may_be_left_out(series: Series) -> None:
    await series.approve(Schedule(late="hold"))
    await series.at(timedelta())
    assert await series.at(7 * DAY + HOUR) == []
    await series.steer(partial(lifecycle.release, missed="skip"))
    assert await series.at(7 * DAY + HOUR + MINUTE) == []
    assert await series.outcomes() == [(2, "skipped"), (3, None)]
    assert await series.at(30 * DAY) == []
    done = await series.steer(partial(lifecycle.release, missed="skip"))
    assert await series.outcomes() == [(2, "skipped"), (3, "skipped")]
    assert done.state is State.DONE, "nothing begins anew"


async def test_while_everything_is_stopped_a_step_is_held(series: Series) -> None:
    await series.approve()
    await series.at(timedelta())
    async with transaction(series.pool) as conn:
        await stop_all.stop_all(conn, series.team.admin, "r", series.now)
    assert await series.at(7 * DAY) == []
    assert await series.state() is State.HELD


async def test_an_edit_voids_what_is_to_come_and_nothing_begins_anew(series: Series) -> None:
    """After the edit the third text comes on day 10, and there is a fourth; the first is over."""
    await series.approve()
    await series.at(timedelta())
    assert await series.at(7 * DAY) == [(2, [1, 2, 3])]
    more = series.campaign.plan.more_texts
    changed = (more[0], replace(more[1], after_days=10))
    await series.edit(lambda plan: replace(plan, more_texts=changed))
    assert await series.at(21 * DAY) == []
    series.now = series.begin + 8 * DAY
    await series.approve_again()
    assert await series.at(8 * DAY + MINUTE) == []
    assert await series.at(10 * DAY) == [(3, [1, 2, 3])]
    assert await series.state() is State.DONE


async def test_what_would_send_nothing_is_not_submitted(series: Series) -> None:
    await series.approve()
    await series.at(timedelta())
    await series.at(7 * DAY)
    await series.edit(lambda plan: replace(plan, more_texts=plan.more_texts[:1]))
    with pytest.raises(Invalid, match="none of its texts"):
        await series.approve_again()


async def test_a_released_sequence_does_not_begin_anew(series: Series) -> None:
    """A plan of kind `now` would else take the release for its time."""
    await series.approve()
    await series.at(timedelta())
    await series.pool.execute("UPDATE campaigns SET approved_hash = 'x', content_hash = 'x'")
    assert await series.at(7 * DAY) == []
    await series.pool.execute(
        "UPDATE campaigns SET approved_hash = $1, content_hash = $1", series.campaign.content_hash
    )
    await series.steer(lifecycle.release)
    assert await series.at(7 * DAY + MINUTE) == [(2, [1, 2, 3])]


async def test_approved_anew_and_released_it_does_not_begin_anew_either(series: Series) -> None:
    await series.approve(Schedule(late="hold"))
    await series.at(timedelta())
    await series.edit(lambda plan: replace(plan, priority="urgent"))
    series.now = series.begin + DAY
    await series.approve_again()
    assert await series.at(7 * DAY + HOUR) == []
    await series.steer(lifecycle.release)
    assert await series.at(7 * DAY + HOUR + MINUTE) == [(2, [1, 2, 3])]


async def test_a_crash_between_step_and_ledger_repeats_nobody(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    await series.approve()
    await series.at(timedelta())
    at = series.begin + 7 * DAY
    (run,) = await fire_due(series.pool, at)
    with monkeypatch.context() as broken:
        broken.setattr("service.dispatch.expansion.expand_store.write_slices", _break)
        with pytest.raises(RuntimeError):
            await expand_run(series.pool, run, at)
    assert await fire_due(series.pool, at + MINUTE) == []
    assert await series.sent(run) == (2, [])
    await expand_run(series.pool, run, at + MINUTE)
    assert await series.sent(run) == (2, [1, 2, 3])


async def test_a_step_that_cannot_fire_is_an_alarm_until_it_does(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    await series.approve()
    await series.at(timedelta())

    async def alarm() -> tuple[str, ...]:
        (kind,) = (kind for kind in work_store.KINDS if kind.name == "not_firing")
        async with series.pool.acquire() as conn:
            found = await work_store.what_waits(conn, kind, None, series.now, 10)
        return tuple(item.code for item in found.items)

    with monkeypatch.context() as broken:
        broken.setattr("service.campaigns.core.run_store.insert_run", _break)
        assert await series.at(7 * DAY) == []
        assert await series.at(7 * DAY + MINUTE) == []
    assert await alarm() == ("trouble",)
    assert (
        await series.pool.fetchval(
            "SELECT count(*) FROM interruptions WHERE kind = 'campaign.not_firing'"
        )
        == 1
    )
    assert await series.at(7 * DAY + 2 * MINUTE) == [(2, [1, 2, 3])]
    assert await alarm() == ()


async def _break(*_: Any) -> None:
    raise RuntimeError


async def test_a_step_waits_for_the_ledger_that_it_follows(series: Series) -> None:
    await series.approve(further=[(SECOND, 1)])
    (run,) = await fire_due(series.pool, series.now)
    assert await series.at(DAY) == []
    await expand_run(series.pool, run, series.now)
    assert await series.at(DAY + MINUTE) == [(2, [1, 2, 3])]


async def test_the_database_has_one_run_for_a_step(series: Series) -> None:
    await series.approve()
    await series.at(timedelta())
    await series.at(7 * DAY)
    await series.pool.execute(
        "UPDATE sequence_steps SET outcome = NULL, run_id = NULL, at = NULL WHERE text_no = 2"
    )
    assert await series.at(7 * DAY + MINUTE) == []
    assert await series.pool.fetchval("SELECT count(*) FROM runs") == 2


async def test_what_is_to_come_is_shown(series: Series) -> None:
    await series.approve()

    async def ahead() -> list[tuple[timedelta, str]]:
        async with series.pool.acquire() as conn:
            campaign = await planning.load(conn, series.campaign.id, None)
            county = await county_store.load_county(conn)
            fires = await planning.fires_ahead(conn, campaign, county, series.now, 5)
        return [(fire.at - series.begin, fire.note) for fire in fires]

    second = (7 * DAY, "text 2 of the sequence")
    third = (21 * DAY, "text 3 of the sequence")
    assert await ahead() == [(timedelta(), ""), second, third]
    await series.at(timedelta())
    assert await ahead() == [second, third]
    await series.at(7 * DAY)
    assert await ahead() == [third]


async def test_a_drill_goes_to_the_same_stand_ins(series: Series) -> None:
    async with transaction(series.pool) as conn:
        draft = await make_scheduled(conn, series.team, now=series.now, further=LATER)
        series.campaign = await planning.edit(
            conn, series.team.operator, draft.id, lambda plan: replace(plan, drill=True), series.now
        )
    await series.approve_again()
    (run,) = await fire_due(series.pool, series.now)
    await expand_run(series.pool, run, series.now, series.keyring)
    async with transaction(series.pool) as conn:
        await conn.execute("UPDATE runs SET state = 'sent'")
        await finish_campaigns(conn, [series.campaign.id], series.now)
    (step,) = await fire_due(series.pool, series.now + 7 * DAY)
    await expand_run(series.pool, step, series.now + 7 * DAY, series.keyring)
    assert await series.pool.fetchval(
        "SELECT count(DISTINCT phone_hash) = 3 AND count(*) = 6 FROM messages"
    )
