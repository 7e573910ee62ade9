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
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.limits.caps_store import RESERVED
from service.ledger.caps import CURRENT
from service.ledger.reasons import Reason
from service.ledger.states import MessageState, moving
from service.storage import locks
from service.storage.postgres import Connection, Record

MARK = moving(MessageState.SUBMITTING, MessageState.SUPPRESSED, MessageState.CANCELLED)
"""A mark's move: the text leaves, or is stopped for good."""


async def lock_for_mark(conn: Connection, lease: Lease, *runs: uuid.UUID) -> None:
    """The shared locks of a mark, in a statement before it."""
    await locks.lock_for_mark(conn, runs, lease.channel_id, lease.slot)


class MarkRequest(NamedTuple):
    """A message that is to be marked. parts: how many; stop: why it is stopped for good instead."""

    run_id: uuid.UUID
    slice_no: int
    no: int
    parts: int
    stop: Reason | None = None


async def mark(
    conn: Connection, lease: Lease, asked: Sequence[MarkRequest], now: datetime
) -> list[Record]:
    """Mark messages as leaving, or stop them for good; no two of them have the same phone.

    A suppression stops texts of its classes, of one department or of all, but no confirmation of
    itself; the erasure of a person stops all older runs. A place under the person's cap is taken
    here.

    Returns (run_id, no, attempt, state) of those that moved, and with the state `capped` of those
    that are queued and have no place (see `caps`). The rest may not leave now: everything is
    stopped, the run is not running, the channel is held, the lease or the slice is not ours, the
    row is no longer queued, or its phone has an uncertain hand-off on this channel.
    """
    slices = list(dict.fromkeys((a.run_id, a.slice_no) for a in asked))
    slice_at = {key: index for index, key in enumerate(slices, start=1)}
    return await conn.fetch(
        f"""
        WITH permit AS MATERIALIZED (
            SELECT w.at, r.id AS run_id, r.class, r.confirms, r.department_id, r.created_at,
                   hashtextextended(r.text, 0) AS text,
                   cap.id IS NOT NULL AS counted, cap.per_day, cap.per_week, cap.per_month,
                   cap.same_text
            -- In sub-selects, so that the planner does not look at them: one plan does for all.
            FROM unnest((SELECT $4::uuid[]), (SELECT $5::int[])) WITH ORDINALITY
                    AS w(run_id, slice_no, at)
                CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = w.run_id OFFSET 0) r
                CROSS JOIN LATERAL (
                    SELECT slot, epoch FROM slices
                    WHERE run_id = w.run_id AND no = w.slice_no OFFSET 0) s
                LEFT JOIN LATERAL ({CURRENT}) cap ON true, connections k
            WHERE r.state = 'running' AND s.slot = $2 AND s.epoch = $3
              AND k.channel_id = $1 AND k.slot = $2 AND k.epoch = $3 AND k.owner = $6
              AND k.expires_at > clock_timestamp()
              AND NOT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
              AND NOT EXISTS (SELECT FROM channels c WHERE c.id = $1 AND c.held_until > $9)
              AND NOT EXISTS (
                SELECT FROM circuit_breakers b WHERE b.channel_id = $1 AND b.state = 'open')
        ), asked AS (
            SELECT * FROM unnest((SELECT $7::smallint[]), (SELECT $8::int[]),
                    (SELECT $10::smallint[]), (SELECT $11::text[]))
                AS a(slice, no, part_count, stop)
        ), candidate AS MATERIALIZED (
            SELECT m.row, a.no, a.part_count, m.phone_hash, p.run_id, p.class, p.text, p.counted,
                COALESCE(a.stop, (
                    SELECT 'erased' FROM erasures e
                    WHERE e.phone_hash = m.phone_hash AND e.erased_at >= p.created_at
                      AND (e.department_id IS NULL OR e.department_id = p.department_id)
                    LIMIT 1), (
                    SELECT o.reason FROM suppressions o
                    WHERE o.phone_hash = m.phone_hash
                      AND o.reason IS DISTINCT FROM p.confirms
                      AND {stops("o", "p.class", "p.department_id", "$9")}
                    ORDER BY o.reason LIMIT 1)) AS stop
            FROM asked a JOIN permit p ON p.at = a.slice, LATERAL (
                -- Row by row: statistics know nothing of a run that was written a moment ago, and
                -- a join may be planned as one pass over the whole of it for every batch.
                SELECT ctid AS row, phone_hash FROM messages
                WHERE run_id = p.run_id AND no = a.no AND state IN {MARK.earlier}
                  AND channel_id = $1 OFFSET 0) m
        ), verdict AS MATERIALIZED (
            SELECT * FROM candidate c
            WHERE c.stop IS NOT NULL OR NOT EXISTS (
                SELECT FROM uncertain u
                WHERE u.channel_id = $1 AND u.phone_hash = c.phone_hash)
        ), reserved AS ({RESERVED}), placed AS MATERIALIZED (
            SELECT v.*, v.stop IS NULL AND v.counted
                AND v.phone_hash NOT IN (SELECT phone_hash FROM reserved) AS capped
            FROM verdict v
        ), moved AS (
            UPDATE messages m SET
                state = CASE WHEN v.stop IS NULL THEN 'submitting'
                    WHEN v.stop = 'erased' THEN 'cancelled' ELSE 'suppressed' END::message_state,
                reason = v.stop,
                part_count = v.part_count,
                attempt = m.attempt + CASE WHEN v.stop IS NULL THEN 1 ELSE 0 END,
                marked_at = CASE WHEN v.stop IS NULL THEN $9::timestamptz END,
                final_at = CASE WHEN v.stop IS NOT NULL THEN $9::timestamptz END
            FROM placed v
            WHERE m.ctid = v.row AND m.state IN {MARK.earlier} AND NOT v.capped
            RETURNING m.run_id, m.no, m.attempt, m.state::text
        )
        SELECT run_id, no, attempt, state FROM moved
        UNION ALL SELECT run_id, no, 0, 'capped' FROM placed WHERE capped
        """,  # noqa: S608  # constants
        lease.channel_id,
        lease.slot,
        lease.epoch,
        [run_id for run_id, _ in slices],
        [no for _, no in slices],
        lease.owner,
        [slice_at[a.run_id, a.slice_no] for a in asked],
        [a.no for a in asked],
        now,
        [a.parts for a in asked],
        [a.stop for a in asked],
    )


async def run_state(conn: Connection, run_id: uuid.UUID) -> str | None:
    """The state of a run; `stopped` while everything is."""
    state: str | None = await conn.fetchval(
        """
        SELECT CASE WHEN EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
            THEN 'stopped' ELSE state END
        FROM runs WHERE id = $1
        """,
        run_id,
    )
    return state


async def oldest_doubts(
    conn: Connection, channel_id: int, before: datetime, limit: int
) -> list[Record]:
    """The hand-offs in doubt on a channel for longest: the phone, and when it was marked."""
    return await conn.fetch(
        """
        SELECT m.phone_cipher, u.marked_at
        FROM uncertain u JOIN messages m ON m.run_id = u.run_id AND m.no = u.no
        WHERE u.channel_id = $1 AND u.since <= $2
        ORDER BY u.since LIMIT $3
        """,
        channel_id,
        before,
        limit,
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
