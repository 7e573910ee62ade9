"""How a channel is doing, as a process sees it where the answers arrive; what that amounts to.

Counting is on the hot path of the hand-off: a few additions a submit, nothing more. Every few
seconds a process writes down what it has counted since (`health_store`), and the schedulers judge
by the sum over all processes (`circuit_breaker`).

What the number or the text is to blame for says nothing of a channel; neither does "too fast", for
the pace answers that, nor a hold by the carrier's word. What counts against it: no answer, nothing
written although it should have been, and refusals for the channel's own sake, among them those
with a code that nobody knows.
"""

import time
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from service.channels.contract.gateway import Delivery, DeliveryHandler, Receipt, SubmitResult
from service.channels.contract.outcome import Outcome, ReceiptState
from service.dispatch.limits.pace import CLIMB, CLIMB_SECONDS, SLOWEST
from service.ledger.reasons import Reason

BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""Seconds that an answer took at most, by place in `times`; one more place for the rest."""

CHANNEL_FAULTS = frozenset({Reason.NETWORK, Reason.ACCOUNT, Reason.OTHER, Reason.NONE})
"""Reasons of a refusal that are the channel's fault, or may be."""

PROBING = 1
"""Messages on their way at once on one connection while the channel is being tried."""

IN_A_ROW = 20
"""So many refusals for the channel's own sake, with nothing accepted in between, and a process
stops by itself: each is final, and the schedulers take seconds to decide to open the breaker."""

PROBE_SECONDS = 5.0
"""Then a message at a time is tried, until one is accepted or the breaker opens."""

_ACCEPTED, _REJECTED, _THROTTLED = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.THROTTLED


@dataclass(slots=True)
class ChannelCounts:
    """What was seen of one channel in some stretch of time; the fields are those of channel_health.

    in_a_row: how many were refused for the channel's sake since one was last accepted, at the end.
    """

    submits: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    unanswered: int = 0
    unsent: int = 0
    throttled: int = 0
    receipts: int = 0
    delivered: int = 0
    times: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    in_a_row: int = field(default=0, compare=False)

    @property
    def faults(self) -> int:
        """What counts against the channel."""
        return self.failed + self.unanswered + self.unsent

    @property
    def judged(self) -> int:
        """The submits of which it is known whether they speak for or against the channel."""
        return self.accepted + self.refused + self.faults

    def answered(self, result: SubmitResult, seconds: float) -> None:
        """Count an answer and how long it took."""
        outcome = result.outcome
        if outcome is _ACCEPTED:
            self.accepted += 1
            self.in_a_row = 0
        elif outcome is _REJECTED:
            if result.reason in CHANNEL_FAULTS:
                self.failed += 1
                self.in_a_row += 1
            else:
                self.refused += 1
        elif outcome is _THROTTLED:
            self.throttled += 1
        else:
            self._otherwise(outcome)
            return
        self.times[bisect(BOUNDS, seconds)] += 1

    def _otherwise(self, outcome: Outcome) -> None:
        if outcome is Outcome.UNANSWERED:
            self.unanswered += 1
        elif outcome is Outcome.NOT_SENT:
            self.unsent += 1
        elif outcome is Outcome.REFUSED_LOT:
            self.refused += 1

    def received(self, item: Delivery) -> None:
        """Count a receipt; one that only says that the text waits is none yet."""
        if isinstance(item, Receipt) and item.state is not ReceiptState.BUFFERED:
            self.receipts += 1
            if item.state is ReceiptState.DELIVERED:
                self.delivered += 1

    def add(self, other: "ChannelCounts", sign: int = 1) -> None:
        """Add what was seen in another stretch, or by another process; sign −1: take it away."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        self.times = [n + sign * m for n, m in zip(self.times, other.times, strict=True)]

    def columns(self) -> dict[str, Any]:
        """The counts by the columns of channel_health."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return {**numbers, "times": self.times, "in_a_row": self.in_a_row}

    def copy(self) -> "ChannelCounts":
        """The same counts, apart from these."""
        return replace(self, times=list(self.times))

    def percentile(self, share: float) -> float | None:
        """The seconds within which this share of the answers came, rounded up to a bound.

        None: there were no answers. Beyond the last bound it is twice that.
        """
        total = sum(self.times)
        if not total:
            return None
        rest = ceil(total * share)
        for bound, count in zip((*BOUNDS, BOUNDS[-1] * 2), self.times, strict=True):
            rest -= count
            if rest <= 0:
                return bound
        return BOUNDS[-1] * 2


_NUMBERS = tuple(f.name for f in fields(ChannelCounts) if f.name not in {"times", "in_a_row"})


def total(counts: Iterable[ChannelCounts]) -> ChannelCounts:
    """The sum."""
    summed = ChannelCounts()
    for one in counts:
        summed.add(one)
    return summed


RETURN_SECONDS = ceil((1 - SLOWEST) / CLIMB) * CLIMB_SECONDS
"""How long a channel that was closed again takes to its full pace."""


@dataclass(frozen=True, slots=True)
class BreakerStanding:
    """What the schedulers have decided of a channel.

    state: of its breaker: closed, open, half_open. since: when that was decided. climbing: whether
    it is closed again and not yet at its full pace.
    """

    state: str
    since: datetime
    climbing: bool

    def most(self, size: int, now: datetime) -> int:
        """How many messages one connection of a window of `size` may have on its way."""
        if self.state != "closed":
            return PROBING
        if not self.climbing:
            return size
        climbed = max(timedelta(0), now - self.since) / timedelta(seconds=CLIMB_SECONDS)
        return max(PROBING, round(size * min(1.0, SLOWEST + CLIMB * int(climbed))))


class ChannelHealth:
    """What a process has counted of its channels, and what the schedulers have decided of them."""

    def __init__(self) -> None:
        self._seen: dict[int, ChannelCounts] = {}
        self._written: dict[int, ChannelCounts] = {}
        self._standings: Mapping[int, BreakerStanding] = {}
        self._tried_at: dict[int, float] = {}

    def counts(self, channel_id: int) -> ChannelCounts:
        """The counts of a channel since the process began."""
        return self._seen.setdefault(channel_id, ChannelCounts())

    def counting(
        self, deliver: Callable[[int], DeliveryHandler]
    ) -> Callable[[int], DeliveryHandler]:
        """The same way in for what gateways receive, with the receipts counted."""

        def deliver_for(channel_id: int) -> DeliveryHandler:
            store, counts = deliver(channel_id), self.counts(channel_id)

            def counted(item: Delivery) -> Any:
                counts.received(item)
                return store(item)

            return counted

        return deliver_for

    def unwritten(self) -> dict[int, ChannelCounts]:
        """The counts that are not written down yet, of the channels that have any."""
        counts = {}
        for channel_id, seen in self._seen.items():
            fresh = seen.copy()
            fresh.add(self._written.get(channel_id, ChannelCounts()), -1)
            if any(getattr(fresh, name) for name in _NUMBERS):
                counts[channel_id] = fresh
        return counts

    def mark_written(self, counts: Mapping[int, ChannelCounts]) -> None:
        """Note that these counts are written down."""
        for channel_id, fresh in counts.items():
            self._written.setdefault(channel_id, ChannelCounts()).add(fresh)

    def take_standings(self, standings: Mapping[int, BreakerStanding]) -> None:
        """Take over what the schedulers have decided of the channels."""
        self._standings = standings

    def is_open(self, channel_id: int) -> bool:
        """Whether nothing may be handed off on a channel, as far as this process has heard."""
        standing = self._standings.get(channel_id)
        return standing is not None and standing.state == "open"

    def most(self, channel_id: int, size: int, now: datetime) -> int:
        """How many messages one connection of a channel may have on its way, of a window's size."""
        if self.refused(channel_id):
            return self._turn(channel_id)
        standing = self._standings.get(channel_id)
        return size if standing is None else standing.most(size, now)

    def refused(self, channel_id: int) -> bool:
        """Whether everything was refused of late for the channel's own sake."""
        return self.counts(channel_id).in_a_row >= IN_A_ROW

    def _turn(self, channel_id: int) -> int:
        """A message now and then, of all connections together; carriers go by real time."""
        now = time.monotonic()
        if now < self._tried_at.get(channel_id, 0.0) + PROBE_SECONDS:
            return 0
        self._tried_at[channel_id] = now
        return PROBING


def counts_from(values: Sequence[Any]) -> ChannelCounts:
    """Counts from the columns of channel_health, in the order of the fields."""
    return ChannelCounts(*values)
