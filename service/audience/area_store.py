"""The SQL of areas that users keep."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.area import Area
from service.storage.postgres import Connection


class EditedArea(NamedTuple):
    """An area, when a person edited it last, and who."""

    code: str
    name: str
    level: str
    parent: str
    population: int | None
    edited_at: datetime | None
    edited_by: UUID | None


async def lock_areas(conn: Connection) -> None:
    """Let nobody else change the tree to the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('areas', 0))")


async def get_area(conn: Connection, code: str) -> EditedArea | None:
    """The area of this code."""
    row = await conn.fetchrow(
        """
        SELECT code, name, level, coalesce(parent_code, '') AS parent, population, edited_at,
               edited_by
        FROM areas WHERE code = $1
        """,
        code,
    )
    return EditedArea(*row) if row else None


async def area_names(conn: Connection, codes: Iterable[str | None]) -> dict[str, str]:
    """The names of these areas by code; what lies in a town stands after the town's name.

    A code that no area has (any more), or None, is left out.
    """
    wanted = {code for code in codes if code}
    if not wanted:
        return {}
    rows = await conn.fetch(
        """
        WITH RECURSIVE up AS (
            SELECT code, name, parent_code, level FROM areas WHERE code = ANY ($1)
            UNION ALL
            SELECT up.code, a.name || ' ' || up.name, a.parent_code, a.level
            FROM up JOIN areas a ON a.code = up.parent_code
            WHERE up.level IN ('village', 'community', 'group')
        )
        SELECT DISTINCT ON (code) code, name FROM up ORDER BY code, length(name) DESC
        """,
        list(wanted),
    )
    return {row["code"]: row["name"] for row in rows}


async def insert_area(conn: Connection, area: Area, user_id: UUID, now: datetime) -> None:
    """Add an area."""
    await conn.execute(
        """
        INSERT INTO areas (code, name, level, parent_code, population, edited_by, edited_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        *area,
        user_id,
        now,
    )


async def update_area(conn: Connection, area: Area, user_id: UUID, now: datetime) -> None:
    """Let an area have this name and population."""
    await conn.execute(
        "UPDATE areas SET name = $2, population = $3, edited_by = $4, edited_at = $5"
        " WHERE code = $1",
        area.code,
        area.name,
        area.population,
        user_id,
        now,
    )
