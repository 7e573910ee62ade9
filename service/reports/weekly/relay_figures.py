"""What relays came to, for reports, score sheets and duties: groups and how many were confirmed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


class RelayFigures(NamedTuple):
    """What a relay came to. groups: that were active when its tree was frozen; confirmed: those of
    them whose owner was done by `due_at`; text: what its template is called.
    """

    relay_id: UUID
    department_id: UUID
    week: str
    text: str
    area_code: str | None
    started_at: datetime
    due_at: datetime
    groups: int
    confirmed: int


async def relays_of(
    conn: Connection, departments: Sequence[UUID], weeks: Sequence[str]
) -> list[RelayFigures]:
    """The relays of departments for weeks such as `2027-W03`, in the order in which they began;
    not those that were cancelled. Their groups and confirmed ones add up.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT r.id AS relay_id, r.department_id, r.week, t.name AS text, r.area_code,
               r.started_at, r.due_at, r.groups,
               (SELECT count(*) FROM relay_nodes n WHERE n.relay_id = r.id
                  AND n.group_id IS NOT NULL AND n.done_at <= r.due_at)::int AS confirmed
        FROM relays r JOIN template_versions v ON v.id = r.template_version_id
        JOIN templates t ON t.id = v.template_id
        WHERE r.week = ANY (:weeks) AND r.department_id = ANY (:departments)
          AND r.state <> 'cancelled'
        ORDER BY r.id
        """,
        departments=list(departments),
        weeks=list(weeks),
    )
    return [RelayFigures(**row) for row in rows]
