"""When a campaign fires and at which hours its texts may leave."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.campaigns.calendar.fires import next_fire
from service.campaigns.calendar.hours import County, is_open, next_opening
from service.campaigns.calendar.schedule import Schedule, check, validity_end
from service.errors import Invalid

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
DAY = (("08:00", "20:00"),)
MINUTE = timedelta(minutes=1)


def _at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        ("2027-01-12T07:59:59.999999", False),
        ("2027-01-12T08:00", True),
        ("2027-01-12T19:59:59.999999", True),
        ("2027-01-12T20:00", False),
    ],
)
def test_the_end_of_a_span_is_outside(at: str, opened: bool) -> None:
    assert is_open(_at(at), DAY, SHANGHAI) is opened


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2027-01-12T06:00", "2027-01-12T08:00"),
        ("2027-01-12T09:30:01", "2027-01-12T09:30:01"),
        ("2027-01-12T20:00", "2027-01-13T08:00"),
        ("2027-01-12T23:59:59", "2027-01-13T08:00"),
    ],
)
def test_the_next_opening(now: str, opening: str) -> None:
    assert next_opening(_at(now), DAY, SHANGHAI) == _at(opening)


def test_hours_may_last_to_midnight_and_have_gaps() -> None:
    hours = (("09:00", "11:30"), ("14:30", "24:00"))
    assert is_open(_at("2027-01-12T23:59:59"), hours, SHANGHAI)
    assert next_opening(_at("2027-01-12T11:30"), hours, SHANGHAI) == _at("2027-01-12T14:30")
    assert next_opening(_at("2027-01-13T00:00"), hours, SHANGHAI) == _at("2027-01-13T09:00")


times = st.integers(0, 24 * 60 - 1)
spans = st.tuples(times, times).filter(lambda pair: pair[0] < pair[1])


def _text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@given(
    start=st.sampled_from(
        ["2026-03-28T20:00", "2026-10-24T20:00", "2027-01-12T00:00"]  # clocks change in Berlin
    ),
    minutes=st.integers(0, 12 * 60),
    span=spans,
    zone=st.sampled_from([SHANGHAI, BERLIN]),
)
@example("2026-03-28T20:00", 0, (150, 300), BERLIN)  # opens within the hour that is left out
@example("2026-03-28T20:00", 0, (130, 140), BERLIN)  # lies within the hour that is left out
@example("2026-10-24T20:00", 310, (150, 170), BERLIN)  # opens a second time
def test_the_next_opening_is_the_first_open_minute(
    start: str, minutes: int, span: tuple[int, int], zone: ZoneInfo
) -> None:
    now = _at(start) + minutes * MINUTE
    hours = ((_text(span[0]), _text(span[1])),)
    minute = now
    while not is_open(minute, hours, zone):
        minute += MINUTE
    assert next_opening(now, hours, zone) == minute


def test_validity_begins_with_the_first_send_hour() -> None:
    schedule = Schedule(validity_minutes=60)
    terms = schedule.terms("public_interest")
    for fired, end in [
        ("2027-01-12T09:00", "2027-01-12T10:00"),
        ("2027-01-12T21:00", "2027-01-13T09:00"),
        ("2027-02-05T10:00", "2027-02-07T09:00"),  # the eve of the Spring Festival
    ]:
        assert validity_end(schedule, terms, County(), _at(fired)) == _at(end)


def test_when_it_fires_first() -> None:
    now, start = _at("2027-01-12T09:00"), _at("2027-02-01T09:00")
    for plan, at in [(Schedule(), now), (Schedule("once", start), start)]:
        fire = next_fire(plan, plan.terms("public_interest"), County(), now)
        assert fire is not None
        assert fire.at == at


def test_a_schedule_survives_storage() -> None:
    schedule = Schedule(
        "once",
        _at("2027-02-01T09:00"),
        send_hours=(("09:00", "11:30"), ("14:30", "24:00")),
        late="hold",
        validity_minutes=90,
    )
    assert Schedule.from_json(schedule.as_json()) == schedule
    assert Schedule.from_json(Schedule().as_json()) == Schedule()
    assert "roles" not in Schedule().as_json()
    joining = Schedule("joining", roles=("finance", "owner"), until=_at("2027-02-01T09:00"))
    assert Schedule.from_json(joining.as_json()) == joining
    check(joining)


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        (Schedule("recurring"), "start_at"),
        (Schedule("recurring", _at("2027-02-01T09:00")), "rrule"),
        (Schedule("once"), "start_at"),
        (Schedule("now", _at("2027-02-01T09:00")), "start_at"),
        (Schedule("joining"), "roles"),
        (Schedule("joining", roles=("finance", "boss")), "roles"),
        (Schedule("joining", _at("2027-02-01T09:00"), roles=("finance",)), "start_at"),
        (Schedule("joining", roles=("finance",), late="skip"), "late"),
        (Schedule("joining", roles=("finance",), rrule="FREQ=DAILY"), "rrule"),
        (Schedule(roles=("finance",)), "roles"),
        (Schedule(until=_at("2027-02-01T09:00")), "until"),
        (Schedule(timezone="Mars/Olympus"), "timezone"),
        (Schedule(timezone="../etc/passwd"), "timezone"),
        (Schedule(timezone="Asia"), "timezone"),
        (Schedule(send_hours=()), "send_hours"),
        (Schedule(send_hours=(("20:00", "08:00"),)), "send_hours"),
        (Schedule(send_hours=(("08:00", "08:00"),)), "send_hours"),
        (Schedule(send_hours=(("8:00", "20:00"),)), "send_hours"),
        (Schedule(send_hours=(("T0800", "20:00"),)), "send_hours"),
        (Schedule(send_hours=(("08:00", "25:00"),)), "send_hours"),
        (Schedule(send_hours=(("08:00", "12:00"), ("11:00", "20:00"))), "send_hours"),
    ],
)
def test_what_cannot_be_followed_is_refused(schedule: Schedule, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(schedule)
    assert f"schedule.{field}" in caught.value.fields


def test_a_plain_schedule_is_fine() -> None:
    check(Schedule())
    check(Schedule(send_hours=(("00:00", "24:00"),)))
    check(Schedule(send_hours=(("08:00", "12:00"), ("12:00", "20:00"))))


def test_a_plan_that_says_its_hours_is_not_kept_to_those_of_its_audience() -> None:
    assert Schedule().terms("public_interest", "role = parent").audience == "parents"
    assert Schedule(own_hours=True).terms("public_interest", "role = parent").audience is None
