"""ISO weeks as people and files write them, and the periods made of them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cases.week import (
    IsoWeek,
    Period,
    PeriodName,
    parse_cover,
    parse_week,
    quarter_before,
    quarter_of,
    week_of,
    weeks_between,
)
from service.errors import Invalid

DAYS = st.dates(date(2001, 1, 8), date(2099, 12, 20))


@pytest.mark.parametrize(
    ("text", "week"),
    [
        ("2027-W03", "2027-W03"),
        ("2027W3", "2027-W03"),
        ("2027年第3周", "2027-W03"),
        ("2027 年 第 3 周", "2027-W03"),
        ("2027-01-18", "2027-W03"),
        ("2027/1/24", "2027-W03"),
        ("2027年1月24日", "2027-W03"),
        ("2027-01-18 00:00:00", "2027-W03"),
        ("2027-01-03", "2026-W53"),  # Sunday of the last week of 2026
        ("2026-W53", "2026-W53"),
        ("2027-W53", None),  # 2027 has 52 weeks
        ("2027-W00", None),
        ("2027-02-30", None),
        ("第3周", None),
        ("", None),
    ],
)
def test_how_a_week_is_written(text: str, week: str | None) -> None:
    found = parse_week(text)
    assert (str(found) if found else None) == week


@given(DAYS)
def test_a_day_lies_in_its_week_and_the_week_has_seven(day: date) -> None:
    week = week_of(day)
    assert week.monday <= day <= week.sunday
    assert (week.sunday - week.monday).days == 6
    assert parse_week(str(week)) == week
    assert week.next.monday == week.sunday.fromordinal(week.sunday.toordinal() + 1)


@given(DAYS)
def test_quarters_part_the_year(day: date) -> None:
    week = week_of(day)
    assert week in quarter_of(week).weeks
    assert quarter_before(quarter_of(week)).last.next == quarter_of(week).first


@pytest.mark.parametrize(
    ("period", "first", "last", "count"),
    [
        (Period(2027, "Q1"), "2027-W01", "2027-W13", 13),
        (Period(2026, "Q4"), "2026-W40", "2026-W53", 14),
        (Period(2027, "Q4"), "2027-W40", "2027-W52", 13),
        (Period(2027, "YEAR"), "2027-W01", "2027-W52", 52),
    ],
)
def test_periods(period: Period, first: str, last: str, count: int) -> None:
    assert (str(period.first), str(period.last), len(period.weeks)) == (first, last, count)


def test_each_week_of_forty_years_is_in_one_quarter_and_one_year() -> None:
    week, end = IsoWeek(2010, 1), IsoWeek(2050, 1)
    names: list[PeriodName] = ["Q1", "Q2", "Q3", "Q4"]
    weeks = weeks_between(week, end)
    assert sum(week.number == 53 for week in weeks) == 7
    for week in weeks:
        near = range(week.year - 1, week.year + 2)
        quarters = [Period(year, name) for year in near for name in names]
        assert [one for one in quarters if week in one.weeks] == [quarter_of(week)]
        years = [Period(year, "YEAR") for year in near]
        assert [one.year for one in years if week in one.weeks] == [week.year]


def test_a_period_of_each_name_has_a_text() -> None:
    names: list[PeriodName] = ["Q1", "YEAR"]
    assert [str(Period(2027, name)) for name in names] == ["2027-Q1", "2027-YEAR"]


def test_week_53_has_a_base_only_in_a_year_that_has_one() -> None:
    assert IsoWeek(2026, 53).year_before is None
    assert IsoWeek(2027, 3).year_before == IsoWeek(2026, 3)
    assert IsoWeek(2021, 1).year_before == IsoWeek(2020, 1)


@pytest.mark.parametrize(
    ("text", "weeks"),
    [
        ("2027-W03", ["2027-W03"]),
        ("2027-W05, 2027-W03,2027-W03", ["2027-W03", "2027-W05"]),
        ("2026-W52..2027-W02", ["2026-W52", "2026-W53", "2027-W01", "2027-W02"]),
    ],
)
def test_what_a_file_covers(text: str, weeks: list[str]) -> None:
    assert [str(week) for week in parse_cover(text)] == weeks


@pytest.mark.parametrize(
    "text", ["", "2027-W99", "2027-W03..", "2027-W03..2027-W02", "2000-W01..2099-W01"]
)
def test_what_covers_nothing_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_cover(text)
    assert list(refused.value.fields) == ["weeks"]
