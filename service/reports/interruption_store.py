"""The SQL of what stopped sending and what let it go on, as it is shown and counted."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


class Interruption(NamedTuple):
    """One of them. by_person: else by the clock, or by what was found wrong. others, people: see
    `campaigns.fires.Fire`.
    """

    kind: str
    code: str
    by_person: bool
    campaign_id: UUID | None
    campaign: str | None
    planned_at: datetime | None
    channel_id: int | None
    channel: str | None
    at: datetime
    others: int | None
    people: int | None
    template_id: UUID | None
    offer_id: UUID | None


_INTERRUPTION = """
    SELECT i.kind, i.code, i.by_person, i.campaign_id, c.name, i.planned_at, i.channel_id, n.name,
           i.at, i.others, i.people, i.template_id, i.offer_id
    FROM interruptions i LEFT JOIN campaigns c ON c.id = i.campaign_id
    LEFT JOIN channels n ON n.id = i.channel_id
"""

_LIFE = """
    SELECT p.channels, d.channels AS allowed, p.created_at AS born, coalesce(
        CASE WHEN p.state IN ('done', 'cancelled', 'rejected') THEN (
            SELECT m.at FROM campaign_moves m WHERE m.campaign_id = p.id
            ORDER BY m.id DESC LIMIT 1) END, 'infinity') AS ended
    FROM campaigns p JOIN departments d ON d.id = p.department_id WHERE p.id = :campaign_id
"""
"""A campaign (:campaign_id): from when to when there is it, and which channels it may take."""


async def list_interruptions(
    conn: Connection, scope: UUID | None, start: datetime, end: datetime
) -> list[Interruption]:
    """Those of a span of time that one department sees (None: of all), from old to new."""
    rows = await sql.fetch(
        conn,
        f"""
        {_INTERRUPTION}
        WHERE i.at >= :start AND i.at < :end
          AND (:scope::uuid IS NULL OR i.department_id IS NULL OR i.department_id = :scope)
          AND (:scope::uuid IS NULL OR i.channel_id IS NULL OR EXISTS (
            SELECT FROM departments d
            WHERE d.id = :scope AND (d.channels IS NULL OR i.channel_id = ANY (d.channels))))
        ORDER BY i.at, i.id
        """,
        scope=scope,
        start=start,
        end=end,
    )
    return [Interruption(*row) for row in rows]


async def interruptions_of(
    conn: Connection, campaign_id: UUID, start: datetime, end: datetime
) -> list[Interruption]:
    """Those of a span of time that concerned a campaign: its own, and of its life, from its making
    to its end, the stops of everything and those of the channels that it may take; from old to
    new. What began before it was made is among them if it was not over by then.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {_INTERRUPTION}
        CROSS JOIN ({_LIFE}) l LEFT JOIN stops s ON s.id = i.stop_id
        WHERE i.at >= :start AND i.at < :end AND (i.campaign_id = :campaign_id
            OR s.stopped_at <= l.ended AND coalesce(s.lifted_at, 'infinity') >= l.born
            OR i.channel_id IS NOT NULL AND i.at <= l.ended
                AND (l.channels IS NULL OR i.channel_id = ANY (l.channels))
                AND (l.allowed IS NULL OR i.channel_id = ANY (l.allowed))
                AND (i.at >= l.born OR i.kind = 'channel.shut' AND NOT EXISTS (
                    SELECT FROM interruptions r
                    WHERE r.channel_id = i.channel_id AND r.kind = 'channel.recovered'
                      AND r.at >= i.at AND r.at < l.born)))
        ORDER BY i.at, i.id
        """,
        campaign_id=campaign_id,
        start=start,
        end=end,
    )
    return [Interruption(*row) for row in rows]


async def count_interruptions(conn: Connection) -> dict[str, int]:
    """How many of each kind there ever were."""
    rows = await conn.fetch("SELECT kind, count(*) AS times FROM interruptions GROUP BY kind")
    return {row["kind"]: row["times"] for row in rows}
