"""Goals for cases and loss, year on year, and how each stands as of a week (pure).

A goal that is met may be met by chance: a county has some 18 cases a month. So beside each change
stands its exact interval, how often such a change comes about by itself, and what the change of the
loss is without the largest row of each year.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from service.cases.exact import chance, ratio_interval
from service.cases.figures import CaseBook, YearOnYear, change_pct, year_on_year
from service.cases.week import IsoWeek, Period, PeriodName, weeks_between

GoalMeasure = Literal["cases", "loss_yuan"]
MEASURES: tuple[GoalMeasure, ...] = get_args(GoalMeasure)

GoalColour = Literal["green", "grey", "red", "unknown"]
"""grey: met, but chance cannot be ruled out."""

GoalGap = Literal["not_begun", "weeks_missing", "base_missing", "base_zero"]
"""Why the standing of a goal is unknown."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A change, year on year, that is aimed at. fraud_types: None: all of them."""

    key: str
    title: str
    fraud_types: tuple[str, ...] | None
    period: PeriodName
    year: int
    measures: tuple[GoalMeasure, ...]
    target_change_pct: float

    @property
    def span(self) -> Period:
        """The quarter or year that it is for."""
        return Period(self.year, self.period)

    def as_json(self) -> dict[str, Any]:
        """The goal as it is stored."""
        return {
            "key": self.key,
            "title": self.title,
            "fraud_types": list(self.fraud_types) if self.fraud_types is not None else None,
            "period": self.period,
            "year": self.year,
            "measures": list(self.measures),
            "target_change_pct": self.target_change_pct,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Goal":
        """The goal that is stored."""
        types = stored["fraud_types"]
        return cls(
            stored["key"],
            stored["title"],
            tuple(types) if types is not None else None,
            stored["period"],
            stored["year"],
            tuple(stored["measures"]),
            stored["target_change_pct"],
        )


@dataclass(frozen=True, slots=True)
class GoalStanding:
    """How a goal stands as of a week. What is None is unknown, and `gap` says why.

    final: the period's last week is covered. cases_interval_pct: the exact 95 % interval of the
    change of cases; its end may be inf. chance: how often such a change comes about by itself.
    loss_without_largest_pct: the change without the largest row of each year.
    """

    goal: Goal
    as_of: IsoWeek
    figures: YearOnYear
    final: bool
    cases_met: bool | None
    loss_met: bool | None
    met: bool | None
    cases_interval_pct: tuple[float, float] | None
    chance: float | None
    loss_without_largest_pct: float | None
    gap: GoalGap | None
    missing: tuple[IsoWeek, ...]

    @property
    def colour(self) -> GoalColour:
        """Red, green, or grey where it is met and the interval holds no change at all."""
        if self.met is None:
            return "unknown"
        if not self.met:
            return "red"
        held = self.cases_interval_pct
        return "green" if held is None or not held[0] <= 0 <= held[1] else "grey"


def goal_weeks(goal: Goal, as_of: IsoWeek) -> list[IsoWeek]:
    """The weeks of a goal's period up to a week; none where the period has not begun."""
    return weeks_between(goal.span.first, min(goal.span.last, as_of))


def stand(goal: Goal, book: CaseBook, as_of: IsoWeek) -> GoalStanding:
    """How a goal stands from its period's first week to `as_of`."""
    weeks = goal_weeks(goal, as_of)
    figures = year_on_year(book, weeks, goal.fraud_types)
    met = {
        "cases": _reached(goal, "cases", figures.cases_change_pct),
        "loss_yuan": _reached(goal, "loss_yuan", figures.loss_change_pct),
    }
    wanted = [met[measure] for measure in goal.measures]
    now, before = figures
    return GoalStanding(
        goal=goal,
        as_of=as_of,
        figures=figures,
        final=as_of >= goal.span.last and not book.missing(weeks),
        cases_met=met["cases"],
        loss_met=met["loss_yuan"],
        met=False if False in wanted else None if None in wanted else True,
        cases_interval_pct=_interval_pct(figures),
        chance=chance(now.cases, before.cases) if now and before else None,
        loss_without_largest_pct=change_pct(
            now.loss_yuan - now.largest_row_yuan, before.loss_yuan - before.largest_row_yuan
        )
        if now and before
        else None,
        gap=_gap(goal, weeks, figures),
        missing=tuple(book.missing(weeks)),
    )


def _reached(goal: Goal, measure: GoalMeasure, change: float | None) -> bool | None:
    if measure not in goal.measures or change is None:
        return None
    return change <= goal.target_change_pct


def _gap(goal: Goal, weeks: Sequence[IsoWeek], figures: YearOnYear) -> GoalGap | None:
    if not weeks:
        return "not_begun"
    if figures.now is None:
        return "weeks_missing"
    if figures.before is None:
        return "base_missing"
    base = {"cases": figures.before.cases, "loss_yuan": figures.before.loss_yuan}
    return "base_zero" if any(base[measure] == 0 for measure in goal.measures) else None


def _interval_pct(figures: YearOnYear) -> tuple[float, float] | None:
    now, before = figures
    if not now or not before:
        return None
    interval = ratio_interval(now.cases, before.cases)
    if interval is None:
        return None
    return (interval.low - 1) * 100, (interval.high - 1) * 100
