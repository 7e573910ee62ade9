"""The SQL of the hand-off: slices, marks, results.

Three advisory locks order it against everybody else, taken shared by every mark and claim and
exclusively by whoever must know that nothing is half-marked when they answer: the run's (pause,
cancel), the suppressions' (opt-out), and the connection's (a lease that changes hands). They are
taken in a statement of their own, so that the next statement's snapshot is younger than the lock.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.dispatch import reroute
from service.dispatch.lease_store import Lease
from service.dispatch.reroute import is_stray
from service.storage.postgres import Connection, Record


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one marked message; `refs` holds the carrier's reference of each part."""

    run_id: uuid.UUID
    no: int
    attempt: int
    phone_hash: bytes
    state: str
    reason: str | None
    code: str | None
    refs: tuple[tuple[int, bytes], ...]


async def _lock_holder(conn: Connection, lease: Lease) -> None:
    await conn.execute(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended('connection', $1 * 1000 + $2))",
        lease.channel_id,
        lease.slot,
    )


async def claim_slice(
    conn: Connection,
    lease: Lease,
    now: datetime,
    held_runs: Sequence[uuid.UUID] = (),
    above: int | None = None,
) -> Record | None:
    """Take the next slice of a running run on this channel, with what is needed to send it.

    Runs of which the caller holds a slice already are passed over; `above`: only one that is more
    urgent than this priority.

    Urgent before normal before bulk; within a class the runs take turns, slice by slice, so that
    a huge one never blocks a small one (I11). Must run in a transaction.
    """
    await _lock_holder(conn, lease)
    return await conn.fetchrow(
        """
        WITH next AS (
            SELECT s.run_id, s.no FROM slices s JOIN runs r ON r.id = s.run_id
            WHERE s.channel_id = $1 AND s.done_at IS NULL AND s.epoch IS NULL
              AND r.state = 'running' AND (s.not_before IS NULL OR s.not_before <= $5)
              AND s.run_id <> ALL($6::uuid[]) AND ($7::smallint IS NULL OR s.priority < $7)
              AND NOT EXISTS (SELECT FROM channels c WHERE c.id = $1 AND c.held_until > $5)
              AND EXISTS (
                SELECT FROM connections k
                WHERE k.channel_id = $1 AND k.slot = $2 AND k.epoch = $3 AND k.owner = $4
                  AND k.expires_at > clock_timestamp())
            ORDER BY s.priority, s.no, s.run_id
            LIMIT 1
            FOR UPDATE OF s SKIP LOCKED
        )
        UPDATE slices s SET slot = $2, epoch = $3
        FROM next, runs r
        WHERE s.run_id = next.run_id AND s.no = next.no AND r.id = s.run_id
        RETURNING s.run_id, s.no, s.priority, s.first_no, s.last_no, r.text, r.class, r.max_tps,
                  r.send_hours, r.timezone, r.valid_until
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        lease.owner,
        now,
        list(held_runs),
        above,
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
    conn: Connection, run_id: uuid.UUID, first_no: int, last_no: int
) -> list[Record]:
    """The messages of a slice that are still to be handed off.

    A message in its range that was routed again to another channel is none of them.
    """
    return await conn.fetch(
        """
        SELECT no, phone_hash, phone_cipher, name_cipher, area_code FROM messages m
        WHERE run_id = $1 AND no BETWEEN $2 AND $3 AND state = 'queued'
          AND channel_id IN (
            SELECT s.channel_id FROM slices s
            WHERE s.run_id = $1 AND s.first_no = $2 AND s.last_no = $3 AND s.epoch IS NOT NULL)
        ORDER BY no
        """,
        run_id,
        first_no,
        last_no,
    )


async def lock_for_mark(conn: Connection, lease: Lease, run_id: uuid.UUID) -> None:
    """The shared locks of a mark, in a statement before it; see the module's docstring."""
    await conn.execute(
        """
        SELECT pg_advisory_xact_lock_shared(hashtextextended($1::uuid::text, 0)),
               pg_advisory_xact_lock_shared(hashtextextended('suppressions', 0)),
               pg_advisory_xact_lock_shared(hashtextextended('connection', $2 * 1000 + $3))
        """,
        run_id,
        lease.channel_id,
        lease.slot,
    )


async def mark(
    conn: Connection,
    lease: Lease,
    run_id: uuid.UUID,
    slice_no: int,
    rows: Sequence[tuple[int, int]],
    stop: str | None,
    now: datetime,
) -> list[Record]:
    """Mark messages as leaving, or stop them for good; `rows` are (no, part count).

    `stop` is a reason to stop them all, such as a validity that is over.

    Returns (no, attempt, state) of those that moved. The rest may not leave now: the run is not
    running, the channel is held, the lease or the slice is not ours, the row is no longer queued,
    or its phone has an uncertain hand-off on this channel.
    """
    return await conn.fetch(
        """
        WITH permit AS (
            SELECT FROM runs r, slices s, connections k
            WHERE r.id = $4 AND r.state = 'running'
              AND s.run_id = $4 AND s.no = $5 AND s.slot = $2 AND s.epoch = $3
              AND k.channel_id = $1 AND k.slot = $2 AND k.epoch = $3 AND k.owner = $6
              AND k.expires_at > clock_timestamp()
              AND NOT EXISTS (SELECT FROM channels c WHERE c.id = $1 AND c.held_until > $9)
        ), asked AS (
            SELECT * FROM unnest($7::int[], $8::smallint[]) AS a(no, part_count)
        ), candidate AS (
            SELECT a.no, a.part_count, m.phone_hash,
                COALESCE($10, (
                    SELECT p.reason FROM suppressions p
                    WHERE p.phone_hash = m.phone_hash
                      AND (p.expires_at IS NULL OR p.expires_at > $9)
                    ORDER BY p.reason LIMIT 1)) AS stop
            FROM permit, asked a
            JOIN messages m ON m.run_id = $4 AND m.no = a.no AND m.state = 'queued'
              AND m.channel_id = $1
        ), verdict AS (
            SELECT * FROM candidate c
            WHERE c.stop IS NOT NULL OR NOT EXISTS (
                SELECT FROM uncertain u
                WHERE u.channel_id = $1 AND u.phone_hash = c.phone_hash)
        )
        UPDATE messages m SET
            state = CASE WHEN v.stop IS NULL THEN 'submitting' ELSE 'suppressed' END::message_state,
            reason = v.stop,
            part_count = v.part_count,
            attempt = m.attempt + CASE WHEN v.stop IS NULL THEN 1 ELSE 0 END,
            marked_at = CASE WHEN v.stop IS NULL THEN $9::timestamptz END,
            final_at = CASE WHEN v.stop IS NOT NULL THEN $9::timestamptz END
        FROM verdict v
        WHERE m.run_id = $4 AND m.no = v.no AND m.state = 'queued' AND m.channel_id = $1
        RETURNING m.no, m.attempt, m.state
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        run_id,
        slice_no,
        lease.owner,
        [no for no, _ in rows],
        [count for _, count in rows],
        now,
        stop,
    )


async def run_state(conn: Connection, run_id: uuid.UUID) -> str | None:
    """The state of a run."""
    state: str | None = await conn.fetchval("SELECT state FROM runs WHERE id = $1", run_id)
    return state


async def give_back(
    conn: Connection,
    lease: Lease,
    work: tuple[uuid.UUID, int],
    rows: Sequence[tuple[int, int]],
    now: datetime,
) -> None:
    """Return marked messages that provably were never written; `rows` are (no, attempt).

    Attempt 0 means that the mark's own answer was lost; it counts only while the slice is ours, for
    then nobody else can have marked the row. After a cancel they are cancelled like the rest of
    the run. A slice or run that was taken for finished meanwhile is open again.
    """
    run_id, slice_no = work
    await conn.execute(
        """
        WITH ours AS (
            SELECT count(*) > 0 AS held FROM slices s JOIN connections k
              ON k.channel_id = s.channel_id AND k.slot = s.slot AND k.epoch = s.epoch
            WHERE s.run_id = $1 AND s.no = $5 AND s.channel_id = $6 AND s.slot = $7
              AND s.epoch = $8 AND k.owner = $9
        ), back AS (
            UPDATE messages m SET
                state = CASE r.state WHEN 'cancelled' THEN 'cancelled'
                                     ELSE 'queued' END::message_state,
                reason = CASE r.state WHEN 'cancelled' THEN 'campaign_cancelled' END,
                final_at = CASE r.state WHEN 'cancelled' THEN $4::timestamptz END,
                marked_at = NULL
            FROM unnest($2::int[], $3::int[]) AS a(no, attempt), runs r, ours
            WHERE m.run_id = $1 AND m.no = a.no AND m.channel_id = $6 AND r.id = $1
              AND (m.attempt = a.attempt OR (a.attempt = 0 AND ours.held))
              AND m.state IN ('submitting', 'uncertain')
            RETURNING m.run_id, m.no, m.state
        ), settled AS (
            DELETE FROM uncertain u USING back WHERE u.run_id = back.run_id AND u.no = back.no
        ), opened AS (
            UPDATE slices s SET done_at = NULL
            WHERE s.run_id = $1 AND s.channel_id = $6 AND s.done_at IS NOT NULL AND EXISTS (
                SELECT FROM back
                WHERE back.state = 'queued' AND back.no BETWEEN s.first_no AND s.last_no)
            RETURNING s.run_id
        )
        UPDATE runs r SET state = 'running', finished_at = NULL, settled_at = NULL
        FROM opened WHERE r.id = opened.run_id AND r.state = 'sent'
        """,
        run_id,
        [no for no, _ in rows],
        [attempt for _, attempt in rows],
        now,
        slice_no,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        lease.owner,
    )


async def record_results(
    conn: Connection, channel_id: int, results: Sequence[Result], now: datetime
) -> list[int]:
    """Write what became of marked messages, and the carrier's references, in one statement.

    What the carrier refused as another network's, with no part of it taken, goes to another lane.
    Returns the channels that have work by that.
    """
    ordered = sorted(results, key=lambda r: (r.run_id, r.no))
    strays = [r for r in ordered if is_stray(r.state, r.reason) and not r.refs]
    await reroute.lock(conn, {r.run_id for r in strays})
    # A batch knows few runs and few outcomes, but many rows: each row says which of them by number.
    runs = list(dict.fromkeys(r.run_id for r in ordered))
    outcomes = list(dict.fromkeys((r.state, r.reason, r.code) for r in ordered))
    run_at = {run: index for index, run in enumerate(runs, start=1)}
    outcome_at = {outcome: index for index, outcome in enumerate(outcomes, start=1)}
    refs = [(at, *ref) for at, r in enumerate(ordered, start=1) for ref in r.refs]
    await conn.execute(
        """
        WITH result AS MATERIALIZED (
            SELECT a.at, ($2::uuid[])[a.run] AS run_id, a.no, a.attempt,
                   ($3::message_state[])[a.outcome] AS state, ($4::text[])[a.outcome] AS reason,
                   ($5::text[])[a.outcome] AS code
            FROM unnest($6::smallint[], $7::int[], $8::int[], $9::smallint[]) WITH ORDINALITY
                AS a(run, no, attempt, outcome, at)
        ), moved AS (
            UPDATE messages m SET
                state = r.state, reason = r.reason, code = r.code,
                submitted_at = CASE WHEN r.state = 'submitted' THEN $1::timestamptz END,
                final_at = CASE WHEN r.state = 'rejected' THEN $1::timestamptz END
            FROM result r
            WHERE m.run_id = r.run_id AND m.no = r.no AND m.attempt = r.attempt
              AND m.state IN ('submitting', 'uncertain')
            RETURNING r.at, m.run_id, m.no, m.attempt, m.phone_hash, m.state, m.marked_at
        ), listed AS (
            INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since)
            SELECT $10, phone_hash, run_id, no, attempt, marked_at, $1 FROM moved
            WHERE state = 'uncertain'
            ON CONFLICT DO NOTHING
        ), settled AS (
            DELETE FROM uncertain u USING moved
            WHERE moved.state <> 'uncertain' AND u.run_id = moved.run_id AND u.no = moved.no
        )
        INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
        SELECT $10, p.ref, COALESCE(v.phone_hash, m.phone_hash), r.run_id, r.no, p.part, r.attempt,
               $1
        FROM unnest($11::int[], $12::smallint[], $13::bytea[]) AS p(at, part, ref)
        JOIN result r ON r.at = p.at
        LEFT JOIN moved v ON v.at = p.at
        LEFT JOIN messages m ON v.at IS NULL AND m.run_id = r.run_id AND m.no = r.no
        WHERE v.at IS NOT NULL OR NOT EXISTS (
            -- written already, if only the commit's answer was lost
            SELECT FROM parts x WHERE x.channel_id = $10 AND x.ref = p.ref
              AND x.run_id = r.run_id AND x.no = r.no AND x.attempt = r.attempt)
        """,
        now,
        runs,
        [state for state, _, _ in outcomes],
        [reason for _, reason, _ in outcomes],
        [code for _, _, code in outcomes],
        [run_at[r.run_id] for r in ordered],
        [r.no for r in ordered],
        [r.attempt for r in ordered],
        [outcome_at[r.state, r.reason, r.code] for r in ordered],
        channel_id,
        [at for at, _, _ in refs],
        [part for _, part, _ in refs],
        [ref for _, _, ref in refs],
    )
    return await reroute.reroute(conn, [(r.run_id, r.no) for r in strays], now)


async def finish_slice(
    conn: Connection,
    lease: Lease,
    run_id: uuid.UUID,
    slice_no: int,
    not_before: datetime | None,
    now: datetime,
) -> bool:
    """Let go of a slice: done if nothing in it is left to hand off, else free for another time.

    The run's lock is taken alone first: what is being marked or given back must be seen. Returns
    whether it is done.
    """
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))", run_id)
    done = await conn.fetchval(
        """
        UPDATE slices s SET
            slot = NULL, epoch = NULL, not_before = $6,
            done_at = CASE WHEN NOT EXISTS (
                SELECT FROM messages m
                WHERE m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
                  AND m.channel_id = s.channel_id
                  AND m.state IN ('queued', 'submitting')) THEN $7::timestamptz END
        WHERE s.run_id = $4 AND s.no = $5 AND s.channel_id = $1 AND s.slot = $2 AND s.epoch = $3
        RETURNING done_at IS NOT NULL
        """,
        lease.channel_id,
        lease.slot,
        lease.epoch,
        run_id,
        slice_no,
        not_before,
        now,
    )
    return bool(done)


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
