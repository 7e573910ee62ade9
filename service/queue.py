"""The names of all jobs, how to ask for them, and the clients of Redis: one of two doors to arq.

Redis wakes workers; it holds no state that matters. A job carries ids only, may be lost or enqueued
twice at any moment, and finds its work in PostgreSQL; the sweep enqueues again whatever is still
open there.

A job's id holds the second in which it was enqueued: within a second it is one job, and one that
died with its worker or with Redis (arq would run it again only after its timeout, and refuse its id
until then) never silences the next second's. That two of a kind may run at once is settled where
the work is, by locks in PostgreSQL.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from service.peer_timeouts import KEEPALIVE, Reachability
from service.redis_address import read_redis_address
from service.sentinel import SentinelPool

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1
"""How often workers look for jobs, so the same job need not be enqueued more often."""
ANSWER_SECONDS = 5.0
"""How long Redis may take to answer a command; nothing here waits for something to happen there."""
CONNECT_SECONDS = 3.0
CHECK_SECONDS = 5
"""A connection that rested for so long is asked whether it is alive before it is used."""
LOOK_AGAIN_SECONDS = 1.0
"""How often Redis is asked whether it is back, while nobody else asks it."""
MOST_DIGITS = 5
"""Of a channel's id."""
EXPIRES_MS = 5 * 60 * 1000  # the sweep enqueues again what is still open


WakeChannel = Callable[[int], Awaitable[None]]
"""Called with a channel that has texts to hand off which another channel could not deliver."""


class Job(StrEnum):
    """Every job there is: the function's name in `workers`, grouped by the queue it waits in."""

    EXPAND_RUN = "expand_run"
    READ_IMPORT = "read_import"
    UNDO_IMPORT = "undo_import"
    CHECK_TRAIL = "check_trail"
    BUILD_PACKS = "build_packs"
    DRAIN_CHANNEL = "drain_channel"
    FOLD_RECEIPTS = "fold_receipts"
    READ_INBOUND = "read_inbound"
    SEND_REPLIES = "send_replies"
    CALL_WEBHOOK = "call_webhook"
    MAKE_NOTICES = "make_notices"
    SEND_MAILS = "send_mails"
    POST_TO_ROBOTS = "post_to_robots"


QUEUES: dict[Job, str] = {
    Job.EXPAND_RUN: "expand",
    Job.READ_IMPORT: "imports",
    Job.UNDO_IMPORT: "imports",
    Job.CHECK_TRAIL: "imports",
    Job.BUILD_PACKS: "imports",
    Job.DRAIN_CHANNEL: "channel",
    Job.FOLD_RECEIPTS: "delivery",
    Job.READ_INBOUND: "delivery",
    Job.SEND_REPLIES: "delivery",
    Job.CALL_WEBHOOK: "webhooks",
    Job.MAKE_NOTICES: "delivery",
    Job.SEND_MAILS: "webhooks",
    Job.POST_TO_ROBOTS: "webhooks",
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


class _Pool(ConnectionPool):
    """Connections to Redis. Where one was given up, those that rest beside it are too: each of them
    would cost another ANSWER_SECONDS before a new one is made.
    """

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back."""
        await super().release(connection)
        if not connection.is_connected:
            await self.disconnect(inuse_connections=False)


def _open_connections(redis_url: str) -> ConnectionPool:
    """Every connection of ours to Redis is one of such a pool, be it the queue's or the pace's."""
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "health_check_interval": CHECK_SECONDS,
    }
    if not redis_url.startswith("unix"):
        options |= {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    sentinels = read_redis_address(redis_url)
    if sentinels is not None:
        return SentinelPool(sentinels, options)
    return _Pool.from_url(redis_url, **options)


def read_script(beside: str, name: str, **constants: float) -> str:
    """The script for Redis in the file `name` beside a module, whose `__file__` is given; each
    $NAME in it stands for a constant of the module.

    Raises:
        KeyError: the script wants a constant that is not given.
    """
    text = Path(beside).with_name(name).read_text("utf-8")
    return Template(text).substitute(constants)


@contextlib.asynccontextmanager
async def open_redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of Redis, which need not be reachable yet; its connections are closed at the end.

    Every command on it ends: with an answer, or with one of RedisError or OSError after
    ANSWER_SECONDS, and CONNECT_SECONDS where a connection has to be made.
    """
    redis = Redis(connection_pool=_open_connections(redis_url))
    try:
        yield redis
    finally:
        await redis.aclose(close_connection_pool=True)


def open_arq(redis_url: str) -> ArqRedis:
    """A client of Redis for arq, under the same limits: whoever opens it closes its pool. arq's own
    has no time limit for an answer, and waits for a silent Redis for ever.
    """
    return ArqRedis(
        _open_connections(redis_url),
        job_serializer=encode,
        job_deserializer=decode,
        expires_extra_ms=EXPIRES_MS,
    )


WAKES = "tocsin:wakes"
"""Where a process calls out the channels that it was rung for and does not serve."""


async def heard_wakes(redis_url: str, stop: asyncio.Event) -> AsyncIterator[int]:
    """The channels that other processes call out, until `stop`; while Redis is away, none."""
    while not stop.is_set():
        try:
            async with open_redis(redis_url) as redis, redis.pubsub() as listening:
                await listening.subscribe(WAKES)
                while not stop.is_set():
                    message = await listening.get_message(
                        ignore_subscribe_messages=True, timeout=LOOK_AGAIN_SECONDS
                    )
                    if (
                        message
                        and message["data"].isdigit()
                        and len(message["data"]) <= MOST_DIGITS
                    ):
                        yield int(message["data"])
        except (RedisError, OSError):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


_Ask = tuple[Job, tuple[object, ...]]


@dataclass(slots=True)
class Queue:
    """The job queue. reach: whether Redis answers, as all of this process know it."""

    arq: ArqRedis
    reach: Reachability = field(default_factory=lambda: Reachability("Redis"))
    _resting: dict[_Ask, asyncio.Task[None]] = field(default_factory=dict)
    _again: set[_Ask] = field(default_factory=set)
    _looking: asyncio.Task[None] | None = None

    async def enqueue(self, job: Job, *ids: object) -> None:
        """Ask for a job soon. Where Redis does not answer nothing is asked for, and nobody waits:
        the sweep finds what is open.
        """
        if self.reach.lost:
            return
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
            self.note_loss(error)

    async def call_out(self, channel_id: int) -> None:
        """WakeChannel a channel wherever it is served: the process that took the job does not serve
        it.
        """
        try:
            await self.arq.publish(WAKES, str(channel_id))
        except (RedisError, OSError) as error:
            self.note_loss(error)

    def note_loss(self, why: object) -> None:
        """Redis did not answer: until it does, nothing is asked for."""
        self.reach.note_loss(why)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_until_it_answers())

    async def _look_until_it_answers(self) -> None:
        while self.reach.lost:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            with contextlib.suppress(RedisError, OSError):
                await self.arq.ping()
                self.reach.note_answer()

    async def enqueue_once(self, job: Job, *ids: object) -> None:
        """Ask for a job as `enqueue` does. Whoever asks for the same within LOOK_SECONDS does not
        wait, and all of them are one job, enqueued after the last has asked.
        """
        ask = (job, ids)
        if ask in self._resting:
            self._again.add(ask)
            return
        self._resting[ask] = asyncio.create_task(self._rest(ask))
        await self.enqueue(job, *ids)

    async def _rest(self, ask: _Ask) -> None:
        job, ids = ask
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if ask not in self._again:
                    return
                self._again.discard(ask)
                await self.enqueue(job, *ids)
        except Exception:
            log.exception("job not enqueued", extra={"job": job.value})
        finally:
            del self._resting[ask]

    async def rested(self) -> None:
        """Once everything that was asked for is enqueued."""
        await asyncio.gather(*self._resting.values())

    async def close(self) -> None:
        """Once everything that was asked for is enqueued, close the connections."""
        await self.rested()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.arq.aclose(close_connection_pool=True)


@contextlib.asynccontextmanager
async def open_queue(redis_url: str) -> AsyncIterator[Queue]:
    """The queue at a Redis URL; it need not be reachable yet."""
    queue = Queue(open_arq(redis_url))
    try:
        yield queue
    finally:
        await queue.close()
