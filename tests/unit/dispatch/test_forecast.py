"""How long what waits will still wait: shares, hours, maintenance, quotas, holds."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.campaigns.calendar.hours import County, HourTerms
from service.dispatch.fair_queue import Flow
from service.dispatch.forecast.forecast import ForecastChannel, Load, forecast, rates_of

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)  # 09:30 in Beijing
BEIJING = ZoneInfo("Asia/Shanghai")
ALWAYS = (("00:00", "24:00"),)
DAY = (("08:00", "20:00"),)


def load(parts: float, priority: int = 1, department: int = 1, **more: Any) -> Load:
    opens = more.pop("opens", None)
    spans = tuple((start, end) for start, end in (ALWAYS if opens is None else opens))
    hours = HourTerms(spans, BEIJING, "of no class of the county's")
    values = {"weight": 10, "hours": hours, "county": County(), **more}
    return Load(Flow(priority, uuid.UUID(int=department)), parts=parts, **values)


def waits(channel: ForecastChannel, *loads: Load) -> list[float | None]:
    found = forecast(channel, loads, NOW)
    return [None if (wait := found[x]) is None else wait.total_seconds() for x in loads]


def at(hour: int, minute: int = 0, day: int = 12) -> float:
    """Seconds from now to a time of day in Beijing."""
    return (datetime(2027, 1, day, hour, minute, tzinfo=BEIJING) - NOW).total_seconds()


def about(*seconds: float) -> object:
    return pytest.approx(list(seconds), abs=0.1)


def test_alone_it_takes_its_parts_at_the_channels_pace() -> None:
    assert waits(ForecastChannel(100), load(1_000)) == about(10)
    assert waits(ForecastChannel(100), load(0)) == about(0)


def test_departments_share_and_the_rest_goes_to_who_is_left() -> None:
    small, huge = load(100, department=1), load(1_000, department=2)
    assert waits(ForecastChannel(100), small, huge) == about(2, 11)
    heavy = load(100, department=3, weight=30)
    assert waits(ForecastChannel(100), heavy, load(1_000, department=2)) == about(100 / 75, 11)


def test_runs_of_one_department_share_its_share() -> None:
    one, two, other = load(50), load(50), load(1_000, department=2)
    assert waits(ForecastChannel(100), one, two, other) == about(2, 2, 11)


def test_what_is_urgent_leaves_all_others_their_floor() -> None:
    assert waits(ForecastChannel(100), load(950, priority=0), load(100, priority=2)) == about(
        10, 10.5
    )
    assert rates_of(100, [a := load(1, 0), b := load(1, 1), c := load(1, 2)]) == {a: 90, b: 5, c: 5}


def test_what_a_slow_campaign_cannot_use_the_others_have() -> None:
    slow, fast = load(100, max_tps=5), load(950, department=2)
    assert waits(ForecastChannel(100), slow, fast) == about(20, 10)


def test_outside_its_hours_nothing_leaves() -> None:
    evening = [["10:00", "10:01"]]
    assert waits(ForecastChannel(1), load(70, opens=evening)) == about(at(10, 0, 13) + 10)
    assert waits(ForecastChannel(1), load(60, opens=evening)) == about(at(10, 1))
    assert waits(ForecastChannel(10), load(10, opens=[["00:00", "09:00"]])) == about(
        at(0, 0, 13) + 1
    )


def test_what_waits_for_a_time_leaves_then() -> None:
    later = NOW + timedelta(minutes=5)
    assert waits(ForecastChannel(10), load(10, not_before=later), load(100, department=2)) == about(
        301, 10
    )


def test_past_its_validity_it_waits_no_more() -> None:
    assert waits(ForecastChannel(1), load(1_000, until=NOW + timedelta(seconds=60))) == about(60)


def test_maintenance_and_holds_are_waited_out() -> None:
    channel = ForecastChannel(10, maintenance=(("09:00", "10:00"), ("10:01", "10:02")))
    assert waits(channel, load(601)) == about(at(10, 2) + 0.1)
    assert waits(ForecastChannel(10, held_until=NOW + timedelta(minutes=5)), load(10)) == about(301)


def test_a_quota_makes_it_days() -> None:
    channel = ForecastChannel(10, daily_quota=100, free={"day": 50})
    assert waits(channel, load(250)) == about(at(0, 0, 14) + 10)
    channel = ForecastChannel(10, monthly_quota=100, free={"month": 0})
    assert waits(channel, load(10)) == about(at(0, 0, 31) + 24 * 3600 + 1)


def test_what_takes_months_nobody_foretells() -> None:
    assert waits(ForecastChannel(10, daily_quota=1, free={"day": 1}), load(1_000)) == [None]
    assert waits(ForecastChannel(10), load(10, opens=[])) == [None]
