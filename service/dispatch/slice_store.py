"""The SQL of slices: which one a connection takes next, its rows, and letting go of it.

A slice is a stretch of one run's ledger on one channel. Whoever holds it has its connection's slot
and epoch written in it; a claim holds the connection's shared lock, see `store`.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from service.dispatch.lease_store import Lease
from service.dispatch.store import lock_holder
from service.storage.postgres import Connection, Record

CLAIMED_AT_ONCE = 16
"""How many connections of a channel may be taking slices at the same moment; more of them look
again a little later.
"""

Held = tuple[uuid.UUID, int, uuid.UUID]
"""A slice that a connection works on: its run, its priority, and its department."""


async def claim_slice(
    conn: Connection,
    lease: Lease,
    now: datetime,
    held: Sequence[Held] = (),
    *,
    full: bool = False,
    campaigns_first: bool = False,
) -> Record | None:
    """Take the next slice of a running run on this channel, with what is needed to send it.

    Runs of which the caller holds a slice already are passed over. What is `held` has its turns;
    so first comes what the caller has nothing of, a class or a department in one, then urgent
    before normal before bulk, then the department that is furthest behind (see `share`); within a
    department the runs take turns, slice by slice (I11), of those without a campaign the oldest.
    `full`: only what the caller has nothing of, or what is more urgent than something that it has.
    `campaigns_first`: of a department's runs, before its direct ones; for whoever took a direct one
    last. There may always be one more of these, and each is at its first slice.

    Must run in a transaction.
    """
    await lock_holder(conn, lease)
    return await conn.fetchrow(
        """
        WITH held AS (
            -- In sub-selects, so that the planner does not look at them: one plan does for all.
            SELECT * FROM unnest((SELECT $6::uuid[]), (SELECT $7::smallint[]), (SELECT $8::uuid[]))
                AS h(run_id, priority, department_id)
        ), candidate AS (
            SELECT s.run_id, s.no, s.priority, r.direct, EXISTS (
                    SELECT FROM held h
                    WHERE h.priority = s.priority AND h.department_id = r.department_id) AS known,
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
                      AND EXISTS (
                        SELECT FROM slices s
                        WHERE s.channel_id = $1 AND s.run_id = o.id AND s.done_at IS NULL
                          AND s.epoch IS NULL AND (s.not_before IS NULL OR s.not_before <= $5))
                    ORDER BY o.id LIMIT $10) o
            ) r CROSS JOIN LATERAL (
                -- Run by run along the index: statistics know nothing of a run just written. More
                -- than one, for others may be taking the first of them at this moment.
                SELECT run_id, no, priority FROM slices
                WHERE channel_id = $1 AND run_id = r.id AND done_at IS NULL AND epoch IS NULL
                  AND (not_before IS NULL OR not_before <= $5)
                  AND (canary OR coalesce(r.canary, 'passed') = 'passed')
                ORDER BY no LIMIT $10) s
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
                SELECT FROM lane_breakers b WHERE b.channel_id = $1 AND b.state = 'open')
              AND EXISTS (
                SELECT FROM connections k
                WHERE k.channel_id = $1 AND k.slot = $2 AND k.epoch = $3 AND k.owner = $4
                  AND k.expires_at > clock_timestamp())
        ), first AS (
            SELECT * FROM candidate c
            WHERE NOT $9 OR NOT c.known OR c.priority < (SELECT max(priority) FROM held)
            ORDER BY c.known, c.priority, c.behind, $11 AND c.direct, c.no, c.run_id
            LIMIT $10
        ), next AS (
            SELECT s.run_id, s.no
            FROM first c JOIN slices s ON s.run_id = c.run_id AND s.no = c.no
            WHERE s.channel_id = $1 AND s.done_at IS NULL AND s.epoch IS NULL
            ORDER BY c.known, c.priority, c.behind, $11 AND c.direct, c.no, c.run_id
            LIMIT 1
            FOR UPDATE OF s SKIP LOCKED
        )
        UPDATE slices s SET slot = $2, epoch = $3, touched = true
        FROM next, runs r JOIN departments d ON d.id = r.department_id
        WHERE s.run_id = next.run_id AND s.no = next.no AND r.id = s.run_id
        RETURNING s.run_id, s.no, s.priority, s.first_no, s.last_no, r.text, r.class, r.max_tps,
                  r.send_hours, r.timezone, r.audience, r.beyond_hours, r.on_quiet_days,
                  r.valid_until, r.department_id, d.weight, coalesce(r.extension, (
                    SELECT e.extension FROM extensions e
                    WHERE e.department_id = r.department_id AND e.ended_at IS NULL
                    ORDER BY e.registered_at DESC, e.extension DESC LIMIT 1), '') AS extension,
                  num_nonnulls(d.daily_quota, d.monthly_quota, d.yearly_quota) > 0 AS has_allowance,
                  r.campaign_id IS NULL AS direct
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        lease.owner,
        now,
        [run_id for run_id, _, _ in held],
        [priority for _, priority, _ in held],
        [department for _, _, department in held],
        full,
        CLAIMED_AT_ONCE,
        campaigns_first,
    )


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
    conn: Connection,
    run_id: uuid.UUID,
    channel_id: int,
    first_no: int,
    last_no: int,
    now: datetime,
) -> list[Record]:
    """The messages of a slice that are still to be handed off, and may be now.

    A message in its range that was routed again to another channel is none of them, nor is one that
    failed and is not due again yet, or that a cap holds back.
    """
    return await conn.fetch(
        """
        SELECT no, attempt, phone_hash, phone_cipher, name_cipher, variables_cipher, area_code
        FROM messages m
        WHERE run_id = $1 AND no BETWEEN $2 AND $3 AND state = 'queued'
          AND channel_id = $5
          AND (m.attempt = 0 OR NOT EXISTS (
            SELECT FROM attempts a
            WHERE a.run_id = $1 AND a.no BETWEEN $2 AND $3 AND a.no = m.no
              AND a.attempt = m.attempt AND a.next_at > $4))
          AND NOT EXISTS (
            SELECT FROM deferrals d
            WHERE d.run_id = $1 AND d.no BETWEEN $2 AND $3 AND d.no = m.no AND d.not_before > $4)
        ORDER BY no
        """,
        run_id,
        first_no,
        last_no,
        now,
        channel_id,
    )


async def finish_slice(
    conn: Connection,
    lease: Lease,
    run_id: uuid.UUID,
    slice_no: int,
    not_before: datetime | None,
    now: datetime,
) -> bool:
    """Let go of a slice: done if nothing in it is left to hand off, else free for another time.

    The run's lock is taken alone first: what is being marked or given back must be seen. If all
    that is left failed before and is not due again yet, or waits for a cap, it is free when the
    first of them is due. A run without a campaign ends with the last of its slices: there may be
    hundreds a second, and every claim looks at those that run. One whose row somebody else has
    locked is left to the sweep.
    Returns whether it is done.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))", run_id)
    done = await conn.fetchval(
        """
        WITH free AS (
            UPDATE slices s SET
                slot = NULL, epoch = NULL, not_before = $6,
                done_at = CASE WHEN NOT EXISTS (
                    SELECT FROM messages m
                    WHERE m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
                      AND m.channel_id = s.channel_id
                      AND m.state IN ('queued', 'submitting')) THEN $7::timestamptz END
            WHERE s.run_id = $4 AND s.no = $5 AND s.channel_id = $1 AND s.slot = $2 AND s.epoch = $3
            RETURNING s.run_id, s.no, s.done_at
        ), last AS (
            SELECT r.id FROM free f JOIN runs r ON r.id = f.run_id
            WHERE f.done_at IS NOT NULL AND r.campaign_id IS NULL AND r.state = 'running'
              AND NOT EXISTS (
                SELECT FROM slices s
                WHERE s.run_id = f.run_id AND s.no <> f.no AND s.done_at IS NULL)
            FOR NO KEY UPDATE OF r SKIP LOCKED
        ), sent AS (
            UPDATE runs r SET state = 'sent', finished_at = $7, settle_at = NULL
            FROM last WHERE r.id = last.id
        )
        SELECT done_at IS NOT NULL FROM free
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        run_id,
        slice_no,
        not_before,
        now,
    )
    if done is False:
        await _wait_for_the_first(conn, run_id, slice_no, now)
    return bool(done)


async def _wait_for_the_first(
    conn: Connection, run_id: uuid.UUID, slice_no: int, now: datetime
) -> None:
    """Nobody takes a slice before the first of its messages may leave: else it would be taken and
    let go of without end.
    """
    await conn.execute(
        """
        WITH left_over AS (
            SELECT greatest(
                (SELECT a.next_at FROM attempts a
                 WHERE a.run_id = m.run_id AND a.no = m.no AND a.attempt = m.attempt
                   AND a.next_at > $3),
                (SELECT d.not_before FROM deferrals d
                 WHERE d.run_id = m.run_id AND d.no = m.no AND d.not_before > $3)) AS at
            FROM slices s JOIN messages m ON m.run_id = s.run_id
              AND m.no BETWEEN s.first_no AND s.last_no AND m.channel_id = s.channel_id
            WHERE s.run_id = $1 AND s.no = $2 AND m.state IN ('queued', 'submitting')
        )
        UPDATE slices s SET not_before = greatest(s.not_before, w.at)
        FROM (SELECT min(at) AS at FROM left_over HAVING count(*) = count(at)) w
        WHERE s.run_id = $1 AND s.no = $2
        """,
        run_id,
        slice_no,
        now,
    )
