"""The SQL of signatures that take two persons: what is proposed, what waits, what others have."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, one
from service.words.phrase import phrase


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
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM signatures
                       WHERE signature = :signature AND department_id = :department_id
                         AND ended_at IS NULL)
        """,
        signature=signature,
        department_id=department_id,
    )
    return found


async def names_of_others(conn: Connection, department_id: UUID) -> list[str]:
    """The signatures and names of all other departments."""
    rows = await sql.fetch(
        conn,
        """
        SELECT signature AS name FROM signatures WHERE department_id <> :department_id
        UNION SELECT name FROM departments WHERE id <> :department_id
        """,
        department_id=department_id,
    )
    return [row["name"] for row in rows]


async def replace_waiting(
    conn: Connection, department_id: UUID, signature: str, now: datetime
) -> None:
    """Put aside what waits of this signature."""
    await sql.execute(
        conn,
        """
        UPDATE signature_proposals SET replaced_at = :now
        WHERE department_id = :department_id AND signature = :signature AND confirmed_at IS NULL
          AND replaced_at IS NULL
        """,
        department_id=department_id,
        signature=signature,
        now=now,
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
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO signature_proposals
            (department_id, signature, is_default, proposed_by, proposed_at)
        VALUES (:department_id, :signature, :is_default, :by, :now) RETURNING {_PROPOSED}
        """,  # noqa: S608  # the columns stand above
        department_id=department_id,
        signature=signature,
        is_default=is_default,
        by=by,
        now=now,
    )
    return SignatureProposal(*one(row))


async def list_waiting(
    conn: Connection, department_id: UUID, since: datetime
) -> list[SignatureProposal]:
    """What was proposed for a department since then and waits, from old to new."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_PROPOSED} FROM signature_proposals
        WHERE department_id = :department_id AND confirmed_at IS NULL AND replaced_at IS NULL
          AND proposed_at > :since
        ORDER BY id LIMIT 1000
        """,  # noqa: S608  # the columns stand above
        department_id=department_id,
        since=since,
    )
    return [SignatureProposal(*row) for row in rows]


async def get_proposal(
    conn: Connection, department_id: UUID, proposal_id: UUID
) -> SignatureProposal:
    """One proposal.

    Raises:
        NotFound: the department has none of this id.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_PROPOSED} FROM signature_proposals WHERE id = :proposal_id
          AND department_id = :department_id
        """,  # noqa: S608  # the columns stand above
        proposal_id=proposal_id,
        department_id=department_id,
    )
    if row is None:
        raise NotFound(phrase("there is no proposal {proposal_id}", proposal_id=proposal_id))
    return SignatureProposal(*row)


async def note_confirmed(
    conn: Connection, proposal: SignatureProposal, by: UUID, now: datetime
) -> None:
    """Write down who confirmed a proposal; the database refuses whoever made it."""
    await sql.execute(
        conn,
        """
        UPDATE signature_proposals SET confirmed_by = :by, confirmed_at = :now
        WHERE id = :proposal_id
        """,
        proposal_id=proposal.id,
        by=by,
        now=now,
    )


async def make_default(conn: Connection, department_id: UUID, signature: str) -> None:
    """Let a department's own texts begin with this signature."""
    await sql.execute(
        conn,
        "UPDATE departments SET signature = :signature WHERE id = :department_id",
        department_id=department_id,
        signature=signature,
    )
