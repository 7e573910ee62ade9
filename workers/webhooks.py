"""Calls to departments' webhooks, and mails to persons, on a queue of their own: a dead receiver
delays nobody else.
"""

from typing import Any
from uuid import UUID

from service.delivery.notices import mails
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


async def send_mails(ctx: dict[str, Any]) -> None:
    """Send the mails that are due."""
    runtime = runtime_of(ctx)
    if await mails.send_mails(runtime.pool, runtime.keyring, runtime.clock, runtime.settings):
        await runtime.queue.enqueue(Job.SEND_MAILS)


KIND = WorkerKind("webhooks", [call_webhook, send_mails], connections=4)
