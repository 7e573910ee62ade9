"""Exact intervals and tails are those of scipy, and of the worked example."""

import json
from math import inf
from pathlib import Path

import pytest

from service.cases.exact import chance, poisson_at_least, ratio_interval, share_interval
from tests.harness.statistics import KINDS, agree

RECORDED = Path(__file__).parents[2] / "vectors" / "statistics" / "scipy.jsonl"


def test_they_agree_with_scipy() -> None:
    lines = [json.loads(line) for line in RECORDED.read_text("utf-8").splitlines()]
    for line in lines:
        agree(line)
    assert {line[0] for line in lines} == KINDS


@pytest.mark.parametrize(
    ("now", "before", "low", "high", "by_itself"),
    [(29, 40, -56.7, 19.9, 0.114), (42, 58, -52.5, 9.6, 0.067), (20, 28, -61.9, 31.4, 0.156)],
)
def test_the_intervals_of_the_worked_example(
    now: int, before: int, low: float, high: float, by_itself: float
) -> None:
    interval = ratio_interval(now, before)
    assert interval is not None
    assert [round((end - 1) * 100, 1) for end in interval] == [low, high]
    assert round(chance(now, before), 3) == by_itself


@pytest.mark.parametrize(
    ("count", "expected", "tail"),
    [(3, 0.25, 0.0022), (5, 8 * 4 / 26, 0.0086), (6, 9 * 4 / 26, 0.0030), (6, 4.8, 0.349)],
)
def test_the_tails_of_the_worked_example(count: int, expected: float, tail: float) -> None:
    assert round(poisson_at_least(count, expected), len(str(tail)) - 2) == tail


def test_ends_without_a_case() -> None:
    assert ratio_interval(0, 0) is None
    none_before = ratio_interval(3, 0)
    assert none_before is not None
    assert none_before.high == inf
    assert none_before.low > 0
    none_now = ratio_interval(0, 3)
    assert none_now is not None
    assert none_now.low == 0


def test_twice_the_exposure_is_half_the_ratio() -> None:
    once, twice = ratio_interval(29, 40), ratio_interval(29, 40, 2.0)
    assert once is not None
    assert twice is not None
    assert [2 * end for end in twice] == pytest.approx(list(once))


def test_the_chance_of_large_counts_is_as_exact() -> None:
    assert chance(25_000, 25_000) == pytest.approx(0.5 + 0.5 * 0.00356824, abs=1e-6)
    assert chance(24_000, 26_000) < 1e-18


def test_of_a_whole_province_they_are_as_exact() -> None:
    low, high = share_interval(60_000, 120_000)
    assert low == pytest.approx(0.5 - 1.96 * (0.25 / 120_000) ** 0.5, abs=1e-5)
    assert high == pytest.approx(1 - low)
