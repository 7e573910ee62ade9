"""The SQL of reports: counting the ledger."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from service.audience.suppressions.suppression_store import stops
from service.storage import sql
from service.storage.postgres import Connection, Record


async def get_run(conn: Connection, run_id: uuid.UUID) -> Record | None:
    """A run."""
    return await sql.fetchrow(conn, "SELECT * FROM runs WHERE id = :run_id", run_id=run_id)


async def count_messages(conn: Connection, run_id: uuid.UUID) -> list[Record]:
    """Messages and submitted parts by state, reason, carrier, town and roles, in the one reading of
    the ledger that a report takes.
    """
    async with conn.transaction():
        # Statistics take every mix of state, reason, carrier, town and roles for a group, so the
        # planner expects as many groups as texts and sorts the whole ledger of the run. There are a
        # few hundred, which hashing counts in a third of the time.
        await conn.execute("SET LOCAL enable_sort = off")
        rows = await sql.fetch(
            conn,
            """
            SELECT state::text, reason, carrier, left(area_code, 9) || '000' AS town, roles,
                   count(*) AS messages,
                   coalesce(sum(part_count) FILTER (WHERE submitted_at IS NOT NULL), 0) AS parts
            FROM ledger_of(:run_id)
            GROUP BY state, reason, carrier, left(area_code, 9), roles
            """,
            run_id=run_id,
        )
        await conn.execute("SET LOCAL enable_sort = on")
    return rows


async def count_earlier_parts(conn: Connection, run_id: uuid.UUID) -> int:
    """Parts that the carriers took at hand-offs which another one followed."""
    count: int = await sql.fetchval(
        conn,
        """
        SELECT coalesce(sum(part_count), 0) FROM attempts
        WHERE run_id = :run_id AND submitted_at IS NOT NULL
        """,
        run_id=run_id,
    )
    return count


async def count_exclusions(conn: Connection, run_id: uuid.UUID) -> dict[str, int]:
    """People left out at expansion, by reason."""
    rows = await sql.fetch(
        conn,
        "SELECT reason, count(*) AS people FROM exclusions_of(:run_id) GROUP BY reason",
        run_id=run_id,
    )
    return {row["reason"]: row["people"] for row in rows}


async def read_one_moment(conn: Connection) -> None:
    """Let the transaction that begins here see the database as it is now, to its end."""
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


async def logins(conn: Connection) -> dict[uuid.UUID, str]:
    """The login of each user."""
    return {row["id"]: row["login"] for row in await conn.fetch("SELECT id, login FROM users")}


async def walk_ledger(conn: Connection, run_id: uuid.UUID) -> AsyncIterator[Record]:
    """A run's ledger in its order, without anybody's number or name; inside a transaction."""
    cursor = sql.cursor(
        conn,
        """
        SELECT no, encode(phone_hash, 'hex') AS phone_hash, state::text,
               shown_reason(reason) AS reason, code, carrier,
               area_code, channel_id, attempt, part_count, marked_at, submitted_at, final_at
        FROM messages WHERE run_id = :run_id ORDER BY no
        """,
        run_id=run_id,
        prefetch=500,
    )
    async for row in cursor:
        yield row


_MESSAGES = """
    SELECT run_id, no, phone_cipher, state::text, shown_reason(reason) AS reason, code, carrier,
           area_code, attempt,
           part_count, marked_at, submitted_at, final_at
    FROM messages
"""


async def find_messages(conn: Connection, run_id: uuid.UUID, nos: Sequence[int]) -> list[Record]:
    """These rows of the ledger."""
    return await sql.fetch(
        conn,
        f"{_MESSAGES} WHERE run_id = :run_id AND no = ANY(:nos) ORDER BY no",
        run_id=run_id,
        nos=list(nos),
    )


async def list_messages(
    conn: Connection, run_id: uuid.UUID, after_no: int, limit: int, state: str | None
) -> list[Record]:
    """A page of the ledger."""
    return await sql.fetch(
        conn,
        f"""
        {_MESSAGES}
        WHERE run_id = :run_id AND no > :after_no
          AND (:state::text IS NULL OR state = :state::message_state)
        ORDER BY no LIMIT :limit
        """,
        run_id=run_id,
        after_no=after_no,
        limit=limit,
        state=state,
    )


async def list_attempts(conn: Connection, run_id: uuid.UUID, nos: Sequence[int]) -> list[Record]:
    """The hand-offs of these messages that left or may have, from the first to the last."""
    return await sql.fetch(
        conn,
        """
        SELECT h.no, h.attempt, h.channel_id, c.name AS channel, h.state::text, h.reason, h.code,
               h.part_count, h.marked_at, h.submitted_at, h.ended_at, h.next_at
        FROM (
            SELECT no, attempt, channel_id, state, reason, code, part_count, marked_at,
                   submitted_at, ended_at, next_at
            FROM attempts WHERE run_id = :run_id AND no = ANY(:nos)
            UNION ALL
            SELECT no, attempt, channel_id, state, reason, code, part_count, marked_at,
                   submitted_at, final_at, NULL
            FROM messages WHERE run_id = :run_id AND no = ANY(:nos) AND marked_at IS NOT NULL) h
        LEFT JOIN channels c ON c.id = h.channel_id
        ORDER BY h.no, h.attempt
        """,
        run_id=run_id,
        nos=nos,
    )


async def list_sent_to(
    conn: Connection, phone_hash: bytes, department_id: uuid.UUID, since: datetime, limit: int
) -> list[Record]:
    """What a department's runs since then meant for one number, the latest first: a row of the
    ledger, or (`no` null) an exclusion.
    """
    return await sql.fetch(
        conn,
        """
        SELECT r.id AS run_id, r.campaign_id, r.class, r.text, r.created_at, m.no,
               m.state, shown_reason(m.reason) AS reason, m.submitted_at, m.final_at
        FROM (
            SELECT run_id, no, state::text, reason, submitted_at, final_at
            FROM texts_to(:phone_hash, :since)
            UNION ALL
            SELECT run_id, NULL, NULL, reason, NULL, NULL FROM exclusions
            WHERE phone_hash = :phone_hash AND direct
            UNION ALL
            SELECT e.run_id, NULL, NULL, e.reason, NULL, NULL
            FROM campaigns c,
                LATERAL (SELECT id FROM runs
                         WHERE campaign_id = c.id AND created_at >= :since OFFSET 0) r,
                LATERAL (SELECT run_id, reason FROM exclusions
                         WHERE run_id = r.id AND phone_hash = :phone_hash AND NOT direct OFFSET 0) e
            WHERE c.department_id = :department_id) m,
        LATERAL (  -- run by run: statistics know nothing of the newest
            SELECT * FROM runs
            WHERE id = m.run_id AND department_id = :department_id
              AND created_at >= :since OFFSET 0) r
        ORDER BY r.created_at DESC, r.id DESC LIMIT :limit
        """,
        phone_hash=phone_hash,
        department_id=department_id,
        since=since,
        limit=limit,
    )


async def list_stops(
    conn: Connection, phone_hash: bytes, department_id: uuid.UUID, now: datetime
) -> list[Record]:
    """What is stopped now of what this department sends to a number."""
    return await sql.fetch(
        conn,
        f"""
        SELECT reason, held AS classes, created_at AS since, expires_at AS until
        FROM (
            SELECT s.*, ARRAY(SELECT c FROM unnest(s.classes) c
                              WHERE {stops("s", "c", ":department_id", ":now")})
                AS held
            FROM suppressions s WHERE s.phone_hash = :phone_hash) s
        WHERE held <> '{{}}' ORDER BY created_at, reason
        """,  # noqa: S608  # constants
        phone_hash=phone_hash,
        department_id=department_id,
        now=now,
    )
