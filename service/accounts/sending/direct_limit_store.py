"""The table of proposed limits of direct sends, in SQL; a department's row has the one in force."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.storage.postgres import Connection, one

_COLUMNS = (
    "id, department_id, people, reason, proposed_by, proposed_at, confirmed_by, confirmed_at,"
    " replaced_at"
)


class LimitProposal(NamedTuple):
    """A limit that somebody proposed. people: in 24 hours, of each key of the department."""

    id: UUID
    department_id: UUID
    people: int
    reason: str
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    replaced_at: datetime | None


async def insert_proposal(
    conn: Connection, department_id: UUID, people: int, reason: str, by: UUID, now: datetime
) -> LimitProposal:
    """Write down a proposal; the department has no other one that waits."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO direct_limits (department_id, people, reason, proposed_by, proposed_at)
        VALUES ($1, $2, $3, $4, $5) RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        department_id,
        people,
        reason,
        by,
        now,
    )
    return LimitProposal(*one(row))


async def replace_waiting(conn: Connection, department_id: UUID, now: datetime) -> None:
    """Put aside what waits to be confirmed."""
    await conn.execute(
        """
        UPDATE direct_limits SET replaced_at = $2
        WHERE department_id = $1 AND confirmed_at IS NULL AND replaced_at IS NULL
        """,
        department_id,
        now,
    )


async def get_proposal(conn: Connection, department_id: UUID, proposal_id: UUID) -> LimitProposal:
    """One proposal.

    Raises:
        NotFound: the department has none of this id.
    """
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM direct_limits WHERE id = $1 AND department_id = $2",  # noqa: S608
        proposal_id,
        department_id,
    )
    if row is None:
        raise NotFound(f"the department has no proposal {proposal_id}")
    return LimitProposal(*row)


async def list_proposals(
    conn: Connection, department_id: UUID, before: UUID | None, limit: int
) -> list[LimitProposal]:
    """A page of a department's proposals, from new to old."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM direct_limits
        WHERE department_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
        """,  # noqa: S608  # the columns stand above
        department_id,
        before,
        limit,
    )
    return [LimitProposal(*row) for row in rows]


async def put_in_force(
    conn: Connection, proposal: LimitProposal, by: UUID, now: datetime
) -> LimitProposal:
    """Let a proposal count; the database refuses whoever made it."""
    await conn.execute(
        "UPDATE direct_limits SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1",
        proposal.id,
        by,
        now,
    )
    await conn.execute(
        "UPDATE departments SET direct_send_limit = $2 WHERE id = $1",
        proposal.department_id,
        proposal.people,
    )
    return proposal._replace(confirmed_by=by, confirmed_at=now)
