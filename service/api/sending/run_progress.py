"""How far a run has come, for whoever watches it: asked every few seconds, by several at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID
from weakref import WeakKeyDictionary

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out, PlainOut
from service.api.sending.queue import part_counter
from service.api.sending.runs import counted_run
from service.campaigns.core.model import Run
from service.campaigns.core.store import baseline_of
from service.dispatch.expansion.expansion_notes import read_notes
from service.dispatch.failover.channel_monitor import limits_of
from service.ledger.reasons import Wait
from service.ledger.states import MessageState, RunState
from service.reports.runs.progress import (
    ChannelProgress,
    RunCount,
    RunProgress,
    Watching,
    read_progress,
)
from service.reports.waiting_reasons import worded
from service.shared_counts import SharedCounts
from service.storage.postgres import Pool

_COUNTS: WeakKeyDictionary[Pool, SharedCounts[RunCount]] = WeakKeyDictionary()
"""Of each database that this process serves."""

_MINUTE = timedelta(minutes=1)


class HeldOut(Out):
    """What keeps texts from leaving now."""

    code: Wait
    until: Instant | None = Field(description="Null: nobody knows.")
    plain: PlainOut
    channels: list[int] = Field(description="On which channels.")


class AgainOut(Out):
    """Texts that failed for a passing reason, and are to be handed off again."""

    texts: int = Field(description="As counted.")
    next_at: Instant | None = Field(
        description="When the first text may leave that waits for an instant of its own: a second"
        " try, or a person who has had enough for today. Null: none does."
    )
    last_at: Instant | None = Field(description="When the last of these may.")


class StatesOut(Out):
    """All texts of the run by their state, from one count: target = Σ states, or it says so."""

    target: int | None
    states: dict[MessageState, int]
    adds_up: bool


class ChannelProgressOut(Out):
    """A channel's share of a run."""

    channel_id: int
    channel: str
    handed_off: int
    left: int = Field(description="What waits for its turn.")
    per_second: float = Field(description="Parts of this run over the last minute, as counted.")
    limit: int | None = Field(description="Parts a second of the contract; null: none is known.")
    held: Wait | None = Field(description="What keeps the next text; null: nothing waits.")
    until: Instant | None
    plain: PlainOut | None = Field(description="What keeps the next text, for people.")
    expected_at: Instant | None = Field(
        description="When the first hand-offs will be done, to the minute; null: nobody knows, or"
        " they are."
    )
    delivered_share: float | None = Field(
        description="Of the texts of this run whose outcome is known; null: of none."
    )
    answer_p50_ms: int | None = Field(
        description="Within so many milliseconds the carrier answered half of all submits in the"
        " last minute, those of other runs too; null: there were none."
    )
    answer_p95_ms: int | None
    states: dict[MessageState, int]


class ExpansionOut(Out):
    """How far the list of a run's people has been written."""

    expected: int | None = Field(
        description="How many people the plan was for when it was submitted; null: nobody knows."
    )
    people: int | None = Field(description="Of the whole list; null: they are being chosen.")
    done: int = Field(
        description="Of so many of these all is written, of which nobody sees any yet."
    )


class ProgressOut(Out):
    """How far a run has come. What waits is counted at each asking; states, speed and forecast at
    most for a twentieth of the time, once for all who watch: `counted_at` says when.
    """

    BY_THE_CLOCK = frozenset({"asked_at", "counted_at"})

    run_id: UUID
    campaign_id: UUID | None
    state: Literal["expanding", "running", "paused", "sent", "cancelled"]
    target: int | None
    expansion: ExpansionOut | None = Field(
        description="While the list of people is being written; null: it is, or nothing is known."
    )
    asked_at: Instant
    counted_at: Instant = Field(description="When states, speed and forecast were counted.")
    handed_off: int = Field(description="Texts that a carrier has, or may have.")
    left: int = Field(description="Texts that wait for their turn.")
    per_second: float = Field(description="Parts over the last minute, as counted.")
    expected_at: Instant | None = Field(
        description="When the first hand-offs will be done, to the minute; a handful of second"
        " tries later on is not in it. Null: nobody knows, or they are."
    )
    held: list[HeldOut] = Field(
        description="What keeps texts from leaving now, but for waiting for their turn."
    )
    again: AgainOut
    counts: StatesOut
    channels: list[ChannelProgressOut]


async def get_progress(call: Call, run_id: UUID) -> ProgressOut:
    """Show how far a run has come, and what keeps it."""
    run = await counted_run(call, run_id)
    runtime = call.runtime
    counts = _COUNTS.setdefault(runtime.pool, SharedCounts())
    limits = limits_of(runtime.settings).at_speed(runtime.clock.speed)
    watching = Watching(
        runtime.pool,
        runtime.clock,
        runtime.keyring,
        lambda channel: part_counter(channel, runtime.clock),
        limits,
    )
    found = await read_progress(call.conn, run, counts, watching, call.now)
    return _progress_out(found, call.now, await _expansion(call, run))


async def _expansion(call: Call, run: Run) -> ExpansionOut | None:
    """How far the list of a run's people is, while it is written; a run that was begun anew after
    a crash begins at nobody again.
    """
    if run.state != RunState.EXPANDING:
        return None
    told = await read_notes(call.runtime.redis, run.id)
    expected = None
    if run.campaign_id is not None:
        expected = await baseline_of(call.conn, run.campaign_id)
    return ExpansionOut(
        expected=expected,
        people=told.people if told else None,
        done=told.done if told else 0,
    )


async def end_counts(pool: Pool) -> None:
    """End what is counted for those who watch, before the pool closes."""
    if (counts := _COUNTS.pop(pool, None)) is not None:
        await counts.close()


def _progress_out(found: RunProgress, now: datetime, expansion: ExpansionOut | None) -> ProgressOut:
    run, counted, channels = found.run, found.counted, found.channels
    states = dict(counted.states)
    waiting = [c for c in channels if c.left]
    ends = [_to_the_minute(c.counted.expected_at) for c in waiting]
    known = [end for end in ends if end is not None]
    return ProgressOut(
        **{name: getattr(run, name) for name in ("campaign_id", "state", "target")},
        run_id=run.id,
        expansion=expansion,
        asked_at=now,
        counted_at=counted.counted_at,
        handed_off=sum(c.handed_off for c in channels),
        left=sum(c.left for c in channels),
        per_second=round(sum(c.counted.rate for c in channels), 1),
        expected_at=max(known) if known and len(known) == len(ends) else None,
        held=_held(waiting),
        again=AgainOut(
            texts=sum(c.counted.again for c in channels),
            next_at=min((c.next_at for c in channels if c.next_at), default=None),
            last_at=max((c.last_at for c in channels if c.last_at), default=None),
        ),
        counts=StatesOut(
            target=counted.target,
            states=states,
            adds_up=sum(states.values()) == (counted.target or 0),
        ),
        channels=[_channel_out(c) for c in channels],
    )


def _channel_out(found: ChannelProgress) -> ChannelProgressOut:
    counted = found.counted
    hold = counted.hold if found.left else None
    half, most = counted.answer_ms
    return ChannelProgressOut(
        channel_id=found.channel_id,
        channel=counted.channel,
        handed_off=found.handed_off,
        left=found.left,
        per_second=counted.rate,
        limit=counted.limit,
        held=hold,
        until=counted.until if hold else None,
        plain=_plain(hold, counted.until) if hold else None,
        expected_at=_to_the_minute(counted.expected_at) if found.left else None,
        delivered_share=counted.delivered_share,
        answer_p50_ms=half,
        answer_p95_ms=most,
        states=dict(counted.states),
    )


def _held(waiting: Sequence[ChannelProgress]) -> list[HeldOut]:
    found: dict[tuple[Wait, datetime | None], list[int]] = {}
    for channel in waiting:
        hold = channel.counted.hold
        if hold is not None and hold is not Wait.TURN:
            found.setdefault((hold, channel.counted.until), []).append(channel.channel_id)
    return [
        HeldOut(code=hold, until=until, plain=_plain(hold, until), channels=channels)
        for (hold, until), channels in found.items()
    ]


def _plain(hold: Wait, until: datetime | None) -> PlainOut:
    return PlainOut.model_validate(worded(hold, until))


def _to_the_minute(at: datetime | None) -> datetime | None:
    """The full minute at or after an instant, so that a forecast does not flicker."""
    if at is None:
        return None
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + _MINUTE
