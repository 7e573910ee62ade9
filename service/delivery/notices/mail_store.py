"""The SQL of mails: each is claimed before it leaves, and what became of it is written down."""

from collections.abc import Sequence
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


async def list_pack_readers(conn: Connection) -> list[UUID]:
    """Who wants a mail of each version of a pack, and has proved an address."""
    rows = await sql.fetch(
        conn,
        """
        SELECT c.user_id FROM notice_choices c JOIN users u ON u.id = c.user_id
        WHERE c.packs AND c.mail_proved_at IS NOT NULL AND u.disabled_at IS NULL
        ORDER BY c.user_id
        """,
    )
    return [row["user_id"] for row in rows]


async def insert_pack_mails(
    conn: Connection, week: str, version: int, users: Sequence[UUID], now: datetime
) -> None:
    """A mail of a version of a pack to each of these users; nobody gets a second one of it."""
    await sql.execute(
        conn,
        """
        INSERT INTO notice_mails (user_id, made_at, next_at, pack_week, pack_version)
        SELECT id, :now, :now, :week, :version FROM unnest(:users::uuid[]) AS id
        ON CONFLICT DO NOTHING
        """,
        week=week,
        version=version,
        users=list(users),
        now=now,
    )


async def list_pack_mails(conn: Connection, user_id: UUID, limit: int) -> list[Record]:
    """A user's last mails of packs, from new to old: pack_week, pack_version, made_at, state,
    error.
    """
    return await sql.fetch(
        conn,
        """
        SELECT pack_week, pack_version, made_at, state, error FROM notice_mails
        WHERE user_id = :user_id AND pack_week IS NOT NULL ORDER BY id DESC LIMIT :limit
        """,
        user_id=user_id,
        limit=limit,
    )


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
    attempt provably sent nothing. id, made_at, attempts, code_cipher (null: it is of no code);
    pack_week, pack_version (null: it is of no pack), with units, handed_in and manifest_sha256 of
    that version; mail_cipher (null: the person has taken the address away, or wants no packs any
    more) and language, as they are now. None: none is due.
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
            RETURNING m.id, m.user_id, m.made_at, m.attempts, m.code_cipher, m.pack_week,
                m.pack_version
        )
        SELECT t.id, t.made_at, t.attempts, t.code_cipher, c.language, t.pack_week, t.pack_version,
               p.units, p.handed_in, p.manifest_sha256,
               CASE WHEN t.pack_week IS NULL OR c.packs AND c.mail_proved_at IS NOT NULL
                        AND u.disabled_at IS NULL THEN c.mail_cipher END AS mail_cipher
        FROM taken t JOIN users u ON u.id = t.user_id
        LEFT JOIN notice_choices c ON c.user_id = t.user_id
        LEFT JOIN packs p ON (p.week, p.version) = (t.pack_week, t.pack_version)
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
