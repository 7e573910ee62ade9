"""How long what waits on a channel will still wait: the turns of `fair_queue` as if texts flowed.

Pure. The forecast goes from one change to the next: a queue ends, hours open or close, the channel
rests or a quota is new. It knows nothing of what is yet to come, and of faults; so it is what is
to be expected, and no promise. What nobody can know is None.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.campaigns.calendar.hours import County, HourTerms
from service.channels.contract.maintenance import (
    maintenance_end,
    maintenance_start,
    next_day,
    next_month,
)
from service.dispatch.fair_queue import FLOOR, Flow

HORIZON = timedelta(days=62)
"""Beyond the next month but one nothing is foretold."""
MOST_STEPS = 5_000


@dataclass(slots=True, eq=False)
class Load:
    """What waits of one run. hours, county: when it may leave.

    until: after that it is of no use any more, and is stopped.
    """

    flow: Flow
    weight: int
    parts: float
    hours: HourTerms
    county: County
    not_before: datetime | None = None
    until: datetime | None = None
    max_tps: int | None = None

    def ready(self, at: datetime) -> bool:
        """Whether it may leave at this instant, for all that it knows itself."""
        return (self.not_before is None or self.not_before <= at) and (
            self.county.is_open(at, self.hours)
        )

    @property
    def bounds(self) -> Iterator[datetime]:
        """Instants at which that becomes otherwise, but for the hours."""
        yield from (instant for instant in (self.not_before, self.until) if instant is not None)


@dataclass(slots=True)
class ForecastChannel:
    """The channel. rate: parts a second. free_today, free_month: what is left of the quotas."""

    rate: float
    held_until: datetime | None = None
    maintenance: tuple[tuple[str, str], ...] = ()
    daily_quota: int | None = None
    monthly_quota: int | None = None
    free: dict[str, float] = field(default_factory=dict)

    def closed_until(self, at: datetime) -> datetime | None:
        """Until when nothing is handed off, if it is so now."""
        ends = [maintenance_end(at, self.maintenance)]
        if self.held_until is not None and self.held_until > at:
            ends.append(self.held_until)
        if self.free.get("day", 1.0) < 1:
            ends.append(next_day(at))
        if self.free.get("month", 1.0) < 1:
            ends.append(next_month(at))
        return max((end for end in ends if end is not None), default=None)

    def pass_to(self, before: datetime, after: datetime, parts: float) -> None:
        """Use up parts of the quotas, and have new ones where a day or a month has begun."""
        for span, quota, turn in (
            ("day", self.daily_quota, next_day(before)),
            ("month", self.monthly_quota, next_month(before)),
        ):
            if quota is not None:
                self.free[span] = quota if after >= turn else self.free[span] - parts


def forecast(
    channel: ForecastChannel, loads: Sequence[Load], now: datetime
) -> dict[Load, timedelta | None]:
    """How long from now the last part of each load will still wait; None: not foreseeable."""
    waits: dict[Load, timedelta | None] = dict.fromkeys(loads)
    left = {load: load.parts for load in loads}
    at = now
    for _ in range(MOST_STEPS):
        for load in [x for x in left if left[x] <= 1e-6 or (x.until and x.until <= at)]:
            waits[load] = at - now
            del left[load]
        if not left or at - now > HORIZON:
            break
        closed = channel.closed_until(at)
        rates = {} if closed else rates_of(channel.rate, [load for load in left if load.ready(at)])
        following = closed or _next_change(channel, left, rates, at)
        seconds = (following - at).total_seconds()
        for load, rate in rates.items():
            left[load] -= rate * seconds
        channel.pass_to(at, following, sum(rates.values()) * seconds)
        at = following
    return waits


def rates_of(rate: float, loads: Collection[Load]) -> dict[Load, float]:
    """How many parts a second each load has while all of these have some.

    What one cannot use, since its campaign goes slower, the others have.
    """
    rates: dict[Load, float] = {}
    open_loads = list(loads)
    while open_loads:
        fair = _fair(rate - sum(rates.values()), open_loads)
        slow = [x for x in open_loads if x.max_tps is not None and fair[x] > x.max_tps]
        if not slow:
            return rates | fair
        rates |= {load: float(load.max_tps or 0) for load in slow}
        open_loads = [load for load in open_loads if load not in rates]
    return rates


def _fair(rate: float, loads: Sequence[Load]) -> dict[Load, float]:
    priorities = sorted({load.flow.priority for load in loads})
    of_priority = dict.fromkeys(priorities, FLOOR)
    of_priority[priorities[0]] = 1 - FLOOR * (len(priorities) - 1)
    runs: dict[Flow, int] = {}
    weights: dict[Flow, int] = {}
    for load in loads:
        runs[load.flow] = runs.get(load.flow, 0) + 1
        weights[load.flow] = load.weight
    return {load: rate * _part(load.flow, of_priority, weights) / runs[load.flow] for load in loads}


def _part(flow: Flow, of_priority: Mapping[int, float], weights: Mapping[Flow, int]) -> float:
    whole = sum(w for other, w in weights.items() if other.priority == flow.priority)
    return of_priority[flow.priority] * weights[flow] / whole


def _next_change(
    channel: ForecastChannel, left: Mapping[Load, float], rates: Mapping[Load, float], at: datetime
) -> datetime:
    """The next instant at which something becomes otherwise."""
    total = sum(rates.values())
    ends = [left[load] / rate for load, rate in rates.items() if rate > 0]
    if total > 0:
        ends += [free / total for free in channel.free.values()]
    instants = [at + timedelta(seconds=max(end, 0.001)) for end in ends]
    instants += [bound for load in left for bound in load.bounds]
    hours = {(id(load.county), load.hours): load.county for load in left}  # most have the same
    for (_, terms), county in hours.items():
        instants += county.changes(at, terms)
    instants += [next_day(at)] if channel.free else []
    resting = maintenance_start(at, channel.maintenance)
    instants += [resting] if resting else []
    return min((i for i in instants if i > at), default=at + HORIZON + timedelta(days=1))
