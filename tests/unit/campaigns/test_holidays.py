"""Which days are holidays, working days and quiet days."""

import itertools
from datetime import date, timedelta

import pytest

from service.campaigns.calendar.holidays import (
    COMPUTED_UNTIL,
    CalendarChanges,
    Holidays,
    Notice,
    Quiet,
    check_changes,
)
from service.errors import Invalid

CALENDAR = Holidays()


@pytest.mark.parametrize(
    ("day", "kind", "name", "official"),
    [
        ("2025-01-28", "holiday", "春节", True),
        ("2025-02-08", "makeup", "", True),
        ("2026-01-04", "makeup", "", True),
        ("2026-02-14", "makeup", "", True),
        ("2026-02-15", "holiday", "春节", True),
        ("2026-02-23", "holiday", "春节", True),
        ("2026-02-24", "workday", "", True),
        ("2026-12-31", "workday", "", True),
        ("2027-01-01", "holiday", "元旦", False),
        ("2027-02-04", "workday", "", False),
        ("2027-02-05", "holiday", "春节", False),
        ("2027-02-06", "holiday", "春节", False),
        ("2027-02-08", "holiday", "春节", False),
        ("2027-02-09", "workday", "", False),
        ("2027-04-05", "holiday", "清明节", False),
        ("2027-05-02", "holiday", "劳动节", False),
        ("2027-06-09", "holiday", "端午节", False),
        ("2027-09-15", "holiday", "中秋节", False),
        ("2027-10-03", "holiday", "国庆节", False),
        ("2027-10-09", "weekend", "", False),
        ("2031-01-23", "holiday", "春节", False),
        ("2060-10-01", "holiday", "国庆节", False),
    ],
)
def test_days(day: str, kind: str, name: str, official: bool) -> None:
    found = CALENDAR.day(date.fromisoformat(day))
    assert (found.kind, found.name, found.official) == (kind, name, official)


def test_each_years_shipped_days_off_are_those_of_its_notice() -> None:
    """The totals that the notices themselves give: 28 days in 2025, 33 in 2026."""
    for year, days_off, makeup in ((2025, 28, 5), (2026, 33, 6)):
        days = [date(year, 1, 1) + timedelta(n) for n in range(365)]
        kinds: list[str] = [CALENDAR.day(day).kind for day in days]
        assert (kinds.count("holiday"), kinds.count("makeup")) == (days_off, makeup)


def test_the_computed_new_years_are_new_moons_apart() -> None:
    """Lunar years have 12 or 13 months of 29 or 30 days; they begin from 21 January to 20
    February.
    """
    firsts = [
        next(
            q.first
            for n in range(31 + 28)
            for q in CALENDAR.quiet_on(date(year, 1, 1) + timedelta(n))
            if q.name == "春节初一"
        )
        for year in range(2025, COMPUTED_UNTIL + 1)
    ]
    assert all((1, 21) <= (day.month, day.day) <= (2, 20) for day in firsts)
    lengths = {(b - a).days for a, b in itertools.pairwise(firsts)}
    assert lengths <= {353, 354, 355, 383, 384, 385}
    assert firsts[2] == date(2027, 2, 6)


def test_the_eve_is_quiet_for_publicity_and_its_evening_for_notices_too() -> None:
    quiet = {q.name: q for q in CALENDAR.quiet_on(date(2027, 2, 5))}
    assert (quiet["除夕"].classes, quiet["除夕"].binding) == (("public_interest",), False)
    evening = quiet["除夕夜"]
    assert evening.hours == (("18:00", "24:00"),)
    assert (evening.classes, evening.binding) == (("public_interest", "service"), True)
    assert [q.name for q in CALENDAR.quiet_on(date(2027, 2, 6))] == ["春节初一"]
    assert list(CALENDAR.quiet_on(date(2027, 2, 7))) == []


NOTICE = Notice(
    2027,
    "国办发明电〔2026〕1号",
    {date(2027, 2, 5) + timedelta(n): "春节" for n in range(8)},
    frozenset({date(2027, 1, 31), date(2027, 2, 20)}),
)


def test_an_imported_notice_makes_its_year_official() -> None:
    assert CALENDAR.official_until == date(2026, 12, 31)
    assert CALENDAR.source(2027) is None
    calendar = Holidays(CalendarChanges().with_notice(NOTICE))
    assert calendar.official_until == date(2027, 12, 31)
    assert calendar.source(2027) == NOTICE.source
    assert calendar.is_workday(date(2027, 2, 20))
    assert not calendar.is_workday(date(2027, 2, 12))
    assert calendar.day(date(2027, 5, 1)).kind == "weekend"  # the notice says nothing of it
    again = Holidays(CalendarChanges((NOTICE,)).with_notice(NOTICE))
    assert again.changes.notices == (NOTICE,)


def test_a_gap_before_a_notice_is_not_official() -> None:
    later = Notice(2028, "s", {date(2028, 1, 1): "元旦"}, frozenset())
    assert Holidays(CalendarChanges((later,))).official_until == date(2026, 12, 31)


def test_changes_survive_storage() -> None:
    changes = CalendarChanges(
        (NOTICE,), (Quiet("中考", date(2027, 6, 14), date(2027, 6, 16)),), ("高考",)
    )
    assert CalendarChanges.from_json(changes.as_json()) == changes


DAY = date(2027, 6, 14)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (CalendarChanges((NOTICE, NOTICE)), "notices"),
        (CalendarChanges((Notice(2027, "s", {date(2028, 1, 1): "元旦"}, frozenset()),)), "notices"),
        (
            CalendarChanges(
                (Notice(2027, "s", {date(2027, 1, 2): "元旦"}, frozenset({date(2027, 1, 2)})),)
            ),
            "notices",
        ),
        (CalendarChanges((Notice(2027, "s", {}, frozenset({date(2027, 1, 4)})),)), "notices"),
        (CalendarChanges(quiet=(Quiet("x", DAY, DAY - timedelta(1)),)), "quiet"),
        (CalendarChanges(quiet=(Quiet("x", DAY, DAY + timedelta(400)),)), "quiet"),
        (CalendarChanges(without=("中秋",)), "without"),
    ],
)
def test_changes_that_contradict_themselves_are_refused(
    changes: CalendarChanges, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        check_changes(changes)
    assert field in caught.value.fields
