"""The SQL of dead numbers: carriers' answers by phone, and the suppressions that follow."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from service.audience.suppressions.suppression_store import IS_NEW, merged
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.ledger.states import FAILED, sql_list
from service.storage import sql
from service.storage.postgres import Connection


async def insert_reports(
    conn: Connection, keys: Collection[MessageKey], reason: str, day: date, now: datetime
) -> list[bytes]:
    """Note which of these texts failed for this reason; returns the phones of which that is new."""
    rows = await sql.fetch(
        conn,
        f"""
        INSERT INTO dead_reports (phone_hash, run_id, day, channel_id, code, at)
        SELECT m.phone_hash, m.run_id, :day, m.channel_id, m.code, :now
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no), LATERAL (
            SELECT run_id, phone_hash, channel_id, state, reason, code FROM messages
            WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
        WHERE m.state IN {sql_list(FAILED)} AND m.reason = :reason
        ORDER BY m.phone_hash, m.run_id
        ON CONFLICT DO NOTHING
        RETURNING phone_hash
        """,  # noqa: S608  # constants
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
        reason=reason,
        day=day,
        now=now,
    )
    return [row["phone_hash"] for row in rows]


async def suppress_dead(
    conn: Connection, phones: Sequence[bytes], since: datetime, until: datetime, now: datetime
) -> int:
    """Suppress those of these phones that were called empty on two days since then, and have had no
    delivery since the first of them; returns how many were not yet.
    """
    rows = await sql.fetch(
        conn,
        f"""
        WITH called AS MATERIALIZED (
            SELECT d.phone_hash, min(d.at) AS first
            FROM unnest(:phones::bytea[]) AS p(phone_hash)
            JOIN dead_reports d ON d.phone_hash = p.phone_hash AND d.at > :since
            GROUP BY d.phone_hash HAVING count(DISTINCT d.day) > 1
        ), alive AS MATERIALIZED (
            SELECT c.phone_hash, (
                SELECT max(m.final_at)
                FROM texts_to(c.phone_hash, c.first - interval '31 days') m
                WHERE m.state = 'delivered') AS at
            FROM called c
        ), dead AS (
            SELECT d.phone_hash, min(d.day) AS one, max(d.day) AS other
            FROM alive a JOIN dead_reports d ON d.phone_hash = a.phone_hash
            WHERE d.at > greatest(a.at, :since)
            GROUP BY d.phone_hash HAVING count(DISTINCT d.day) > 1
        )
        INSERT INTO suppressions AS s
            (phone_hash, reason, note, note_cipher, source, created_at, expires_at, classes)
        SELECT phone_hash, '{Reason.DEAD_NUMBER}', format('empty number on %s and %s', one, other),
               '', 'receipts', :now, :until, '{{public_interest,service,warning}}'
        FROM dead ORDER BY phone_hash
        ON CONFLICT (phone_hash, reason, department_id) DO UPDATE SET {merged(":now")}
        RETURNING {IS_NEW}
        """,  # noqa: S608  # constants
        phones=list(phones),
        since=since,
        until=until,
        now=now,
    )
    return sum(row["is_new"] for row in rows)


async def forget_reports(conn: Connection, keys: Collection[MessageKey]) -> None:
    """Forget what was counted of the phones of these texts, and lift what followed from it."""
    await sql.execute(
        conn,
        f"""
        WITH alive AS MATERIALIZED (
            SELECT DISTINCT m.phone_hash
            FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no),
                LATERAL (
                    SELECT phone_hash FROM messages
                    WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
        ), forgotten AS (
            DELETE FROM dead_reports d USING alive a WHERE d.phone_hash = a.phone_hash
        )
        DELETE FROM suppressions s USING alive a
        WHERE s.phone_hash = a.phone_hash AND s.reason = '{Reason.DEAD_NUMBER}'
          AND s.source = 'receipts'
        """,  # noqa: S608  # a constant
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
    )


async def delete_old(conn: Connection, before: datetime) -> None:
    """Delete the answers from before this instant."""
    await sql.execute(conn, "DELETE FROM dead_reports WHERE at < :before", before=before)
