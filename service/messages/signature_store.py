"""The SQL of signatures that take two persons: what is proposed, what waits, what others have."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.storage.postgres import Connection, one


class SignatureProposal(NamedTuple):
    """A signature that waits for a second person, or waited. is_default: it becomes the one that
    the department's own texts begin with.
    """

    id: UUID
    department_id: UUID
    signature: str
    is_default: bool
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    replaced_at: datetime | None


_PROPOSED = ", ".join(SignatureProposal._fields)


async def is_registered(conn: Connection, department_id: UUID, signature: str) -> bool:
    """Whether the department has this signature."""
    found: bool = await conn.fetchval(
        """
        SELECT EXISTS (SELECT FROM signatures
                       WHERE signature = $1 AND department_id = $2 AND ended_at IS NULL)
        """,
        signature,
        department_id,
    )
    return found


async def names_of_others(conn: Connection, department_id: UUID) -> list[str]:
    """The signatures and names of all other departments."""
    rows = await conn.fetch(
        """
        SELECT signature AS name FROM signatures WHERE department_id <> $1
        UNION SELECT name FROM departments WHERE id <> $1
        """,
        department_id,
    )
    return [row["name"] for row in rows]


async def replace_waiting(
    conn: Connection, department_id: UUID, signature: str, now: datetime
) -> None:
    """Put aside what waits of this signature."""
    await conn.execute(
        """
        UPDATE signature_proposals SET replaced_at = $3
        WHERE department_id = $1 AND signature = $2 AND confirmed_at IS NULL
          AND replaced_at IS NULL
        """,
        department_id,
        signature,
        now,
    )


async def insert_proposal(
    conn: Connection,
    department_id: UUID,
    signature: str,
    by: UUID,
    now: datetime,
    *,
    is_default: bool,
) -> SignatureProposal:
    """Write down a proposal; no other one of the same signature waits."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO signature_proposals
            (department_id, signature, is_default, proposed_by, proposed_at)
        VALUES ($1, $2, $3, $4, $5) RETURNING {_PROPOSED}
        """,  # noqa: S608  # the columns stand above
        department_id,
        signature,
        is_default,
        by,
        now,
    )
    return SignatureProposal(*one(row))


async def list_waiting(
    conn: Connection, department_id: UUID, since: datetime
) -> list[SignatureProposal]:
    """What was proposed for a department since then and waits, from old to new."""
    rows = await conn.fetch(
        f"""
        SELECT {_PROPOSED} FROM signature_proposals
        WHERE department_id = $1 AND confirmed_at IS NULL AND replaced_at IS NULL
          AND proposed_at > $2
        ORDER BY id LIMIT 1000
        """,  # noqa: S608  # the columns stand above
        department_id,
        since,
    )
    return [SignatureProposal(*row) for row in rows]


async def get_proposal(
    conn: Connection, department_id: UUID, proposal_id: UUID
) -> SignatureProposal:
    """One proposal.

    Raises:
        NotFound: the department has none of this id.
    """
    row = await conn.fetchrow(
        f"SELECT {_PROPOSED} FROM signature_proposals WHERE id = $1 AND department_id = $2",  # noqa: S608  # the columns stand above
        proposal_id,
        department_id,
    )
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}")
    return SignatureProposal(*row)


async def note_confirmed(
    conn: Connection, proposal: SignatureProposal, by: UUID, now: datetime
) -> None:
    """Write down who confirmed a proposal; the database refuses whoever made it."""
    await conn.execute(
        "UPDATE signature_proposals SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1",
        proposal.id,
        by,
        now,
    )


async def make_default(conn: Connection, department_id: UUID, signature: str) -> None:
    """Let a department's own texts begin with this signature."""
    await conn.execute(
        "UPDATE departments SET signature = $2 WHERE id = $1", department_id, signature
    )
