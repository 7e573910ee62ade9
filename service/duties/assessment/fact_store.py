"""The SQL of what the score sheet counts: units, their reports, texts to lists, and households."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.ledger.message_class import PUBLICITY
from service.storage import sql
from service.storage.postgres import Connection


class Unit(NamedTuple):
    """A department on the sheet."""

    id: UUID
    name: str
    kind: str
    area_code: str | None


class DueReports(NamedTuple):
    """Reports of a unit that were due. missed_twice: those missed after the one before was."""

    due: int
    on_time: int
    missed_twice: int


class RoundVillageCount(NamedTuple):
    """Households told in a village of a round."""

    round_id: UUID
    department_id: UUID
    village: str
    told: int


async def list_units(conn: Connection, before: datetime) -> list[Unit]:
    """All departments but the county's own that were there before an instant."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, name, kind, area_code FROM departments
        WHERE kind <> 'county' AND created_at < :before ORDER BY name
        """,
        before=before,
    )
    return [Unit(**row) for row in rows]


async def count_reports(conn: Connection, first: datetime, end: datetime) -> dict[UUID, DueReports]:
    """By department: its reports that were due from an instant up to another and not excused."""
    rows = await sql.fetch(
        conn,
        """
        SELECT d.department_id, count(*)::int AS due,
               count(*) FILTER (WHERE d.submitted_at <= d.due_at)::int AS on_time,
               count(*) FILTER (WHERE EXISTS (
                   SELECT FROM duty_steps s
                   WHERE s.duty_id = d.id AND s.step = 'missed_leader'))::int AS missed_twice
        FROM duties d
        WHERE d.kind IN ('weekly_report', 'custom') AND d.due_at >= :first AND d.due_at < :end
          AND d.state <> 'excused'
        GROUP BY d.department_id
        """,
        first=first,
        end=end,
    )
    return {
        row["department_id"]: DueReports(row["due"], row["on_time"], row["missed_twice"])
        for row in rows
    }


async def lists_of(conn: Connection) -> dict[str, UUID]:
    """The lists of which anybody has said how many people should be on them, as kinds of
    denominators, and whose they are; none of a name that lists of two departments have.
    """
    rows = await conn.fetch(
        """
        SELECT k.kind, (array_agg(r.department_id))[1] AS department_id
        FROM (SELECT DISTINCT kind FROM denominators WHERE starts_with(kind, 'list:')) k
        JOIN rosters r ON r.name = substr(k.kind, 6)
        GROUP BY k.kind HAVING count(*) = 1
        """
    )
    return {row["kind"]: row["department_id"] for row in rows}


async def reached_by(
    conn: Connection, quarter: date, departments: Sequence[UUID]
) -> dict[UUID, int]:
    """By department: how many people its own public interest texts of a quarter reached; none of
    which nothing was counted.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT s.department_id, coalesce(sum(f.people), 0)::int AS people
        FROM coverage_scopes s
        LEFT JOIN coverage_facts f ON f.scope_id = s.id AND f.count_no = s.shown AND f.role = ''
            AND f.outcome = 'reached'
        WHERE s.kind = 'quarter' AND s.quarter = :quarter AND s.class = :message_class
          AND s.department_id = ANY (:departments) AND s.as_of IS NOT NULL
        GROUP BY s.department_id
        """,
        quarter=quarter,
        message_class=PUBLICITY,
        departments=departments,
    )
    return {row["department_id"]: row["people"] for row in rows}


async def count_told(conn: Connection, first: date, last: date) -> list[RoundVillageCount]:
    """Households told in each village of the rounds that were due on these days."""
    rows = await sql.fetch(
        conn,
        """
        SELECT r.id AS round_id, r.department_id, v.village,
               (SELECT count(*) FROM households h
                WHERE h.round_id = r.id AND h.village = v.village AND h.state = 'told')::int AS told
        FROM visit_rounds r JOIN visit_round_villages v ON v.round_id = r.id
        WHERE r.due_on BETWEEN :first AND :last AND r.state <> 'cancelled'
        ORDER BY r.id, v.village
        """,
        first=first,
        last=last,
    )
    return [RoundVillageCount(**row) for row in rows]
