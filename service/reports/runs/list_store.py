"""The SQL of the list of runs over all campaigns and direct sends, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.ledger.states import OPEN_RUNS, OPEN_RUNS_WITH_LEDGER, RunState, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record

_OPEN_ONES = f"""
    SELECT r.* FROM runs r, asked
    WHERE r.state IN {sql_list(OPEN_RUNS)} AND r.kind <> 'reply'
      AND r.state = ANY (asked.states)
      AND (asked.departments IS NULL OR r.department_id = ANY (asked.departments))
      AND r.created_at >= asked.since AND r.created_at < asked.until
      AND (asked.after IS NULL OR (r.created_at, r.id) < (asked.after_at, asked.after))
"""  # noqa: S608  # constants
_ALL = """
    SELECT r.* FROM asked, departments d CROSS JOIN LATERAL (
        SELECT * FROM runs o
        WHERE o.department_id = d.id AND o.kind <> 'reply'
          AND o.created_at >= asked.since AND o.created_at < asked.until
          AND (asked.after IS NULL OR (o.created_at, o.id) < (asked.after_at, asked.after))
          AND (asked.states IS NULL OR o.state = ANY (asked.states))
        ORDER BY o.created_at DESC, o.id DESC LIMIT (SELECT wanted FROM asked)) r
    WHERE asked.departments IS NULL OR d.id = ANY (asked.departments)
"""
"""Each department's newest, along `runs_lately`, and of those the newest of all."""


class WhichRuns(NamedTuple):
    """Which runs are listed. departments: whose (None: all). states: None: any. since, until: made
    in this span. after: the last run of the page before.
    """

    departments: Sequence[UUID] | None
    states: Sequence[RunState] | None
    since: datetime | None
    until: datetime | None
    after: UUID | None
    wanted: int


async def list_runs(conn: Connection, which: WhichRuns) -> list[Record]:
    """Runs of campaigns and direct sends, from new to old, with the names of their campaign and
    department. left: how many texts at most still wait for their turn, by whole slices.
    """
    only_open = which.states is not None and OPEN_RUNS.issuperset(which.states)
    return await sql.fetch(
        conn,
        f"""
        WITH asked AS MATERIALIZED (
            SELECT :departments::uuid[] AS departments, :states::text[] AS states,
                   coalesce(:since::timestamptz, '-infinity') AS since,
                   coalesce(:until::timestamptz, 'infinity') AS until,
                   CAST(:after AS uuid) AS after, a.created_at AS after_at, :wanted::int AS wanted
            FROM (SELECT) one LEFT JOIN runs a ON a.id = :after
        ), page AS MATERIALIZED (
            SELECT * FROM ({_OPEN_ONES if only_open else _ALL}) found
            ORDER BY created_at DESC, id DESC LIMIT :wanted
        )
        SELECT p.id, p.kind, p.mode, p.campaign_id, p.department_id, p.fire_at, p.state,
               p.priority, p.class, p.baseline, p.target, p.valid_until, p.created_at,
               p.started_at, p.finished_at, p.text_no, p.follows, p.relation,
               c.name AS campaign, d.name AS department,
               CASE WHEN p.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)} THEN (
                   SELECT coalesce(sum(s.last_no - s.first_no + 1), 0) FROM slices_of(p.id) s
                   WHERE s.done_at IS NULL)
               WHEN p.state = '{RunState.SENT}' THEN 0 END AS left
        FROM page p LEFT JOIN campaigns c ON c.id = p.campaign_id
        JOIN departments d ON d.id = p.department_id
        ORDER BY p.created_at DESC, p.id DESC
        """,  # noqa: S608  # constants
        departments=None if which.departments is None else list(which.departments),
        states=None if which.states is None else [state.value for state in which.states],
        since=which.since,
        until=which.until,
        after=which.after,
        wanted=which.wanted,
    )
