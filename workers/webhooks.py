"""Calls to departments' webhooks, on a queue of their own: a dead receiver delays nobody else."""

from typing import Any
from uuid import UUID

from service.delivery.webhooks.webhooks import call_due
from service.queue import Job
from workers.context import WorkerKind, runtime_of


async def call_webhook(ctx: dict[str, Any], webhook_id: str) -> int:
    """Make one webhook's calls that are due."""
    runtime = runtime_of(ctx)
    settings = runtime.settings
    taken = await call_due(
        runtime.pool,
        runtime.keyring,
        runtime.clock,
        UUID(webhook_id),
        settings.allowed_networks,
        settings.zone,
    )
    if taken:
        await runtime.queue.enqueue(Job.CALL_WEBHOOK, webhook_id)
    return taken


KIND = WorkerKind("webhooks", [call_webhook], connections=4)
