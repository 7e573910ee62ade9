"""The same text to whom a run missed, and to who joined since: nobody twice, on one approval."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.keys.key import Mode
from service.accounts.people.model import By, Role, User
from service.audience.suppressions.suppression_store import insert_suppressions
from service.campaigns.approval import approval
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.audience.follow_up_store import Missed
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import Campaign, Plan, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.plans.corrections import correct
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs import follow_up_runs
from service.campaigns.runs.firing import fire_due
from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import expand_run
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.storage.postgres import Pool, transaction
from tests.factories import (
    Team,
    make_contact,
    make_draft,
    make_scheduled,
    make_team,
    make_template,
    make_user,
    phone,
    suppression,
)
from tests.harness.ledger import add_channel

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LATER: list[tuple[str, int | None]] = [
    ("【旌德县反诈中心】自称客服要退款、让你共享屏幕的，都是诈骗，请拨打96110。", 7)
]
Became = Mapping[int, tuple[str, str | None]]
"""What became of the text to each number: state and reason."""


class Sent:
    """A campaign whose run has been sent, and the clock that the test turns."""

    def __init__(self, pool: Pool, keyring: Keyring, team: Team, now: datetime) -> None:
        self.pool, self.keyring, self.team, self.now = pool, keyring, team, now
        self.campaign: Campaign
        self.run_id: UUID

    async def fire(
        self,
        became: Became,
        schedule: Schedule | None = None,
        further: list[tuple[str, int | None]] | None = None,
    ) -> None:
        await self.add(*became)
        async with transaction(self.pool) as conn:
            self.campaign = await make_scheduled(
                conn, self.team, now=self.now, schedule=schedule, further=further or []
            )
        (self.run_id,) = await fire_due(self.pool, self.now)
        await self.expand(self.run_id)
        await self.end(self.run_id, became)

    async def add(self, *numbers: int) -> None:
        async with transaction(self.pool) as conn:
            for number in numbers:
                await make_contact(
                    conn, self.keyring, self.team.department_id, number, now=self.now
                )

    async def expand(self, *runs: UUID) -> None:
        await asyncio.gather(*(expand_run(self.pool, run, self.now) for run in runs * 2))

    async def end(self, run_id: UUID, became: Became) -> None:
        async with transaction(self.pool) as conn:
            for number, (state, reason) in became.items():
                await conn.execute(
                    "UPDATE messages SET state = $3::text::message_state, reason = $4, attempt = 1"
                    " WHERE run_id = $1 AND phone_hash = $2",
                    run_id,
                    self.keyring.phone_index(phone(number)),
                    state,
                    reason,
                )
            await conn.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run_id)
            await finish_campaigns(conn, [self.campaign.id], self.now)

    async def reached(self, run_id: UUID) -> list[int]:
        rows = await self.pool.fetch("SELECT phone_cipher FROM messages WHERE run_id = $1", run_id)
        phones = [self.keyring.decrypt("phone", row["phone_cipher"]) for row in rows]
        return sorted(int(number[-7:]) for number in phones)

    async def became(self, run_id: UUID) -> dict[int, tuple[str, str | None]]:
        rows = await self.pool.fetch(
            "SELECT phone_cipher, state::text, reason FROM messages WHERE run_id = $1", run_id
        )
        return {
            int(self.keyring.decrypt("phone", row["phone_cipher"])[-7:]): (
                row["state"],
                row["reason"],
            )
            for row in rows
        }

    async def again(
        self,
        run_id: UUID | None = None,
        channels: list[int] | None = None,
        actor: User | None = None,
    ) -> UUID:
        user = actor or self.team.operator
        async with transaction(self.pool) as conn:
            return await follow_up_runs.resend_missed(
                conn, user, run_id or self.run_id, channels, By(user.id, "r", self.now)
            )

    async def missed(self) -> Missed:
        async with transaction(self.pool) as conn:
            return await follow_up_runs.missed(conn, self.team.operator, self.run_id, self.now)

    async def top_up(self) -> UUID:
        user = self.team.operator
        async with transaction(self.pool) as conn:
            return await follow_up_runs.top_up(
                conn, user, self.campaign.id, 0.2, By(user.id, "r", self.now)
            )

    async def state(self) -> State:
        async with self.pool.acquire() as conn:
            return (await planning.load(conn, self.campaign.id, None)).state


@pytest.fixture
async def sent(pool: Pool, keyring: Keyring, now: datetime) -> Sent:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=now)
        await add_channel(conn, keyring, 1, now)
    return Sent(pool, keyring, team, now)


STOP = """
    INSERT INTO stops (cause, reason, stopped_by, stopped_at)
    SELECT 'person', 'r', edited_by, created_at FROM campaigns
"""
MIXED: Became = {
    0: ("delivered", None),
    1: ("undelivered", "powered_off"),
    2: ("expired", "powered_off"),
    3: ("rejected", "content_filter"),
    4: ("suppressed", "validity_over"),
    5: ("undelivered", "empty_number"),
    6: ("uncertain", None),
    7: ("unknown", None),
    8: ("submitted", None),
    9: ("suppressed", "opted_out"),
    10: ("cancelled", "erased"),
    11: ("suppressed", "capped"),
}


async def test_those_who_were_missed_for_certain_get_it_again(sent: Sent) -> None:
    """The failed text has taken their place under the caps; the same text takes no second one."""
    await sent.fire(MIXED)
    await sent.pool.execute(
        "INSERT INTO recent_texts SELECT phone_hash, 'public_interest', ARRAY[$1::timestamptz],"
        " ARRAY[run_id], ARRAY[hashtextextended(text, 0)] FROM messages, runs",
        sent.now,
    )
    assert await sent.missed() == (
        {"powered_off": 2, "content_filter": 1, "validity_over": 1},
        {"empty_number": 1, "in_doubt": 3, "opted_out": 1, "erased": 1, "capped": 1},
    )
    assert await sent.state() is State.DONE
    run = await sent.again()
    assert await sent.state() is State.RUNNING
    await sent.expand(run)
    assert await sent.reached(run) == [1, 2, 3, 4]
    row = await sent.pool.fetchrow("SELECT * FROM runs WHERE id = $1", run)
    assert row is not None
    assert (row["follows"], row["relation"], row["over_cap"]) == (sent.run_id, "resend", "send")
    assert row["text"] == sent.campaign.text
    await sent.end(run, dict.fromkeys([1, 2, 3, 4], ("delivered", None)))
    assert await sent.state() is State.DONE


async def test_each_further_time_only_those_who_are_still_missed(sent: Sent) -> None:
    """Whoever is uncertain from any of the runs is not sent to; whichever run is named."""
    failed = ("undelivered", "powered_off")
    await sent.fire(dict.fromkeys(range(5), failed))
    first = await sent.again()
    await sent.expand(first)
    became = {0: ("delivered", None), 1: ("uncertain", None), 2: ("undelivered", "empty_number")}
    await sent.end(first, {**became, 3: failed, 4: failed})
    assert await sent.missed() == ({"powered_off": 2}, {"empty_number": 1, "in_doubt": 1})
    second = await sent.again(first)
    await sent.expand(second)
    assert await sent.reached(second) == [3, 4]
    await sent.end(second, dict.fromkeys([3, 4], ("submitted", None)))
    with pytest.raises(Conflict, match="missed nobody"):
        await sent.again()


async def test_who_refused_or_left_meanwhile_is_left_out_by_name(sent: Sent) -> None:
    await sent.fire(dict.fromkeys(range(3), ("expired", "powered_off")))
    async with transaction(sent.pool) as conn:
        hashed = [sent.keyring.phone_index(phone(n)) for n in range(3)]
        await insert_suppressions(conn, hashed[:1], suppression("dead_number"), sent.now)
        await conn.execute("UPDATE contacts SET listed = false WHERE phone_hash = $1", hashed[1])
    assert await sent.missed() == ({"powered_off": 2}, {"dead_number": 1})
    run = await sent.again()
    await sent.expand(run)
    assert await sent.reached(run) == [2]
    rows = await sent.pool.fetch("SELECT reason FROM exclusions WHERE run_id = $1", run)
    assert sorted(row["reason"] for row in rows) == ["dead_number", "no_longer_listed"]


async def test_a_receipt_that_comes_before_the_ledger_takes_its_person_out(sent: Sent) -> None:
    """Who is missed is decided where the ledger is written, not where it was asked for."""
    await sent.fire(dict.fromkeys(range(2), ("undelivered", "powered_off")))
    run = await sent.again()
    await sent.pool.execute(
        "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, state, at)"
        " SELECT channel_id, 'r', phone_hash, run_id, no, 1, 1, 'delivered', $2 FROM messages"
        " WHERE phone_hash = $1",
        sent.keyring.phone_index(phone(0)),
        sent.now,
    )
    await sent.expand(run)
    assert await sent.reached(run) == [1]


async def _arrives(sent: Sent, *numbers: int) -> None:
    """Receipts say that the first run's text has arrived after all, against what others said."""
    for number in numbers:
        hashed = sent.keyring.phone_index(phone(number))
        await sent.pool.execute(
            "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)"
            " SELECT channel_id, phone_hash, phone_hash, run_id, no, 1, 1, $3 FROM messages"
            " WHERE phone_hash = $1 AND run_id = $2",
            hashed,
            sent.run_id,
            sent.now,
        )
        channel_id = await sent.pool.fetchval(
            "INSERT INTO receipt_inbox (channel_id, ref, state, reason, code, received_at)"
            " SELECT channel_id, ref, 'delivered', '', 'DELIVRD', at FROM parts"
            " WHERE phone_hash = $1 RETURNING channel_id",
            hashed,
        )
        await fold_receipts(sent.pool, channel_id, sent.now)


async def test_a_receipt_that_comes_before_the_text_has_left_again_stops_it(sent: Sent) -> None:
    await sent.fire(dict.fromkeys(range(4), ("expired", "powered_off")))
    await sent.pool.execute("UPDATE messages SET part_count = 1 + no % 2")
    first = await sent.again()
    await sent.expand(first)
    await sent.end(first, {3: ("submitted", None)})
    await sent.pool.execute("UPDATE runs SET state = 'running' WHERE id = $1", first)
    await _arrives(sent, 0, 1, 3)
    assert await sent.became(first) == {
        0: ("suppressed", "arrived"),
        1: ("suppressed", "arrived"),
        2: ("queued", None),
        3: ("submitted", None),  # it has left
    }


async def test_one_that_comes_while_the_ledger_is_written_stops_it_too(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent.fire(dict.fromkeys(range(2), ("expired", "powered_off")))
    await sent.pool.execute("UPDATE messages SET part_count = 1")
    run = await sent.again()
    finish = expand_store.finish_expansion

    async def after_a_receipt(*args: Any) -> None:
        await _arrives(sent, 0)  # it sees nothing of this ledger, nor the ledger of it
        await finish(*args)

    monkeypatch.setattr(expand_store, "finish_expansion", after_a_receipt)
    made = await expand_run(sent.pool, run, sent.now)
    assert made is not None
    assert made.target == 2
    assert await sent.became(run) == {0: ("suppressed", "arrived"), 1: ("queued", None)}


@pytest.mark.attack
async def test_asked_for_twice_it_goes_out_once(sent: Sent) -> None:
    await sent.fire(dict.fromkeys(range(3), ("undelivered", "powered_off")))
    asked = await asyncio.gather(*(sent.again() for _ in range(4)), return_exceptions=True)
    runs = [run for run in asked if isinstance(run, UUID)]
    assert len(runs) == 1
    assert all(isinstance(other, Conflict) for other in asked if other not in runs)
    # Even if there were two, each person would be in one.
    columns = await sent.pool.fetchval(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_name = 'runs' AND column_name <> 'id' AND is_generated = 'NEVER'"
    )
    twin = await sent.pool.fetchval(
        f"INSERT INTO runs ({columns}) SELECT {columns} FROM runs WHERE id = $1 RETURNING id",
        runs[0],
    )
    await sent.expand(runs[0], twin)
    found = [await sent.reached(run) for run in (runs[0], twin)]
    assert sorted(found) == [[], [0, 1, 2]]


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("UPDATE runs SET state = 'running'", "still sends"),
        ("UPDATE runs SET fire_at = fire_at - interval '8 days'", "older than 7 days"),
        ("UPDATE campaigns SET state = 'cancelled'", "is cancelled"),
        ("UPDATE campaigns SET state = 'paused'", "is paused"),
        ("UPDATE campaigns SET approved_hash = 'x', content_hash = 'x'", "not what was approved"),
        ("UPDATE campaigns SET period_end = created_at", "period is over"),
        ("UPDATE runs SET text = 'another'", "another text"),
        ("UPDATE runs SET mode = 'test'", "only a run of a campaign"),
        (STOP, "everything is stopped"),
    ],
)
async def test_when_a_text_is_not_sent_again(sent: Sent, sql: str, refused: str) -> None:
    await sent.fire({0: ("undelivered", "powered_off")})
    await sent.pool.execute(sql)
    with pytest.raises(Conflict, match=refused):
        await sent.again()


async def test_what_is_corrected_is_not_sent_again(sent: Sent) -> None:
    await sent.fire({0: ("undelivered", "powered_off"), 1: ("delivered", None)})
    async with transaction(sent.pool) as conn:
        template = await make_template(conn, sent.team.operator, now=sent.now)
        plan = replace(
            sent.campaign.plan,
            template_id=template.id,
            segment_id=None,
            corrects=sent.run_id,
            over_cap="send",
        )
        await correct(conn, sent.team.operator, sent.run_id, plan, sent.now, Mode.LIVE)
    with pytest.raises(Conflict, match="corrected"):
        await sent.again()


async def test_what_was_sent_again_is_corrected_with_its_run(sent: Sent) -> None:
    await sent.fire({0: ("delivered", None), 1: ("expired", None), 2: ("expired", None)})
    again = await sent.again()
    await sent.expand(again)
    await sent.end(again, {1: ("delivered", None), 2: ("expired", None)})
    async with transaction(sent.pool) as conn:
        template = await make_template(conn, sent.team.operator, now=sent.now)
        plan = replace(
            sent.campaign.plan,
            template_id=template.id,
            segment_id=None,
            corrects=sent.run_id,
            over_cap="send",
        )
        draft = await correct(conn, sent.team.operator, sent.run_id, plan, sent.now, Mode.LIVE)
        run = await conn.fetchval(
            "INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,"
            " rule, send_hours, timezone, created_at, follows, relation, over_cap)"
            " SELECT $1, department_id, fire_at, 'expanding', priority, class, 'x', rule,"
            " send_hours, timezone, created_at, id, 'correction', 'send' FROM runs WHERE id = $2"
            " RETURNING id",
            draft.id,
            sent.run_id,
        )
    await sent.expand(run)
    assert await sent.reached(run) == [0, 1]


@pytest.mark.attack
async def test_other_channels_than_the_approved_take_an_approver(sent: Sent) -> None:
    """Who submitted it may not, whatever else they are; whoever approved it may."""
    await sent.fire({0: ("undelivered", "powered_off")})
    both = await _both(sent)
    async with transaction(sent.pool) as conn:
        await add_channel(conn, sent.keyring, 2, sent.now, rank=9)
        # As if the plan had named its one channel, and had been approved so.
        await conn.execute("UPDATE campaigns SET channels = '{1}', submitted_by = $1", both.id)
        await conn.execute(
            "UPDATE campaigns SET approved_hash = $1, content_hash = $1",
            (await _content_hash(sent, conn)),
        )
    with pytest.raises(Forbidden):
        await sent.again(channels=[1, 2])
    with pytest.raises(Forbidden, match="you submitted it"):
        await sent.again(channels=[2], actor=both)
    with pytest.raises(Invalid, match="channels"):
        await sent.again(channels=[7], actor=sent.team.approver)
    run = await sent.again(channels=[2], actor=sent.team.approver)
    await sent.expand(run)
    assert await sent.pool.fetchval("SELECT channel_id FROM messages WHERE run_id = $1", run) == 2


async def test_a_channel_that_was_approved_is_chosen_by_an_operator(sent: Sent) -> None:
    """`auto` approves all of them."""
    await sent.fire({0: ("undelivered", "powered_off")})
    async with transaction(sent.pool) as conn:
        await add_channel(conn, sent.keyring, 2, sent.now, rank=9)
    run = await sent.again(channels=[2])
    await sent.expand(run)
    assert await sent.pool.fetchval("SELECT channel_id FROM messages WHERE run_id = $1", run) == 2


async def _both(sent: Sent) -> User:
    async with transaction(sent.pool) as conn:
        return await make_user(
            conn,
            Role.OPERATOR,
            Role.APPROVER,
            now=sent.now,
            department_id=sent.team.department_id,
        )


async def _content_hash(sent: Sent, conn: Any) -> bytes:
    return frozen_content(await planning.load(conn, sent.campaign.id, None)).hash


async def test_who_joined_since_gets_the_text_too(sent: Sent) -> None:
    """Nobody who was in any run of it, whatever became of their text."""
    await sent.fire({0: ("delivered", None), 1: ("rejected", None)})
    with pytest.raises(Conflict, match="nobody has joined"):
        await sent.top_up()
    await sent.add(2, 3)
    async with transaction(sent.pool) as conn:
        user, campaign = sent.team.operator, sent.campaign.id
        assert await follow_up_runs.who_joined(conn, user, campaign, sent.now) == (2, None)
    run = await sent.top_up()
    await sent.expand(run)
    assert await sent.reached(run) == [2, 3]
    row = await sent.pool.fetchrow("SELECT * FROM runs WHERE id = $1", run)
    assert row is not None
    assert (row["follows"], row["relation"], row["over_cap"]) == (sent.run_id, "top_up", "defer")
    await sent.end(run, {})
    await sent.add(4)
    second = await sent.top_up()
    await sent.expand(second)
    assert await sent.reached(second) == [4]


async def test_two_top_ups_at_once_share_nobody(sent: Sent) -> None:
    await sent.fire({0: ("delivered", None)})
    await sent.add(1, 2)
    asked = await asyncio.gather(*(sent.top_up() for _ in range(3)), return_exceptions=True)
    runs = [run for run in asked if isinstance(run, UUID)]
    assert len(runs) == 1
    columns = await sent.pool.fetchval(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_name = 'runs' AND column_name <> 'id' AND is_generated = 'NEVER'"
    )
    twin = await sent.pool.fetchval(
        f"INSERT INTO runs ({columns}) SELECT {columns} FROM runs WHERE id = $1 RETURNING id",
        runs[0],
    )
    await sent.expand(runs[0], twin)
    assert sorted([await sent.reached(runs[0]), await sent.reached(twin)]) == [[], [1, 2]]


async def test_a_sequence_begins_for_who_joined_on_their_own_day(sent: Sent) -> None:
    await sent.fire({0: ("delivered", None)}, further=LATER)
    await sent.add(1)
    sent.now += 2 * DAY
    run = await sent.top_up()
    await sent.expand(run)
    await sent.end(run, {1: ("delivered", None)})
    found = []
    for days in (5, 2):
        sent.now += days * DAY
        (step,) = await fire_due(sent.pool, sent.now)
        await sent.expand(step)
        found.append(await sent.reached(step))
        await sent.end(step, {})
    assert found == [[0], [1]]
    assert await sent.state() is State.DONE


async def test_a_recurring_plan_is_topped_up_with_its_last_text(sent: Sent) -> None:
    start = sent.now + MINUTE
    daily = Schedule("recurring", start, rrule="FREQ=DAILY")
    other = [(LATER[0][0], None)]
    await sent.add(0)
    async with transaction(sent.pool) as conn:
        sent.campaign = await make_scheduled(
            conn, sent.team, now=sent.now, schedule=daily, further=other
        )
    with pytest.raises(Conflict, match="not fired yet"):
        await sent.top_up()
    for day in range(2):
        sent.now = start + day * DAY
        (run,) = await fire_due(sent.pool, sent.now)
        await sent.expand(run)
        await sent.end(run, {})
    await sent.add(1)
    run = await sent.top_up()
    assert await sent.pool.fetchval("SELECT text_no FROM runs WHERE id = $1", run) == 2
    await sent.expand(run)
    assert await sent.reached(run) == [1]


async def test_a_plan_that_has_other_texts_by_now_is_not_topped_up(sent: Sent) -> None:
    """The text of its last fire is none of those that were approved since."""
    daily = Schedule("recurring", sent.now + MINUTE, rrule="FREQ=DAILY")
    await sent.add(0)
    async with transaction(sent.pool) as conn:
        sent.campaign = await make_scheduled(
            conn, sent.team, now=sent.now, schedule=daily, further=[(LATER[0][0], None)]
        )
    for _ in range(2):
        sent.now += DAY
        (run,) = await fire_due(sent.pool, sent.now)
        await sent.expand(run)
        await sent.end(run, {})
    async with transaction(sent.pool) as conn:
        await planning.edit(
            conn,
            sent.team.operator,
            sent.campaign.id,
            lambda plan: replace(plan, more_texts=()),
            sent.now,
        )
        await approval.submit(conn, sent.team.operator, sent.campaign.id, sent.now)
        await approval.approve(conn, sent.team.approver, sent.campaign.id, "", sent.now)
    await sent.add(1)
    with pytest.raises(Conflict, match="another text by now"):
        await sent.top_up()


@pytest.mark.attack
async def test_many_who_joined_need_an_approval_of_their_own(sent: Sent) -> None:
    await sent.fire({0: ("delivered", None)})
    await sent.add(*range(100, 151))
    with pytest.raises(Conflict, match="51 people joined"):
        await sent.top_up()


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("UPDATE runs SET fire_at = fire_at - interval '31 days'", "more than 30 days ago"),
        ("UPDATE campaigns SET drill = true", "not what was approved"),
        ("UPDATE campaigns SET state = 'cancelled'", "is cancelled"),
        ("UPDATE runs SET state = 'expanding'", "is being written"),
    ],
)
async def test_when_there_is_no_top_up(sent: Sent, sql: str, refused: str) -> None:
    await sent.fire({0: ("delivered", None)})
    await sent.add(1)
    await sent.pool.execute(sql)
    with pytest.raises(Conflict, match=refused):
        await sent.top_up()


async def test_a_plan_for_newcomers_is_not_topped_up(sent: Sent) -> None:
    async with transaction(sent.pool) as conn:
        sent.campaign = await make_scheduled(
            conn, sent.team, now=sent.now, schedule=Schedule("joining", roles=("finance",))
        )
    with pytest.raises(Conflict, match="for newcomers"):
        await sent.top_up()


async def test_a_further_run_is_paused_and_cancelled_with_its_campaign(sent: Sent) -> None:
    await sent.fire({0: ("undelivered", "powered_off")})
    run = await sent.again()
    await sent.expand(run)
    by = By(sent.team.operator.id, "r", sent.now)
    acts: list[tuple[Callable[..., Awaitable[Campaign]], str]] = [
        (lifecycle.pause, "paused"),
        (lifecycle.resume, "running"),
        (lifecycle.cancel, "cancelled"),
    ]
    for act, state in acts:
        async with transaction(sent.pool) as conn:
            await act(conn, sent.team.operator, sent.campaign.id, by)
        assert await sent.pool.fetchval("SELECT state FROM runs WHERE id = $1", run) == state


async def test_others_see_and_start_nothing(sent: Sent) -> None:
    await sent.fire({0: ("undelivered", "powered_off")})
    async with transaction(sent.pool) as conn:
        stranger = await make_team(conn, now=sent.now)
        draft = await make_draft(conn, stranger.operator, now=sent.now)
    with pytest.raises(NotFound):
        await sent.again(actor=stranger.operator)
    sent.campaign = draft
    with pytest.raises(NotFound):
        await sent.top_up()


def _urgent(plan: Plan) -> Plan:
    return replace(plan, priority="urgent")


async def test_an_edit_between_fires_voids_further_runs_too(sent: Sent) -> None:
    await sent.fire({0: ("undelivered", "powered_off")}, further=LATER)
    async with transaction(sent.pool) as conn:
        await planning.edit(conn, sent.team.operator, sent.campaign.id, _urgent, sent.now)
    for act in (sent.again, sent.top_up):
        with pytest.raises(Conflict, match="is draft"):
            await act()
