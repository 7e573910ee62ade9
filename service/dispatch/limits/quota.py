"""A channel's quota at the mark: how many of a batch it still allows, and counting what leaves."""

import itertools
from collections.abc import Sequence
from datetime import datetime

from service.channels.config.store import hold_channel
from service.channels.contract.model import Channel, Hold
from service.dispatch.compose import Message
from service.dispatch.limits import quota_store
from service.storage.postgres import Connection


async def within(
    conn: Connection, channel: Channel, batch: list[Message], now: datetime
) -> tuple[list[Message], Hold | None]:
    """The first of a batch, as far as the channel's quota goes; the hold if it ends there."""
    if not (batch and channel.has_quota):
        return batch, None
    free, hold = await quota_store.free_parts(conn, channel.id, now)
    sums = itertools.accumulate(len(message.parts) for message in batch)
    asked = batch[: sum(parts <= free for parts in sums)]
    return asked, hold if len(asked) < len(batch) else None


async def use(
    conn: Connection,
    channel: Channel,
    marked: Sequence[Message],
    hold: Hold | None,
    now: datetime,
) -> None:
    """Count what was marked; where the quota ends, hold the channel for everybody."""
    if marked and channel.has_quota:
        parts = sum(len(message.parts) for message in marked)
        await quota_store.use(conn, channel.id, parts, now)
    if hold is not None:
        await hold_channel(conn, channel.id, hold)
