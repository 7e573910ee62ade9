"""Whoever can write to Valkey can wake workers, and nothing else: no crash, no silence."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis

from service.clock import Clock
from service.dispatch.handoff import sweep_store
from service.dispatch.handoff.channel_server import Wakeups
from service.logs import Seldom
from service.queue import Job, queue_name
from service.runtime import Runtime
from service.storage.postgres import Connection
from tests.harness.pauses import delay
from tests.harness.valkey import answered
from tests.harness.waiting import turns, until
from workers import channel, context, scheduler, supervise
from workers.context import WorkerKind, make_worker

pytestmark = pytest.mark.attack

RUN = "019a0000-0000-7000-8000-000000000001"
QUEUE = queue_name("expand")
PATIENCE_SECONDS = 30.0


@pytest.fixture
def clock() -> Clock:
    """The world's own."""
    return Clock()


class Done:
    """A job that tells what it was called with."""

    def __init__(self) -> None:
        self.runs: set[str] = set()

    async def expand_run(self, _: dict[str, Any], run_id: str) -> None:
        UUID(run_id)
        self.runs.add(run_id)


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[Done]:
    """A worker of one job, kept alive as in a process."""
    done, stop = Done(), asyncio.Event()
    kind = WorkerKind("expand", [done.expand_run])

    def lost(why: object) -> None:
        runtime.queue.note_loss(why)

    task = asyncio.create_task(
        supervise.supervise(lambda: make_worker(runtime, kind, {}), stop, lost)
    )
    try:
        yield done
        assert not task.done(), "the process would have ended"
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def rung(runtime: Runtime, done: Done) -> None:
    """Enqueue a job that nobody has asked for before until it is done, as the sweep does."""
    run = str(uuid4())

    async def is_done() -> bool:
        if run not in done.runs:
            await runtime.queue.enqueue(Job.EXPAND_RUN, run)
        return run in done.runs

    await until(is_done, PATIENCE_SECONDS, every=0.2)


Poison = Callable[[Redis], Awaitable[Any]]


def job(data: object, name: str = "poison") -> Poison:
    """A job as anybody may write it."""

    async def write(redis: Redis) -> None:
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        await redis.set(f"arq:job:{name}", text)
        await redis.zadd(QUEUE, {name: 1})

    return write


async def retried_by_word(redis: Redis) -> None:
    await redis.set("arq:retry:poison", "many")
    await job({"t": 0, "f": "expand_run", "a": [RUN], "k": {}, "et": 0})(redis)


async def job_of_another_type(redis: Redis) -> None:
    await answered(redis.lpush("arq:job:poison", "x"))
    await redis.zadd(QUEUE, {"poison": 1})


GOOD: dict[str, Any] = {"t": 1, "f": "expand_run", "a": [RUN], "k": {}, "et": 1}
POISONS: dict[str, Poison] = {
    "the queue is a text": lambda redis: redis.set(QUEUE, "x"),
    "the queue is a list": lambda redis: answered(redis.lpush(QUEUE, "x")),
    "an id is no text": lambda redis: redis.zadd(QUEUE, {b"\xff\xfe": 1}),
    "due since ever": lambda redis: redis.zadd(QUEUE, {"poison": "-inf"}),
    "no job of this id": lambda redis: redis.zadd(QUEUE, {"poison": 1}),
    "no JSON": job(b"\x80\x04."),
    "JSON of no job": job([1, 2]),
    "another function": job(GOOD | {"f": "os.system"}),
    "a function that is none": job(GOOD | {"f": ["x"]}),
    "a number that is none": job(GOOD | {"t": "x"}),
    "a time that is none": job(GOOD | {"et": 1e300}),
    "no arguments": job(GOOD | {"a": []}),
    "arguments that are none": job(GOOD | {"a": 7}),
    "an id that is none": job(GOOD | {"a": ["../../x"]}),
    "an object for an id": job(GOOD | {"a": [{"x": 1}]}),
    "names of arguments": job(GOOD | {"k": {"run_id": RUN}}),
    "a count of tries that is none": retried_by_word,
    "a job of another type": job_of_another_type,
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
async def test_what_stands_in_a_queue_ends_no_process_and_holds_up_no_job(
    runtime: Runtime, poison: Poison
) -> None:
    async with working(runtime) as done:
        await rung(runtime, done)
        await poison(runtime.redis)
        await delay(0.3)  # until the worker meets it, and empties its queue if it must
        await rung(runtime, done)


async def test_a_worker_that_cannot_be_closed_ends_no_process(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was broken off on its connections is no reason to have no worker."""
    tried = asyncio.Event()
    waiting = "another coroutine is already waiting for incoming data"
    close = ArqRedis.aclose

    async def delete(*_: object) -> None:
        raise RuntimeError(waiting)

    async def aclose(client: ArqRedis, close_connection_pool: bool) -> None:
        tried.set()
        await close(client, close_connection_pool)
        raise RuntimeError(waiting)

    async with working(runtime) as done:
        await rung(runtime, done)
        with monkeypatch.context() as patched:
            patched.setattr(ArqRedis, "delete", delete)
            patched.setattr(ArqRedis, "aclose", aclose)
            await runtime.redis.set(QUEUE, "x")
            await asyncio.wait_for(tried.wait(), PATIENCE_SECONDS)
            await turns(20)
        await rung(runtime, done)


async def test_many_absurd_jobs_are_said_in_one_line(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    counting = Seldom()
    logging.getLogger("arq.worker").addFilter(counting)
    try:
        for n in range(200):
            await job(GOOD | {"a": ["x"]}, f"a{n}")(runtime.redis)
            await job(GOOD | {"f": f"f{n}"}, f"f{n}")(runtime.redis)
        async with working(runtime) as done:
            await rung(runtime, done)

            async def is_empty() -> bool:
                return not await runtime.redis.zcard(QUEUE)

            await until(is_empty)
    finally:
        logging.getLogger("arq.worker").removeFilter(counting)
    assert caplog.messages.count(context.ABSURD) == 1
    assert sum("not found" in message for message in caplog.messages) == 1


async def test_acts_have_their_turns_whatever_stands_in_the_way_in_valkey(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No arq worker runs here at all; PostgreSQL alone knows what is late."""
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(scheduler, "LATE_SECONDS", -4_000.0)
    stop = asyncio.Event()
    turns = asyncio.create_task(scheduler.keep_turns(runtime, stop))
    wanted = {job.name.removeprefix("cron:") for job in scheduler.CRONS}

    async def all_had_one() -> bool:
        assert not turns.done()
        async with runtime.pool.acquire() as conn:
            return set(await sweep_store.last_turns(conn)) == wanted

    await until(all_had_one, 2 * PATIENCE_SECONDS)
    stop.set()
    await turns


async def test_acts_that_have_had_their_turn_are_not_done_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    real = sweep_store.last_turns

    async def looked(conn: Connection) -> dict[str, tuple[float, float]]:
        nonlocal looks
        looks += 1
        return await real(conn)

    monkeypatch.setattr(sweep_store, "last_turns", looked)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.02)
    assert {scheduler._interval_seconds(job) for job in scheduler.CRONS} == {
        1.0,
        5.0,
        60.0,
        3_600.0,
    }
    async with runtime.pool.acquire() as conn:
        for cron in scheduler.CRONS:
            await sweep_store.note_turn(conn, cron.name.removeprefix("cron:"), 0.0)
        before = await conn.fetch("SELECT act, ended_at FROM turns ORDER BY act")
    stop = asyncio.Event()
    turns = asyncio.create_task(scheduler.keep_turns(runtime, stop))
    await until(lambda: looks >= 3 or turns.done())
    assert not turns.done()
    stop.set()
    await turns
    assert await runtime.pool.fetch("SELECT act, ended_at FROM turns ORDER BY act") == before


async def test_after_a_time_without_any_scheduler_nobody_blames_redis(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says what happened, and each act has its turn at once, also where turns end after
    PostgreSQL's answer to a look and before it is read.
    """
    last_turns = sweep_store.last_turns

    async def read_late(conn: Any) -> Any:
        turns = await last_turns(conn)
        await until(lambda: not scheduler._going)
        return turns

    monkeypatch.setattr(sweep_store, "last_turns", read_late)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(scheduler, "LATE_SECONDS", 600.0)
    wanted = sorted(job.name.removeprefix("cron:") for job in scheduler.CRONS)
    async with runtime.pool.acquire() as conn:
        for act in wanted:
            await sweep_store.note_turn(conn, act, 0.0)
        await conn.execute("UPDATE turns SET ended_at = ended_at - interval '3 hours'")
    stop = asyncio.Event()
    turns = asyncio.create_task(scheduler.keep_turns(runtime, stop))
    old = "SELECT count(*) FROM turns WHERE ended_at < clock_timestamp() - interval '2 hours'"

    async def all_done() -> bool:
        assert not turns.done()
        return not await runtime.pool.fetchval(old)

    await until(all_done, 2 * PATIENCE_SECONDS)
    stop.set()
    await turns
    assert scheduler.LATE_ACT not in caplog.messages
    (line,) = [record for record in caplog.records if record.getMessage() == scheduler.MADE_UP]
    said: Any = line
    assert (said.acts, said.seconds // 3_600) == (wanted, 3)


async def test_a_worker_says_when_it_goes_round(runtime: Runtime) -> None:
    async with working(runtime) as done:
        await rung(runtime, done)
        assert runtime.life.turns.ages()["queue of expand"] < PATIENCE_SECONDS


@dataclass
class Server:
    """As much of a channel server as is woken."""

    wakeups: Wakeups = field(default_factory=Wakeups)


async def test_a_process_that_is_rung_for_anothers_channel_calls_it_out(runtime: Runtime) -> None:
    rung, serving = cast(Any, Server()), cast(Any, Server())
    event, stop = serving.wakeups.events[7], asyncio.Event()
    hearing = asyncio.create_task(channel.hear(serving, runtime.settings.redis_url, stop))
    try:

        async def heard() -> bool:
            said: list[tuple[bytes, int]] = await runtime.redis.pubsub_numsub("tocsin:wakes")
            return said == [(b"tocsin:wakes", 1)]

        await until(heard)
        async with asyncio.timeout(PATIENCE_SECONDS):
            for poison in ("x", "-1", "9" * 400, "", "8"):
                await runtime.redis.publish("tocsin:wakes", poison)
            await channel.drain_channel({"server": rung, "runtime": runtime}, "7")
            await event.wait()
        assert set(serving.wakeups.events) == {7}
        assert not rung.wakeups.events
        assert not hearing.done()
    finally:
        stop.set()
        await asyncio.wait_for(hearing, PATIENCE_SECONDS)


def test_wakes_for_channels_that_nobody_serves_leave_nothing_behind() -> None:
    wakeups = Wakeups()
    served = wakeups.events[1]
    for number in range(10_000):
        wakeups.wake(number)
    assert served.is_set()
    assert set(wakeups.events) == {1}
