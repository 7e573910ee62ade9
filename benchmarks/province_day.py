"""A province's days in counts: what arrives, what leaves, what waits, and where that grows.

    python -m benchmarks.province_day [--carrier NAME]

No ledger and no database: parts are numbers. What decides is the product's own code: the hours of
the county (`campaigns.calendar.hours`), the shares of priorities and departments and the end of
what waits (`dispatch.forecast.forecast`), the pace that a TPS leaves (`dispatch.limits.pace`), the
places under the caps (`dispatch.forecast.cap_places`). Each minute the queues take what arrives and
give what their channel may write. The table shows each case on the busiest channel: how much waited
at most, the longest wait by priority, what was stopped at the end of its validity, and what waits
at each midnight. Where each midnight is higher than the one before, it says that the queue grows.

Ends with 1 if a case grows that is not to, or does not that is to; if a warning to a county waits
for anything but itself; or if the product's forecast, made when the last text has arrived, is wrong
by more than a tenth (where nothing is stopped).
"""

# a benchmark prints

import argparse
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from itertools import pairwise, product

from service.campaigns.calendar.hours import County, HourTerms
from service.clock import CHINA
from service.dispatch.fair_queue import FLOOR, Flow
from service.dispatch.forecast.cap_places import Had, full_until
from service.dispatch.forecast.forecast import ForecastChannel, Load, forecast, rates_of
from service.dispatch.limits.caps import CapLimits
from service.dispatch.limits.pace import channel_limit
from service.ledger.message_class import NOTICE, PUBLICITY, WARNING
from service.ledger.priority import PRIORITIES, number_of

PEOPLE = 60_000_000
COUNTIES = 104
"""Departments that send, of about the same size."""
SHARES = {"china_mobile": 0.60, "china_telecom": 0.22, "china_unicom": 0.18}
"""Of the people, by carrier."""
START = datetime(2027, 1, 12, tzinfo=CHINA)
MINUTE = timedelta(minutes=1)
HOURS = (("08:00", "20:00"),)
MOST_SLOWER = 1.02
"""A warning has all of the channel but the floors of the two lower priorities."""
MOST_WRONG = 0.10
CAPS = CapLimits(per_day=1, per_week=2, per_month=6, same_text=False)
"""As delivered."""
VALID = timedelta(days=3)
URGENT, NORMAL, BULK = (number_of(name) for name in PRIORITIES)


@dataclass(frozen=True, slots=True)
class Case:
    """Each county sends a text of so many parts to a share of its people at 08:00 of so many days.

    tps: what each carrier grants the whole province. direct: service texts a person and day, which
    arrive evenly from 08:00 to 20:00. warned: counties that warn everybody at 18:00 of the first
    day. capped: whether the caps hold. grows: whether what waits is to be higher each midnight.
    """

    name: str
    tps: int
    share: float = 1.0
    parts: int = 1
    days: int = 1
    direct: float = 0.02
    warned: int = 1
    capped: bool = True
    grows: bool = False


CASES = (
    Case("a third of all, one part", 500, share=1 / 3),
    Case("all, one part", 500),
    Case("all, one part", 1_500),
    Case("all, two parts", 1_500, parts=2),
    Case("all, every day, capped", 500, days=7),
    Case("all, every day, no caps", 500, days=3, capped=False, grows=True),
    Case("a flood of service texts", 500, share=1 / 3, direct=0.7, days=3, grows=True),
)


@dataclass(slots=True)
class Queue:
    """What waits on one channel. left: of each load, the parts that wait; began: since when.

    most: parts that waited at once; stopped: parts whose validity was over; longest: by priority.
    """

    channel: ForecastChannel
    left: dict[Load, float] = field(default_factory=dict)
    began: dict[Load, datetime] = field(default_factory=dict)
    most: float = 0.0
    stopped: float = 0.0
    done_at: datetime | None = None
    longest: dict[int, timedelta] = field(default_factory=dict)
    midnights: list[float] = field(default_factory=list)
    foretold: datetime | None = None

    @property
    def waiting(self) -> float:
        """Parts that wait."""
        return sum(self.left.values())

    @property
    def grows(self) -> bool:
        """Whether more waits at each midnight than at the one before."""
        pairs = list(pairwise(self.midnights))
        return len(pairs) > 1 and all(later > earlier > 0 for earlier, later in pairs)

    def take(self, load: Load, at: datetime) -> None:
        """One more load."""
        self.left[load], self.began[load] = load.parts, at

    def foretell(self, at: datetime) -> None:
        """Ask the product when the last of what waits now will have left."""
        now = [replace(load, parts=parts) for load, parts in self.left.items()]
        waits = forecast(ForecastChannel(self.channel.rate), now, at)
        known = [wait for wait in waits.values() if wait is not None]
        if len(known) == len(waits):
            self.foretold = at + max(known)

    def pass_minute(self, at: datetime) -> None:
        """Give what the channel may write in a minute; what is done or over is gone."""
        self.most = max(self.most, self.waiting)
        for load in [x for x in self.left if x.until is not None and x.until <= at]:
            self.stopped += self.left.pop(load)
        seconds, used = MINUTE.total_seconds(), 0.0
        ready = [] if self.channel.closed_until(at) else [x for x in self.left if x.ready(at)]
        while ready and used < seconds - 1e-9:
            rates = rates_of(self.channel.rate, ready)
            span = min(seconds - used, *(self.left[x] / rates[x] for x in ready if rates[x] > 0))
            used += span
            for load in ready:
                self.left[load] -= rates[load] * span
            for load in [x for x in ready if self.left[x] <= 1e-3]:
                ready.remove(load)
                self._end(load, at + timedelta(seconds=used))

    def _end(self, load: Load, at: datetime) -> None:
        del self.left[load]
        self.done_at = at
        priority = load.flow.priority
        waited = at - self.began[load]
        self.longest[priority] = max(self.longest.get(priority, timedelta(0)), waited)


def _fires(case: Case) -> Iterator[datetime]:
    """The instants at which a county's text is handed in and its people are in the ledger."""
    had: list[Had] = []
    for day in range(case.days):
        at = START + timedelta(days=day, hours=8)
        if case.capped:
            full, _, _ = full_until(had, day + 1, CAPS)
            if full is not None and full > at:
                continue  # all of them are left out
            had.insert(0, Had(at, day + 1, None))
        yield at


def arrivals(case: Case, share: float) -> list[tuple[datetime, Load]]:
    """What comes for one carrier's people, in order."""
    people, county = PEOPLE * share / COUNTIES, County()
    found: list[tuple[datetime, Load]] = []
    for number in range(COUNTIES):
        whose = uuid.UUID(int=number + 1)
        for at in _fires(case):
            text = Load(Flow(BULK, whose), 1, people * case.share * case.parts,
                        HourTerms(HOURS, CHINA, PUBLICITY), county, until=at + VALID)  # fmt: skip
            found.append((at, text))
        for day, hour in product(range(case.days), range(8, 20)):
            text = Load(Flow(NORMAL, whose), 1, people * case.direct / 12,
                        HourTerms(HOURS, CHINA, NOTICE), county)  # fmt: skip
            found.append((START + timedelta(days=day, hours=hour), text))
        if number < case.warned:
            text = Load(Flow(URGENT, whose), 1, people, HourTerms(HOURS, CHINA, WARNING), county)
            found.append((START + timedelta(hours=18), text))
    return sorted(found, key=lambda one: one[0])


def run(case: Case, share: float) -> Queue:
    """A case on one carrier's channel, minute by minute: its days and two more."""
    queue = Queue(ForecastChannel(1_000_000 / channel_limit(1, case.tps).interval))
    coming = arrivals(case, share)[::-1]
    last, at = coming[0][0], START
    while at < START + timedelta(days=case.days + 2):
        while coming and coming[-1][0] <= at:
            queue.take(coming.pop()[1], at)
        if at == last:
            queue.foretell(at)
        queue.pass_minute(at)
        at += MINUTE
        if at.astimezone(CHINA).time() == time(0) and at <= START + timedelta(days=case.days):
            queue.midnights.append(queue.waiting)
    return queue


def faults(case: Case, queue: Queue, share: float) -> Iterator[str]:
    """What is not as it is to be."""
    if queue.grows != case.grows:
        yield "it grows" if queue.grows else "it does not grow"
    warned = PEOPLE * share / COUNTIES * case.warned
    bound = MOST_SLOWER * warned / (queue.channel.rate * (1 - 2 * FLOOR))
    if (urgent := queue.longest[URGENT]) > timedelta(seconds=bound):
        yield f"a warning waited {urgent}"
    if queue.foretold is not None and queue.done_at is not None and not queue.stopped:
        took, said = (end - START for end in (queue.done_at, queue.foretold))
        if abs(took - said) > MOST_WRONG * took:
            yield f"the forecast was {queue.foretold:%d %H:%M}, it was {queue.done_at:%d %H:%M}"


def row(case: Case, queue: Queue) -> str:
    """A line of the table."""
    waits = [_minutes(queue.longest.get(priority)) for priority in (URGENT, NORMAL, BULK)]
    midnights = " ".join(f"{left / 1e6:.1f}" for left in queue.midnights)
    done = "-" if queue.left or queue.done_at is None else f"{queue.done_at:%d %H:%M}"
    grows = "grows" if queue.grows else ""
    return (
        f"{case.name:<26} {case.tps:>6,} {queue.most / 1e6:>7.1f} {waits[0]:>7} {waits[1]:>8}"
        f" {waits[2]:>8} {done:>9} {queue.stopped / 1e6:>8.1f}  {midnights} {grows}"
    )


def _minutes(wait: timedelta | None) -> str:
    return "-" if wait is None else f"{wait.total_seconds() / 60:,.0f}"


def main() -> int:
    """Print the table; 1: something is not as it is to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--carrier", choices=SHARES, default="china_mobile")
    share, wrong = SHARES[parser.parse_args().carrier], 0
    print("millions of parts; waits in minutes, of the last part of what was handed in at once")
    print(
        f"{'case':<26} {'TPS':>6} {'most':>7} {'warning':>7} {'service':>8} {'publicity':>8}"
        f" {'all left':>9} {'stopped':>8}  at midnight"
    )
    for case in CASES:
        queue = run(case, share)
        print(row(case, queue))
        for fault in faults(case, queue, share):
            wrong = 1
            print(f"  {case.name}: {fault}", file=sys.stderr)
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
