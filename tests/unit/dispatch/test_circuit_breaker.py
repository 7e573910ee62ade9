"""The circuit breaker: each cause, each way back, and what does not move it."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.dispatch.failover.circuit_breaker import (
    Breaker,
    BreakerChange,
    BreakerLimits,
    ChannelFigures,
    step,
)
from service.dispatch.failover.health import BOUNDS, IN_A_ROW, ChannelCounts

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
LIMITS = BreakerLimits()
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def counts(seconds: float = 0.1, **numbers: int) -> ChannelCounts:
    """Counts with as many answers of this duration as there are accepted ones."""
    made = ChannelCounts(**numbers, times=[0] * (len(BOUNDS) + 1))
    made.submits = made.submits or made.judged
    made.times[next(i for i, bound in enumerate(BOUNDS) if seconds <= bound)] = made.accepted
    return made


def figures(counted: ChannelCounts | None = None, **more: Any) -> ChannelFigures:
    """Of a channel that is well, with one of one connection up."""
    usual: dict[str, Any] = {
        "in_a_row": 0,
        "span": 30 * SECOND,
        "unreported": 0,
        "silent_for": None,
        "connections": 1,
        "up": 1,
        "down_for": None,
        "covered": False,
    }
    return ChannelFigures(counts=counted or ChannelCounts(), **{**usual, **more})


WELL = figures(counts(accepted=1_000, refused=100))
CLOSED = Breaker("closed", NOW - timedelta(hours=1))
SILENT = figures(
    counts(accepted=60), unreported=LIMITS.expected, silent_for=LIMITS.silence, covered=True
)
SLOW = figures(counts(accepted=20, seconds=20.0), covered=True)
FAULTY = figures(counts(accepted=20, unanswered=20))
DOWN = figures(up=0, down_for=LIMITS.down)

OPENS = [
    ("half went wrong", FAULTY, "faults"),
    ("refused for the channel's sake", figures(counts(failed=20)), "faults"),
    ("not written", figures(counts(accepted=1, unsent=19)), "faults"),
    ("refused in a row, all at one moment", figures(in_a_row=IN_A_ROW, span=0 * SECOND), "faults"),
    ("no connection", DOWN, "down"),
    ("slow, and another can take over", SLOW, "slow"),
    ("silent, and another can take over", SILENT, "silent"),
]


@pytest.mark.parametrize(("seen", "cause"), [row[1:] for row in OPENS], ids=[r[0] for r in OPENS])
def test_a_cause_opens_it_and_is_named(seen: ChannelFigures, cause: str) -> None:
    opened, change = step(CLOSED, seen, LIMITS, NOW)
    assert (opened.state, opened.cause, opened.changed_at, opened.trips) == ("open", cause, NOW, 1)
    assert change is not None
    assert change.kind == "opened"
    assert change.why == opened.why
    assert any(character.isdigit() for character in change.why)  # a figure is in it


STAYS = [
    ("well", WELL),
    ("nothing to judge", figures()),
    ("less than half", figures(counts(accepted=21, unanswered=20))),
    ("refused in a row, but few", figures(in_a_row=IN_A_ROW - 1)),
    ("too few to judge", figures(counts(unanswered=LIMITS.answers - 1))),
    ("all at one moment: a lost link", replace(FAULTY, span=LIMITS.span - SECOND)),
    ("numbers are to blame", figures(counts(refused=1_000))),
    ("too fast is the pace's affair", figures(ChannelCounts(submits=100, throttled=100))),
    ("slow, but a slow way is better than none", replace(SLOW, covered=False)),
    ("silent, but no other way", replace(SILENT, covered=False)),
    ("silent, but few are missing", replace(SILENT, unreported=LIMITS.expected - 1)),
    ("silent, but not for long", replace(SILENT, silent_for=LIMITS.silence - SECOND)),
    ("no connection, but not for long", replace(DOWN, down_for=LIMITS.down - SECOND)),
    ("no connection, and nobody tries", replace(DOWN, down_for=None)),
]


@pytest.mark.parametrize("seen", [row[1] for row in STAYS], ids=[row[0] for row in STAYS])
def test_otherwise_it_stays_closed(seen: ChannelFigures) -> None:
    assert step(CLOSED, seen, LIMITS, NOW) == (CLOSED, None)


def opened(cause: str = "faults", trips: int = 1) -> Breaker:
    return Breaker("open", NOW, cause, "It broke.", trips)


def test_it_is_tried_after_a_rest_if_there_is_a_connection() -> None:
    before, due = NOW + LIMITS.rest - SECOND, NOW + LIMITS.rest
    assert step(opened(), figures(), LIMITS, before) == (opened(), None)
    assert step(opened(), figures(up=0), LIMITS, due) == (opened(), None)
    tried, change = step(opened(), figures(), LIMITS, due)
    assert (tried.state, tried.changed_at, tried.cause) == ("half_open", due, "faults")
    assert change is not None
    assert change.kind == "probing"


def tried(cause: str = "faults", trips: int = 1) -> Breaker:
    return Breaker("half_open", NOW, cause, "It broke.", trips)


def test_enough_accepted_close_it_and_the_pace_comes_back_in_steps() -> None:
    few = figures(counts(accepted=LIMITS.probes - 1))
    assert step(tried(), few, LIMITS, NOW + SECOND) == (tried(), None)
    enough = figures(counts(accepted=LIMITS.probes))
    closed, change = step(tried(), enough, LIMITS, NOW + SECOND)
    assert closed == Breaker("closed", NOW + SECOND, trips=1, climbing=True)
    assert change is not None
    assert change.kind == "closed"
    back_at = NOW + SECOND + LIMITS.climb
    assert step(closed, WELL, LIMITS, back_at - SECOND) == (closed, None)
    back, change = step(closed, WELL, LIMITS, back_at)
    assert back == replace(closed, climbing=False)
    assert change == BreakerChange("returned", "The full pace is back.")


def test_one_that_goes_wrong_in_a_trial_opens_it_again_for_longer() -> None:
    again, change = step(tried(trips=3), figures(counts(unanswered=1)), LIMITS, NOW)
    assert (again.state, again.trips) == ("open", 4)
    assert again.rest(LIMITS) == LIMITS.rest * 8
    assert change is not None
    assert "trial" in change.why


def test_one_bad_answer_among_several_good_ones_is_no_failure() -> None:
    mixed = figures(counts(accepted=4, unanswered=1))
    assert step(tried(), mixed, LIMITS, NOW + SECOND) == (tried(), None)


def test_with_nothing_to_try_it_closes_after_a_while_if_it_is_connected() -> None:
    later = NOW + LIMITS.idle
    assert step(tried(), figures(), LIMITS, later - SECOND) == (tried(), None)
    assert step(tried(), figures(up=0), LIMITS, later) == (tried(), None)
    closed, _ = step(tried(), figures(), LIMITS, later)
    assert closed.state == "closed"


def test_a_submit_without_an_answer_yet_proves_nothing() -> None:
    hanging = figures(ChannelCounts(submits=1))
    assert step(tried(), hanging, LIMITS, NOW + timedelta(hours=1)) == (tried(), None)


def test_a_silent_channel_must_report_in_its_trial() -> None:
    taken = figures(counts(accepted=50))
    assert step(tried("silent"), taken, LIMITS, NOW + MINUTE) == (tried("silent"), None)
    heard = figures(replace(taken.counts, receipts=1))
    assert step(tried("silent"), heard, LIMITS, NOW + MINUTE)[0].state == "closed"
    again, _ = step(tried("silent"), taken, LIMITS, NOW + LIMITS.silence)
    assert (again.state, again.cause) == ("open", "silent")


def test_a_slow_channel_must_be_faster_in_its_trial() -> None:
    slow = figures(counts(accepted=LIMITS.probes, seconds=20.0))
    assert step(tried("slow"), slow, LIMITS, NOW)[0].state == "open"
    quick = figures(counts(accepted=LIMITS.probes))
    assert step(tried("slow"), quick, LIMITS, NOW)[0].state == "closed"


def test_the_rest_has_an_end_and_is_forgotten_after_a_calm() -> None:
    assert opened(trips=1_000).rest(LIMITS) == LIMITS.rest_most
    closed = Breaker("closed", NOW, trips=5)
    assert step(closed, WELL, LIMITS, NOW + LIMITS.calm - SECOND) == (closed, None)
    assert step(closed, WELL, LIMITS, NOW + LIMITS.calm) == (replace(closed, trips=0), None)


def test_a_channel_that_comes_and_goes_is_opened_ever_more_rarely() -> None:
    """An hour of a channel that takes what is tried and fails under load: few changes, not 100."""
    breaker, now, openings = CLOSED, NOW, []
    while now < NOW + timedelta(hours=1):
        now += 5 * SECOND
        good = figures(counts(accepted=LIMITS.probes))
        seen = good if breaker.state == "half_open" else FAULTY
        breaker, change = step(breaker, seen, LIMITS, now)
        if change is not None and change.kind == "opened":
            openings.append(now)
    assert len(openings) <= 9
    gaps = [b - a for a, b in itertools.pairwise(openings)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= LIMITS.rest_most


def test_the_limits_keep_up_with_a_clock_that_runs_faster() -> None:
    fast = LIMITS.at_speed(60)
    assert (fast.window, fast.rest) == (timedelta(hours=1), timedelta(minutes=30))
    assert (fast.answers, fast.slow) == (LIMITS.answers, LIMITS.slow)
