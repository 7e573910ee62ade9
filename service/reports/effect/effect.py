"""Did it help? Cases of a period beside those of the year before, and what chance alone would bring
(pure).

Nothing here says that messages caused a change: counties change for many reasons, and a county of
18 cases a month changes by chance. What is said is how far a change lies beyond chance.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import exp, lgamma, log
from statistics import median
from typing import NamedTuple

from service.cases.exact import RatioInterval, chance, ratio_interval
from service.cases.figures import CaseBook, CaseFigure, CaseTotal
from service.cases.week import IsoWeek, Period, weeks_before, weeks_between
from service.reports.effect.cusum import CusumRule, cusum, cusum_rule

USUAL_WEEKS = 52
"""So many weeks before the period say what is usual."""
LEAST_USUAL_WEEKS = 26
"""With fewer of them covered, nobody knows what is usual."""
INNER, OUTER = 0.95, 0.998
"""The limits of the funnel: of twenty places one lies outside the inner ones by chance, of 500 one
outside the outer ones."""


class RateChange(NamedTuple):
    """Cases now and in the same weeks of the year before; None: a week is unknown.

    ratio: now ÷ before, None where before is 0. interval: its exact 95 % interval. chance: how
    often such a change comes about by itself, one sided.
    """

    now: int | None
    before: int | None

    @property
    def ratio(self) -> float | None:
        """Now ÷ before."""
        return self.now / self.before if self.now is not None and self.before else None

    @property
    def interval(self) -> RatioInterval | None:
        """The exact 95 % interval of the ratio."""
        if self.now is None or self.before is None:
            return None
        return ratio_interval(self.now, self.before)

    @property
    def chance(self) -> float | None:
        """How often as large a change comes about by itself."""
        if self.now is None or self.before is None or not self.now + self.before:
            return None
        return chance(self.now, self.before)


class WatchedWeek(NamedTuple):
    """A week of the watch. cases, total: None: it is not covered. total: the sum of the CUSUM."""

    week: IsoWeek
    cases: int | None
    last_year: int | None
    total: float | None = None
    alarm: bool = False


@dataclass(frozen=True)
class CaseTrend:
    """The weeks of a period under watch. usual: cases a week before it; None: too little known.
    rule: None: nobody knows what is usual, or there are too few cases to watch.
    """

    usual: float | None
    rule: CusumRule | None
    weeks: Sequence[WatchedWeek]


class FunnelPlace(NamedTuple):
    """A town beside its share of the county's cases by population; the limits are exact."""

    area: str
    cases: int
    expected: float

    @property
    def inner(self) -> tuple[int, int]:
        """Between these 95 in 100 such towns lie by chance."""
        return poisson_limits(self.expected, INNER)

    @property
    def outer(self) -> tuple[int, int]:
        """Between these 998 in 1,000 such towns lie by chance."""
        return poisson_limits(self.expected, OUTER)

    @property
    def outside(self) -> str:
        """`inner`, `outer`: outside these limits; "": within both."""
        for name, (low, high) in (("outer", self.outer), ("inner", self.inner)):
            if not low <= self.cases <= high:
                return name
        return ""


class CoverageHalf(NamedTuple):
    """The villages on one side of the median of coverage, added up."""

    villages: int
    from_pct: Decimal
    to_pct: Decimal
    change: RateChange


def poisson_limits(expected: float, level: float) -> tuple[int, int]:
    """The counts between which a Poisson variable lies: the quantiles of both tails, exact."""
    tail = (1 - level) / 2
    low: int | None = None
    count, below = 0, 0.0
    while True:
        below += exp(count * log(expected) - expected - lgamma(count + 1))
        if low is None and below >= tail:
            low = count
        if below >= 1 - tail and low is not None:
            return low, count
        count += 1


def change_of(
    book: CaseBook, weeks: Sequence[IsoWeek], areas: Collection[str] | None = None
) -> RateChange:
    """Cases of the weeks beside those of the same weeks of the year before. A week 53 that the year
    before has not is left out on this side as well.
    """
    pairs = [(week, before) for week in weeks if (before := week.year_before) is not None]
    now = book.total([week for week, _ in pairs], areas=areas)
    then = book.total([before for _, before in pairs], areas=areas)
    return RateChange(now and now.cases, then and then.cases)


def books_by(
    towns: Iterable[str], book: CaseBook, town_of: Callable[[str], str | None]
) -> dict[str, CaseBook]:
    """The figures of each town alone. town_of: the town of an area, or what is none of them."""
    own: dict[str, list[CaseFigure]] = {town: [] for town in towns}
    for figure in book.figures:
        own.get(town_of(figure.area) or "", []).append(figure)
    return {town: CaseBook(book.covered, figures) for town, figures in own.items()}


def trend_of(book: CaseBook, period: Period, as_of: IsoWeek) -> CaseTrend:
    """The weeks of a period up to one under watch. A week that is not covered adds nothing."""
    earlier = [week for week in weeks_before(period.first, USUAL_WEEKS) if week in book.covered]
    usual = None
    if len(earlier) >= LEAST_USUAL_WEEKS:
        known = book.total(earlier) or CaseTotal()
        usual = known.cases / len(earlier)
    rule = None if usual is None else cusum_rule(usual)
    weeks = weeks_between(period.first, min(period.last, as_of))
    found = [
        WatchedWeek(week, _cases_in(book, week), _cases_in(book, week.year_before))
        for week in weeks
    ]
    if rule is not None:
        places = [at for at, week in enumerate(found) if week.cases is not None]
        sums = cusum([found[at].cases or 0 for at in places], rule)
        for at, (total, alarm) in zip(places, sums, strict=True):
            found[at] = found[at]._replace(total=total, alarm=alarm)
    return CaseTrend(usual, rule, found)


def funnel_of(cases: Mapping[str, int], people: Mapping[str, int], whole: int) -> list[FunnelPlace]:
    """Towns beside chance: `whole` cases of the county, shared out by population. Towns whose
    population nobody knows are left out, and so is everything where there was no case.
    """
    known = {area: count for area, count in people.items() if count > 0}
    everybody = sum(known.values())
    if not whole or not everybody:
        return []
    return [
        FunnelPlace(area, cases.get(area, 0), whole * count / everybody)
        for area, count in sorted(known.items())
    ]


def halves_of(
    covered: Mapping[str, Decimal], book: CaseBook, weeks: Sequence[IsoWeek]
) -> tuple[CoverageHalf, CoverageHalf] | None:
    """Villages of low and of high coverage, split at the median; those at the median are low.
    covered: the coverage of each village in percent. None: they are fewer than two, or alike.
    """
    if len(covered) < 2:  # a side each
        return None
    middle = median(covered.values())
    low = {area for area, pct in covered.items() if pct <= middle}
    high = set(covered) - low
    if not high:
        return None
    return _half(low, covered, book, weeks), _half(high, covered, book, weeks)


def _half(
    areas: Collection[str], covered: Mapping[str, Decimal], book: CaseBook, weeks: Sequence[IsoWeek]
) -> CoverageHalf:
    shares = [covered[area] for area in areas]
    return CoverageHalf(len(areas), min(shares), max(shares), change_of(book, weeks, areas))


def _cases_in(book: CaseBook, week: IsoWeek | None) -> int | None:
    found = None if week is None else book.total([week])
    return found and found.cases
