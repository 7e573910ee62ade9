"""The SQL of what webhooks are told: from an event to its deliveries, and each one's calls."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record, affected, one


async def hand_out(conn: Connection, limit: int, now: datetime) -> int:
    """Give up to so many new events to the webhooks that want them; returns how many there were."""
    count: int = await sql.fetchval(
        conn,
        """
        WITH news AS (
            DELETE FROM webhook_news WHERE event_id IN (
                SELECT event_id FROM webhook_news ORDER BY event_id LIMIT :limit
                FOR UPDATE SKIP LOCKED)
            RETURNING event_id
        ), wanted AS (
            INSERT INTO webhook_deliveries (webhook_id, event_id, next_at)
            SELECT w.id, e.id, :now
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
        limit=limit,
        now=now,
    )
    return count


async def due_webhooks(conn: Connection, now: datetime) -> list[UUID]:
    """The webhooks with a call that is due."""
    rows = await sql.fetch(
        conn,
        """
        SELECT w.id FROM webhooks w
        WHERE w.disabled_at IS NULL AND w.deleted_at IS NULL
          AND (w.rest_until IS NULL OR w.rest_until <= :now) AND EXISTS (
            SELECT FROM webhook_deliveries d
            WHERE d.webhook_id = w.id AND d.state = 'waiting' AND d.next_at <= :now)
        ORDER BY w.id
        """,
        now=now,
    )
    return [row["id"] for row in rows]


async def claim(
    conn: Connection, webhook_id: UUID, limit: int, until: datetime, now: datetime
) -> list[Record]:
    """Take the calls that are due, oldest first; nobody else takes them before `until`.

    Of a webhook that has just failed, one is taken, to try it.

    A process that dies leaves them due at `until`: an event may be told twice, under one id.
    """
    return await sql.fetch(
        conn,
        """
        WITH mine AS (
            SELECT d.webhook_id, d.event_id FROM webhook_deliveries d
            JOIN webhooks w ON w.id = d.webhook_id
            WHERE d.webhook_id = :webhook_id AND d.state = 'waiting' AND d.next_at <= :now
              AND w.disabled_at IS NULL AND w.deleted_at IS NULL
              AND (w.rest_until IS NULL OR w.rest_until <= :now)
            ORDER BY d.next_at, d.event_id
            LIMIT (SELECT CASE WHEN failures > 0 THEN 1 ELSE :limit::int END
                   FROM webhooks WHERE id = :webhook_id)
            FOR UPDATE OF d SKIP LOCKED
        ), taken AS (
            UPDATE webhook_deliveries d SET next_at = :until, attempt = d.attempt + 1,
                first_at = coalesce(d.first_at, :now)
            FROM mine m WHERE d.webhook_id = m.webhook_id AND d.event_id = m.event_id
            RETURNING d.event_id, d.attempt, d.first_at
        )
        SELECT t.*, e.type, e.data, e.at, w.url, w.secret_cipher
        FROM taken t JOIN webhook_events e ON e.id = t.event_id
        JOIN webhooks w ON w.id = :webhook_id
        ORDER BY t.event_id
        """,
        webhook_id=webhook_id,
        limit=limit,
        until=until,
        now=now,
    )


async def release(
    conn: Connection, webhook_id: UUID, event_ids: Sequence[int], at: datetime
) -> None:
    """Give back calls that were taken and not made."""
    await sql.execute(
        conn,
        """
        UPDATE webhook_deliveries SET next_at = :at, attempt = attempt - 1
        WHERE webhook_id = :webhook_id AND event_id = ANY(:event_ids) AND state = 'waiting'
        """,
        webhook_id=webhook_id,
        event_ids=list(event_ids),
        at=at,
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
    await sql.execute(
        conn,
        """
        UPDATE webhook_deliveries SET state = :state, next_at = coalesce(:next_at, next_at),
            status = :status,
            error = nullif(:error, ''),
                ended_at = CASE WHEN :state <> 'waiting' THEN :now::timestamptz END
        WHERE webhook_id = :webhook_id AND event_id = :event_id
        """,
        webhook_id=webhook_id,
        event_id=event_id,
        state=state,
        next_at=next_at,
        status=status,
        error=error,
        now=now,
    )


async def note_success(conn: Connection, webhook_id: UUID) -> None:
    """It has taken a call."""
    await sql.execute(
        conn,
        """
        UPDATE webhooks SET failing_since = NULL, failures = 0, rest_until = NULL
        WHERE id = :webhook_id AND (failures > 0 OR rest_until IS NOT NULL)
        """,
        webhook_id=webhook_id,
    )


async def note_failure(conn: Connection, webhook_id: UUID, now: datetime) -> tuple[int, datetime]:
    """It has not taken a call: how often in a row now, and since when it takes none."""
    row = one(
        await sql.fetchrow(
            conn,
            """
            UPDATE webhooks SET failures = failures + 1,
                failing_since = coalesce(failing_since, :now)
            WHERE id = :webhook_id RETURNING failures, failing_since
            """,
            webhook_id=webhook_id,
            now=now,
        )
    )
    return row["failures"], row["failing_since"]


async def rest(conn: Connection, webhook_id: UUID, until: datetime) -> None:
    """Call it no more before then."""
    await sql.execute(
        conn,
        "UPDATE webhooks SET rest_until = :until WHERE id = :webhook_id",
        webhook_id=webhook_id,
        until=until,
    )


async def list_deliveries(
    conn: Connection, webhook_id: UUID, before: int | None, limit: int, state: str | None
) -> list[Record]:
    """A page of what it was told, from new to old."""
    return await sql.fetch(
        conn,
        """
        SELECT d.event_id, e.type, e.at, d.state, d.attempt, d.next_at, d.status, d.error,
               d.ended_at
        FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
        WHERE d.webhook_id = :webhook_id AND (:before::bigint IS NULL OR d.event_id < :before)
          AND (:state::text IS NULL OR d.state = :state)
        ORDER BY d.event_id DESC LIMIT :limit
        """,
        webhook_id=webhook_id,
        before=before,
        limit=limit,
        state=state,
    )


async def replay(
    conn: Connection, webhook_id: UUID, since: datetime, now: datetime, *, all_of_them: bool
) -> int:
    """Make calls again from then on: those that were given up, or all; returns how many."""
    status = await sql.execute(
        conn,
        """
        UPDATE webhook_deliveries d SET state = 'waiting', attempt = 0, first_at = NULL,
            next_at = :now, ended_at = NULL
        FROM webhook_events e
        WHERE d.webhook_id = :webhook_id AND e.id = d.event_id AND e.at >= :since
          AND d.state <> 'waiting' AND (d.state = 'given_up' OR :all_of_them)
        """,
        webhook_id=webhook_id,
        since=since,
        now=now,
        all_of_them=all_of_them,
    )
    return affected(status)


async def forget_events(conn: Connection, before: datetime, limit: int) -> int:
    """Drop events older than that, of the oldest so many; returns how many.

    What still waits for a webhook is kept, unless that one is switched off: it could wait for ever.
    """
    status = await sql.execute(
        conn,
        """
        DELETE FROM webhook_events WHERE id IN (
            SELECT e.id FROM (SELECT id, at FROM webhook_events ORDER BY id LIMIT :limit) e
            WHERE e.at < :before AND NOT EXISTS (
                SELECT FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
                WHERE d.event_id = e.id AND d.state = 'waiting' AND w.disabled_at IS NULL))
        """,
        before=before,
        limit=limit,
    )
    return affected(status)
