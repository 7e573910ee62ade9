"""Villages that got their text beside those that had not yet, week by week (pure).

A lot has put villages into waves, so a difference between them may have a cause. A village counts
as treated from its wave's week on, whether its text arrived or not. Only weeks count in which there
are both kinds. With people p and cases c of a village, treated ones 1 and the others 0, each week:

    O = sum of c1      E = sum of c * p1 / p      ratio = sum of c1 * p0 / p ÷ sum of c0 * p1 / p

The chance p is the share of all lots that could have been drawn with O − E at most as large. The
interval of the ratio inverts the sum of binomials that c1 is, given each week's c.
"""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import comb, exp, inf, lgamma, log, log1p, prod
from typing import NamedTuple

MOST_LOTS = 50_000
"""Up to so many possible lots all are looked at."""
DRAWN = 9_999
"""Else so many, drawn by a fixed seed."""
SEED = 20_270_104
TAIL = 0.025
"""Of each side of the interval, which is one of 95 %."""
LEVEL = 0.05
"""A fall is found where it comes by chance at most so often."""
TRIES, FEW_TRIES, MANY_CASES = 1_000, 200, 200
"""How often a rollout is played to say what it can find; with more cases than so many seldomer,
since each try takes long and is clear.
"""
_NEGLIGIBLE = 1e-18
_STEPS = 60


class StudyVillage(NamedTuple):
    """A village of a rollout. stratum: within which the lot was drawn; wave: from 0 on; cases: of
    each week that counts.
    """

    stratum: str
    wave: int
    people: int
    cases: Sequence[int]


class StudyWeek(NamedTuple):
    """A week that counts: cases and people of treated villages and of the others."""

    treated_cases: int
    treated_people: int
    other_cases: int
    other_people: int


class RolloutFinding(NamedTuple):
    """What a rollout found. ratio: None: no case where it would divide. low, high: its exact 95 %
    interval; high may be inf; both None: there was no case. chance: the share of lots; lots: of so
    many; drawn: whether these are a sample.
    """

    observed: int
    expected: float
    ratio: float | None
    low: float | None
    high: float | None
    chance: float
    lots: int
    drawn: bool

    @property
    def least_chance(self) -> float:
        """The smallest chance that so many lots can show: with six, one in six."""
        return 1 / self.lots


class Study:
    """A rollout whose weeks of both kinds are known. starts: for each wave, from which of the weeks
    on it is treated; a wave that begins after all of them has their number.
    """

    def __init__(self, villages: Sequence[StudyVillage], starts: Sequence[int]) -> None:
        self.villages, self._starts = villages, starts
        self._count = len(villages[0].cases) if villages else 0

    @cached_property
    def weeks(self) -> list[StudyWeek]:
        """The weeks as they were."""
        found = []
        for week in range(self._count):
            sums = [0, 0, 0, 0]
            for village in self.villages:
                at = 0 if week >= self._starts[village.wave] else 2
                sums[at] += village.cases[week]
                sums[at + 1] += village.people
            found.append(StudyWeek(*sums))
        return found

    def finding(self) -> RolloutFinding:
        """What it found.

        Raises:
            ValueError: there is no week of both kinds, or nobody lives there.
        """
        weeks = self.weeks
        if not weeks or any(not one.treated_people or not one.other_people for one in weeks):
            raise ValueError("each week needs people of both kinds")
        observed = sum(one.treated_cases for one in weeks)
        expected = up = down = 0.0
        for one in weeks:
            whole = one.treated_people + one.other_people
            expected += (one.treated_cases + one.other_cases) * one.treated_people / whole
            up += one.treated_cases * one.other_people / whole
            down += one.other_cases * one.treated_people / whole
        interval = ratio_bounds(weeks)
        chance, lots, drawn = self._chance()
        return RolloutFinding(
            observed,
            expected,
            up / down if down else None,
            None if interval is None else interval[0],
            None if interval is None else interval[1],
            chance,
            lots,
            drawn,
        )

    @cached_property
    def _gains(self) -> list[list[int]]:
        """Of each village by wave: what it adds to O − E, times all people; whole numbers, so that
        equal sums are equal.
        """
        whole = sum(village.people for village in self.villages)
        totals = [sum(v.cases[week] for v in self.villages) for week in range(self._count)]
        found = []
        for village in self.villages:
            weekly = [
                whole * village.cases[week] - totals[week] * village.people
                for week in range(self._count)
            ]
            found.append([sum(weekly[start:]) for start in self._starts])
        return found

    @cached_property
    def _strata(self) -> list[list[int]]:
        """The villages of each stratum, by their places."""
        found: dict[str, list[int]] = {}
        for at, village in enumerate(self.villages):
            found.setdefault(village.stratum, []).append(at)
        return list(found.values())

    def _chance(self) -> tuple[float, int, bool]:
        """The share of lots with O − E at most as large; how many lots, and whether a sample."""
        waves = [[self.villages[at].wave for at in places] for places in self._strata]
        seen = sum(self._gains[at][one.wave] for at, one in enumerate(self.villages))
        lots = prod(_ways(one) for one in waves)
        if lots <= MOST_LOTS:
            sums = [0]
            for places, dealt in zip(self._strata, waves, strict=True):
                own = list(self._sums(places, Counter(dealt)))
                sums = [before + one for before in sums for one in own]
            return sum(one <= seen for one in sums) / lots, lots, False
        chances = random.Random(SEED)  # noqa: S311  # a simulation that anybody can repeat
        below = 0
        for _ in range(DRAWN):
            total = 0
            for places, dealt in zip(self._strata, waves, strict=True):
                chances.shuffle(dealt)
                total += sum(self._gains[at][wave] for at, wave in zip(places, dealt, strict=True))
            below += total <= seen
        return (below + 1) / (DRAWN + 1), DRAWN + 1, True  # the lot that was drawn is one of them

    def _sums(self, places: Sequence[int], left: Counter[int]) -> Iterator[int]:
        """The sums of all ways to deal the waves that are left to these villages."""
        if not places:
            yield 0
            return
        for wave in sorted(left):
            if not left[wave]:
                continue
            left[wave] -= 1
            gain = self._gains[places[0]][wave]
            for rest in self._sums(places[1:], left):
                yield gain + rest
            left[wave] += 1


def _ways(waves: Sequence[int]) -> int:
    """In how many ways these waves can be dealt to as many villages."""
    ways, left = 1, len(waves)
    for count in Counter(waves).values():
        ways *= comb(left, count)
        left -= count
    return ways


def ratio_bounds(weeks: Sequence[StudyWeek]) -> tuple[float, float] | None:
    """The exact 95 % interval of the ratio; None: there was no case."""
    cases = sum(one.treated_cases + one.other_cases for one in weeks)
    if not cases:
        return None
    observed = sum(one.treated_cases for one in weeks)
    low, high = 0.0, inf
    if observed:
        low = _bisect(lambda ratio: 1 - at_most(observed - 1, weeks, ratio) < TAIL)
    if observed < cases:
        high = _bisect(lambda ratio: at_most(observed, weeks, ratio) > TAIL)
    return low, high


def at_most(count: int, weeks: Sequence[StudyWeek], ratio: float) -> float:
    """P(at most so many cases are of treated villages), where they have `ratio` times the cases a
    head of the others: a sum of binomials, one for all weeks with the same share of people.
    """
    trials: dict[float, int] = {}
    for one in weeks:
        odds = ratio * one.treated_people / one.other_people
        share = odds / (1 + odds)
        trials[share] = trials.get(share, 0) + one.treated_cases + one.other_cases
    known = [1.0]
    begin = 0  # the count of known[0]
    for share, total in trials.items():
        first, chances = _binomial(total, share)
        known = _sum_of(known, chances)
        begin += first
    return min(1.0, sum(known[: max(0, count - begin + 1)]))


def _binomial(trials: int, share: float) -> tuple[int, list[float]]:
    """The chances of a binomial variable but for negligible ones: the first count, and theirs."""
    if share <= 0 or trials == 0:
        return 0, [1.0]
    if share >= 1:
        return trials, [1.0]
    logs = log(share), log1p(-share)
    whole = lgamma(trials + 1)
    found = [
        exp(whole - lgamma(k + 1) - lgamma(trials - k + 1) + k * logs[0] + (trials - k) * logs[1])
        for k in range(trials + 1)
    ]
    kept = [k for k, chance in enumerate(found) if chance > _NEGLIGIBLE]
    return kept[0], found[kept[0] : kept[-1] + 1]


def _sum_of(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The chances of the sum of two variables."""
    if len(one) < len(other):
        one, other = other, one
    found = [0.0] * (len(one) + len(other) - 1)
    for at, chance in enumerate(other):
        for place, own in enumerate(one):
            found[at + place] += chance * own
    return found


def _bisect(is_below: Callable[[float], bool]) -> float:
    """The ratio up to which a condition holds: as the odds of a share between 0 and 1."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if is_below(middle / (1 - middle)) else (low, middle)
    return low / (1 - low)


class Power(NamedTuple):
    """How often of 100 tries a true fall is found. fall: as a share."""

    fall: float
    found_pct: int


def power_of(
    cases_a_week: float, people: Sequence[int], weeks: Sequence[int], falls: Sequence[float]
) -> list[Power]:
    """What a rollout can find, played with a fixed seed: in how many of 100 tries a true fall of
    each share comes out at 5 %, by the exact test given each week's cases.

    people: of each wave. weeks: how many weeks count between each wave and the next.
    """
    whole = sum(people)
    stages = []
    treated = 0
    for wave, count in enumerate(weeks):
        treated += people[wave]
        stages.append((treated, whole - treated, count))
    chances = random.Random(SEED)  # noqa: S311  # a simulation that anybody can repeat
    tries = TRIES if cases_a_week * sum(weeks) <= MANY_CASES else FEW_TRIES
    found = []
    for fall in falls:
        hits = 0
        for _ in range(tries):
            played = [
                StudyWeek(
                    _poisson(chances, cases_a_week * count * one / whole * (1 - fall)),
                    one,
                    _poisson(chances, cases_a_week * count * other / whole),
                    other,
                )
                for one, other, count in stages
            ]
            observed = sum(week.treated_cases for week in played)
            hits += at_most(observed, played, 1.0) <= LEVEL
        found.append(Power(fall, round(hits * 100 / tries)))
    return found


_TABLE_FURTHEST = 200.0


def _poisson(chances: random.Random, mean: float) -> int:
    """A Poisson variable; a large one as the sum of smaller ones."""
    count = 0
    while mean > _TABLE_FURTHEST:
        count += _drawn(chances, _TABLE_FURTHEST)
        mean -= _TABLE_FURTHEST
    return count + _drawn(chances, mean)


_TABLES: dict[float, list[float]] = {}


def _drawn(chances: random.Random, mean: float) -> int:
    if mean not in _TABLES:
        if len(_TABLES) > 256:
            _TABLES.clear()
        sums: list[float] = []
        total, count = 0.0, 0
        while total < 1 - 1e-12 and count < mean + 40 + 10 * mean**0.5:
            total += exp(count * log(mean) - mean - lgamma(count + 1)) if mean else 1.0
            sums.append(total)
            count += 1
        _TABLES[mean] = sums
    return bisect_right(_TABLES[mean], chances.random())
