"""The SQL of the facts that a report of a period takes: what a department has sent in it."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


class FiredRun(NamedTuple):
    """A run of a department's campaign. target: None: its ledger is still being written."""

    id: UUID
    campaign: str
    message_class: str
    text: str
    fired_at: datetime
    target: int | None
    settled: bool


async def fired_runs(
    conn: Connection, department_id: UUID, first: date, last: date
) -> list[FiredRun]:
    """The runs of a department's campaigns that fired on these days, in order; none that sent a
    text again, which counts with the run that it follows.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT r.id, c.name AS campaign, r.class AS message_class, r.text, r.fire_at AS fired_at,
               r.target, r.settled_at IS NOT NULL AS settled
        FROM runs r JOIN campaigns c ON c.id = r.campaign_id
        WHERE r.department_id = :department_id AND r.kind <> 'reply'
          AND r.created_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.fire_at >= :first::date::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.fire_at < (:last::date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai'
          AND r.mode = 'real' AND r.relation IS DISTINCT FROM 'resend'
        ORDER BY r.fire_at, r.id
        """,
        department_id=department_id,
        first=first,
        last=last,
    )
    return [FiredRun(**row) for row in rows]
