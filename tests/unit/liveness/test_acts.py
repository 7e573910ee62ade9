"""When the acts of a scheduler have stood still: hung ones have, slow and failing ones have not."""

import time

import pytest

from workers import scheduler

FREQUENT = [
    scheduler.act_of(job)
    for job in scheduler.CRONS
    if scheduler._interval_seconds(job) <= scheduler.FREQUENT_SECONDS
]
LONG_AGO = 10_000.0


@pytest.fixture(autouse=True)
def _of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_going", {})
    monkeypatch.setattr(scheduler, "_ended", {})


def stands(ago: dict[str, float]) -> float:
    """By the ends that PostgreSQL knows of, in a process that began long ago."""
    return scheduler._stands_for(ago, time.monotonic() - LONG_AGO)


def ends(seconds: float, **others: float) -> dict[str, float]:
    return dict.fromkeys(FREQUENT, seconds) | others


def test_acts_that_ended_lately_anywhere_stand_for_no_time() -> None:
    assert {"fire", "recover", "sweep"} <= set(FREQUENT)
    assert stands(ends(0.5)) == 0.0


def test_the_act_that_is_worst_off_counts() -> None:
    assert stands(ends(0.5, recover=95.0)) == pytest.approx(90.0, abs=1)
    assert stands({}) == pytest.approx(LONG_AGO, abs=10), "none has ever ended"


def test_an_act_that_fails_here_each_time_is_no_reason_to_end() -> None:
    scheduler._ended["fire"] = time.monotonic() - 1.0
    assert stands(ends(0.5, fire=LONG_AGO)) == pytest.approx(0.0, abs=5)


def test_an_act_may_take_as_long_as_its_limit_and_no_longer() -> None:
    limits = {scheduler.act_of(job): job.timeout_s or 0.0 for job in scheduler.CRONS}
    scheduler._going["sweep"] = time.monotonic() - limits["sweep"] + 2.0
    assert stands(ends(0.5, sweep=LONG_AGO)) == 0.0
    scheduler._going["sweep"] = time.monotonic() - limits["sweep"] - 70.0
    assert stands(ends(0.5)) == pytest.approx(70.0, abs=1), "though another scheduler does it"
