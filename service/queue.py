"""The names of all jobs, and how to ring for them: one of the two doors to arq.

Redis is a bell. A job carries ids only, may be lost or rung twice at any moment, and finds its
work in PostgreSQL; the sweep rings again for whatever is still open there.

A job's id holds the second it was rung in: many rings in a second are one job, and a job that died
with its worker or with Redis (arq would run it again only after its timeout, and refuse its id
until then) never silences the next second's. That two of a kind may run at once is settled where
the work is, by locks in PostgreSQL.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1
"""How often workers look whether the bell was rung, so it need not be rung more often."""
EXPIRES_MS = 5 * 60 * 1000  # an old bell says nothing that the sweep does not say again


class Job(StrEnum):
    """Every job there is: the function's name in `workers`, grouped by the queue it waits in."""

    EXPAND_RUN = "expand_run"
    READ_IMPORT = "read_import"
    UNDO_IMPORT = "undo_import"
    DRAIN_CHANNEL = "drain_channel"
    FOLD_RECEIPTS = "fold_receipts"
    READ_INBOUND = "read_inbound"
    SEND_REPLIES = "send_replies"
    CALL_WEBHOOK = "call_webhook"


QUEUES: dict[Job, str] = {
    Job.EXPAND_RUN: "expand",
    Job.READ_IMPORT: "imports",
    Job.UNDO_IMPORT: "imports",
    Job.DRAIN_CHANNEL: "channel",
    Job.FOLD_RECEIPTS: "delivery",
    Job.READ_INBOUND: "delivery",
    Job.SEND_REPLIES: "delivery",
    Job.CALL_WEBHOOK: "webhooks",
}


def queue_name(kind: str) -> str:
    """The Redis key of the queue of one kind of worker."""
    return f"tocsin:queue:{kind}"


def encode(job: dict[str, Any]) -> bytes:
    """A job as JSON: readable in Redis, and no pickle from a shared store is ever loaded."""
    return json.dumps(job, default=str).encode()


def decode(data: bytes) -> dict[str, Any]:
    """The inverse of `encode`."""
    job: dict[str, Any] = json.loads(data)
    return job


_Ask = tuple[Job, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Queue:
    """The bell."""

    arq: ArqRedis
    _resting: dict[_Ask, asyncio.Task[None]] = field(default_factory=dict)
    _again: set[_Ask] = field(default_factory=set)

    async def ring(self, job: Job, *ids: object) -> None:
        """Ask for a job soon. A bell that cannot be rung is logged and left to the sweep."""
        text = [str(item) for item in ids]
        try:
            await self.arq.enqueue_job(
                job.value,
                *text,
                _job_id=":".join([job.value, *text, str(int(time.time()))]),
                _queue_name=queue_name(QUEUES[job]),
                _expires=EXPIRES_MS,
            )
        except (RedisError, OSError) as error:
            log.warning("bell not rung", extra={"job": job.value, "ids": text, "why": str(error)})

    async def ring_once(self, job: Job, *ids: object) -> None:
        """Ask for a job as `ring` does; but whoever asks for the same within LOOK_SECONDS does not
        wait, and all of them are one ring at the end of it: it is rung after the last has asked.
        """
        ask = (job, ids)
        if ask in self._resting:
            self._again.add(ask)
            return
        self._resting[ask] = asyncio.create_task(self._rest(ask))
        await self.ring(job, *ids)

    async def _rest(self, ask: _Ask) -> None:
        job, ids = ask
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if ask not in self._again:
                    return
                self._again.discard(ask)
                await self.ring(job, *ids)
        except Exception:
            log.exception("bell not rung", extra={"job": job.value})
        finally:
            del self._resting[ask]

    async def rested(self) -> None:
        """Once everything that was asked for has been rung."""
        await asyncio.gather(*self._resting.values())


@contextlib.asynccontextmanager
async def open_queue(redis_url: str) -> AsyncIterator[Queue]:
    """The bell at a Redis URL; it need not be reachable yet."""
    settings = redis_settings(redis_url)
    pool = await create_pool(
        settings, job_serializer=encode, job_deserializer=decode, expires_extra_ms=EXPIRES_MS
    )
    queue = Queue(pool)
    try:
        yield queue
    finally:
        await queue.rested()
        await pool.aclose(close_connection_pool=True)


def redis_settings(redis_url: str) -> RedisSettings:
    """arq's form of a Redis URL, with short waits: the sweep is patient, this need not be."""
    settings = RedisSettings.from_dsn(redis_url)
    settings.conn_timeout = 3
    settings.conn_retries = 10
    settings.conn_retry_delay = 1
    return settings
