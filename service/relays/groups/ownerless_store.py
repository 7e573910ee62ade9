"""The SQL of groups whose owner is on no list any more, and of who is told of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.rosters.on_lists import is_on_a_list
from service.storage import sql
from service.storage.postgres import Connection


class LeftGroup(NamedTuple):
    """A group whose owner is on no list."""

    id: UUID
    name: str


class ChosenGroupText(NamedTuple):
    """The template that a department has chosen to tell its liaison."""

    department_id: UUID
    template_id: UUID
    name: str
    set_by: UUID
    set_at: datetime


class Liaison(NamedTuple):
    """Who answers for a department."""

    department: str
    phone_hash: bytes
    phone_cipher: bytes


_HAS_OWNER = f"""EXISTS (
    SELECT FROM group_owners o, LATERAL (
        SELECT id, listed FROM contacts WHERE id = o.contact_id OFFSET 0) c
    WHERE o.group_id = g.id AND o.until IS NULL AND {is_on_a_list("c", ":today")})"""  # noqa: S608  # constants
"""SQL: the owner of group `g` is on a list that holds. The offset has each person found by id."""


async def departments_to_look_at(conn: Connection, today: date) -> list[UUID]:
    """The departments with a group whose mark is not as it should be."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT DISTINCT g.department_id FROM groups g
        WHERE g.closed_at IS NULL AND (g.ownerless_since IS NULL) <> {_HAS_OWNER}
        """,  # noqa: S608  # a constant
        today=today,
    )
    return sorted(row["department_id"] for row in rows)


async def own_again(conn: Connection, department_id: UUID, today: date) -> None:
    """Take the mark away where the owner is on a list again."""
    await sql.execute(
        conn,
        f"""
        UPDATE groups g SET ownerless_since = NULL, told_run_id = NULL, untold = ''
        WHERE g.department_id = :department_id AND g.ownerless_since IS NOT NULL AND {_HAS_OWNER}
        """,  # noqa: S608  # a constant
        department_id=department_id,
        today=today,
    )


async def lock_left(conn: Connection, department_id: UUID, today: date) -> list[LeftGroup]:
    """The groups of a department that are to be marked, unless somebody is at them."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT g.id, g.name FROM groups g
        WHERE g.department_id = :department_id AND g.closed_at IS NULL
          AND g.ownerless_since IS NULL AND NOT {_HAS_OWNER}
        ORDER BY g.id FOR UPDATE OF g SKIP LOCKED
        """,  # noqa: S608  # a constant
        department_id=department_id,
        today=today,
    )
    return [LeftGroup(**row) for row in rows]


async def mark(
    conn: Connection, ids: Sequence[UUID], run_id: UUID | None, untold: str, now: datetime
) -> None:
    """Mark groups, and note by which text somebody was told, or why nobody was."""
    await sql.execute(
        conn,
        """
        UPDATE groups SET ownerless_since = :now, told_run_id = :run_id, untold = :untold
        WHERE id = ANY (:ids) AND closed_at IS NULL
        """,
        ids=list(ids),
        run_id=run_id,
        untold=untold,
        now=now,
    )


async def liaison_of(conn: Connection, department_id: UUID) -> Liaison | None:
    """Who answers for a department; None: nobody is named."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT d.name AS department, p.phone_hash, p.phone_cipher
        FROM department_people p JOIN departments d ON d.id = p.department_id
        WHERE p.department_id = :department_id AND p.duty = 'liaison' AND p.until IS NULL
        """,
        department_id=department_id,
    )
    return None if row is None else Liaison(**row)


async def chosen_text(conn: Connection, department_id: UUID) -> ChosenGroupText | None:
    """The text that a department has chosen; None: none."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT x.department_id, x.template_id, t.name, x.set_by, x.set_at
        FROM group_texts x JOIN templates t ON t.id = x.template_id
        WHERE x.department_id = :department_id
        """,
        department_id=department_id,
    )
    return None if row is None else ChosenGroupText(**row)


async def set_text(
    conn: Connection, department_id: UUID, template_id: UUID, by: tuple[UUID, datetime]
) -> None:
    """Choose a text."""
    set_by, now = by
    await sql.execute(
        conn,
        """
        INSERT INTO group_texts (department_id, template_id, set_by, set_at)
        VALUES (:department_id, :template_id, :set_by, :now)
        ON CONFLICT (department_id) DO UPDATE
        SET template_id = :template_id, set_by = :set_by, set_at = :now
        """,
        department_id=department_id,
        template_id=template_id,
        set_by=set_by,
        now=now,
    )


async def drop_text(conn: Connection, department_id: UUID) -> None:
    """Choose none."""
    await sql.execute(
        conn,
        "DELETE FROM group_texts WHERE department_id = :department_id",
        department_id=department_id,
    )
