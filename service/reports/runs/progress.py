"""How far a run has come: what has left, what waits and why, how fast it goes, and when it ends.

What waits for its turn is asked of the slices at each asking, which costs little. The ledger, the
forecast and the channels' figures cost more: they are counted together, once for all who watch and
behind them (`shared_counts`), and say when. All states come from one count, so that the target is
their sum.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.campaigns.core.model import Run
from service.channels.config.store import list_holds, readable_channels
from service.channels.contract.model import Channel
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.failover.channel_monitor import look_at
from service.dispatch.failover.circuit_breaker import BreakerLimits
from service.dispatch.forecast.channel_queue import Count, wait_of_run
from service.ledger.reasons import Wait
from service.ledger.states import (
    FINAL_AFTER_HANDOFF,
    HANDED_OFF,
    OPEN_RUNS_WITH_LEDGER,
    MessageState,
)
from service.reports.campaign_store import channel_names
from service.reports.runs.progress_store import ChannelLeft, count_left, count_rows, tps_of
from service.reports.waiting_reasons import find_waits
from service.shared_counts import SharedCounts
from service.storage.postgres import Connection, Pool, Record, transaction

MINUTE = timedelta(minutes=1)
SETTLED_SECONDS = 60.0
"""So long the count of a run stays that is over: hardly anything of it changes any more."""
_UNFORESEEABLE = frozenset(
    {Wait.STOPPED, Wait.PAUSED, Wait.CANARY, Wait.DEPARTMENT, Wait.LIST, Wait.DISABLED}
)


@dataclass(frozen=True, slots=True)
class Watching:
    """What is needed to look at channels, and to count behind whoever asks. counter: how many parts
    a channel makes of a text. limits: from when on one counts as slow.
    """

    pool: Pool
    clock: Clock
    keyring: Keyring
    counter: Callable[[Channel], Count]
    limits: BreakerLimits


@dataclass(frozen=True, slots=True)
class ChannelCount:
    """A run on one channel, as it was counted.

    queued: what waits for its turn. again: what waits to be tried again. rate: parts a second over
    the last minute. hold, until: what keeps the next text, None: nothing waits. expected_at: when
    the first hand-offs are done; None: not foreseeable. delivered_share: of those that have ended;
    answer_ms: within how many milliseconds half and 95 % of all submits of the channel were
    answered in the last minute.
    """

    channel: str
    states: Mapping[MessageState, int]
    queued: int
    again: int
    rate: float
    limit: int | None
    hold: Wait | None
    until: datetime | None
    expected_at: datetime | None
    delivered_share: float | None
    answer_ms: tuple[int | None, int | None]

    @property
    def handed_off(self) -> int:
        """How many a carrier has, or may have."""
        return sum(self.states.get(state, 0) for state in HANDED_OFF)


@dataclass(frozen=True, slots=True)
class RunCount:
    """A run, as it was counted at an instant. target: None: its ledger is still written."""

    counted_at: datetime
    target: int | None
    channels: Mapping[int, ChannelCount]

    @property
    def states(self) -> Counter[MessageState]:
        """All texts by state."""
        total: Counter[MessageState] = Counter()
        for channel in self.channels.values():
            total.update(channel.states)
        return total


@dataclass(frozen=True, slots=True)
class ChannelProgress:
    """A channel's share now: what was counted, and what of it waits at this moment."""

    channel_id: int
    counted: ChannelCount
    left: int
    next_at: datetime | None
    last_at: datetime | None

    @property
    def handed_off(self) -> int:
        """As counted, and what has left the queue since."""
        return max(self.counted.handed_off + self.counted.queued - self.left, 0)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come."""

    run: Run
    counted: RunCount
    channels: Sequence[ChannelProgress]


async def read_progress(
    conn: Connection,
    run: Run,
    counts: SharedCounts[RunCount],
    watching: Watching,
    now: datetime,
) -> RunProgress:
    """How far a run has come by now."""
    is_open = run.state in OPEN_RUNS_WITH_LEDGER

    async def count() -> RunCount:
        return await _count(conn, run, watching, now)

    async def behind() -> RunCount:
        async with transaction(watching.pool) as own:
            return await _count(own, run, watching, watching.clock.now())

    # A run that is opened again, and one whose state changes, is counted anew.
    key = (run.id, run.state, run.finished_at)
    at_least = 0.0 if is_open else SETTLED_SECONDS
    counted = await counts.get(key, count, behind=behind, at_least=at_least)
    left = await count_left(conn, run.id, now) if is_open else {}
    nothing = ChannelLeft(0, 0, None, None)
    channels = []
    for channel_id, of_channel in sorted(counted.channels.items()):
        _, queued, next_at, last_at = left.get(channel_id, nothing)
        channels.append(ChannelProgress(channel_id, of_channel, queued, next_at, last_at))
    return RunProgress(run, counted, channels)


async def _count(conn: Connection, run: Run, watching: Watching, now: datetime) -> RunCount:
    since = max(now - MINUTE, run.started_at or now - MINUTE)
    rows = await count_rows(conn, run.id, since)
    by_channel: dict[int, list[Record]] = defaultdict(list)
    for row in rows:
        by_channel[row["channel_id"]].append(row)
    is_open = run.state in OPEN_RUNS_WITH_LEDGER
    left = await count_left(conn, run.id, now) if is_open else {}
    holds = await _holds(conn, run, by_channel, watching.limits, now) if is_open else {}
    ends = await _ends(conn, run, {c for c in left if left[c].left}, holds, watching, now)
    names, limits = await channel_names(conn), await tps_of(conn)
    seconds = max((now - since).total_seconds(), 1.0)
    counted = {}
    for channel_id, of_channel in by_channel.items():
        _, figures = await look_at(conn, channel_id, watching.limits, now)
        hold, until = holds.get(channel_id, (None, None))
        counted[channel_id] = ChannelCount(
            channel=names.get(channel_id, str(channel_id)),
            states={MessageState(row["state"]): row["messages"] for row in of_channel},
            queued=left[channel_id].left if channel_id in left else 0,
            again=sum(row["again"] for row in of_channel),
            rate=round(sum(row["parts"] for row in of_channel) / seconds, 1),
            limit=limits.get(channel_id),
            hold=hold,
            until=until,
            expected_at=ends.get(channel_id),
            delivered_share=_delivered(of_channel),
            answer_ms=figures.answer_ms,
        )
    return RunCount(now, rows[0]["target"] if rows else run.target, counted)


async def _holds(
    conn: Connection,
    run: Run,
    by_channel: Mapping[int, Sequence[Record]],
    limits: BreakerLimits,
    now: datetime,
) -> dict[int, tuple[Wait, datetime | None]]:
    """What keeps the next text on each channel where one waits."""
    firsts = {
        channel_id: (run.id, min(nos))
        for channel_id, rows in by_channel.items()
        if (nos := [row["first_queued"] for row in rows if row["first_queued"] is not None])
    }
    found = await find_waits(conn, list(firsts.values()), limits, now)
    return {channel_id: found[key] for channel_id, key in firsts.items() if key in found}


async def _ends(
    conn: Connection,
    run: Run,
    busy: Collection[int],
    holds: Mapping[int, tuple[Wait, datetime | None]],
    watching: Watching,
    now: datetime,
) -> dict[int, datetime]:
    """When each channel will be done with what has its first turn there, where it is foreseeable.

    busy: the channels on which anything waits for its turn.
    """
    asked = {c for c in busy if c in holds and holds[c][0] not in _UNFORESEEABLE}
    if not asked:
        return {}
    own_holds = await list_holds(conn, now)
    found = {}
    for channel in await readable_channels(conn, watching.keyring):
        if channel.id in asked:
            count, hold = watching.counter(channel), own_holds.get(channel.id)
            if (wait := await wait_of_run(conn, channel, hold, count, run.id, now)) is not None:
                found[channel.id] = now + wait
    return found


def _delivered(rows: Sequence[Record]) -> float | None:
    ended = sum(row["messages"] for row in rows if row["state"] in FINAL_AFTER_HANDOFF)
    reached = sum(row["messages"] for row in rows if row["state"] == MessageState.DELIVERED)
    return round(reached / ended, 4) if ended else None
