"""The SQL of the sheet's rules, and of what units say of cases of their own staff."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.duties.assessment.score import WEIGHED, ScoreRules
from service.storage import sql
from service.storage.postgres import Connection, Record, one


class RulesVersion(NamedTuple):
    """Rules as they were set; version 0: as shipped."""

    version: int
    rules: ScoreRules
    reason: str = ""
    set_by: UUID | None = None
    set_at: datetime | None = None


class OwnStaffStatement(NamedTuple):
    """So many cases of a quarter had a victim among the staff of a department, as somebody says."""

    id: UUID
    department_id: UUID
    department: str
    quarter: str
    cases: int
    source: str
    stated_by: UUID
    stated_at: datetime


_SHIPPED = RulesVersion(0, ScoreRules())
_RULES = """
    SELECT id, weights, full_coverage_pct, own_staff_each, own_staff_most, reason, set_by, set_at
    FROM assessment_rules
"""
_STATEMENT = """
    SELECT s.id, s.department_id, d.name AS department, s.quarter, s.cases, s.source, s.stated_by,
           s.stated_at
    FROM own_staff_cases s JOIN departments d ON d.id = s.department_id
"""


async def rules_at(conn: Connection, instant: datetime) -> RulesVersion:
    """The rules that were in force at an instant: a quarter keeps those of its beginning."""
    rows = await sql.fetch(
        conn,
        _RULES + "WHERE set_at < :instant ORDER BY id DESC LIMIT 1",  # constants
        instant=instant,
    )
    return _version(rows[0]) if rows else _SHIPPED


async def list_rules(conn: Connection, limit: int) -> list[RulesVersion]:
    """The versions that were set, the last one first, then those that are shipped."""
    rows = await sql.fetch(conn, _RULES + "ORDER BY id DESC LIMIT :limit", limit=limit)
    return [*map(_version, rows), _SHIPPED]


async def add_rules(
    conn: Connection, rules: ScoreRules, reason: str, user_id: UUID, now: datetime
) -> int:
    """Set rules for the quarters that begin later; returns their version."""
    version: int = await sql.fetchval(
        conn,
        """
        INSERT INTO assessment_rules (weights, full_coverage_pct, own_staff_each, own_staff_most,
                                      reason, set_by, set_at)
        VALUES (:weights, :full_coverage_pct, :own_staff_each, :own_staff_most, :reason, :user_id,
                :now)
        RETURNING id
        """,
        weights={item.value: weight for item, weight in rules.weights.items()},
        full_coverage_pct=rules.full_coverage_pct,
        own_staff_each=rules.own_staff_each,
        own_staff_most=rules.own_staff_most,
        reason=reason,
        user_id=user_id,
        now=now,
    )
    return version


def _version(row: Record) -> RulesVersion:
    rules = ScoreRules(
        {item: row["weights"][item.value] for item in WEIGHED},
        row["full_coverage_pct"],
        row["own_staff_each"],
        row["own_staff_most"],
    )
    return RulesVersion(row["id"], rules, row["reason"], row["set_by"], row["set_at"])


async def add_statement(
    conn: Connection, department_id: UUID, quarter: str, cases: int, source: str, by: By
) -> OwnStaffStatement:
    """Write down what somebody says; what was said before stays in the record."""
    statement_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO own_staff_cases (department_id, quarter, cases, source, stated_by, stated_at)
        VALUES (:department_id, :quarter, :cases, :source, :stated_by, :stated_at) RETURNING id
        """,
        department_id=department_id,
        quarter=quarter,
        cases=cases,
        source=source,
        stated_by=by.user_id,
        stated_at=by.at,
    )
    row = await sql.fetchrow(
        conn,
        _STATEMENT + "WHERE s.id = :statement_id",  # constants
        statement_id=statement_id,
    )
    return OwnStaffStatement(**one(row))


async def list_statements(
    conn: Connection, quarter: str, departments: Sequence[UUID] | None, limit: int
) -> list[OwnStaffStatement]:
    """All that was said of a quarter, the latest first; of one department that one counts."""
    rows = await sql.fetch(
        conn,
        _STATEMENT  # constants
        + """
        WHERE s.quarter = :quarter
          AND (:departments::uuid[] IS NULL OR s.department_id = ANY (:departments))
        ORDER BY s.id DESC LIMIT :limit
        """,
        quarter=quarter,
        departments=departments,
        limit=limit,
    )
    return [OwnStaffStatement(**row) for row in rows]
