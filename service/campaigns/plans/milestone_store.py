"""The table of milestones, in SQL."""

from datetime import date, datetime
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record, one


async def list_rows(conn: Connection, campaign_id: UUID) -> list[Record]:
    """A campaign's milestones, by day."""
    return await sql.fetch(
        conn,
        """
        SELECT id, campaign_id, name, due_on, created_by, created_at, done_by, done_at, note
        FROM milestones WHERE campaign_id = :campaign_id ORDER BY due_on, id
        """,
        campaign_id=campaign_id,
    )


async def insert_row(
    conn: Connection, campaign_id: UUID, name: str, due_on: date, user_id: UUID, now: datetime
) -> Record:
    """Add a milestone."""
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO milestones (campaign_id, name, due_on, created_by, created_at)
        VALUES (:campaign_id, :name, :due_on, :user_id, :now)
        RETURNING id, campaign_id, name, due_on, created_by, created_at, done_by, done_at, note
        """,
        campaign_id=campaign_id,
        name=name,
        due_on=due_on,
        user_id=user_id,
        now=now,
    )
    return one(row)


async def finish_row(
    conn: Connection, milestone_id: UUID, user_id: UUID, note: str, now: datetime
) -> Record | None:
    """Note that a milestone is reached; None: it was already."""
    return await sql.fetchrow(
        conn,
        """
        UPDATE milestones SET done_by = :user_id, note = :note, done_at = :now
        WHERE id = :milestone_id AND done_at IS NULL
        RETURNING id, campaign_id, name, due_on, created_by, created_at, done_by, done_at, note
        """,
        milestone_id=milestone_id,
        user_id=user_id,
        note=note,
        now=now,
    )
