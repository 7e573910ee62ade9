"""The SQL of areas that users keep."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.areas.area import Area, AreaTree, packaged_areas
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, affected
from service.words.phrase import phrase


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
    row = await sql.fetchrow(
        conn,
        """
        SELECT code, name, level, coalesce(parent_code, '') AS parent, population, edited_at,
               edited_by
        FROM areas WHERE code = :code
        """,
        code=code,
    )
    return EditedArea(*row) if row else None


async def area_names(conn: Connection, codes: Iterable[str | None]) -> dict[str, str]:
    """The names of these areas by code; what lies in a town stands after the town's name.

    A code that no area has (any more), or None, is left out.
    """
    wanted = {code for code in codes if code}
    if not wanted:
        return {}
    rows = await sql.fetch(
        conn,
        """
        WITH RECURSIVE up AS (
            SELECT code, name, parent_code, level FROM areas WHERE code = ANY (:wanted)
            UNION ALL
            SELECT up.code, a.name || ' ' || up.name, a.parent_code, a.level
            FROM up JOIN areas a ON a.code = up.parent_code
            WHERE up.level IN ('village', 'community', 'group')
        )
        SELECT DISTINCT ON (code) code, name FROM up ORDER BY code, length(name) DESC
        """,
        wanted=list(wanted),
    )
    return {row["code"]: row["name"] for row in rows}


async def insert_area(conn: Connection, area: Area, user_id: UUID, now: datetime) -> None:
    """Add an area."""
    await sql.execute(
        conn,
        """
        INSERT INTO areas (code, name, level, parent_code, population, edited_by, edited_at)
        VALUES (:code, :name, :level, :parent, :population, :user_id, :now)
        """,
        **area._asdict(),
        user_id=user_id,
        now=now,
    )


async def update_area(conn: Connection, area: Area, user_id: UUID, now: datetime) -> None:
    """Let an area have this name and population."""
    await sql.execute(
        conn,
        """
        UPDATE areas SET name = :name, population = :population, edited_by = :user_id,
            edited_at = :now
        WHERE code = :code
        """,
        code=area.code,
        name=area.name,
        population=area.population,
        user_id=user_id,
        now=now,
    )


async def insert_rename(
    conn: Connection, code: str, name: str, user_id: UUID, now: datetime
) -> None:
    """Write down a name that is proposed; the area has no other one that waits."""
    await sql.execute(
        conn,
        """
        INSERT INTO area_renames (code, name, proposed_by, proposed_at)
        VALUES (:code, :name, :user_id, :now)
        """,
        code=code,
        name=name,
        user_id=user_id,
        now=now,
    )


async def replace_waiting(conn: Connection, code: str, now: datetime) -> None:
    """Put aside the name that waits for an area."""
    await sql.execute(
        conn,
        """
        UPDATE area_renames SET replaced_at = :now
        WHERE code = :code AND confirmed_at IS NULL AND replaced_at IS NULL
        """,
        code=code,
        now=now,
    )


async def get_waiting(conn: Connection, code: str) -> Rename | None:
    """The name that waits for an area, perhaps for too long."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_RENAME} FROM area_renames
        WHERE code = :code AND confirmed_at IS NULL AND replaced_at IS NULL
        """,  # noqa: S608  # the columns stand above
        code=code,
    )
    return Rename(*row) if row else None


async def get_rename(conn: Connection, code: str, rename_id: UUID) -> Rename:
    """A name that was proposed for an area.

    Raises:
        NotFound: there is none of this id for this area.
    """
    row = await sql.fetchrow(
        conn,
        f"SELECT {_RENAME} FROM area_renames WHERE id = :rename_id AND code = :code",  # noqa: S608
        rename_id=rename_id,
        code=code,
    )
    if row is None:
        raise NotFound(phrase("the area has no proposed name {rename_id}", rename_id=rename_id))
    return Rename(*row)


async def note_confirmed(conn: Connection, rename_id: UUID, user_id: UUID, now: datetime) -> None:
    """Write down who confirmed a name; the database refuses whoever proposed it."""
    await sql.execute(
        conn,
        """
        UPDATE area_renames SET confirmed_by = :user_id, confirmed_at = :now WHERE id = :rename_id
        """,
        rename_id=rename_id,
        user_id=user_id,
        now=now,
    )


async def load_areas(conn: Connection) -> int:
    """Bring the areas of the package into the database; those already there are updated, but for
    what users have changed.
    """
    areas = packaged_areas()
    return affected(
        await sql.execute(
            conn,
            """
            INSERT INTO areas (code, name, level, parent_code, population)
            SELECT code, name, level, nullif(parent, ''), population
            FROM unnest(:codes::text[], :names::text[], :levels::text[], :parents::text[],
                        :populations::integer[])
                AS u (code, name, level, parent, population)
            ON CONFLICT (code) DO UPDATE SET
                name = excluded.name, level = excluded.level,
                parent_code = excluded.parent_code, population = excluded.population
            WHERE areas.edited_by IS NULL
            """,
            codes=[area.code for area in areas],
            names=[area.name for area in areas],
            levels=[area.level for area in areas],
            parents=[area.parent for area in areas],
            populations=[area.population for area in areas],
        )
    )


_HELD = """
    SELECT coalesce(sum(hashtextextended(
        concat_ws('|', code, level, name, coalesce(parent_code, ''), population), 0)), 0)::text
    FROM areas
"""
"""SQL: what the table of areas holds, in short."""

_KEPT_TREES = 4
_trees: dict[str, AreaTree] = {}


async def read_area_tree(conn: Connection) -> AreaTree:
    """All areas of the database. The trees of the latest tables are kept: to read 20,000 areas, as
    a province has them, takes half a second, and every preview and report needs them.
    """
    held = await conn.fetchval(_HELD)
    if (known := _trees.get(held)) is not None:
        return known
    rows = await conn.fetch(
        f"""
        SELECT code, name, level, coalesce(parent_code, '') AS parent, population,
               ({_HELD}) AS held
        FROM areas
        """  # noqa: S608  # a constant
    )
    tree = AreaTree(Area(*row[:5]) for row in rows)
    if rows:
        _trees[rows[0]["held"]] = tree
        while len(_trees) > _KEPT_TREES:
            del _trees[next(iter(_trees))]
    return tree


def outside_area(own: str, area: str, is_within: str) -> str:
    """SQL: whether a person lives outside the area `own` that a department may send to. A person
    whose area is not known does not count as outside.
    """
    return f"{own} IS NOT NULL AND {area} IS NOT NULL AND NOT {is_within}"
