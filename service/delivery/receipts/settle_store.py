"""The SQL of settling: silence becomes `unknown`, and a run without an open message is settled.

A look at a run reads its whole ledger, so a run is looked at when something can have changed: first
at once, then each time it has waited a tenth longer for its receipts, and when the text that has
been silent for longest reaches its 72 h.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from service.delivery.receipts.store import RECEIPT_WAIT
from service.ledger.fragments import count_ends, ended_as
from service.ledger.reasons import Reason
from service.ledger.states import ENDED_RUNS, OPEN, MessageState, sql_list, state_move
from service.storage import sql
from service.storage.postgres import Connection, Record

GIVE_UP = state_move(MessageState.UNKNOWN, only=[MessageState.SUBMITTED])

SOONEST, LATEST = timedelta(seconds=10), timedelta(hours=1)
"""The bounds of the time between two looks at one run."""

CLAIMED = timedelta(minutes=5)
"""For so long a look is somebody's; one that died in it is taken up after that."""

BATCH_ROWS = 10_000
LOOKS = 100
"""How many rows are given up at a time, and how many runs at most are looked at together, of that
many rows: there may be hundreds of one text each in a second.
"""


async def settle_runs(conn: Connection, now: datetime) -> None:
    """Look at every run that is due for it. Needs no transaction: each statement is whole."""
    while runs := await _next_looks(conn, now):
        await _look(conn, runs, now)


async def _next_looks(conn: Connection, now: datetime) -> list[Record]:
    """The runs to look at next, for us alone for a while: one, or several small ones."""
    return await sql.fetch(
        conn,
        f"""
        WITH due AS MATERIALIZED (
            SELECT id, coalesce(target, 0) AS target, settle_at FROM runs
            WHERE state IN {sql_list(ENDED_RUNS)} AND settled_at IS NULL
              AND (settle_at IS NULL OR settle_at <= :now)
            ORDER BY settle_at NULLS FIRST LIMIT :looks FOR UPDATE SKIP LOCKED
        ), chosen AS (
            SELECT id, sum(target) OVER w AS rows, row_number() OVER w AS at FROM due
            WINDOW w AS (ORDER BY settle_at NULLS FIRST, id)
        )
        UPDATE runs r SET settle_at = :settle_at
        FROM chosen c WHERE r.id = c.id AND (c.at = 1 OR c.rows <= :batch_rows)
        RETURNING r.id, coalesce(r.finished_at, r.created_at) AS since
        """,  # noqa: S608  # constants
        now=now,
        settle_at=now + CLAIMED,
        looks=LOOKS,
        batch_rows=BATCH_ROWS,
    )


async def _look(conn: Connection, runs: Sequence[Record], now: datetime) -> None:
    since = {run["id"]: run["since"] for run in runs}
    found = await _count_open(conn, list(since))
    silent = [run for run in found if (at := run["silent_since"]) and at < now - RECEIPT_WAIT]
    for run in silent:
        await _give_up_silent(conn, run["id"], run["last_no"], now)
    if silent:
        found = await _count_open(conn, list(since))
    await sql.execute(
        conn,
        f"""
        UPDATE runs r SET settle_at = a.again, settled_at = CASE WHEN NOT a.open AND NOT EXISTS (
            SELECT FROM ledger_of(a.id)
            WHERE state IN {sql_list(OPEN)})
            THEN :now::timestamptz END
        FROM unnest(:ids::uuid[], :agains::timestamptz[], :opens::bool[]) AS a(id, again, open)
        WHERE r.id = a.id AND r.state IN {sql_list(ENDED_RUNS)} AND r.settled_at IS NULL
        """,  # noqa: S608  # constants
        ids=[run["id"] for run in found],
        agains=[_next_look(since[run["id"]], run["silent_since"], now) for run in found],
        opens=[run["open"] > 0 for run in found],
        now=now,
    )


def _next_look(since: datetime, silent_since: datetime | None, now: datetime) -> datetime:
    again = now + min(max((now - since) / 10, SOONEST), LATEST)
    if silent_since is None:
        return again
    # Just past it: a text is silent for more than 72 h, not for 72 h.
    return min(again, silent_since + RECEIPT_WAIT + timedelta(microseconds=1))


async def _count_open(conn: Connection, runs: Sequence[uuid.UUID]) -> list[Record]:
    """Of each run: how many messages are open, since when the first of them has had no receipt,
    the last no.
    """
    return await sql.fetch(
        conn,
        f"""
        SELECT a.id, m.* FROM unnest(:runs::uuid[]) AS a(id), LATERAL (
            SELECT count(*) FILTER (
                       WHERE state IN {sql_list(OPEN)}) AS open,
                   min(submitted_at) FILTER (WHERE state = 'submitted') AS silent_since,
                   max(no) AS last_no
            FROM ledger_of(a.id)) m
        """,  # noqa: S608  # constants
        runs=runs,
    )


async def _give_up_silent(conn: Connection, run_id: uuid.UUID, last_no: int, now: datetime) -> None:
    """After 72 h of silence a submitted message is `unknown`; some at a time, so that receipts
    that come late wait for no long statement.
    """
    for first in range(1, last_no + 1, BATCH_ROWS):
        await sql.execute(
            conn,
            f"""
            WITH moved AS (
                UPDATE messages
                SET {ended_as(MessageState.UNKNOWN, f"'{Reason.NO_RECEIPT}'", ":now")}
                WHERE run_id = :run_id AND no BETWEEN :first AND :last
                  AND state IN {GIVE_UP.sources_sql} AND submitted_at < :before
                RETURNING channel_id, state, old.state AS before)
            {count_ends("moved")}
            """,  # noqa: S608  # constants
            run_id=run_id,
            first=first,
            last=first + BATCH_ROWS - 1,
            now=now,
            before=now - RECEIPT_WAIT,
        )
