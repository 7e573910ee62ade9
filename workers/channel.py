"""A channel process: sessions, leases and the drain loop, beside the arq worker that wakes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

from service.delivery.inbox import Inbox
from service.delivery.receipts import recheck
from service.dispatch.serve import ChannelServer
from service.queue import Job
from service.runtime import Runtime
from service.storage.postgres import BY_KEY, open_pool
from workers.context import Kind


async def drain_channel(ctx: dict[str, Any], channel_id: str) -> None:
    """Wake the connections of one channel."""
    server: ChannelServer = ctx["server"]
    server.bells.ring(int(channel_id))


KIND = Kind("channel", [drain_channel])


@contextlib.asynccontextmanager
async def serving(runtime: Runtime, stop: asyncio.Event) -> AsyncIterator[dict[str, Any]]:
    """Serve the channels until `stop`; at the end drain them and store the last receipts."""
    settings = runtime.settings
    async with (
        open_pool(settings.database_url, size=settings.pool_size, session=BY_KEY) as pool,
        _server(replace(runtime, pool=pool), stop) as server,
    ):
        yield {"server": server}


@contextlib.asynccontextmanager
async def _server(runtime: Runtime, stop: asyncio.Event) -> AsyncIterator[ChannelServer]:
    inbox = Inbox(
        runtime.pool,
        runtime.keyring,
        runtime.clock,
        partial(runtime.queue.ring, Job.FOLD_RECEIPTS),
        partial(runtime.queue.ring, Job.READ_INBOUND),
    )
    server = ChannelServer(
        runtime, inbox.deliver_for, recheck, most=runtime.settings.connections_per_process
    )
    storing = asyncio.create_task(inbox.run())
    serving_ = asyncio.create_task(server.run(stop))
    for task in (storing, serving_):  # either ending is the end of this process; `up` starts anew
        task.add_done_callback(lambda _: stop.set())
    try:
        yield server
    finally:
        stop.set()
        await asyncio.gather(serving_, return_exceptions=True)
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
