"""Marking a batch as leaving. The hours, the validity, the quotas and the caps are checked under
the locks of the mark (invariants I6, I7). A message that may not leave is stopped with a reason, or
waits for a later time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from service.campaigns.stops.witness import MarkStand
from service.channels.contract.maintenance import maintenance_end
from service.channels.contract.model import Channel
from service.dispatch.compose import ClaimedSlice, Message
from service.dispatch.handoff import store
from service.dispatch.handoff.lease import HeldLease
from service.dispatch.handoff.lease_store import Lease, is_held
from service.dispatch.handoff.recorder import Handoff
from service.dispatch.handoff.store import MarkRequest
from service.dispatch.limits import allowance, caps, quota
from service.ledger.reasons import Reason
from service.storage.postgres import Connection, Record, transaction

BLOCKED_WAIT = timedelta(seconds=30)
"""How long a slice waits if the phone of one of its rows has another, uncertain hand-off."""


async def mark(
    shared: Handoff,
    channel: Channel,
    held: HeldLease,
    works: Sequence[ClaimedSlice],
    batch: Sequence[Message],
) -> tuple[list[Message], MarkStand | None]:
    """Mark messages of these slices, which are of one priority and department, and stop the rows of
    which no message could be made. No two of the messages have the same phone.

    Returns the messages that may leave, and what Redis is to be told before. Rows that are not to
    be taken now are removed from `works`, and `not_before` of a slice says when it may be taken
    again.
    """
    async with transaction(shared.pool) as conn:
        await store.lock_for_mark(conn, held.lease, *(work.run_id for work in works))
        now = shared.clock.now()
        open_now = [work for work in works if _is_open(shared, channel, work, now)]
        leaving = [m for m in batch if m.work in open_now and not m.work.is_over(now)]
        within, hold = await quota.within(conn, channel, leaving, now)
        within, ended = await allowance.within(conn, works[0], within, now)
        requests = [*map(_request, within), *_stopped(open_now, batch, now)]
        joint = any(work.joint for work in works)
        moved, stand = await _mark(conn, held.lease, requests, now, joint=joint)
        for work in open_now:
            await _handle_unmarked(shared, conn, held.lease, work, requests, moved, now)
        leaves = [row for row in moved if row["state"] == "submitting"]
        attempts = {(row["run_id"], row["no"]): row["attempt"] for row in leaves}
        marked = [m for m in within if (m.work.run_id, m.no) in attempts]
        await quota.use(conn, channel, marked, hold, now)
        await allowance.use(conn, works[0], marked, ended, now)
        if hold or ended:
            for work in works:
                work.rows.clear()
    for work in open_now:
        work.rows_without_message.clear()
    for message in marked:
        message.attempt = attempts[message.work.run_id, message.no]
        message.open_parts = len(message.parts)
    return marked, stand


async def _mark(
    conn: Connection, lease: Lease, requests: Sequence[MarkRequest], now: datetime, *, joint: bool
) -> tuple[list[Record], MarkStand | None]:
    return await store.mark(conn, lease, requests, now, joint=joint) if requests else ([], None)


def _is_open(shared: Handoff, channel: Channel, work: ClaimedSlice, now: datetime) -> bool:
    """Whether the channel is not in maintenance and the slice's send hours are open; if not, the
    slice loses its rows here, so that the connection lets go of it.
    """
    county = shared.county.now
    in_maintenance = maintenance_end(now, channel.maintenance) is not None
    if not in_maintenance and county.is_open(now, work.hours):
        return True
    if not in_maintenance:
        work.not_before = county.next_opening(now, work.hours)
    work.rows.clear()
    return False


def _stopped(
    works: Sequence[ClaimedSlice], batch: Sequence[Message], now: datetime
) -> list[MarkRequest]:
    """What is stopped for good: texts past their validity, and rows that gave no message."""
    over = [m for m in batch if m.work in works and m.work.is_over(now)]
    return [_request(message, Reason.VALIDITY_OVER) for message in over] + [
        MarkRequest(*work.key, no, 1, why)
        for work in works
        for no, why in work.rows_without_message
    ]


def _request(message: Message, stop: Reason | None = None) -> MarkRequest:
    return MarkRequest(*message.work.key, message.no, len(message.parts), stop)


async def _handle_unmarked(
    shared: Handoff,
    conn: Connection,
    lease: Lease,
    work: ClaimedSlice,
    requests: Sequence[MarkRequest],
    moved: Sequence[Record],
    now: datetime,
) -> None:
    """Decide on the texts of a slice that a cap has stopped, and on those that did not move."""
    mine = [row for row in moved if row["run_id"] == work.run_id]
    await caps.defer_or_stop(conn, work, mine, shared.county.now, now)
    if len(mine) == sum(row.run_id == work.run_id for row in requests):
        return
    if await store.run_state(conn, work.run_id) == "running" and await is_held(conn, lease):
        work.not_before = now + BLOCKED_WAIT
    else:  # whoever holds the connection next need not wait
        work.rows.clear()
