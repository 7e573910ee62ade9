"""Corrections: everybody who got the wrong text, or may have, gets the other one once."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.keys.key import Mode
from service.accounts.people.model import By
from service.audience.suppressions.suppression_store import insert_suppressions
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import store
from service.campaigns.core.model import Campaign, Plan, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.plans.corrections import correct
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs import follow_up_runs
from service.campaigns.runs.firing import fire_due
from service.crypto import Keyring
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import expand_run
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.messages.text_approval import TextBlocked
from service.storage.postgres import CheckViolation, Pool, transaction
from tests.factories import (
    Team,
    make_contact,
    make_scheduled,
    make_team,
    make_template,
    phone,
    suppression,
)
from tests.harness.ledger import add_channel
from tests.harness.waiting import until

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
RIGHT = "【旌德县反诈中心】更正：昨天短信里的电话写错了，请以96110为准，请转告家人。"


class Wrong:
    """A run that said something wrong to ten people, and what became of each text."""

    def __init__(self, pool: Pool, keyring: Keyring, team: Team, now: datetime) -> None:
        self.pool, self.keyring, self.team, self.now = pool, keyring, team, now
        self.run_id: UUID

    async def send(self, states: Sequence[str], run_state: str = "sent") -> None:
        async with transaction(self.pool) as conn:
            await add_channel(conn, self.keyring, 1, self.now)
            for number in range(len(states)):
                await make_contact(
                    conn, self.keyring, self.team.department_id, number, now=self.now
                )
            campaign = await make_scheduled(conn, self.team, now=self.now)
        (self.run_id,) = await fire_due(self.pool, self.now)
        await expand_run(self.pool, self.run_id, self.now)
        async with transaction(self.pool) as conn:
            for number, state in enumerate(states):
                await self.set(conn, number, state)
            await conn.execute("UPDATE runs SET state = $1", run_state)
            await finish_campaigns(conn, [campaign.id], self.now)

    async def set(self, conn: Any, number: int, state: str, run_id: UUID | None = None) -> None:
        await conn.execute(
            "UPDATE messages SET state = $3::text::message_state, attempt = 1"
            " WHERE run_id = $1 AND phone_hash = $2",
            run_id or self.run_id,
            self.keyring.phone_index(phone(number)),
            state,
        )

    async def draft(self, text: str = RIGHT, run_id: UUID | None = None) -> Campaign:
        async with transaction(self.pool) as conn:
            template = await make_template(conn, self.team.operator, now=self.now, text=text)
            plan = Plan(
                name="更正",
                template_id=template.id,
                segment_id=None,
                channels=None,
                priority="urgent",
                schedule=Schedule(),
                max_tps=None,
                over_cap="send",
                corrects=run_id or self.run_id,
            )
            return await correct(
                conn, self.team.operator, run_id or self.run_id, plan, self.now, Mode.LIVE
            )

    async def approve(self, campaign: Campaign) -> Campaign:
        async with transaction(self.pool) as conn:
            await approval.submit(conn, self.team.operator, campaign.id, self.now)
            return await approval.approve(conn, self.team.approver, campaign.id, "", self.now)

    async def fire(self) -> list[UUID]:
        fired = await asyncio.gather(*(fire_due(self.pool, self.now) for _ in range(3)))
        runs = [run for found in fired for run in found]
        await asyncio.gather(*(expand_run(self.pool, run, self.now) for run in runs * 2))
        return runs

    async def reached(self, run_id: UUID) -> list[int]:
        rows = await self.pool.fetch("SELECT phone_cipher FROM messages WHERE run_id = $1", run_id)
        phones = [self.keyring.decrypt("phone", row["phone_cipher"]) for row in rows]
        return sorted(int(number[-7:]) for number in phones)

    async def correct(self) -> tuple[UUID, list[int]]:
        await self.approve(await self.draft())
        (run,) = await self.fire()
        return run, await self.reached(run)


@pytest.fixture
async def wrong(pool: Pool, keyring: Keyring, now: datetime) -> Wrong:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
    return Wrong(pool, keyring, team, now)


async def test_receipts_that_come_meanwhile_take_no_approval_back(wrong: Wrong) -> None:
    """They make those who may have got it fewer; more would be another matter."""
    await wrong.send(["submitted"] * 10)
    await wrong.approve(await wrong.draft())
    async with wrong.pool.acquire() as conn:
        for number in range(5):
            await wrong.set(conn, number, "undelivered")
    (run,) = await wrong.fire()
    assert await wrong.reached(run) == [5, 6, 7, 8, 9]


async def test_a_contradicting_receipt_counts_also_once_it_was_laid_aside(wrong: Wrong) -> None:
    await wrong.send(["undelivered", "undelivered", "delivered"])
    await wrong.pool.execute(
        """
        WITH part AS (
            INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
            SELECT channel_id, phone_hash, phone_hash, run_id, no, 1, 1, $2 FROM messages
            WHERE phone_hash = $1 RETURNING channel_id, ref, phone_hash)
        INSERT INTO receipts_dismissed (id, channel_id, ref, phone_hash, state, reason, code,
            received_at, why, dismissed_because, dismissed_by, dismissed_at)
        SELECT 1, channel_id, ref, phone_hash, 'delivered', '', 'DELIVRD', $2, 'conflict', 'seen',
               $3, $2 FROM part
        """,
        wrong.keyring.phone_index(phone(0)),
        wrong.now,
        wrong.team.operator.id,
    )
    assert (await wrong.correct())[1] == [0, 2]


async def test_it_goes_to_all_who_got_it_or_may_have(wrong: Wrong) -> None:
    """The caps of the class, which allow one text a day, do not stop it."""
    await wrong.send(
        [
            *("delivered", "submitted", "unknown", "uncertain", "submitting"),
            *("undelivered", "expired", "rejected", "suppressed", "cancelled"),
        ]
    )
    await wrong.pool.execute(
        "INSERT INTO recent_texts SELECT phone_hash, 'public_interest', ARRAY[$1::timestamptz],"
        " ARRAY[run_id], ARRAY[1::bigint] FROM messages",
        wrong.now,
    )
    draft = await wrong.draft()
    approved = await wrong.approve(draft)
    assert approved.baseline == 5
    (run,) = await wrong.fire()
    assert await wrong.reached(run) == [0, 1, 2, 3, 4]
    row = await wrong.pool.fetchrow("SELECT * FROM runs WHERE id = $1", run)
    assert row is not None
    assert (row["follows"], row["relation"]) == (wrong.run_id, "correction")
    assert (row["over_cap"], row["text"]) == ("send", RIGHT)


PART = "INSERT INTO parts VALUES (1, 'r', $2, $1, $3, 1, 1, {}, NULL, NULL, $4)"
ATTEMPT = """
    INSERT INTO attempts (run_id, no, attempt, channel_id, state, ended_at)
    SELECT $1, $3, 0, 1, '{}', $4 WHERE $2::bytea IS NOT NULL
"""
CONFLICT = f"""
    WITH p AS ({PART.format("NULL")})
    INSERT INTO receipts_unmatched
    VALUES (1, 1, 'r', {{}}, 'delivered', '', '', NULL, $4, 'conflict')
"""
AGAIN = """
    UPDATE messages SET state = 'queued'
    WHERE run_id = $1 AND no = $3 AND ($2::bytea, $4::timestamptz) IS NOT NULL
"""


@pytest.mark.parametrize(
    ("sql", "reached"),
    [
        (PART.format("'delivered'"), True),
        (PART.format("'expired'"), False),
        (ATTEMPT.format("uncertain"), True),
        (ATTEMPT.format("undelivered"), False),
        (CONFLICT.format("$2"), True),
        (CONFLICT.format("decode('00', 'hex')"), False),  # another person's, of the same submit
        (AGAIN, True),
    ],
    ids=[
        "a part",
        "no part",
        "uncertain",
        "not uncertain",
        "a receipt",
        "another's",
        "to be tried again",
    ],
)
async def test_a_failure_that_may_be_none_is_none(wrong: Wrong, sql: str, reached: bool) -> None:
    await wrong.send(["delivered", "undelivered"])
    hashed = wrong.keyring.phone_index(phone(1))
    no = await wrong.pool.fetchval("SELECT no FROM messages WHERE phone_hash = $1", hashed)
    await wrong.pool.execute(sql, wrong.run_id, hashed, no, wrong.now)
    assert (await wrong.correct())[1] == ([0, 1] if reached else [0])


async def test_what_is_still_queued_of_a_cancelled_run_never_leaves(wrong: Wrong) -> None:
    await wrong.send(["delivered", "queued"], "cancelled")
    assert (await wrong.correct())[1] == [0]


async def test_who_is_on_no_list_any_more_is_told_and_who_refused_is_not(wrong: Wrong) -> None:
    await wrong.send(["delivered"] * 4)
    async with transaction(wrong.pool) as conn:
        hashed = [wrong.keyring.phone_index(phone(n)) for n in range(4)]
        await insert_suppressions(conn, hashed[:1], suppression("opted_out"), wrong.now)
        await conn.execute("UPDATE contacts SET listed = false WHERE phone_hash = $1", hashed[1])
        await conn.execute("DELETE FROM contacts WHERE phone_hash = ANY($1)", hashed[2:])
        await conn.execute(
            "INSERT INTO erasures (phone_hash, erased_by, erased_at, reason_cipher)"
            " VALUES ($1, $2, $3, '')",
            hashed[3],
            wrong.team.admin.id,
            wrong.now,
        )
    run, reached = await wrong.correct()
    assert reached == [1, 2]
    rows = await wrong.pool.fetch("SELECT reason FROM exclusions WHERE run_id = $1", run)
    assert sorted(row["reason"] for row in rows) == ["erased", "opted_out"]


async def test_a_second_correction_of_the_run_goes_to_nobody_twice(wrong: Wrong) -> None:
    """But to those whom the first has certainly not reached."""
    await wrong.send(["delivered"] * 4)
    first, reached = await wrong.correct()
    assert reached == [0, 1, 2, 3]
    async with transaction(wrong.pool) as conn:
        for number, state in enumerate(["delivered", "uncertain", "rejected", "suppressed"]):
            await wrong.set(conn, number, state, first)
    assert (await wrong.correct())[1] == [2, 3]


async def test_two_corrections_at_once_share_nobody(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second ledger waits for the first, which is written and not committed yet."""
    await wrong.send(["delivered"] * 5)
    for _ in range(2):
        await wrong.approve(await wrong.draft())
    runs = await fire_due(wrong.pool, wrong.now)
    written, go_on = asyncio.Event(), asyncio.Event()
    cut = expand_store.write_slices

    async def write_slices(*arguments: Any) -> list[int]:
        written.set()
        await go_on.wait()
        return await cut(*arguments)

    monkeypatch.setattr(expand_store, "write_slices", write_slices)
    first = asyncio.create_task(expand_run(wrong.pool, runs[0], wrong.now))
    await written.wait()
    written.clear()
    second = asyncio.create_task(expand_run(wrong.pool, runs[1], wrong.now))

    async def second_waits() -> bool:
        return written.is_set() or await wrong.pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        )

    await until(second_waits)
    go_on.set()
    await asyncio.gather(first, second)
    assert [await wrong.reached(run) for run in runs] == [[0, 1, 2, 3, 4], []]


async def test_it_is_linted_and_approved_by_another(wrong: Wrong) -> None:
    await wrong.send(["delivered"])
    bad = await wrong.draft(
        "【旌德县反诈中心】请把验证码发给我们，点击 http://1.2.3.4/a 领取奖金。"
    )
    with pytest.raises(TextBlocked):
        await wrong.approve(bad)
    draft = await wrong.draft()
    async with transaction(wrong.pool) as conn:
        await approval.submit(conn, wrong.team.operator, draft.id, wrong.now)
    assert await wrong.fire() == []
    both = replace(wrong.team.operator, roles=wrong.team.approver.roles)
    async with transaction(wrong.pool) as conn:
        with pytest.raises(Forbidden, match="somebody else must approve"):
            await approval.approve(conn, both, draft.id, "", wrong.now)
        await approval.approve(conn, wrong.team.approver, draft.id, "", wrong.now)
    assert len(await wrong.fire()) == 1


async def test_what_it_corrects_is_part_of_what_is_approved(wrong: Wrong) -> None:
    await wrong.send(["delivered"])
    approved = await wrong.approve(await wrong.draft())
    other = await wrong.pool.fetchval(
        "INSERT INTO runs (kind, department_id, fire_at, state, priority, class, text, send_hours,"
        " timezone, created_at, sent_by) SELECT 'direct', department_id, fire_at, 'sent', priority,"
        " class, text, send_hours, timezone, created_at, $1 FROM runs RETURNING id",
        wrong.team.operator.id,
    )
    await wrong.pool.execute("UPDATE campaigns SET corrects = $1 WHERE id = $2", other, approved.id)
    assert await wrong.fire() == []
    async with transaction(wrong.pool) as conn:
        assert (await planning.load(conn, approved.id, None)).state is State.HELD


@pytest.mark.parametrize("state", ["expanding", "running", "paused"])
async def test_what_still_sends_is_not_corrected(wrong: Wrong, state: str) -> None:
    await wrong.send(["delivered"], state)
    with pytest.raises(Conflict, match="still sends"):
        await wrong.draft()


async def _sent_again(wrong: Wrong) -> UUID:
    by = By(wrong.team.operator.id, "", wrong.now)
    async with transaction(wrong.pool) as conn:
        return await follow_up_runs.resend_missed(conn, wrong.team.operator, wrong.run_id, None, by)


async def test_what_is_being_sent_again_is_not_corrected_before_it_has_left(wrong: Wrong) -> None:
    """Else somebody would read that it was wrong, and then what was wrong."""
    await wrong.send(["delivered", "expired"])
    again = await _sent_again(wrong)
    with pytest.raises(Conflict, match="still sends"):
        await wrong.draft()
    await wrong.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", again)
    approved = await wrong.approve(await wrong.draft())
    for run_id in (again, wrong.run_id):  # asked for in the same moment; moved to another channel
        await wrong.pool.execute("UPDATE runs SET state = 'running' WHERE id = $1", run_id)
        assert await wrong.fire() == []
        async with transaction(wrong.pool) as conn:
            held = await planning.load(conn, approved.id, None)
            (*_, move) = await store.list_moves(conn, approved.id)
            assert (held.state, "still sends" in move.reason) == (State.HELD, True)
            await conn.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run_id)
            by = By(wrong.team.operator.id, "", wrong.now)
            await lifecycle.release(conn, wrong.team.operator, approved.id, by)
    assert len(await wrong.fire()) == 1


async def test_other_departments_runs_are_not_there(wrong: Wrong) -> None:
    await wrong.send(["delivered"])
    async with transaction(wrong.pool) as conn:
        stranger = await make_team(conn, now=wrong.now)
    wrong.team = stranger
    with pytest.raises(NotFound):
        await wrong.draft()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedule": Schedule("joining", roles=("finance",))}, "schedule.kind"),
        ({"segment_id": UUID(int=1)}, "segment_id"),
    ],
)
async def test_an_edit_leaves_a_correction_what_it_is(
    wrong: Wrong, change: dict[str, Any], field: str
) -> None:
    await wrong.send(["delivered"])
    draft = await wrong.draft()
    async with transaction(wrong.pool) as conn:
        with pytest.raises(Invalid) as refused:
            await planning.edit(
                conn, wrong.team.operator, draft.id, lambda plan: replace(plan, **change), wrong.now
            )
        assert field in refused.value.fields


async def test_only_a_correction_has_no_cap(wrong: Wrong) -> None:
    await wrong.send(["delivered"])
    with pytest.raises(CheckViolation):
        await wrong.pool.execute("UPDATE campaigns SET over_cap = 'send'")


async def test_a_drill_is_corrected_by_a_drill(wrong: Wrong) -> None:
    await wrong.send(["delivered"])
    await wrong.pool.execute("UPDATE runs SET mode = 'drill'")
    assert (await wrong.draft()).plan.drill
