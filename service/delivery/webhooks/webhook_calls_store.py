"""The SQL of what webhooks are told: from an event to its deliveries, and each one's calls."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.storage.postgres import Connection, Record, affected, one


async def hand_out(conn: Connection, limit: int, now: datetime) -> int:
    """Give up to so many new events to the webhooks that want them; returns how many there were."""
    count: int = await conn.fetchval(
        """
        WITH news AS (
            DELETE FROM webhook_news WHERE event_id IN (
                SELECT event_id FROM webhook_news ORDER BY event_id LIMIT $1
                FOR UPDATE SKIP LOCKED)
            RETURNING event_id
        ), wanted AS (
            INSERT INTO webhook_deliveries (webhook_id, event_id, next_at)
            SELECT w.id, e.id, $2
            FROM news n JOIN webhook_events e ON e.id = n.event_id
            CROSS JOIN LATERAL (  -- a department may have named any number of callback_urls
                SELECT id, events FROM webhooks
                WHERE department_id = e.department_id AND NOT run_calls_back
                  AND deleted_at IS NULL AND disabled_at IS NULL
                UNION ALL
                SELECT b.id, b.events FROM runs r JOIN webhooks b ON b.id = r.webhook_id
                WHERE r.id = e.run_id AND b.department_id = e.department_id AND b.run_calls_back
                  AND b.deleted_at IS NULL AND b.disabled_at IS NULL) w
            WHERE e.type = ANY (w.events)
            ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM news
        """,
        limit,
        now,
    )
    return count


async def due_webhooks(conn: Connection, now: datetime) -> list[UUID]:
    """The webhooks with a call that is due."""
    rows = await conn.fetch(
        """
        SELECT w.id FROM webhooks w
        WHERE w.disabled_at IS NULL AND w.deleted_at IS NULL
          AND (w.rest_until IS NULL OR w.rest_until <= $1) AND EXISTS (
            SELECT FROM webhook_deliveries d
            WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.next_at <= $1)
        ORDER BY w.id
        """,
        now,
    )
    return [row["id"] for row in rows]


async def claim(
    conn: Connection, webhook_id: UUID, limit: int, until: datetime, now: datetime
) -> list[Record]:
    """Take the calls that are due, oldest first; nobody else takes them before `until`.

    Of a webhook that has just failed, one is taken, to try it.

    A process that dies leaves them due at `until`: an event may be told twice, under one id.
    """
    return await conn.fetch(
        """
        WITH mine AS (
            SELECT d.webhook_id, d.event_id FROM webhook_deliveries d
            JOIN webhooks w ON w.id = d.webhook_id
            WHERE d.webhook_id = $1 AND d.state = 'waiting' AND d.next_at <= $4
              AND w.disabled_at IS NULL AND w.deleted_at IS NULL
              AND (w.rest_until IS NULL OR w.rest_until <= $4)
            ORDER BY d.next_at, d.event_id
            LIMIT (SELECT CASE WHEN failures > 0 THEN 1 ELSE $2::int END
                   FROM webhooks WHERE id = $1)
            FOR UPDATE OF d SKIP LOCKED
        ), taken AS (
            UPDATE webhook_deliveries d SET next_at = $3, attempt = d.attempt + 1,
                first_at = coalesce(d.first_at, $4)
            FROM mine m WHERE d.webhook_id = m.webhook_id AND d.event_id = m.event_id
            RETURNING d.event_id, d.attempt, d.first_at
        )
        SELECT t.*, e.type, e.data, e.at, w.url, w.secret_cipher
        FROM taken t JOIN webhook_events e ON e.id = t.event_id
        JOIN webhooks w ON w.id = $1
        ORDER BY t.event_id
        """,
        webhook_id,
        limit,
        until,
        now,
    )


async def release(
    conn: Connection, webhook_id: UUID, event_ids: Sequence[int], at: datetime
) -> None:
    """Give back calls that were taken and not made."""
    await conn.execute(
        """
        UPDATE webhook_deliveries SET next_at = $3, attempt = attempt - 1
        WHERE webhook_id = $1 AND event_id = ANY($2) AND state = 'waiting'
        """,
        webhook_id,
        list(event_ids),
        at,
    )


async def record(
    conn: Connection,
    webhook_id: UUID,
    event_id: int,
    state: str,
    next_at: datetime | None,
    status: int | None,
    error: str,
    now: datetime,
) -> None:
    """Note what a call came to; `next_at` is for one that is made again."""
    await conn.execute(
        """
        UPDATE webhook_deliveries SET state = $3, next_at = coalesce($4, next_at), status = $5,
            error = nullif($6, ''), ended_at = CASE WHEN $3 <> 'waiting' THEN $7::timestamptz END
        WHERE webhook_id = $1 AND event_id = $2
        """,
        webhook_id,
        event_id,
        state,
        next_at,
        status,
        error,
        now,
    )


async def note_success(conn: Connection, webhook_id: UUID) -> None:
    """It has taken a call."""
    await conn.execute(
        """
        UPDATE webhooks SET failing_since = NULL, failures = 0, rest_until = NULL
        WHERE id = $1 AND (failures > 0 OR rest_until IS NOT NULL)
        """,
        webhook_id,
    )


async def note_failure(conn: Connection, webhook_id: UUID, now: datetime) -> tuple[int, datetime]:
    """It has not taken a call: how often in a row now, and since when it takes none."""
    row = one(
        await conn.fetchrow(
            """
            UPDATE webhooks SET failures = failures + 1,
                failing_since = coalesce(failing_since, $2)
            WHERE id = $1 RETURNING failures, failing_since
            """,
            webhook_id,
            now,
        )
    )
    return row["failures"], row["failing_since"]


async def rest(conn: Connection, webhook_id: UUID, until: datetime) -> None:
    """Call it no more before then."""
    await conn.execute("UPDATE webhooks SET rest_until = $2 WHERE id = $1", webhook_id, until)


async def list_deliveries(
    conn: Connection, webhook_id: UUID, before: int | None, limit: int, state: str | None
) -> list[Record]:
    """A page of what it was told, from new to old."""
    return await conn.fetch(
        """
        SELECT d.event_id, e.type, e.at, d.state, d.attempt, d.next_at, d.status, d.error,
               d.ended_at
        FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
        WHERE d.webhook_id = $1 AND ($2::bigint IS NULL OR d.event_id < $2)
          AND ($4::text IS NULL OR d.state = $4)
        ORDER BY d.event_id DESC LIMIT $3
        """,
        webhook_id,
        before,
        limit,
        state,
    )


async def replay(
    conn: Connection, webhook_id: UUID, since: datetime, now: datetime, *, all_of_them: bool
) -> int:
    """Make calls again from then on: those that were given up, or all; returns how many."""
    status = await conn.execute(
        """
        UPDATE webhook_deliveries d SET state = 'waiting', attempt = 0, first_at = NULL,
            next_at = $3, ended_at = NULL
        FROM webhook_events e
        WHERE d.webhook_id = $1 AND e.id = d.event_id AND e.at >= $2
          AND d.state <> 'waiting' AND (d.state = 'given_up' OR $4)
        """,
        webhook_id,
        since,
        now,
        all_of_them,
    )
    return affected(status)


async def forget_events(conn: Connection, before: datetime, limit: int) -> int:
    """Drop events older than that, of the oldest so many; returns how many.

    What still waits for a webhook is kept, unless that one is switched off: it could wait for ever.
    """
    status = await conn.execute(
        """
        DELETE FROM webhook_events WHERE id IN (
            SELECT e.id FROM (SELECT id, at FROM webhook_events ORDER BY id LIMIT $2) e
            WHERE e.at < $1 AND NOT EXISTS (
                SELECT FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
                WHERE d.event_id = e.id AND d.state = 'waiting' AND w.disabled_at IS NULL))
        """,
        before,
        limit,
    )
    return affected(status)
