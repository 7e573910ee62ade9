"""The SQL of facts: counting a stretch of people, and reading what was counted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.reports.coverage.coverage import CoverageFact
from service.reports.coverage.outcomes import LEFT_OUT, RANK_SQL, PersonOutcome
from service.reports.coverage.scope_store import CountUnderWay
from service.storage import sql
from service.storage.postgres import Connection

WORK_MEMORY = "128MB"
"""What the sort of a stretch may use before it writes to disk."""

_COUNT = sql.load(__file__, "count_stretch.sql", rank=RANK_SQL.format("m"))


async def count_stretch(conn: Connection, count: CountUnderWay) -> None:
    """Add the people of a stretch to the facts of its count; needs a transaction."""
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    low, high = count.bounds
    await sql.execute(
        conn,
        _COUNT,
        runs=count.run_ids,
        low=low,
        high=high,
        excluded_rank=list(PersonOutcome).index(PersonOutcome.EXCLUDED),
        told_rank=list(PersonOutcome).index(PersonOutcome.TOLD),
        left_out=LEFT_OUT,
        outcomes=list(PersonOutcome),
        scope_id=count.scope_id,
        number=count.number,
    )


class ShownFacts(NamedTuple):
    """What is shown of a scope. final: nothing of it changes any more.

    facts: people by area; of_roles: those of each role in all these areas, whose area is "".
    """

    as_of: datetime
    final: bool
    facts: Sequence[CoverageFact]
    of_roles: Sequence[CoverageFact]


async def read_facts(
    conn: Connection,
    scope_id: UUID,
    role: str = "",
    *,
    areas: Sequence[str] | None = None,
    by_town: bool = False,
) -> ShownFacts | None:
    """What is shown of a scope, of the people of a role ("": of everybody); None: nothing yet.

    areas: the codes of these alone; None: all. by_town: people of villages stand in their towns; a
    count of an earlier version of this program was not added up by towns, and is read by villages.
    """
    if by_town:
        shown = await _read(conn, "coverage_town_facts", scope_id, role, areas)
        if shown is None or shown.facts:
            return shown
    return await _read(conn, "coverage_facts", scope_id, role, areas)


async def _read(
    conn: Connection, table: str, scope_id: UUID, role: str, areas: Sequence[str] | None
) -> ShownFacts | None:
    """One statement, since the next count may take the place of this one at any moment."""
    asked: dict[str, Any] = {"scope_id": scope_id, "role": role}
    within = ""
    if areas is not None:
        asked["areas"] = areas
        within = "AND f.area_code = ANY (:areas::text[])"
    rows = await sql.fetch(
        conn,
        f"""
        SELECT s.as_of, s.final, f.area_code, f.role, f.outcome, f.reason, f.people
        FROM coverage_scopes s LEFT JOIN LATERAL (
            SELECT area_code, role, outcome, reason, people FROM {table} f
            WHERE f.scope_id = s.id AND f.count_no = s.shown AND f.role = :role {within}
            UNION ALL
            SELECT NULL, role, outcome, reason, sum(people)::int FROM {table} f
            WHERE f.scope_id = s.id AND f.count_no = s.shown AND f.role <> '' {within}
            GROUP BY role, outcome, reason) f ON true
        WHERE s.id = :scope_id AND s.as_of IS NOT NULL
        """,  # noqa: S608  # constants
        **asked,
    )
    if not rows:
        return None
    facts: list[CoverageFact] = []
    of_roles: list[CoverageFact] = []
    for _, _, area, own_role, outcome, reason, people in rows:
        if people is not None:
            found = facts if area is not None else of_roles
            found.append(CoverageFact(area or "", own_role, PersonOutcome(outcome), reason, people))
    return ShownFacts(rows[0]["as_of"], rows[0]["final"], facts, of_roles)
