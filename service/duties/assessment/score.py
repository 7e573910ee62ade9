"""The points of a unit on the score sheet of a quarter (pure).

An item that does not apply to a unit is left out. What is left is scaled:

    score = (sum of points - deduction) * 100 / weights of the items that apply

Points are exact fractions; the score alone is rounded, to one decimal, half away from zero. Nothing
is capped: a deduction may bring a score below 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from service.cases.exact import poisson_at_least

FULL = 100
"""A unit with all points of all items that apply to it has so many."""
MAY_BE_CHANCE = 0.05
"""More cases than expected may be chance if so many come about at least so often by themselves."""


class ScoreItem(StrEnum):
    """What is looked at, in the order of the sheet."""

    REPORTS = "reports"
    COVERAGE = "coverage"
    RELAYS = "relays"
    HOUSEHOLDS = "households"
    CASES = "cases"
    OWN_STAFF = "own_staff"


WEIGHED = tuple(item for item in ScoreItem if item is not ScoreItem.OWN_STAFF)
"""The items that bring points; cases of the own staff only take some away."""


class ScoreGap(StrEnum):
    """Why an item does not apply to a unit."""

    OFF = "off"
    NONE_DUE = "none_due"
    NO_AREA_OR_LIST = "no_area_or_list"
    NOT_COUNTED = "not_counted"
    NO_DENOMINATOR = "no_denominator"
    NO_RELAYS = "no_relays"
    NO_ROUND = "no_round"
    NO_TOWN = "no_town"
    NO_GOAL = "no_goal"
    WEEKS_MISSING = "weeks_missing"
    BASE_MISSING = "base_missing"
    BASE_ZERO = "base_zero"
    NOT_STATED = "not_stated"


@dataclass(frozen=True)
class ScoreRules:
    """What each item weighs, 0: it is off; from which coverage on all of its points are given; how
    many points each case of the own staff takes away, and at most.
    """

    weights: Mapping[ScoreItem, int] = field(
        default_factory=lambda: dict(zip(WEIGHED, (20, 25, 20, 15, 20), strict=True))
    )
    full_coverage_pct: Decimal = Decimal(95)
    own_staff_each: int = 5
    own_staff_most: int = 10


class PartOf(NamedTuple):
    """So many of so many."""

    part: int
    whole: int


class CasesBeside(NamedTuple):
    """Cases of the quarter, those of the same weeks of the year before, and the goal in percent."""

    cases: int
    last_year: int
    target_change_pct: Fraction

    @property
    def expected(self) -> Fraction:
        """So many cases meet the goal exactly."""
        return self.last_year * (1 + self.target_change_pct / 100)


@dataclass(frozen=True)
class UnitFacts:
    """What is known of a unit, or why an item does not apply to it.

    reports: on time of those that were due and not excused. coverage: people reached of those who
    there should be. relays: confirmed of active groups, all weeks together. households: told of
    all that there are. own_staff: cases of which somebody of the unit was the victim.
    """

    reports: PartOf | ScoreGap
    coverage: PartOf | ScoreGap
    relays: PartOf | ScoreGap
    households: PartOf | ScoreGap
    cases: CasesBeside | ScoreGap
    own_staff: int | ScoreGap


class ScoredItem(NamedTuple):
    """An item of a unit. points: of `weight`; below 0: a deduction; None: it does not apply.

    part, whole: what they are counted from; of cases `whole` is what was expected. chance: of the
    cases: how often so many or more come about by themselves.
    """

    item: ScoreItem
    weight: int
    points: Fraction | None = None
    gap: ScoreGap | None = None
    part: int | None = None
    whole: Fraction | None = None
    chance: float | None = None


class Score(NamedTuple):
    """All items of a unit. score: of 100; None: no item that brings points applies."""

    items: Sequence[ScoredItem]

    @property
    def weight(self) -> int:
        """Of the items that apply."""
        return sum(one.weight for one in self.items if one.points is not None)

    @property
    def points(self) -> Fraction:
        """Of all items, deductions among them."""
        return sum((one.points for one in self.items if one.points is not None), Fraction(0))

    @property
    def score(self) -> Decimal | None:
        """The points, scaled to 100."""
        return rounded(self.points * FULL / self.weight) if self.weight else None


def score_of(facts: UnitFacts, rules: ScoreRules) -> Score:
    """The points of a unit."""
    weights = rules.weights
    full = Fraction(rules.full_coverage_pct) / 100
    return Score([
        _share(ScoreItem.REPORTS, weights, facts.reports),
        _share(ScoreItem.COVERAGE, weights, facts.coverage, full),
        _share(ScoreItem.RELAYS, weights, facts.relays),
        _share(ScoreItem.HOUSEHOLDS, weights, facts.households),
        _cases(weights[ScoreItem.CASES], facts.cases),
        _own_staff(rules, facts.own_staff),
    ])  # fmt: skip


def rounded(value: Fraction) -> Decimal:
    """A number to one decimal, half away from zero."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return exact.quantize(Decimal("0.1"), ROUND_HALF_UP)


def _share(
    item: ScoreItem,
    weights: Mapping[ScoreItem, int],
    fact: PartOf | ScoreGap,
    full: Fraction = Fraction(1),
) -> ScoredItem:
    """full: from this share on all points are given."""
    weight = weights[item]
    if not weight or isinstance(fact, ScoreGap):
        return _left_out(item, weight, fact)
    share = min(Fraction(1), Fraction(fact.part, fact.whole) / full)
    return ScoredItem(item, weight, weight * share, None, fact.part, Fraction(fact.whole))


def _cases(weight: int, fact: CasesBeside | ScoreGap) -> ScoredItem:
    """All points where the goal is met, half of them where the excess may be chance."""
    if not weight or isinstance(fact, ScoreGap):
        return _left_out(ScoreItem.CASES, weight, fact)
    expected = fact.expected
    chance = poisson_at_least(fact.cases, float(expected)) if expected > 0 else None
    if fact.cases <= expected:
        points = Fraction(weight)
    elif chance is not None and chance >= MAY_BE_CHANCE:
        points = Fraction(weight, 2)
    else:
        points = Fraction(0)
    return ScoredItem(ScoreItem.CASES, weight, points, None, fact.cases, expected, chance)


def _own_staff(rules: ScoreRules, fact: int | ScoreGap) -> ScoredItem:
    if not rules.own_staff_most or isinstance(fact, ScoreGap):
        return _left_out(ScoreItem.OWN_STAFF, rules.own_staff_most, fact)
    lost = min(rules.own_staff_each * fact, rules.own_staff_most)
    return ScoredItem(ScoreItem.OWN_STAFF, 0, Fraction(-lost), None, fact)


def _left_out(item: ScoreItem, counts: int, fact: object) -> ScoredItem:
    """counts: its weight, or how many points it may take away; 0: it is off."""
    gap = fact if counts and isinstance(fact, ScoreGap) else ScoreGap.OFF
    return ScoredItem(item, 0 if item is ScoreItem.OWN_STAFF else counts, gap=gap)
