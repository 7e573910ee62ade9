"""What a job gets, and how a worker of one kind is made (with the defaults it needs).

A job comes from Redis, so whoever writes there can write any: it is only a wake-up. One whose
arguments are no ids is ignored, and said (decision 0242).
"""

import inspect
import logging
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from arq.cron import CronJob
from arq.worker import Worker, func

from service.liveness.turns import LoopTurns
from service.logs import seldom
from service.queue import EXPIRES_MS, LOOK_SECONDS, decode, encode, open_arq, queue_name
from service.runtime import Runtime
from service.tracing import begin_span

JOB_SECONDS = 60
"""A crashed worker's job runs again after this and 10 s more, if nobody enqueues it before; so jobs
are short or chains."""

OVER_SECONDS = 10.0
"""How much longer a job may take to end once it was told to."""

MOVED = timedelta(seconds=60)
"""A worker looks at the clock some times a second: if it is so much later, the clock was moved."""

log = logging.getLogger(__name__)

JobFunction = Callable[..., Coroutine[Any, Any, Any]]

ABSURD = "a job with arguments that are no ids is ignored"
_NUMBER = re.compile(r"[0-9]{1,5}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class WorkerKind:
    """One kind of worker: its queue, its jobs, its regular acts.

    word: as the command line and the health check name it; "": by its name.
    connections: how many PostgreSQL connections it has of its own; 0: it shares the process's.
    by_key: whether all its statements look things up by a key (see `BY_KEY`).
    seconds: how long one of its jobs may take.
    """

    name: str
    jobs: Sequence[JobFunction]
    crons: Sequence[CronJob] = field(default=())
    connections: int = 0
    by_key: bool = False
    seconds: int = JOB_SECONDS
    word: str = ""

    @property
    def label(self) -> str:
        """What it is called in the log and in Redis."""
        return self.word or self.name


def only_ids(job: JobFunction) -> JobFunction:
    """The job, for as many ids as it takes; with anything else it does nothing."""
    _, *names = inspect.signature(job).parameters
    forms = [_NUMBER if name == "channel_id" else _UUID for name in names]
    given = [f"tocsin.{name}" for name in names]

    @wraps(job)
    async def run(ctx: dict[str, Any], *ids: Any, **others: Any) -> Any:
        fit = [
            isinstance(i, str) and form.fullmatch(i) for i, form in zip(ids, forms, strict=False)
        ]
        if others or len(ids) != len(forms) or not all(fit):
            seldom(log, logging.WARNING, ABSURD, job=job.__name__)
            return None
        with begin_span(f"job {job.__name__}", dict(zip(given, ids, strict=True))):
            return await job(ctx, *ids)

    return run


def runtime_of(ctx: dict[str, Any]) -> Runtime:
    """The runtime that `make_worker` put into arq's context."""
    runtime: Runtime = ctx["runtime"]
    return runtime


class SteadyWorker(Worker):
    """An arq worker that goes on when the clock of its machine is moved.

    arq keeps the next turn of each act, and the time from which a job in the queue may run, as
    instants of the clock: set back by two hours, it would do nothing for two hours; set
    forward, it would make up for each second.
    """

    _seen: datetime | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turns, self._turn = LoopTurns(), ""
        self._began: dict[str, float] = {}

    def watch(self, turns: LoopTurns, name: str) -> None:
        """Note each look at the queue, and each end of a job, as a turn of this name."""
        self._turns, self._turn = turns, name
        turns.begin(name)
        turns.excuse(name, self._all_at_work)

    def _all_at_work(self) -> bool:
        """Whether there is no place for another job, and each may take as long as it does: arq does
        not look at the queue then.
        """
        began = list(self._began.values())
        if len(began) < self.max_jobs:
            return False
        return time.monotonic() - min(began) < self.job_timeout_s + OVER_SECONDS

    async def heart_beat(self) -> None:
        """As arq has it, after a look at the queue that Redis has answered."""
        self._turns.note(self._turn)
        await super().heart_beat()

    async def run_job(self, job_id: str, score: int) -> None:
        """As arq has it; its end is a turn."""
        self._began[job_id] = time.monotonic()
        try:
            await super().run_job(job_id, score)
        finally:
            self._began.pop(job_id, None)
            self._turns.note(self._turn)

    async def run_cron(self, n: datetime, delay: float, num_windows: int = 2) -> None:
        """Queue the acts that are due at `n`, which arq calls some times a second."""
        before, self._seen = self._seen, n
        if before is None:
            await self._release_jobs(n)
        elif not before <= n + timedelta(seconds=1) or n > before + MOVED:
            log.warning("the clock was moved", extra={"from_": str(before), "to": str(n)})
            self._last_health_check = 0.0
            for act in self.cron_jobs or ():
                if n < before:
                    act.calculate_next(n)
                elif act.next_run is not None:
                    act.next_run = max(n, act.next_run)
            await self._release_jobs(n)
        await super().run_cron(n, delay, num_windows)

    async def _release_jobs(self, now: datetime) -> None:
        """Let the jobs that wait for an instant to come run at once: ours wait for none, but for
        acts that are due within a second.
        """
        present = int(now.timestamp() * 1000)
        later = await self.pool.zrangebyscore(self.queue_name, present + 2_000, "+inf")
        if later:
            await self.pool.zadd(self.queue_name, dict.fromkeys(later, present), xx=True)


async def _redis_answers(ctx: dict[str, Any]) -> None:
    """arq has just had an answer from Redis."""
    runtime_of(ctx).queue.reach.note_answer()


def make_worker(runtime: Runtime, kind: WorkerKind, extra: dict[str, Any]) -> Worker:
    """An arq worker of one kind; `extra` joins the runtime in the jobs' context."""
    jobs = [only_ids(job) for job in kind.jobs]
    worker = SteadyWorker(
        functions=[
            func(job, name=job.__name__, timeout=kind.seconds, keep_result=0) for job in jobs
        ],
        cron_jobs=[replace(act, next_run=None) for act in kind.crons] or None,
        queue_name=queue_name(kind.name),
        redis_pool=open_arq(runtime.settings.redis_url),
        ctx={"runtime": runtime, **extra},
        on_startup=_redis_answers,
        max_jobs=20,
        job_timeout=kind.seconds,
        keep_result=0,
        poll_delay=LOOK_SECONDS,
        max_tries=10_000,  # tries are counted in PostgreSQL, where they matter
        job_completion_wait=25,
        health_check_interval=5,
        health_check_key=f"tocsin:health:{kind.label}",
        job_serializer=encode,
        job_deserializer=decode,
        expires_extra_ms=EXPIRES_MS,
        handle_signals=False,
    )
    worker.watch(runtime.life.turns, f"queue of {kind.name}")
    return worker
