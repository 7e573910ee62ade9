"""When plans fire from 2026 to 2027, through holidays that are official and such as are computed.

Official: 2026, with working Saturdays and Sundays. Computed: 2027, whose Spring Festival is 6
February; its eve, the 5th, and the day itself are quiet.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypedDict
from zoneinfo import ZoneInfo

import pytest

from service.campaigns.calendar.fires import (
    SUPERSEDED,
    Fire,
    calendar_instant,
    candidates,
    fires,
    next_fire,
    turn_at,
    upcoming,
)
from service.campaigns.calendar.holidays import CalendarChanges, Holidays, Quiet
from service.campaigns.calendar.hours import County
from service.campaigns.calendar.schedule import Schedule, check

SHANGHAI = ZoneInfo("Asia/Shanghai")
COUNTY = County()


def _at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


class Terms(TypedDict, total=False):
    """What a plan says besides its rule."""

    start: str
    until: datetime | None
    days: Literal["all", "workdays"]
    holidays: Literal["send", "skip", "next_workday", "previous_workday"]
    quiet_days: Literal["keep", "send"]


def _plan(
    rrule: str,
    start: str = "2027-01-10T09:00",
    *,
    until: datetime | None = None,
    days: Literal["all", "workdays"] = "all",
    holidays: Literal["send", "skip", "next_workday", "previous_workday"] = "send",
    quiet_days: Literal["keep", "send"] = "keep",
) -> Schedule:
    plan = Schedule(
        "recurring",
        _at(start),
        rrule=rrule,
        until=until,
        days=days,
        holidays=holidays,
        quiet_days=quiet_days,
    )
    check(plan)
    return plan


def _fires(
    plan: Schedule, county: County = COUNTY, message_class: str = "public_interest"
) -> list[Fire]:
    return list(fires(plan, plan.terms(message_class), county))


def _shown(found: list[Fire], zone: ZoneInfo = SHANGHAI) -> list[str]:
    """Days on which it fires; a day in brackets is left out, one after > is where it moved."""
    shown = []
    for fire in found:
        planned, at = (f"{t.astimezone(zone):%m-%d}" for t in (fire.planned_at, fire.at))
        shown.append(f"({planned})" if fire.skipped else planned + f">{at}" * (planned != at))
    return shown


SPRING = "01-10 to 03-31"
UNTIL: Terms = {"until": _at("2027-03-31T23:59")}
FRIDAYS = "01-15 01-22 01-29 {} 02-12 02-19 02-26 03-05 03-12 03-19 03-26"


@pytest.mark.parametrize(
    ("rrule", "more", "expected"),
    [
        # The county's weekly broadcast: the eve moves to the first day that is not quiet.
        ("FREQ=WEEKLY;BYDAY=FR", {}, FRIDAYS.format("02-05>02-07")),
        ("FREQ=WEEKLY;BYDAY=FR", {"quiet_days": "send"}, FRIDAYS.format("02-05")),
        ("FREQ=WEEKLY;BYDAY=FR", {"holidays": "skip"}, FRIDAYS.format("(02-05)")),
        ("FREQ=WEEKLY;BYDAY=FR", {"holidays": "previous_workday"}, FRIDAYS.format("02-05>02-04")),
        ("FREQ=WEEKLY;BYDAY=FR", {"holidays": "next_workday"}, FRIDAYS.format("02-05>02-09")),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA",
            {},
            "01-23 02-06>02-07 02-20 03-06 03-20",  # weeks begin on Monday
        ),
        # What would move to another fire of the plan, or past it, is left out.
        (
            "FREQ=DAILY;UNTIL=20270209",
            {"start": "2027-02-03T09:00", "until": None},
            "02-03 02-04 (02-05) (02-06) 02-07 02-08 02-09",
        ),
        (
            "FREQ=WEEKLY;BYDAY=FR,SA,SU;UNTIL=20270214",
            {"start": "2027-02-03T09:00", "until": None},
            "(02-05) (02-06) 02-07 02-12 02-13 02-14",
        ),
        (
            "FREQ=DAILY;COUNT=5",
            {"start": "2027-02-03T09:00", "until": None, "days": "workdays"},
            "02-03 02-04 02-09 02-10 02-11",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=31", {}, "01-31 03-31"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", {}, "01-31 02-28 03-31"),
        ("FREQ=MONTHLY;BYDAY=1FR", {}, "02-05>02-07 03-05"),
        ("FREQ=MONTHLY;BYMONTHDAY=6", {"holidays": "previous_workday"}, "02-06>02-04 03-06"),
        ("FREQ=WEEKLY;COUNT=2", {"until": None}, "01-10 01-17"),
    ],
)
def test_through_the_spring_festival_of_2027(rrule: str, more: Terms, expected: str) -> None:
    plan = _plan(rrule, **(UNTIL | more))
    assert _shown(_fires(plan)) == expected.split()
    times = {f"{fire.at.astimezone(SHANGHAI):%H:%M}" for fire in _fires(plan)}
    assert times == {"09:00"}


def test_workdays_of_a_year_are_those_of_the_notice() -> None:
    """2026 has 248 working days: 261 weekdays, less 19 that are off, and 6 at weekends."""
    plan = _plan("FREQ=DAILY;UNTIL=20261231", "2026-01-01T09:00", days="workdays")
    days = {fire.at.astimezone(SHANGHAI).date() for fire in _fires(plan)}
    weekdays = {d for n in range(365) if (d := date(2026, 1, 1) + timedelta(n)).weekday() < 5}
    makeup = [(1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10)]
    assert days - weekdays == {date(2026, month, day) for month, day in makeup}
    assert len(weekdays - days) == 19
    assert {date(2026, 2, 16), date(2026, 6, 19), date(2026, 10, 7)} <= weekdays - days


def test_a_report_on_friday_at_four_moves_to_the_working_day_before() -> None:
    plan = _plan(
        "FREQ=WEEKLY;BYDAY=FR;UNTIL=20261231", "2026-09-18T16:00", holidays="previous_workday"
    )
    found = _shown(_fires(plan, message_class="service"))
    assert found[:4] == ["09-18", "09-25>09-24", "10-02>09-30", "10-09"]


def test_days_of_an_exam_are_quiet_and_the_county_may_add_and_drop_some() -> None:
    plan = _plan("FREQ=WEEKLY;BYDAY=MO;COUNT=3", "2027-06-07T09:00")
    assert _shown(_fires(plan)) == ["06-07>06-09", "06-14", "06-21"]
    local = Quiet("中考", date(2027, 6, 14), date(2027, 6, 16))
    county = County(holidays=Holidays(CalendarChanges(quiet=(local,), without=("高考",))))
    assert _shown(_fires(plan, county)) == ["06-07", "06-14>06-17", "06-21"]
    binding = _plan("FREQ=WEEKLY;BYDAY=MO;COUNT=3", "2027-06-07T09:00", quiet_days="send")
    assert _shown(_fires(binding, county)) == ["06-07", "06-14>06-17", "06-21"]


def test_warnings_and_notices_know_no_quiet_days() -> None:
    plan = _plan("FREQ=WEEKLY;BYDAY=FR", **UNTIL)
    for message_class in ("warning", "service"):
        found = _shown(_fires(plan, message_class=message_class))
        assert found == FRIDAYS.format("02-05").split()


def test_what_moves_or_is_left_out_says_why() -> None:
    plan = _plan("FREQ=DAILY;COUNT=3", "2027-02-05T09:00")
    eve, first, _ = _fires(plan)
    why = "moved from 2027-02-05, a quiet day (除夕、除夕夜)"
    assert eve.note == f"{why}; another fire of the plan comes first"
    assert "春节初一" in first.note
    skipped = _fires(_plan("FREQ=DAILY;COUNT=1", "2027-05-01T09:00", holidays="skip"))
    assert skipped[0].note == "2027-05-01 is a public holiday (劳动节)"


def test_the_next_five() -> None:
    plan = _plan("FREQ=WEEKLY;BYDAY=FR,SA")
    found = upcoming(plan, plan.terms("public_interest"), COUNTY, _at("2027-01-29T09:00"), 5)
    assert _shown(found) == ["01-30", "(02-05)", "02-06>02-07", "02-12", "02-13", "02-19"]


def test_clocks_that_change_leave_the_local_time() -> None:
    """A time that is left out is taken by the offset before; one that comes twice, the first."""
    berlin = ZoneInfo("Europe/Berlin")
    plan = Schedule(
        "recurring",
        _at("2027-03-27T02:30", berlin),
        "Europe/Berlin",
        rrule="FREQ=DAILY;COUNT=3",
    )
    found = [f.at for f in _fires(plan, message_class="warning")]
    assert [f"{at:%d %H:%M}" for at in found] == ["27 01:30", "28 01:30", "29 00:30"]
    autumn = Schedule(
        "recurring", _at("2027-10-30T02:30", berlin), "Europe/Berlin", rrule="FREQ=DAILY;COUNT=3"
    )
    found = [f.at for f in _fires(autumn, message_class="warning")]
    assert [f"{at:%d %H:%M}" for at in found] == ["30 00:30", "31 00:30", "01 01:30"]


def _turn(plan: Schedule, since: str, after: str | None, now: str) -> tuple[list[str], str, str]:
    terms = plan.terms("public_interest")
    ahead = candidates(plan, terms, COUNTY, _at(since), _at(after) if after else None)
    passed, fire, following = turn_at(ahead, _at(now))
    assert all(f.note for f in passed)
    day = [f"{f.at.astimezone(SHANGHAI):%m-%d}" if f else "" for f in (fire, following)]
    return [f"{f.planned_at.astimezone(SHANGHAI):%m-%d}" for f in passed], day[0], day[1]


@pytest.mark.parametrize(
    ("after", "now", "passed", "fire", "following"),
    [
        (None, "2027-01-10T08:59", [], "", "01-10"),
        (None, "2027-01-10T09:00", [], "01-10", "01-11"),
        ("2027-01-10T09:00", "2027-01-10T09:01", [], "", "01-11"),
        ("2027-01-10T09:00", "2027-01-09T00:00", [], "", "01-11"),  # the clock went back
        ("2027-01-10T09:00", "2027-01-13T10:00", ["01-11", "01-12"], "01-13", "01-14"),
        # What the calendar leaves out is dealt with by the next that takes place.
        ("2027-02-04T09:00", "2027-02-06T12:00", [], "", "02-07"),
        ("2027-02-04T09:00", "2027-02-07T09:00", ["02-05", "02-06"], "02-07", "02-08"),
        (
            "2027-02-02T09:00",
            "2027-02-08T09:00",
            ["02-03", "02-04", "02-05", "02-06", "02-07"],
            "02-08",
            "02-09",
        ),
    ],
)
def test_what_is_due(
    after: str | None, now: str, passed: list[str], fire: str, following: str
) -> None:
    plan = _plan("FREQ=DAILY")
    got, due, then = _turn(plan, "2027-01-09T12:00", after, now)
    assert (sorted(got), due, then) == (passed, fire, following)


def test_what_passed_says_that_a_later_one_took_its_place() -> None:
    plan = _plan("FREQ=DAILY")
    ahead = candidates(plan, plan.terms("warning"), COUNTY, _at("2027-01-09T12:00"), None)
    assert [f.note for f in turn_at(ahead, _at("2027-01-12T09:00")).passed] == [SUPERSEDED] * 2


def test_nothing_fires_that_lay_before_the_approval() -> None:
    plan = _plan("FREQ=WEEKLY")
    terms = plan.terms("public_interest")
    fire = next_fire(plan, terms, COUNTY, _at("2027-01-24T09:00"))
    assert fire is not None
    assert fire.at == _at("2027-01-31T09:00")
    ended = _plan("FREQ=WEEKLY;COUNT=2")
    assert next_fire(ended, terms, COUNTY, _at("2027-01-24T09:00")) is None


def test_a_planned_instant_is_where_the_calendar_has_moved_it() -> None:
    """A fire that was moved over a quiet day is not late by the days that it was moved."""
    plan = _plan("FREQ=WEEKLY;BYDAY=FR")
    terms = plan.terms("public_interest")
    for planned, at in (("02-05", "02-07"), ("02-12", "02-12"), ("02-13", "02-13")):
        found = calendar_instant(plan, terms, COUNTY, _at(f"2027-{planned}T09:00"))
        assert found == _at(f"2027-{at}T09:00")
    for once in (Schedule(), Schedule("once", _at("2027-02-05T09:00"))):
        asked = _at("2027-02-05T09:00")
        assert calendar_instant(once, terms, COUNTY, asked) == asked
