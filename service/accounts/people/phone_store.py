"""A user's own phone, kept as a cipher, and the codes that prove it, in SQL."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, one

DAY = timedelta(days=1)


class OwnPhone(NamedTuple):
    """The phone that a user said is theirs. proved_at: since when a code has proved it; changed_at:
    when the user last proved one, also if it was taken away since.
    """

    cipher: bytes | None
    proved_at: datetime | None
    changed_at: datetime | None


class PhoneCode(NamedTuple):
    """A code that was sent, as a keyed hash, and how often somebody has tried to give it."""

    id: int
    phone_hash: bytes
    code_hash: bytes
    tries: int


async def get_phone(conn: Connection, user_id: UUID, *, lock: bool = False) -> OwnPhone:
    """A user's own phone; `lock` keeps others from setting it to the end of the transaction."""
    query = "SELECT phone_cipher, phone_proved_at, phone_changed_at FROM users WHERE id = :user_id"
    return OwnPhone(
        *one(await sql.fetchrow(conn, query + " FOR NO KEY UPDATE" * lock, user_id=user_id))
    )


async def set_phone(conn: Connection, user_id: UUID, cipher: bytes | None) -> None:
    """Set a user's own phone, which is still to be proved; None: there is none any more."""
    await sql.execute(
        conn,
        "UPDATE users SET phone_cipher = :cipher, phone_proved_at = NULL WHERE id = :user_id",
        user_id=user_id,
        cipher=cipher,
    )


async def set_proved(conn: Connection, user_id: UUID, now: datetime) -> None:
    """Note that a user's phone is proved; none of their codes counts any more."""
    await sql.execute(
        conn,
        "UPDATE users SET phone_proved_at = :now, phone_changed_at = :now WHERE id = :user_id",
        user_id=user_id,
        now=now,
    )
    await sql.execute(
        conn,
        "UPDATE phone_codes SET tries = :spent WHERE user_id = :user_id",
        user_id=user_id,
        spent=SPENT,
    )


SPENT = 1_000
"""The tries of a code that has proved a phone."""


async def count_codes(
    conn: Connection, user_id: UUID, phone_hash: bytes, now: datetime
) -> tuple[int, int]:
    """How many codes a user had in 24 hours, and how many went to a phone, whoever asked."""
    row = one(
        await sql.fetchrow(
            conn,
            """
            SELECT count(*) FILTER (WHERE user_id = :user_id) AS by_user,
                   count(*) FILTER (WHERE phone_hash = :phone_hash) AS to_phone
            FROM phone_codes WHERE (user_id = :user_id OR phone_hash = :phone_hash)
              AND sent_at > :since
            """,
            user_id=user_id,
            phone_hash=phone_hash,
            since=now - DAY,
        )
    )
    return row["by_user"], row["to_phone"]


async def insert_code(
    conn: Connection, user_id: UUID, phone_hash: bytes, code_hash: bytes, now: datetime
) -> None:
    """Keep a code that is sent; those of the days before are forgotten."""
    await sql.execute(conn, "DELETE FROM phone_codes WHERE sent_at <= :before", before=now - DAY)
    await sql.execute(
        conn,
        """
        INSERT INTO phone_codes (user_id, phone_hash, code_hash, sent_at)
        VALUES (:user_id, :phone_hash, :code_hash, :now)
        """,
        user_id=user_id,
        phone_hash=phone_hash,
        code_hash=code_hash,
        now=now,
    )


async def try_code(conn: Connection, user_id: UUID, since: datetime) -> PhoneCode | None:
    """Count a try at the newest code of a user, and return it; None: there is none since then."""
    row = await sql.fetchrow(
        conn,
        """
        UPDATE phone_codes SET tries = tries + 1
        WHERE id = (SELECT id FROM phone_codes WHERE user_id = :user_id ORDER BY id DESC LIMIT 1)
          AND sent_at > :since
        RETURNING id, phone_hash, code_hash, tries
        """,
        user_id=user_id,
        since=since,
    )
    return PhoneCode(*row) if row else None
