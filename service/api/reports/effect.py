"""Did it help? Cases beside those of the year before, and beside what chance brings."""

import re
from decimal import Decimal
from math import isinf
from typing import Any

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Line, Out, QueryString
from service.api.reports import coverage
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.cases import store
from service.cases.figures import CaseBook
from service.cases.week import (
    IsoWeek,
    Period,
    PeriodName,
    quarter_before,
    quarter_of,
    week_of,
    weeks_before,
    weeks_between,
)
from service.errors import Invalid
from service.reports.coverage import report
from service.reports.coverage.coverage import NOWHERE, View
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.reports.effect.effect import (
    USUAL_WEEKS,
    CaseTrend,
    CoverageHalf,
    FunnelPlace,
    RateChange,
    books_by,
    change_of,
    funnel_of,
    halves_of,
    trend_of,
)
from service.words.phrase import phrase

QUARTERS = 6
"""So many are offered, the present one among them."""
_PERIOD = re.compile(r"(20\d\d)-(Q[1-4]|YEAR)")


class EffectQuery(QueryString):
    """Of which period."""

    period: Line | None = Field(
        default=None, description="A quarter or a year: 2027-Q1, 2027-YEAR; default: this quarter."
    )


class ChangeOut(Out):
    """Cases beside those of the same weeks of the year before. null: unknown."""

    cases: int | None
    last_year: int | None
    ratio: float | None = Field(description="cases ÷ last_year.")
    interval: list[float | None] | None = Field(
        description="The exact 95 % interval of the ratio; its upper end may be null: without"
        " bound."
    )
    chance: float | None = Field(
        description="How often as large a change comes about by itself; one sided."
    )


class WatchedWeekOut(Out):
    """A week of the watch."""

    week: str
    cases: int | None = Field(description="null: the week is not covered.")
    last_year: int | None
    total: float | None = Field(description="The sum of the watch after this week.")
    alarm: bool = Field(description="The sum has reached the bound; it begins at zero again.")


class TrendOut(Out):
    """The weeks of the period under watch (Poisson CUSUM)."""

    usual: float | None = Field(
        description="Cases a week in the 52 weeks before the period; null: too few are covered."
    )
    reference: float | None = Field(
        description="So many cases a week add nothing to the sum; null: nothing is watched."
    )
    bound: float | None = Field(description="From this sum on it is an alarm.")
    weeks_without_change: float | None = Field(
        description="Mean weeks between two alarms where nothing changes."
    )
    weeks_to_half_more: float | None = Field(
        description="Mean weeks until an alarm where half as many again happen."
    )
    weeks_to_twice: float | None
    weeks: list[WatchedWeekOut]


class TownEffectOut(ChangeOut):
    """A town, beside its share of the county's cases by population."""

    area: str
    name: str
    expected: float | None = Field(description="null: the population of the town is not known.")
    limits: list[int] | None = Field(description="Between these 95 in 100 lie by chance.")
    outer_limits: list[int] | None = Field(description="Between these 998 in 1,000.")
    outside: str = Field(description='"inner", "outer": outside these limits; "": within both.')
    alarms: list[str] = Field(description="Weeks in which the town's own watch gave an alarm.")


class HalfOut(ChangeOut):
    """The villages on one side of the median of coverage."""

    villages: int
    from_pct: Decimal
    to_pct: Decimal


class EffectOut(Out):
    """A period beside the same weeks of the year before. None of it says what caused a change."""

    period: str
    periods: list[str] = Field(description="This quarter, those before it, and their years.")
    as_of: str | None = Field(description="The last covered week of it; null: there is none.")
    county: ChangeOut
    trend: TrendOut
    towns: list[TownEffectOut]
    coverage: list[HalfOut] | None = Field(
        description="Villages of low, then of high coverage of the quarter's public interest texts,"
        " split at the median. Villages differ in more than coverage. null: nothing is known."
    )


async def get_effect(call: Call, query: EffectQuery) -> EffectOut:
    """Show the cases of a period beside the year before and beside what chance brings."""
    today = call.now.astimezone(call.runtime.settings.zone).date()
    present = quarter_of(week_of(today))
    period = present if query.period is None else period_of(query.period)
    covered = await store.covered_weeks(call.conn)
    inside = [week for week in covered if period.first <= week <= period.last]
    as_of = inside[-1] if inside else None
    weeks = weeks_between(period.first, as_of) if as_of else []
    base = [before for week in weeks if (before := week.year_before)]
    book = await store.read_book(
        call.conn, {*weeks, *base, *weeks_before(period.first, USUAL_WEEKS)}
    )
    tree = await read_area_tree(call.conn)
    return EffectOut(
        period=str(period),
        periods=_periods(present),
        as_of=as_of and str(as_of),
        county=_change(change_of(book, weeks)),
        trend=_trend(trend_of(book, period, as_of or week_of(today))),
        towns=_towns(book, tree, period, weeks),
        coverage=await _halves(call, book, period, weeks),
    )


def _periods(quarter: Period) -> list[str]:
    quarters = [quarter]
    while len(quarters) < QUARTERS:
        quarters.append(quarter_before(quarters[-1]))
    years = sorted({one.year for one in quarters}, reverse=True)
    return [str(one) for one in (*quarters, *(Period(year, "YEAR") for year in years))]


def period_of(written: str) -> Period:
    """The period that is written as 2027-Q1 or 2027-YEAR.

    Raises:
        Invalid: it is written otherwise.
    """
    if (found := _PERIOD.fullmatch(written)) is None:
        raise Invalid.at("period", phrase("a quarter or a year, such as 2027-Q1 or 2027-YEAR"))
    name: PeriodName = found[2]  # type: ignore[assignment]  # the pattern has no other
    return Period(int(found[1]), name)


def _towns(
    book: CaseBook, tree: AreaTree, period: Period, weeks: list[IsoWeek]
) -> list[TownEffectOut]:
    """Each town of which the population is known, or a case."""

    def town_of(area: str) -> str:
        return tree.town_of(area) if area in tree.areas else ""

    towns = books_by(tree.at(tree.roots, {"town"}), book, town_of)
    people = {code: tree.areas[code].population or 0 for code in towns}
    changes = {code: change_of(own, weeks) for code, own in towns.items()}
    cases = {code: change.now for code, change in changes.items() if change.now is not None}
    # Cases of which no town is known are in no town's share.
    funnel = {place.area: place for place in funnel_of(cases, people, sum(cases.values()))}
    return [
        TownEffectOut(
            area=code,
            name=tree.areas[code].name,
            **_change(changes[code]).model_dump(),
            **_place(funnel.get(code)),
            alarms=[
                str(week.week) for week in trend_of(own, period, weeks[-1]).weeks if week.alarm
            ],
        )
        for code, own in towns.items()
        if weeks and (people[code] or cases.get(code))
    ]


def _place(place: FunnelPlace | None) -> dict[str, Any]:
    if place is None:
        return {"expected": None, "limits": None, "outer_limits": None, "outside": ""}
    return {
        "expected": round(place.expected, 1),
        "limits": list(place.inner),
        "outer_limits": list(place.outer),
        "outside": place.outside,
    }


async def _halves(
    call: Call, book: CaseBook, period: Period, weeks: list[IsoWeek]
) -> list[HalfOut] | None:
    if period.name == "YEAR" or not weeks:
        return None
    first_day = coverage.quarter_of(str(period))
    scope = CoverageScope(ScopeKind.QUARTER, quarter=first_day, message_class="public_interest")
    found = await report.coverage_report(call.conn, scope, View(None, "village"), None, call.now)
    if found is None:
        return None
    covered = {
        row.area: row.coverage_pct
        for row in found.coverage.areas
        if row.finer and row.area != NOWHERE and row.coverage_pct is not None
    }
    halves = halves_of(covered, book, weeks)
    return halves and [_half(half) for half in halves]


def _half(half: CoverageHalf) -> HalfOut:
    return HalfOut(
        villages=half.villages,
        from_pct=half.from_pct,
        to_pct=half.to_pct,
        **_change(half.change).model_dump(),
    )


def _change(change: RateChange) -> ChangeOut:
    held = change.interval
    return ChangeOut(
        cases=change.now,
        last_year=change.before,
        ratio=None if change.ratio is None else round(change.ratio, 3),
        interval=held and [None if isinf(end) else round(end, 3) for end in held],
        chance=None if change.chance is None else round(change.chance, 3),
    )


def _trend(trend: CaseTrend) -> TrendOut:
    rule = trend.rule
    return TrendOut(
        usual=None if trend.usual is None else round(trend.usual, 2),
        reference=rule and rule.reference,
        bound=rule and rule.bound,
        weeks_without_change=rule and round(rule.weeks_without_change, 1),
        weeks_to_half_more=rule and round(rule.weeks_to_half_more, 1),
        weeks_to_twice=rule and round(rule.weeks_to_twice, 1),
        weeks=[
            WatchedWeekOut(
                week=str(week.week),
                cases=week.cases,
                last_year=week.last_year,
                total=week.total,
                alarm=week.alarm,
            )
            for week in trend.weeks
        ],
    )
