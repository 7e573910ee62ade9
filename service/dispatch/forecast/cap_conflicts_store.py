"""The SQL of clashes: the plans of the same days, and what of them is being sent."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.ledger.states import OPEN_RUNS_WITH_LEDGER, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record


class CapPlan(NamedTuple):
    """A plan whose clashes are looked for: its class, when it fires, and now."""

    message_class: str
    fires_at: datetime
    now: datetime


async def plans_near(
    conn: Connection, campaign_id: UUID, plan: CapPlan, near: timedelta, limit: int
) -> list[Record]:
    """Other plans of the class, of any department, that fire near this one, the nearest first.

    Plans for newcomers are left out, for whom they will mean is not known before.
    waits: it has still to fire; else it is sending, and those whom it has not reached yet count.
    """
    return await sql.fetch(
        conn,
        """
        SELECT o.* FROM (
            SELECT c.id, c.name, c.department_id, d.name AS department, c.frozen_rule, v.text,
                   c.text_values,
                   c.next_fire_at IS NOT NULL AS waits, coalesce(c.next_fire_at, :now) AS fires_at
            FROM campaigns c
            JOIN departments d ON d.id = c.department_id
            JOIN template_versions v ON v.id = c.template_version_id
            JOIN templates t ON t.id = v.template_id
            WHERE c.id <> :campaign_id AND t.class = :message_class AND c.frozen_rule IS NOT NULL
              AND c.state IN ('scheduled', 'running', 'paused', 'held')
              AND c.schedule->>'kind' IS DISTINCT FROM 'joining') o
        WHERE o.fires_at BETWEEN :fires_at::timestamptz - :near::interval
          AND :fires_at + :near::interval
        ORDER BY abs(extract(epoch FROM o.fires_at - :fires_at)), o.id LIMIT :limit
        """,
        campaign_id=campaign_id,
        message_class=plan.message_class,
        fires_at=plan.fires_at,
        now=plan.now,
        near=near,
        limit=limit,
    )


async def open_runs(conn: Connection, campaign_id: UUID) -> list[UUID]:
    """The runs of a campaign that have still people to reach, the newest first."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT id FROM runs
        WHERE campaign_id = :campaign_id AND state IN {sql_list(OPEN_RUNS_WITH_LEDGER)}
        ORDER BY id DESC
        """,  # noqa: S608  # constants
        campaign_id=campaign_id,
    )
    return [row["id"] for row in rows]
