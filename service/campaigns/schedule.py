"""When a campaign fires and at which hours its texts may leave (pure; every instant is given).

Send hours are times of day in the plan's own time zone, [["08:00", "20:00"]]; the end is outside,
and "24:00" is the end of the day.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.errors import Invalid

Hours = Sequence[Sequence[str]]

DEFAULT_HOURS = (("08:00", "20:00"),)
DEFAULT_TIMEZONE = "Asia/Shanghai"
DEFAULT_VALIDITY_MINUTES = 48 * 60
LATE = timedelta(minutes=15)
"""A fire that comes later than this follows the plan's `late` policy."""

_MINUTE = timedelta(minutes=1)
_SEARCH_DAYS = 4


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a campaign fires, and what limits its texts afterwards.

    start_at: for kind `once`.
    late: what to do when the fire comes too late: run it all the same, hold it for a person, skip.
    validity_minutes: how long a text may still be delivered, from the fire or the first send hour
        after it.
    """

    kind: Literal["now", "once", "recurring"] = "now"
    start_at: datetime | None = None
    timezone: str = DEFAULT_TIMEZONE
    send_hours: tuple[tuple[str, str], ...] = DEFAULT_HOURS
    late: Literal["run", "hold", "skip"] = "run"
    validity_minutes: int = DEFAULT_VALIDITY_MINUTES

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the send hours."""
        return ZoneInfo(self.timezone)

    def as_json(self) -> dict[str, Any]:
        """The schedule as stored, and as bound by an approval."""
        start = self.start_at.astimezone(UTC).isoformat() if self.start_at else None
        return asdict(self) | {"start_at": start, "send_hours": [list(h) for h in self.send_hours]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Schedule":
        """The inverse of `as_json`."""
        start = stored["start_at"]
        hours = tuple((start_text, end_text) for start_text, end_text in stored["send_hours"])
        return cls(
            **stored
            | {
                "start_at": datetime.fromisoformat(start) if start else None,
                "send_hours": hours,
            }
        )


def check(schedule: Schedule) -> None:
    """Refuse a schedule that cannot be followed.

    Raises:
        Invalid: names each field that is wrong.
    """
    problems = dict(_problems(schedule))
    if problems:
        raise Invalid(
            "the schedule is wrong: " + "; ".join(problems.values()),
            fields={f"schedule.{field}": problem for field, problem in problems.items()},
        )


def _problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    if schedule.kind == "recurring":
        yield "kind", "recurring schedules are not available yet; use once"
    if schedule.kind == "once" and schedule.start_at is None:
        yield "start_at", "once needs the instant of the fire"
    if schedule.kind == "now" and schedule.start_at is not None:
        yield "start_at", "now has no instant of its own; use once"
    try:
        _ = schedule.zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "timezone", "there is no such time zone; write it like Asia/Shanghai"
    yield from _hour_problems(schedule.send_hours)


def _hour_problems(hours: Hours) -> Iterator[tuple[str, str]]:
    if not hours:
        yield "send_hours", "at least one span of hours is needed"
    try:
        spans = sorted((_minutes(start), _minutes(end)) for start, end in hours)
    except ValueError:
        yield "send_hours", 'write spans of hours like [["08:00", "20:00"]]'
        return
    if any(start >= end for start, end in spans):
        yield "send_hours", "each span must end after it starts, on the same day"
    if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)):
        yield "send_hours", "the spans must not overlap"


def first_fire(schedule: Schedule, now: datetime) -> datetime:
    """When a campaign that is approved now fires first."""
    return now if schedule.start_at is None else schedule.start_at


def validity_end(schedule: Schedule, fire_at: datetime) -> datetime:
    """After which instant a text of this fire is of no use any more."""
    opening = next_opening(fire_at, schedule.send_hours, schedule.zone)
    return opening + timedelta(minutes=schedule.validity_minutes)


def is_open(now: datetime, hours: Hours, zone: tzinfo) -> bool:
    """Whether texts may leave now."""
    local = now.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return any(_minutes(start) <= minute < _minutes(end) for start, end in hours)


def next_opening(now: datetime, hours: Hours, zone: tzinfo) -> datetime:
    """The first instant from now on at which texts may leave; `now` itself if they may now."""
    if is_open(now, hours, zone):
        return now
    instants = (i for i in _openings(now, hours, zone) if i > now and is_open(i, hours, zone))
    return min(instants)


def times_of_day(now: datetime, hours: Hours, zone: tzinfo) -> Iterator[datetime]:
    """The instants of today and tomorrow at which spans begin or end, some of them past."""
    today = now.astimezone(zone).date()
    for days in range(2):
        for text in itertools.chain.from_iterable(hours):
            midnight = datetime.combine(today + timedelta(days=days), time(), zone)
            yield (midnight + timedelta(minutes=_minutes(text))).astimezone(UTC)


def _openings(now: datetime, hours: Hours, zone: tzinfo) -> Iterator[datetime]:
    """Where spans may begin in the coming days, in no order, some of them imaginary."""
    today = now.astimezone(zone).date()
    for days in range(_SEARCH_DAYS):
        for start, _ in hours:
            minutes = _minutes(start)
            local = datetime.combine(
                today + timedelta(days=days), time(minutes // 60, minutes % 60), zone
            )
            yield from _instants(local)


def _instants(local: datetime) -> Iterator[datetime]:
    """The instants of a local time: one, two when clocks go back, or all of a gap's minutes."""
    first, second = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    yield second
    while first < second:
        yield first
        first += _MINUTE


def _minutes(text: str) -> int:
    """Minutes since midnight of a time of day such as 08:00.

    Raises:
        ValueError: not a time of day.
    """
    if text == "24:00":
        return 24 * 60
    if len(text) != 5 or text[2] != ":":
        raise ValueError(text)
    parsed = time.fromisoformat(text)
    return parsed.hour * 60 + parsed.minute
