"""The codes that prove the address of a user's mails, in SQL."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, one

DAY = timedelta(days=1)
SPENT = 1_000
"""The tries of a code that has proved an address."""


class MailCode(NamedTuple):
    """A code that was sent, as a keyed hash, and how often somebody has tried to give it."""

    id: int
    address_hash: bytes
    code_hash: bytes
    tries: int


async def count_codes(
    conn: Connection, user_id: UUID, address_hash: bytes, now: datetime
) -> tuple[int, int]:
    """How many codes a user had in 24 hours, and how many went to an address, whoever asked."""
    row = one(
        await sql.fetchrow(
            conn,
            """
            SELECT count(*) FILTER (WHERE user_id = :user_id) AS by_user,
                   count(*) FILTER (WHERE address_hash = :address_hash) AS to_address
            FROM mail_codes WHERE (user_id = :user_id OR address_hash = :address_hash)
              AND sent_at > :since
            """,
            user_id=user_id,
            address_hash=address_hash,
            since=now - DAY,
        )
    )
    return row["by_user"], row["to_address"]


async def has_code(conn: Connection, user_id: UUID, address_hash: bytes, since: datetime) -> bool:
    """Whether the newest code of a user was sent to this address since then."""
    found: bool | None = await sql.fetchval(
        conn,
        """
        SELECT address_hash = :address_hash AND sent_at > :since FROM mail_codes
        WHERE user_id = :user_id ORDER BY id DESC LIMIT 1
        """,
        user_id=user_id,
        address_hash=address_hash,
        since=since,
    )
    return bool(found)


async def insert_code(
    conn: Connection,
    user_id: UUID,
    hashes: tuple[bytes, bytes],
    code_cipher: bytes,
    now: datetime,
) -> None:
    """Keep a code by the hashes of address and code, and the mail that takes it there; codes of the
    days before are forgotten.
    """
    address_hash, code_hash = hashes
    await sql.execute(conn, "DELETE FROM mail_codes WHERE sent_at <= :before", before=now - DAY)
    await sql.execute(
        conn,
        """
        INSERT INTO mail_codes (user_id, address_hash, code_hash, sent_at)
        VALUES (:user_id, :address_hash, :code_hash, :now)
        """,
        user_id=user_id,
        address_hash=address_hash,
        code_hash=code_hash,
        now=now,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO notice_mails (user_id, made_at, next_at, code_cipher)
        VALUES (:user_id, :now, :now, :code_cipher)
        """,
        user_id=user_id,
        now=now,
        code_cipher=code_cipher,
    )


async def try_code(conn: Connection, user_id: UUID, since: datetime) -> MailCode | None:
    """Count a try at the newest code of a user, and return it; None: there is none since then."""
    row = await sql.fetchrow(
        conn,
        """
        UPDATE mail_codes SET tries = tries + 1
        WHERE id = (SELECT id FROM mail_codes WHERE user_id = :user_id ORDER BY id DESC LIMIT 1)
          AND sent_at > :since
        RETURNING id, address_hash, code_hash, tries
        """,
        user_id=user_id,
        since=since,
    )
    return MailCode(*row) if row else None


async def set_proved(conn: Connection, user_id: UUID, now: datetime) -> None:
    """Note that a user's address is proved; none of their codes counts any more."""
    await sql.execute(
        conn,
        "UPDATE notice_choices SET mail_proved_at = :now WHERE user_id = :user_id",
        user_id=user_id,
        now=now,
    )
    await sql.execute(
        conn,
        "UPDATE mail_codes SET tries = :spent WHERE user_id = :user_id",
        user_id=user_id,
        spent=SPENT,
    )
