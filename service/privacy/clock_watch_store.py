"""The SQL of the clock's watch: its one row, PostgreSQL's clock, and how much is past its term."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import holds_on
from service.privacy.clock_watch import DeletionHold, DueCounts, Watch
from service.storage import sql
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


async def write_stand(
    conn: Connection, watch: Watch, held: DeletionHold | None, due: DueCounts
) -> None:
    """Put down what is known; an agreement is for one jump, and goes with it."""
    await sql.execute(
        conn,
        """
        UPDATE retention_watch SET beat_at = :beat_at, jumped_from = :jumped_from,
            jumped_at = :jumped_at, held_for = :held,
            held_since = CASE WHEN :held::text IS NULL THEN NULL
                              WHEN held_for = :held THEN held_since ELSE clock_timestamp() END,
            due = :due, agreed_by = CASE WHEN :agreed THEN agreed_by END,
            agreed_at = CASE WHEN :agreed THEN agreed_at END
        """,
        beat_at=watch.beat_at,
        jumped_from=watch.jumped_from,
        jumped_at=watch.jumped_at,
        held=held,
        due={kind: list(counts) for kind, counts in due.items()},
        agreed=watch.agreed,
    )


async def write_agreement(conn: Connection, user_id: UUID, now: datetime) -> None:
    """A person lets go what is due after the present jump."""
    await sql.execute(
        conn,
        "UPDATE retention_watch SET agreed_by = :user_id, agreed_at = :now",
        user_id=user_id,
        now=now,
    )


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
               WHERE created_at < :numbers AND settled_at IS NOT NULL), 0) AS due,
           coalesce(sum(target), 0) AS total
    FROM runs WHERE numbers_dropped_at IS NULL
    UNION ALL SELECT 'texts', count(*) FILTER (WHERE received_at < :numbers AND state = 'done'),
        count(*)
    FROM inbound_texts WHERE sender_cipher IS NOT NULL
    UNION ALL SELECT 'arrivals', count(*) FILTER (
        WHERE received_at < :numbers AND state NOT IN ('new', 'waiting')), count(*) FROM inbound
    UNION ALL SELECT 'receipts', count(*) FILTER (WHERE received_at < :numbers AND waits), count(*)
    FROM (SELECT received_at, why <> 'parked' AS waits FROM receipts_unmatched
          UNION ALL SELECT received_at, true FROM receipts_dismissed) r
    UNION ALL SELECT 'rejects', count(*) FILTER (WHERE i.finished_at < :rejects), count(*)
    FROM import_rejects r JOIN imports i ON i.id = r.import_id
    UNION ALL SELECT 'list_entries', count(*) FILTER (
        WHERE l.left_at IS NULL AND NOT {holds_on("r", ":lists_day")}), count(*)
    FROM links l JOIN rosters r ON r.id = l.roster_id
    UNION ALL SELECT 'left_entries', count(*) FILTER (WHERE left_at < :lists), count(*) FROM links
    UNION ALL SELECT 'guests', count(*) FILTER (WHERE created_at < :guests), count(*) FROM guests
    UNION ALL SELECT 'former_people', count(*) FILTER (WHERE until < :numbers), count(*)
    FROM department_people WHERE phone_hash IS NOT NULL
    UNION ALL SELECT 'logins', count(*) FILTER (WHERE expires_at < :logins), count(*) FROM sessions
    UNION ALL SELECT 'passwords', count(*) FILTER (
        WHERE given_hash IS NOT NULL AND given_at < :passwords), count(*) FROM users
    UNION ALL SELECT 'records', count(*) FILTER (WHERE at < :records AND past_record_duty(id, at)),
           count(*) FROM audit_entries
"""  # noqa: S608  # names of columns


async def count_due(conn: Connection, before: Befores) -> DueCounts:
    """How much of each kind is past its term, and of how much. Reads whole tables: after a jump."""
    rows = await sql.fetch(conn, _COUNTS, **before._asdict())
    return {row["kind"]: (int(row["due"]), int(row["total"])) for row in rows}
