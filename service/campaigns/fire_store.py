"""The record of each campaign's fires, in SQL: what became of each, once."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.campaigns.fires import Fire
from service.storage.postgres import Connection


class FireRecord(NamedTuple):
    """What became of a fire. run_id: of one that took place."""

    planned_at: datetime
    outcome: str
    note: str
    run_id: UUID | None
    at: datetime


async def last_planned(conn: Connection, campaign_id: UUID) -> datetime | None:
    """The planned instant of the last fire of a campaign that was dealt with."""
    found: datetime | None = await conn.fetchval(
        "SELECT max(planned_at) FROM campaign_fires WHERE campaign_id = $1", campaign_id
    )
    return found


async def insert_skipped(
    conn: Connection, campaign_id: UUID, skipped: Sequence[Fire], now: datetime
) -> None:
    """Record fires that do not take place."""
    await conn.executemany(
        """
        INSERT INTO campaign_fires (campaign_id, planned_at, outcome, note, at)
        VALUES ($1, $2, 'skipped', $3, $4)
        """,
        [(campaign_id, fire.planned_at, fire.note, now) for fire in skipped],
    )


async def insert_fired(
    conn: Connection, campaign_id: UUID, fire: Fire, run_id: UUID, now: datetime
) -> None:
    """Record a fire that takes place."""
    await conn.execute(
        """
        INSERT INTO campaign_fires (campaign_id, planned_at, outcome, note, run_id, at)
        VALUES ($1, $2, 'fired', $3, $4, $5)
        """,
        campaign_id,
        fire.planned_at,
        fire.note,
        run_id,
        now,
    )


async def list_fires(
    conn: Connection, campaign_id: UUID, before: datetime | None, limit: int
) -> list[FireRecord]:
    """A page of a campaign's fires, from new to old."""
    rows = await conn.fetch(
        """
        SELECT planned_at, outcome, note, run_id, at FROM campaign_fires
        WHERE campaign_id = $1 AND ($2::timestamptz IS NULL OR planned_at < $2)
        ORDER BY planned_at DESC LIMIT $3
        """,
        campaign_id,
        before,
        limit,
    )
    return [FireRecord(*row) for row in rows]


async def waiting_for_a_fire(conn: Connection) -> list[UUID]:
    """Campaigns that wait for a fire, locked one after the other by whoever works on them."""
    rows = await conn.fetch(
        "SELECT id FROM campaigns WHERE next_fire_at IS NOT NULL "
        "AND state IN ('scheduled', 'running', 'paused') ORDER BY id"
    )
    return [row["id"] for row in rows]
