"""The SQL of slices: which one a connection takes next, its rows, and letting go of it.

A slice is a stretch of one run's ledger on one channel. Whoever holds it has its connection's slot
and epoch written in it; a claim holds the connection's shared lock, see `store`.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from service.dispatch.handoff.lease_store import Lease
from service.ledger.fragments import CLOSE_RUN, run_sent
from service.ledger.states import NOT_HANDED_OFF, listed
from service.storage.locks import lock_to_finish, share_connection
from service.storage.postgres import Connection, Record

CLAIMED_AT_ONCE = 32
"""How many connections of a channel may be taking slices at the same moment; more of them look
again a little later.
"""

FEW_ROWS = 16
"""Slices of direct runs are taken together if they have no more rows."""

TOGETHER = 32
"""How many of those a connection has in hand of one priority and department."""


class HeldSlice(NamedTuple):
    """A slice that a connection works on. few: whether it was one of those taken together."""

    run_id: uuid.UUID
    priority: int
    department_id: uuid.UUID
    few: bool = False


class Ended(NamedTuple):
    """A slice that is let go of. not_before: when what is left in it may be taken again."""

    run_id: uuid.UUID
    no: int
    not_before: datetime | None = None


def _columns(held: Sequence[HeldSlice]) -> tuple[Sequence[object], ...]:
    return tuple([h[column] for h in held] for column in range(len(HeldSlice._fields)))


async def claim_slices(
    conn: Connection,
    lease: Lease,
    now: datetime,
    held: Sequence[HeldSlice] = (),
    *,
    full: bool = False,
    campaigns_first: bool = False,
    most: int = TOGETHER,
) -> list[Record]:
    """Take the next slice of a running run on this channel, with what is needed to send it; or
    none. If it is a direct run's, of a few rows, then with others like it of the same department
    and priority, until `most` of these are in hand: there may be hundreds a second of one text.

    Runs of which the caller holds a slice already are passed over. What is `held` has its turns; so
    first comes what the caller has nothing of, a priority or a department in one, then urgent
    before normal before bulk, then the department that is furthest behind (see `fair_queue`); in a
    department the runs take turns, slice by slice (I11), of those without a campaign the oldest.
    `full`: only what the caller has nothing of, or what is more urgent than something that it has.
    `campaigns_first`: of a department's runs, before its direct ones; for whoever took a direct one
    last. There may always be one more of these, and each is at its first slice.

    Returns the oldest runs first; must run in a transaction.
    """
    await share_connection(conn, lease.channel_id, lease.slot)
    claimed = await conn.fetch(
        """
        WITH held AS (
            -- In sub-selects, so that the planner does not look at them: one plan does for all.
            SELECT * FROM unnest((SELECT $6::uuid[]), (SELECT $7::smallint[]), (SELECT $8::uuid[]),
                                 (SELECT $9::boolean[]))
                AS h(run_id, priority, department_id, few)
        ), flow AS (
            SELECT priority, department_id, count(*) FILTER (WHERE few) AS in_hand
            FROM held GROUP BY priority, department_id
        ), candidate AS (
            SELECT s.run_id, s.no, s.row, s.priority, r.department_id, r.direct,
                r.direct AND s.last_no - s.first_no < $13 AS few,
                f.in_hand IS NOT NULL AS known, coalesce(f.in_hand, 0) AS in_hand,
                greatest(a.virtual_time, p.present, 0) AS behind
            FROM (
                SELECT id, department_id, canary, false AS direct FROM runs
                WHERE state = 'running' AND campaign_id IS NOT NULL
                UNION ALL
                -- There may be hundreds, of one text each: those whose turn may come.
                SELECT o.id, d.id, NULL, true FROM departments d CROSS JOIN LATERAL (
                    SELECT id FROM runs o
                    WHERE o.department_id = d.id AND o.campaign_id IS NULL AND o.state = 'running'
                      AND NOT EXISTS (SELECT FROM held h WHERE h.run_id = o.id)
                      AND (  -- no EXISTS: that may be planned as a look at all slices for each run
                        SELECT s.no FROM slices s
                        WHERE s.channel_id = $1 AND s.run_id = o.id AND s.done_at IS NULL
                          AND s.epoch IS NULL AND (s.not_before IS NULL OR s.not_before <= $5)
                        LIMIT 1) IS NOT NULL
                    ORDER BY o.id LIMIT $11) o
            ) r CROSS JOIN LATERAL (
                -- Run by run along the index: statistics know nothing of a run just written. More
                -- than one, for others may be taking the first of them at this moment.
                SELECT run_id, no, priority, first_no, last_no, ctid AS row FROM slices
                WHERE channel_id = $1 AND run_id = r.id AND done_at IS NULL AND epoch IS NULL
                  AND (not_before IS NULL OR not_before <= $5)
                  AND (canary OR coalesce(r.canary, 'passed') = 'passed')
                ORDER BY no LIMIT $11) s
            LEFT JOIN flow f
              ON f.priority = s.priority AND f.department_id = r.department_id
            LEFT JOIN shares a ON a.channel_id = $1 AND a.priority = s.priority
              AND a.department_id = r.department_id
            LEFT JOIN (
                SELECT priority, max(started) AS present FROM shares
                WHERE channel_id = $1 GROUP BY priority) p ON p.priority = s.priority
            WHERE NOT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
              AND NOT EXISTS (SELECT FROM held h WHERE h.run_id = r.id)
              AND NOT EXISTS (SELECT FROM channels c WHERE c.id = $1 AND c.held_until > $5)
              AND NOT EXISTS (
                SELECT FROM departments x WHERE x.id = r.department_id AND x.held_until > $5)
              AND NOT EXISTS (
                SELECT FROM circuit_breakers b WHERE b.channel_id = $1 AND b.state = 'open')
              AND EXISTS (
                SELECT FROM connections k
                WHERE k.channel_id = $1 AND k.slot = $2 AND k.epoch = $3 AND k.owner = $4
                  AND k.expires_at > clock_timestamp())
        ), first AS (
            SELECT * FROM candidate c
            WHERE (NOT $10 OR NOT c.known OR c.priority < (SELECT max(priority) FROM held))
              AND (NOT c.few OR c.in_hand < $14)
            ORDER BY c.known, c.priority, c.behind, $12 AND c.direct, c.no, c.run_id
            LIMIT $11
        ), head AS MATERIALIZED (
            SELECT c.few, c.priority, c.department_id, c.in_hand FROM first c
            ORDER BY c.known, c.priority, c.behind, $12 AND c.direct, c.no, c.run_id
            LIMIT 1
        ), next AS (
            SELECT s.run_id, s.no, s.row, c.few
            FROM (
                SELECT c.row, c.few FROM head h, first c
                WHERE NOT h.few OR c.few AND c.priority = h.priority
                   AND c.department_id = h.department_id
                ORDER BY c.known, c.priority, c.behind, $12 AND c.direct, c.no, c.run_id
            ) c, LATERAL (  -- one by one, until there are as many as wanted
                SELECT run_id, no, ctid AS row, done_at, epoch FROM slices
                WHERE ctid = c.row FOR UPDATE SKIP LOCKED) s
            WHERE s.done_at IS NULL AND s.epoch IS NULL
            LIMIT (SELECT CASE WHEN few THEN $14::int - in_hand ELSE 1 END FROM head)
        )
        UPDATE slices s SET slot = $2, epoch = $3, touched = true
        FROM next
        CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = next.run_id OFFSET 0) r
        JOIN departments d ON d.id = r.department_id
        WHERE s.ctid = next.row
        RETURNING s.run_id, s.no, s.priority, s.first_no, s.last_no, r.text, r.class, r.max_tps,
                  r.send_hours, r.timezone, r.audience, r.beyond_hours, r.on_quiet_days,
                  r.valid_until, r.department_id, d.weight, coalesce(r.extension, (
                    SELECT e.extension FROM extensions e
                    WHERE e.department_id = r.department_id AND e.ended_at IS NULL
                    ORDER BY e.registered_at DESC, e.extension DESC LIMIT 1), '') AS extension,
                  num_nonnulls(d.daily_quota, d.monthly_quota, d.yearly_quota) > 0 AS has_allowance,
                  r.campaign_id IS NULL AS direct, next.few
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        lease.owner,
        now,
        *_columns(held),
        full,
        CLAIMED_AT_ONCE,
        campaigns_first,
        FEW_ROWS,
        most,
    )
    return sorted(claimed, key=lambda row: row["run_id"])


async def release_unknown(
    conn: Connection, lease: Lease, known: Sequence[tuple[uuid.UUID, int]]
) -> None:
    """Free slices that are ours by the table and not by our own list: the answer to their claim
    was lost. Nothing in them was marked.
    """
    await conn.execute(
        """
        UPDATE slices s SET slot = NULL, epoch = NULL
        WHERE s.channel_id = $1 AND s.slot = $2 AND s.epoch = $3 AND s.done_at IS NULL
          AND NOT EXISTS (
            SELECT FROM unnest($4::uuid[], $5::int[]) AS k(run_id, no)
            WHERE k.run_id = s.run_id AND k.no = s.no)
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        [run_id for run_id, _ in known],
        [no for _, no in known],
    )


async def queued_rows(
    conn: Connection, channel_id: int, slices: Sequence[tuple[uuid.UUID, int, int]], now: datetime
) -> list[Record]:
    """The messages of slices that are still to be handed off, and may be now; `slices` are (run,
    first number, last number).

    A message in their range that was routed again to another channel is none of them, nor is one
    that failed and is not due again yet, or that a cap holds back.
    """
    return await conn.fetch(
        """
        SELECT m.* FROM unnest($2::uuid[], $3::int[], $4::int[]) AS s(run_id, first_no, last_no),
            LATERAL (
                SELECT run_id, no, attempt, phone_hash, phone_cipher, name_cipher,
                       variables_cipher, area_code
                FROM messages m
                WHERE run_id = s.run_id AND no BETWEEN s.first_no AND s.last_no
                  AND state = 'queued' AND channel_id = $1
                  AND (m.attempt = 0 OR NOT EXISTS (
                    SELECT FROM attempts a
                    WHERE a.run_id = s.run_id AND a.no BETWEEN s.first_no AND s.last_no
                      AND a.no = m.no AND a.attempt = m.attempt AND a.next_at > $5))
                  AND NOT EXISTS (
                    SELECT FROM deferrals d
                    WHERE d.run_id = s.run_id AND d.no BETWEEN s.first_no AND s.last_no
                      AND d.no = m.no AND d.not_before > $5)
                ORDER BY no) m
        """,
        channel_id,
        [run_id for run_id, _, _ in slices],
        [first for _, first, _ in slices],
        [last for _, _, last in slices],
        now,
    )


async def finish_slices(
    conn: Connection, lease: Lease, slices: Sequence[Ended], now: datetime
) -> int:
    """Let go of slices: done if nothing in them is left to hand off, else free for another time.

    What is being put back into a slice must be seen, so the runs' locks for that are taken alone
    first; the runs' own only shared, so that marks go on. If all that is left failed before and is
    not due again yet, or waits for a cap, the slice is free when the first of them is due. A run
    without a campaign ends with the last of its slices: there may be hundreds a second, and every
    claim looks at those that run. One whose row somebody else has locked is left to the sweep.
    Returns how many are done.
    """
    ordered = sorted(slices, key=lambda s: (s.run_id, s.no))
    await lock_to_finish(conn, list(dict.fromkeys(s.run_id for s in ordered)))
    rows = await conn.fetch(
        f"""
        WITH ended AS MATERIALIZED (  -- slice by slice, as in the mark
            SELECT e.not_before, s.row
            FROM unnest((SELECT $4::uuid[]), (SELECT $5::int[]), (SELECT $6::timestamptz[]))
                AS e(run_id, no, not_before), LATERAL (
                SELECT ctid AS row FROM slices
                WHERE run_id = e.run_id AND no = e.no
                  AND channel_id = $1 AND slot = $2 AND epoch = $3 OFFSET 0) s
        ), free AS (
            UPDATE slices s SET
                slot = NULL, epoch = NULL, not_before = e.not_before,
                done_at = CASE WHEN NOT EXISTS (
                    SELECT FROM messages m
                    WHERE m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
                      AND m.channel_id = s.channel_id
                      AND m.state IN {listed(NOT_HANDED_OFF)} OFFSET 0)
                    THEN $7::timestamptz END
            FROM ended e WHERE s.ctid = e.row AND s.slot = $2 AND s.epoch = $3
            RETURNING s.run_id, s.no, s.done_at
        ), last AS (
            SELECT r.row
            FROM (SELECT DISTINCT run_id FROM free WHERE done_at IS NOT NULL) f, LATERAL (
                SELECT ctid AS row FROM runs  -- run by run, as in the mark
                WHERE id = f.run_id AND campaign_id IS NULL AND state IN {CLOSE_RUN.earlier}
                  AND NOT EXISTS (
                    SELECT FROM slices s
                    WHERE s.run_id = f.run_id AND s.done_at IS NULL AND NOT EXISTS (
                        SELECT FROM free o
                        WHERE o.run_id = s.run_id AND o.no = s.no AND o.done_at IS NOT NULL))
                FOR NO KEY UPDATE SKIP LOCKED OFFSET 0) r
        ), sent AS (
            UPDATE runs r SET {run_sent("$7")}
            FROM last WHERE r.ctid = last.row AND r.state IN {CLOSE_RUN.earlier}
        )
        SELECT run_id, no, done_at IS NOT NULL AS done FROM free
        """,  # noqa: S608  # constants
        lease.channel_id,
        lease.slot,
        lease.epoch,
        [s.run_id for s in ordered],
        [s.no for s in ordered],
        [s.not_before for s in ordered],
        now,
    )
    for row in rows:
        if not row["done"]:
            await _wait_for_the_first(conn, row["run_id"], row["no"], now)
    return sum(row["done"] for row in rows)


async def _wait_for_the_first(
    conn: Connection, run_id: uuid.UUID, slice_no: int, now: datetime
) -> None:
    """Nobody takes a slice before the first of its messages may leave: else it would be taken and
    let go of without end.
    """
    await conn.execute(
        f"""
        WITH left_over AS (
            SELECT greatest(
                (SELECT a.next_at FROM attempts a
                 WHERE a.run_id = m.run_id AND a.no = m.no AND a.attempt = m.attempt
                   AND a.next_at > $3),
                (SELECT d.not_before FROM deferrals d
                 WHERE d.run_id = m.run_id AND d.no = m.no AND d.not_before > $3)) AS at
            FROM slices s, LATERAL (
                SELECT run_id, no, attempt FROM messages
                WHERE run_id = s.run_id AND no BETWEEN s.first_no AND s.last_no
                  AND channel_id = s.channel_id AND state IN {listed(NOT_HANDED_OFF)} OFFSET 0) m
            WHERE s.run_id = $1 AND s.no = $2
        )
        UPDATE slices s SET not_before = greatest(s.not_before, w.at)
        FROM (SELECT min(at) AS at FROM left_over HAVING count(*) = count(at)) w
        WHERE s.run_id = $1 AND s.no = $2
        """,  # noqa: S608  # constants
        run_id,
        slice_no,
        now,
    )
