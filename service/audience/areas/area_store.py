"""The SQL of areas that users keep."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.areas.area import Area, AreaTree, packaged_areas
from service.errors import NotFound
from service.storage.postgres import Connection, affected


class EditedArea(NamedTuple):
    """An area, when a person edited it last, and who."""

    code: str
    name: str
    level: str
    parent: str
    population: int | None
    edited_at: datetime | None
    edited_by: UUID | None


class Rename(NamedTuple):
    """A name that somebody proposed for an area; waits: neither confirmed nor replaced."""

    id: UUID
    name: str
    proposed_by: UUID
    proposed_at: datetime
    waits: bool


_RENAME = (
    "id, name, proposed_by, proposed_at, confirmed_at IS NULL AND replaced_at IS NULL AS waits"
)


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


async def insert_rename(
    conn: Connection, code: str, name: str, user_id: UUID, now: datetime
) -> None:
    """Write down a name that is proposed; the area has no other one that waits."""
    await conn.execute(
        "INSERT INTO area_renames (code, name, proposed_by, proposed_at) VALUES ($1, $2, $3, $4)",
        code,
        name,
        user_id,
        now,
    )


async def replace_waiting(conn: Connection, code: str, now: datetime) -> None:
    """Put aside the name that waits for an area."""
    await conn.execute(
        """
        UPDATE area_renames SET replaced_at = $2
        WHERE code = $1 AND confirmed_at IS NULL AND replaced_at IS NULL
        """,
        code,
        now,
    )


async def get_waiting(conn: Connection, code: str) -> Rename | None:
    """The name that waits for an area, perhaps for too long."""
    row = await conn.fetchrow(
        f"""
        SELECT {_RENAME} FROM area_renames
        WHERE code = $1 AND confirmed_at IS NULL AND replaced_at IS NULL
        """,  # noqa: S608  # the columns stand above
        code,
    )
    return Rename(*row) if row else None


async def get_rename(conn: Connection, code: str, rename_id: UUID) -> Rename:
    """A name that was proposed for an area.

    Raises:
        NotFound: there is none of this id for this area.
    """
    row = await conn.fetchrow(
        f"SELECT {_RENAME} FROM area_renames WHERE id = $1 AND code = $2",  # noqa: S608
        rename_id,
        code,
    )
    if row is None:
        raise NotFound(f"the area has no proposed name {rename_id}")
    return Rename(*row)


async def note_confirmed(conn: Connection, rename_id: UUID, user_id: UUID, now: datetime) -> None:
    """Write down who confirmed a name; the database refuses whoever proposed it."""
    await conn.execute(
        "UPDATE area_renames SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1",
        rename_id,
        user_id,
        now,
    )


async def load_areas(conn: Connection) -> int:
    """Bring the areas of the package into the database; those already there are updated, but for
    what users have changed.
    """
    areas = packaged_areas()
    return affected(
        await conn.execute(
            """
            INSERT INTO areas (code, name, level, parent_code, population)
            SELECT code, name, level, nullif(parent, ''), population
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[])
                AS u (code, name, level, parent, population)
            ON CONFLICT (code) DO UPDATE SET
                name = excluded.name, level = excluded.level,
                parent_code = excluded.parent_code, population = excluded.population
            WHERE areas.edited_by IS NULL
            """,
            *map(list, zip(*areas, strict=True)),
        )
    )


async def read_area_tree(conn: Connection) -> AreaTree:
    """All areas of the database."""
    rows = await conn.fetch(
        "SELECT code, name, level, coalesce(parent_code, '') AS parent, population FROM areas"
    )
    return AreaTree(Area(**row) for row in rows)
