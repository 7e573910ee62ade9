"""The SQL of why a text waits: everything about its run and its channel that may keep it."""

from collections.abc import Sequence
from datetime import datetime

from service.ledger.message_id import MessageKey
from service.storage import sql
from service.storage.postgres import Connection, Record


async def queued_texts(conn: Connection, keys: Sequence[MessageKey], now: datetime) -> list[Record]:
    """Those of these texts that are queued, each with what may keep it.

    retry_at, deferred_until: of the text, where they lie ahead. department_until: until then the
    department's own quota is used up. behind_canary: it waits for what becomes of the first people.
    up: whether any connection of the channel is logged in. breaker: None where the channel works.
    """
    return await sql.fetch(
        conn,
        """
        SELECT m.run_id, m.no, m.channel_id, m.reason,
               r.state AS run_state, r.class, r.send_hours, r.timezone, r.audience,
               r.beyond_hours, r.on_quiet_days,
               EXISTS (SELECT FROM stops WHERE lifted_at IS NULL) AS stopped,
               CASE WHEN d.held_until > :now THEN d.held_until END AS department_until,
               (SELECT a.next_at FROM attempts a
                WHERE a.run_id = m.run_id AND a.no = m.no AND a.attempt = m.attempt
                  AND a.next_at > :now) AS retry_at,
               (SELECT f.not_before FROM deferrals f
                WHERE f.run_id = m.run_id AND f.no = m.no AND f.not_before > :now)
                   AS deferred_until,
               coalesce(r.canary, 'passed') <> 'passed' AND NOT EXISTS (
                   SELECT FROM slices s
                   WHERE s.run_id = m.run_id AND s.channel_id = m.channel_id AND s.canary
                     AND m.no BETWEEN s.first_no AND s.last_no) AS behind_canary,
               h.kind, h.enabled, h.maintenance, h.held_by,
               CASE WHEN h.held_until > :now THEN h.held_until END AS held_until,
               EXISTS (
                   SELECT FROM connections k
                   WHERE k.channel_id = h.id AND k.slot < h.connections AND k.state = 'up'
                     AND k.expires_at > clock_timestamp()) AS up,
               CASE WHEN b.state <> 'closed' THEN b.cause END AS breaker
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS asked(run_id, no), LATERAL (
            SELECT run_id, no, channel_id, reason, attempt, state FROM messages
            WHERE run_id = asked.run_id AND no = asked.no OFFSET 0) m
        JOIN runs r ON r.id = m.run_id
        JOIN departments d ON d.id = r.department_id
        JOIN channels h ON h.id = m.channel_id
        LEFT JOIN circuit_breakers b ON b.channel_id = h.id
        WHERE m.state = 'queued'
        """,
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
        now=now,
    )
