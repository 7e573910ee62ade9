"""At which hours texts may leave: by class, by audience, on quiet days, within the plan's hours."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.campaigns.calendar.hours import (
    HORIZON,
    ClassHours,
    County,
    HourRules,
    HourTerms,
    audience_of,
    check_rules,
)
from service.campaigns.calendar.schedule import DEFAULT_HOURS
from service.errors import Invalid

SHANGHAI = ZoneInfo("Asia/Shanghai")
COUNTY = County()
ALWAYS = (("00:00", "24:00"),)
MINUTE = timedelta(minutes=1)


def _at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


PUBLICITY = HourTerms(ALWAYS, SHANGHAI, "public_interest")
SERVICE = replace(PUBLICITY, message_class="service")
WARNING = replace(PUBLICITY, message_class="warning", hours=DEFAULT_HOURS)
BEYOND = replace(PUBLICITY, beyond=True)
ELDERLY = replace(PUBLICITY, audience="elderly")
PARENTS = replace(PUBLICITY, audience="parents")
NARROW = replace(PUBLICITY, hours=(("09:00", "11:30"), ("14:30", "19:00")))
ON_QUIET = replace(PUBLICITY, on_quiet_days=True)
TUESDAY, EVE, FIRST = "2027-01-12", "2027-02-05", "2027-02-06"


@pytest.mark.parametrize(
    ("terms", "day", "opens"),
    [
        (PUBLICITY, TUESDAY, "08:00-20:00"),
        (SERVICE, TUESDAY, "08:00-21:30"),
        (WARNING, TUESDAY, "00:00-24:00"),
        (BEYOND, TUESDAY, "08:00-21:30"),
        (ELDERLY, TUESDAY, "09:00-18:00"),
        (PARENTS, TUESDAY, "17:00-19:30"),
        (replace(PARENTS, beyond=True), TUESDAY, "08:00-21:30"),
        (replace(ELDERLY, message_class="service"), TUESDAY, "09:00-18:00"),
        (replace(ELDERLY, message_class="warning"), TUESDAY, "00:00-24:00"),
        (NARROW, TUESDAY, "09:00-11:30 14:30-19:00"),
        (replace(NARROW, audience="elderly"), TUESDAY, "09:00-11:30 14:30-18:00"),
        (PUBLICITY, EVE, ""),
        (PUBLICITY, FIRST, ""),
        (ON_QUIET, EVE, "08:00-18:00"),  # the evening is binding
        (ON_QUIET, FIRST, "08:00-20:00"),
        (SERVICE, EVE, "08:00-18:00"),
        (SERVICE, FIRST, "08:00-21:30"),
        (WARNING, EVE, "00:00-24:00"),
        (PUBLICITY, "2027-06-07", ""),
        # The plan's hours are in its own zone, those of the county are not.
        (replace(PUBLICITY, zone=ZoneInfo("UTC"), hours=DEFAULT_HOURS), TUESDAY, "16:00-20:00"),
    ],
)
def test_the_hours_of_a_day(terms: HourTerms, day: str, opens: str) -> None:
    minutes = [_at(day) + n * MINUTE for n in range(24 * 60)]
    are_open = [COUNTY.is_open(minute, terms) for minute in minutes]
    edges = [
        n
        for n in range(24 * 60 + 1)
        if ([False, *are_open, False][n : n + 2])[0] != ([False, *are_open, False][n : n + 2])[1]
    ]
    shown = [f"{n // 60:02}:{n % 60:02}" for n in edges]
    pairs = zip(shown[::2], shown[1::2], strict=True)
    assert " ".join(f"{start}-{end}" for start, end in pairs) == opens
    if terms.zone.key != "UTC":
        told = COUNTY.open_on(date.fromisoformat(day), terms)
        assert " ".join(f"{start}-{end}" for start, end in told) == opens


def test_the_last_instant_is_outside() -> None:
    assert COUNTY.is_open(_at("2027-01-12T19:59:59.999999"), PUBLICITY)
    assert not COUNTY.is_open(_at("2027-01-12T20:00"), PUBLICITY)


@pytest.mark.parametrize(
    ("terms", "now", "opening"),
    [
        (PUBLICITY, "2027-02-04T20:00", "2027-02-07T08:00"),
        (SERVICE, "2027-02-05T18:00", "2027-02-06T08:00"),
        (ON_QUIET, "2027-02-05T18:00", "2027-02-06T08:00"),
        (ELDERLY, "2027-02-04T18:30", "2027-02-07T09:00"),
        (PARENTS, "2027-01-12T08:00", "2027-01-12T17:00"),
        (WARNING, "2027-02-05T23:00", "2027-02-05T23:00"),
    ],
)
def test_the_next_opening(terms: HourTerms, now: str, opening: str) -> None:
    assert COUNTY.next_opening(_at(now), terms) == _at(opening)


def test_hours_that_never_come_are_looked_for_again_later() -> None:
    for terms in (replace(PUBLICITY, hours=(("21:00", "23:00"),)), replace(PUBLICITY, hours=())):
        assert (
            COUNTY.next_opening(_at("2027-01-12T09:00"), terms) == _at("2027-01-12T09:00") + HORIZON
        )


times = st.integers(0, 24 * 60 - 1)
zones = st.sampled_from([SHANGHAI, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")])


@settings(max_examples=60)
@given(
    day=st.dates(date(2027, 1, 30), date(2027, 2, 10)) | st.just(date(2027, 3, 28)),
    minute=times,
    span=st.tuples(times, times).filter(lambda pair: pair[0] < pair[1]),
    zone=zones,
    base=st.sampled_from([PUBLICITY, SERVICE, ELDERLY, ON_QUIET]),
)
def test_the_next_opening_is_the_first_open_minute(
    day: date, minute: int, span: tuple[int, int], zone: ZoneInfo, base: HourTerms
) -> None:
    now = _at(day.isoformat()) + minute * MINUTE
    (start, end) = (f"{n // 60:02}:{n % 60:02}" for n in span)
    terms = replace(base, hours=((start, end),), zone=zone)
    opening = COUNTY.next_opening(now, terms)
    looked = now
    while not COUNTY.is_open(looked, terms) and looked - now < timedelta(days=4):
        looked += MINUTE
    if COUNTY.is_open(looked, terms):
        assert opening == looked
    else:
        assert opening > looked


@pytest.mark.parametrize(
    ("rule", "audience"),
    [
        ("身份 = 老年人", "elderly"),
        ("role in (elderly)", "elderly"),
        ("age >= 60 and gender = f", "elderly"),
        ("年龄 >= 65 且 身份 = 家长", "elderly"),
        ("age >= 59", None),
        ("age < 60", None),
        ("role = parent and carrier = mobile", "parents"),
        ("role = parent or role = finance", None),
        ("not role = parent", None),
        ("role in (parent, teacher)", None),
        ("carrier = mobile", None),
    ],
)
def test_whose_hours_apply_follows_from_the_rule(rule: str, audience: str | None) -> None:
    assert audience_of(rule) == audience


DEFAULTS = HourRules()
SPAN = (("08:00", "20:00"),)


def _with_class(
    allowed: tuple[tuple[str, str], ...], limit: tuple[tuple[str, str], ...]
) -> HourRules:
    return HourRules(
        {**DEFAULTS.classes, "service": ClassHours(allowed, limit)}, DEFAULTS.audiences
    )


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        (
            HourRules({"service": DEFAULTS.classes["service"]}, {}),
            "classes",
        ),  # publicity at any hour
        (_with_class((("07:00", "20:00"),), SPAN), "classes.service.allowed"),
        (_with_class((), SPAN), "classes.service.allowed"),
        (_with_class(SPAN, (("08:00", "25:00"),)), "classes.service.limit"),
        # The night is nobody's to open.
        (_with_class(SPAN, (("08:00", "24:00"),)), "classes.service.limit"),
        (_with_class(SPAN, (("06:59", "22:00"),)), "classes.service.limit"),
        (_with_class(SPAN, (("08:00", "21:00"), ("22:00", "22:01"))), "classes.service.limit"),
        (HourRules(DEFAULTS.classes, {"elderly": (("21:00", "22:00"),)}), "audiences.elderly"),
        (HourRules(DEFAULTS.classes, {"elderly": (("22:00", "21:00"),)}), "audiences.elderly"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules: HourRules, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_rules(rules)
    assert field in caught.value.fields


def test_rules_survive_storage() -> None:
    check_rules(DEFAULTS)
    check_rules(_with_class((("07:00", "20:00"),), (("07:00", "22:00"),)))
    assert HourRules.from_json(DEFAULTS.as_json()) == DEFAULTS
