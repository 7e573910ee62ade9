"""The SQL of places and of what was put up there; rows of what was put up are only added."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple, get_args
from uuid import UUID

from service.errors import Conflict, Invalid
from service.storage import sql
from service.storage.postgres import Connection, ForeignKeyViolation, UniqueViolation
from service.words.phrase import phrase

PlaceKind = Literal["led", "loudspeaker", "poster", "counter", "atm"]
PLACE_KINDS: tuple[PlaceKind, ...] = get_args(PlaceKind)
"""The kinds of wordings that are put up somewhere; others go to people."""


class WordingPlace(NamedTuple):
    """A place, and what stands there now: its mark, as T7-3, and since when; None: nothing.

    until_on: the last day on which it was one; None: it still is.
    """

    id: UUID
    department_id: UUID
    department: str
    kind: PlaceKind
    name: str
    area_code: str
    from_on: date
    until_on: date | None
    mark: str | None
    since: date | None


class PutUp(NamedTuple):
    """What somebody ticked. mark: of template and version; None: it was taken down."""

    id: UUID
    mark: str | None
    template: str | None
    on_day: date
    ticked_by: UUID
    ticked_at: datetime


class PlaceCount(NamedTuple):
    """Places of an area and a kind, and at how many of them something stood."""

    area_code: str
    kind: PlaceKind
    places: int
    shown: int


_MARK = "'T' || n.no || '-' || v.no"
_WORDS = """
    LEFT JOIN wordings w ON w.id = t.wording_id
    LEFT JOIN template_versions v ON v.id = w.version_id
    LEFT JOIN template_numbers n ON n.template_id = v.template_id
"""
_PLACE = f"""
    SELECT p.id, p.department_id, d.name AS department, p.kind, p.name, p.area_code, p.from_on,
           p.until_on, t.mark, t.since
    FROM places p JOIN departments d ON d.id = p.department_id
    LEFT JOIN LATERAL (
        SELECT {_MARK} AS mark, CASE WHEN t.wording_id IS NOT NULL THEN t.on_day END AS since
        FROM place_wordings t {_WORDS}
        WHERE t.place_id = p.id ORDER BY t.on_day DESC, t.id DESC LIMIT 1) t ON true
"""  # noqa: S608  # constants


async def list_places(
    conn: Connection,
    departments: Sequence[UUID] | None,
    kind: PlaceKind | None,
    areas: Sequence[str] | None,
    before: UUID | None,
    limit: int,
) -> list[WordingPlace]:
    """A page of places of departments (None: of all) and areas (None: all), from new to old."""
    rows = await sql.fetch(
        conn,
        _PLACE
        + """
        WHERE (:departments::uuid[] IS NULL OR p.department_id = ANY (:departments))
          AND (:kind::text IS NULL OR p.kind = :kind)
          AND (:areas::text[] IS NULL OR p.area_code = ANY (:areas))
          AND (:before::uuid IS NULL OR p.id < :before)
        ORDER BY p.id DESC LIMIT :limit
        """,
        departments=departments,
        kind=kind,
        areas=areas,
        before=before,
        limit=limit,
    )
    return [WordingPlace(**row) for row in rows]


async def get_place(
    conn: Connection, place_id: UUID, departments: Sequence[UUID] | None, *, lock: bool = False
) -> WordingPlace | None:
    """A place of these departments; None: there is none. lock: nobody ends it meanwhile."""
    row = await sql.fetchrow(
        conn,
        _PLACE
        + """
        WHERE p.id = :place_id
          AND (:departments::uuid[] IS NULL OR p.department_id = ANY (:departments))
        """
        + " FOR UPDATE OF p" * lock,
        place_id=place_id,
        departments=departments,
    )
    return WordingPlace(**row) if row else None


async def add_place(
    conn: Connection,
    department_id: UUID,
    kind: PlaceKind,
    name: str,
    area_code: str,
    by: tuple[UUID, datetime, date],
) -> UUID:
    """Add a place; by: whose act it is, when, and from which day on it is one.

    Raises:
        Invalid: there is no such area.
        Conflict: the department has a place of this kind and name there.
    """
    try:
        async with conn.transaction():
            place_id: UUID = await sql.fetchval(
                conn,
                """
                INSERT INTO places (department_id, kind, name, area_code, added_by, added_at,
                                    from_on)
                VALUES (:department_id, :kind, :name, :area_code, :user_id, :now, :from_on)
                RETURNING id
                """,
                department_id=department_id,
                kind=kind,
                name=name,
                area_code=area_code,
                user_id=by[0],
                now=by[1],
                from_on=by[2],
            )
    except ForeignKeyViolation as error:
        raise Invalid.at("area", phrase("there is no area of this code")) from error
    except UniqueViolation as error:
        raise Conflict(
            phrase("there is a place of this kind and name already"), code="place_exists"
        ) from error
    return place_id


async def end_place(conn: Connection, place_id: UUID, last: date) -> None:
    """Say that a place was one until a day."""
    await sql.execute(
        conn,
        "UPDATE places SET until_on = :last WHERE id = :place_id",
        place_id=place_id,
        last=last,
    )


async def find_wording(conn: Connection, mark: tuple[int, int], kind: PlaceKind) -> UUID | None:
    """The newest wording of a kind with a mark, its numbers of template and version, that may be
    put up; None: there is none.
    """
    found: UUID | None = await sql.fetchval(
        conn,
        """
        SELECT CASE WHEN w.same_words OR w.approved_by IS NOT NULL THEN w.id END
        FROM template_numbers n
        JOIN template_versions v ON v.template_id = n.template_id AND v.no = :version
        JOIN wordings w ON w.version_id = v.id AND w.kind = :kind
        WHERE n.no = :number ORDER BY w.id DESC LIMIT 1
        """,
        number=mark[0],
        version=mark[1],
        kind=kind,
    )
    return found


async def tick(
    conn: Connection, place_id: UUID, wording_id: UUID | None, day: date, by: tuple[UUID, datetime]
) -> None:
    """Write down that something was put up on a day; None: that it was taken down."""
    await sql.execute(
        conn,
        """
        INSERT INTO place_wordings (place_id, wording_id, on_day, ticked_by, ticked_at)
        VALUES (:place_id, :wording_id, :day, :user_id, :now)
        """,
        place_id=place_id,
        wording_id=wording_id,
        day=day,
        user_id=by[0],
        now=by[1],
    )


async def list_put_up(conn: Connection, place_id: UUID, limit: int) -> list[PutUp]:
    """What was put up at a place, the latest first."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT t.id, {_MARK} AS mark, e.name AS template, t.on_day, t.ticked_by, t.ticked_at
        FROM place_wordings t {_WORDS} LEFT JOIN templates e ON e.id = v.template_id
        WHERE t.place_id = :place_id ORDER BY t.on_day DESC, t.id DESC LIMIT :limit
        """,  # noqa: S608  # constants
        place_id=place_id,
        limit=limit,
    )
    return [PutUp(**row) for row in rows]


async def count_places(
    conn: Connection, departments: Sequence[UUID] | None, first: date, last: date
) -> list[PlaceCount]:
    """By area and kind: how many places there were on any of these days, and at how many of them
    something stood on one.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT p.area_code, p.kind, count(*)::int AS places, count(*) FILTER (WHERE EXISTS (
            SELECT FROM (
                SELECT t.wording_id, t.on_day,
                       lead(t.on_day) OVER (ORDER BY t.on_day, t.id) AS next_on
                FROM place_wordings t WHERE t.place_id = p.id AND t.on_day <= :last) s
            WHERE s.wording_id IS NOT NULL
              AND (s.next_on IS NULL OR s.next_on > :first OR s.on_day >= :first)))::int AS shown
        FROM places p
        WHERE p.from_on <= :last AND (p.until_on IS NULL OR p.until_on >= :first)
          AND (:departments::uuid[] IS NULL OR p.department_id = ANY (:departments))
        GROUP BY p.area_code, p.kind ORDER BY p.area_code, p.kind
        """,
        departments=departments,
        first=first,
        last=last,
    )
    return [PlaceCount(**row) for row in rows]
