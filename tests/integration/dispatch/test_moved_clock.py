"""A machine's clock that is set back or forward stops no worker: real workers, a real queue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from time import time
from typing import Any
from uuid import uuid4

import arq.utils
import arq.worker
import pytest
from arq.cron import cron

from service.clock import Clock
from service.queue import Job, queue_name
from service.runtime import Runtime
from tests.harness.waiting import until
from workers import expand, scheduler
from workers.context import WorkerKind, make_worker
from workers.supervise import supervise

SECONDS = 30
HOURS = timedelta(hours=2)
pytestmark = pytest.mark.attack


@dataclass
class MachineClock:
    """What arq takes for the machine's clock; moved by hand, and going on from there."""

    ahead: timedelta = timedelta()

    def time(self) -> float:
        return time() + self.ahead.total_seconds()

    def now(self, tz: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(self.time(), tz)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> MachineClock:
    clock = MachineClock()

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return clock.now(tz)

    monkeypatch.setattr(arq.utils, "time", clock.time)
    monkeypatch.setattr(arq.worker, "time", clock.time)
    monkeypatch.setattr(arq.worker, "datetime", Moved)
    return clock


@pytest.fixture
def clock() -> Clock:
    """The world's own."""
    return Clock()


@asynccontextmanager
async def working(runtime: Runtime, kind: WorkerKind) -> AsyncIterator[None]:
    stop = asyncio.Event()
    make: Callable[[], Any] = lambda: make_worker(runtime, kind, {})  # noqa: E731
    task = asyncio.create_task(supervise(make, stop, runtime.queue.note_loss))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.mark.slow
async def test_the_schedulers_acts_go_on_when_the_clock_is_set_back(
    runtime: Runtime, machine: MachineClock
) -> None:
    async def noted(since: datetime) -> set[str]:
        rows = await runtime.pool.fetch("SELECT act FROM turns WHERE ended_at > $1", since)
        return {row["act"] for row in rows}

    async def all_at_work() -> bool:
        return {"fire", "sweep", "recover", "seal", "heartbeat"} <= await noted(since)

    async with working(runtime, scheduler.KIND):
        for moved in (timedelta(), -HOURS, -2 * HOURS, HOURS, timedelta()):
            machine.ahead = moved
            since = await runtime.pool.fetchval("SELECT clock_timestamp()")
            await until(all_at_work, SECONDS)
            assert await runtime.redis.exists("tocsin:health:scheduler")


async def test_a_worker_says_that_it_lives_when_the_clock_is_set_back(
    runtime: Runtime, machine: MachineClock
) -> None:
    async def lives() -> bool:
        return bool(await runtime.redis.exists("tocsin:health:expand"))

    async with working(runtime, expand.KIND):
        await until(lives, SECONDS)
        machine.ahead = -HOURS
        await runtime.redis.delete("tocsin:health:expand")
        await until(lives, SECONDS)


@pytest.mark.parametrize("restarted", [False, True])
async def test_jobs_that_were_asked_for_before_run_at_once(
    runtime: Runtime, machine: MachineClock, *, restarted: bool
) -> None:
    """Their ids would keep whoever asks again from being heard until the old time comes."""
    done: list[str] = []
    run = str(uuid4())

    async def expand_run(_: dict[str, Any], run_id: str) -> None:
        done.append(run_id)

    async def ran() -> bool:
        return done == [run]

    kind = WorkerKind("expand", [expand_run])
    if restarted:
        await runtime.queue.enqueue(Job.EXPAND_RUN, run)
        machine.ahead = -HOURS
    async with working(runtime, kind):
        if not restarted:
            await until(lambda: _exists(runtime, "tocsin:health:expand"), SECONDS)
            await runtime.queue.arq.enqueue_job(
                "expand_run", run, _queue_name=queue_name("expand"), _defer_by=HOURS
            )
            machine.ahead = -HOURS
        await until(ran, SECONDS)


async def _exists(runtime: Runtime, key: str) -> bool:
    return bool(await runtime.redis.exists(key))


async def test_a_clock_set_forward_makes_up_for_nothing(
    runtime: Runtime, machine: MachineClock
) -> None:
    turns: list[float] = []

    async def act(ctx: dict[str, Any], *_: Any, **__: Any) -> None:
        turns.append(machine.time())

    each_second = cron(act, second=set(range(60)), keep_result=0)
    async with working(runtime, WorkerKind("expand", [], [each_second])):
        await until(lambda: _more(turns, 0), SECONDS)
        machine.ahead = HOURS
        before = len(turns)
        await until(lambda: _more(turns, before + 3), SECONDS)
        for job_id in await runtime.redis.zrange(queue_name("expand"), 0, -1):
            assert int(job_id.rsplit(b":")[-1]) / 1000 > machine.time() - 60
    moved = [instant for instant in turns[before:] if instant > time() + 3600]
    assert len(moved) <= max(moved) - min(moved) + 3


async def _more(turns: list[float], than: int) -> bool:
    return len(turns) > than
