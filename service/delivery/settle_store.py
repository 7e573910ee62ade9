"""The SQL of settling: silence becomes `unknown`, and a run without an open message is settled.

A look at a run reads its whole ledger, so a run is looked at when something can have changed: first
at once, then each time it has waited a tenth longer for its receipts, and when the text that has
been silent for longest reaches its 72 h.
"""

import uuid
from datetime import datetime, timedelta

from service.delivery.store import RECEIPT_WAIT
from service.storage.postgres import Connection, Record, one

SOONEST, LATEST = timedelta(seconds=10), timedelta(hours=1)
"""The bounds of the time between two looks at one run."""

CLAIMED = timedelta(minutes=5)
"""For so long a look is somebody's; one that died in it is taken up after that."""

BATCH_ROWS = 10_000


async def settle_runs(conn: Connection, now: datetime) -> None:
    """Look at every run that is due for it. Needs no transaction: each statement is whole."""
    while (run := await _next_look(conn, now)) is not None:
        await _look(conn, run, now)


async def _next_look(conn: Connection, now: datetime) -> Record | None:
    """The run to look at next, for us alone for a while."""
    return await conn.fetchrow(
        """
        UPDATE runs SET settle_at = $2 WHERE id = (
            SELECT id FROM runs
            WHERE state IN ('sent', 'cancelled') AND settled_at IS NULL
              AND (settle_at IS NULL OR settle_at <= $1)
            ORDER BY settle_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, coalesce(finished_at, created_at) AS since
        """,
        now,
        now + CLAIMED,
    )


async def _look(conn: Connection, run: Record, now: datetime) -> None:
    found = await _count_open(conn, run["id"])
    if found["silent_since"] is not None and found["silent_since"] < now - RECEIPT_WAIT:
        await _give_up_silent(conn, run["id"], found["last_no"], now)
        found = await _count_open(conn, run["id"])
    again = now + min(max((now - run["since"]) / 10, SOONEST), LATEST)
    if found["silent_since"] is not None:
        # Just past it: a text is silent for more than 72 h, not for 72 h.
        end = found["silent_since"] + RECEIPT_WAIT + timedelta(microseconds=1)
        again = min(again, end)
    await conn.execute(
        """
        UPDATE runs SET settle_at = $2, settled_at = CASE WHEN NOT $3 AND NOT EXISTS (
            SELECT FROM messages WHERE run_id = $1
              AND state IN ('queued', 'submitting', 'submitted', 'uncertain'))
            THEN $4::timestamptz END
        WHERE id = $1 AND state IN ('sent', 'cancelled') AND settled_at IS NULL
        """,
        run["id"],
        again,
        found["open"] > 0,
        now,
    )


async def _count_open(conn: Connection, run_id: uuid.UUID) -> Record:
    """How many messages are open, since when the first of them has had no receipt, the last no."""
    row = await conn.fetchrow(
        """
        SELECT count(*) FILTER (
                   WHERE state IN ('queued', 'submitting', 'submitted', 'uncertain')) AS open,
               min(submitted_at) FILTER (WHERE state = 'submitted') AS silent_since,
               max(no) AS last_no
        FROM messages WHERE run_id = $1
        """,
        run_id,
    )
    return one(row)


async def _give_up_silent(conn: Connection, run_id: uuid.UUID, last_no: int, now: datetime) -> None:
    """After 72 h of silence a submitted message is `unknown`; some at a time, so that receipts
    that come late wait for no long statement.
    """
    for first in range(1, last_no + 1, BATCH_ROWS):
        await conn.execute(
            """
            UPDATE messages SET state = 'unknown', reason = 'no_receipt', final_at = $4
            WHERE run_id = $1 AND no BETWEEN $2 AND $3 AND state = 'submitted'
              AND submitted_at < $5
            """,
            run_id,
            first,
            first + BATCH_ROWS - 1,
            now,
            now - RECEIPT_WAIT,
        )
