"""Which day a festival is, and on which days a plan around it fires."""

from datetime import date, datetime, time
from typing import Literal

import pytest

from service.campaigns.calendar.fires import fires
from service.campaigns.calendar.holidays import CalendarChanges, Holidays, check_changes
from service.campaigns.calendar.hours import County
from service.campaigns.calendar.schedule import Schedule, check
from service.campaigns.county.festivals import (
    FESTIVALS,
    PRESETS,
    find_festival,
    find_preset,
    list_festivals_of,
    period_around,
    schedule_around,
)
from service.clock import CHINA
from service.errors import Invalid
from service.messages.template import fills, load_library

CALENDAR = Holidays()
ENTERED = CalendarChanges(school_days=(("spring_term", date(2027, 2, 25)),))


@pytest.mark.parametrize(
    ("name", "year", "day", "basis"),
    [
        ("spring_festival", 2027, "2027-02-06", "lunar"),
        ("spring_festival", 2031, "2031-01-23", "lunar"),
        ("lantern_festival", 2027, "2027-02-20", "lunar"),
        ("qingming", 2027, "2027-04-05", "solar_term"),
        ("dragon_boat", 2026, "2026-06-19", "lunar"),
        ("mid_autumn", 2027, "2027-09-15", "lunar"),
        ("national_day", 2060, "2060-10-01", "fixed"),
        ("winter_holiday", 2027, "2027-01-23", "custom"),
        ("spring_term", 2027, "2027-02-21", "custom"),
        ("autumn_term", 2027, "2027-09-01", "custom"),
    ],
)
def test_the_day_of_a_festival(name: str, year: int, day: str, basis: str) -> None:
    found = find_festival(name, year, CALENDAR)
    assert (found.day, found.basis) == (date.fromisoformat(day), basis)


def test_a_day_of_school_is_the_one_that_was_entered_for_its_year() -> None:
    calendar = Holidays(CalendarChanges.from_json(ENTERED.as_json()))
    found = find_festival("spring_term", 2027, calendar)
    assert (found.day, found.basis) == (date(2027, 2, 25), "entered")
    assert find_festival("spring_term", 2028, calendar).basis == "custom"
    twice = CalendarChanges(school_days=(*ENTERED.school_days, ("spring_term", date(2027, 3, 1))))
    with pytest.raises(Invalid, match="one date a year"):
        check_changes(twice)


@pytest.mark.parametrize(("name", "year"), [("easter", 2027), ("spring_festival", 2051)])
def test_what_is_not_known_is_refused(name: str, year: int) -> None:
    with pytest.raises(Invalid, match="known"):
        find_festival(name, year, CALENDAR)


def test_every_year_has_its_festivals_in_order_as_far_as_they_are_known() -> None:
    known = list_festivals_of(2027, CALENDAR)
    assert {festival.name for festival in known} == set(FESTIVALS)
    assert [f.day for f in known] == sorted(f.day for f in known)
    beyond = {festival.name for festival in list_festivals_of(2051, CALENDAR)}
    assert "spring_festival" not in beyond
    assert {"new_year", "autumn_term"} <= beyond


def _around(name: str, days: list[int], quiet_days: Literal["keep", "send"] = "keep") -> list[str]:
    festival = find_festival(name, 2027, CALENDAR)
    plan = schedule_around(festival, days, time(9, 30), CHINA, quiet_days)
    check(plan)
    assert Schedule.from_json(plan.as_json()) == plan
    found = fires(plan, plan.terms("public_interest"), County())
    return [f"{fire.at.astimezone(CHINA):%m-%d %H:%M}" for fire in found if not fire.skipped]


@pytest.mark.parametrize(
    ("name", "days", "quiet_days", "expected"),
    [
        ("spring_festival", [-20, -6, 8], "keep", ["01-17 09:30", "01-31 09:30", "02-14 09:30"]),
        ("spring_festival", [8, -20, 8], "keep", ["01-17 09:30", "02-14 09:30"]),
        # No publicity on the eve and the first day, unless the plan says so.
        ("spring_festival", [-1], "keep", ["02-07 09:30"]),
        ("spring_festival", [0], "keep", ["02-07 09:30"]),
        ("spring_festival", [-1], "send", ["02-05 09:30"]),
        # Both would move to the same day: one of them is left out.
        ("spring_festival", [-1, 0, 3], "keep", ["02-07 09:30", "02-09 09:30"]),
        ("national_day", [-3, 100], "keep", ["09-28 09:30", "01-09 09:30"]),
    ],
)
def test_days_around_a_festival(
    name: str, days: list[int], quiet_days: Literal["keep", "send"], expected: list[str]
) -> None:
    assert _around(name, days, quiet_days) == expected


def test_the_plan_for_returnees_is_three_texts_from_twenty_days_before_to_fifteen_after() -> None:
    preset = find_preset("returnees")
    festival = find_festival(preset.festival, 2027, CALENDAR)
    start, end = period_around(festival, preset.first, preset.last, CHINA)
    assert (start, end) == (
        datetime(2027, 1, 17, tzinfo=CHINA),
        datetime(2027, 2, 22, tzinfo=CHINA),
    )
    assert len(preset.days) == 3


def test_a_preset_stays_within_its_days_and_has_a_shipped_topic_for_each_text() -> None:
    shipped = {kind for starter in load_library() for kind in starter.fraud_types}
    for preset in PRESETS:
        assert preset.festival in FESTIVALS
        assert all(preset.first <= day <= preset.last for day in preset.days)
        assert len(preset.topics) == len(preset.days)
        assert set(preset.topics) <= shipped
        assert len(preset.texts) == len(preset.days)
    with pytest.raises(Invalid, match="known are returnees"):
        find_preset("nothing")


def test_each_text_of_a_preset_has_a_second_wording() -> None:
    """That warns of the same, is filled as it is, and is no other preset's first text."""
    library = {starter.id: starter for starter in load_library()}
    for preset in PRESETS:
        for topic, (first, second) in zip(preset.topics, preset.texts, strict=True):
            assert topic in library[first].fraud_types
            assert topic in library[second].fraud_types
            assert library[second].rewords == first
            assert library[first].text != library[second].text
            assert not {None, "plan"} & set(fills(library[second].text).values())
    firsts = {first for preset in PRESETS for first, _ in preset.texts}
    assert not firsts & {second for preset in PRESETS for _, second in preset.texts}


START = datetime(2027, 1, 10, 1, tzinfo=CHINA)  # the 9th in UTC


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (Schedule("recurring", START, dates=(date(2027, 1, 9),)), "dates"),
        (Schedule("recurring", START, dates=(date(2027, 2, 2), date(2027, 2, 1))), "dates"),
        (Schedule("recurring", START, dates=(date(2027, 2, 2),), rrule="FREQ=DAILY"), "dates"),
        (
            Schedule("recurring", START, dates=(date(2027, 2, 2),), timezone="Mars/Olympus"),
            "timezone",
        ),
        (Schedule("once", START, dates=(date(2027, 2, 2),)), "dates"),
        (Schedule("recurring", START), "rrule"),
    ],
)
def test_dates_that_make_no_sense_are_refused(plan: Schedule, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(plan)
    assert f"schedule.{field}" in (refused.value.fields or {})
