"""Texts that failed for a passing reason, on a real PostgreSQL: once more, later, never twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from service.campaigns.plans import lifecycle
from service.channels.contract.gateway import Receipt, SubmitResult
from service.channels.contract.outcome import Outcome, ReceiptState
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, record_store, slice_store, store
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.dispatch.retries import retry_store
from service.reports import progress
from service.storage.postgres import Pool, transaction
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import Accept, Scripted, Stage, working
from tests.harness.three_channels import MOBILE, NP, UNICOM, ThreeChannels, lay_out, ref
from tests.harness.waiting import until

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
FULL = "MI:0208"

SetUp = Callable[..., Awaitable[ThreeChannels]]


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: Any) -> SetUp:
    async def set_up(**more: Any) -> ThreeChannels:
        on = await lay_out(pool, keyring, now, **more)
        await pool.execute("UPDATE runs SET valid_until = $1", now + 48 * HOUR)
        return on

    return set_up


async def report(
    on: ThreeChannels,
    which: bytes,
    state: str,
    code: str = "DELIVRD",
    reason: str = "",
    carrier: str = MOBILE,
) -> None:
    """A receipt by its reference, folded."""
    receipt = Receipt(which, "", ReceiptState(state), code, reason, None)
    async with transaction(on.pool) as conn:
        await delivery.insert_receipts(conn, on.keyring, [(on.id(carrier), receipt)], on.now)
    await on.fold(carrier)


async def full(on: ThreeChannels, *nos: int, carrier: str = MOBILE) -> None:
    """Final receipts say that these handsets are full."""
    for no in nos:
        await on.receive(carrier, no, "undelivered", FULL, "memory_full")
    await on.fold(carrier)


async def slice_row(on: ThreeChannels, no: int = 1) -> Any:
    return await on.pool.fetchrow(
        "SELECT not_before, done_at, epoch FROM slices WHERE run_id = $1 AND no = $2", on.run, no
    )


async def attempts(on: ThreeChannels, no: int) -> list[tuple[Any, ...]]:
    rows = await on.pool.fetch(
        "SELECT attempt, channel_id, state::text, reason, code, next_at FROM attempts "
        "WHERE run_id = $1 AND no = $2 ORDER BY attempt",
        on.run,
        no,
    )
    return [tuple(row) for row in rows]


async def again(
    on: ThreeChannels, no: int, *refs: bytes, slice_no: int = 1, carrier: str = MOBILE
) -> None:
    """Hand a text off once more, when it is due."""
    lease = await on.lease_once(carrier)
    assert await on.claim(lease) == (slice_no, [no])
    assert await on.mark(lease, slice_no, no, parts=len(refs)) == [no]
    await on.submitted(carrier, no, *refs)
    assert await on.finish(lease, slice_no)


# ---- later, once


async def test_a_passing_failure_waits_and_is_handed_off_once_more(stage: SetUp) -> None:
    on = await stage(people=2)
    await on.sent(MOBILE, 1, 2)
    await on.close()
    assert (await on.run_row())["state"] == "sent"
    before = await on.row(1)
    await full(on, 1)
    assert await on.states() == {"queued": 1, "submitted": 1}
    row = await on.row(1)
    empty = ("reason", "code", "marked_at", "submitted_at", "final_at")
    assert [row[name] for name in empty] == [None] * 5
    due = on.now + HOUR / 2
    assert await attempts(on, 1) == [(1, on.id(MOBILE), "undelivered", "memory_full", FULL, due)]
    kept = await on.pool.fetchrow("SELECT * FROM attempts")
    assert kept is not None
    assert (kept["marked_at"], kept["submitted_at"]) == (before["marked_at"], before["marked_at"])
    assert (kept["part_count"], kept["ended_at"]) == (1, on.now)
    assert tuple(await slice_row(on)) == (due, None, None)
    assert (await on.run_row())["state"] == "running"
    assert await on.pool.fetchval("SELECT state FROM campaigns") == "running"
    lease = on.leases[MOBILE]
    on.now = due - timedelta(microseconds=1)
    assert await on.claim(lease) is None
    on.now = due
    await again(on, 1, b"second")
    assert (await on.row(1))["attempt"] == 2
    await report(on, b"second", "delivered")
    await on.delivered(MOBILE, 2)
    assert await on.states() == {"delivered": 2}
    await on.close()
    assert (await on.run_row())["state"] == "sent"
    assert await on.listed() == []


async def test_a_submit_refused_for_a_passing_reason_is_handed_off_once_more(
    stage: SetUp,
) -> None:
    on = await stage(people=3)
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1, 2, 3)
    await on.refused(MOBILE, 1, reason="network")
    await on.refused(MOBILE, 2, b"a part was taken", reason="network")
    await on.refused(MOBILE, 3, reason="content_filter")
    assert [(await on.row(no))["state"] for no in (1, 2, 3)] == ["queued", "rejected", "rejected"]
    assert (await attempts(on, 1))[0][-1] == on.now + 5 * MINUTE
    assert not await on.finish(lease, 1)
    assert (await slice_row(on))["not_before"] == on.now + 5 * MINUTE
    on.leases[MOBILE] = lease
    on.now += 5 * MINUTE
    await again(on, 1, b"second")
    assert await on.states() == {"submitted": 1, "rejected": 2}


async def test_a_department_is_told_of_the_end_and_of_no_failure_that_is_none(
    stage: SetUp,
) -> None:
    """Neither of one that is tried again nor of one that takes another channel; both are events."""
    on = await stage(people=4)
    await on.pool.execute("UPDATE messages SET told = true")
    await on.sent(MOBILE, 1, 2, 3, 4)
    await full(on, 1)
    await on.ported(MOBILE, 2)
    await on.delivered(MOBILE, 3)
    await on.receive(MOBILE, 4, "undelivered", "DB:0141", "content_filter")
    await on.fold(MOBILE)
    assert await told(on) == [(3, "delivered"), (4, "undelivered")]
    await on.sent(UNICOM, 2)
    await on.delivered(UNICOM, 2)
    on.now += HOUR / 2
    await again(on, 1, b"second")
    await report(on, b"second", "undelivered", FULL, "memory_full")
    assert await told(on) == [
        (3, "delivered"),
        (4, "undelivered"),
        (2, "delivered"),
        (1, "undelivered"),
    ]
    assert await on.pool.fetchval("SELECT count(*) FROM webhook_news") == 4


async def told(on: ThreeChannels) -> list[tuple[int, str]]:
    rows = await on.pool.fetch("SELECT data FROM webhook_events ORDER BY id")
    return [(int(row["data"]["message_id"].split(".")[1]), row["data"]["state"]) for row in rows]


async def test_answers_recorded_twice_bring_a_text_back_once(stage: SetUp) -> None:
    """The commit's answer was lost, so the batch is recorded again, and again much later."""
    on = await stage(people=1)
    lease = on.leases[MOBILE] = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1)
    result = await on.result(1, "rejected", reason="network", code="51")
    await on.record(MOBILE, result)
    await on.record(MOBILE, result)
    assert len(await attempts(on, 1)) == 1
    assert not await on.finish(lease, 1)
    on.now += 5 * MINUTE
    await on.claim(lease)
    await on.mark(lease, 1, 1)
    await on.record(MOBILE, await on.result(1, "rejected", reason="network", code="51"))
    assert (await on.where(1))[0] == "rejected"
    await on.record(MOBILE, result)
    assert (await on.where(1))[0] == "rejected"
    assert len(await attempts(on, 1)) == 1


async def test_the_second_failure_is_final(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await full(on, 1)
    on.now += HOUR / 2
    await again(on, 1, b"second")
    await report(on, b"second", "undelivered", "CA:0051", "network")
    row = await on.row(1)
    assert (row["state"], row["reason"], row["code"]) == ("undelivered", "network", "CA:0051")
    assert len(await attempts(on, 1)) == 1
    assert (await slice_row(on))["done_at"] is not None


async def test_it_waits_for_the_send_hours(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.pool.execute('UPDATE runs SET send_hours = \'[["08:00", "20:00"]]\'')
    on.now += 10 * HOUR  # 19:30 in Shanghai
    await on.sent(MOBILE, 1)
    await full(on, 1)
    opening = on.now + 12.5 * HOUR
    assert (await attempts(on, 1))[0][-1] == opening
    assert (await slice_row(on))["not_before"] == opening


async def test_three_hand_offs_are_the_most(stage: SetUp) -> None:
    """One for a passing reason and one on another carrier, in either order, and no fourth."""
    on = await stage(people=2)
    await on.sent(MOBILE, 1, 2)
    await full(on, 1)
    await on.ported(MOBILE, 2)
    await on.sent(UNICOM, 2)
    await full(on, 2, carrier=UNICOM)
    assert [await on.where(no) for no in (1, 2)] == [("queued", MOBILE), ("queued", UNICOM)]
    on.now += HOUR / 2
    await again(on, 1, b"1 second")
    await again(on, 2, b"2 third", slice_no=2, carrier=UNICOM)
    await report(on, b"1 second", "undelivered", NP, "ported")
    await report(on, b"2 third", "undelivered", FULL, "memory_full", UNICOM)
    assert [await on.where(no) for no in (1, 2)] == [("queued", UNICOM), ("undelivered", UNICOM)]
    await again(on, 1, b"1 third", slice_no=3, carrier=UNICOM)
    await report(on, b"1 third", "undelivered", NP, "ported", UNICOM)
    assert await on.states() == {"undelivered": 2}
    assert [(await on.row(no))["attempt"] for no in (1, 2)] == [3, 3]
    assert [row[0] for row in await attempts(on, 1)] == [1, 2]
    assert [row[2:4] for row in await attempts(on, 2)] == [
        ("undelivered", "ported"),
        ("undelivered", "memory_full"),
    ]


async def test_what_was_never_written_goes_back_at_once(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    """By whatever connection; it counts as no hand-off."""
    on = await one_text(pool, keyring, now, connections=2)
    first = await on.must_lease(0)
    assert await on.claim(first) == 1
    assert await on.mark(first, [1]) == {1: 1}
    await on.give_back([(1, 1)], first)
    async with transaction(pool) as conn:
        await slice_store.finish_slices(conn, first, [ReleasedSlice(on.run, 1)], now)
    second = await on.must_lease(1)
    assert await on.claim(second) == 1
    assert await on.mark(second, [1]) == {1: 2}
    assert await pool.fetchval("SELECT count(*) FROM attempts") == 0


# ---- never


async def _a_dead_number(on: ThreeChannels) -> None:
    await on.receive(MOBILE, 1, "undelivered", "MK:0001", "empty_number")
    await on.fold(MOBILE)


async def _unknown(on: ThreeChannels) -> None:
    await on.receive(MOBILE, 1, "unknown", "UNKNOWN", "network")
    await on.fold(MOBILE)


async def _past_the_validity(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE runs SET valid_until = $1", on.now + HOUR / 2)
    await full(on, 1)


async def _without_an_end(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE runs SET valid_until = NULL")
    await full(on, 1)


async def _cancelled(on: ThreeChannels) -> None:
    await on.act(lifecycle.cancel)
    await full(on, 1)


async def _cancelled_campaign_of_a_sent_run(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    await on.act(lifecycle.cancel)
    await full(on, 1)


async def _corrected(on: ThreeChannels) -> None:
    await on.correct()
    await full(on, 1)


async def _contradicted_at_once(on: ThreeChannels) -> None:
    await on.receive(MOBILE, 1, "undelivered", FULL, "memory_full")
    await on.delivered(MOBILE, 1)


@pytest.mark.parametrize(
    "happening",
    [
        _a_dead_number,
        _unknown,
        _past_the_validity,
        _without_an_end,
        _cancelled,
        _cancelled_campaign_of_a_sent_run,
        _corrected,
        _contradicted_at_once,
    ],
    ids=lambda happening: happening.__name__.strip("_"),
)
async def test_otherwise_a_failure_is_final(
    stage: SetUp, happening: Callable[[ThreeChannels], Awaitable[None]]
) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await happening(on)
    assert (await on.where(1))[0] in {"undelivered", "unknown"}
    assert await attempts(on, 1) == []
    assert (await slice_row(on))["done_at"] is not None


async def test_a_text_of_which_a_part_arrived_is_not_tried_again(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1, parts=2)
    await on.receive(MOBILE, 1, "delivered", "DELIVRD", part=0)
    await on.fold(MOBILE)
    await on.receive(MOBILE, 1, "undelivered", FULL, "memory_full", part=1)
    await on.fold(MOBILE)
    assert await on.where(1) == ("undelivered", MOBILE)
    assert await attempts(on, 1) == []


# ---- it arrived after all


async def test_a_text_that_arrived_after_all_does_not_leave_again(stage: SetUp) -> None:
    on = await stage(people=2)
    await on.sent(MOBILE, 1, 2)
    before = await on.row(1)
    await full(on, 1, 2)
    await report(on, ref(MOBILE, 1), "expired", "EXPIRED", "network")
    assert (await on.where(1))[0] == "queued", "that it failed is nothing new"
    await full(on, 1)  # the carrier repeats itself
    await on.delivered(MOBILE, 1)
    row = await on.row(1)
    assert (row["state"], row["reason"], row["code"]) == ("delivered", None, "DELIVRD")
    assert (row["marked_at"], row["submitted_at"]) == (before["marked_at"], before["submitted_at"])
    assert await attempts(on, 1) == []
    assert await on.listed() == [(ref(MOBILE, 1), "conflict")], "only the other reason is"
    await on.delivered(MOBILE, 1)
    assert len(await on.listed()) == 1
    on.now += HOUR / 2
    assert await on.claim(on.leases[MOBILE]) == (1, [2])
    assert await on.mark(on.leases[MOBILE], 1, 1) == []


async def test_a_slice_that_waits_for_nobody_any_more_is_done_at_once(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await full(on, 1)
    await on.delivered(MOBILE, 1)
    lease = on.leases[MOBILE]
    assert await on.claim(lease) == (1, [])
    assert await on.finish(lease, 1)
    await on.close()
    assert (await on.run_row())["state"] == "sent"


async def test_a_long_text_whose_other_part_arrives_stays_failed(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1, parts=2)
    await on.receive(MOBILE, 1, "undelivered", FULL, "memory_full", part=0)
    await on.fold(MOBILE)
    assert (await on.where(1))[0] == "queued"
    await on.receive(MOBILE, 1, "delivered", "DELIVRD", part=1)
    await on.fold(MOBILE)
    row = await on.row(1)
    assert (row["state"], row["reason"], row["code"]) == ("undelivered", "memory_full", FULL)
    assert row["submitted_at"] is not None
    assert await attempts(on, 1) == []
    assert await on.listed() == []


async def test_a_long_text_whose_parts_all_arrive_after_all_is_delivered(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1, parts=2)
    await on.receive(MOBILE, 1, "undelivered", FULL, "memory_full", part=0)
    await on.fold(MOBILE)
    for part in (0, 1):
        await on.receive(MOBILE, 1, "delivered", "DELIVRD", part=part)
    await on.fold(MOBILE)
    assert (await on.where(1))[0] == "delivered"


async def test_once_it_is_on_its_way_again_a_late_arrival_is_a_conflict(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await full(on, 1)
    on.now += HOUR / 2
    await again(on, 1, b"second")
    await on.delivered(MOBILE, 1)
    assert (await on.where(1))[0] == "submitted"
    assert await on.listed() == [(ref(MOBILE, 1), "conflict")]
    await report(on, b"second", "undelivered", NP, "ported")
    assert await on.where(1) == ("undelivered", MOBILE), "no third one: it has arrived"


async def test_both_hand_offs_receipts_in_one_batch(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await full(on, 1)
    on.now += HOUR / 2
    await again(on, 1, b"second")
    await on.receive(MOBILE, 1, "delivered", "DELIVRD")
    await report(on, b"second", "delivered")
    assert (await on.where(1))[0] == "delivered"
    assert (await on.row(1))["attempt"] == 2
    assert await on.listed() == [(ref(MOBILE, 1), "conflict")]


async def test_what_comes_back_unsent_after_its_first_hand_off_arrived_stays(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    on = await one_text(pool, keyring, now)
    answers: list[SubmitResult | None] = [Accept, None]
    gateway = Scripted(lambda _: answers.pop(0))
    async with working(on, gateway) as sender:
        await until(lambda: is_in(on, "submitted"))
        first = await pool.fetchval("SELECT ref FROM parts")
        await received(on, first, "undelivered", "network")
        assert await on.state(1) == "queued"
        sender.clock.at += 6 * MINUTE
        await until(lambda: is_in(on, "submitting"), 10)
        await until(lambda: flying(gateway))
        await received(on, first, "delivered")
        assert await on.state(1) == "submitting"
        gateway.silent[0].set_result(SubmitResult(Outcome.NOT_SENT))
        await until(lambda: is_in(on, "delivered"))
        await sender.end()
    assert len(gateway.written) == 2
    kept = await pool.fetch("SELECT ref, why FROM receipts_unmatched")
    assert [tuple(row) for row in kept] == [(first, "conflict")]


async def one_text(pool: Pool, keyring: Keyring, now: Any, connections: int = 1) -> Stage:
    """A run to one person, valid for two days."""
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(0)], now)
        channel = await add_channel(conn, keyring, 1, now, connections=connections)
        run = await add_run(conn, scene, now, valid_until=now + 48 * HOUR)
        await lease_store.ensure_connections(conn, channel.id, connections)
    await expand_run(pool, run, now)
    return Stage(pool, keyring, scene, channel, run, now)


async def is_in(on: Stage, state: str) -> bool:
    return await on.state(1) == state


async def flying(gateway: Scripted) -> bool:
    return bool(gateway.silent)


async def received(on: Stage, which: bytes, state: str, reason: str = "") -> None:
    receipt = Receipt(which, "", ReceiptState(state), state, reason, None)
    async with transaction(on.pool) as conn:
        await delivery.insert_receipts(conn, on.keyring, [(on.channel.id, receipt)], on.now)
    await fold_receipts(on.pool, on.channel.id, on.now)


# ---- slices


async def test_a_slice_in_hand_is_left_alone_and_waits_when_it_is_let_go(stage: SetUp) -> None:
    on = await stage(people=3)
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1, 2)
    for no in (1, 2):
        await on.submitted(MOBILE, no, ref(MOBILE, no))
    await full(on, 1)
    on.now += MINUTE
    await report(on, ref(MOBILE, 2), "undelivered", "DB:0142", "frequency_limit")
    held = await slice_row(on)
    assert (held["not_before"], held["epoch"]) == (None, lease.epoch)
    assert not await on.finish(lease, 1)
    assert (await slice_row(on))["not_before"] is None, "one of it may leave now"
    assert await on.claim(lease) == (1, [3])
    await on.mark(lease, 1, 3)
    await on.submitted(MOBILE, 3, ref(MOBILE, 3))
    assert not await on.finish(lease, 1)
    assert (await slice_row(on))["not_before"] == on.now - MINUTE + HOUR / 2, "the least"
    on.now += HOUR / 2
    assert await on.claim(lease) == (1, [1])
    assert not await on.finish(lease, 1)
    assert (await slice_row(on))["not_before"] is None


async def test_what_is_given_back_does_not_wait_for_others(stage: SetUp) -> None:
    on = await stage(people=2)
    lease = on.leases[MOBILE] = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1, 2)
    await on.submitted(MOBILE, 1, ref(MOBILE, 1))
    await full(on, 1)
    await on.record(MOBILE, await on.result(2, "uncertain", reason="no_answer"))
    assert not await on.finish(lease, 1)
    assert (await slice_row(on))["not_before"] == on.now + HOUR / 2
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, lease, on.run)
        row = await on.row(2)
        rows = [(2, row["attempt"])]
        await record_store.give_back(conn, lease, (on.run, 1), rows, on.now)
    assert await on.claim(lease) == (1, [2])


async def test_nothing_turns_in_circles_while_a_text_waits(
    pool: Pool, keyring: Keyring, now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender looks for work all the time, and finds none until the text is due."""
    monkeypatch.setattr("service.dispatch.handoff.sender.IDLE_SECONDS", 0.01)
    on = await one_text(pool, keyring, now)
    let_go = 0
    finish = slice_store.finish_slices

    async def counted(*args: Any) -> int:
        nonlocal let_go
        let_go += 1
        return await finish(*args)

    monkeypatch.setattr(slice_store, "finish_slices", counted)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway) as sender:
        await until(lambda: is_in(on, "submitted"))
        ref = await pool.fetchval("SELECT ref FROM parts")
        await received(on, ref, "undelivered", "memory_full")
        await sender.looks(20)
        assert (await on.state(1), let_go) == ("queued", 1)
        sender.clock.at += HOUR / 2
        await until(lambda: is_in(on, "submitted"))
        await sender.end()
    assert let_go == 2
    assert len(gateway.written) == 2


# ---- who may come in between


async def test_a_failure_half_way_leaves_all_as_it_was(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=2)
    await on.sent(MOBILE, 1, 2)
    whole = retry_store.queue_again

    async def killed(*args: Any) -> None:
        await whole(*args)
        raise ConnectionResetError("killed before the commit")

    monkeypatch.setattr(retry_store, "queue_again", killed)
    with pytest.raises(ConnectionResetError):
        await full(on, 1)
    assert await on.states() == {"submitted": 2}
    assert await attempts(on, 1) == []
    monkeypatch.undo()
    await on.fold(MOBILE)
    assert await on.states() == {"submitted": 1, "queued": 1}


async def test_a_cancel_that_came_first_keeps_the_failure(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    async with transaction(on.pool) as conn:
        await on.act(lifecycle.cancel, conn)
        folding = asyncio.create_task(full(on, 1))
        await _waits_for_a_lock(on.pool)
    await folding
    assert await on.states() == {"undelivered": 1}


async def test_a_cancel_that_comes_second_cancels_the_waiting_text(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    whole = retry_store.queue_again
    cancelling: list[asyncio.Task[None]] = []

    async def meanwhile(*args: Any) -> Any:
        cancelling.append(asyncio.create_task(on.act(lifecycle.cancel)))
        await _waits_for_a_lock(on.pool)
        return await whole(*args)

    monkeypatch.setattr(retry_store, "queue_again", meanwhile)
    await full(on, 1)
    await cancelling[0]
    assert await on.states() == {"cancelled": 1}
    on.now += HOUR / 2
    assert await on.claim(on.leases[MOBILE]) is None


async def test_a_slice_is_not_finished_while_a_text_comes_back_to_it(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(people=1)
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1)
    await on.submitted(MOBILE, 1, ref(MOBILE, 1))
    whole = retry_store.queue_again
    finishing: list[asyncio.Task[bool]] = []

    async def meanwhile(*args: Any) -> Any:
        finishing.append(asyncio.create_task(on.finish(lease, 1)))
        await _waits_for_a_lock(on.pool)
        return await whole(*args)

    monkeypatch.setattr(retry_store, "queue_again", meanwhile)
    await full(on, 1)
    assert not await finishing[0]
    assert tuple(await slice_row(on)) == (on.now + HOUR / 2, None, None)


async def test_a_paused_run_waits_for_the_resume_and_then_for_the_time(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.act(lifecycle.pause)
    await full(on, 1)
    lease = on.leases[MOBILE]
    on.now += 3 * HOUR
    assert await on.claim(lease) is None
    await on.act(lifecycle.resume)
    await again(on, 1, b"second")
    assert await on.states() == {"submitted": 1}


async def test_the_sent_run_of_a_paused_campaign_opens_paused(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.act(lifecycle.pause)
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    await full(on, 1)
    assert (await on.run_row())["state"] == "paused"


async def test_what_arrived_in_the_moment_in_which_it_came_back_does_not_leave_again(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    """Two folds at once, each before the other's commit: one noted that the text had arrived, one
    put it back.
    """
    on = await one_text(pool, keyring, now)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway) as sender:
        await until(lambda: is_in(on, "submitted"))
        await received(on, await pool.fetchval("SELECT ref FROM parts"), "expired", "memory_full")
        await pool.execute("UPDATE parts SET state = 'delivered', code = 'DELIVRD'")
        sender.clock.at += HOUR
        await until(lambda: is_in(on, "delivered"), 10)
        await sender.end()
    assert len(gateway.written) == 1


async def test_past_the_validity_a_waiting_text_is_stopped(
    pool: Pool, keyring: Keyring, now: Any
) -> None:
    on = await one_text(pool, keyring, now)
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway) as sender:
        await until(lambda: is_in(on, "submitted"))
        await received(on, await pool.fetchval("SELECT ref FROM parts"), "expired", "memory_full")
        sender.clock.at += 49 * HOUR
        await until(lambda: is_in(on, "suppressed"), 10)
        await sender.end()
    assert len(gateway.written) == 1


async def test_a_dead_holder_leaves_the_second_uncertain_hand_off_and_the_waiting_ones_waiting(
    stage: SetUp,
) -> None:
    on = await stage(people=3)
    await on.sent(MOBILE, 1, 2, 3)
    await full(on, 1)
    on.now += HOUR / 4
    await full(on, 2)
    on.now += HOUR / 4
    dying = await on.lease_once(MOBILE)
    assert await on.claim(dying) == (1, [1])
    assert await on.mark(dying, 1, 1) == [1]
    await on.pool.execute("UPDATE connections SET expires_at = clock_timestamp() - interval '1 s'")
    async with transaction(on.pool) as conn:
        assert await lease_store.recover_connection(conn, on.id(MOBILE), 0, on.now)
    assert await on.states() == {"uncertain": 1, "queued": 1, "submitted": 1}
    lease = await on.lease(MOBILE)
    assert await on.claim(lease) == (1, [])
    assert not await on.finish(lease, 1)
    assert (await slice_row(on))["not_before"] == on.now + HOUR / 4
    on.now += HOUR
    assert await on.claim(lease) == (1, [2]), "and the one uncertain is never sent blindly (I3)"


async def _waits_for_a_lock(pool: Pool) -> None:
    async def waiting() -> bool:
        count: int = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return count > 0

    await until(waiting)


# ---- what is shown


async def test_the_attempts_of_a_message_are_listed_and_all_parts_counted(stage: SetUp) -> None:
    on = await stage(people=2)
    await on.sent(MOBILE, 1, 2, parts=2)
    await on.receive(MOBILE, 1, "undelivered", FULL, "memory_full", part=0)
    await on.fold(MOBILE)

    async def look(no: int) -> tuple[list[tuple[Any, ...]], int]:
        async with on.pool.acquire() as conn:
            rows = await progress.list_messages(
                conn, on.keyring, on.run, after_no=0, limit=10, state=None
            )
            whole = await progress.run_report(conn, on.run)
        assert sum(whole["states"].values()) == whole["target"] == 2
        names = ("attempt", "channel", "state", "reason", "code", "next_at")
        shown = [tuple(a[name] for name in names) for a in rows[no - 1]["attempts"]]
        return shown, whole["parts"]

    name = on.channels[MOBILE].name
    due = on.now + HOUR / 2
    first = (1, name, "undelivered", "memory_full", FULL, due)
    assert await look(1) == ([first], 4)
    assert await look(2) == ([(1, name, "submitted", None, None, None)], 4)
    on.now = due
    await again(on, 1, b"second 1", b"second 2")
    assert await look(1) == ([first, (2, name, "submitted", None, None, None)], 6)
