"""A watch over weekly counts: the Poisson CUSUM (Lucas, Technometrics 1985; pure).

Each week adds how far its count lies above a reference value; the sum never falls below zero, and
an alarm is where it reaches the bound. The reference lies between what is usual and half as much
again. The bound is chosen so that without any change an alarm comes every hundred weeks at the
most often, by the exact run length of a Markov chain.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import exp, gcd, lgamma, log
from typing import NamedTuple

FACTOR = 1.5
"""The rise that is looked for: half as many again."""
LEAST_RUN = 100.0
"""Weeks without a change between two alarms, on the mean, at the least."""
COARSE = 20.0
"""From so many cases a week on, the reference is rounded to whole cases, not to tenths: it changes
little then, and the chain has few states."""
LEAST_USUAL = 0.02
"""With fewer a week, one in a year, every single case would be an alarm."""
_FURTHEST = 40.0


class CusumRule(NamedTuple):
    """The rule for what is usual: reference and bound in cases; the mean weeks until an alarm with
    no change, with half as many again, with twice as many.
    """

    reference: float
    bound: float
    weeks_without_change: float
    weeks_to_half_more: float
    weeks_to_twice: float


@lru_cache(256)
def cusum_rule(usual: float) -> CusumRule | None:
    """The rule for so many cases a week; None: there are too few to watch."""
    if usual < LEAST_USUAL:
        return None
    steps = 1 if usual >= COARSE else 10  # of one case
    reference = max(1, round(usual * (FACTOR - 1) / log(FACTOR) * steps))
    unit = gcd(steps, reference)  # what sums are multiples of
    one, reference = steps // unit, reference // unit
    low, high = 1, 2
    while _run_length(usual, one, reference, _states(high, one)) < LEAST_RUN:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if _run_length(usual, one, reference, _states(middle, one)) < LEAST_RUN:
            low = middle + 1
        else:
            high = middle
    states = _states(low, one)
    lengths = (_run_length(usual * f, one, reference, states) for f in (1.0, FACTOR, 2.0))
    return CusumRule(reference / one, low / 2, *lengths)


def cusum(counts: Sequence[int], rule: CusumRule) -> Iterator[tuple[float, bool]]:
    """The sum after each week, and whether it is an alarm; after one it begins at zero."""
    total = 0.0
    for count in counts:
        total = round(max(0.0, total + count - rule.reference), 6)
        alarm = total >= rule.bound
        yield total, alarm
        if alarm:
            total = 0.0


def _states(halves: int, one: int) -> int:
    """How many sums lie below a bound of so many halves of a case; `one` case has so many units."""
    return -(-halves * one // 2)


def _run_length(rate: float, one: int, reference: int, states: int) -> float:
    """The mean weeks until an alarm from a sum of zero: of the chain of all sums below the bound.

    It is solved by elimination from the highest sum down: x = 1 + Q x.
    """
    rows = [_row(rate, one, reference, at, states) for at in range(states)]
    for column in range(states - 1, 0, -1):
        pivot = rows[column]
        kept = 1 - pivot[column]
        for row in rows[:column]:
            if share := row[column] / kept:
                for at in range(column):
                    row[at] += share * pivot[at]
                row[states] += share * pivot[states]
    return rows[0][states] / (1 - rows[0][0])


def _row(rate: float, one: int, reference: int, at: int, states: int) -> list[float]:
    """From a sum to each sum below the bound within a week; at the end the week itself."""
    row = [0.0] * states + [1.0]
    for count in range(int(rate + _FURTHEST + 10 * rate**0.5)):
        to = max(0, at + count * one - reference)
        if to >= states:
            break
        row[to] += exp(count * log(rate) - rate - lgamma(count + 1))
    return row
