"""Exact intervals and tails of counts (pure), in double precision.

Two counts x and y of Poisson processes are compared by x given x + y, which is binomial: the
interval of its share (Clopper and Pearson, Biometrika 1934) gives that of the ratio. Values agree
with scipy's `binomtest` and `poisson` to 1e-9 (tests/vectors/statistics).
"""

from collections.abc import Callable
from functools import lru_cache
from math import exp, inf, lgamma, log, log1p
from typing import NamedTuple

LEVEL = 0.95
"""The level of every interval."""

_STEPS = 200


class RatioInterval(NamedTuple):
    """A ratio of two rates lies between these, with a chance of 95 % or more; high may be inf."""

    low: float
    high: float


def share_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share: of so many trials so many succeeded.

    Raises:
        ValueError: there is no trial, or more succeeded than there were.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError("successes must be between 0 and trials, and there must be a trial")
    tail = (1 - level) / 2
    low = 0.0
    if successes > 0:
        low = _bisect(lambda p: _at_least(successes, trials, p) < tail)
    high = 1.0
    if successes < trials:
        # The mirror image: of the failures, at least so many.
        failures = trials - successes
        high = 1 - _bisect(lambda p: _at_least(failures, trials, p) < tail)
    return low, high


@lru_cache(8_192)  # the towns of a province share pairs of small counts
def ratio_interval(now: int, before: int, exposure: float = 1.0) -> RatioInterval | None:
    """The exact interval of (now ÷ before) ÷ exposure; None: both are 0, which says nothing.

    exposure: how much longer or larger what `now` counts was.
    """
    if now + before == 0:
        return None
    low, high = share_interval(now, now + before)
    return RatioInterval(
        low / (1 - low) / exposure if low < 1 else inf,
        high / (1 - high) / exposure if high < 1 else inf,
    )


def chance(now: int, before: int) -> float:
    """How often at most `now` of both comes about by itself where nothing has changed; at least
    `now` where it is the larger. One sided, of the binomial distribution at one half.
    """
    total = now + before
    return min(1.0, _binomial_sum(min(now, before), total, 0.5, step=-1))


def poisson_at_least(count: int, expected: float) -> float:
    """P(X ≥ count) of a Poisson variable with this expectation.

    Raises:
        ValueError: the expectation is not positive.
    """
    if expected <= 0:
        raise ValueError("the expectation must be positive")
    if count <= 0:
        return 1.0
    if count <= expected:
        return 1 - _poisson_sum(count - 1, expected, step=-1)
    return _poisson_sum(count, expected, step=1)


def _poisson_sum(start: int, expected: float, *, step: int) -> float:
    """The sum of the probabilities from a count upwards or downwards; the first is the largest."""
    term = exp(start * log(expected) - expected - lgamma(start + 1))
    total, count = 0.0, start
    while count >= 0 and term > total * 1e-17:
        total += term
        term *= expected / (count + 1) if step > 0 else count / expected
        count += step
    return total


def _at_least(count: int, trials: int, p: float) -> float:
    """P(X ≥ count) of a binomial variable."""
    if p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    if count <= p * trials:
        return 1 - _binomial_sum(count - 1, trials, p, step=-1)
    return _binomial_sum(count, trials, p, step=1)


def _binomial_sum(start: int, trials: int, p: float, *, step: int) -> float:
    """The sum of the probabilities from a count outwards; the first is the largest of them."""
    ways = lgamma(trials + 1) - lgamma(start + 1) - lgamma(trials - start + 1)
    term = exp(ways + start * log(p) + (trials - start) * log1p(-p))
    total, count, odds = 0.0, start, p / (1 - p)
    while 0 <= count <= trials and term > total * 1e-17:
        total += term
        if step > 0:
            term *= (trials - count) / (count + 1) * odds
        else:
            term *= count / (trials - count + 1) / odds
        count += step
    return total


def _bisect(is_below: Callable[[float], bool]) -> float:
    """The place between 0 and 1 up to which a condition holds."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low
