"""A person's word on uncertain hand-offs: what it does, when it may be said, what it cannot do."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from service.accounts.people.model import By
from service.clock import CHINA
from service.delivery.uncertain import uncertain
from service.delivery.uncertain.uncertain import WAIT, Skip, TooEarly
from service.delivery.uncertain.uncertain_store import (
    Settled,
    UncertainFilter,
    insert_decision,
    settle,
)
from service.dispatch.handoff import slice_store
from service.errors import Conflict
from service.ledger.states import MOVES, MessageState
from service.storage.postgres import CheckViolation, UniqueViolation, transaction
from tests.harness.ledger import correct
from tests.harness.stage import mark
from tests.harness.uncertain_run import UncertainRun, start_uncertain_run

Begin = Callable[..., Awaitable[UncertainRun]]
MS = timedelta(milliseconds=1)


@pytest.fixture
def begin(pool: Any, keyring: Any, now: Any) -> Begin:
    async def start(people: int = 4, **of_run: Any) -> UncertainRun:
        return await start_uncertain_run(pool, keyring, now, people, **of_run)

    return start


# ---- what it does


@pytest.mark.parametrize("decision", ["delivered", "unknown"])
async def test_a_persons_word_ends_an_uncertain_hand_off_and_is_recorded(
    begin: Begin, decision: str
) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    verdict = await on.decide(1, decision=decision)
    assert (verdict.decided, verdict.skipped, verdict.channels) == (1, [], set())
    row = await on.row(1)
    assert (row["state"], row["reason"]) == (decision, "decided")
    assert row["final_at"] == on.later
    assert (await on.row(2))["state"] == "uncertain"
    noted = await on.pool.fetchrow(
        "SELECT d.decision, d.reason, d.decided_by, d.decided_at, i.no, i.attempt, i.state::text "
        "FROM doubt_decisions d JOIN doubts_decided i ON i.decision_id = d.id WHERE d.id = $1",
        verdict.decision_id,
    )
    assert noted is not None
    assert tuple(noted) == (
        decision, "asked the carrier", on.on.scene.operator, on.later, 1, 1, decision,
    )  # fmt: skip
    await on.check()


async def test_a_phone_is_free_again_once_its_uncertain_hand_off_is_decided(begin: Begin) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    other = await on.another()

    async def try_to_mark() -> dict[int, int]:
        async with transaction(on.pool) as conn:
            return await mark(conn, other.lease, other.on.run, [1], 1, on.on.now)

    assert await try_to_mark() == {}
    await on.decide(1, decision="unknown")
    assert await try_to_mark() == {1: 1}


async def test_nothing_but_what_is_uncertain_is_moved_and_along_the_table(begin: Begin) -> None:
    words = [state.value for state in MessageState]
    on = await begin(len(words))
    await on.allow_resend()
    for decision in uncertain.Decision:
        await on.pool.execute("DELETE FROM uncertain")
        await on.pool.execute("DELETE FROM doubts_decided")
        await on.pool.execute("DELETE FROM attempts")
        await on.pool.execute(
            """
            UPDATE messages m SET state = w.state, attempt = 1, part_count = 1, marked_at = $2
            FROM unnest($1::message_state[]) WITH ORDINALITY AS w(state, no) WHERE m.no = w.no
            """,
            words,
            on.on.now,
        )
        await on.pool.execute(
            "INSERT INTO uncertain SELECT channel_id, phone_hash, run_id, no, 1, $1, $1 "
            "FROM messages",
            on.on.now,
        )
        verdict = await on.decide(*range(1, len(words) + 1), decision=decision.value)
        assert verdict.decided == 1
        after = [await on.on.state(no) for no in range(1, len(words) + 1)]
        moved = {b: a for b, a in zip(words, after, strict=True) if a != b}
        back = decision.value in ("resend", "not_sent")
        assert moved == {"uncertain": "queued" if back else decision.value}
        assert MessageState(moved["uncertain"]) in MOVES[MessageState.UNCERTAIN]


async def test_the_statement_itself_moves_only_what_is_uncertain(begin: Begin) -> None:
    """Whatever its caller has looked at before."""
    words = [state.value for state in MessageState]
    on = await begin(len(words))
    await on.pool.execute(
        "UPDATE messages m SET state = w.state, attempt = 1 "
        "FROM unnest($1::message_state[]) WITH ORDINALITY AS w(state, no) WHERE m.no = w.no",
        words,
    )
    found = [
        Settled(on.on.run, no, attempt, "delivered", "decided")
        for no in range(1, len(words) + 1)
        for attempt in (1, 2)
    ]
    async with transaction(on.pool) as conn:
        by = By(on.on.scene.operator, "r", on.later)
        decision_id = await insert_decision(conn, "delivered", by)
        assert await settle(conn, decision_id, found, on.later) == 1
    after = [await on.on.state(no) for no in range(1, len(words) + 1)]
    assert {b for b, a in zip(words, after, strict=True) if a != b} == {"uncertain"}


# ---- when


@pytest.mark.attack
async def test_not_before_ten_minutes_and_then_at_once(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    may_at = on.on.now + WAIT
    with pytest.raises(TooEarly) as refused:
        await on.decide(1, at=may_at - MS)
    assert refused.value.may_at == may_at
    assert may_at.astimezone(CHINA).isoformat(timespec="milliseconds") in refused.value.message
    assert (await on.row(1))["state"] == "uncertain"
    assert (await on.decide(1, at=may_at)).decided == 1


async def test_one_that_is_too_young_holds_up_all_of_them(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    began = on.on.now
    on.on.now = began + timedelta(minutes=5)
    await on.make_uncertain(2)
    with pytest.raises(TooEarly) as refused:
        await on.decide(1, 2, at=began + WAIT)
    assert refused.value.may_at == began + timedelta(minutes=15)
    assert await on.on.states() == {"uncertain": 2, "queued": 2}
    assert await on.pool.fetchval("SELECT count(*) FROM doubt_decisions") == 0
    assert (await on.decide(1, 2, at=began + timedelta(minutes=15))).decided == 2


# ---- handing off again


@pytest.mark.attack
@pytest.mark.parametrize("decision", ["resend", "not_sent"])
async def test_nothing_is_handed_off_again_unless_the_policy_allows_it(
    begin: Begin, decision: str
) -> None:
    on = await begin()
    await on.make_uncertain(1)
    with pytest.raises(Conflict) as refused:
        await on.decide(1, decision=decision)
    assert refused.value.code == "resend_not_allowed"
    await on.allow_resend()
    await on.allow_resend(allowed=False)
    with pytest.raises(Conflict):
        await on.decide(1, decision=decision)
    assert (await on.row(1))["state"] == "uncertain"
    assert await on.pool.fetchval("SELECT count(*) FROM doubt_decisions") == 0
    assert await on.pool.fetchval("SELECT count(*) FROM resend_policies") == 2


@pytest.mark.parametrize("decision", ["resend", "not_sent"])
async def test_what_is_handed_off_again_goes_out_once_from_a_run_that_was_closed(
    begin: Begin, decision: str
) -> None:
    on = await begin(2)
    await on.submit(2, b"two")
    await on.make_uncertain(1)
    await on.finish()
    assert await on.run_state() == "sent"
    await on.pool.execute("UPDATE runs SET settled_at = $1", on.later)
    await on.allow_resend()
    verdict = await on.decide(1, decision=decision)
    assert (verdict.decided, verdict.channels) == (1, {on.on.channel.id})
    row = await on.row(1)
    assert (row["state"], row["reason"], row["marked_at"], row["final_at"]) == (
        "queued", None, None, None,
    )  # fmt: skip
    run = await on.pool.fetchrow("SELECT state, finished_at, settled_at FROM runs")
    assert run is not None
    assert tuple(run) == ("running", None, None)
    await on.check()
    assert await on.on.claim(on.lease) == 1
    async with on.pool.acquire() as conn:
        span = (on.on.run, 1, 2)
        queued = await slice_store.queued_rows(conn, on.on.channel.id, [span], on.later)
    assert [r["no"] for r in queued] == [1]
    assert await on.on.mark(on.lease, [1, 2]) == {1: 2}
    await on.on.record(await on.on.result(1, 2, ref=b"again"))
    assert (await on.row(1))["state"] == "submitted"


async def test_a_paused_campaigns_run_opens_paused(begin: Begin) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    await on.finish()
    await on.allow_resend()
    await on.pool.execute("UPDATE campaigns SET state = 'paused'")
    await on.decide(1, decision="resend")
    assert await on.run_state() == "paused"


async def test_an_answer_to_the_first_hand_off_does_not_touch_the_second(begin: Begin) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    await on.allow_resend()
    await on.decide(1, decision="resend")
    late = await on.on.result(1, 1, ref=b"late")
    await on.on.record(late)
    assert (await on.row(1))["state"] == "queued"
    assert await on.on.mark(on.lease, [1]) == {1: 2}
    await on.on.record(late)
    assert (await on.row(1))["state"] == "submitting"


async def _cancelled(on: UncertainRun) -> None:
    await on.pool.execute("UPDATE runs SET state = 'cancelled'")


async def _cancelled_campaign(on: UncertainRun) -> None:
    await on.pool.execute("UPDATE campaigns SET state = 'cancelled'")


async def _over(on: UncertainRun) -> None:
    await on.pool.execute("UPDATE runs SET valid_until = $1", on.later)


async def _corrected(on: UncertainRun) -> None:
    await correct(on.pool, on.on.run)


async def _taken(on: UncertainRun) -> None:
    await on.pool.execute(
        "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at) "
        "SELECT channel_id, 'r', phone_hash, run_id, no, 1, attempt, marked_at FROM uncertain"
    )


async def _arrived(on: UncertainRun) -> None:
    await _taken(on)
    await on.pool.execute("UPDATE parts SET state = 'delivered'")


async def _receipt_parked(on: UncertainRun) -> None:
    await on.receive(b"x", 1)
    await on.fold()
    assert await on.kept() == ["parked"]


async def _receipt_in_the_inbox(on: UncertainRun) -> None:
    await on.receive(b"x", 1)


async def _receipt_for_its_part(on: UncertainRun) -> None:
    await _taken(on)
    await on.receive(b"r")  # this carrier names no recipient


async def _taken_says_our_own_number(on: UncertainRun) -> None:
    """SGIP: the reference is a sequence of ours, given before anybody took anything."""
    await _taken(on)
    await on.pool.execute("UPDATE channels SET kind = 'sgip'")


async def _taken_says_a_receipt(on: UncertainRun) -> None:
    await _taken_says_our_own_number(on)
    await on.pool.execute("UPDATE parts SET state = 'undelivered'")


@pytest.mark.parametrize(
    ("meanwhile", "resend", "not_sent"),
    [
        (_cancelled, Skip.CAMPAIGN_CANCELLED, None),
        (_cancelled_campaign, Skip.CAMPAIGN_CANCELLED, None),
        (_over, Skip.VALIDITY_OVER, Skip.VALIDITY_OVER),
        (_corrected, Skip.CORRECTED, Skip.CORRECTED),
        (_taken, None, Skip.PART_TAKEN),
        (_taken_says_our_own_number, None, None),
        (_taken_says_a_receipt, None, Skip.PART_TAKEN),
        (_arrived, Skip.PART_ARRIVED, Skip.PART_ARRIVED),
        (_receipt_parked, Skip.RECEIPT_WAITS, Skip.RECEIPT_WAITS),
        (_receipt_in_the_inbox, Skip.RECEIPT_WAITS, Skip.RECEIPT_WAITS),
        (_receipt_for_its_part, Skip.RECEIPT_WAITS, Skip.PART_TAKEN),
    ],
)
@pytest.mark.parametrize("decision", ["resend", "not_sent"])
async def test_what_must_not_be_handed_off_again_stays_uncertain(
    begin: Begin,
    meanwhile: Callable[[UncertainRun], Awaitable[None]],
    resend: Skip | None,
    not_sent: Skip | None,
    decision: str,
) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await on.allow_resend()
    await meanwhile(on)
    why = resend if decision == "resend" else not_sent
    verdict = await on.decide(1, decision=decision)
    state = await on.on.state(1)
    if why is not None:
        assert verdict.skipped == [(on.key(1), why)]
        assert (state, verdict.decided, verdict.decision_id) == ("uncertain", 0, None)
    elif meanwhile in (_cancelled, _cancelled_campaign):
        row = await on.row(1)
        assert (row["state"], row["reason"]) == ("cancelled", "campaign_cancelled")
        assert verdict.channels == set()
    else:
        assert (state, verdict.decided) == ("queued", 1)
    await on.check()


# ---- which


async def test_what_is_not_uncertain_or_not_yours_is_skipped_by_name(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    await on.decide(1)
    nobody = uuid.uuid4()
    verdict = await on.decide(
        which=UncertainFilter(keys=[on.key(1), on.key(2), on.key(3), (nobody, 1)]),
        decision="unknown",
    )
    assert verdict.decided == 1
    assert verdict.skipped == [
        (on.key(1), Skip.NOT_IN_DOUBT),
        (on.key(3), Skip.NOT_IN_DOUBT),
        ((nobody, 1), Skip.NOT_IN_DOUBT),
    ]
    assert (await on.row(1))["state"] == "delivered"


async def test_a_whole_run_is_decided_within_scope_and_channel(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1, 2)
    run = on.on.run
    assert (await on.decide(which=UncertainFilter(scope=uuid.uuid4(), run_id=run))).decided == 0
    assert (await on.decide(which=UncertainFilter(run_id=run, channel_id=999))).decided == 0
    mine = UncertainFilter(scope=on.on.scene.department, run_id=run, channel_id=on.on.channel.id)
    assert (await on.decide(which=mine)).decided == 2
    await on.check()


# ---- receipts after a decision


async def test_unknown_yields_to_a_receipt_that_comes_later(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await on.decide(1, decision="unknown")
    await on.receive(b"x", 1)
    await on.fold()
    await on.sweep()
    await on.fold()
    row = await on.row(1)
    assert (row["state"], row["reason"], await on.kept()) == ("delivered", None, [])
    await on.check()


@pytest.mark.parametrize(("later", "kept"), [("delivered", []), ("undelivered", ["conflict"])])
async def test_another_decision_stays_and_what_contradicts_it_is_kept(
    begin: Begin, later: str, kept: list[str]
) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await on.decide(1, decision="delivered")
    await on.receive(b"x", 1, later)
    await on.fold()
    await on.sweep()
    await on.fold()
    assert (await on.row(1))["state"] == "delivered"
    assert await on.kept() == kept


async def test_a_receipt_of_the_hand_off_that_was_made_again_is_kept_as_a_conflict(
    begin: Begin,
) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    await on.allow_resend()
    await on.decide(1, decision="resend")
    await on.receive(b"first", 1)
    await on.fold()
    on.on.now = on.later
    await on.submit(1, b"second")
    await on.sweep()
    await on.fold()
    row = await on.row(1)
    assert (row["state"], row["attempt"]) == ("submitted", 2)
    assert await on.kept() == ["conflict"]
    await on.receive(b"second", 1)
    await on.fold()
    assert (await on.row(1))["state"] == "delivered"


async def test_a_late_answers_reference_lets_the_receipt_find_its_way(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await on.decide(1, decision="unknown")
    await on.on.record(await on.on.result(1, 1, ref=b"r"))
    assert (await on.row(1))["state"] == "unknown"
    await on.receive(b"r", 1, "undelivered")
    await on.fold()
    assert (await on.row(1))["state"] == "undelivered"


async def test_a_receipt_that_may_be_another_texts_is_not_given_to_a_decided_one(
    begin: Begin,
) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    await on.allow_resend()
    await on.decide(1, decision="resend")
    assert await on.on.mark(on.lease, [1]) == {1: 2}  # on its way: the receipt may be its
    await on.receive(b"x", 1)
    await on.fold()
    await on.sweep()
    assert await on.kept() == ["parked"]
    await on.on.record(await on.on.result(1, 2, ref=b"x"))
    await on.sweep()
    await on.fold()
    assert (await on.row(1))["state"] == "delivered"


async def test_a_receipt_that_may_be_of_one_still_uncertain_is_a_persons_to_judge(
    begin: Begin,
) -> None:
    on = await begin(1)
    await on.make_uncertain(1)
    await on.decide(1, decision="unknown")
    other = await on.another()
    await other.make_uncertain(1)
    await on.receive(b"x", 1)
    await on.fold()
    await on.sweep()
    assert await on.kept() == ["ambiguous"]
    assert (await on.on.state(1), await other.on.state(1)) == ("unknown", "uncertain")


async def test_a_decided_one_with_all_its_references_takes_no_other_receipt(begin: Begin) -> None:
    """What it has to say comes by them; a receipt with another reference settles the open one."""
    on = await begin(1)
    await on.make_uncertain(1)
    await on.decide(1, decision="unknown")
    await on.on.record(await on.on.result(1, 1, ref=b"r"))
    other = await on.another()
    await other.make_uncertain(1)
    await on.receive(b"x", 1)
    await on.fold()
    await on.sweep()
    await on.fold()
    assert (await on.on.state(1), await other.on.state(1)) == ("unknown", "delivered")


async def test_the_parts_of_a_long_text_are_taken_one_by_one(begin: Begin) -> None:
    on = await begin(1)
    await on.make_uncertain(1, parts=2)
    await on.decide(1, decision="unknown")
    await on.receive(b"part0", 1)
    await on.fold()
    await on.sweep()
    await on.fold()
    assert await on.on.state(1) == "unknown"
    await on.receive(b"part1", 1)
    await on.fold()
    await on.sweep()
    await on.fold()
    assert (await on.on.state(1), await on.kept()) == ("delivered", [])
    await on.receive(b"part2", 1)
    await on.fold()
    await on.sweep()
    assert await on.kept() == ["parked"]  # the text has no third part


# ---- what the database itself guarantees


async def test_a_hand_off_is_decided_once_whatever_the_code_thinks(begin: Begin) -> None:
    on = await begin()
    await on.make_uncertain(1)
    await on.decide(1, decision="unknown")
    with pytest.raises(UniqueViolation):
        await on.pool.execute("INSERT INTO doubts_decided SELECT * FROM doubts_decided")


async def test_a_policy_is_of_a_class_that_there_is(begin: Begin) -> None:
    on = await begin()
    await on.allow_resend()
    async with on.pool.acquire() as conn:
        policies = {p.message_class: p.allowed for p in await uncertain.list_policies(conn)}
    assert policies == {"public_interest": True, "service": False, "warning": False}
    with pytest.raises(CheckViolation):
        await on.pool.execute("UPDATE resend_policies SET class = 'spam'")
