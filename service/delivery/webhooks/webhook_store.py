"""The table of webhooks, in SQL; `webhook_calls_store` has what they are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.errors import Conflict, NotFound
from service.storage import sql
from service.storage.postgres import Connection, Record, UniqueViolation
from service.words.phrase import phrase


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address of a department that is called. run_calls_back: only about runs that named it."""

    id: UUID
    department_id: UUID
    url: str
    events: tuple[str, ...]
    run_calls_back: bool
    created_by: UUID
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_why: str | None


_WEBHOOK = """
    SELECT id, department_id, url, events, run_calls_back, created_by, created_at, failing_since,
           disabled_at, disabled_why
    FROM webhooks
"""
MOST_OF_A_DEPARTMENT = 20


async def insert_webhook(
    conn: Connection,
    department_id: UUID,
    url: str,
    events: Sequence[str],
    secret_cipher: bytes,
    user_id: UUID,
    now: datetime,
) -> Webhook:
    """Make a webhook.

    Raises:
        Conflict: the department has as many as it may.
    """
    await _make_room(conn, department_id)
    webhook_id = await sql.fetchval(
        conn,
        """
        INSERT INTO webhooks (department_id, url, events, secret_cipher, created_by, created_at)
        VALUES (:department_id, :url, :events, :secret_cipher, :user_id, :now) RETURNING id
        """,
        department_id=department_id,
        url=url,
        events=list(events),
        secret_cipher=secret_cipher,
        user_id=user_id,
        now=now,
    )
    return await get_webhook(conn, webhook_id, None)


async def callback_webhook(
    conn: Connection,
    department_id: UUID,
    url: str,
    secret_cipher: bytes,
    user_id: UUID,
    now: datetime,
) -> UUID:
    """The webhook of a department's `callback_url`, made when it is named for the first time.

    One that was disabled works again: whoever names it wants to be called.

    Raises:
        Conflict: it is new, and the department has as many webhooks as it may.
    """
    known = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM webhooks
            WHERE department_id = :department_id AND url = :url AND run_calls_back
              AND deleted_at IS NULL)
        """,
        department_id=department_id,
        url=url,
    )
    if not known:
        await _make_room(conn, department_id)
    webhook_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO webhooks (department_id, url, events, run_calls_back, secret_cipher, created_by,
                              created_at)
        VALUES (:department_id, :url, '{message.final,run.finished}', true, :secret_cipher,
                :user_id, :now)
        ON CONFLICT (department_id, url) WHERE run_calls_back AND deleted_at IS NULL
        DO UPDATE SET disabled_at = NULL, disabled_why = NULL,
            failing_since = CASE WHEN webhooks.disabled_at IS NULL THEN webhooks.failing_since END
        RETURNING id
        """,
        department_id=department_id,
        url=url,
        secret_cipher=secret_cipher,
        user_id=user_id,
        now=now,
    )
    return webhook_id


async def _make_room(conn: Connection, department_id: UUID) -> None:
    """Let nobody else make a webhook of a department, to the end of the transaction."""
    await sql.execute(
        conn,
        "SELECT FROM departments WHERE id = :department_id FOR UPDATE",
        department_id=department_id,
    )
    count = await sql.fetchval(
        conn,
        "SELECT count(*) FROM webhooks WHERE department_id = :department_id AND deleted_at IS NULL",
        department_id=department_id,
    )
    if count >= MOST_OF_A_DEPARTMENT:
        raise Conflict(
            phrase(
                "a department has at most {most_of_a_department} webhooks, those of"
                " `callback_url` among them; delete one",
                most_of_a_department=MOST_OF_A_DEPARTMENT,
            )
        )


async def get_webhook(conn: Connection, webhook_id: UUID, scope: UUID | None) -> Webhook:
    """One webhook.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        {_WEBHOOK}
        WHERE id = :webhook_id AND deleted_at IS NULL
          AND (:scope::uuid IS NULL OR department_id = :scope)
        """,
        webhook_id=webhook_id,
        scope=scope,
    )
    if row is None:
        raise NotFound(phrase("there is no webhook {webhook_id}", webhook_id=webhook_id))
    return _webhook(row)


async def list_webhooks(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Webhook]:
    """A page of webhooks, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        {_WEBHOOK}
        WHERE deleted_at IS NULL AND (:scope::uuid IS NULL OR department_id = :scope)
          AND (:before::uuid IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
        """,
        scope=scope,
        before=before,
        limit=limit,
    )
    return [_webhook(row) for row in rows]


async def edit_webhook(
    conn: Connection,
    webhook_id: UUID,
    url: str,
    events: Sequence[str],
    now: datetime,
    *,
    enabled: bool,
) -> None:
    """Change where and of what it is told; enabling it lets what waited go on.

    Raises:
        Conflict: it is that of a `callback_url`, and the department has another of this address.
    """
    try:
        await sql.execute(
            conn,
            """
            UPDATE webhooks SET url = :url, events = :events,
                failing_since = NULL, failures = 0, rest_until = NULL,
                disabled_at = CASE WHEN NOT :enabled THEN coalesce(disabled_at, :now) END,
                disabled_why = CASE WHEN NOT :enabled THEN coalesce(disabled_why, 'switched off')
                    END
            WHERE id = :webhook_id
            """,
            webhook_id=webhook_id,
            url=url,
            events=list(events),
            enabled=enabled,
            now=now,
        )
    except UniqueViolation as error:
        raise Conflict(
            phrase(
                "the department has another webhook of a `callback_url` with this address;"
                " delete one"
            )
        ) from error


async def set_secret(conn: Connection, webhook_id: UUID, secret_cipher: bytes) -> None:
    """Sign with another secret from now on."""
    await sql.execute(
        conn,
        "UPDATE webhooks SET secret_cipher = :secret_cipher WHERE id = :webhook_id",
        webhook_id=webhook_id,
        secret_cipher=secret_cipher,
    )


async def delete_webhook(conn: Connection, webhook_id: UUID, now: datetime) -> None:
    """Call it no more; what waits for it is dropped."""
    await sql.execute(
        conn,
        "UPDATE webhooks SET deleted_at = :now WHERE id = :webhook_id",
        webhook_id=webhook_id,
        now=now,
    )
    await sql.execute(
        conn,
        "DELETE FROM webhook_deliveries WHERE webhook_id = :webhook_id AND state = 'waiting'",
        webhook_id=webhook_id,
    )


async def disable(conn: Connection, webhook_id: UUID, why: str, now: datetime) -> bool:
    """Call it no more until a person enables it; the department's other webhooks are told.

    Returns whether it was enabled.
    """
    row = await sql.fetchrow(
        conn,
        """
        UPDATE webhooks SET disabled_at = :now, disabled_why = :why
        WHERE id = :webhook_id AND disabled_at IS NULL RETURNING department_id, url
        """,
        webhook_id=webhook_id,
        why=why,
        now=now,
    )
    if row is None:
        return False
    await sql.execute(
        conn,
        "SELECT write_event(:department_id, 'webhook.disabled', NULL, :data::jsonb, :now)",
        department_id=row["department_id"],
        data={"webhook_id": str(webhook_id), "url": row["url"], "why": why},
        now=now,
    )
    return True


async def write_test(conn: Connection, webhook: Webhook, now: datetime) -> int:
    """Write an event for this webhook alone; returns its number."""
    event_id: int = await sql.fetchval(
        conn,
        """
        INSERT INTO webhook_events (department_id, type, data, at)
        VALUES (:department_id, 'webhook.test', :data, :now) RETURNING id
        """,
        department_id=webhook.department_id,
        data={"webhook_id": str(webhook.id)},
        now=now,
    )
    await sql.execute(
        conn,
        """
        INSERT INTO webhook_deliveries (webhook_id, event_id, next_at)
        VALUES (:webhook_id, :event_id, :now)
        """,
        webhook_id=webhook.id,
        event_id=event_id,
        now=now,
    )
    return event_id


def _webhook(row: Record) -> Webhook:
    return Webhook(**dict(row) | {"events": tuple(row["events"])})
