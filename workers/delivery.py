"""What came back: receipts into the ledger, texts from handsets to whom they concern, answers; and
notices to persons.
"""

from functools import partial
from typing import Any

from service.delivery.inbound.inbound import read_inbound as read
from service.delivery.inbound.replies import send_replies as send
from service.delivery.inbound.strays import StrayBounds
from service.delivery.notices import notices
from service.delivery.receipts.id_forms import reread
from service.delivery.receipts.receipts import fold_receipts as fold
from service.queue import Job
from workers.context import WorkerKind, runtime_of


async def fold_receipts(ctx: dict[str, Any], channel_id: str) -> int:
    """Fold one channel's inbox, and first what is to be read anew."""
    runtime = runtime_of(ctx)
    await reread(runtime.pool, int(channel_id), runtime.clock.now())
    wake = partial(runtime.queue.enqueue, Job.DRAIN_CHANNEL)
    note = runtime.figures.note_receipt_delays
    return await fold(runtime.pool, int(channel_id), runtime.clock.now(), wake, note)


async def read_inbound(ctx: dict[str, Any]) -> int:
    """Read the texts from handsets that arrived."""
    runtime = runtime_of(ctx)
    settings = runtime.settings
    bounds = StrayBounds(settings.stray_opt_outs_share, settings.stray_opt_outs_an_hour)
    return await read(runtime.pool, runtime.keyring, runtime.clock.now(), bounds=bounds)


async def send_replies(ctx: dict[str, Any]) -> None:
    """Put the replies that are due into ledgers, and wake the channels they go out on."""
    runtime = runtime_of(ctx)
    most = runtime.settings.replies_an_hour
    for channel_id in await send(runtime.pool, runtime.keyring, runtime.clock.now(), most=most):
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


async def make_notices(ctx: dict[str, Any]) -> None:
    """Put the notices that are due into ledgers and mails, and wake who sends them."""
    runtime = runtime_of(ctx)
    now = runtime.clock.now()
    made = await notices.make_notices(runtime.pool, runtime.keyring, runtime.settings, now)
    for channel_id in made:
        await runtime.queue.enqueue(Job.DRAIN_CHANNEL, channel_id)


KIND = WorkerKind(
    "delivery",
    [fold_receipts, read_inbound, send_replies, make_notices],
    connections=8,
    by_key=True,
)
