"""The SQL of the daily reconciliation.

The figures of one report come from one statement, so from one snapshot. A day's parts are found by
the summary index on `parts.at`, its hand-offs by the runs that were open on that day.
"""

from dataclasses import dataclass
from datetime import datetime

from service.ledger.reasons import Place, Reason
from service.ledger.states import FINAL_AFTER_HANDOFF, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record

_SETTLED_HERE = Reason.at(Place.DECISION)
_NO_RECEIPT = [*_SETTLED_HERE, Reason.NO_RECEIPT]
"""The reasons of results that no receipt has given."""


@dataclass(frozen=True, slots=True)
class DaySpan:
    """From the first instant of a day to the first one of the next."""

    start: datetime
    end: datetime


async def count_day(
    conn: Connection, span: DaySpan, channel_id: int | None, now: datetime
) -> list[Record]:
    """All figures of a day, as (channel_id, section, key, n), only those that are not zero.

    Sections: `submits` (messages handed off on that day by state), `ledger` (messages and parts
    the carrier took on that day, references kept of them), `references` (parts of that day by what
    is known of them), `results` (those with a receipt, by its state), `receipts` (what came on that
    day and is not folded, by where it is).
    """
    return await sql.fetch(
        conn,
        f"""
        WITH handed AS (
            SELECT m.channel_id, m.state, m.run_id, m.no, m.part_count,
                   m.marked_at >= :start AND m.marked_at < :end AS marked,
                   m.submitted_at >= :start AND m.submitted_at < :end AS taken
            FROM runs r CROSS JOIN LATERAL (  -- each ledger by its key, however many there are
                SELECT * FROM messages
                WHERE run_id = r.id AND (marked_at >= :start AND marked_at < :end
                                         OR submitted_at >= :start AND submitted_at < :end)
                OFFSET 0) m
            WHERE r.created_at < :end AND (r.finished_at IS NULL OR r.finished_at >= :start)
              AND (:channel_id::smallint IS NULL OR m.channel_id = :channel_id)
        ), submits AS (
            SELECT channel_id, state, count(*) FILTER (WHERE marked) AS messages,
                   count(*) FILTER (WHERE taken) AS taken,
                   coalesce(sum(part_count) FILTER (WHERE taken), 0) AS parts
            FROM handed GROUP BY channel_id, state
        ), part AS (
            SELECT p.channel_id, p.at,
                   m.attempt = p.attempt AND m.channel_id = p.channel_id AND m.state <> 'queued'
                       AS present,
                   m.run_id IS NULL AS orphan,
                   m.submitted_at >= :start AND m.submitted_at < :end AS taken,
                   c.receipts = 'last' AND p.part < m.part_count AND p.state IS NULL AS not_asked,
                   m.state IN {sql_list(FINAL_AFTER_HANDOFF)}
                       AND m.reason IN {sql_list(_SETTLED_HERE)} AS decided,
                   CASE WHEN m.part_count > 1 THEN p.state  -- of a single part: the message's own
                        WHEN m.state IN {sql_list(FINAL_AFTER_HANDOFF)}
                          AND coalesce(m.reason, '') NOT IN {sql_list(_NO_RECEIPT)}
                        THEN m.state END AS result
            FROM parts p
            JOIN channels c ON c.id = p.channel_id
            LEFT JOIN messages m ON m.run_id = p.run_id AND m.no = p.no
            WHERE p.at >= :start AND p.at < :end
              AND (:channel_id::smallint IS NULL OR p.channel_id = :channel_id)
        ), standing AS (
            SELECT channel_id, result, present AND taken AS counted,
                   CASE WHEN orphan THEN 'without_message'
                        WHEN NOT present THEN 'moved_on'
                        WHEN result IS NOT NULL THEN 'answered'
                        WHEN decided THEN 'decided'
                        WHEN not_asked THEN 'not_asked'
                        WHEN at > :now::timestamptz - interval '24 hours' THEN 'waiting'
                        WHEN at > :now::timestamptz - interval '72 hours' THEN 'missing_24h'
                        ELSE 'missing_72h' END AS standing
            FROM part
        ), counted AS (
            SELECT channel_id, standing, result, counted, count(*) AS n
            FROM standing GROUP BY channel_id, standing, result, counted
        ), figures AS (
            SELECT channel_id, 'submits' AS section, state::text AS key, messages AS n FROM submits
            UNION ALL SELECT channel_id, 'ledger', 'messages', taken FROM submits
            UNION ALL SELECT channel_id, 'ledger', 'parts', parts FROM submits
            UNION ALL SELECT channel_id, 'ledger', 'references', n FROM counted WHERE counted
            UNION ALL SELECT channel_id, 'references', standing, n FROM counted
            UNION ALL SELECT channel_id, 'results', result::text, n FROM counted
                      WHERE standing = 'answered'
            UNION ALL SELECT channel_id, 'receipts', 'inbox', 1 FROM receipt_inbox
                      WHERE received_at >= :start AND received_at < :end
            UNION ALL SELECT channel_id, 'receipts', why, 1 FROM receipts_unmatched
                      WHERE received_at >= :start AND received_at < :end
            UNION ALL SELECT channel_id, 'receipts', 'dismissed', 1 FROM receipts_dismissed
                      WHERE received_at >= :start AND received_at < :end
        )
        SELECT channel_id, section, key, sum(n)::bigint AS n FROM figures
        WHERE :channel_id::smallint IS NULL OR channel_id = :channel_id
        GROUP BY channel_id, section, key HAVING sum(n) > 0
        ORDER BY channel_id, section, key
        """,  # noqa: S608  # constants
        start=span.start,
        end=span.end,
        channel_id=channel_id,
        now=now,
    )


async def channel_names(conn: Connection, channel_id: int | None) -> list[Record]:
    """The id and name of one channel, or of all, by id."""
    return await sql.fetch(
        conn,
        """
        SELECT id, name FROM channels WHERE :channel_id::smallint IS NULL OR id = :channel_id
        ORDER BY id
        """,
        channel_id=channel_id,
    )
