"""Receipts on a real PostgreSQL: whatever comes in whatever order, the ledger ends the same.

Tests marked `defect` show something that is still wrong.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.delivery.receipts import receipts, store
from service.delivery.receipts.parked_store import expire_parked
from service.delivery.receipts.receipts import SETTLE_AFTER, fold_receipts, rematch_answered
from service.delivery.receipts.settle_store import settle_runs
from service.dispatch.handoff import lease_store, record_store, sweep_store
from service.storage.locks import try_lock_fold
from service.storage.postgres import Connection, transaction
from tests.harness.ledger import add_channel, phone
from tests.harness.pauses import repeatedly
from tests.harness.receipts import DAYS_3, SECOND, SetUp, another_run

# ---- order


async def test_a_receipt_after_its_answer_is_the_end_of_it(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    await on.receive(b"a", to=await on.phone(1))
    assert await on.fold() == 1
    assert await on.state(1) == "delivered"
    assert await on.waiting() == 0
    assert await on.listed() == []


async def test_the_delay_of_each_receipt_is_told_once(stage: SetUp) -> None:
    """Of texts of several parts as well, and not of receipts that meet nothing, or say little."""
    on = await stage(people=3)
    for no, refs in ((1, (b"a",)), (2, (b"b", b"c"))):
        await on.mark(no)
        await on.answered(no, *refs)
    for ref, seconds in ((b"a", 2), (b"b", 5), (b"c", 700), (b"unknown", 9)):
        await on.receive(ref, at=on.now + seconds * SECOND)
    await on.receive(b"b", "buffered", at=on.now + 3 * SECOND)
    told: list[tuple[str, list[float]]] = []

    def note(channel: str, delays: Sequence[float]) -> None:
        told.append((channel, sorted(delays)))

    later = on.now + 800 * SECOND
    await fold_receipts(on.pool, on.channel.id, later, note_delays=note)
    await fold_receipts(on.pool, on.channel.id, later, note_delays=note)
    name = on.channel.name
    assert [one for one in told if one[1]] == [(name, [2.0, 5.0, 700.0])]


async def test_an_uncertain_hand_off_that_is_none_any_more_blocks_nobody(stage: SetUp) -> None:
    """Made uncertain and answered in the same moment: the entry stayed."""
    on = await stage(people=2)
    for no, ref in ((1, b"a"), (2, b"b")):
        await on.mark(no)
        await on.answered(no, ref)
    await on.pool.execute(
        "INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since) "
        "SELECT channel_id, phone_hash, run_id, no, attempt, marked_at, marked_at FROM messages"
    )
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    assert await on.pool.fetchval("SELECT array_agg(no) FROM uncertain") == [2]
    async with on.pool.acquire() as conn:
        await sweep_store.delete_settled_uncertain(conn)
        assert await conn.fetchval("SELECT count(*) FROM uncertain") == 0
        await conn.execute("UPDATE messages SET state = 'uncertain' WHERE no = 2")
        await conn.execute(
            "INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since) "
            "SELECT channel_id, phone_hash, run_id, no, attempt, marked_at, marked_at "
            "FROM messages WHERE no = 2"
        )
        await sweep_store.delete_settled_uncertain(conn)
        assert await conn.fetchval("SELECT count(*) FROM uncertain") == 1, "an uncertain one is one"


async def test_a_receipt_before_its_answer_waits_for_it(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    assert await on.listed() == [(b"a", "parked")]
    assert await on.state(1) == "submitting"
    await on.answered(1, b"a")
    assert await on.listed() == []
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_a_receipt_that_is_parked_while_its_answer_is_committed_meets_it(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fold looks, answer commits and looks again, fold parks: fold must look again, too."""
    on = await stage()
    await on.mark(1)
    await on.receive(b"a")
    park = store.insert_unmatched
    raced = asyncio.Event()

    async def answer_first(conn: Connection, kept: Any, why: Any) -> None:
        await on.answered(1, b"a")  # on other connections, inside the fold's transaction
        raced.set()
        await park(conn, kept, why)

    monkeypatch.setattr(store, "insert_unmatched", answer_first)
    await on.fold()
    assert raced.is_set()
    assert await on.listed() == []
    assert await on.waiting() == 1
    monkeypatch.undo()
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_a_receipt_that_is_folded_before_its_answer_is_committed_meets_it(
    stage: SetUp,
) -> None:
    """Answer not committed yet, fold parks and looks again, answer commits: it must look, too."""
    on = await stage()
    await on.mark(1)
    await on.receive(b"a")
    async with transaction(on.pool) as conn:
        result = await on.result(1, "submitted", b"a")
        await record_store.record_results(conn, on.channel.id, [result], on.now)
        await on.fold()
        assert await on.listed() == [(b"a", "parked")]
    async with on.pool.acquire() as conn:
        await rematch_answered(conn, on.channel.id, [b"a"])
    assert await on.listed() == []
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_the_sweep_finds_what_a_crash_between_commit_and_look_left(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.receive(b"a")
    await on.fold()
    async with transaction(on.pool) as conn:
        result = await on.result(1, "submitted", b"a")
        await record_store.record_results(conn, on.channel.id, [result], on.now)
    await on.sweep(on.now)
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_in_whatever_order_things_happen_the_end_is_the_same(stage: SetUp) -> None:
    on = await stage(120)
    rng = random.Random(7)
    for no in range(1, 121):
        await on.mark(no)
        ref, to = no.to_bytes(8, "big"), await on.phone(no)
        happenings: list[Callable[[], Awaitable[Any]]] = [
            partial(on.answered, no, ref),
            partial(on.receive, ref, to=to),
            partial(on.receive, ref),
            partial(on.receive, ref, "buffered", to),
            on.fold,
            on.fold,
            lambda: on.sweep(on.now),
        ]
        rng.shuffle(happenings)
        for happening in happenings:
            await happening()
    await on.fold()
    counts = await on.pool.fetch("SELECT state::text, count(*) FROM messages GROUP BY 1")
    assert [tuple(row) for row in counts] == [("delivered", 120)]
    assert await on.waiting() == 0
    assert await on.listed() == []


async def test_answers_and_folds_at_once_lose_no_receipt(stage: SetUp) -> None:
    on = await stage(300)
    await on.mark(*range(1, 301))

    async def answer(nos: Sequence[int]) -> None:
        for no in nos:
            await on.answered(no, no.to_bytes(8, "big"))

    async def report(nos: Sequence[int]) -> None:
        for no in nos:
            await on.receive(no.to_bytes(8, "big"))

    folders = [asyncio.create_task(repeatedly(on.fold, 0.001)) for _ in range(2)]
    nos = list(range(1, 301))
    await asyncio.gather(answer(nos[:150]), answer(nos[150:]), report(nos[:150]), report(nos[150:]))
    for folder in folders:
        folder.cancel()
    await asyncio.gather(*folders, return_exceptions=True)
    await on.fold()
    assert await on.listed() == []
    assert await on.pool.fetchval("SELECT count(*) FROM messages WHERE state = 'delivered'") == 300


# ---- repetition, rank, conflict


@pytest.mark.attack
async def test_a_repeated_receipt_changes_nothing(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    for _ in range(2):
        await on.receive(b"a")
        await on.receive(b"a")
        assert await on.fold() == 2
    assert await on.state(1) == "delivered"
    assert await on.listed() == []


async def test_a_late_buffered_undoes_nothing(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, 2)
    await on.answered(1, b"a")
    await on.answered(2, b"b")
    await on.receive(b"a")
    await on.receive(b"a", "buffered")
    await on.receive(b"b", "buffered")
    await on.fold()
    assert [await on.state(1), await on.state(2)] == ["delivered", "submitted"]
    assert await on.listed() == []


async def test_silence_becomes_unknown_and_yields_to_any_later_receipt(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, 2, 3)
    for no in (1, 2, 3):
        await on.answered(no, b"r%d" % no)
    await on.pool.execute("UPDATE runs SET state = 'sent'")

    async def settle(at: datetime) -> None:
        async with transaction(on.pool) as conn:
            await settle_runs(conn, at)

    await settle(on.now + DAYS_3 - SECOND)
    assert await on.state(1) == "submitted"
    await settle(on.now + DAYS_3 + SECOND)
    assert [await on.state(no) for no in (1, 2, 3)] == ["unknown"] * 3
    assert await on.pool.fetchval("SELECT settled_at FROM runs") is not None
    await on.receive(b"r1")
    await on.receive(b"r2", "undelivered", reason="empty_number")
    await on.fold()
    assert [await on.state(no) for no in (1, 2, 3)] == ["delivered", "undelivered", "unknown"]
    assert await on.listed() == []


async def test_a_run_with_an_open_message_is_not_settled(stage: SetUp) -> None:
    on = await stage(2)
    await on.mark(1, 2)
    await on.answered(1, b"a")
    await on.answered(2, state="uncertain")
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    async with transaction(on.pool) as conn:
        await settle_runs(conn, on.now + 2 * DAYS_3)
    assert [await on.state(1), await on.state(2)] == ["unknown", "uncertain"]
    assert await on.pool.fetchval("SELECT settled_at FROM runs") is None


@pytest.mark.attack
@pytest.mark.parametrize("together", [True, False])
async def test_what_contradicts_a_final_state_is_kept_as_a_conflict(
    stage: SetUp, together: bool
) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    await on.receive(b"a")
    if not together:
        await on.fold()
    await on.receive(b"a", "undelivered", reason="other")
    await on.fold()
    assert await on.state(1) == "delivered"
    assert await on.listed() == [(b"a", "conflict")]


# ---- what fits nothing


async def test_an_unknown_reference_is_parked_and_then_listed(stage: SetUp) -> None:
    on = await stage()
    await on.receive(b"nobody's", to=phone(77))
    await on.fold()
    await on.sweep()
    assert await on.listed() == [(b"nobody's", "parked")]
    async with transaction(on.pool) as conn:
        await expire_parked(conn, on.now + DAYS_3)
    assert await on.listed() == [(b"nobody's", "parked")]
    async with transaction(on.pool) as conn:
        await expire_parked(conn, on.now + DAYS_3 + SECOND)
    assert await on.listed() == [(b"nobody's", "unmatched")]


@pytest.mark.attack
async def test_a_reference_with_another_persons_number_fits_nothing(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    await on.receive(b"a", to=await on.phone(2))
    await on.fold()
    assert await on.state(1) == "submitted"
    assert await on.listed() == [(b"a", "parked")]


@pytest.mark.attack
async def test_a_reference_of_another_channel_fits_nothing(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    async with on.pool.acquire() as conn:
        other = await add_channel(conn, on.keyring, 1, on.now)
        receipt = Receipt(b"a", "", ReceiptState.DELIVERED, "DELIVRD", "", None)
        await store.insert_receipts(conn, on.keyring, [(other.id, receipt)], on.now)
    await fold_receipts(on.pool, other.id, on.now)
    assert await on.state(1) == "submitted"


# ---- long texts


@pytest.mark.parametrize("order", list(itertools.permutations([b"a", b"b", b"c"])))
async def test_a_long_text_is_delivered_when_all_its_parts_are(
    stage: SetUp, order: tuple[bytes, ...]
) -> None:
    on = await stage()
    await on.mark(1, parts=3)
    await on.answered(1, b"a", b"b", b"c")
    for ref in order[:2]:
        await on.receive(ref)
        await on.receive(ref)
    await on.fold()
    assert await on.state(1) == "submitted"
    await on.receive(order[2])
    await on.fold()
    assert await on.state(1) == "delivered"
    assert await on.listed() == []


async def test_a_long_text_fails_with_its_first_failed_part(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, b"a", b"b")
    await on.receive(b"a")
    await on.receive(b"b", "undelivered", reason="powered_off")
    await on.fold()
    row = await on.pool.fetchrow("SELECT state::text, reason, code FROM messages WHERE no = 1")
    assert row is not None
    assert tuple(row) == ("undelivered", "powered_off", "UNDELIV")


async def test_an_uncertain_long_text_is_settled_by_its_parts(stage: SetUp) -> None:
    """One part was answered, the other not: its receipt stands for the part that is missing."""
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, b"a", state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.receive(b"b", to=await on.phone(1))
    await on.fold()
    assert await on.state(1) == "uncertain"
    await on.sweep()
    await on.fold()
    assert await on.state(1) == "delivered"
    assert await on.count_uncertain() == 0


async def test_a_repeated_receipt_of_an_uncertain_long_text_counts_once(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, state="uncertain")
    for ref in (b"a", b"a"):
        await on.receive(ref, to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert await on.state(1) == "uncertain"
    await on.receive(b"b", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert await on.state(1) == "delivered"


# ---- uncertain hand-offs: invariant I3


async def test_the_only_uncertain_hand_off_is_settled_by_a_receipt(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, 2)
    await on.answered(1, state="uncertain")
    await on.answered(2, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    await on.sweep(on.now + SETTLE_AFTER - SECOND)
    await on.fold()
    assert await on.state(1) == "uncertain"  # too young: an answer may be on its way
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await on.state(2)] == ["delivered", "uncertain"]
    assert await on.count_uncertain() == 1
    assert await on.listed() == []
    await on.answered(1, b"a")  # the answer after all
    assert await on.state(1) == "delivered"


async def test_two_uncertain_hand_offs_to_one_phone_stay_listed(stage: SetUp) -> None:
    on = await stage()
    other = await another_run(on)
    await on.mark(1)
    await other.mark(1)
    await on.answered(1, state="uncertain")
    await other.answered(1, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await other.state(1)] == ["uncertain", "uncertain"]
    assert await on.listed() == [(b"a", "ambiguous")]


@pytest.mark.parametrize("swept_between", [True, False])
async def test_as_many_receipts_as_uncertain_hand_offs_that_say_the_same_settle_them(
    stage: SetUp, *, swept_between: bool
) -> None:
    """Whichever is whose, each one's end is the same."""
    on = await stage()
    other = await another_run(on)
    for run in (on, other):
        await run.mark(1)
    for run in (on, other):
        await run.answered(1, state="uncertain")
    for ref in (b"a", b"b"):
        await on.receive(ref, "buffered", to=await on.phone(1))
        await on.receive(ref, to=await on.phone(1))
        await on.fold()
        if swept_between:
            await on.sweep()
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await other.state(1)] == ["delivered", "delivered"]
    assert await on.count_uncertain() == 0
    assert await on.listed() == []


@pytest.mark.parametrize(
    "said",
    [
        [(b"a", "delivered"), (b"b", "undelivered")],
        [(b"a", "buffered"), (b"b", "buffered")],
        [(b"a", "delivered"), (b"a", "delivered")],
        [(b"a", "delivered"), (b"b", "delivered"), (b"c", "delivered")],
    ],
)
async def test_what_may_be_divided_otherwise_among_uncertain_hand_offs_is_left_to_a_person(
    stage: SetUp, said: list[tuple[bytes, str]]
) -> None:
    on = await stage()
    other = await another_run(on)
    for run in (on, other):
        await run.mark(1)
    for run in (on, other):
        await run.answered(1, state="uncertain")
    for ref, state in said:
        await on.receive(ref, state, to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await other.state(1)] == ["uncertain", "uncertain"]
    assert await on.listed() == [(ref, "ambiguous") for ref, _ in said]


async def test_where_only_the_last_part_is_asked_for_their_number_says_nothing(
    stage: SetUp,
) -> None:
    """A carrier that reports each part all the same gives two for one text."""
    on = await stage()
    await on.pool.execute("UPDATE channels SET receipts = 'last'")
    other = await another_run(on)
    for run in (on, other):
        await run.mark(1, parts=2)
    for run in (on, other):
        await run.answered(1, state="uncertain")
    for ref in (b"a", b"b"):
        await on.receive(ref, to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await other.state(1)] == ["uncertain", "uncertain"]


async def test_a_receipt_that_fitted_two_uncertain_hand_offs_settles_the_one_that_is_left(
    stage: SetUp,
) -> None:
    """The other one's answer comes late: its process had been frozen, not killed."""
    on = await stage()
    other = await another_run(on)
    for run in (on, other):
        await run.mark(1)
    for run in (on, other):
        await run.answered(1, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    assert await on.listed() == [(b"a", "ambiguous")]
    await other.answered(1, b"b")
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await other.state(1)] == ["delivered", "submitted"]
    assert await on.listed() == []


async def test_an_older_uncertain_hand_off_does_not_stand_for_one_on_another_channel(
    stage: SetUp,
) -> None:
    """Whoever put it there and whoever had the answer wrote at the same moment, and the text then
    took another channel, before the entry was swept away.
    """
    on = await stage()
    await on.pool.execute(
        "INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since) "
        "SELECT 0, phone_hash, run_id, no, 0, $2, $2 FROM messages WHERE run_id = $1 AND no < 3",
        on.run,
        on.now - SECOND,
    )
    await on.mark(1, 2)
    await on.answered(1, state="uncertain")
    async with transaction(on.pool) as conn:
        await lease_store.recover_slices(conn, [(on.run, 1)], on.now)
    for no, ref in ((1, b"a"), (2, b"b")):
        await on.receive(ref, to=await on.phone(no))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert [await on.state(1), await on.state(2)] == ["delivered", "delivered"]
    assert await on.count_uncertain() == 0


async def test_more_references_than_parts_are_listed(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.receive(b"b", to=await on.phone(1))
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    assert await on.state(1) == "delivered"
    assert await on.listed() == [(b"b", "ambiguous")]


async def test_a_receipt_from_before_the_hand_off_settles_nothing(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, state="uncertain")
    await on.receive(b"old", to=await on.phone(1), at=on.now - SECOND)
    await on.receive(b"whose")
    await on.fold()
    await on.sweep()
    await on.fold()
    assert await on.state(1) == "uncertain"
    assert await on.listed() == [(b"old", "parked"), (b"whose", "parked")]


async def test_a_buffered_receipt_tells_the_reference_of_an_uncertain_hand_off(
    stage: SetUp,
) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, state="uncertain")
    await on.receive(b"a", "buffered", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    await on.receive(b"a")
    await on.fold()
    assert await on.state(1) == "delivered"


# ---- crashes


async def test_a_fold_that_dies_leaves_its_receipts(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage()
    await on.mark(1, 2)
    await on.answered(1, b"a")
    await on.receive(b"a")
    await on.receive(b"unknown")

    async def die(*_: Any) -> None:
        raise ConnectionResetError("PostgreSQL was killed")

    with monkeypatch.context() as patch:
        patch.setattr(store, "insert_unmatched", die)
        with pytest.raises(ConnectionResetError):
            await on.fold()
    assert await on.waiting() == 2
    assert await on.state(1) == "submitted"
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_a_channel_has_one_folder_at_a_time(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    await on.receive(b"a")
    async with transaction(on.pool) as conn:
        assert await try_lock_fold(conn, on.channel.id)
        assert await on.fold() == 0
        assert await on.waiting() == 1
    assert await on.fold() == 1


async def test_many_receipts_are_folded_in_several_batches(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "BATCH", 7)
    on = await stage(50)
    await on.mark(*range(1, 51))
    for no in range(1, 51):
        await on.answered(no, b"r%d" % no)
        await on.receive(b"r%d" % no)
    assert await on.fold() == 50
    assert await on.pool.fetchval("SELECT count(*) FROM messages WHERE state = 'delivered'") == 50


async def test_results_committed_twice_are_the_same_as_once(stage: SetUp) -> None:
    """The commit's answer was lost, so the Sender records the batch again."""
    on = await stage()
    await on.mark(1)
    await on.answered(1, b"a")
    await on.answered(1, b"a")
    await on.receive(b"a")
    await on.fold()
    assert await on.state(1) == "delivered"
    await on.answered(1, b"a")
    assert await on.state(1) == "delivered"
    assert await on.listed() == []


# ---- defects: each of these is how it ought to be


async def test_a_long_texts_results_committed_twice_are_the_same_as_once(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, b"a", b"b")
    await on.answered(1, b"a", b"b")
    await on.receive(b"a")
    await on.fold()
    assert await on.state(1) == "submitted"
    await on.receive(b"b")
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_an_unknown_part_of_a_long_text_yields_to_a_later_receipt(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, b"a", b"b")
    await on.receive(b"a", "unknown")
    await on.receive(b"b")
    await on.fold()
    assert await on.state(1) == "unknown"
    await on.receive(b"a")
    await on.fold()
    assert await on.state(1) == "delivered"


async def test_a_conflict_about_a_part_is_kept(stage: SetUp) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, b"a", b"b")
    await on.receive(b"a")
    await on.receive(b"b")
    await on.fold()
    await on.receive(b"a", "undelivered", reason="other")
    await on.fold()
    assert await on.listed() == [(b"a", "conflict")]


async def test_a_receipt_is_not_given_away_while_another_answer_is_on_its_way(
    stage: SetUp,
) -> None:
    """Two texts to one phone: the first lost its link, the second's answer is slow."""
    on = await stage()
    other = await another_run(on)
    await on.mark(1)
    await other.mark(1)
    await on.answered(1, state="uncertain")
    await on.receive(b"second's", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    await other.answered(1, b"second's")
    await on.fold()
    assert [await on.state(1), await other.state(1)] == ["uncertain", "delivered"]


async def test_an_ambiguous_receipt_still_meets_its_answer(stage: SetUp) -> None:
    on = await stage()
    other = await another_run(on)
    await on.mark(1)
    await other.mark(1)
    await on.answered(1, state="uncertain")
    await other.answered(1, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    assert await on.listed() == [(b"a", "ambiguous")]
    await other.answered(1, b"a")
    await on.fold()
    assert await other.state(1) == "delivered"


async def test_a_receipt_that_changes_nothing_is_kept(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold saw an uncertain hand-off; before it writes, the late answer says rejected."""
    on = await stage()
    await on.mark(1)
    await on.answered(1, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    apply = store.apply_changes

    async def reject_first(conn: Connection, changes: Any, now: datetime) -> Any:
        await on.answered(1, state="rejected")
        return await apply(conn, changes, now)

    monkeypatch.setattr(store, "apply_changes", reject_first)
    await on.fold()
    assert await on.state(1) == "rejected"
    assert await on.listed() == [(b"a", "conflict")]


async def test_two_sweeps_at_once_adopt_a_reference_once(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, state="uncertain")
    await on.receive(b"a", to=await on.phone(1))
    await on.fold()
    look = store.parked_for_uncertain
    both = asyncio.Barrier(2)

    async def look_together(*args: Any) -> Any:
        found = await look(*args)
        try:
            async with asyncio.timeout(1):
                await both.wait()
        except (TimeoutError, asyncio.BrokenBarrierError):
            await both.abort()
        return found

    monkeypatch.setattr(store, "parked_for_uncertain", look_together)
    await asyncio.gather(on.sweep(), on.sweep())
    await on.fold()
    assert await on.state(1) == "uncertain"
    assert await on.pool.fetchval("SELECT count(*) FROM parts") == 1


# ---- second look: each of these is how it ought to be


async def test_a_reference_given_twice_does_not_stop_the_fold(stage: SetUp) -> None:
    """A carrier that counts anew gives a person's second text the reference of the first."""
    on = await stage()
    other = await another_run(on)
    await on.mark(1)
    await other.mark(1)
    await on.answered(1, b"a")
    await other.answered(1, b"a")
    await on.receive(b"a")
    await on.fold()
    await on.receive(b"a", "undelivered", reason="other")
    await on.mark(2)
    await on.answered(2, b"b")
    await on.receive(b"b")
    await on.fold()
    assert await on.state(2) == "delivered"


async def test_an_answer_after_its_receipts_settled_the_uncertain_hand_off_changes_nothing(
    stage: SetUp,
) -> None:
    on = await stage()
    await on.mark(1, parts=2)
    await on.answered(1, state="uncertain")
    await on.receive(b"b", to=await on.phone(1))
    await on.fold()
    await on.sweep()
    await on.fold()
    await on.answered(1, b"a", b"b")  # late, after all
    await on.receive(b"a")
    await on.fold()
    assert await on.state(1) == "delivered"
