"""The tables of case figures in SQL: imports, the weeks that they hold, figures, kinds of fraud."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.cases.figures import CaseBook, CaseFigure
from service.cases.fraud_types import FraudType, FraudTypes
from service.cases.week import IsoWeek, need_week
from service.errors import Conflict, NotFound
from service.storage import sql
from service.storage.postgres import Connection, ForeignKeyViolation
from service.words.phrase import phrase


class CaseImport(NamedTuple):
    """A file of figures that was taken. in_force: of how many of its weeks it says what was."""

    id: UUID
    created_by: UUID
    created_at: datetime
    weeks: Sequence[str]
    file_sha256: str
    report: Mapping[str, Any]
    undone_at: datetime | None
    undone_by: UUID | None
    in_force: int


_IMPORT = """
    SELECT i.id, i.created_by, i.created_at, i.weeks, i.file_sha256, i.report, i.undone_at,
           i.undone_by, (SELECT count(*) FROM case_weeks w
                         WHERE w.import_id = i.id AND w.until IS NULL)::int AS in_force
    FROM case_imports i
"""


async def read_fraud_types(conn: Connection) -> FraudTypes:
    """The kinds of fraud of the county, in their order."""
    rows = await conn.fetch(
        "SELECT key, slug, name, english, in_texts, four_high FROM fraud_types ORDER BY position"
    )
    return FraudTypes(FraudType(**row) for row in rows)


async def write_fraud_types(conn: Connection, kinds: Sequence[FraudType]) -> None:
    """Let these be the kinds, in this order.

    Raises:
        Conflict: one that is left out has figures.
    """
    keys = [kind.key for kind in kinds]
    try:
        async with conn.transaction():
            await sql.execute(
                conn, "DELETE FROM fraud_types WHERE NOT key = ANY (:keys)", keys=keys
            )
    except ForeignKeyViolation as error:
        raise Conflict(
            phrase("a kind of fraud that has figures stays on the list; rename it instead"),
            code="fraud_type_in_use",
        ) from error
    await sql.execute(
        conn,
        """
        INSERT INTO fraud_types (key, position, slug, name, english, in_texts, four_high)
        SELECT * FROM unnest(:keys::text[], :positions::smallint[], :slugs::text[], :names::text[],
                             :english::text[], :in_texts::text[], :four_high::boolean[])
        ON CONFLICT (key) DO UPDATE SET
            position = excluded.position, slug = excluded.slug, name = excluded.name,
            english = excluded.english, in_texts = excluded.in_texts,
            four_high = excluded.four_high
        """,
        keys=keys,
        positions=list(range(1, len(kinds) + 1)),
        slugs=[kind.slug for kind in kinds],
        names=[kind.name for kind in kinds],
        english=[kind.english for kind in kinds],
        in_texts=[kind.in_texts for kind in kinds],
        four_high=[kind.four_high for kind in kinds],
    )


async def insert_import(
    conn: Connection,
    weeks: Iterable[IsoWeek],
    file_sha256: str,
    report: Mapping[str, Any],
    user_id: UUID,
    now: datetime,
) -> UUID:
    """Write down an import; returns its id."""
    import_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO case_imports (created_by, created_at, weeks, file_sha256, report)
        VALUES (:user_id, :now, :weeks, :file_sha256, :report) RETURNING id
        """,
        user_id=user_id,
        now=now,
        weeks=list(map(str, weeks)),
        file_sha256=file_sha256,
        report=report,
    )
    return import_id


async def insert_figures(
    conn: Connection, import_id: UUID, figures: Collection[CaseFigure]
) -> None:
    """Write down the figures of an import; those without a case need no row."""
    some = [figure for figure in figures if figure.cases]
    await sql.execute(
        conn,
        """
        INSERT INTO case_figures (import_id, week, area_code, fraud_type, cases, loss_yuan,
                                  largest_case_yuan)
        SELECT :import_id, * FROM unnest(:weeks::text[], :areas::text[], :kinds::text[],
                                         :cases::integer[], :losses::bigint[], :largest::bigint[])
        """,
        import_id=import_id,
        weeks=[str(figure.week) for figure in some],
        areas=[figure.area for figure in some],
        kinds=[figure.fraud_type for figure in some],
        cases=[figure.cases for figure in some],
        losses=[figure.loss_yuan for figure in some],
        largest=[figure.largest_case_yuan for figure in some],
    )


async def take_over(
    conn: Connection, import_id: UUID, weeks: Iterable[IsoWeek], now: datetime
) -> int:
    """Let an import say what its weeks were; returns how many it took over from others."""
    rows = await sql.fetch(
        conn,
        """
        WITH ended AS (
            UPDATE case_weeks SET until = :now
            WHERE week = ANY (:weeks) AND until IS NULL RETURNING id, week)
        SELECT id, week FROM ended
        """,
        now=now,
        weeks=(names := list(map(str, weeks))),
    )
    replaced = {row["week"]: row["id"] for row in rows}
    await sql.execute(
        conn,
        """
        INSERT INTO case_weeks (week, import_id, since, replaced_id)
        SELECT week, :import_id, :now, replaced
        FROM unnest(:weeks::text[], :replaced::bigint[]) AS u (week, replaced)
        """,
        import_id=import_id,
        now=now,
        weeks=names,
        replaced=[replaced.get(name) for name in names],
    )
    return len(replaced)


async def give_back(conn: Connection, import_id: UUID, now: datetime) -> int:
    """Let each week of an import be what it was before it; returns how many have a figure again.

    What held before is a new row that says the same: of it the row before it is known as well.
    """
    rows = await sql.fetch(
        conn,
        """
        UPDATE case_weeks SET until = :now WHERE import_id = :import_id AND until IS NULL
        RETURNING replaced_id
        """,
        import_id=import_id,
        now=now,
    )
    before = [row["replaced_id"] for row in rows if row["replaced_id"] is not None]
    await sql.execute(
        conn,
        """
        INSERT INTO case_weeks (week, import_id, since, replaced_id)
        SELECT week, import_id, :now, replaced_id FROM case_weeks WHERE id = ANY (:before)
        """,
        now=now,
        before=before,
    )
    return len(before)


async def note_undone(conn: Connection, import_id: UUID, user_id: UUID, now: datetime) -> None:
    """Write down who took an import back."""
    await sql.execute(
        conn,
        "UPDATE case_imports SET undone_at = :now, undone_by = :user_id WHERE id = :import_id",
        import_id=import_id,
        user_id=user_id,
        now=now,
    )


async def get_import(conn: Connection, import_id: UUID) -> CaseImport:
    """An import.

    Raises:
        NotFound: there is none of this id.
    """
    row = await sql.fetchrow(conn, _IMPORT + "WHERE i.id = :import_id", import_id=import_id)
    if row is None:
        raise NotFound(phrase("there is no import of this id"))
    return CaseImport(**row)


async def list_imports(conn: Connection, before: UUID | None, limit: int) -> list[CaseImport]:
    """Imports from new to old."""
    rows = await sql.fetch(
        conn,
        _IMPORT + "WHERE :before::uuid IS NULL OR i.id < :before ORDER BY i.id DESC LIMIT :limit",
        before=before,
        limit=limit,
    )
    return [CaseImport(**row) for row in rows]


async def covered_weeks(conn: Connection) -> list[IsoWeek]:
    """All weeks of which something is known, in order."""
    rows = await conn.fetch("SELECT week FROM case_weeks WHERE until IS NULL ORDER BY week")
    return [need_week(row["week"], "week") for row in rows]


async def read_book(conn: Connection, weeks: Iterable[IsoWeek]) -> CaseBook:
    """The figures of these weeks, as far as they are covered."""
    covered = await sql.fetch(
        conn,
        "SELECT week FROM case_weeks WHERE until IS NULL AND week = ANY (:weeks)",
        weeks=(names := list(map(str, weeks))),
    )
    rows = await sql.fetch(
        conn,
        """
        SELECT f.week, f.area_code, f.fraud_type, f.cases, f.loss_yuan, f.largest_case_yuan
        FROM case_weeks w
        JOIN case_figures f ON f.import_id = w.import_id AND f.week = w.week
        WHERE w.until IS NULL AND w.week = ANY (:weeks)
        """,
        weeks=names,
    )
    read = {name: need_week(name, "week") for name in names}
    figures = [CaseFigure(read[row[0]], row[1], row[2], row[3], row[4], row[5]) for row in rows]
    return CaseBook([read[row["week"]] for row in covered], figures)
