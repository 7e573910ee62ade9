"""SQL: whose an area is, for relays into it."""

from collections.abc import Sequence
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


async def whose_area(conn: Connection, code: str, own: Sequence[UUID]) -> str | None:
    """The department other than these, and than the county, in whose area an area lies, or the
    other way round, by its name; None: there is none, or the area lies in that of one of these.
    """
    name: str | None = await sql.fetchval(
        conn,
        """
        WITH RECURSIVE around AS (
            SELECT code, parent_code FROM areas WHERE code = :code
            UNION SELECT a.code, a.parent_code FROM areas a JOIN around o ON a.code = o.parent_code
        ), within AS (SELECT areas_within(:code) AS code)
        SELECT d.name FROM departments d
        WHERE d.kind <> 'county' AND d.id <> ALL (:own)
          AND (d.area_code IN (SELECT code FROM around) OR d.area_code IN (SELECT code FROM within))
          AND NOT EXISTS (SELECT FROM departments m WHERE m.id = ANY (:own)
                          AND m.area_code IN (SELECT code FROM around))
        ORDER BY d.name LIMIT 1
        """,
        code=code,
        own=list(own),
    )
    return name
