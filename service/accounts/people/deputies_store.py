"""The table of deputies, in SQL."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import RIGHTS, Right, Role
from service.storage import sql
from service.storage.postgres import Connection, affected, one


class Deputy(NamedTuple):
    """Who stands in for whom, from when to when, and who said so.

    needs_second: somebody else than the absent one named them, so another one confirms it.
    """

    id: UUID
    absent_id: UUID
    deputy_id: UUID
    starts_at: datetime
    ends_at: datetime
    reason: str
    named_by: UUID
    named_at: datetime
    ended_by: UUID | None
    ended_at: datetime | None
    needs_second: bool
    confirmed_by: UUID | None
    confirmed_at: datetime | None


_COLUMNS = (
    "id, absent_id, deputy_id, starts_at, ends_at, reason, named_by, named_at, ended_by, ended_at,"
    " needs_second, confirmed_by, confirmed_at"
)
_DEPUTY = f"SELECT {_COLUMNS} FROM deputies d"  # noqa: S608  # the columns stand above
_OF_SCOPE = """
    (:scope::uuid IS NULL OR EXISTS (
        SELECT FROM users u WHERE u.id = d.absent_id AND u.department_id = :scope))
"""


async def insert_deputy(
    conn: Connection,
    absent_id: UUID,
    deputy_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    named_by: UUID,
    now: datetime,
) -> Deputy:
    """Write who stands in for whom; it waits for a second person unless the absent one says so."""
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO deputies (absent_id, deputy_id, starts_at, ends_at, reason, named_by, named_at)
        VALUES (:absent_id, :deputy_id, :starts_at, :ends_at, :reason, :named_by, :now)
        RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        absent_id=absent_id,
        deputy_id=deputy_id,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        named_by=named_by,
        now=now,
    )
    return Deputy(*one(row))


async def get_deputy(
    conn: Connection, deputy_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Deputy | None:
    """One entry of a department; None: of any."""
    query = f"{_DEPUTY} WHERE {_OF_SCOPE} AND id = :deputy_id" + " FOR UPDATE" * lock
    row = await sql.fetchrow(conn, query, scope=scope, deputy_id=deputy_id)
    return Deputy(*row) if row else None


async def list_deputies(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Deputy]:
    """A page of entries, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        {_DEPUTY} WHERE {_OF_SCOPE} AND (:before::uuid IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
        """,
        scope=scope,
        before=before,
        limit=limit,
    )
    return [Deputy(*row) for row in rows]


async def confirm_deputy(conn: Connection, deputy_id: UUID, user_id: UUID, now: datetime) -> None:
    """Let an entry count; the database refuses whoever named the deputy, and the deputy."""
    await sql.execute(
        conn,
        "UPDATE deputies SET confirmed_by = :user_id, confirmed_at = :now WHERE id = :deputy_id",
        deputy_id=deputy_id,
        user_id=user_id,
        now=now,
    )


async def end_deputy(conn: Connection, deputy_id: UUID, user_id: UUID, now: datetime) -> bool:
    """End an entry; False if it has ended."""
    status = await sql.execute(
        conn,
        """
        UPDATE deputies SET ended_by = :user_id, ended_at = :now
        WHERE id = :deputy_id AND ended_at IS NULL AND ends_at > :now
        """,
        deputy_id=deputy_id,
        user_id=user_id,
        now=now,
    )
    return bool(affected(status))


async def absent_of(conn: Connection, user_id: UUID, now: datetime) -> UUID | None:
    """For which active user with the right to approve somebody stands in now."""
    absent: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT d.absent_id FROM deputies d JOIN users u ON u.id = d.absent_id
        WHERE d.deputy_id = :user_id AND d.starts_at <= :now AND d.ends_at > :now
          AND d.ended_at IS NULL
          AND (NOT d.needs_second OR d.confirmed_at IS NOT NULL)
          AND u.disabled_at IS NULL AND (u.roles && :roles OR :word = ANY (u.rights))
        ORDER BY d.id LIMIT 1
        """,
        user_id=user_id,
        now=now,
        roles=[role.value for role in Role if Right.APPROVE in RIGHTS[role]],
        word=Right.APPROVE.word,
    )
    return absent
