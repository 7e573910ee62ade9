"""Deadlines: every row of the worked example, holidays that move, and whatever calendars bring."""

import itertools
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.campaigns.calendar.holidays import CalendarChanges, Holidays, Notice
from service.clock import CHINA
from service.duties.deadline import (
    DueRule,
    DueShift,
    DutyPeriod,
    PeriodKind,
    Remind,
    check_rule,
    deadline,
    period_after,
    period_at,
    periods_between,
    reminders,
    workday_after,
)
from service.errors import Invalid

FRIDAY = DueRule(PeriodKind.WEEK, time(16), DueShift.PREVIOUS_WORKDAY, weekday=5)
SHIPPED = Holidays()


def week(name: str) -> DutyPeriod:
    year, number = name.split("-W")
    return period_at(FRIDAY, date.fromisocalendar(int(year), int(number), 3))


@pytest.mark.parametrize(
    ("name", "due", "holiday_week", "official"),
    [
        ("2026-W18", "2026-04-30", False, True),  # 1 May
        ("2026-W25", "2026-06-18", False, True),  # 端午
        ("2026-W39", "2026-09-24", False, True),  # 中秋
        ("2026-W40", "2026-09-30", False, True),  # 国庆
        ("2026-W41", "2026-10-09", False, True),
        ("2026-W08", "2026-02-24", True, True),  # all of it 春节
        ("2026-W53", "2026-12-31", False, True),  # 1 January 2027, off by law whatever comes
        ("2027-W05", "2027-02-04", False, False),  # 除夕 by law; the day before may change
        ("2027-W03", "2027-01-22", False, False),  # a plain Friday of a year not announced
        ("2026-W10", "2026-03-06", False, True),
    ],
)
def test_a_friday_at_four_is_due_on_the_last_working_day_of_its_week(
    name: str, due: str, holiday_week: bool, official: bool
) -> None:
    found = deadline(FRIDAY, week(name), SHIPPED)
    assert found.at == datetime.combine(date.fromisoformat(due), time(16), CHINA)
    assert (found.holiday_week, found.official) == (holiday_week, official)
    assert found.on == week(name).first + timedelta(days=4)
    assert found.shifted == (found.on.isoformat() != due)


def test_saturday_the_fourteenth_is_another_period_than_the_week_of_the_spring_festival() -> None:
    assert SHIPPED.is_workday(date(2026, 2, 14)), "it makes up for the holidays"
    assert week("2026-W08").first == date(2026, 2, 16)


def test_reminders_of_the_week_of_the_national_day() -> None:
    at = deadline(FRIDAY, week("2026-W40"), SHIPPED).at
    found = reminders(at, list(Remind), SHIPPED)
    assert found == {
        Remind.WORKDAY_BEFORE: datetime(2026, 9, 29, 16, tzinfo=CHINA),
        Remind.TWO_HOURS_BEFORE: datetime(2026, 9, 30, 14, tzinfo=CHINA),
    }


def test_the_working_day_before_a_monday_is_a_friday_or_a_working_weekend() -> None:
    monday = datetime(2026, 3, 9, 9, tzinfo=CHINA)
    found = reminders(monday, [Remind.WORKDAY_BEFORE], SHIPPED)
    assert found == {Remind.WORKDAY_BEFORE: datetime(2026, 3, 6, 9, tzinfo=CHINA)}
    after_makeup = datetime(2026, 9, 21, 9, tzinfo=CHINA)
    found = reminders(after_makeup, [Remind.WORKDAY_BEFORE], SHIPPED)
    assert found == {Remind.WORKDAY_BEFORE: datetime(2026, 9, 20, 9, tzinfo=CHINA)}


@pytest.mark.parametrize(
    ("shift", "due"),
    [
        (DueShift.PREVIOUS_WORKDAY, "2026-04-30"),
        (DueShift.NEXT_WORKDAY, "2026-05-06"),
        (DueShift.NONE, "2026-05-01"),
    ],
)
def test_where_the_first_of_may_goes(shift: DueShift, due: str) -> None:
    found = deadline(FRIDAY._replace(shift=shift), week("2026-W18"), SHIPPED)
    assert found.at.date().isoformat() == due
    assert not found.holiday_week


def test_a_weekend_that_makes_up_is_a_working_day() -> None:
    saturday = FRIDAY._replace(weekday=6)
    assert deadline(saturday, week("2026-W07"), SHIPPED).at.date() == date(2026, 2, 14)
    assert deadline(saturday, week("2026-W10"), SHIPPED).at.date() == date(2026, 3, 6)


@pytest.mark.parametrize(
    ("month", "day", "due"),
    [("2026-01", 27, "2026-01-27"), ("2026-02", 31, "2026-02-28"), ("2026-06", 28, "2026-06-26")],
)
def test_a_day_of_a_month_is_its_last_one_at_the_latest(month: str, day: int, due: str) -> None:
    rule = DueRule(PeriodKind.MONTH, time(17), DueShift.PREVIOUS_WORKDAY, day=day)
    period = period_at(rule, date.fromisoformat(f"{month}-10"))
    assert period.key == month
    assert deadline(rule, period, SHIPPED).at.date().isoformat() == due


def test_what_is_owed_once_has_one_period() -> None:
    on, first = date(2026, 5, 1), date(2026, 4, 20)
    rule = DueRule(PeriodKind.ONCE, time(18), DueShift.PREVIOUS_WORKDAY, on=on, first=first)
    period = period_at(rule, date(2026, 4, 22))
    assert (period.key, period.first, period.last) == ("2026-05-01", first, on)
    assert period_after(rule, period) is None
    assert deadline(rule, period, SHIPPED).at.date() == date(2026, 4, 30)
    late = rule._replace(first=on)
    found = deadline(late, period_at(late, on), SHIPPED)
    assert found.at.date() == date(2026, 5, 6), "there is no working day from its first day on"


def test_a_later_notice_moves_a_deadline() -> None:
    assert deadline(FRIDAY, week("2027-W05"), SHIPPED).at.date() == date(2027, 2, 4)
    days = {date(2027, 2, day): "春节" for day in range(4, 12)}
    notice = Notice(2027, "国办发明电〔2026〕9号", days, frozenset({date(2027, 1, 30)}))
    announced = Holidays(CalendarChanges().with_notice(notice))
    found = deadline(FRIDAY, week("2027-W05"), announced)
    assert (found.at.date(), found.official) == (date(2027, 2, 3), True)


@pytest.mark.parametrize(
    "rule",
    [
        FRIDAY._replace(weekday=None),
        FRIDAY._replace(day=3),
        FRIDAY._replace(period=PeriodKind.MONTH),
        FRIDAY._replace(period=PeriodKind.ONCE),
    ],
)
def test_a_rule_names_the_day_that_its_period_has(rule: DueRule) -> None:
    with pytest.raises(Invalid, match="is due on a") as refused:
        check_rule(rule)
    assert list(refused.value.fields) == ["due"]


DAYS = st.dates(date(2025, 1, 1), date(2040, 12, 31))


@given(DAYS, st.integers(1, 7), st.integers(1, 31), st.sampled_from(DueShift), st.booleans())
def test_a_deadline_lies_in_its_period_or_says_why_not(
    day: date, weekday: int, of_month: int, shift: DueShift, weekly: bool
) -> None:
    rule = DueRule(PeriodKind.MONTH, time(16), shift, day=of_month)
    if weekly:
        rule = DueRule(PeriodKind.WEEK, time(16), shift, weekday=weekday)
    period = period_at(rule, day)
    found = deadline(rule, period, SHIPPED)
    due = found.at.date()
    assert period.first <= day <= period.last
    assert period.first <= found.on <= period.last
    if shift is not DueShift.NONE:
        assert SHIPPED.is_workday(due)
    if shift is DueShift.PREVIOUS_WORKDAY and not found.holiday_week:
        assert period.first <= due <= found.on
        between = [due + timedelta(days=n) for n in range(1, (found.on - due).days + 1)]
        assert not any(map(SHIPPED.is_workday, between)), "the last one before it"
    if found.holiday_week:
        before = [period.first + timedelta(days=n) for n in range((found.on - period.first).days)]
        assert not any(map(SHIPPED.is_workday, before))
        assert due == workday_after(found.on, SHIPPED)
    after = period_after(rule, period)
    assert after is not None
    assert after.first == period.last + timedelta(days=1)
    assert deadline(rule, after, SHIPPED).at >= found.at


@given(DAYS, st.integers(0, 400))
def test_periods_leave_no_day_out(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    found = list(periods_between(FRIDAY, first, last))
    assert found[0].first <= first <= found[0].last
    assert found[-1].first <= last
    assert all(
        after.first == before.last + timedelta(days=1)
        for before, after in itertools.pairwise(found)
    )
