"""The SQL of a gap: texts that a restored database has as queued, and that may have left.

A run that was made before the database began its present era may have handed off more than it
knows. A run keeps the era in which it was made (`present_era`), so that one that was made since the
promotion, while nothing could leave yet, is told from those before.
"""

from datetime import datetime, timedelta
from uuid import UUID

from service.ledger.reasons import Reason
from service.ledger.states import (
    OPEN_RUNS_WITH_LEDGER,
    MessageState,
    RunState,
    sql_list,
    state_move,
)
from service.storage import sql
from service.storage.postgres import COUNT_SECONDS, LONG_SECONDS, Connection

LOSE_SIGHT = state_move(MessageState.UNCERTAIN, only=[MessageState.QUEUED])
"""A text may have left, and its mark is missing."""

LOSE_ANSWER = state_move(MessageState.UNCERTAIN, only=[MessageState.SUBMITTING])
"""It was marked, and what was recorded of its answer is missing."""

SLOWEST_MARK = timedelta(seconds=20)
"""A mark may commit so long after the instant that it notes (`storage.postgres.BY_KEY`)."""

_BEFORE = """
    coalesce(r.era, 0) < (SELECT g.era FROM generation g)
"""
"""SQL: the run r was made before the present era."""


async def queued_before(conn: Connection) -> int:
    """How many texts may have left without the database knowing: queued, of runs from before."""
    count: int = await sql.fetchval(
        conn,
        f"""
        SELECT count(*) FROM runs r, LATERAL (
            SELECT FROM messages
            WHERE run_id = r.id AND state IN {LOSE_SIGHT.sources_sql} OFFSET 0) m
        WHERE r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)} AND {_BEFORE}
        """,  # noqa: S608  # constants
        timeout=COUNT_SECONDS,
    )
    return count


async def runs_before(conn: Connection) -> list[UUID]:
    """The open runs from before that have a ledger."""
    rows = await conn.fetch(
        f"""
        SELECT r.id FROM runs r
        WHERE r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)} AND {_BEFORE} ORDER BY r.id
        """  # noqa: S608  # constants
    )
    return [row["id"] for row in rows]


async def is_expanding_before(conn: Connection) -> bool:
    """Whether the ledger of a run from before is still to be written."""
    found: bool = await conn.fetchval(
        f"""
        SELECT EXISTS (
            SELECT FROM runs r WHERE r.state = '{RunState.EXPANDING}' AND {_BEFORE})
        """  # noqa: S608  # constants
    )
    return found


async def make_uncertain(
    conn: Connection, run_id: UUID, since: datetime | None, now: datetime
) -> int:
    """Make what is queued of a run uncertain; returns how many texts. since: what is missing was
    done after this; None: nobody knows, so since the run was made.

    The hand-off that may have been is the next one of each. Of how many parts it was is taken from
    the run's other texts on that channel. What is marked in slices that nobody holds becomes
    uncertain, too: its answer may have been recorded. The caller has the lock of all marks, alone.
    """
    count: int = await sql.fetchval(
        conn,
        f"""
        WITH usual AS MATERIALIZED (
            SELECT channel_id, mode() WITHIN GROUP (ORDER BY part_count) AS parts
            FROM messages WHERE run_id = :run_id AND part_count IS NOT NULL GROUP BY channel_id
        ), lost AS (
            UPDATE messages m SET
                state = 'uncertain', reason = '{Reason.RESTORED}', code = NULL,
                attempt = m.attempt + CASE WHEN m.state = 'queued' THEN 1 ELSE 0 END,
                marked_at = CASE WHEN m.state = 'queued' THEN greatest(
                        (SELECT created_at FROM runs WHERE id = :run_id), :since::timestamptz)
                    ELSE m.marked_at END,
                part_count = coalesce(
                    m.part_count, (SELECT parts FROM usual u WHERE u.channel_id = m.channel_id), 1)
            WHERE m.run_id = :run_id AND (m.state IN {LOSE_SIGHT.sources_sql}
                OR m.state IN {LOSE_ANSWER.sources_sql} AND EXISTS (
                    SELECT FROM slices s
                    WHERE s.run_id = m.run_id AND m.no BETWEEN s.first_no AND s.last_no
                      AND s.channel_id = m.channel_id AND s.epoch IS NULL))
            RETURNING m.channel_id, m.phone_hash, m.run_id, m.no, m.attempt, m.marked_at,
                      old.state AS before
        ), listed AS (
            INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since)
            SELECT channel_id, phone_hash, run_id, no, attempt, marked_at, :now FROM lost
            ON CONFLICT (run_id, no) DO UPDATE SET  -- one of an earlier hand-off says nothing
                channel_id = excluded.channel_id, attempt = excluded.attempt,
                marked_at = excluded.marked_at, since = excluded.since
        )
        SELECT count(*) FROM lost WHERE before = 'queued'
        """,  # noqa: S608  # constants
        run_id=run_id,
        since=since - SLOWEST_MARK if since else None,
        now=now,
        timeout=LONG_SECONDS,
    )
    return count


async def fold_again(conn: Connection, run_id: UUID, now: datetime) -> None:
    """Put receipts back into the inbox that came before their texts were uncertain, and were noted
    on their parts alone: a process that lived on had recorded the carrier's reference.
    """
    await sql.execute(
        conn,
        f"""
        WITH noted AS (
            UPDATE parts p SET state = NULL, reason = NULL, code = NULL
            FROM uncertain u, LATERAL (
                SELECT reason FROM messages
                WHERE run_id = u.run_id AND no = u.no AND state = 'uncertain' OFFSET 0) m
            WHERE u.run_id = :run_id AND m.reason = '{Reason.RESTORED}'
              AND p.run_id = u.run_id AND p.no = u.no AND p.attempt = u.attempt
              AND p.state IS NOT NULL
            RETURNING p.channel_id, p.ref, p.phone_hash, old.state, old.reason, old.code
        ), kept AS (
            DELETE FROM receipts_unmatched x USING noted n
            WHERE x.channel_id = n.channel_id AND x.ref = n.ref AND x.why = 'conflict'
        )
        INSERT INTO receipt_inbox (channel_id, ref, phone_hash, state, reason, code, received_at)
        SELECT channel_id, ref, phone_hash, state::text, coalesce(reason, ''), coalesce(code, ''),
               :now
        FROM noted
        """,  # noqa: S608  # constants
        run_id=run_id,
        now=now,
        timeout=LONG_SECONDS,
    )
