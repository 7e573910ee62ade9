"""The SQL of what stopped sending and what let it go on, as it is shown and counted."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage.postgres import Connection


class Interruption(NamedTuple):
    """One of them. by_person: else by the clock, or by what was found wrong."""

    kind: str
    code: str
    by_person: bool
    campaign_id: UUID | None
    campaign: str | None
    planned_at: datetime | None
    channel_id: int | None
    channel: str | None
    at: datetime


_INTERRUPTION = """
    SELECT i.kind, i.code, i.by_person, i.campaign_id, c.name, i.planned_at, i.channel_id, n.name,
           i.at
    FROM interruptions i LEFT JOIN campaigns c ON c.id = i.campaign_id
    LEFT JOIN channels n ON n.id = i.channel_id
"""


async def list_interruptions(
    conn: Connection, scope: UUID | None, start: datetime, end: datetime
) -> list[Interruption]:
    """Those of a span of time that one department sees (None: of all), from old to new."""
    rows = await conn.fetch(
        f"""
        {_INTERRUPTION}
        WHERE i.at >= $2 AND i.at < $3
          AND ($1::uuid IS NULL OR i.department_id IS NULL OR i.department_id = $1)
          AND ($1::uuid IS NULL OR i.channel_id IS NULL OR EXISTS (
            SELECT FROM departments d
            WHERE d.id = $1 AND (d.channels IS NULL OR i.channel_id = ANY (d.channels))))
        ORDER BY i.at, i.id
        """,
        scope,
        start,
        end,
    )
    return [Interruption(*row) for row in rows]


async def interruptions_of(
    conn: Connection, campaign_id: UUID, start: datetime, end: datetime
) -> list[Interruption]:
    """Those of a span of time that concerned a campaign: its own, the stops of everything, and
    those of the channels that it may take; from old to new.
    """
    rows = await conn.fetch(
        f"""
        {_INTERRUPTION}
        WHERE i.at >= $2 AND i.at < $3 AND (i.campaign_id = $1 OR i.stop_id IS NOT NULL
            OR i.channel_id IS NOT NULL AND EXISTS (
                SELECT FROM campaigns p JOIN departments d ON d.id = p.department_id
                WHERE p.id = $1 AND (p.channels IS NULL OR i.channel_id = ANY (p.channels))
                  AND (d.channels IS NULL OR i.channel_id = ANY (d.channels))))
        ORDER BY i.at, i.id
        """,
        campaign_id,
        start,
        end,
    )
    return [Interruption(*row) for row in rows]


async def count_interruptions(conn: Connection) -> dict[str, int]:
    """How many of each kind there ever were."""
    rows = await conn.fetch("SELECT kind, count(*) AS times FROM interruptions GROUP BY kind")
    return {row["kind"]: row["times"] for row in rows}
