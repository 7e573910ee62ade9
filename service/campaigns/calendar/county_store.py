"""The county's calendar and send hours in SQL: each version is a row, the last one is in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from service.campaigns.calendar.holidays import CalendarChanges, Holidays
from service.campaigns.calendar.hours import County, HourRules
from service.errors import Conflict
from service.storage import sql
from service.storage.locks import lock_county
from service.storage.postgres import Connection
from service.words.phrase import phrase

SettingKind = Literal["calendar", "send_hours"]


@dataclass(frozen=True, slots=True)
class SettingVersion:
    """What was set, why, by whom and when. set_by: None: from the command line."""

    id: int
    body: Mapping[str, Any]
    reason: str
    set_by: UUID | None
    set_at: datetime


async def load_county(conn: Connection) -> County:
    """The county's hours and calendar as they are now."""
    rows = await conn.fetch(
        "SELECT DISTINCT ON (kind) kind, body FROM county_settings ORDER BY kind, id DESC"
    )
    found = {row["kind"]: row["body"] for row in rows}
    rules, changes = found.get("send_hours"), found.get("calendar")
    return County(
        HourRules.from_json(rules) if rules else HourRules(),
        Holidays(CalendarChanges.from_json(changes)) if changes else Holidays(),
    )


async def versions(
    conn: Connection, kind: SettingKind, before: int | None = None, limit: int = 1
) -> list[SettingVersion]:
    """What was set of a kind, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, body, reason, set_by, set_at FROM county_settings
        WHERE kind = :kind AND (:before::bigint IS NULL OR id < :before) ORDER BY id DESC
        LIMIT :limit
        """,
        kind=kind,
        before=before,
        limit=limit,
    )
    return [SettingVersion(**row) for row in rows]


async def lock_settings(conn: Connection, kind: SettingKind, version: int | None) -> None:
    """Let nobody else set this kind until the end of the transaction.

    Raises:
        Conflict: it has changed since the version that somebody read; None: that does not matter.
    """
    await lock_county(conn, kind)
    if version is None:
        return
    latest = await versions(conn, kind)
    current = latest[0].id if latest else 0
    if current != version:
        raise Conflict(
            phrase(
                "somebody else has changed it since version {version}; read it again and repeat",
                version=version,
            ),
            code="changed_meanwhile",
        )


async def insert_version(
    conn: Connection,
    kind: SettingKind,
    body: Mapping[str, Any],
    reason: str,
    set_by: UUID | None,
    now: datetime,
) -> int:
    """Put a new version in force; returns its number."""
    version: int = await sql.fetchval(
        conn,
        """
        INSERT INTO county_settings (kind, body, reason, set_by, set_at)
        VALUES (:kind, :body, :reason, :set_by, :now) RETURNING id
        """,
        kind=kind,
        body=body,
        reason=reason,
        set_by=set_by,
        now=now,
    )
    return version
