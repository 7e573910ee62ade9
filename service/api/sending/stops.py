"""The switch that stops all sending, and the record of its use."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.accounts.work import MOST_ITEMS, WorkItemOut, item_out
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page, QueryString
from service.campaigns.calendar.fires import Why
from service.campaigns.stops import gap_store, stop_store
from service.campaigns.stops import stop_all as stopping
from service.campaigns.stops.stop_all import LiftAs
from service.campaigns.stops.stop_store import StopOfAll
from service.dispatch.handoff.sweep_store import channels_with_work
from service.queue import Job
from service.reports.work_store import HOLDS, what_waits

_BY_STOPS = frozenset({Why.STOPPED, Why.RESTORED})


class StopQuery(QueryString):
    """What is to be said beside the stop itself."""

    count: bool = Field(
        default=False,
        description="Count `queued_before`; it reads the ledgers of all open runs.",
    )


class StopBody(Body):
    """Why everything must stop; all departments see it."""

    reason: Line


class LiftBody(Body):
    """Why sending may go on."""

    reason: Line
    direct_runs: LiftAs | None = Field(
        default=None,
        description="Once the database was restored, some of what it has as queued may have left."
        " `uncertain` (the default then): all texts that are queued in runs from before it,"
        " campaigns too, become uncertain, and are settled by receipts, a statement or a decision;"
        " `resume`: direct sends go on, and some people may get a text twice; `cancel`: direct"
        " sends end.",
    )


class MissingTextsOut(Out):
    """How many texts a connection has handed off that a restored database does not know of."""

    channel_id: int
    channel: str = Field(description="Its name then; empty: this database does not know it.")
    slot: int = Field(description="Which of the channel's connections, from 0.")
    texts: int


class StopOut(Out):
    """One stop of everything. Without `stopped_by`, the system's own: see `cause`."""

    id: int
    cause: Literal["person", "restored"]
    reason: str
    stopped_by: UUID | None
    stopped_at: Instant
    lifted_by: UUID | None
    lifted_at: Instant | None
    lift_reason: str | None
    missing: list[MissingTextsOut] | None = Field(
        description="Once the database was restored: what it lacks, as far as Redis was told;"
        " null: nobody knows."
    )
    gap_from: Instant | None = Field(
        description="What is missing was done after this; null: nobody knows."
    )


class StandOut(Out):
    """Whether everything is stopped, and by which stop."""

    stopped: bool
    stop: StopOut | None
    queued_before: int | None = Field(
        description="With `count`, while everything is stopped since the database was restored: how"
        " many texts are queued in runs from before it, so that they may have left; at most so many"
        " become uncertain.",
    )


class LiftedOut(StandOut):
    """A stop that is over, and what was held meanwhile: each waits for its own release."""

    uncertain: int = Field(description="How many texts became uncertain by it.")
    held: list[WorkItemOut] = Field(
        description="Campaigns and fires that you see and that the stop has held, the oldest first,"
        f" at most {MOST_ITEMS}; `POST /campaigns/{{id}}/release` sends or skips each."
    )


async def get_stop(call: Call, query: StopQuery) -> StandOut:
    """Say whether everything is stopped, since when and why."""
    stand = _stand(await stop_store.stop_in_force(call.conn))
    if query.count and stand.stop is not None and stand.stop.cause == "restored":
        stand.queued_before = await gap_store.queued_before(call.conn)
    return stand


async def stop_all(call: Call, body: StopBody) -> StandOut:
    """Stop all sending; after the answer, nothing that was not already leaving goes out."""
    return _stand(await stopping.stop_all(call.conn, call.user, body.reason, call.now))


async def lift_stop(call: Call, body: LiftBody) -> LiftedOut:
    """Let sending go on; what was held or paused meanwhile stays so, and `held` lists it."""
    lifted, uncertain = await stopping.lift(
        call.conn, call.user, body.reason, how=body.direct_runs, now=call.now
    )
    for channel_id in await channels_with_work(call.conn, call.now):
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    waiting = await what_waits(call.conn, HOLDS, call.user.scope, call.now, MOST_ITEMS)
    held = [item_out(item) for item in waiting.items if item.code in _BY_STOPS]
    return LiftedOut(**_stand(lifted).model_dump(), held=held, uncertain=uncertain)


async def list_stops(call: Call, query: PageQuery) -> Page[StopOut]:
    """List every stop there was, who lifted it and why."""
    found = await stop_store.list_stops(call.conn, query.number or None, query.wanted)
    return cut(Page[StopOut], found, query)


def _stand(stop: StopOfAll | None) -> StandOut:
    if stop is None:
        return StandOut(stopped=False, stop=None, queued_before=None)
    shown = StopOut.model_validate(stop)
    return StandOut(stopped=stop.lifted_at is None, stop=shown, queued_before=None)
