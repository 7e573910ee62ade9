"""A direct run is cancelled as a whole: what has not begun to leave stays, whoever marks."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from service.dispatch.direct import direct_store
from service.dispatch.direct.direct import Cancelled
from service.dispatch.handoff import slice_store, store
from service.dispatch.handoff.slice_store import HeldSlice, ReleasedSlice
from service.dispatch.retries.reroute_store import lock_runs
from service.storage.postgres import transaction
from tests.harness.direct_runs import cancel, direct_run, run_state
from tests.harness.pauses import delay, random_moment
from tests.harness.rounds import RACE_ROUNDS
from tests.harness.stage import (
    Accept,
    Scripted,
    SetUp,
    Stage,
    claim_one,
    done,
    mark,
    working,
)
from tests.harness.waiting import everybody_tried_again, until, until_blocked

SENT_BACK = "cancelled_by_sender"


async def reasons(on: Stage) -> set[str | None]:
    rows = await on.pool.fetch(
        "SELECT DISTINCT reason FROM messages WHERE run_id = $1 AND state = 'cancelled'", on.run
    )
    return {row["reason"] for row in rows}


@pytest.fixture
async def sent(stage: SetUp) -> Stage:
    """A direct run to six people, and nothing else to hand off."""
    on = await direct_run(await stage(1), 6)
    await on.pool.execute("UPDATE runs SET state = 'cancelled' WHERE id <> $1", on.run)
    return on


async def test_the_answer_counts_every_text_once(sent: Stage) -> None:
    lease = await sent.must_lease()
    await sent.claim(lease)
    marked = await sent.mark(lease, [1, 2, 3])
    await sent.record(await sent.result(2, marked[2]), await sent.result(3, marked[3], "rejected"))
    await sent.pool.execute(
        "UPDATE messages SET state = 'suppressed' WHERE run_id = $1 AND no = 4",
        sent.run,
    )
    assert await cancel(sent) == Cancelled(cancelled=2, stopped=1, left=2, leaving=1)
    assert await sent.states() == {
        "cancelled": 2,
        "suppressed": 1,
        "submitted": 1,
        "rejected": 1,
        "submitting": 1,
    }
    assert (await run_state(sent), await reasons(sent)) == ("cancelled", {SENT_BACK})
    assert await sent.mark(lease, [5, 6]) == {}
    assert await sent.claim(lease) is None
    assert await cancel(sent) == Cancelled(cancelled=2, stopped=1, left=2, leaving=1)


async def test_what_comes_back_unwritten_is_cancelled_for_the_same_reason(sent: Stage) -> None:
    lease = await sent.must_lease()
    await sent.claim(lease)
    marked = await sent.mark(lease, [1])
    assert (await cancel(sent)).leaving == 1
    await sent.give_back(list(marked.items()), lease)
    assert await sent.states() == {"cancelled": 6}
    assert await reasons(sent) == {SENT_BACK}
    assert await cancel(sent) == Cancelled(cancelled=6, stopped=0, left=0, leaving=0)


async def test_a_run_that_has_ended_stays_what_it_is(sent: Stage) -> None:
    await sent.pool.execute("UPDATE messages SET state = 'delivered' WHERE run_id = $1", sent.run)
    await sent.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", sent.run)
    assert await cancel(sent) == Cancelled(cancelled=0, stopped=0, left=6, leaving=0)
    assert await run_state(sent) == "sent"


async def test_what_the_carrier_refuses_after_the_cancel_is_not_tried_again(sent: Stage) -> None:
    """All is handed off and the run is sent; a refusal for a passing reason comes afterwards."""
    lease = await sent.must_lease()
    await sent.claim(lease)
    marked = await sent.mark(lease, [1, 2, 3, 4, 5, 6])
    await sent.record(*[await sent.result(no, marked[no]) for no in marked if no != 1])
    await sent.pool.execute("UPDATE runs SET state = 'sent' WHERE id = $1", sent.run)
    assert await cancel(sent) == Cancelled(cancelled=0, stopped=0, left=5, leaving=1)
    late = await sent.result(1, marked[1], "rejected")
    late.reason = "network"
    await sent.record(late)
    assert await sent.state(1) == "rejected"
    assert await run_state(sent) == "cancelled"


@pytest.mark.races
async def test_after_a_cancel_has_answered_nothing_is_marked(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs, each cancelled at a random moment while four connections mark and give back."""
    base = await stage(1, connections=4)
    await base.pool.execute("UPDATE runs SET state = 'cancelled'")
    lease = await base.must_lease()
    count = direct_store.count_states

    async def slow_count(*args: Any) -> dict[str, int]:
        await random_moment(0.01)  # a cancel takes a moment to commit
        return await count(*args)

    monkeypatch.setattr(direct_store, "count_states", slow_count)
    marks = 0
    for _ in range(RACE_ROUNDS):
        await base.renew(lease)
        on = await direct_run(base, 8)
        slice_no = await on.claim(lease)
        assert slice_no is not None
        over, tries = asyncio.Event(), dict.fromkeys(range(1, 5), 0)

        async def keep_marking(
            first: int,
            on: Stage = on,
            no: int = slice_no,
            over: asyncio.Event = over,
            tries: dict[int, int] = tries,
        ) -> None:
            while not over.is_set():
                async with transaction(on.pool) as conn:
                    moved = await mark(conn, lease, on.run, [first, first + 4], no, on.now)
                    await random_moment(0.002)
                await on.give_back(list(moved.items()), lease, no)
                tries[first] += 1
                await delay(0.001)

        markers = [asyncio.create_task(keep_marking(first)) for first in range(1, 5)]
        await random_moment(0.02)
        answer = await cancel(on)
        before = await on.marks()
        await everybody_tried_again(tries)
        assert await on.marks() == before
        over.set()
        await asyncio.gather(*markers)
        assert (answer.cancelled + answer.leaving, answer.left) == (8, 0)
        assert await on.states() == {"cancelled": 8}
        marks += before
        await base.pool.execute("UPDATE slices SET slot = NULL, epoch = NULL, done_at = now()")
    assert marks > 3 * RACE_ROUNDS


async def test_a_cancel_and_what_moves_a_text_wait_for_each_other(sent: Stage) -> None:
    """Whoever records a refusal holds the run's row before its lock; so does the cancel."""
    async with transaction(sent.pool) as conn:
        await lock_runs(conn, [sent.run])
        cancelling = asyncio.create_task(cancel(sent))
        await until_blocked(sent.pool, cancelling)
    assert (await cancelling).cancelled == 6


async def test_a_sender_at_work_loses_nobody_when_its_run_is_cancelled(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = await stage(1, window=8)
    await base.pool.execute("UPDATE runs SET state = 'cancelled'")
    on = await direct_run(base, 800)
    whole = store.mark

    async def slow_mark(*args: Any, **how: Any) -> Any:
        moved = await whole(*args, **how)
        await random_moment(0.003)
        return moved

    monkeypatch.setattr(store, "mark", slow_mark)
    gateway = Scripted(lambda _: Accept)
    gateway.delay = lambda: random.uniform(0, 0.004)
    async with working(on, gateway) as sender:
        await until(lambda: _has_sent(on, 50), 20)
        answer = await cancel(on)
        before = await on.marks()
        await until(lambda: done(on), 20)
        assert await on.marks() == before
        await sender.end()
    states = await on.states()
    assert states["submitted"] + states["cancelled"] == 800
    assert len(gateway.written) == states["submitted"] <= answer.left + answer.leaving
    assert await reasons(on) == {SENT_BACK}


async def _has_sent(on: Stage, least: int) -> bool:
    return (await on.states()).get("submitted", 0) >= least


async def test_a_run_ends_with_its_last_slice_unless_somebody_has_its_row(sent: Stage) -> None:
    """Then the sweep ends it: whoever works on it waits for nobody who may wait for the run."""
    lease = await sent.must_lease()

    async def finish(no: int, *, done: bool = True) -> str:
        async with transaction(sent.pool) as conn:
            ended = await slice_store.finish_slices(
                conn, lease, [ReleasedSlice(sent.run, no)], sent.now
            )
        assert ended == done
        return await run_state(sent)

    await sent.pool.execute(
        "WITH first AS (UPDATE slices SET last_no = 3 WHERE run_id = $1)"
        " INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority)"
        " SELECT run_id, 2, channel_id, 4, 6, priority FROM slices WHERE run_id = $1",
        sent.run,
    )
    for slice_no, rows in ((1, [1, 2, 3]), (2, [4, 5, 6])):
        assert await sent.claim(lease) == slice_no
        assert await finish(slice_no, done=False) == "running"
        assert await sent.claim(lease) == slice_no
        marked = await sent.mark(lease, rows, slice_no)
        await sent.record(*[await sent.result(no, marked[no]) for no in rows])
        if slice_no == 1:
            assert await finish(1) == "running"
    async with transaction(sent.pool) as conn:
        await conn.execute("SELECT FROM runs WHERE id = $1 FOR NO KEY UPDATE", sent.run)
        assert await asyncio.wait_for(finish(2), 5) == "running"
    await sent.pool.execute("UPDATE slices SET done_at = NULL, slot = $2, epoch = $3 WHERE run_id"
                            " = $1 AND no = 2", sent.run, lease.slot, lease.epoch)  # fmt: skip
    assert await finish(2) == "sent"
    assert await sent.pool.fetchval("SELECT finished_at FROM runs WHERE id = $1", sent.run)


async def test_direct_runs_that_wait_or_are_held_hide_none_whose_turn_it_is(sent: Stage) -> None:
    """However many they are; of those that do not wait the oldest comes first."""
    await sent.pool.execute(
        "WITH run AS (INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object("
        " 'id', uuidv7()))).* FROM runs r, generate_series(1, 40) WHERE r.id = $1 RETURNING id)"
        " INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, not_before)"
        " SELECT id, 1, $2, 1, 1, 1, $3 FROM run",
        sent.run,
        sent.channel.id,
        sent.now + timedelta(minutes=1),
    )
    lease = await sent.must_lease()
    oldest = [row["id"] for row in await sent.pool.fetch(
        "SELECT id FROM runs WHERE kind = 'direct' ORDER BY id")]  # fmt: skip
    assert oldest[0] == sent.run
    due = [oldest[0], oldest[33], oldest[39]]
    await sent.pool.execute("UPDATE slices SET not_before = NULL WHERE run_id = ANY ($1)", due)
    held: list[HeldSlice] = []
    for expected in [*due, None]:
        async with transaction(sent.pool) as conn:
            claimed = await claim_one(conn, lease, sent.now, held)
        assert (claimed and claimed["run_id"]) == expected
        if claimed is not None:
            held.append(HeldSlice(claimed["run_id"], claimed["priority"], claimed["department_id"]))
