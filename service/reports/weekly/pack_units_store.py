"""The SQL of what a pack reads of duties: what units owe for the week, and what they handed in."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection


class OwedReport(NamedTuple):
    """A weekly report that the county asks of a unit. late_minutes: of the first time."""

    duty_id: UUID
    department_id: UUID
    department: str
    kind: str
    title: str
    due_at: datetime
    state: str
    submitted_at: datetime | None
    late_minutes: int | None


class LastReport(NamedTuple):
    """What was handed in last for a duty."""

    duty_id: UUID
    no: int
    narrative: str
    figures: str
    sha256: bytes
    submitted_at: datetime


async def owed_reports(conn: Connection, week: str) -> list[OwedReport]:
    """The weekly reports of a week that the county asks for, by the names of the units."""
    rows = await sql.fetch(
        conn,
        """
        SELECT d.id AS duty_id, u.id AS department_id, u.name AS department, u.kind, o.title,
               d.due_at, d.state, d.submitted_at, d.late_minutes
        FROM obligations o JOIN departments s ON s.id = o.setter_id AND s.kind = 'county'
        JOIN duties d ON d.obligation_id = o.id AND d.period = :week
        JOIN departments u ON u.id = d.department_id
        WHERE o.kind = 'weekly_report' ORDER BY u.name, u.id, d.due_at, d.id
        """,
        week=week,
    )
    return [OwedReport(**row) for row in rows]


async def county_offices(conn: Connection) -> list[tuple[UUID, str]]:
    """The departments of the county itself, by name: id and name."""
    rows = await sql.fetch(
        conn, "SELECT id, name FROM departments WHERE kind = 'county' ORDER BY name, id"
    )
    return [(row["id"], row["name"]) for row in rows]


async def last_reports(conn: Connection, duty_ids: list[UUID]) -> dict[UUID, LastReport]:
    """What was handed in last for each of these duties, by the duty."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT ON (duty_id) duty_id, no, narrative, figures, sha256, submitted_at
        FROM duty_reports WHERE duty_id = ANY (:duty_ids::uuid[]) ORDER BY duty_id, no DESC
        """,
        duty_ids=duty_ids,
    )
    return {row["duty_id"]: LastReport(**row) for row in rows}


async def missing_people(conn: Connection, department_ids: list[UUID]) -> dict[UUID, list[str]]:
    """Which of liaison and leader nobody is, by the unit; units that have both are left out."""
    rows = await sql.fetch(
        conn,
        """
        SELECT u.id, array_agg(k.duty ORDER BY k.no) AS missing
        FROM unnest(:ids::uuid[]) AS u(id),
            unnest(ARRAY['liaison', 'leader']) WITH ORDINALITY AS k(duty, no)
        WHERE NOT EXISTS (SELECT FROM department_people p
                          WHERE p.department_id = u.id AND p.duty = k.duty AND p.until IS NULL)
        GROUP BY u.id
        """,
        ids=department_ids,
    )
    return {row["id"]: row["missing"] for row in rows}
