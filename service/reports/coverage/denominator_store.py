"""The SQL of denominators: rows are only added."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from service.audience.areas.area_store import area_names
from service.reports.coverage.denominators import EnteredDenominator, Entry
from service.storage import sql
from service.storage.postgres import Connection


async def add_entries(conn: Connection, entries: Sequence[Entry], by: UUID, now: datetime) -> None:
    """Write down what somebody says of areas."""
    await sql.execute(
        conn,
        """
        INSERT INTO denominators (area_code, kind, people, source, as_of, entered_at, entered_by)
        SELECT e.*, :now, :by
        FROM unnest(:areas::text[], :kinds::text[], :people::int[], :sources::text[],
                    :days::date[]) AS e
        """,
        areas=[entry.area_code for entry in entries],
        kinds=[entry.kind for entry in entries],
        people=[entry.people for entry in entries],
        sources=[entry.source for entry in entries],
        days=[entry.as_of for entry in entries],
        now=now,
        by=by,
    )


async def entries_until(
    conn: Connection, kind: str, day: date, areas: Sequence[str] | None = None
) -> list[Entry]:
    """What counts on a day and what counted before it, of each area the last first; of one day of
    an area only what was entered last. areas: the codes of these alone; None: all.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT ON (area_code, as_of) area_code, kind, people, source, as_of
        FROM denominators
        WHERE kind = :kind AND as_of <= :day
          AND (:areas::text[] IS NULL OR area_code = ANY (:areas))
        ORDER BY area_code, as_of DESC, id DESC
        """,
        kind=kind,
        day=day,
        areas=areas,
    )
    return [Entry(*row) for row in rows]


async def list_entries(
    conn: Connection, kind: str | None, after: UUID | None, limit: int
) -> list[EnteredDenominator]:
    """A page of all that was entered, the latest first."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, area_code AS area, kind, people, source, as_of, entered_at, entered_by
        FROM denominators
        WHERE (:kind::text IS NULL OR kind = :kind) AND (:after::uuid IS NULL OR id < :after)
        ORDER BY id DESC LIMIT :limit
        """,
        kind=kind,
        after=after,
        limit=limit,
    )
    names = await area_names(conn, (row["area"] for row in rows))
    return [EnteredDenominator(area_name=names.get(row["area"]), **row) for row in rows]


async def kinds_entered(conn: Connection) -> set[str]:
    """The kinds of which anything was entered."""
    return {row["kind"] for row in await conn.fetch("SELECT DISTINCT kind FROM denominators")}
