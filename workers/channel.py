"""A channel process: sessions, leases and the drain loop, beside the arq worker that wakes them.

It serves all channels, or those that lead to the gateways of some carriers, so that what one
carrier's gateway does to a process stops no other's (decision 0240).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from service.audience.vocabulary.choices import CARRIERS
from service.channels.contract.model import Channel, operator_of
from service.delivery.receipts.inbox import Inbox
from service.delivery.receipts.receipts import rematch_answered
from service.dispatch.handoff.channel_server import ChannelServer
from service.errors import Misconfigured, TocsinError
from service.queue import Job, heard_wakes
from service.runtime import Runtime
from service.storage.postgres import BY_KEY, open_pool
from service.words.phrase import listing, phrase
from workers.context import WorkerKind, runtime_of

log = logging.getLogger(__name__)


class BrokeOff(TocsinError):
    """What serves the channels has ended, and nobody asked it to."""

    code = "broke_off"


async def drain_channel(ctx: dict[str, Any], channel_id: str) -> None:
    """Wake the connections of one channel, here or in the process that serves it."""
    server: ChannelServer = ctx["server"]
    if not server.wakeups.wake(int(channel_id)):
        await runtime_of(ctx).queue.call_out(int(channel_id))


async def hear(server: ChannelServer, redis_url: str, stop: asyncio.Event) -> None:
    """Wake the connections of channels whose job another process received."""
    async for channel_id in heard_wakes(redis_url, stop):
        server.wakeups.wake(channel_id)


KIND = WorkerKind("channel", [drain_channel])

OTHERS = "others"
"""Channels to no carrier's own gateway: those of providers, and of several carriers."""

GROUPS = (*CARRIERS, OTHERS)


def kind_for(groups: str) -> WorkerKind:
    """The kind for the channels of some groups, such as `china_broadnet,others`.

    Raises:
        Misconfigured: there is no such group.
    """
    for group in groups.split(","):
        if group not in GROUPS:
            raise Misconfigured(
                phrase(
                    "channel:{groups} names {group!r}; there are {groups_2}",
                    groups=groups,
                    group=group,
                    groups_2=listing(GROUPS),
                )
            )
    return replace(KIND, word=f"{KIND.name}:{groups}")


def serves(kind: WorkerKind, channel: Channel) -> bool:
    """Whether a process of this kind serves a channel."""
    _, _, groups = kind.label.partition(":")
    operator = operator_of(channel.kind, channel.carriers, channel.operated_by)
    return not groups or (operator or OTHERS) in groups.split(",")


@contextlib.asynccontextmanager
async def serving(
    runtime: Runtime, stop: asyncio.Event, kind: WorkerKind = KIND
) -> AsyncIterator[dict[str, Any]]:
    """Serve a kind's channels until `stop`; at the end drain them and store the last receipts.

    Raises:
        BrokeOff: at the end, if that came since something here has ended by itself.
    """
    broke: list[str] = []
    settings = runtime.settings
    async with (
        open_pool(settings.database_url, size=settings.pool_size, session=BY_KEY) as pool,
        _server(replace(runtime, pool=pool), stop, kind, broke) as server,
    ):
        hearing = _begin(hear(server, settings.redis_url, stop), "hear wakes", stop, broke)
        try:
            yield {"server": server}
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    if broke:
        what = listing(broke)
        raise BrokeOff(
            phrase(
                "this process ends, since a part of it has broken off: {what}; the log says why,"
                " and whoever supervises it starts it again",
                what=what,
            )
        )


def _begin(
    work: Coroutine[Any, Any, None], name: str, stop: asyncio.Event, broke: list[str]
) -> asyncio.Task[None]:
    """Do the work in a task. If that ends before `stop`, it has broken off: its name joins `broke`,
    its error is logged, and the process stops.
    """

    def ended(task: asyncio.Task[None]) -> None:
        if not stop.is_set():
            error = None if task.cancelled() else task.exception()
            log.error("a part of the process has broken off", extra={"part": name}, exc_info=error)
            broke.append(name)
            stop.set()

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task


@contextlib.asynccontextmanager
async def _server(
    runtime: Runtime, stop: asyncio.Event, kind: WorkerKind, broke: list[str]
) -> AsyncIterator[ChannelServer]:
    inbox = Inbox(
        runtime.pool,
        runtime.keyring,
        runtime.clock,
        partial(runtime.queue.enqueue, Job.FOLD_RECEIPTS),
        partial(runtime.queue.enqueue, Job.READ_INBOUND),
    )
    server = ChannelServer(
        runtime,
        inbox.deliver_for,
        rematch_answered,
        max_connections=runtime.settings.connections_per_process,
        serves=partial(serves, kind),
    )
    storing = _begin(inbox.run(), "store receipts", stop, broke)
    serving_ = _begin(server.run(stop), "serve channels", stop, broke)
    try:
        yield server
    finally:
        stop.set()
        await asyncio.gather(serving_, return_exceptions=True)
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
