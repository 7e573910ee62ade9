"""The SQL of a department's quotas: how many parts it may still hand off this day, month, year.

As with a channel's (`quota_store`): parts are reserved in the transaction of the mark, under the
locks of the three rows, so that all channels and processes together never exceed a quota; what
provably was not sent is given back. The channel's rows are locked before a department's by
everybody. A department without a quota has no rows, and nothing is counted for it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from service.channels.contract.maintenance import (
    day_of,
    month_of,
    next_day,
    next_month,
    next_year,
    year_of,
)
from service.dispatch.limits.quota_store import add_parts
from service.storage import sql
from service.storage.postgres import Connection, Record

_SINCE = {"day": day_of, "month": month_of, "year": year_of}
_NEXT = {"day": next_day, "month": next_month, "year": next_year}


class Left(NamedTuple):
    """How many parts a department may still hand off; until when none, and why, once it is 0."""

    parts: int
    until: datetime
    why: str


async def free_parts(conn: Connection, department_id: UUID, now: datetime) -> Left | None:
    """What is left of the tightest quota; None: the department has none (any more).

    Keeps others from reserving to the end of the transaction.
    """
    spans = [(span, since(now)) for span, since in _SINCE.items()]
    await sql.execute(
        conn,
        """
        INSERT INTO department_use (department_id, span, since)
        SELECT :department_id, s.span, s.since
        FROM unnest(:spans::text[], :sinces::date[]) AS s(span, since)
        ORDER BY s.span ON CONFLICT DO NOTHING
        """,
        department_id=department_id,
        spans=[span for span, _ in spans],
        sinces=[since for _, since in spans],
    )
    rows = await sql.fetch(
        conn,
        """
        SELECT u.span, u.parts, CASE u.span
            WHEN 'day' THEN d.daily_quota WHEN 'month' THEN d.monthly_quota
            ELSE d.yearly_quota END AS quota
        FROM department_use u JOIN departments d ON d.id = u.department_id
        JOIN unnest(:spans::text[], :sinces::date[]) AS s(span, since)
          ON s.span = u.span AND s.since = u.since
        WHERE u.department_id = :department_id ORDER BY u.span FOR UPDATE OF u
        """,
        department_id=department_id,
        spans=[span for span, _ in spans],
        sinces=[since for _, since in spans],
    )
    left = {row["span"]: row["quota"] - row["parts"] for row in rows if row["quota"] is not None}
    if not left:
        return None
    quota = {row["span"]: row["quota"] for row in rows}
    span = min(left, key=lambda span: (left[span], list(_SINCE).index(span)))
    why = f"the department's quota of {quota[span]} parts a {span} is used up"
    return Left(left[span], _NEXT[span](now), why)


async def use(conn: Connection, department_id: UUID, parts: int, now: datetime) -> None:
    """Count parts that were marked as leaving; `free_parts` first, in the same transaction."""
    spans = [(span, since(now), parts) for span, since in sorted(_SINCE.items())]
    await add_parts(conn, "department_use", department_id, spans)


async def hold(conn: Connection, department_id: UUID, left: Left) -> None:
    """Nothing of the department is taken up until its quota is new, or changed."""
    await sql.execute(
        conn,
        "UPDATE departments SET held_until = :until, held_why = :why WHERE id = :department_id",
        department_id=department_id,
        until=left.until,
        why=left.why,
    )


async def give_back(conn: Connection, run_id: UUID, unsent: Sequence[Record]) -> None:
    """Give back the parts of messages that were marked (`marked_at`, `part_count`) and not sent."""
    department_id = await sql.fetchval(
        conn, "SELECT department_id FROM runs WHERE id = :run_id", run_id=run_id
    )
    spans: Counter[tuple[str, date]] = Counter()
    for row in unsent:
        for span, since in _SINCE.items():
            spans[span, since(row["marked_at"])] -= row["part_count"]
    amounts = [(span, since, parts) for (span, since), parts in sorted(spans.items())]
    if await add_parts(conn, "department_use", department_id, amounts):
        # There is room again; the next mark holds it anew where nothing fits into it.
        await sql.execute(
            conn,
            """
            UPDATE departments SET held_until = NULL, held_why = ''
            WHERE id = :department_id AND held_until IS NOT NULL
            """,
            department_id=department_id,
        )
