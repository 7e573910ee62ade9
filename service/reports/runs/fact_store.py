"""The SQL of what is kept of settled runs: which are due, and their facts."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.ledger.run_facts import CHANGES_OF, facts_hold
from service.ledger.states import MessageState, RunState
from service.reports.runs.figures import RunFigures
from service.storage import sql
from service.storage.postgres import Connection

SHAPE = 1
"""What `figures` has of a run; another number with every change of `count_figures`."""

LEAST = 1_000
"""A smaller ledger is counted as fast."""

REST = timedelta(minutes=1)
"""So long facts stay at least: late receipts may come one by one."""

MOST_MISSED = 10
"""One in so many rows is listed as missed at most: to find more one by one takes as long as to read
the ledger in its order."""

OLDER = timedelta(minutes=1)
"""So long after it was seen, a program that notes no changes may live."""

_NOBODY_OLDER = """NOT EXISTS (
            SELECT FROM processes
            WHERE known COLLATE "C" < '0313' AND seen_at > clock_timestamp() - :older::interval)"""


class FactsState(NamedTuple):
    """The state of a ledger: when the run was settled, and how many late receipts changed it."""

    settled_at: datetime
    changes: int


async def next_due(conn: Connection, now: datetime) -> UUID | None:
    """The settled run of a campaign whose facts are not there or not of today's ledger, the latest
    first; None: there is none, or a program lives that does not note what it changes.
    """
    found: UUID | None = await sql.fetchval(
        conn,
        f"""
        SELECT r.id FROM runs r LEFT JOIN run_facts f ON f.run_id = r.id
        WHERE r.campaign_id IS NOT NULL AND r.settled_at IS NOT NULL
          AND r.state = '{RunState.SENT}' AND r.target >= :least
          AND (f.run_id IS NULL OR f.made_at < :made_before
               AND (f.shape <> :shape OR NOT {facts_hold("f", "r")}))
          AND {_NOBODY_OLDER}
        ORDER BY r.settled_at DESC LIMIT 1
        """,  # noqa: S608  # constants
        least=LEAST,
        made_before=now - REST,
        shape=SHAPE,
        older=OLDER,
    )
    return found


async def read_state(conn: Connection, run_id: UUID) -> FactsState | None:
    """The state of a settled run's ledger; None: it is not settled any more."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT r.settled_at, v.changes
        FROM runs r CROSS JOIN LATERAL ({CHANGES_OF.format("r.id")}) v
        WHERE r.id = :run_id AND r.state = '{RunState.SENT}' AND r.settled_at IS NOT NULL
        """,  # noqa: S608  # constants
        run_id=run_id,
    )
    return None if row is None else FactsState(*row)


async def list_missed(conn: Connection, run_id: UUID) -> list[int] | None:
    """The numbers of a ledger's rows that were not delivered, in their order; None: too many."""
    found: list[int] | None = await sql.fetchval(
        conn,
        f"""
        SELECT CASE WHEN count(*) FILTER (WHERE state <> '{MessageState.DELIVERED}') * :most
                         <= count(*)
               THEN coalesce(array_agg(no ORDER BY no) FILTER (
                        WHERE state <> '{MessageState.DELIVERED}'), '{{}}') END
        FROM ledger_of(:run_id)
        """,  # noqa: S608  # constants
        run_id=run_id,
        most=MOST_MISSED,
    )
    return found


async def save_facts(
    conn: Connection,
    run_id: UUID,
    state: FactsState,
    figures: RunFigures,
    missed: list[int] | None,
    now: datetime,
) -> None:
    """Keep what was counted of a state of a run's ledger, in place of what was kept before; needs a
    transaction. Nothing is kept while a program lives that does not note what it changes. The notes
    of the run's changes are replaced by their sum.
    """
    await sql.execute(
        conn,
        f"""
        INSERT INTO run_facts (run_id, settled_at, changes, made_at, shape, figures, missed)
        SELECT :run_id::uuid, :settled_at::timestamptz, :changes::bigint, :now::timestamptz,
               :shape::smallint, :figures::json, :missed::integer[]
        WHERE {_NOBODY_OLDER}
        ON CONFLICT (run_id) DO UPDATE SET settled_at = excluded.settled_at,
            changes = excluded.changes, made_at = excluded.made_at, shape = excluded.shape,
            figures = excluded.figures, missed = excluded.missed
        """,
        run_id=run_id,
        **state._asdict(),
        now=now,
        shape=SHAPE,
        figures=figures,
        missed=missed,
        older=OLDER,
    )
    await sql.execute(
        conn,
        """
        WITH gone AS (DELETE FROM run_changes WHERE run_id = :run_id RETURNING changes)
        INSERT INTO run_changes (run_id, changes)
        SELECT :run_id, sum(changes) FROM gone HAVING count(*) > 0
        """,
        run_id=run_id,
    )


async def read_figures(conn: Connection, run_id: UUID) -> RunFigures | None:
    """What is kept of a run's ledger as it is in this statement's snapshot; None: nothing."""
    found: RunFigures | None = await sql.fetchval(
        conn,
        f"""
        SELECT f.figures FROM runs r JOIN run_facts f ON {facts_hold("f", "r")}
        WHERE r.id = :run_id AND f.shape = :shape
        """,  # noqa: S608  # constants
        run_id=run_id,
        shape=SHAPE,
    )
    return found
