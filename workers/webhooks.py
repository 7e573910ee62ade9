"""Calls to departments' webhooks, mails to persons and posts to work groups, on a queue of their
own: a dead receiver delays nobody else.
"""

from typing import Any
from uuid import UUID

from service.delivery.notices import mails, robot_posts
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


async def post_to_robots(ctx: dict[str, Any]) -> int:
    """Post what is due to robots of work groups."""
    runtime = runtime_of(ctx)
    posted = await robot_posts.post_due(
        runtime.pool, runtime.keyring, runtime.clock, runtime.settings
    )
    if posted:
        await runtime.queue.enqueue(Job.POST_TO_ROBOTS)
    return posted


KIND = WorkerKind("webhooks", [call_webhook, send_mails, post_to_robots], connections=4)
