"""The scheduler's acts: a slow one holds up no other, and what ended is noted."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from service.dispatch.handoff import sweep_store
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import Pool, open_pool, transaction
from tests.harness.ledger import add_run
from tests.harness.pauses import delay
from tests.harness.stage import SetUp
from tests.harness.waiting import until, until_blocked
from workers import expand, scheduler
from workers.__main__ import _own_runtime
from workers.context import make_worker
from workers.supervise import supervise


async def noted(runtime: Runtime) -> set[str]:
    async with runtime.pool.acquire() as conn:
        return set(await sweep_store.last_turns(conn))


async def test_every_act_comes_to_its_end_on_an_empty_database(runtime: Runtime) -> None:
    acts = [job.coroutine for job in scheduler.CRONS]
    for act in acts:
        await act({"runtime": runtime})
    assert await noted(runtime) == {scheduler.act_of(job) for job in scheduler.CRONS}
    assert scheduler.KIND.connections >= len(acts)


async def test_turns_of_acts_that_are_gone_are_deleted(runtime: Runtime) -> None:
    """They are what an older version noted, and nobody ends them any more."""
    async with runtime.pool.acquire() as conn:
        await sweep_store.note_turn(conn, "tidy", 0.0)
        await sweep_store.note_turn(conn, "fire", 0.0)
    await scheduler.cleanup({"runtime": runtime})
    assert await noted(runtime) == {"fire", "cleanup"}


async def test_while_one_act_is_slow_the_dead_are_recovered(
    stage: SetUp, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await stage(2)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.mark(lease, [1])
    await on.expire()
    slow, turns = asyncio.Event(), []

    async def settle_runs(*_: object) -> None:
        turns.append(1)
        await slow.wait()

    monkeypatch.setattr(scheduler, "settle_runs", settle_runs)
    ctx: dict[str, Any] = {"runtime": runtime}
    settling = asyncio.create_task(scheduler.settle(ctx))
    await until(lambda: turns)
    await asyncio.wait_for(scheduler.settle(ctx), 5)  # misses its turn
    assert turns == [1]
    await asyncio.wait_for(scheduler.recover(ctx), 5)
    assert await on.state(1) == "uncertain"
    assert await noted(runtime) == {"recover"}
    slow.set()
    await settling
    assert await noted(runtime) == {"recover", "settle"}
    await scheduler.settle(ctx)
    assert turns == [1, 1]


async def test_an_act_that_fails_is_not_noted_and_has_its_next_turn(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionResetError

    ctx: dict[str, Any] = {"runtime": runtime}
    with monkeypatch.context() as broken:
        broken.setattr(scheduler, "settle_runs", away)
        with pytest.raises(ConnectionResetError):
            await scheduler.settle(ctx)
    assert await noted(runtime) == set()
    await scheduler.settle(ctx)
    assert await noted(runtime) == {"settle"}


async def test_what_else_the_process_does_takes_no_connection_from_the_scheduler(
    runtime: Runtime, database_url: str
) -> None:
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(open_pool(database_url, size=2))
        own = await _own_runtime(stack, replace(runtime, pool=shared), scheduler.KIND)
        for _ in range(2):
            await stack.enter_async_context(shared.acquire())
        await asyncio.wait_for(scheduler.recover({"runtime": own}), 5)
        await asyncio.wait_for(scheduler.sweep({"runtime": own}), 5)


async def test_a_ledger_may_take_longer_to_write_than_other_jobs_last(
    stage: SetUp, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A province's ledger takes minutes; ended after one it would be begun anew for ever."""
    monkeypatch.setattr("workers.context.JOB_SECONDS", 1)
    on = await stage(3)
    async with on.pool.acquire() as conn:
        run = await add_run(conn, on.scene, on.now)
    async with open_pool(runtime.settings.database_url, size=2, seconds=1) as pool:
        await _expanded_late(on.pool, replace(runtime, pool=pool), run)


async def _expanded_late(pool: Pool, runtime: Runtime, run: UUID) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(
        supervise(lambda: make_worker(runtime, expand.KIND, {}), stop, runtime.queue.note_loss)
    )
    async with transaction(pool) as conn:
        await conn.execute("LOCK TABLE exclusions IN ACCESS EXCLUSIVE MODE")
        await runtime.queue.enqueue(Job.EXPAND_RUN, run)
        await until_blocked(pool)
        await delay(1.5)  # longer than any other job may last

    async def is_running() -> bool:
        return bool(await pool.fetchval("SELECT state FROM runs WHERE id = $1", run) == "running")

    try:
        await until(is_running)
    finally:
        stop.set()
        await working
