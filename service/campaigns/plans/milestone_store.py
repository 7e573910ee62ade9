"""The table of milestones, in SQL."""

from datetime import date, datetime
from uuid import UUID

from service.storage.postgres import Connection, Record, one


async def list_rows(conn: Connection, campaign_id: UUID) -> list[Record]:
    """A campaign's milestones, by day."""
    return await conn.fetch(
        """
        SELECT id, campaign_id, name, due_on, created_by, created_at, done_by, done_at, note
        FROM milestones WHERE campaign_id = $1 ORDER BY due_on, id
        """,
        campaign_id,
    )


async def insert_row(
    conn: Connection, campaign_id: UUID, name: str, due_on: date, user_id: UUID, now: datetime
) -> Record:
    """Add a milestone."""
    row = await conn.fetchrow(
        """
        INSERT INTO milestones (campaign_id, name, due_on, created_by, created_at)
        VALUES ($1, $2, $3, $4, $5)
        RETURNING id, campaign_id, name, due_on, created_by, created_at, done_by, done_at, note
        """,
        campaign_id,
        name,
        due_on,
        user_id,
        now,
    )
    return one(row)


async def finish_row(
    conn: Connection, milestone_id: UUID, user_id: UUID, note: str, now: datetime
) -> Record | None:
    """Note that a milestone is reached; None: it was already."""
    return await conn.fetchrow(
        """
        UPDATE milestones SET done_by = $2, note = $3, done_at = $4
        WHERE id = $1 AND done_at IS NULL
        RETURNING id, campaign_id, name, due_on, created_by, created_at, done_by, done_at, note
        """,
        milestone_id,
        user_id,
        note,
        now,
    )
