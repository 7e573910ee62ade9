"""The tables of links between accounts and a provider's subjects, and of used sign-ins, in SQL."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.errors import Conflict
from service.storage import sql
from service.storage.postgres import Connection, UniqueViolation
from service.words.phrase import phrase

REMEMBERED = timedelta(hours=1)
"""How long a sign-in that came back is remembered: longer than one may take."""


class SignInLink(NamedTuple):
    """An account's link. confirmed_at: None while it waits for its second person."""

    id: UUID
    user_id: UUID
    issuer: str
    subject_cipher: bytes
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None


_COLUMNS = ", ".join(SignInLink._fields)


async def list_links(conn: Connection, user_id: UUID) -> list[SignInLink]:
    """The links of an account that have not ended: the one that counts, the one that waits."""
    rows = await sql.fetch(
        conn,
        f"SELECT {_COLUMNS} FROM sign_in_links"  # noqa: S608  # constants
        " WHERE user_id = :user_id AND ended_at IS NULL ORDER BY confirmed_at",
        user_id=user_id,
    )
    return [SignInLink(*row) for row in rows]


async def find_link(conn: Connection, subject_hash: bytes) -> SignInLink | None:
    """The link of a subject that counts."""
    row = await sql.fetchrow(
        conn,
        f"SELECT {_COLUMNS} FROM sign_in_links"  # noqa: S608  # constants
        " WHERE subject_hash = :subject_hash AND confirmed_at IS NOT NULL AND ended_at IS NULL",
        subject_hash=subject_hash,
    )
    return SignInLink(*row) if row else None


async def propose_link(
    conn: Connection,
    user_id: UUID,
    issuer: str,
    subject: tuple[bytes, bytes],
    by: UUID,
    now: datetime,
) -> None:
    """Write down a link that waits, in place of any other that does. subject: hash and cipher."""
    await sql.execute(
        conn,
        """
        UPDATE sign_in_links SET ended_at = :now
        WHERE user_id = :user_id AND confirmed_at IS NULL AND ended_at IS NULL
        """,
        user_id=user_id,
        now=now,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO sign_in_links
            (user_id, issuer, subject_hash, subject_cipher, proposed_by, proposed_at)
        VALUES (:user_id, :issuer, :subject_hash, :subject_cipher, :by, :now)
        """,
        user_id=user_id,
        issuer=issuer,
        subject_hash=subject[0],
        subject_cipher=subject[1],
        by=by,
        now=now,
    )


async def confirm_link(conn: Connection, link: SignInLink, by: UUID, now: datetime) -> None:
    """Let a link count, in place of the one before it.

    Raises:
        Conflict: the subject is another account's.
    """
    await sql.execute(
        conn,
        """
        UPDATE sign_in_links SET ended_at = :now
        WHERE user_id = :user_id AND confirmed_at IS NOT NULL AND ended_at IS NULL
        """,
        user_id=link.user_id,
        now=now,
    )
    try:
        async with conn.transaction():
            await sql.execute(
                conn,
                """
                UPDATE sign_in_links SET confirmed_by = :by, confirmed_at = :now
                WHERE id = :link_id AND confirmed_at IS NULL AND ended_at IS NULL
                """,
                link_id=link.id,
                by=by,
                now=now,
            )
    except UniqueViolation as error:
        raise Conflict(
            phrase("the provider's person is linked to another account already")
        ) from error


async def end_links(conn: Connection, user_id: UUID, now: datetime) -> None:
    """End all links of an account."""
    await sql.execute(
        conn,
        "UPDATE sign_in_links SET ended_at = :now WHERE user_id = :user_id AND ended_at IS NULL",
        user_id=user_id,
        now=now,
    )


async def use_sign_in(conn: Connection, state_hash: bytes, now: datetime) -> bool:
    """Write down that a sign-in has come back; False: it has before."""
    await sql.execute(
        conn, "DELETE FROM sign_ins_used WHERE used_at < :before", before=now - REMEMBERED
    )
    used = await sql.fetchval(
        conn,
        """
        INSERT INTO sign_ins_used (state_hash, used_at) VALUES (:state_hash, :now)
        ON CONFLICT DO NOTHING RETURNING true
        """,
        state_hash=state_hash,
        now=now,
    )
    return bool(used)
