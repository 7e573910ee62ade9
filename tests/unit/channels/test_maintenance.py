"""The hours in which a channel rests, and the days and months of its quotas, by Beijing's clock."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from service.channels.contract.maintenance import (
    check_maintenance,
    day_of,
    maintenance_end,
    maintenance_start,
    month_of,
    next_day,
    next_month,
)
from service.errors import Invalid

BEIJING = ZoneInfo("Asia/Shanghai")


def at(text: str, day: int = 12) -> datetime:
    hour, minute = map(int, text.split(":"))
    return datetime(2027, 1, day, hour, minute, tzinfo=BEIJING).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (at("22:59"), None),
        (at("23:00"), at("01:00", 13)),
        (at("00:00"), at("01:00")),
        (at("00:59"), at("01:00")),
        (at("01:00"), None),
        (at("12:29"), None),
        (at("12:30"), at("13:30")),
        (at("13:15"), at("13:30")),  # two spans that touch are one
        (at("13:30"), None),
    ],
)
def test_when_it_ends(now: datetime, end: datetime | None) -> None:
    hours = (("23:00", "01:00"), ("12:30", "13:00"), ("13:00", "13:30"))
    assert maintenance_end(now, hours) == end


def test_the_end_of_the_day_has_two_names() -> None:
    for end in ("24:00", "00:00"):
        assert maintenance_end(at("23:30"), (("23:00", end),)) == at("00:00", 13)
        assert maintenance_end(at("00:00"), (("23:00", end),)) is None


def test_when_it_begins_next() -> None:
    hours = (("23:00", "01:00"), ("12:30", "13:00"))
    assert maintenance_start(at("08:00"), hours) == at("12:30")
    assert maintenance_start(at("12:30"), hours) == at("23:00")
    assert maintenance_start(at("23:00"), hours) == at("12:30", 13)
    assert maintenance_start(at("08:00"), ()) is None


@pytest.mark.parametrize(
    "hours",
    [
        [("8:00", "09:00")],
        [("08:00", "25:00")],
        [("08:00", "08:00")],
        [("00:00", "24:00")],
        [("08:00", "20:00"), ("19:00", "08:00")],
        [("24:00", "12:00"), ("12:00", "24:00")],
    ],
)
def test_hours_that_cannot_be_followed_are_refused(hours: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid) as refused:
        check_maintenance(hours)
    assert list(refused.value.fields) == ["maintenance"]


def test_hours_that_leave_a_minute_are_taken() -> None:
    check_maintenance([("08:00", "20:00"), ("20:01", "08:00")])
    check_maintenance([])


def test_days_and_months_are_beijings() -> None:
    late = datetime(2027, 1, 31, 15, 59, tzinfo=UTC)  # 23:59 there
    early = datetime(2027, 1, 31, 16, 0, tzinfo=UTC)  # the first of February
    assert (day_of(late), month_of(late)) == (date(2027, 1, 31), date(2027, 1, 1))
    assert (day_of(early), month_of(early)) == (date(2027, 2, 1), date(2027, 2, 1))
    assert next_day(late) == next_month(late) == early
    assert next_month(datetime(2027, 12, 5, tzinfo=UTC)) == datetime(2028, 1, 1, tzinfo=BEIJING)
