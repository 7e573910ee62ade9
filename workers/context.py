"""What a job gets, and how a worker of one kind is made (with the defaults it needs)."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from arq.cron import CronJob
from arq.worker import Worker, func

from service.queue import EXPIRES_MS, LOOK_SECONDS, decode, encode, open_arq, queue_name
from service.runtime import Runtime

JOB_SECONDS = 60
"""A crashed worker's job runs again after this and 10 s more, if nobody rings before; so jobs are
short or chains."""

Job = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Kind:
    """One kind of worker: its queue, its jobs, its regular acts.

    connections: how many PostgreSQL connections it has of its own; 0: it shares the process's.
    by_key: whether all its statements look things up by a key (see `BY_KEY`).
    seconds: how long one of its jobs may take.
    """

    name: str
    jobs: Sequence[Job]
    crons: Sequence[CronJob] = field(default=())
    connections: int = 0
    by_key: bool = False
    seconds: int = JOB_SECONDS


def runtime_of(ctx: dict[str, Any]) -> Runtime:
    """The runtime that `make_worker` put into arq's context."""
    runtime: Runtime = ctx["runtime"]
    return runtime


async def _redis_answers(ctx: dict[str, Any]) -> None:
    """arq has just had an answer from Redis."""
    runtime_of(ctx).queue.reach.note_answer()


def make_worker(runtime: Runtime, kind: Kind, extra: dict[str, Any]) -> Worker:
    """An arq worker of one kind; `extra` joins the runtime in the jobs' context."""
    return Worker(
        functions=[func(job, timeout=kind.seconds, keep_result=0) for job in kind.jobs],
        cron_jobs=list(kind.crons) or None,
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
        health_check_key=f"tocsin:health:{kind.name}",
        job_serializer=encode,
        job_deserializer=decode,
        expires_extra_ms=EXPIRES_MS,
        handle_signals=False,
    )
