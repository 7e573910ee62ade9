"""The table of extension numbers as channels and texts from handsets look at it, in SQL."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from service.channels.config.extension import Extension
from service.storage import sql
from service.storage.postgres import Connection


async def extensions_in_use(conn: Connection, department_id: UUID | None) -> list[Extension]:
    """The extension numbers of a department that it has not given up; None: of all departments."""
    rows = await sql.fetch(
        conn,
        """
        SELECT e.extension, d.name, d.channels
        FROM extensions e JOIN departments d ON d.id = e.department_id
        WHERE e.ended_at IS NULL AND (:department_id::uuid IS NULL OR d.id = :department_id)
        ORDER BY e.extension
        """,
        department_id=department_id,
    )
    return [Extension(*row) for row in rows]


class Owner(NamedTuple):
    """The department that a text to an extension number is for."""

    department_id: UUID
    kind: str


async def owners_of(conn: Connection, digits: Collection[str]) -> dict[str, Owner]:
    """Whose these extension numbers are; one that was given up stays its department's."""
    rows = await sql.fetch(
        conn,
        """
        SELECT e.extension, d.id, d.kind FROM extensions e
        JOIN departments d ON d.id = e.department_id WHERE e.extension = ANY (:digits)
        """,
        digits=list(digits),
    )
    return {row["extension"]: Owner(row["id"], row["kind"]) for row in rows}
