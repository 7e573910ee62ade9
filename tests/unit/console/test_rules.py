"""A year as months and days off, versions with what they changed, spans of hours as typed."""

from datetime import UTC, date, datetime

import pytest
from multidict import MultiDict, MultiDictProxy

from service.api.calendar.holidays import CalendarOut, DayOut, QuietOut
from service.console.asking import Desk
from service.console.rules.spans import spans_of, spans_text
from service.console.rules.versions import SetVersion, with_differences
from service.console.rules.year import festivals_of, months_of
from service.errors import Invalid

MONDAY = date(2028, 1, 3)


def _day(text: str, kind: str = "holiday", name: str = "春节") -> DayOut:
    return DayOut.model_validate({"date": text, "kind": kind, "name": name})


def _calendar(*days: DayOut, quiet: tuple[QuietOut, ...] = ()) -> CalendarOut:
    return CalendarOut(
        year=2028, official=True, source="s", official_until=date(2028, 12, 31), warning=None,
        days=list(days), quiet_days=list(quiet), built_in_quiet={}, notices=[], quiet=[],
        without=[], school_days=[], version=1,
    )  # fmt: skip


def test_a_year_has_each_of_its_days_once_and_in_its_column() -> None:
    months = months_of(_calendar())
    days = [day for month in months for week in month.weeks for day in week if day]
    assert [day.date for day in days] == [
        date.fromordinal(n)
        for n in range(date(2028, 1, 1).toordinal(), date(2028, 12, 31).toordinal() + 1)
    ]
    for month in months:
        for week in month.weeks:
            assert len(week) == 7
            assert all(day is None or day.date.weekday() == n for n, day in enumerate(week))


def test_a_day_says_what_it_is_and_all_that_is_quiet_on_it() -> None:
    quiet = QuietOut(
        name="中考", first=date(2028, 1, 30), last=date(2028, 2, 2), hours=[("00:00", "24:00")],
        classes=["service"], binding=True,
    )  # fmt: skip
    months = months_of(
        _calendar(_day("2028-02-01"), _day("2028-02-05", "makeup", ""), quiet=(quiet,))
    )
    days = {day.date: day for month in months for week in month.weeks for day in week if day}
    assert [str(day) for day, what in days.items() if what.quiet] == [
        "2028-01-30", "2028-01-31", "2028-02-01", "2028-02-02",
    ]  # fmt: skip
    assert (days[date(2028, 2, 1)].kind, days[date(2028, 2, 1)].name) == ("holiday", "春节")
    assert days[date(2028, 2, 5)].kind == "makeup"
    assert days[MONDAY].kind == ""


def test_days_off_that_follow_each_other_are_one_holiday_with_the_nearest_work() -> None:
    found = festivals_of(
        [
            _day("2028-01-01", name="元旦"),
            _day("2028-01-22", "makeup", ""),
            _day("2028-01-25"),
            _day("2028-01-26"),
            _day("2028-02-05", "makeup", ""),
            _day("2028-05-01"),
        ]
    )
    assert [(one.name, str(one.first), one.days) for one in found] == [
        ("元旦", "2028-01-01", 1), ("春节", "2028-01-25", 2), ("春节", "2028-05-01", 1),
    ]  # fmt: skip
    assert [[str(day) for day in one.makeup] for one in found] == [
        [], ["2028-01-22", "2028-02-05"], [],
    ]  # fmt: skip
    assert festivals_of([_day("2028-02-05", "makeup", "")]) == []


def test_a_version_has_what_it_changed_of_the_one_before() -> None:
    lines = ({"a": "2", "c": "9"}, {"a": "1", "b": "5", "c": "9"}, {"c": "9"})
    now = datetime(2027, 1, 12, tzinfo=UTC)
    found = with_differences(SetVersion(at=now, by=None, reason="r", lines=said) for said in lines)
    told = [[(d.label, d.before, d.after) for d in one.differences] for one in found]
    assert told == [
        [("a", "1", "2"), ("b", "5", "")],
        [("a", "", "1"), ("b", "", "5")],
        [("c", "", "9")],
    ]


class _Typed(Desk):
    """A desk at which only a form was typed."""

    def __init__(self, text: str) -> None:
        self.form = MultiDictProxy(MultiDict({"hours": text}))


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("08:00-20:00", [("08:00", "20:00")]),
        ("8:00–11:30，14:30—19:00", [("08:00", "11:30"), ("14:30", "19:00")]),
        ("8：00至11：30、14:30到19:00；", [("08:00", "11:30"), ("14:30", "19:00")]),
        ("18:00 - 24:00", [("18:00", "24:00")]),
    ],
)
def test_spans_are_read_as_people_write_them(text: str, spans: list[tuple[str, str]]) -> None:
    assert spans_of(_Typed(text), "hours") == spans
    assert spans_of(_Typed(spans_text(spans)), "hours") == spans


@pytest.mark.parametrize("text", ["", "8-20", "08:00", "08:00-20:00 mostly", "08:00-11:30-14:00"])
def test_what_is_no_list_of_spans_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        spans_of(_Typed(text), "hours")
    assert "hours" in refused.value.fields


def test_no_span_may_be_left_out_where_one_is_needed() -> None:
    assert spans_of(_Typed(" "), "hours", needed=False) == []
