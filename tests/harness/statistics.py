"""Our formulas beside one line of what scipy says (`interop/scipy_values.py`)."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from service.cases.exact import chance, poisson_at_least, share_interval
from service.reports.effect.effect import poisson_limits
from service.reports.rollouts.stagger import StudyWeek, at_most

KINDS = frozenset({"pair", "poisson", "limits", "sum"})
PEOPLE = ((1, 3), (1, 1), (3, 1))
"""Treated people and others in the three weeks of a sum."""


def agree(line: Sequence[Any]) -> None:
    """Fail where a formula differs from scipy by more than 1e-9 of the value."""
    kind, *found = line
    match kind:
        case "poisson":
            count, expected, tail = found
            assert poisson_at_least(count, expected) == pytest.approx(tail, rel=1e-9, abs=1e-300)
        case "pair":
            now, before, *values = found
            ours = [*share_interval(now, now + before), chance(now, before)]
            assert ours == pytest.approx(values, rel=1e-9, abs=1e-12), (now, before)
        case "limits":
            expected, level, low, high = found
            assert poisson_limits(expected, level) == (low, high), (expected, level)
        case "sum":
            cases, ratio, most, below = found
            weeks = [
                StudyWeek(0, p[0], count, p[1]) for p, count in zip(PEOPLE, cases, strict=True)
            ]
            assert at_most(most, weeks, ratio) == pytest.approx(below, rel=1e-9, abs=1e-12), found
        case _:
            raise AssertionError(kind)


def numbers(line: Sequence[Any]) -> Iterator[float]:
    """All numbers of a line."""
    for value in line:
        if isinstance(value, list):
            yield from numbers(value)
        elif not isinstance(value, str):
            yield value
