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
    await lock_holder(conn, lease)
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
