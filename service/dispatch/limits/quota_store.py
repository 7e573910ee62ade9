"""The SQL of quotas: how many parts a channel may still hand off today and this month.

Parts are reserved in the transaction of the mark, under the locks of the day's and the month's
row, so that all processes together never exceed a quota; what provably was not sent is given back.
Rows are locked in the order of their key by everybody. A channel without a quota has no rows, and
nothing is counted for it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from service.channels.contract.maintenance import day_of, month_of, next_day, next_month
from service.channels.contract.model import Hold
from service.storage import sql
from service.storage.postgres import Connection, Record, affected


async def free_parts(conn: Connection, channel_id: int, now: datetime) -> tuple[int, Hold]:
    """How many parts are left, and the hold to put on the channel once they are used up.

    Keeps others from reserving to the end of the transaction. Fewer than none are left where a
    quota was lowered meanwhile.
    """
    rows = await _lock(conn, channel_id, now)
    if len(rows) < 2:  # the first of a day
        await sql.execute(
            conn,
            """
            INSERT INTO quota_use (channel_id, span, since)
            VALUES (:channel_id, 'day', :day), (:channel_id, 'month', :month)
            ON CONFLICT DO NOTHING
            """,
            channel_id=channel_id,
            day=day_of(now),
            month=month_of(now),
        )
        rows = await _lock(conn, channel_id, now)
    left = {row["span"]: row["quota"] - row["parts"] for row in rows if row["quota"] is not None}
    quota = {row["span"]: row["quota"] for row in rows}
    if not left:  # it was taken away a moment ago
        return 2**31 - 1, Hold(now, "", "quota")
    span = min(left, key=lambda span: (left[span], span == "day"))
    until = next_day(now) if span == "day" else next_month(now)
    why = f"the {span}'s quota of {quota[span]} parts is used up"
    return left[span], Hold(until, why, "quota")


async def use(conn: Connection, channel_id: int, parts: int, now: datetime) -> None:
    """Count parts that were marked as leaving; `free_parts` first, in the same transaction."""
    await add_parts(
        conn,
        "quota_use",
        channel_id,
        [("day", day_of(now), parts), ("month", month_of(now), parts)],
    )


async def give_back(conn: Connection, channel_id: int, unsent: Sequence[Record]) -> None:
    """Give back the parts of messages that were marked (`marked_at`, `part_count`) and not sent."""
    spans: Counter[tuple[str, date]] = Counter()
    for row in unsent:
        spans["day", day_of(row["marked_at"])] -= row["part_count"]
        spans["month", month_of(row["marked_at"])] -= row["part_count"]
    await add_parts(
        conn,
        "quota_use",
        channel_id,
        [(span, since, n) for (span, since), n in sorted(spans.items())],
    )
    # There is room again; the next mark holds the channel anew where nothing fits into it.
    await sql.execute(
        conn,
        """
        UPDATE channels SET held_until = NULL, held_why = '', held_by = 'carrier'
        WHERE id = :channel_id AND held_by = 'quota' AND held_until IS NOT NULL
        """,
        channel_id=channel_id,
    )


async def used_parts(conn: Connection, channel_id: int, now: datetime) -> tuple[int, int]:
    """The parts that were handed off today and this month, as far as they were counted."""
    rows = await sql.fetch(
        conn,
        """
        SELECT span, parts FROM quota_use
        WHERE channel_id = :channel_id
          AND (span = 'day' AND since = :day OR span = 'month' AND since = :month)
        """,
        channel_id=channel_id,
        day=day_of(now),
        month=month_of(now),
    )
    used = {row["span"]: row["parts"] for row in rows}
    return used.get("day", 0), used.get("month", 0)


async def _lock(conn: Connection, channel_id: int, now: datetime) -> list[Record]:
    return await sql.fetch(
        conn,
        """
        SELECT q.span, q.parts,
               CASE q.span WHEN 'day' THEN c.daily_quota ELSE c.monthly_quota END AS quota
        FROM quota_use q JOIN channels c ON c.id = q.channel_id
        WHERE q.channel_id = :channel_id
          AND (q.span = 'day' AND q.since = :day OR q.span = 'month' AND q.since = :month)
        ORDER BY q.span, q.since
        FOR UPDATE OF q
        """,
        channel_id=channel_id,
        day=day_of(now),
        month=month_of(now),
    )


async def add_parts(
    conn: Connection,
    table: Literal["quota_use", "department_use"],
    owner: int | UUID,
    amounts: Sequence[tuple[str, date, int]],
) -> bool:
    """Change what is counted of a channel, or of a department, by span and its first day; whether
    anything is counted there at all.

    The rows are locked in a statement of their own: what the next one adds to is what the last
    holder of the locks left.
    """
    key = _OWNERS[table]
    spans, days = [span for span, _, _ in amounts], [since for _, since, _ in amounts]
    await sql.execute(
        conn,
        f"""
        SELECT FROM {table} u JOIN unnest(:spans::text[], :days::date[]) AS a(span, since)
          ON u.{key} = :owner AND u.span = a.span AND u.since = a.since
        ORDER BY u.span, u.since FOR UPDATE OF u
        """,  # names of ours
        owner=owner,
        spans=spans,
        days=days,
    )
    status = await sql.execute(
        conn,
        f"""
        UPDATE {table} u SET parts = greatest(0, u.parts + a.parts)
        FROM unnest(:spans::text[], :days::date[], :parts::bigint[]) AS a(span, since, parts)
        WHERE u.{key} = :owner AND u.span = a.span AND u.since = a.since
        """,  # noqa: S608  # names of ours
        owner=owner,
        spans=spans,
        days=days,
        parts=[parts for _, _, parts in amounts],
    )
    return affected(status) > 0


_OWNERS = {"quota_use": "channel_id", "department_use": "department_id"}
