"""The SQL of mails: each is claimed before it leaves, and what became of it is written down."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


class MailResult(NamedTuple):
    """What an attempt came to. next_at: when a mail that still waits is tried again."""

    state: str
    error: str = ""
    next_at: datetime | None = None


async def insert_mail(conn: Connection, user_id: UUID, now: datetime) -> UUID:
    """A mail to a user, which is to be sent at once."""
    mail_id: UUID = await sql.fetchval(
        conn,
        "INSERT INTO notice_mails (user_id, made_at, next_at) VALUES (:user_id, :now, :now)"
        " RETURNING id",
        user_id=user_id,
        now=now,
    )
    return mail_id


async def mails_wait(conn: Connection, now: datetime) -> bool:
    """Whether a mail is to be sent, or one has been leaving for too long."""
    waits: bool = await sql.fetchval(
        conn,
        "SELECT EXISTS (SELECT FROM notice_mails"
        " WHERE state IN ('waiting', 'leaving') AND next_at <= :now)",
        now=now,
    )
    return waits


async def note_lost_mails(conn: Connection, error: str, now: datetime) -> list[UUID]:
    """Mails whose process has not said what became of them may have left: they are not sent again.
    Returns them.
    """
    rows = await sql.fetch(
        conn,
        """
        UPDATE notice_mails SET state = 'uncertain', error = :error, ended_at = :now
        WHERE state = 'leaving' AND next_at <= :now RETURNING id
        """,
        error=error,
        now=now,
    )
    return [row["id"] for row in rows]


async def claim_mail(conn: Connection, until: datetime, now: datetime) -> Record | None:
    """Take the mail that has been due for longest: nobody else takes it, now or later, unless its
    attempt provably sent nothing. id, made_at, attempts, code_cipher (null: it is of notices);
    mail_cipher (null: the person has taken the address away) and language, as they are now. None:
    none is due.
    """
    return await sql.fetchrow(
        conn,
        """
        WITH mine AS (
            SELECT id FROM notice_mails WHERE state = 'waiting' AND next_at <= :now
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE notice_mails m SET state = 'leaving', attempts = attempts + 1,
                next_at = :until
            FROM mine WHERE m.id = mine.id
            RETURNING m.id, m.user_id, m.made_at, m.attempts, m.code_cipher
        )
        SELECT t.id, t.made_at, t.attempts, t.code_cipher, c.mail_cipher, c.language
        FROM taken t LEFT JOIN notice_choices c ON c.user_id = t.user_id
        """,
        until=until,
        now=now,
    )


async def count_kinds(conn: Connection, mail_id: UUID) -> dict[str, int]:
    """Of how many notices of each kind a mail tells."""
    rows = await sql.fetch(
        conn,
        "SELECT kind, count(*) AS n FROM notices WHERE mail_id = :mail_id GROUP BY kind",
        mail_id=mail_id,
    )
    return {row["kind"]: row["n"] for row in rows}


async def record_mail(conn: Connection, mail_id: UUID, result: MailResult, now: datetime) -> None:
    """Write down what became of a mail that was claimed; also of one that was given up for lost."""
    await sql.execute(
        conn,
        """
        UPDATE notice_mails SET state = :state, error = :error,
            next_at = coalesce(:next_at, next_at),
            code_cipher = CASE WHEN :state = 'waiting' THEN code_cipher END,
            ended_at = CASE WHEN :state <> 'waiting' THEN :now::timestamptz END
        WHERE id = :mail_id
          AND (state = 'leaving' OR state = 'uncertain' AND :state IN ('sent', 'given_up'))
        """,
        mail_id=mail_id,
        state=result.state,
        error=result.error,
        next_at=result.next_at,
        now=now,
    )


async def count_mails(conn: Connection, since: datetime) -> dict[str, int]:
    """How many mails of each state there are, of those made since then."""
    rows = await sql.fetch(
        conn,
        "SELECT state, count(*) AS n FROM notice_mails WHERE made_at > :since GROUP BY state",
        since=since,
    )
    return {row["state"]: row["n"] for row in rows}
