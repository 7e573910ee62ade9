"""The SQL of lists of duties: those that somebody sees, and who is late."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.duties.duty_store import DUTY, UnitDuty, read_duty
from service.duties.ladder import OWED, DutyState
from service.storage import sql
from service.storage.postgres import Connection


class SeenBy(NamedTuple):
    """Whose duties somebody sees: those of the departments in `scope` (None: of all), and those
    that the department `own` asks for.
    """

    scope: Sequence[UUID] | None
    own: UUID


class DutyFilter(NamedTuple):
    """Which duties are listed; None: whatever it is. reports: those alone that words fulfil."""

    department_id: UUID | None = None
    obligation_id: UUID | None = None
    period: str | None = None
    state: str | None = None
    reports: bool = False
    due_from: datetime | None = None
    due_before: datetime | None = None


async def list_duties(
    conn: Connection, seen_by: SeenBy, wanted: DutyFilter, before: UUID | None, limit: int
) -> list[UnitDuty]:
    """A page of duties, from new to old."""
    filters = """
        (:before::uuid IS NULL OR d.id < :before)
        AND (:department_id::uuid IS NULL OR d.department_id = :department_id)
        AND (:obligation_id::uuid IS NULL OR d.obligation_id = :obligation_id)
        AND (:period::text IS NULL OR d.period = :period)
        AND (:state::text IS NULL OR d.state = :state)
        AND (NOT :reports OR d.kind IN ('weekly_report', 'custom'))
        AND (:due_from::timestamptz IS NULL OR d.due_at >= :due_from)
        AND (:due_before::timestamptz IS NULL OR d.due_at < :due_before)
    """
    values: dict[str, Any] = {**wanted._asdict(), "before": before, "limit": limit}
    if seen_by.scope is None:
        ids = f"SELECT d.id FROM duties d WHERE {filters} ORDER BY d.id DESC LIMIT :limit"  # noqa: S608
    else:
        # Each side is read along its own index, and ends at the limit.
        ids = f"""
            (SELECT d.id FROM duties d WHERE d.setter_id = :own AND {filters}
             ORDER BY d.id DESC LIMIT :limit)
            UNION
            (SELECT d.id FROM unnest(:scope::uuid[]) AS s(id), LATERAL (
                SELECT d.id FROM duties d WHERE d.department_id = s.id AND {filters}
                ORDER BY d.id DESC LIMIT :limit) d)
        """  # noqa: S608  # constants
        values |= {"own": seen_by.own, "scope": list(seen_by.scope)}
    rows = await sql.fetch(
        conn,
        f"""
        WITH ids AS MATERIALIZED ({ids})
        {DUTY} WHERE d.id IN (SELECT id FROM ids) ORDER BY d.id DESC LIMIT :limit
        """,  # noqa: S608  # constants
        **values,
    )
    return [read_duty(row) for row in rows]


async def list_late(conn: Connection, seen_by: SeenBy, now: datetime, limit: int) -> list[UnitDuty]:
    """What is owed and was to be in by now, the longest first."""
    rows = await sql.fetch(
        conn,
        f"""
        {DUTY} WHERE d.state IN {_sql_list(OWED)} AND d.owed_at < :now
          AND (:scope::uuid[] IS NULL OR d.department_id = ANY (:scope) OR d.setter_id = :own)
        ORDER BY d.owed_at, d.id LIMIT :limit
        """,
        now=now,
        scope=None if seen_by.scope is None else list(seen_by.scope),
        own=seen_by.own,
        limit=limit,
    )
    return [read_duty(row) for row in rows]


class UnitWithoutPeople(NamedTuple):
    """A department that owes something, and of which a duty is nobody's."""

    department_id: UUID
    department: str
    missing: Sequence[str]


async def owing_without_people(
    conn: Connection, seen_by: SeenBy, duties: Sequence[str]
) -> list[UnitWithoutPeople]:
    """The departments that owe something now and have no liaison, or no leader in charge."""
    rows = await sql.fetch(
        conn,
        f"""
        WITH owing AS MATERIALIZED (
            SELECT DISTINCT department_id FROM duties d
            WHERE d.state IN {_sql_list(OWED)}
              AND (:scope::uuid[] IS NULL OR d.department_id = ANY (:scope) OR d.setter_id = :own)
        )
        SELECT u.id AS department_id, u.name AS department, m.missing
        FROM owing o JOIN departments u ON u.id = o.department_id, LATERAL (
            SELECT array_agg(k.duty ORDER BY k.no) AS missing
            FROM unnest(:duties::text[]) WITH ORDINALITY AS k(duty, no)
            WHERE NOT EXISTS (SELECT FROM department_people p
                              WHERE p.department_id = u.id AND p.duty = k.duty
                                AND p.until IS NULL)) m
        WHERE m.missing IS NOT NULL ORDER BY u.name
        """,  # noqa: S608  # constants
        scope=None if seen_by.scope is None else list(seen_by.scope),
        own=seen_by.own,
        duties=list(duties),
    )
    return [UnitWithoutPeople(**row) for row in rows]


def _sql_list(states: Collection[DutyState]) -> str:
    return "(" + ", ".join(f"'{state}'" for state in sorted(states)) + ")"
