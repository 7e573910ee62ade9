"""Case figures: sums over weeks, areas and kinds of fraud, and year on year (pure).

A covered week without a row had no case; any other week is unknown, and a sum with one of them is
None. Definitions as in tests/data/cases/truth.json.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from service.cases.week import IsoWeek


class CaseFigure(NamedTuple):
    """The cases of a week in an area of a kind of fraud, and their loss in whole yuan.

    area: the village, or the town or county where no more is known. largest_case_yuan: the loss of
    the largest single case, where the rows say it.
    """

    week: IsoWeek
    area: str
    fraud_type: str
    cases: int
    loss_yuan: int
    largest_case_yuan: int | None = None

    @property
    def largest_row_yuan(self) -> int:
        """The loss of the largest row that the cell was made of."""
        return self.loss_yuan if self.largest_case_yuan is None else self.largest_case_yuan


class CaseTotal(NamedTuple):
    """Cases and loss together; the largest row, and the largest single case that is known."""

    cases: int = 0
    loss_yuan: int = 0
    largest_row_yuan: int = 0
    largest_case_yuan: int = 0


class CaseBook:
    """The figures of some weeks: which weeks are covered, and the cells that are not zero."""

    def __init__(self, covered: Collection[IsoWeek], figures: Iterable[CaseFigure]) -> None:
        self.covered = frozenset(covered)
        self.figures: Sequence[CaseFigure] = tuple(figures)
        self._by_kind: dict[IsoWeek, dict[str, CaseTotal]] | None = None

    def missing(self, weeks: Iterable[IsoWeek]) -> list[IsoWeek]:
        """Those of the weeks that nothing covers."""
        return [week for week in weeks if week not in self.covered]

    def total(
        self,
        weeks: Collection[IsoWeek],
        types: Collection[str] | None = None,
        areas: Collection[str] | None = None,
    ) -> CaseTotal | None:
        """The sum over weeks, kinds (None: all) and areas (None: all); None: a week is unknown."""
        if not weeks or self.missing(weeks):
            return None
        wanted = frozenset(weeks)
        if areas is None:
            return _sum(
                total
                for week in wanted
                for kind, total in self._sums().get(week, {}).items()
                if types is None or kind in types
            )
        return total_of(
            figure
            for figure in self.figures
            if figure.week in wanted
            and (types is None or figure.fraud_type in types)
            and figure.area in areas
        )

    def _sums(self) -> dict[IsoWeek, dict[str, CaseTotal]]:
        """The sums of all areas by week and kind, which many goals and periods ask for: the cells
        are gone through once for all of them.
        """
        if self._by_kind is None:
            sums: dict[IsoWeek, dict[str, list[int]]] = {}
            for week, _, kind, cases, yuan, largest in self.figures:
                kinds = sums.get(week)
                if kinds is None:
                    kinds = sums[week] = {}
                known = kinds.get(kind)
                row, case = (yuan, 0) if largest is None else (largest, largest)
                if known is None:
                    kinds[kind] = [cases, yuan, row, case]
                    continue
                known[0] += cases
                known[1] += yuan
                known[2] = max(known[2], row)
                known[3] = max(known[3], case)
            self._by_kind = {
                week: {kind: CaseTotal(*total) for kind, total in kinds.items()}
                for week, kinds in sums.items()
            }
        return self._by_kind


def total_of(figures: Iterable[CaseFigure]) -> CaseTotal:
    """The sum of cells."""
    cases = loss = row = case = 0
    for _, _, _, some, yuan, largest in figures:
        cases += some
        loss += yuan
        row = max(row, yuan if largest is None else largest)
        case = max(case, largest or 0)
    return CaseTotal(cases, loss, row, case)


def _sum(totals: Iterable[CaseTotal]) -> CaseTotal:
    cases = loss = row = case = 0
    for total in totals:
        cases += total.cases
        loss += total.loss_yuan
        row = max(row, total.largest_row_yuan)
        case = max(case, total.largest_case_yuan)
    return CaseTotal(cases, loss, row, case)


def base_weeks(weeks: Sequence[IsoWeek]) -> list[IsoWeek] | None:
    """The same ISO weeks of the year before; None: one of them is a week 53 that it has not."""
    found = [week.year_before for week in weeks]
    return None if None in found else [week for week in found if week is not None]


def change_pct(now: int | None, before: int | None) -> float | None:
    """(now − before) × 100 ÷ before to one decimal, half away from zero; None: before is 0, or one
    of them is unknown.
    """
    if now is None or before is None or before <= 0:
        return None
    difference = (now - before) * 1000
    tenths = (2 * abs(difference) + before) // (2 * before)
    return (-tenths if difference < 0 else tenths) / 10


class YearOnYear(NamedTuple):
    """A total beside that of the same weeks of the year before; None: unknown."""

    now: CaseTotal | None
    before: CaseTotal | None

    @property
    def cases_change_pct(self) -> float | None:
        """By how much cases changed, in percent."""
        return change_pct(self.now and self.now.cases, self.before and self.before.cases)

    @property
    def loss_change_pct(self) -> float | None:
        """By how much the loss changed, in percent."""
        return change_pct(self.now and self.now.loss_yuan, self.before and self.before.loss_yuan)


def year_on_year(
    book: CaseBook,
    weeks: Sequence[IsoWeek],
    types: Collection[str] | None = None,
    areas: Collection[str] | None = None,
) -> YearOnYear:
    """The total of the weeks and that of the same weeks of the year before."""
    base = base_weeks(weeks)
    return YearOnYear(
        book.total(weeks, types, areas),
        book.total(base, types, areas) if base is not None else None,
    )
