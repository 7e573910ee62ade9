"""The circuit breaker of a channel (pure): closed → open → half_open → closed.

Closed: the channel works. Open: nothing is handed off on it. Half open: a message at a time is, to
see whether it works again. Closed again, its pace comes back in steps, and it is remembered for a
while that it was open: each further opening lasts twice as long, so that a channel that comes and
goes does not drag its people to and fro.

Four causes open it. *Faults*: at least half of the judged submits went wrong, and not all at one
moment, for a link that is lost takes a whole window with it and is simply made anew; or so many in
a row were refused that the processes have stopped by themselves. *Down*: it is being tried and has
had no connection for minutes. *Slow* and *silent* (answers that take long, no
receipts although they used to come) only if another channel can take over: a slow way out is
better than none.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from service.dispatch.failover.health import IN_A_ROW, RETURN_SECONDS, ChannelCounts

BreakerState = Literal["closed", "open", "half_open"]

_DURATIONS = ("window", "span", "silence", "down", "rest", "rest_most", "idle", "calm", "climb")


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When to open and when to close.

    window: how far back is looked. answers: fewer judged submits than this say nothing.
    share: of the judged submits that went wrong. span: between the first and the last of them.
    slow: seconds that half of the answers took or more.
    silence: without a receipt, while `expected` submits or more were accepted.
    down: without a connection.
    rest: from opening to the first trial; doubled each time, up to rest_most.
    probes: submits that must be accepted in a trial. idle: after this a trial for which there was
    no work ends well if there is a connection.
    climb: until the pace is back. calm: closed for so long, and earlier openings are forgotten.
    """

    window: timedelta = timedelta(seconds=60)
    answers: int = 20
    share: float = 0.5
    span: timedelta = timedelta(seconds=8)
    slow: float = 10.0
    silence: timedelta = timedelta(minutes=10)
    expected: int = 50
    down: timedelta = timedelta(minutes=3)
    rest: timedelta = timedelta(seconds=30)
    rest_most: timedelta = timedelta(minutes=15)
    probes: int = 5
    idle: timedelta = timedelta(minutes=2)
    climb: timedelta = timedelta(seconds=RETURN_SECONDS)
    calm: timedelta = timedelta(minutes=15)

    def at_speed(self, speed: float) -> "BreakerLimits":
        """The limits on a clock that runs `speed` times as fast as carriers do."""
        return replace(self, **{name: getattr(self, name) * speed for name in _DURATIONS})


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """What is known of a channel now.

    counts: of the window, and since the breaker last changed. in_a_row: refusals for the channel's
    sake since any process had one accepted. span: between the first and last report of faults.
    unreported: submits accepted since the last receipt, the first of them
    `silent_for` ago; None: a receipt has never come, or none is missing.
    connections: how many there may be; up: how many are. down_for: how long none has been although
    somebody tries; None: nobody does.
    covered: whether another channel that is well could take all its numbers.
    """

    counts: ChannelCounts
    in_a_row: int
    span: timedelta
    unreported: int
    silent_for: timedelta | None
    connections: int
    up: int
    down_for: timedelta | None
    covered: bool

    @property
    def answer_ms(self) -> tuple[int | None, int | None]:
        """Within how many milliseconds half and 95 % of the submits were answered."""
        half, most = self.counts.percentile(0.5), self.counts.percentile(0.95)
        return _milliseconds(half), _milliseconds(most)

    def as_json(self) -> dict[str, Any]:
        """The figures as they are recorded and shown; times in milliseconds and seconds."""
        counts = self.counts
        return {
            "submits": counts.submits,
            "accepted": counts.accepted,
            "refused": counts.refused,
            "failed": counts.failed,
            "unanswered": counts.unanswered,
            "unsent": counts.unsent,
            "throttled": counts.throttled,
            "fault_share": _share(counts.faults, counts.judged),
            "answer_p50_ms": _milliseconds(counts.percentile(0.5)),
            "answer_p95_ms": _milliseconds(counts.percentile(0.95)),
            "receipts": counts.receipts,
            "delivered_share": _share(counts.delivered, counts.receipts),
            "unreported": self.unreported,
            "silent_seconds": _seconds(self.silent_for),
            "connections": self.connections,
            "up": self.up,
            "down_seconds": _seconds(self.down_for),
        }


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of a channel's breaker, since when, and why; trips: openings in a row."""

    state: BreakerState
    changed_at: datetime
    cause: str = ""
    why: str = ""
    trips: int = 0
    climbing: bool = False

    def rest(self, limits: BreakerLimits) -> timedelta:
        """How long it stays open before the first trial."""
        doubled: int = 2 ** min(20, max(0, self.trips - 1))
        return min(limits.rest_most, limits.rest * doubled)


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """What happened to a breaker: opened, probing, closed or returned, and why, as a sentence."""

    kind: str
    why: str


def step(
    breaker: Breaker, figures: ChannelFigures, limits: BreakerLimits, now: datetime
) -> tuple[Breaker, BreakerChange | None]:
    """The breaker after a look at the figures, and what changed."""
    match breaker.state:
        case "closed":
            return _closed(breaker, figures, limits, now)
        case "open":
            return _open(breaker, figures, limits, now)
        case _:
            return _half_open(breaker, figures, limits, now)


def trouble(figures: ChannelFigures, limits: BreakerLimits) -> tuple[str, str] | None:
    """The cause and the sentence for opening a breaker; None: there is none."""
    counts = figures.counts
    if figures.down_for is not None and figures.down_for >= limits.down:
        return "down", f"No connection for {_words(figures.down_for)}."
    if figures.in_a_row >= IN_A_ROW:
        return "faults", f"{figures.in_a_row} submits in a row refused for the channel's sake."
    enough = counts.judged >= limits.answers and figures.span >= limits.span
    if enough and counts.faults >= limits.share * counts.judged:
        return "faults", _faults(counts)
    return _nuisance(figures, limits) if figures.covered else None


def _nuisance(figures: ChannelFigures, limits: BreakerLimits) -> tuple[str, str] | None:
    """What is worth opening a breaker for only if another channel can take over."""
    counts = figures.counts
    half = counts.percentile(0.5)
    if half is not None and sum(counts.times) >= limits.answers and half > limits.slow:
        return "slow", f"Half of the answers take longer than {limits.slow:g} s."
    if silent(figures, limits):
        silence = _words(figures.silent_for or limits.silence)
        return "silent", f"{figures.unreported} submits accepted, and no receipt for {silence}."
    return None


def silent(figures: ChannelFigures, limits: BreakerLimits) -> bool:
    """Whether receipts that used to come have stopped."""
    return (
        figures.silent_for is not None
        and figures.silent_for >= limits.silence
        and figures.unreported >= limits.expected
    )


def _closed(
    breaker: Breaker, figures: ChannelFigures, limits: BreakerLimits, now: datetime
) -> tuple[Breaker, BreakerChange | None]:
    found = trouble(figures, limits)
    if found is not None:
        return _opened(breaker, *found, now)
    since = now - breaker.changed_at
    if breaker.climbing and since >= limits.climb:
        back = replace(breaker, climbing=False)
        return back, BreakerChange("returned", "The full pace is back.")
    if breaker.trips and since >= limits.calm:
        return replace(breaker, trips=0), None
    return breaker, None


def _open(
    breaker: Breaker, figures: ChannelFigures, limits: BreakerLimits, now: datetime
) -> tuple[Breaker, BreakerChange | None]:
    if not figures.up or now < breaker.changed_at + breaker.rest(limits):
        return breaker, None
    tried = replace(breaker, state="half_open", changed_at=now)
    return tried, BreakerChange(
        "probing", f"Tried again, a message at a time. Before: {breaker.why}"
    )


def _half_open(
    breaker: Breaker, figures: ChannelFigures, limits: BreakerLimits, now: datetime
) -> tuple[Breaker, BreakerChange | None]:
    since = now - breaker.changed_at
    failed = _failed_trial(breaker, figures, limits)
    if failed is not None:
        return _opened(breaker, *failed, now)
    counts = figures.counts
    if counts.accepted >= limits.probes or (counts.accepted and since >= limits.idle):
        if breaker.cause != "silent" or counts.receipts:
            return _closed_again(breaker, f"{counts.accepted} submits were accepted.", now)
        if since >= limits.silence:
            return _opened(breaker, "silent", "Still no receipt, while it was tried.", now)
    elif figures.up and not counts.submits and since >= limits.idle:
        return _closed_again(breaker, "It is connected, and there was nothing to try.", now)
    return breaker, None


def _failed_trial(
    breaker: Breaker, figures: ChannelFigures, limits: BreakerLimits
) -> tuple[str, str] | None:
    """The cause and the sentence for opening a half open breaker again."""
    counts = figures.counts
    if figures.down_for is not None and figures.down_for >= limits.down:
        return "down", f"No connection for {_words(figures.down_for)}, while it was tried."
    if counts.faults and counts.faults >= limits.share * counts.judged:
        return "faults", f"{_faults(counts)} That was a trial."
    half = counts.percentile(0.5)
    if breaker.cause == "slow" and half is not None and half > limits.slow:
        return "slow", f"Half of the answers still take longer than {limits.slow:g} s."
    return None


def _opened(breaker: Breaker, cause: str, why: str, now: datetime) -> tuple[Breaker, BreakerChange]:
    opened = Breaker("open", now, cause, why, min(breaker.trips + 1, 1_000))
    return opened, BreakerChange("opened", why)


def _closed_again(breaker: Breaker, why: str, now: datetime) -> tuple[Breaker, BreakerChange]:
    closed = Breaker("closed", now, trips=breaker.trips, climbing=True)
    return closed, BreakerChange("closed", f"{why} The pace comes back in steps.")


def _faults(counts: ChannelCounts) -> str:
    parts = {
        "without an answer": counts.unanswered,
        "refused for the channel's sake": counts.failed,
        "not written": counts.unsent,
    }
    named = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{counts.faults} of {counts.judged} submits went wrong: {named}."


def _words(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds())
