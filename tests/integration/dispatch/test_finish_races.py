"""Finishing a slice, beside marks of its run and whatever puts messages back into the queue."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from service.dispatch.handoff import slice_store, store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.dispatch.retries import reroute, retry_store
from service.dispatch.retries.retry_store import Again
from service.storage.postgres import COLLISIONS, Connection, transaction
from tests.harness.ledger import states
from tests.harness.pauses import delay
from tests.harness.rounds import RACE_ROUNDS
from tests.harness.stage import SetUp, Stage
from tests.harness.waiting import until

ROWS = 50
"""Of a slice: the fewest that an expansion cuts."""
SLICES = 6


@pytest.fixture
async def on(stage: SetUp) -> Stage:
    """A run of some slices, each for a connection of its own."""
    on = await stage(ROWS * SLICES, connections=SLICES)
    assert await on.pool.fetchval("SELECT count(*) FROM slices") == SLICES
    return on


async def claimed(on: Stage) -> dict[int, Lease]:
    """By slice, who holds it: all of them, each another connection."""
    held = {}
    for slot in range(SLICES):
        lease = await on.must_lease(slot)
        number = await on.claim(lease)
        assert number is not None
        held[number] = lease
    return held


async def finish(on: Stage, lease: Lease, slice_no: int) -> int:
    async with transaction(on.pool) as conn:
        return await slice_store.finish_slices(
            conn, lease, [ReleasedSlice(on.run, slice_no)], on.now
        )


async def first_of(on: Stage, slice_no: int) -> int:
    number: int = await on.pool.fetchval(
        "SELECT first_no FROM slices WHERE run_id = $1 AND no = $2", on.run, slice_no
    )
    return number


async def submit_all(on: Stage, *but: int) -> None:
    """All are with the carrier, but for these."""
    await on.pool.execute(
        "UPDATE messages SET state = 'submitted', attempt = attempt + 1 WHERE no <> ALL ($1)", but
    )


async def fail_and_put_back(on: Stage, conn: Connection, no: int) -> None:
    """What a fold does with a receipt that names a passing failure."""
    await reroute.lock(conn, [on.run])
    await conn.execute(
        "UPDATE messages SET state = 'undelivered', reason = 'network'"
        " WHERE run_id = $1 AND no = $2 AND state = 'submitted'",
        on.run,
        no,
    )
    again = Again(on.run, no, "network", on.now - timedelta(seconds=1))
    assert await retry_store.queue_again(conn, [again]) == [(on.run, no)]


async def test_a_mark_does_not_wait_while_a_slice_of_its_run_is_finished(on: Stage) -> None:
    held = await claimed(on)
    first = await first_of(on, 2)
    await submit_all(on, *range(first, first + ROWS))
    async with transaction(on.pool) as conn:
        assert (
            await slice_store.finish_slices(conn, held[1], [ReleasedSlice(on.run, 1)], on.now) == 1
        )
        marking = on.mark(held[2], [first], slice_no=2)
        assert list(await asyncio.wait_for(marking, 20)) == [first]


async def test_a_mark_does_not_wait_behind_a_finish_that_waits(on: Stage) -> None:
    """Nor does the finish wait for marks in flight, which would hold up all that come after."""
    held = await claimed(on)
    first = await first_of(on, 2)
    await submit_all(on, *range(first, first + ROWS))
    async with transaction(on.pool) as conn:
        await store.lock_for_mark(conn, held[2], on.run)
        assert await asyncio.wait_for(finish(on, held[1], 1), 20) == 1
    async with transaction(on.pool) as conn:
        await fail_and_put_back(on, conn, await first_of(on, 3))
        finishing = asyncio.create_task(finish(on, held[3], 3))
        await somebody_waits(on)
        marking = on.mark(held[2], [first], slice_no=2)
        assert list(await asyncio.wait_for(marking, 20)) == [first]
    assert await finishing == 0


async def somebody_waits(on: Stage, seconds: float = 20) -> None:
    """Until an advisory lock of this database is waited for."""
    sql = """
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    await until(lambda: on.pool.fetchval(sql), seconds, "an advisory lock is waited for")


async def test_a_slice_is_not_finished_while_a_text_is_put_back_to_be_tried_again(
    on: Stage,
) -> None:
    held = await claimed(on)
    await submit_all(on)
    async with transaction(on.pool) as conn:
        await fail_and_put_back(on, conn, await first_of(on, 1))
        finishing = asyncio.create_task(finish(on, held[1], 1))
        await somebody_waits(on)
    assert await finishing == 0
    assert await on.claim(held[1]) == 1


async def test_a_slice_that_is_finished_first_is_opened_again(on: Stage) -> None:
    held = await claimed(on)
    await submit_all(on)
    number = await first_of(on, 1)

    async def put_back() -> None:
        async with transaction(on.pool) as conn:
            await fail_and_put_back(on, conn, number)

    async with transaction(on.pool) as conn:
        assert (
            await slice_store.finish_slices(conn, held[1], [ReleasedSlice(on.run, 1)], on.now) == 1
        )
        putting_back = asyncio.create_task(put_back())
        await somebody_waits(on)
    await putting_back
    assert await on.claim(held[1]) == 1


async def test_a_pause_waits_for_a_slice_that_is_being_finished(on: Stage) -> None:
    held = await claimed(on)
    async with transaction(on.pool) as conn:
        await slice_store.finish_slices(conn, held[1], [ReleasedSlice(on.run, 1)], on.now)
        pausing = asyncio.create_task(on.pause())
        await somebody_waits(on)
    await pausing


@pytest.mark.races
async def test_whatever_meets_a_finish_nothing_stays_queued_in_a_slice_that_is_done(
    on: Stage,
) -> None:
    """Rounds of everybody at once: each slice is finished while one text of it fails and is put
    back, one uncertain is given back and one is marked; and now and then the run is paused.
    """
    rng = random.Random(7)
    held = await claimed(on)
    firsts = {number: await first_of(on, number) for number in held}
    for _ in range(RACE_ROUNDS):
        for lease in held.values():
            await on.renew(lease)
        await prepare(on, held, firsts)
        acts: list[Callable[[], Awaitable[Any]]] = [on.pause]
        for number, lease in held.items():
            acts += acts_on(on, lease, number, firsts[number])
        rng.shuffle(acts)
        await asyncio.gather(*(later(act, rng.random() * 0.02) for act in acts))
        await on.resume()
        assert await lost(on) == []
        async with on.pool.acquire() as conn:
            assert sum((await states(conn, on.run)).values()) == ROWS * SLICES
    assert await on.pool.fetchval("SELECT count(*) FROM attempts") > 0


async def later(act: Callable[[], Awaitable[Any]], seconds: float) -> None:
    await delay(seconds)
    while True:
        try:
            await act()
        except COLLISIONS:
            continue
        return


def acts_on(
    on: Stage, lease: Lease, slice_no: int, first: int
) -> list[Callable[[], Awaitable[Any]]]:
    async def put_back() -> None:
        async with transaction(on.pool) as conn:
            await fail_and_put_back(on, conn, first)

    async def give_back() -> None:
        await on.give_back([(first + 1, 1)], slice_no=slice_no)

    async def mark() -> None:
        await on.mark(lease, [first + 2], slice_no=slice_no)

    async def end() -> None:
        await finish(on, lease, slice_no)

    return [put_back, give_back, mark, end]


async def prepare(on: Stage, held: dict[int, Lease], firsts: dict[int, int]) -> None:
    """All is with the carrier, but in each slice one uncertain and, in every other one, one queued;
    and every slice is in its holder's hands.
    """
    await on.pool.execute("DELETE FROM attempts")
    await on.pool.execute(
        "UPDATE messages SET state = 'submitted', attempt = 1, reason = NULL,"
        " part_count = 1, marked_at = $1",
        on.now,
    )
    await set_state(on, "uncertain", [first + 1 for first in firsts.values()])
    await set_state(on, "queued", [firsts[number] + 2 for number in firsts if number % 2])
    for number, lease in held.items():
        await on.pool.execute(
            "UPDATE slices SET slot = $3, epoch = $4, done_at = NULL, not_before = NULL"
            " WHERE run_id = $1 AND no = $2",
            on.run,
            number,
            lease.slot,
            lease.epoch,
        )


async def set_state(on: Stage, state: str, nos: Sequence[int]) -> None:
    await on.pool.execute(
        "UPDATE messages SET state = $1::message_state WHERE no = ANY ($2)", state, nos
    )


async def lost(on: Stage) -> list[int]:
    """What waits to be handed off, or is on its way, in slices that nobody will take again."""
    rows = await on.pool.fetch(
        "SELECT m.no FROM slices s JOIN messages m ON m.run_id = s.run_id"
        " AND m.no BETWEEN s.first_no AND s.last_no"
        " WHERE s.done_at IS NOT NULL AND m.state IN ('queued', 'submitting') ORDER BY m.no"
    )
    return [row["no"] for row in rows]
