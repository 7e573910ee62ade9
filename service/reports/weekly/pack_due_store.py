"""The SQL of which packs are due: those of weeks whose deadline is over, and further versions."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from service.storage import sql
from service.storage.locks import lock_pack_weeks
from service.storage.postgres import Connection, affected

DUE_FOR = timedelta(minutes=1)
"""A pack is due so long after the last deadline of its week."""
LATELY = timedelta(days=14)
"""Weeks whose reports were due before get no pack any more."""


async def add_due(conn: Connection, now: datetime) -> int:
    """Add the versions that are due: the first one after the last deadline of a week, a further one
    when something was handed in since. Returns how many. Needs a transaction.
    """
    if weeks := await _new_weeks(conn, now):
        await _begin_weeks(conn, weeks)
    status = await sql.execute(
        conn,
        """
        WITH due AS (
            SELECT w.week, coalesce(l.version, 0) + 1 AS version
            FROM pack_weeks w LEFT JOIN LATERAL (
                SELECT version, state = 'waiting' AND facts IS NULL AS gathers FROM packs p
                WHERE p.week = w.week ORDER BY version DESC LIMIT 1) l ON true
            WHERE w.reports > w.packed AND NOT coalesce(l.gathers, false)
        ), made AS (
            INSERT INTO packs (week, version, asked_at) SELECT week, version, :now FROM due
            ON CONFLICT DO NOTHING RETURNING week
        )
        UPDATE pack_weeks w SET packed = w.reports FROM made m WHERE w.week = m.week
        """,
        now=now,
    )
    return affected(status)


async def _new_weeks(conn: Connection, now: datetime) -> list[str]:
    """The weeks whose last deadline is over and that have no pack.

    The deadline of an obligation is that of the duties that were moved last: what was handed in
    before a notice keeps an earlier or later one, for which nobody waits any more.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT due.period FROM (
            SELECT DISTINCT ON (d.obligation_id, d.period) d.period, d.due_at
            FROM duties d JOIN departments s ON s.id = d.setter_id
            WHERE d.kind = 'weekly_report' AND s.kind = 'county' AND d.due_at > :since
              AND d.period LIKE '____-W__'
              AND NOT EXISTS (SELECT FROM pack_weeks w WHERE w.week = d.period)
            ORDER BY d.obligation_id, d.period, d.moved_at DESC NULLS LAST) due
        GROUP BY due.period HAVING max(due.due_at) <= :until
        """,
        since=now - LATELY,
        until=now - DUE_FOR,
    )
    return [row["period"] for row in rows]


async def _begin_weeks(conn: Connection, weeks: Sequence[str]) -> None:
    """Count from now on what is handed in for these weeks.

    Whoever is handing in did not find the week, and is waited for, so the first version has that
    report; whoever begins later waits for the end of this transaction, finds the week and counts.
    No row of a duty is locked: whoever tells people of what is due would pass it over.
    """
    await lock_pack_weeks(conn)
    await sql.execute(
        conn,
        "INSERT INTO pack_weeks (week) SELECT unnest(:weeks::text[]) ON CONFLICT DO NOTHING",
        weeks=list(weeks),
    )
