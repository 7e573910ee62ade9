"""The table of proposed limits of direct sends, in SQL; a department's row has the one in force."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, one
from service.words.phrase import phrase

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
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO direct_limits (department_id, people, reason, proposed_by, proposed_at)
        VALUES (:department_id, :people, :reason, :by, :now) RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        department_id=department_id,
        people=people,
        reason=reason,
        by=by,
        now=now,
    )
    return LimitProposal(*one(row))


async def replace_waiting(conn: Connection, department_id: UUID, now: datetime) -> None:
    """Put aside what waits to be confirmed."""
    await sql.execute(
        conn,
        """
        UPDATE direct_limits SET replaced_at = :now
        WHERE department_id = :department_id AND confirmed_at IS NULL AND replaced_at IS NULL
        """,
        department_id=department_id,
        now=now,
    )


async def get_proposal(conn: Connection, department_id: UUID, proposal_id: UUID) -> LimitProposal:
    """One proposal.

    Raises:
        NotFound: the department has none of this id.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_COLUMNS} FROM direct_limits WHERE id = :proposal_id
          AND department_id = :department_id
        """,  # noqa: S608
        proposal_id=proposal_id,
        department_id=department_id,
    )
    if row is None:
        raise NotFound(
            phrase("the department has no proposal {proposal_id}", proposal_id=proposal_id)
        )
    return LimitProposal(*row)


async def list_proposals(
    conn: Connection, department_id: UUID, before: UUID | None, limit: int
) -> list[LimitProposal]:
    """A page of a department's proposals, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM direct_limits
        WHERE department_id = :department_id AND (:before::uuid IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
        """,  # noqa: S608  # the columns stand above
        department_id=department_id,
        before=before,
        limit=limit,
    )
    return [LimitProposal(*row) for row in rows]


async def put_in_force(
    conn: Connection, proposal: LimitProposal, by: UUID, now: datetime
) -> LimitProposal:
    """Let a proposal count; the database refuses whoever made it."""
    await sql.execute(
        conn,
        "UPDATE direct_limits SET confirmed_by = :by, confirmed_at = :now WHERE id = :proposal_id",
        proposal_id=proposal.id,
        by=by,
        now=now,
    )
    await sql.execute(
        conn,
        "UPDATE departments SET direct_send_limit = :people WHERE id = :department_id",
        department_id=proposal.department_id,
        people=proposal.people,
    )
    return proposal._replace(confirmed_by=by, confirmed_at=now)
