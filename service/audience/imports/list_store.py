"""The SQL of imports as people look for them: the list, and the rejected rows by their rule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


class ListedImport(NamedTuple):
    """An import in a list. rows: the report's counts of rows; None: it has none (yet). error: the
    code for which the file was not read to its end.
    """

    id: UUID
    department_id: UUID
    department: str
    roster: str
    file_name: str
    file_bytes: int
    dry_run: bool
    mode: str
    state: str
    created_by: UUID
    creator: str
    created_at: datetime
    finished_at: datetime | None
    undone_at: datetime | None
    rows_read: int
    rows: dict[str, Any] | None
    error: str | None


async def list_imports(
    conn: Connection,
    scope: UUID | None,
    states: Sequence[str] | None,
    after: UUID | None,
    limit: int,
) -> list[ListedImport]:
    """A page of a department's imports (None: of all), from new to old. after: the last one of the
    page before.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH page AS MATERIALIZED (
            SELECT i.* FROM (SELECT) one
            LEFT JOIN imports a ON a.id = :after
            CROSS JOIN departments d CROSS JOIN LATERAL (
                SELECT * FROM imports n
                WHERE n.department_id = d.id
                  AND (:after::uuid IS NULL OR (n.created_at, n.id) < (a.created_at, a.id))
                  AND (:states::text[] IS NULL OR n.state = ANY (:states))
                ORDER BY n.created_at DESC, n.id DESC LIMIT :limit) i
            WHERE :scope::uuid IS NULL OR d.id = :scope
            ORDER BY i.created_at DESC, i.id DESC LIMIT :limit)
        SELECT p.id, p.department_id, d.name AS department, p.roster, p.file_name, p.file_bytes,
               p.dry_run, p.mode, p.state, p.created_by, u.name AS creator, p.created_at,
               p.finished_at, p.undone_at,
               coalesce((p.report #>> '{rows,read}')::bigint,
                        (SELECT rows_read FROM import_progress WHERE import_id = p.id), 0)
                   AS rows_read,
               p.report->'rows' AS rows, p.report->>'error' AS error
        FROM page p JOIN departments d ON d.id = p.department_id JOIN users u ON u.id = p.created_by
        ORDER BY p.created_at DESC, p.id DESC
        """,
        scope=scope,
        states=None if states is None else list(states),
        after=after,
        limit=limit,
    )
    return [ListedImport(**row) for row in rows]


async def first_rejects(conn: Connection, import_id: UUID, each: int) -> list[Record]:
    """The first rejected rows of each rule, in the order of the file; `total`: of that rule."""
    return await sql.fetch(
        conn,
        """
        SELECT sheet, row_no, code, masked, suggestion_cipher, repair, total FROM (
            SELECT *, count(*) OVER (PARTITION BY code) AS total,
                   row_number() OVER (PARTITION BY code ORDER BY sheet, row_no) AS place
            FROM import_rejects WHERE import_id = :import_id) r
        WHERE place <= :each ORDER BY total DESC, code, sheet, row_no
        """,
        import_id=import_id,
        each=each,
    )
