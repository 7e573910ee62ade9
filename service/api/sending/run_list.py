"""Runs over all campaigns and direct sends: what is being sent, and what was."""

from typing import Literal

from pydantic import Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Page
from service.api.sending.runs import RunOut
from service.ledger.states import OPEN_RUNS, RunState
from service.reports.runs import list_store
from service.reports.runs.list_store import WhichRuns
from service.storage.postgres import Record

RunStates = Literal["open", "expanding", "running", "paused", "sent", "cancelled"]


class RunsQuery(PageQuery):
    """Which runs: all, or those in one state, or made in a span of time."""

    state: RunStates | None = Field(
        default=None, description="open: those that are not over: expanding, running or paused."
    )
    since: Instant | None = Field(default=None, description="Made at or after this instant.")
    until: Instant | None = Field(
        default=None, alias="before", description="Made before this instant."
    )


class RunListedOut(RunOut):
    """A run in the list of all, with the names of what it belongs to."""

    campaign: str | None = Field(description="The campaign's name; null: a direct send.")
    department: str = Field(description="The department's name.")
    handed_off: int | None = Field(
        description="Of so many texts at least the turn has come: whole slices are counted, so up"
        " to a thousand a connection may be missing while it is being sent. Null: its ledger is"
        " still written, or it was cancelled. `GET /runs/{run_id}/progress` says it exactly."
    )


async def list_all_runs(call: Call, query: RunsQuery) -> Page[RunListedOut]:
    """List the runs of all campaigns and direct sends whose counts you see, newest first."""
    which = WhichRuns(
        call.user.count_scope,
        _states(query.state),
        query.since,
        query.until,
        query.before,
        query.wanted,
    )
    found = await list_store.list_runs(call.conn, which)
    return cut(Page[RunListedOut], [_listed(row) for row in found], query)


def _states(state: RunStates | None) -> list[RunState] | None:
    if state is None:
        return None
    return sorted(OPEN_RUNS) if state == "open" else [RunState(state)]


def _listed(row: Record) -> RunListedOut:
    left, target = row["left"], row["target"]
    known = left is not None and target is not None
    return RunListedOut(**row, handed_off=max(target - left, 0) if known else None)
