"""What the case figures suggest to write of: kinds of fraud that rise, and the usual ones (pure).

A kind rises in a town or the county where the last four covered weeks have more cases than chance
would bring, given the 26 covered weeks before: P(X ≥ cases) < 0.01 of a Poisson variable. It is
said once, and again only after four weeks in which it did not hold. The same figures give the same
list.
"""

import random
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from service.cases.exact import poisson_at_least
from service.cases.figures import CaseBook
from service.cases.week import IsoWeek

WINDOW = 4
"""So many covered weeks are looked at."""

BASE = 26
"""So many covered weeks before them say what to expect; with fewer than `LEAST_BASE`, nothing."""

LEAST_BASE = 13
LEAST_EXPECTED = 0.25
"""Where the weeks before had no case or one, as many as this are expected all the same."""

LEAST_OF_COUNTY, LEAST_OF_TOWN = 5, 3
CHANCE = 0.01
"""A rise comes about by itself less often than this."""

REST = 4
"""A rise is said again after so many weeks without it."""

LOOKS_BACK = REST + WINDOW + BASE
"""So many covered weeks decide what is said of one: that week among them, and those before it."""

USUAL_WEEKS, USUAL_KINDS = 13, 4
COUNTY = ""
"""Stands for the whole county where an area is meant."""

SEED = 341825
_ALL = -1
_YEARS = 100
_CASES = 25_000
_WEEKS_A_YEAR = 52


class Reasons(NamedTuple):
    """Why something is suggested. first, last: the weeks that were looked at.

    expected, chance: of a rise: so many cases were to be expected, and so many as there were, or
    more, come about by themselves so often. Of the usual kinds, None.
    """

    first: IsoWeek
    last: IsoWeek
    cases: int
    loss_yuan: int
    expected: float | None = None
    chance: float | None = None


class Suggested(NamedTuple):
    """A kind of fraud that it is time to write of. area: a town, or `COUNTY`."""

    area: str
    fraud_type: str
    reasons: Reasons

    @property
    def kind(self) -> str:
        """rise: more cases than chance brings. usual: one of the most frequent kinds."""
        return "usual" if self.reasons.chance is None else "rise"


_at_least = lru_cache(4_096)(poisson_at_least)
"""Counts and expectations of few cases are few, and come again."""


class _Series:
    """The cases of one kind in one area, by the place of their week in the order of weeks."""

    def __init__(self, least: int, cells: Mapping[int, tuple[int, int]]) -> None:
        """cells: cases and loss. least: so many cases make a rise, or more."""
        self._least = least
        self._weeks = sorted(cells)
        self._cases = [0, *accumulate(cells[at][0] for at in self._weeks)]
        self._losses = [0, *accumulate(cells[at][1] for at in self._weeks)]
        self._known: dict[int, tuple[int, float, float] | None] = {}

    def rises(self, limit: float) -> Iterable[int]:
        """The weeks in which it rises and is said."""
        return (at for at in self.enough() if self.is_new(at, limit))

    def enough(self) -> list[int]:
        """The weeks in which there are enough cases for a rise; mostly there are too few."""
        in_window: Counter[int] = Counter()
        for at, before, after in zip(self._weeks, self._cases, self._cases[1:], strict=False):
            for later in range(WINDOW):
                in_window[at + later] += after - before
        return sorted(at for at, cases in in_window.items() if cases >= self._least)

    def is_new(self, at: int, limit: float = CHANCE) -> bool:
        """Whether it rises in a week, and did not in the weeks before it."""
        return self.holds(at, limit) and not any(
            self.holds(at - before, limit) for before in range(1, REST + 1)
        )

    def holds(self, at: int, limit: float = CHANCE) -> bool:
        """Whether it rises in a week."""
        found = self.measured(at)
        return found is not None and found[2] < limit

    def measured(self, at: int) -> tuple[int, float, float] | None:
        """Cases, expectation and chance at a week; None: too few cases, or too few weeks before."""
        if at not in self._known:
            self._known[at] = self._measure(at)
        return self._known[at]

    def _measure(self, at: int) -> tuple[int, float, float] | None:
        begin = at - WINDOW + 1
        weeks = min(BASE, begin)
        cases = self.cases(begin, at)
        if weeks < LEAST_BASE or cases < self._least:
            return None
        expected = max(self.cases(begin - weeks, begin - 1) * WINDOW / weeks, LEAST_EXPECTED)
        return cases, expected, _at_least(cases, expected)

    def cases(self, first: int, last: int) -> int:
        """Cases of weeks, both among them."""
        return self._sum(self._cases, first, last)

    def loss(self, first: int, last: int) -> int:
        """Their loss."""
        return self._sum(self._losses, first, last)

    def _sum(self, sums: Sequence[int], first: int, last: int) -> int:
        begin, end = bisect_left(self._weeks, first), bisect_left(self._weeks, last + 1)
        return sums[end] - sums[begin]


class CaseHistory:
    """The figures of covered weeks in their order, by kind, and by town and kind."""

    def __init__(self, book: CaseBook, town_of: Callable[[str], str]) -> None:
        """town_of: the town that an area is, or lies in."""
        self.weeks = sorted(book.covered)
        place_of = {week: at for at, week in enumerate(self.weeks)}
        cells: dict[tuple[str, str], dict[int, tuple[int, int]]] = defaultdict(dict)
        for figure in book.figures:
            at = place_of[figure.week]
            for area in dict.fromkeys((COUNTY, town_of(figure.area))):
                cell = cells[area, figure.fraud_type]
                cases, loss = cell.get(at, (0, 0))
                cell[at] = cases + figure.cases, loss + figure.loss_yuan
        self._series = {place: _Series(_least(place[0]), cell) for place, cell in cells.items()}
        # Of a province's 26,000 series most have too few cases in most weeks.
        self._may_rise: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for place, series in self._series.items():
            for at in series.enough():
                self._may_rise[at].append(place)

    def suggested(self, week: IsoWeek) -> list[Suggested]:
        """What the figures suggest at a week: what rises, then what is usual and does not rise.

        Raises:
            ValueError: the week is not covered.
        """
        at = self.weeks.index(week)
        rises = self._rises(at)
        risen = {one.fraud_type for one in rises if one.area == COUNTY}
        return [*rises, *(one for one in self._usual(at) if one.fraud_type not in risen)]

    def _rises(self, at: int) -> list[Suggested]:
        found = []
        begin = at - WINDOW + 1
        for area, kind in self._may_rise.get(at, ()):
            series = self._series[area, kind]
            if series.is_new(at) and (measured := series.measured(at)):
                cases, expected, chance = measured
                loss = series.loss(begin, at)
                reasons = self._reasons(begin, at, cases, loss)
                said = reasons._replace(expected=expected, chance=chance)
                found.append(Suggested(area, kind, said))
        return sorted(found, key=_order)

    def _usual(self, at: int) -> list[Suggested]:
        begin = max(0, at - USUAL_WEEKS + 1)
        found = [
            Suggested(area, kind, self._reasons(begin, at, cases, series.loss(begin, at)))
            for (area, kind), series in self._series.items()
            if area == COUNTY and (cases := series.cases(begin, at))
        ]
        return sorted(found, key=_order)[:USUAL_KINDS]

    def _reasons(self, begin: int, at: int, cases: int, loss: int) -> Reasons:
        return Reasons(self.weeks[begin], self.weeks[at], cases, loss)


def _order(one: Suggested) -> tuple[float, int, str, str]:
    """By how many cases more than expected; then by the loss."""
    more = one.reasons.cases - (one.reasons.expected or 0)
    return -more, -one.reasons.loss_yuan, one.area, one.fraud_type


def _least(area: str) -> int:
    return LEAST_OF_COUNTY if area == COUNTY else LEAST_OF_TOWN


class UsualRates(NamedTuple):
    """How many cases a week has, and how they are spread over towns and over kinds."""

    cases_a_week: float
    towns: tuple[int, ...]
    kinds: tuple[int, ...]


def usual_rates(
    book: CaseBook, weeks: Sequence[IsoWeek], town_of: Callable[[str], str]
) -> UsualRates:
    """The rates of some covered weeks.

    Raises:
        ValueError: there is no week.
    """
    if not weeks:
        raise ValueError("rates are of weeks")
    wanted = frozenset(weeks)
    towns: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for figure in book.figures:
        if figure.week in wanted:
            towns[town_of(figure.area)] += figure.cases
            kinds[figure.fraud_type] += figure.cases
    return UsualRates(
        kinds.total() / len(wanted),
        tuple(sorted(towns.values(), reverse=True)),
        tuple(sorted(kinds.values(), reverse=True)),
    )


@lru_cache(16)
def chance_rises_a_year(rates: UsualRates, limit: float = CHANCE) -> float:
    """How many rises a year would be said if nothing ever changed: of cases that come at random.

    Made-up years, 100 or as many as have 25,000 cases, with the rates given, and with town and kind
    independent of one another; the same rule counts them. The seed is fixed.
    """
    if not rates.cases_a_week:
        return 0.0
    chosen = random.Random(SEED)  # noqa: S311  # a simulation
    years = min(_YEARS, max(1, int(_CASES / (rates.cases_a_week * _WEEKS_A_YEAR))))
    weeks = LOOKS_BACK + years * _WEEKS_A_YEAR
    instants = list(_instants(chosen, rates.cases_a_week, weeks))
    towns = chosen.choices(range(len(rates.towns)), rates.towns, k=len(instants))
    kinds = chosen.choices(range(len(rates.kinds)), rates.kinds, k=len(instants))
    cells: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
    for instant, town, kind in zip(instants, towns, kinds, strict=True):
        cells[town, kind][int(instant)] += 1
        cells[_ALL, kind][int(instant)] += 1
    rises = 0
    for (town, _), counts in cells.items():
        series = _Series(
            LEAST_OF_COUNTY if town == _ALL else LEAST_OF_TOWN,
            {at: (cases, 0) for at, cases in counts.items()},
        )
        rises += sum(LOOKS_BACK <= at < weeks for at in series.rises(limit))
    return rises / years


def _instants(chosen: random.Random, rate: float, end: int) -> Iterable[float]:
    """Instants of cases that come at random, so many a week, up to the end of a week."""
    instant = chosen.expovariate(rate)
    while instant < end:
        yield instant
        instant += chosen.expovariate(rate)
