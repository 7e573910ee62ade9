"""The SQL of the calendar: which plans may fire in a span of time, and which have."""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


class CalendarDepartment(NamedTuple):
    """What the calendar says and needs of a department."""

    name: str
    weight: int


async def departments(conn: Connection) -> dict[UUID, CalendarDepartment]:
    """All departments."""
    rows = await conn.fetch("SELECT id, name, weight FROM departments")
    return {row["id"]: CalendarDepartment(row["name"], row["weight"]) for row in rows}


async def segment_rules(conn: Connection, segment_ids: Collection[UUID]) -> dict[UUID, str]:
    """The rules of these segments, as they stand."""
    rows = await sql.fetch(
        conn,
        "SELECT id, rule FROM segments WHERE id = ANY (:segment_ids)",
        segment_ids=list(segment_ids),
    )
    return {row["id"]: row["rule"] for row in rows}


async def last_texts(conn: Connection, campaign_ids: Collection[UUID]) -> dict[UUID, int]:
    """Which of its texts each of these campaigns sent last, of those that have fired."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT ON (campaign_id) campaign_id, text_no FROM runs
        WHERE campaign_id = ANY (:campaign_ids) AND mode <> 'test'
        ORDER BY campaign_id, fire_at DESC
        """,
        campaign_ids=list(campaign_ids),
    )
    return {row["campaign_id"]: row["text_no"] for row in rows}


async def past_fires(
    conn: Connection, scope: UUID | None, start: datetime, end: datetime
) -> list[Record]:
    """What became of the fires of a department's campaigns (None: of all) from start to end."""
    return await sql.fetch(
        conn,
        """
        SELECT f.campaign_id, f.planned_at, f.note, f.outcome, f.code, f.run_id, c.name,
               c.department_id, c.priority,
               coalesce(r.fire_at, f.planned_at) AS at, coalesce(r.class, t.class) AS class,
               coalesce(r.text, v.text) AS text, coalesce(r.state, f.outcome) AS status,
               CASE WHEN f.outcome = 'shared' THEN (
                   SELECT sum(lr.target)::int FROM campaigns lc
                   JOIN campaign_fires lf ON lf.campaign_id = lc.id AND lf.planned_at = f.planned_at
                   JOIN runs lr ON lr.id = lf.run_id WHERE lc.leg_of = c.id)
               ELSE r.target END AS target,
               r.valid_until, r.started_at, r.finished_at, r.mode
        FROM campaign_fires f
        JOIN campaigns c ON c.id = f.campaign_id
        JOIN template_versions v ON v.id = c.template_version_id
        JOIN templates t ON t.id = v.template_id
        LEFT JOIN runs r ON r.id = f.run_id
        WHERE coalesce(r.fire_at, f.planned_at) >= :start
          AND coalesce(r.fire_at, f.planned_at) < :end
          AND (:scope::uuid IS NULL OR c.department_id = :scope)
        """,
        scope=scope,
        start=start,
        end=end,
    )


async def run_channels(conn: Connection, run_ids: Collection[UUID]) -> list[Record]:
    """How many messages of these runs each channel has: run_id, channel_id, messages."""
    return await sql.fetch(
        conn,
        """
        SELECT run_id, channel_id, sum(last_no - first_no + 1)::int AS messages
        FROM slices WHERE run_id = ANY (:run_ids) GROUP BY run_id, channel_id
        """,
        run_ids=list(run_ids),
    )


async def milestones_due(
    conn: Connection, scope: UUID | None, first: date, last: date
) -> list[Record]:
    """Milestones of a department's campaigns (None: of all) from one day to another, by day."""
    return await sql.fetch(
        conn,
        """
        SELECT m.*, c.name AS campaign FROM milestones m JOIN campaigns c ON c.id = m.campaign_id
        WHERE m.due_on BETWEEN :first AND :last
          AND (:scope::uuid IS NULL OR c.department_id = :scope)
        ORDER BY m.due_on, m.id
        """,
        scope=scope,
        first=first,
        last=last,
    )
