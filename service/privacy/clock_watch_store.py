"""The SQL of the clock's watch: its one row, PostgreSQL's clock, and how much is past its term."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import holds_on
from service.privacy.clock_watch import DeletionHold, DueCounts, Watch
from service.storage.postgres import Connection, Record, one


class Stand(NamedTuple):
    """The watch as stored. held_for: None: what is past its term goes. due: as it was counted when
    it was last asked for.
    """

    watch: Watch
    held_for: DeletionHold | None
    held_since: datetime | None
    due: DueCounts
    agreed_by: UUID | None
    agreed_at: datetime | None


async def read_stand(conn: Connection, *, lock: bool = False) -> Stand:
    """The watch; locked, nobody else changes it until the end of the transaction."""
    row = one(
        await conn.fetchrow(f"SELECT * FROM retention_watch {'FOR UPDATE' if lock else ''}")  # noqa: S608  # a constant
    )
    return _stand(row)


def _stand(row: Record) -> Stand:
    agreed = row["agreed_at"] is not None
    return Stand(
        Watch(row["beat_at"], row["jumped_from"], row["jumped_at"], agreed),
        row["held_for"],
        row["held_since"],
        {kind: (count, total) for kind, (count, total) in row["due"].items()},
        row["agreed_by"],
        row["agreed_at"],
    )


async def present(conn: Connection) -> datetime:
    """PostgreSQL's clock."""
    now: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return now


async def write_stand(
    conn: Connection, watch: Watch, held: DeletionHold | None, due: DueCounts
) -> None:
    """Put down what is known; an agreement is for one jump, and goes with it."""
    await conn.execute(
        """
        UPDATE retention_watch SET beat_at = $1, jumped_from = $2, jumped_at = $3, held_for = $4,
            held_since = CASE WHEN $4::text IS NULL THEN NULL
                              WHEN held_for = $4 THEN held_since ELSE clock_timestamp() END,
            due = $5, agreed_by = CASE WHEN $6 THEN agreed_by END,
            agreed_at = CASE WHEN $6 THEN agreed_at END
        """,
        watch.beat_at,
        watch.jumped_from,
        watch.jumped_at,
        held,
        {kind: list(counts) for kind, counts in due.items()},
        watch.agreed,
    )


async def write_agreement(conn: Connection, user_id: UUID, now: datetime) -> None:
    """A person lets go what is due after the present jump."""
    await conn.execute("UPDATE retention_watch SET agreed_by = $1, agreed_at = $2", user_id, now)


class Befores(NamedTuple):
    """Before when each kind of thing is past its term; lists: which days are over."""

    numbers: datetime
    rejects: datetime
    lists: datetime
    lists_day: date
    guests: datetime
    logins: datetime
    passwords: datetime
    records: datetime


_COUNTS = f"""
    SELECT 'numbers' AS kind,
           coalesce(sum(target) FILTER (
               WHERE created_at < $1 AND settled_at IS NOT NULL), 0) AS due,
           coalesce(sum(target), 0) AS total
    FROM runs WHERE numbers_dropped_at IS NULL
    UNION ALL SELECT 'texts', count(*) FILTER (WHERE received_at < $1 AND state = 'done'), count(*)
    FROM inbound_texts WHERE sender_cipher IS NOT NULL
    UNION ALL SELECT 'arrivals', count(*) FILTER (
        WHERE received_at < $1 AND state NOT IN ('new', 'waiting')), count(*) FROM inbound
    UNION ALL SELECT 'receipts', count(*) FILTER (WHERE received_at < $1 AND waits), count(*)
    FROM (SELECT received_at, why <> 'parked' AS waits FROM receipts_unmatched
          UNION ALL SELECT received_at, true FROM receipts_dismissed) r
    UNION ALL SELECT 'rejects', count(*) FILTER (WHERE i.finished_at < $2), count(*)
    FROM import_rejects r JOIN imports i ON i.id = r.import_id
    UNION ALL SELECT 'list_entries', count(*) FILTER (
        WHERE l.left_at IS NULL AND NOT {holds_on("r", "$4")}), count(*)
    FROM links l JOIN rosters r ON r.id = l.roster_id
    UNION ALL SELECT 'left_entries', count(*) FILTER (WHERE left_at < $3), count(*) FROM links
    UNION ALL SELECT 'guests', count(*) FILTER (WHERE created_at < $5), count(*) FROM guests
    UNION ALL SELECT 'logins', count(*) FILTER (WHERE expires_at < $6), count(*) FROM sessions
    UNION ALL SELECT 'passwords', count(*) FILTER (
        WHERE given_hash IS NOT NULL AND given_at < $7), count(*) FROM users
    UNION ALL SELECT 'records', count(*) FILTER (WHERE at < $8 AND past_record_duty(id, at)),
           count(*) FROM audit_entries
"""  # noqa: S608  # names of columns


async def count_due(conn: Connection, before: Befores) -> DueCounts:
    """How much of each kind is past its term, and of how much. Reads whole tables: after a jump."""
    rows = await conn.fetch(_COUNTS, *before)
    return {row["kind"]: (int(row["due"]), int(row["total"])) for row in rows}
