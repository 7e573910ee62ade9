"""What departments are called."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase


class DepartmentName(NamedTuple):
    """What a department is called, for whoever asks it for something."""

    id: UUID
    name: str
    kind: str
    carrier: str | None


async def list_names(conn: Connection, ids: Sequence[UUID] | None = None) -> list[DepartmentName]:
    """Departments by their names. ids: only these; None: all."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, name, kind, carrier FROM departments
        WHERE (:ids::uuid[] IS NULL OR id = ANY (:ids)) ORDER BY name
        """,
        ids=ids,
    )
    return [DepartmentName(*row) for row in rows]


async def department_names(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What departments are called, by id.

    Raises:
        NotFound: there is none of one of these ids.
    """
    rows = await sql.fetch(conn, "SELECT id, name FROM departments WHERE id = ANY (:ids)", ids=ids)
    names = {row["id"]: row["name"] for row in rows}
    if missing := [str(one) for one in ids if one not in names]:
        raise NotFound(phrase("there is no department {departments}", departments=listing(missing)))
    return names
