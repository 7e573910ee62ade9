"""What a plan says of its time, and whether that can be followed (pure; every instant is given).

`fires` says when it fires by that, `hours` when its texts may leave.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.audience.vocabulary.roles import ROLES
from service.campaigns.calendar.hours import County, HourTerms, audience_of, hour_problems
from service.campaigns.calendar.recurrence import RecurrenceError, parse
from service.clock import CHINA
from service.errors import Invalid
from service.words.phrase import listing, phrase, sentence_of

DEFAULT_HOURS = (("08:00", "20:00"),)
DEFAULT_TIMEZONE = CHINA.key
DEFAULT_VALIDITY_MINUTES = 48 * 60
MOST_DATES = 366
ScheduleKind = Literal["now", "once", "recurring", "joining"]
LatePolicy = Literal["run", "hold", "skip"]
"""What becomes of a fire that is late: it is sent all the same, waits for a person, or is left out.
"""

LATE_AFTER = timedelta(minutes=15)
"""A fire that comes later than this follows the plan's `late` policy."""

_ADDED: dict[str, object] = {
    "roles": (),
    "rrule": None,
    "dates": (),
    "until": None,
    "days": "all",
    "holidays": "send",
    "quiet_days": "keep",
    "beyond_hours": False,
    "own_hours": False,
    "hold_following": False,
}
"""Fields that came later, with what they mean where they are absent: a stored schedule has them
only if they differ, so that what was approved without them keeps its hash."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a campaign fires, and what limits its texts afterwards.

    start_at: for kinds `once` and `recurring`; its time of day is that of all fires.
    late: what to do when the fire comes too late: run it all the same, hold it for a person, skip.
    validity_minutes: how long a text may still be delivered, from the fire or the first send hour
        after it.
    rrule: for `recurring`, see `recurrence`. dates: for `recurring`, in place of a rule: the days.
    until: for `recurring` and `joining`, the last instant of a fire.
    roles: for `joining`: it fires for whoever newly has one of these, see `joining`.
    days: `workdays` lets it fire on working days of the Chinese calendar only.
    holidays: what becomes of a fire on a public holiday: it is sent all the same, skipped, or moved
        to the next or the previous working day.
    quiet_days: `send` lets texts leave on quiet days that are not binding.
    beyond_hours: an administrator let it go beyond the hours allowed to its class, to their limit.
    own_hours: the plan says its hours itself, so those that suit an audience do not apply.
    hold_following: a fire that is held holds those after it, too.
    """

    kind: ScheduleKind = "now"
    start_at: datetime | None = None
    timezone: str = DEFAULT_TIMEZONE
    send_hours: tuple[tuple[str, str], ...] = DEFAULT_HOURS
    late: LatePolicy = "run"
    validity_minutes: int = DEFAULT_VALIDITY_MINUTES
    rrule: str | None = None
    until: datetime | None = None
    days: Literal["all", "workdays"] = "all"
    holidays: Literal["send", "skip", "next_workday", "previous_workday"] = "send"
    quiet_days: Literal["keep", "send"] = "keep"
    beyond_hours: bool = False
    own_hours: bool = False
    roles: tuple[str, ...] = ()
    dates: tuple[date, ...] = ()
    hold_following: bool = False

    @property
    def waits_as_one(self) -> bool:
        """Whether the whole plan waits while one of its fires is held."""
        return self.kind != "recurring" or self.hold_following

    @property
    def has_end(self) -> bool:
        """Whether its fires end some day by what it says."""
        if self.kind != "recurring":
            return self.kind != "joining"
        ends = any(f"{word}=" in (self.rrule or "") for word in ("COUNT", "UNTIL"))
        return ends or self.until is not None or bool(self.dates)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the fires and of the send hours."""
        return ZoneInfo(self.timezone)

    def terms(self, message_class: str, rule: str | None = None) -> HourTerms:
        """What it says of the hours, for texts of this class to those whom a rule means."""
        return HourTerms(
            self.send_hours,
            self.zone,
            message_class,
            audience_of(rule) if rule is not None and not self.own_hours else None,
            self.beyond_hours,
            self.quiet_days == "send",
        )

    def as_json(self) -> dict[str, Any]:
        """The schedule as stored, and as bound by an approval."""
        found = asdict(self) | {
            "start_at": _text(self.start_at),
            "until": _text(self.until),
            "send_hours": [list(h) for h in self.send_hours],
        }
        found |= {"roles": sorted(self.roles)} if self.roles else {}
        found |= {"dates": [day.isoformat() for day in self.dates]} if self.dates else {}
        return {
            name: value
            for name, value in found.items()
            if name not in _ADDED or value != _ADDED[name]
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Schedule":
        """The inverse of `as_json`."""
        hours = tuple((start_text, end_text) for start_text, end_text in stored["send_hours"])
        start, until = stored["start_at"], stored.get("until")
        return cls(
            **stored
            | {
                "start_at": datetime.fromisoformat(start) if start else None,
                "until": datetime.fromisoformat(until) if until else None,
                "send_hours": hours,
                "roles": tuple(stored.get("roles", ())),
                "dates": tuple(map(date.fromisoformat, stored.get("dates", ()))),
            }
        )


def _text(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat() if instant else None


def check(schedule: Schedule) -> None:
    """Refuse a schedule that cannot be followed.

    Raises:
        Invalid: names each field that is wrong.
    """
    problems = dict(_problems(schedule))
    if problems:
        raise Invalid(
            phrase("the schedule is wrong: {problems}", problems=listing(problems.values(), "; ")),
            fields={f"schedule.{field}": problem for field, problem in problems.items()},
        )


def _problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    if schedule.kind == "recurring":
        yield from _recurrence_problems(schedule)
    else:
        for field in ("rrule", "dates", "until", "days", "holidays"):
            if field == "until" and schedule.kind == "joining":
                continue
            if getattr(schedule, field) != _ADDED[field]:
                yield field, phrase("{field} belongs to recurring schedules", field=field)
    yield from _joining_problems(schedule)
    if schedule.hold_following and (schedule.kind, schedule.late) != ("recurring", "hold"):
        yield (
            "hold_following",
            phrase("hold_following belongs to recurring schedules with late: hold"),
        )
    if schedule.kind == "once" and schedule.start_at is None:
        yield "start_at", phrase("once needs the instant of the fire")
    if schedule.kind == "now" and schedule.start_at is not None:
        yield "start_at", phrase("now has no instant of its own; use once")
    yield from _zone_problems(schedule)
    for problem in hour_problems(schedule.send_hours):
        yield "send_hours", problem


def _zone_problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    try:
        _ = schedule.zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "timezone", phrase("there is no such time zone; write it like Asia/Shanghai")


def _joining_problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    if schedule.kind != "joining":
        if schedule.roles:
            yield "roles", phrase("roles belong to schedules of kind joining")
        return
    unknown = [role for role in schedule.roles if role not in ROLES]
    if unknown or not schedule.roles:
        yield (
            "roles",
            phrase("joining needs the roles it fires for, of {roles}", roles=listing(ROLES)),
        )
    if schedule.start_at is not None:
        yield (
            "start_at",
            phrase("joining looks from the approval on; a later begin is the plan's period"),
        )
    if schedule.late != "run":
        yield "late", phrase("joining has no instant that it could be late for; leave it at run")


def _recurrence_problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    if schedule.start_at is None:
        yield "start_at", phrase("recurring needs the instant from which on it fires")
    elif schedule.until is not None and schedule.until <= schedule.start_at:
        yield "until", phrase("until must be later than start_at")
    if schedule.dates:
        yield from _date_problems(schedule)
        return
    if not schedule.rrule:
        yield "rrule", phrase("recurring needs a rule, such as FREQ=WEEKLY;BYDAY=FR, or dates")
        return
    try:
        rule = parse(schedule.rrule)
    except RecurrenceError as error:
        yield "rrule", sentence_of(error)
        return
    if schedule.until is not None and (rule.count or rule.until):
        yield "until", phrase("the rule says itself when it ends; say it once")
    if schedule.days == "workdays" and (rule.frequency, rule.interval, rule.by_day) != (
        "DAILY",
        1,
        (),
    ):
        yield "days", phrase("workdays takes the rule FREQ=DAILY, without INTERVAL and BYDAY")


def _date_problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    if schedule.rrule or schedule.until is not None or schedule.days != "all":
        yield "dates", phrase("dates say all the days; leave out rrule, until and days")
    if list(schedule.dates) != sorted(set(schedule.dates)) or len(schedule.dates) > MOST_DATES:
        yield (
            "dates",
            phrase(
                "give each date once, in order, and at most {most_dates}", most_dates=MOST_DATES
            ),
        )
    elif (
        schedule.start_at is not None
        and not any(_zone_problems(schedule))
        and schedule.dates[0] < schedule.start_at.astimezone(schedule.zone).date()
    ):
        yield "dates", phrase("no date may lie before the day of start_at")


def validity_end(
    schedule: Schedule, terms: HourTerms, county: County, fire_at: datetime
) -> datetime:
    """After which instant a text of this fire is of no use any more."""
    return county.next_opening(fire_at, terms) + timedelta(minutes=schedule.validity_minutes)
