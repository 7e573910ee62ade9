"""The SQL of leases: who is which connection of a channel, and what a dead holder leaves behind.

Leases measure the life of a process, so they alone use the database's real clock; every other
instant comes in as `now`.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.ledger.reasons import Reason
from service.ledger.states import MessageState, state_move
from service.storage import sql
from service.storage.locks import lock_connection
from service.storage.postgres import Connection, affected

LOSE = state_move(MessageState.UNCERTAIN, only=[MessageState.SUBMITTING])
"""The connection that had marked the message died: the message may have left."""

LEASE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be one connection of a channel, until it expires or the epoch moves on.

    cluster: the cluster and timeline of the database that gave it.
    """

    channel_id: int
    slot: int
    epoch: int
    owner: uuid.UUID
    cluster: str


async def ensure_connections(conn: Connection, channel_id: int, count: int) -> None:
    """Make the lease rows of a channel's connections."""
    await sql.execute(
        conn,
        """
        INSERT INTO connections (channel_id, slot)
        SELECT :channel_id, generate_series(0, :count - 1) ON CONFLICT DO NOTHING
        """,
        channel_id=channel_id,
        count=count,
    )


async def claim_connection(
    conn: Connection, channel_id: int, slot: int, owner: uuid.UUID, now: datetime
) -> Lease | None:
    """Take a connection that nobody holds (any more) and recover what its last holder left.

    Must run in a transaction. Returns None while somebody holds it.
    """
    await lock_connection(conn, channel_id, slot)
    claimed = await sql.fetchrow(
        conn,
        """
        UPDATE connections
        SET owner = :owner, epoch = epoch + 1, expires_at = clock_timestamp() + :lease,
            state = 'down', note = '', changed_at = :now
        WHERE channel_id = :channel_id AND slot = :slot
          AND (owner IS NULL OR expires_at < clock_timestamp())
        RETURNING epoch, present_cluster() AS cluster
        """,
        channel_id=channel_id,
        slot=slot,
        owner=owner,
        lease=LEASE,
        now=now,
    )
    if claimed is None:
        return None
    await _recover(conn, channel_id, slot, now)
    return Lease(channel_id, slot, claimed["epoch"], owner, claimed["cluster"])


async def _recover(conn: Connection, channel_id: int, slot: int, now: datetime) -> None:
    """Free the slices of a dead holder; the messages that it had marked become uncertain."""
    orphans = await sql.fetch(
        conn,
        """
        UPDATE slices SET slot = NULL, epoch = NULL
        WHERE channel_id = :channel_id AND slot = :slot AND done_at IS NULL
        RETURNING run_id, no
        """,
        channel_id=channel_id,
        slot=slot,
    )
    await recover_slices(conn, [(orphan["run_id"], orphan["no"]) for orphan in orphans], now)


async def recover_slices(
    conn: Connection, slices: Sequence[tuple[uuid.UUID, int]], now: datetime
) -> None:
    """Messages that are marked as leaving in slices that nobody works on may have left and will
    get no answer: they become uncertain, and are never sent again blindly (I3, I4).
    """
    await sql.execute(
        conn,
        f"""
        WITH marked AS MATERIALIZED (  -- slice by slice, whatever the statistics know of the runs
            SELECT m.row FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no), LATERAL (
                SELECT run_id, first_no, last_no, channel_id FROM slices
                WHERE run_id = k.run_id AND no = k.no OFFSET 0) s, LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = s.run_id AND no BETWEEN s.first_no AND s.last_no
                  AND channel_id = s.channel_id AND state IN {LOSE.sources_sql} OFFSET 0) m
        ), lost AS (
            UPDATE messages m SET state = 'uncertain', reason = '{Reason.NO_ANSWER}'
            FROM marked WHERE m.ctid = marked.row AND m.state IN {LOSE.sources_sql}
            RETURNING m.channel_id, m.phone_hash, m.run_id, m.no, m.attempt, m.marked_at
        )
        INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since)
        SELECT channel_id, phone_hash, run_id, no, attempt, marked_at, :now FROM lost
        ON CONFLICT (run_id, no) DO UPDATE SET  -- one of an earlier hand-off says nothing
            channel_id = excluded.channel_id, attempt = excluded.attempt,
            marked_at = excluded.marked_at, since = excluded.since
            WHERE uncertain.attempt <> excluded.attempt
        """,  # noqa: S608  # constants
        run_ids=[run_id for run_id, _ in slices],
        nos=[no for _, no in slices],
        now=now,
    )


async def is_held(conn: Connection, lease: Lease) -> bool:
    """Whether a lease is still its holder's, and has not expired."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM connections
            WHERE channel_id = :channel_id AND slot = :slot AND epoch = :epoch AND owner = :owner
              AND expires_at > clock_timestamp())
        """,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        owner=lease.owner,
    )
    return found


async def expired_connections(conn: Connection) -> list[tuple[int, int]]:
    """Connections whose holder died: (channel, slot)."""
    rows = await conn.fetch(
        """
        SELECT channel_id, slot FROM connections
        WHERE owner IS NOT NULL AND expires_at < clock_timestamp()
        """
    )
    return [(row["channel_id"], row["slot"]) for row in rows]


async def recover_connection(conn: Connection, channel_id: int, slot: int, now: datetime) -> bool:
    """Free a connection whose holder died, if it is still so. Must run in a transaction."""
    await lock_connection(conn, channel_id, slot)
    status = await sql.execute(
        conn,
        """
        UPDATE connections
        SET owner = NULL, epoch = epoch + 1, state = 'down', note = 'holder lost', changed_at = :now
        WHERE channel_id = :channel_id AND slot = :slot
          AND owner IS NOT NULL AND expires_at < clock_timestamp()
        """,
        channel_id=channel_id,
        slot=slot,
        now=now,
    )
    if not affected(status):
        return False
    await _recover(conn, channel_id, slot, now)
    return True


async def renew_connection(conn: Connection, lease: Lease) -> str | None:
    """Extend a lease; None once somebody else has it. One that only ran out is ours again.

    Returns the cluster and timeline that it was extended on.
    """
    cluster: str | None = await sql.fetchval(
        conn,
        """
        UPDATE connections SET expires_at = clock_timestamp() + :lease
        WHERE channel_id = :channel_id AND slot = :slot AND epoch = :epoch AND owner = :owner
        RETURNING present_cluster()
        """,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        owner=lease.owner,
        lease=LEASE,
    )
    return cluster


async def note_connection(
    conn: Connection, lease: Lease, state: str, note: str, now: datetime
) -> None:
    """Write down whether the link is up, and in plain words why not."""
    await sql.execute(
        conn,
        """
        UPDATE connections SET state = :state, note = :note, changed_at = :now
        WHERE channel_id = :channel_id AND slot = :slot AND epoch = :epoch AND owner = :owner
        """,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        owner=lease.owner,
        state=state,
        note=note,
        now=now,
    )


async def release_connection(conn: Connection, lease: Lease, now: datetime) -> None:
    """Give a lease back at a clean stop, with whatever slices are still under it."""
    await lock_connection(conn, lease.channel_id, lease.slot)
    status = await sql.execute(
        conn,
        """
        UPDATE connections SET owner = NULL, expires_at = NULL, state = 'down', changed_at = :now
        WHERE channel_id = :channel_id AND slot = :slot AND epoch = :epoch AND owner = :owner
        """,
        channel_id=lease.channel_id,
        slot=lease.slot,
        epoch=lease.epoch,
        owner=lease.owner,
        now=now,
    )
    if affected(status):
        await _recover(conn, lease.channel_id, lease.slot, now)
