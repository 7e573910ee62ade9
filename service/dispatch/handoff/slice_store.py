"""The SQL of slices: which one a connection takes next, its rows, and letting go of it.

A slice is a stretch of one run's ledger on one channel. Whoever holds it has its connection's slot
and epoch written in it; a claim holds the connection's shared lock, see `store`.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from service.dispatch.handoff.lease_store import Lease
from service.ledger.fragments import CLOSE_RUN, run_sent
from service.ledger.states import NOT_HANDED_OFF, sql_list
from service.storage import sql
from service.storage.locks import lock_for_finish, share_connection
from service.storage.postgres import Connection, Record

CLAIMED_AT_ONCE = 32
"""How many connections of a channel may be taking slices at the same moment; more of them look
again a little later.
"""

FEW_ROWS = 16
"""Slices of direct runs with at most this many rows are taken together."""

MOST_TOGETHER = 32
"""The most of those slices that a connection has in hand of one priority and department."""


class HeldSlice(NamedTuple):
    """A slice that a connection works on. taken_together: whether it was one of those."""

    run_id: uuid.UUID
    priority: int
    department_id: uuid.UUID
    taken_together: bool = False


class ReleasedSlice(NamedTuple):
    """A slice that its connection lets go of. not_before: when a connection may take it again."""

    run_id: uuid.UUID
    no: int
    not_before: datetime | None = None


def _holder(lease: Lease) -> dict[str, Any]:
    names = ("channel_id", "slot", "epoch", "owner")
    return {name: getattr(lease, name) for name in names}


def _columns(held: Sequence[HeldSlice]) -> dict[str, Any]:
    return {
        "held_runs": [h.run_id for h in held],
        "held_priorities": [h.priority for h in held],
        "held_departments": [h.department_id for h in held],
        "held_together": [h.taken_together for h in held],
    }


_CLAIM = sql.load(__file__, "claim_slices.sql")


async def claim_slices(
    conn: Connection,
    lease: Lease,
    now: datetime,
    held: Sequence[HeldSlice] = (),
    *,
    only_new_flows: bool = False,
    campaigns_first: bool = False,
    most: int = MOST_TOGETHER,
) -> list[Record]:
    """Take the next slice of a running run on this channel, with what is needed to send it; or
    none. A direct run's slice of few rows is taken together with others like it, of the same
    department and priority, until the caller has `most` of these in hand: there may be hundreds of
    such runs a second, of one text each.

    Runs of which the caller holds a slice already are passed over. The order is: a priority and
    department of which the caller holds no slice; then urgent before normal before bulk; then the
    department that is furthest behind (see `fair_queue`); then the department's runs in turn, slice
    by slice (I11), and of its direct runs the oldest.
    `only_new_flows`: take only a slice of a priority and department of which the caller holds none,
    or one that is more urgent than a slice that it holds. `campaigns_first`: take a department's
    campaign runs before its direct ones. A caller sets it after it took a direct run: new ones may
    come without end, and each is at its first slice.

    Returns the oldest runs first; must run in a transaction.
    """
    await share_connection(conn, lease.channel_id, lease.slot)
    claimed = await sql.fetch(
        conn,
        _CLAIM,
        **_holder(lease),
        **_columns(held),
        now=now,
        only_new_flows=only_new_flows,
        at_once=CLAIMED_AT_ONCE,
        campaigns_first=campaigns_first,
        few_rows=FEW_ROWS,
        most=most,
    )
    return sorted(claimed, key=lambda row: row["run_id"])


async def release_unknown(
    conn: Connection, lease: Lease, known: Sequence[tuple[uuid.UUID, int]]
) -> None:
    """Free the slices that this connection holds in the table but that are not in `known`: the
    answer to their claim was lost, and no message in them was marked; or the database was promoted
    and lacks that they were finished, and whoever takes them makes uncertain what is marked there.
    """
    await sql.execute(
        conn,
        """
        UPDATE slices s SET slot = NULL, epoch = NULL
        WHERE s.channel_id = :channel_id AND s.slot = :slot AND s.epoch = :epoch
          AND s.done_at IS NULL
          AND NOT EXISTS (
            SELECT FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
            WHERE k.run_id = s.run_id AND k.no = s.no)
        """,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        run_ids=[run_id for run_id, _ in known],
        nos=[no for _, no in known],
    )


async def queued_rows(
    conn: Connection, channel_id: int, slices: Sequence[tuple[uuid.UUID, int, int]], now: datetime
) -> list[Record]:
    """The messages of slices that are still to be handed off, and may be now; `slices` are (run,
    first number, last number).

    Left out are messages in their range that were moved to another channel, that failed and are not
    due again yet, or that a cap holds back.
    """
    return await sql.fetch(
        conn,
        """
        SELECT m.*
        FROM unnest(:run_ids::uuid[], :firsts::int[], :lasts::int[]) AS s(run_id, first_no,
            last_no),
            LATERAL (
                SELECT run_id, no, attempt, phone_hash, phone_cipher, name_cipher,
                       variables_cipher, area_code
                FROM messages m
                WHERE run_id = s.run_id AND no BETWEEN s.first_no AND s.last_no
                  AND state = 'queued' AND channel_id = :channel_id
                  AND (m.attempt = 0 OR NOT EXISTS (
                    SELECT FROM attempts a
                    WHERE a.run_id = s.run_id AND a.no BETWEEN s.first_no AND s.last_no
                      AND a.no = m.no AND a.attempt = m.attempt AND a.next_at > :now))
                  AND NOT EXISTS (
                    SELECT FROM deferrals d
                    WHERE d.run_id = s.run_id AND d.no BETWEEN s.first_no AND s.last_no
                      AND d.no = m.no AND d.not_before > :now)
                ORDER BY no) m
        """,
        channel_id=channel_id,
        run_ids=[run_id for run_id, _, _ in slices],
        firsts=[first for _, first, _ in slices],
        lasts=[last for _, _, last in slices],
        now=now,
    )


async def finish_slices(
    conn: Connection, lease: Lease, slices: Sequence[ReleasedSlice], now: datetime
) -> int:
    """Let go of slices: a slice is done if it has nothing left to hand off, else it is free again.

    Messages that are being put back into a slice must be seen, so the put-back locks of the runs
    are taken alone. The runs' own locks come before them, only shared, so that marks go on. If all
    messages that are left wait for a later try or for a cap, the slice may be taken again when the
    first of them is due. A run without a campaign becomes `sent` here, with its last slice: there
    may be hundreds a second, and every claim looks at all running ones. If somebody else has locked
    the run's row, the sweep closes the run instead. Returns how many slices are done.
    """
    ordered = sorted(slices, key=lambda s: (s.run_id, s.no))
    await lock_for_finish(conn, list(dict.fromkeys(s.run_id for s in ordered)))
    rows = await sql.fetch(
        conn,
        f"""
        WITH ended AS MATERIALIZED (  -- slice by slice, as in the mark
            SELECT e.not_before, s.row
            FROM unnest((SELECT :run_ids::uuid[]), (SELECT :nos::int[]),
                        (SELECT :not_befores::timestamptz[]))
                AS e(run_id, no, not_before), LATERAL (
                SELECT ctid AS row FROM slices
                WHERE run_id = e.run_id AND no = e.no
                  AND channel_id = :channel_id AND slot = :slot AND epoch = :epoch OFFSET 0) s
        ), free AS (
            UPDATE slices s SET
                slot = NULL, epoch = NULL, not_before = e.not_before,
                done_at = CASE WHEN NOT EXISTS (
                    SELECT FROM messages m
                    WHERE m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
                      AND m.channel_id = s.channel_id
                      AND m.state IN {sql_list(NOT_HANDED_OFF)} OFFSET 0)
                    THEN :now::timestamptz END
            FROM ended e WHERE s.ctid = e.row AND s.slot = :slot AND s.epoch = :epoch
            RETURNING s.run_id, s.no, s.done_at
        ), last AS (
            SELECT r.row
            FROM (SELECT DISTINCT run_id FROM free WHERE done_at IS NOT NULL) f, LATERAL (
                SELECT ctid AS row FROM runs  -- run by run, as in the mark
                WHERE id = f.run_id AND campaign_id IS NULL AND state IN {CLOSE_RUN.sources_sql}
                  AND NOT EXISTS (
                    SELECT FROM slices s
                    WHERE s.run_id = f.run_id AND s.done_at IS NULL AND NOT EXISTS (
                        SELECT FROM free o
                        WHERE o.run_id = s.run_id AND o.no = s.no AND o.done_at IS NOT NULL))
                FOR NO KEY UPDATE SKIP LOCKED OFFSET 0) r
        ), sent AS (
            UPDATE runs r SET {run_sent(":now")}
            FROM last WHERE r.ctid = last.row AND r.state IN {CLOSE_RUN.sources_sql}
        )
        SELECT run_id, no, done_at IS NOT NULL AS done FROM free
        """,  # noqa: S608  # constants
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        run_ids=[s.run_id for s in ordered],
        nos=[s.no for s in ordered],
        not_befores=[s.not_before for s in ordered],
        now=now,
    )
    for row in rows:
        if not row["done"]:
            await _defer_slice(conn, row["run_id"], row["no"], now)
    return sum(row["done"] for row in rows)


async def _defer_slice(conn: Connection, run_id: uuid.UUID, slice_no: int, now: datetime) -> None:
    """If all messages of a slice wait, let nobody take it before the first of them may leave: else
    connections would take it and let go of it again and again.
    """
    await sql.execute(
        conn,
        f"""
        WITH left_over AS (
            SELECT greatest(
                (SELECT a.next_at FROM attempts a
                 WHERE a.run_id = m.run_id AND a.no = m.no AND a.attempt = m.attempt
                   AND a.next_at > :now),
                (SELECT d.not_before FROM deferrals d
                 WHERE d.run_id = m.run_id AND d.no = m.no AND d.not_before > :now)) AS at
            FROM slices s, LATERAL (
                SELECT run_id, no, attempt FROM messages
                WHERE run_id = s.run_id AND no BETWEEN s.first_no AND s.last_no
                  AND channel_id = s.channel_id AND state IN {sql_list(NOT_HANDED_OFF)} OFFSET 0) m
            WHERE s.run_id = :run_id AND s.no = :slice_no
        )
        UPDATE slices s SET not_before = greatest(s.not_before, w.at)
        FROM (SELECT min(at) AS at FROM left_over HAVING count(*) = count(at)) w
        WHERE s.run_id = :run_id AND s.no = :slice_no
        """,  # noqa: S608  # constants
        run_id=run_id,
        slice_no=slice_no,
        now=now,
    )
