"""The SQL of facts: counting a stretch of people, and reading what was counted."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
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
    """What is shown of a scope. final: nothing of it changes any more."""

    as_of: datetime
    final: bool
    facts: Sequence[CoverageFact]


async def read_facts(conn: Connection, scope_id: UUID) -> ShownFacts | None:
    """What is shown of a scope; None: nothing yet.

    One statement, since the next count may take the place of this one at any moment.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT s.as_of, s.final, f.area_code, f.role, f.outcome, f.reason, f.people
        FROM coverage_scopes s
        LEFT JOIN coverage_facts f ON f.scope_id = s.id AND f.count_no = s.shown
        WHERE s.id = :scope_id AND s.as_of IS NOT NULL
        """,
        scope_id=scope_id,
    )
    if not rows:
        return None
    facts = [
        CoverageFact(area, role, PersonOutcome(outcome), reason, people)
        for _, _, area, role, outcome, reason, people in rows
        if people is not None
    ]
    return ShownFacts(rows[0]["as_of"], rows[0]["final"], facts)
