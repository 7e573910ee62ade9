"""A department's quota at the mark: how much of a batch it still allows, and counting what leaves.

It is kept at the hand-off and not at the expansion: there the parts are known, what is paused,
suppressed or given back counts for nothing, and what does not fit today waits for tomorrow within
its validity, as with a channel's quota.
"""

import itertools
import logging
from collections.abc import Sequence
from datetime import datetime

from service.dispatch.compose import ClaimedSlice, Message
from service.dispatch.limits import allowance_store
from service.dispatch.limits.allowance_store import Left
from service.storage.postgres import Connection

log = logging.getLogger(__name__)


async def within(
    conn: Connection, work: ClaimedSlice, batch: list[Message], now: datetime
) -> tuple[list[Message], Left | None]:
    """The first of a batch, as far as the department's quota goes; what is left if it ends there.

    work: any slice of that department's.
    """
    if not (batch and work.has_allowance):
        return batch, None
    left = await allowance_store.free_parts(conn, work.flow.department, now)
    if left is None:
        return batch, None
    sums = itertools.accumulate(len(message.parts) for message in batch)
    asked = batch[: sum(parts <= left.parts for parts in sums)]
    return asked, left if len(asked) < len(batch) else None


async def use(
    conn: Connection,
    work: ClaimedSlice,
    marked: Sequence[Message],
    ended: Left | None,
    now: datetime,
) -> None:
    """Count what was marked; where the quota ends, hold the department on all channels."""
    if marked and work.has_allowance:
        parts = sum(len(message.parts) for message in marked)
        await allowance_store.use(conn, work.flow.department, parts, now)
    if ended is not None:
        await allowance_store.hold(conn, work.flow.department, ended)
        log.warning("quota used up", extra={"department_id": str(work.flow.department)})
