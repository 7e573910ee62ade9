"""The SQL of the hand-off: marks. `slice_store` has the slices, `record_store` what came of them.

Four advisory locks order it against everybody else, taken shared by every mark and alone by whoever
must know that nothing is half-marked when they answer: that of all marks (stop-all), the run's
(pause, cancel), the suppressions' (opt-out), and the connection's (a lease that changes hands).
`service.storage.locks` has them, and their order.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from service.audience.suppressions.suppression_store import stops
from service.campaigns.stops.witness import MarkStand
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.limits import joint_store
from service.dispatch.limits.caps_store import RESERVED
from service.ledger.caps import CURRENT
from service.ledger.reasons import Reason
from service.ledger.states import MessageState, state_move
from service.storage import locks, sql
from service.storage.postgres import Connection, Record

MARK = state_move(MessageState.SUBMITTING, MessageState.SUPPRESSED, MessageState.CANCELLED)
"""A mark's move: the text leaves, or is stopped for good."""


async def lock_for_mark(conn: Connection, lease: Lease, *runs: uuid.UUID) -> None:
    """The shared locks of a mark, in a statement before it."""
    await locks.lock_for_mark(conn, runs, lease.channel_id, lease.slot)


async def channels_with_a_list(conn: Connection) -> set[int]:
    """The channels of which a list is being drawn: what they are handed stands on it."""
    rows = await conn.fetch("SELECT channel_id FROM list_files WHERE state = 'drawing'")
    return {row["channel_id"] for row in rows}


async def list_is_drawn(conn: Connection, channel_id: int) -> bool:
    """Whether a list of a channel is being drawn; it is not closed before the transaction ends."""
    found = await sql.fetchval(
        conn,
        """
        SELECT id FROM list_files WHERE channel_id = :channel_id AND state = 'drawing' FOR SHARE
        """,
        channel_id=channel_id,
    )
    return found is not None


class MarkRequest(NamedTuple):
    """A message that is to be marked. parts: how many; stop: why it is stopped for good instead."""

    run_id: uuid.UUID
    slice_no: int
    no: int
    parts: int
    stop: Reason | None = None


_STOPS = stops("o", "p.class", "p.department_id", ":now")
_MARK = sql.load(
    __file__,
    "mark.sql",
    CURRENT_CAP=CURRENT,
    STOPS=_STOPS,
    RESERVED=RESERVED,
    SOURCES=MARK.sources_sql,
    ERASED=Reason.ERASED,
    IN_OTHER_LEG="",
    SEATED="",
    PLACED="placed",
)
_MARK_LEGS = sql.load(
    __file__,
    "mark.sql",
    CURRENT_CAP=CURRENT,
    STOPS=_STOPS,
    RESERVED=RESERVED,
    SOURCES=MARK.sources_sql,
    ERASED=Reason.ERASED,
    IN_OTHER_LEG=joint_store.IN_OTHER_LEG,
    SEATED=joint_store.SEATED,
    PLACED=joint_store.PLACED,
)
"""The same for runs of a joint plan; other marks pay nothing for it."""


async def mark(
    conn: Connection,
    lease: Lease,
    asked: Sequence[MarkRequest],
    now: datetime,
    *,
    joint: bool = False,
) -> tuple[list[Record], MarkStand | None]:
    """Mark messages as leaving, or stop them for good; no two of them have the same phone.

    joint: some are of legs of joint plans; whoever has had the text of such a fire by another leg,
    or may have, is stopped.

    A suppression stops texts of its classes, of one department or of all, but no confirmation of
    itself; an erasure stops all older runs. A place under the person's cap is taken here.

    Returns run_id, no, attempt and state of those that moved, and of those that stay queued since
    there is no place for them: `capped` says so (see `caps`). The rest may not leave now:
    everything is stopped, the database is not accepted where it is, the run is not running, the
    channel is held, the lease or the slice is not ours, the row is no longer queued, or its phone
    has an uncertain hand-off on this channel. And what Redis is to be told first; None: nothing.
    """
    slices = list(dict.fromkeys((a.run_id, a.slice_no) for a in asked))
    slice_at = {key: index for index, key in enumerate(slices, start=1)}
    rows = await sql.fetch(
        conn,
        _MARK_LEGS if joint else _MARK,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        owner=lease.owner,
        now=now,
        run_ids=[run_id for run_id, _ in slices],
        slice_nos=[no for _, no in slices],
        slices=[slice_at[a.run_id, a.slice_no] for a in asked],
        nos=[a.no for a in asked],
        part_counts=[a.parts for a in asked],
        stops=[a.stop for a in asked],
    )
    return rows, _pop_stand(rows, lease)


def _pop_stand(rows: list[Record], lease: Lease) -> MarkStand | None:
    """The last row of a mark, which says what the connection has marked by now, if there is one."""
    if not rows or rows[-1]["run_id"] is not None:
        return None
    last = rows.pop()
    if last["database"] is None:
        return None
    where = lease.channel_id, lease.slot
    return MarkStand(last["database"], last["cluster"], *where, last["marks"])


async def run_state(conn: Connection, run_id: uuid.UUID) -> str | None:
    """The state of a run; `stopped` while everything is, or while the database is not accepted
    where it is now.
    """
    state: str | None = await sql.fetchval(
        conn,
        """
        SELECT CASE WHEN EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
                OR EXISTS (SELECT FROM generation WHERE cluster <> present_cluster())
            THEN 'stopped' ELSE state END
        FROM runs WHERE id = :run_id
        """,
        run_id=run_id,
    )
    return state


async def longest_uncertain(
    conn: Connection, channel_id: int, before: datetime, limit: int
) -> list[Record]:
    """The longest uncertain hand-offs of a channel: the phone, and when each was marked."""
    return await sql.fetch(
        conn,
        """
        SELECT m.phone_cipher, u.marked_at
        FROM uncertain u JOIN messages m ON m.run_id = u.run_id AND m.no = u.no
        WHERE u.channel_id = :channel_id AND u.since <= :before
        ORDER BY u.since LIMIT :limit
        """,
        channel_id=channel_id,
        before=before,
        limit=limit,
    )


async def area_names(conn: Connection) -> dict[str, tuple[str, str]]:
    """For each area code the names of its town and its village, "" where it lies above them."""
    rows = await conn.fetch(
        """
        SELECT a.code, a.name, a.level, t.name AS town
        FROM areas a LEFT JOIN areas t ON t.code = a.parent_code AND t.level = 'town'
        WHERE a.level IN ('town', 'village', 'community')
        """
    )
    return {
        row["code"]: (row["name"], "") if row["level"] == "town" else (row["town"], row["name"])
        for row in rows
    }
