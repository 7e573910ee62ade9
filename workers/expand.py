"""Campaigns into ledgers."""

import uuid
from typing import Any

from service.dispatch.expansion.expand import expand_run as expand
from service.queue import Job
from workers.context import WorkerKind, runtime_of


async def expand_run(ctx: dict[str, Any], run_id: str) -> None:
    """Write one run's ledger, and wake the channels it goes out on."""
    runtime = runtime_of(ctx)
    made = await expand(
        runtime.pool, uuid.UUID(run_id), runtime.clock.now(), runtime.keyring, runtime.redis
    )
    for channel_id in made.channels if made else ():
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


EXPAND_SECONDS = 3_600
"""A ledger is one transaction, and a province's takes minutes. The sweep enqueues it meanwhile, and
whoever comes finds that somebody is at it."""

KIND = WorkerKind("expand", [expand_run], seconds=EXPAND_SECONDS)
