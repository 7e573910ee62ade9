"""What may not be handed off any more is stopped in batches: after a cancel, past validity."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.campaigns.core import run_store
from service.dispatch.handoff import lease_store, slice_store, sweep_store
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.runtime import Runtime
from service.storage.postgres import transaction
from tests.conftest import NOW
from tests.harness.clocks import HandClock
from tests.harness.ledger import add_channel
from tests.harness.stage import SetUp, Stage
from workers import scheduler

PEOPLE = 10
HOUR = timedelta(hours=1)

Stop = Callable[..., Coroutine[Any, Any, None]]
"""One turn of the scheduler's act, at an instant."""


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.dispatch.expansion.expand.SLICE_ROWS", 2)
    monkeypatch.setattr(run_store, "SLICES_AT_ONCE", 1)
    monkeypatch.setattr(scheduler, "STOP_SLICES", 2)


@pytest.fixture
def stop(runtime: Runtime) -> Stop:
    async def turn(at: datetime = NOW) -> None:
        await scheduler.stop({"runtime": replace(runtime, clock=HandClock(at))})

    return turn


async def open_slices(on: Stage) -> list[int]:
    rows = await on.pool.fetch("SELECT no FROM slices WHERE done_at IS NULL ORDER BY no")
    return [row["no"] for row in rows]


async def reasons(on: Stage) -> dict[str | None, int]:
    rows = await on.pool.fetch("SELECT reason, count(*) AS n FROM messages GROUP BY reason")
    return {row["reason"]: row["n"] for row in rows}


async def test_a_cancel_empties_some_slices_itself_and_the_sweep_the_rest(
    stage: SetUp, stop: Stop
) -> None:
    on = await stage(PEOPLE)
    await on.cancel()
    assert await on.states() == {"cancelled": 2, "queued": PEOPLE - 2}
    await stop()
    assert await on.states() == {"cancelled": PEOPLE}
    assert await reasons(on) == {"campaign_cancelled": PEOPLE}
    assert await open_slices(on) == []


async def test_after_the_cancel_has_answered_nothing_that_is_still_queued_is_marked(
    stage: SetUp,
) -> None:
    on = await stage(PEOPLE)
    lease = await on.must_lease()
    assert [await on.claim(lease) for _ in range(2)] == [1, 2]
    await on.cancel()
    assert await on.state(3) == "queued"
    assert await on.mark(lease, [3, 4], slice_no=2) == {}
    assert await on.claim(lease) is None


async def test_what_one_scheduler_left_when_it_died_another_goes_on_with(
    stage: SetUp, stop: Stop
) -> None:
    on = await stage(PEOPLE)
    await on.cancel()
    nobody = (uuid.UUID(int=0), 0)
    async with transaction(on.pool) as conn:
        first, second = await sweep_store.leftover_slices(conn, nobody, 2, on.now)
    async with transaction(on.pool) as conn:
        assert await sweep_store.stop_slice(conn, *first, on.now) == 0  # emptied by the cancel
    async with transaction(on.pool) as conn:
        assert await sweep_store.stop_slice(conn, *second, on.now) == 2
    async with on.pool.acquire() as conn:
        killed = conn.transaction()
        await killed.start()
        assert await sweep_store.stop_slice(conn, on.run, 3, on.now) == 2
        await killed.rollback()
    assert await on.states() == {"cancelled": 4, "queued": PEOPLE - 4}
    await stop()
    assert await on.states() == {"cancelled": PEOPLE}


async def test_of_a_slice_in_work_what_is_leaving_stays_and_the_rest_is_cancelled(
    stage: SetUp,
    stop: Stop,
) -> None:
    on = await stage(PEOPLE)
    lease = await on.must_lease()
    await on.claim(lease)
    assert await on.claim(lease) == 2
    marked = await on.mark(lease, [3], slice_no=2)
    await on.cancel()
    await stop()
    assert await on.states() == {"cancelled": PEOPLE - 1, "submitting": 1}
    assert await open_slices(on) == [1, 2]
    await on.give_back([(3, marked[3])], lease, slice_no=2)
    assert await on.state(3) == "cancelled"
    async with transaction(on.pool) as conn:
        for no in (1, 2):
            assert await slice_store.finish_slices(conn, lease, [ReleasedSlice(on.run, no)], on.now)
    assert await open_slices(on) == []


async def test_what_a_dead_holder_left_of_a_cancelled_run_is_uncertain(
    stage: SetUp, stop: Stop
) -> None:
    on = await stage(PEOPLE)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1])
    await on.cancel()
    await on.expire()
    async with transaction(on.pool) as conn:
        assert await lease_store.recover_connection(conn, on.channel.id, 0, on.now)
    await stop()
    assert await on.states() == {"cancelled": PEOPLE - 1, "uncertain": 1}
    assert await open_slices(on) == []


async def test_two_at_once_stop_everything_once(stage: SetUp) -> None:
    on = await stage(40)
    await on.cancel()

    async def all_slices() -> int:
        stopped = 0
        for no in range(1, 21):
            async with transaction(on.pool) as conn:
                stopped += await sweep_store.stop_slice(conn, on.run, no, on.now)
        return stopped

    assert sum(await asyncio.gather(*(all_slices() for _ in range(4)))) == 38
    assert await on.states() == {"cancelled": 40}


@pytest.mark.parametrize("run_state", ["running", "paused"])
async def test_past_its_validity_what_waits_on_a_disabled_channel_is_stopped(
    stage: SetUp, stop: Stop, run_state: str
) -> None:
    on = await stage(PEOPLE)
    end = on.now + HOUR
    await on.pool.execute("UPDATE channels SET enabled = false")
    await on.pool.execute("UPDATE runs SET valid_until = $1, state = $2", end, run_state)
    await stop(end - timedelta(seconds=1))
    assert await on.states() == {"queued": PEOPLE}
    await stop(end)
    assert await on.states() == {"suppressed": PEOPLE}
    assert await reasons(on) == {"validity_over": PEOPLE}
    assert await open_slices(on) == []


async def test_past_its_validity_a_slice_in_work_is_left_to_its_holder(
    stage: SetUp, stop: Stop
) -> None:
    on = await stage(PEOPLE)
    lease = await on.must_lease()
    assert await on.claim(lease) == 1
    await on.pool.execute("UPDATE runs SET valid_until = $1", on.now)
    await stop()
    assert await on.states() == {"queued": 2, "suppressed": PEOPLE - 2}
    assert await open_slices(on) == [1]


async def test_a_text_that_went_to_another_channel_is_not_of_the_slice_it_came_from(
    stage: SetUp,
    stop: Stop,
) -> None:
    on = await stage(PEOPLE)
    async with on.pool.acquire() as conn:
        other = await add_channel(conn, on.keyring, 2, on.now)
    await on.pool.execute("UPDATE messages SET channel_id = $1 WHERE no = 1", other.id)
    await on.pool.execute(
        "INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, slot, epoch) "
        "VALUES ($1, 99, $2, 1, 1, 1, 0, 1)",
        on.run,
        other.id,
    )
    await on.pool.execute("UPDATE runs SET valid_until = $1", on.now)
    await stop()
    assert await on.state(1) == "queued"
    assert await on.states() == {"queued": 1, "suppressed": PEOPLE - 1}
    assert await open_slices(on) == [99]


async def test_a_valid_run_is_left_alone(stage: SetUp, stop: Stop) -> None:
    on = await stage(PEOPLE)
    await stop(on.now + 100 * HOUR)
    assert await on.states() == {"queued": PEOPLE}


async def test_the_sum_of_all_states_is_the_target_at_any_moment(stage: SetUp, stop: Stop) -> None:
    on = await stage(200)
    await on.cancel()
    stopping = asyncio.create_task(stop())
    seen = set()
    while not stopping.done():
        states = await on.states()
        assert sum(states.values()) == 200
        seen.add(states.get("queued", 0))
    await stopping
    assert len(seen) > 2  # it was watched while it went on
    assert await on.states() == {"cancelled": 200}
