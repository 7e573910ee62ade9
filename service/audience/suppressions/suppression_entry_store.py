"""The SQL of what persons enter of suppressions: a row a request, the numbers that are held, and
what is decided of it. Lists go from new to old.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.audience.suppressions.suppression_store import NewSuppression, merged
from service.ledger.reasons import Reason
from service.storage import sql
from service.storage.postgres import Connection

DAY, MONTH = timedelta(hours=24), timedelta(days=30)


class SuppressionEntry(NamedTuple):
    """Numbers that somebody entered at once. numbers: without those that were stopped so already.
    held: it waits, or waited, for a second person. decision: `count`, `drop`; None: none yet.
    notices_of: whose work notices alone it stops.
    """

    id: UUID
    department_id: UUID
    department: str
    entered_by: UUID
    entered_at: datetime
    reason: str
    classes: list[str]
    notices_of: UUID | None
    owner: str
    source: str
    note_cipher: bytes
    expires_at: datetime | None
    numbers: int
    held: bool
    decision: str | None
    decision_reason: str | None
    decided_by: UUID | None
    decided_at: datetime | None


_ENTRY = f"""
    SELECT {
    ", ".join(
        "d.name AS department" if name == "department" else f"e.{name}"
        for name in SuppressionEntry._fields
    )
}
    FROM suppression_entries e JOIN departments d ON d.id = e.department_id
"""  # noqa: S608  # constants


async def find_new(
    conn: Connection,
    phone_hashes: Collection[bytes],
    new: NewSuppression,
    department_id: UUID,
    now: datetime,
) -> list[bytes]:
    """Those of these numbers for which the entry of a department would change anything. A number
    that another department alone has entered is one: it stays if the other takes it back.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT u.phone_hash FROM unnest(:phone_hashes::bytea[]) AS u(phone_hash)
        WHERE NOT EXISTS (
            SELECT FROM suppressions s
            LEFT JOIN suppression_entries e ON e.id = s.entry_id
            WHERE s.phone_hash = u.phone_hash AND s.reason = :reason
              AND s.department_id IS NOT DISTINCT FROM :notices_of AND s.classes @> :classes::text[]
              AND (s.expires_at IS NULL OR s.expires_at > :now AND s.expires_at >= :expires_at)
              AND (e.department_id IS NULL OR e.department_id = :department_id
                   OR s.second_entry_id IS NOT NULL))
        """,
        phone_hashes=list(phone_hashes),
        reason=new.reason,
        notices_of=new.department_id,
        classes=list(new.classes),
        expires_at=new.expires_at,
        now=now,
        department_id=department_id,
    )
    return [row["phone_hash"] for row in rows]


async def count_entered(conn: Connection, user: User, now: datetime) -> tuple[int, int]:
    """How many numbers a person and the department have stopped for others than opt-outs, without
    a second person, in the last 24 hours and in 30 days; what was dropped does not count.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT coalesce(sum(numbers) FILTER (WHERE entered_at > :day), 0) AS day,
               coalesce(sum(numbers), 0) AS month
        FROM suppression_entries
        WHERE (department_id = :department_id OR entered_by = :user_id) AND entered_at > :month
          AND reason <> '{Reason.OPTED_OUT}' AND NOT held AND decision IS NULL
        """,  # noqa: S608  # a constant
        department_id=user.department_id,
        user_id=user.id,
        day=now - DAY,
        month=now - MONTH,
    )
    return (row["day"], row["month"]) if row else (0, 0)


async def insert_entry(
    conn: Connection, user: User, new: NewSuppression, numbers: int, now: datetime, *, held: bool
) -> UUID:
    """Write down an entry; returns its id."""
    entry_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO suppression_entries (department_id, entered_by, entered_at, reason, classes,
            notices_of, owner, source, note_cipher, expires_at, numbers, held)
        VALUES (:department_id, :user_id, :now, :reason, :classes, :notices_of, :owner, :source,
                :note_cipher, :expires_at, :numbers, :held) RETURNING id
        """,
        department_id=user.department_id,
        user_id=user.id,
        now=now,
        reason=new.reason,
        classes=list(new.classes),
        notices_of=new.department_id,
        owner=new.owner,
        source=new.source,
        note_cipher=new.note_cipher,
        expires_at=new.expires_at,
        numbers=numbers,
        held=held,
    )
    return entry_id


async def insert_held(conn: Connection, entry_id: UUID, phone_hashes: Collection[bytes]) -> None:
    """Keep the numbers of an entry that is held."""
    await sql.execute(
        conn,
        "INSERT INTO held_suppressions SELECT :entry_id, unnest(:phone_hashes::bytea[])",
        entry_id=entry_id,
        phone_hashes=list(phone_hashes),
    )


async def get_entry(
    conn: Connection, entry_id: UUID, scope: UUID | None
) -> SuppressionEntry | None:
    """One entry, if a department sees it (None: all)."""
    row = await sql.fetchrow(
        conn,
        f"{_ENTRY} WHERE e.id = :entry_id AND (:scope::uuid IS NULL OR e.department_id = :scope)",
        entry_id=entry_id,
        scope=scope,
    )
    return SuppressionEntry(*row) if row else None


async def list_entries(
    conn: Connection, scope: UUID | None, waiting: bool, before: UUID | None, limit: int
) -> list[SuppressionEntry]:
    """A page of the entries of a department (None: of all); waiting: those alone that wait."""
    rows = await sql.fetch(
        conn,
        f"""
        {_ENTRY} WHERE (:scope::uuid IS NULL OR e.department_id = :scope)
          AND (NOT :waiting OR e.held AND e.decided_at IS NULL)
          AND (:before::uuid IS NULL OR e.id < :before)
        ORDER BY e.id DESC LIMIT :limit
        """,
        scope=scope,
        waiting=waiting,
        before=before,
        limit=limit,
    )
    return [SuppressionEntry(*row) for row in rows]


async def decide_entry(
    conn: Connection, entry_id: UUID, decision: str, reason: str, user_id: UUID, now: datetime
) -> None:
    """Note what was decided; the database refuses whoever entered it to let it count."""
    await sql.execute(
        conn,
        """
        UPDATE suppression_entries
        SET decision = :decision, decision_reason = :reason, decided_by = :user_id,
            decided_at = :now WHERE id = :entry_id
        """,
        entry_id=entry_id,
        decision=decision,
        reason=reason,
        user_id=user_id,
        now=now,
    )


async def let_held_count(conn: Connection, entry_id: UUID, now: datetime) -> None:
    """Let the numbers of an entry stop what it says; `lock_suppressions` comes after it."""
    await sql.execute(
        conn,
        f"""
        INSERT INTO suppressions AS s (phone_hash, reason, note_cipher, created_by, created_at,
            expires_at, classes, owner, source, department_id, entry_id)
        SELECT h.phone_hash, e.reason, e.note_cipher, e.entered_by, :now::timestamptz,
               e.expires_at, e.classes, e.owner, e.source, e.notices_of, e.id
        FROM held_suppressions h JOIN suppression_entries e ON e.id = h.entry_id
        WHERE e.id = :entry_id ORDER BY h.phone_hash
        ON CONFLICT (phone_hash, reason, department_id) DO UPDATE SET {merged(":now")}
        """,  # noqa: S608  # a constant
        entry_id=entry_id,
        now=now,
    )
    await forget_held(conn, entry_id)


async def forget_held(conn: Connection, entry_id: UUID) -> None:
    """Delete the numbers that were held."""
    await sql.execute(
        conn, "DELETE FROM held_suppressions WHERE entry_id = :entry_id", entry_id=entry_id
    )


async def take_back(conn: Connection, entry_id: UUID) -> None:
    """Lift what an entry stopped; a number that another department entered as well stays, by that
    department's entry.
    """
    await sql.execute(
        conn,
        """
        WITH other AS (
            UPDATE suppressions s SET entry_id = e.id, second_entry_id = NULL,
                   created_by = e.entered_by, owner = e.owner, note = '',
                   note_cipher = e.note_cipher, source = e.source, classes = e.classes,
                   expires_at = e.expires_at
            FROM suppression_entries e
            WHERE s.entry_id = :entry_id AND e.id = s.second_entry_id
        ), second AS (
            UPDATE suppressions SET second_entry_id = NULL WHERE second_entry_id = :entry_id
        )
        DELETE FROM suppressions WHERE entry_id = :entry_id AND second_entry_id IS NULL
        """,
        entry_id=entry_id,
    )
