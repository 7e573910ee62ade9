"""The days of a recurrence rule, and what of RFC 5545 is refused."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from service.campaigns.calendar.recurrence import RecurrenceError, parse

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
ordinals = st.sampled_from(["1", "2", "3", "4", "5", "-1", "-2", "-5"])


def _joined(values: list[str]) -> str:
    return ",".join(values)


plain_days = st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(_joined)
# dateutil leaves out plain days beside numbered ones, so they are not mixed here.
month_weekdays = plain_days | st.lists(
    st.tuples(ordinals, st.sampled_from(WEEKDAYS)).map("".join), min_size=1, unique=True
).map(_joined)
month_days = st.lists(
    st.integers(-31, 31).filter(bool).map(str), min_size=1, max_size=4, unique=True
).map(_joined)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}"]
    kinds = ["", "BYDAY"] + ["BYMONTHDAY"] * (frequency == "MONTHLY")
    match draw(st.sampled_from(kinds)):
        case "BYDAY":
            days = draw(month_weekdays if frequency == "MONTHLY" else plain_days)
            parts.append(f"BYDAY={days}")
        case "BYMONTHDAY":
            parts.append(f"BYMONTHDAY={draw(month_days)}")
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 30))}")
    return ";".join(parts)


@given(rules(), st.dates(date(2024, 1, 1), date(2028, 12, 31)))
def test_the_days_are_those_of_dateutil(rule: str, start: date) -> None:
    until = start + timedelta(days=700)
    ours = list(itertools.takewhile(lambda day: day <= until, parse(rule).days(start)))
    theirs = rrulestr(rule, dtstart=datetime.combine(start, datetime.min.time()))
    end = datetime.combine(until, datetime.min.time())
    expected = list(itertools.takewhile(lambda day: day <= end, theirs))
    assert ours == [day.date() for day in expected]


def test_only_days_that_are_kept_are_counted() -> None:
    odd = parse("FREQ=DAILY;COUNT=3").days(date(2027, 1, 1), lambda day: day.day % 2 == 1)
    assert [day.day for day in odd] == [1, 3, 5]


def test_plain_days_beside_numbered_ones_all_count() -> None:
    days = parse("FREQ=MONTHLY;BYDAY=MO,1TU;COUNT=5").days(date(2027, 1, 1))
    assert [day.day for day in days] == [4, 5, 11, 18, 25]


def test_a_rule_that_never_falls_on_a_day_ends() -> None:
    assert list(parse("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31").days(date(2027, 2, 1))) == []


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        ("20270331", datetime(2027, 3, 31, 15, 59, 59, tzinfo=UTC)),
        ("20270331T120000", datetime(2027, 3, 31, 4, 0, tzinfo=UTC)),
        ("20270331T120000Z", datetime(2027, 3, 31, 12, 0, tzinfo=UTC)),
    ],
)
def test_until_is_a_day_or_an_instant(until: str, ends: datetime) -> None:
    rule = parse(f"FREQ=DAILY;UNTIL={until}")
    assert rule.ends_at(ZoneInfo("Asia/Shanghai")) == ends


def test_a_rule_may_be_written_as_in_a_calendar_file() -> None:
    assert parse(" rrule:freq=weekly;byday=fr,mo; ") == parse("FREQ=WEEKLY;BYDAY=FR,MO")


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("", "FREQ=WEEKLY"),
        ("WEEKLY", "FREQ=WEEKLY"),
        ("INTERVAL=2", "FREQ"),
        ("FREQ=HOURLY", "FREQ"),
        ("FREQ=YEARLY", "FREQ"),
        ("FREQ=DAILY;BYHOUR=9,15", "BYHOUR"),
        ("FREQ=MONTHLY;BYSETPOS=1;BYDAY=MO", "BYSETPOS"),
        ("FREQ=DAILY;BYMONTH=1", "BYMONTH"),
        ("FREQ=DAILY;X-WORKDAYS=1", "X-WORKDAYS"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=²", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=9999999999999", "INTERVAL"),
        ("FREQ=DAILY;COUNT=-1", "COUNT"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270331", "COUNT"),
        ("FREQ=DAILY;UNTIL=2027-03-31", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20270231", "UNTIL"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=1;BYDAY=MO", "BYDAY"),
        ("FREQ=WEEKLY;WKST=SU", "WKST"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_name(rule: str, named: str) -> None:
    with pytest.raises(RecurrenceError, match=named):
        parse(rule)
