"""When a plan fires, by its rule, the holidays and the quiet days; and what is due (pure).

A fire keeps the instant that the rule gave it, `planned_at`, as its name: whatever moves it or
delays it, it comes once. One that would move to or past another fire of its plan is left out, so
that nobody gets two texts of a plan at once.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from service.campaigns.calendar.holidays import DayKind
from service.campaigns.calendar.hours import County, HourTerms
from service.campaigns.calendar.recurrence import parse
from service.campaigns.calendar.schedule import Schedule
from service.clock import CHINA
from service.words.phrase import listing, phrase

SUPERSEDED = "nothing could fire in time; a later fire took its place"
LOOK_EVERY = timedelta(minutes=10)
"""How often a plan for newcomers looks for them, within send hours."""
_DAY = timedelta(days=1)
_SEARCH_DAYS = 62


class Why(StrEnum):
    """Why a campaign or a fire does not go on by itself; `reports.interruptions` has the words."""

    LATE = "late"
    STOPPED = "stopped"
    PERIOD_OVER = "period_over"
    STILL_SENDS = "still_sends"
    NOT_APPROVED = "not_approved"
    DRIFTED = "drifted"
    EXCHANGED = "exchanged"
    NEVER_WORD = "never_word"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    CALENDAR = "calendar"
    PERSON = "person"
    PAUSED = "paused"
    HELD = "held"
    UNAPPROVED = "pending_approval"
    DRAFT = "draft"
    GUARD = "guard"
    RESTORED = "restored"
    EDITED = "edited"
    RETURNED = "returned"
    APPROVAL_EXPIRED = "approval_expired"


class Fire(NamedTuple):
    """One fire: the instant by the rule, the one by the calendar, and what there is to say.

    skipped: it does not take place. code: why, if it did not take place by itself in time: LATE of
    one that came late; of one that was held and released in time, what it was held for. others,
    people: of so many people, so many who were not in the target that was approved.
    """

    planned_at: datetime
    at: datetime
    note: str = ""
    skipped: bool = False
    code: str = ""
    others: int | None = None
    people: int | None = None


class Turn(NamedTuple):
    """What is due at an instant. passed: fires that do not take place any more, each with why.

    fire: the one that takes place now; following: the one to wait for; None: there is none.
    """

    passed: list[Fire]
    fire: Fire | None
    following: Fire | None


def fires(schedule: Schedule, terms: HourTerms, county: County) -> Iterator[Fire]:
    """All fires of a plan that says their instants, in order, skipped ones too."""
    return fires_since(schedule, terms, county, None)


def fires_since(
    schedule: Schedule, terms: HourTerms, county: County, since: datetime | None
) -> Iterator[Fire]:
    """The fires whose planned instants are not before one; None: all."""
    if schedule.start_at is None:
        return
    if schedule.kind != "recurring":
        yield Fire(schedule.start_at, schedule.start_at)
        return
    last = date.min
    within = (at for at in _planned(schedule, county) if since is None or at >= since)
    planned = itertools.chain(within, [None])
    for fire, following in itertools.pairwise(planned):
        if fire is None:
            return
        found = _moved(fire, schedule, terms, county)
        day = _local_day(found.at, schedule)
        beyond = following is not None and day >= _local_day(following, schedule)
        if not found.skipped and found.at != fire and (beyond or day <= last):
            note = phrase("{note}; another fire of the plan comes first", note=found.note)
            found = found._replace(at=fire, skipped=True, note=note, code=Why.CALENDAR)
        if not found.skipped:
            last = day
        yield found


def calendar_instant(
    schedule: Schedule, terms: HourTerms, county: County, planned_at: datetime
) -> datetime:
    """When the fire of a planned instant takes place by the calendar as it is now."""
    fire = next(fires_since(schedule, terms, county, planned_at), None)
    return fire.at if fire is not None and fire.planned_at == planned_at else planned_at


def upcoming(
    schedule: Schedule, terms: HourTerms, county: County, now: datetime, count: int
) -> list[Fire]:
    """The fires after now until `count` of them take place, with those left out among them."""
    return first_of((fire for fire in fires(schedule, terms, county) if fire.at > now), count)


def first_of(ahead: Iterable[Fire], count: int) -> list[Fire]:
    """Of fires in their order those until `count` of them take place."""
    found: list[Fire] = []
    taking_place = 0
    for fire in ahead:
        found.append(fire)
        taking_place += not fire.skipped
        if taking_place == count:
            break
    return found


def next_fire(schedule: Schedule, terms: HourTerms, county: County, now: datetime) -> Fire | None:
    """What a campaign waits for that is approved now; None: no fire is to come."""
    return turn_at(
        candidates(schedule, terms, county, now, None), datetime.min.replace(tzinfo=UTC)
    )[2]


def opens(schedule: Schedule, after: datetime, period_start: datetime | None) -> datetime:
    """The instant after which a plan's fires take place that may fire after one, within its period:
    a fire at the very start of the period is in it.
    """
    if period_start is None or period_start <= after:
        return after
    return period_start - datetime.resolution if schedule.kind == "recurring" else period_start


def candidates(
    schedule: Schedule,
    terms: HourTerms,
    county: County,
    since: datetime,
    after: datetime | None,
) -> Iterator[Fire]:
    """The fires of a plan that was approved at `since` which nobody has dealt with yet; `after` is
    the planned instant of the last that somebody has.
    """
    if schedule.kind == "joining":
        look = next_look(schedule, terms, county, since)
        return iter([] if look is None else [Fire(look, look)])
    if schedule.kind != "recurring":
        planned = schedule.start_at or since
        done = after is not None and after >= planned
        return iter([] if done else [Fire(planned, planned)])
    return (
        fire
        for fire in fires(schedule, terms, county)
        if fire.at > since and (after is None or fire.planned_at > after)
    )


def next_look(
    schedule: Schedule, terms: HourTerms, county: County, after: datetime
) -> datetime | None:
    """When a plan for newcomers looks next: at each ten minutes of the clock and whenever its hours
    open, for whom it finds is written to at once; None: not again.

    So nobody waits longer than from one opening to the next: 24 hours, but for quiet days.
    """
    at = county.next_opening(after + LOOK_EVERY - _past_a_look(after), terms)
    return at if schedule.until is None or at <= schedule.until else None


def _past_a_look(instant: datetime) -> timedelta:
    return (instant - datetime.min.replace(tzinfo=UTC)) % LOOK_EVERY


def turn_at(ahead: Iterable[Fire], now: datetime) -> Turn:
    """What a plan with these fires before it does now.

    Of several whose time has passed, the last takes place and stands for the others.
    """
    passed: list[Fire] = []
    left_out: list[Fire] = []
    due: Fire | None = None
    for fire in ahead:
        if fire.skipped:
            left_out.append(fire)
        elif fire.at > now:
            return Turn(passed, due, fire)
        else:
            if due is not None:
                passed.append(due._replace(note=SUPERSEDED, code=Why.SUPERSEDED))
            passed += left_out
            left_out, due = [], fire
    return Turn(passed + left_out, due, None)


def _planned(schedule: Schedule, county: County) -> Iterator[datetime]:
    """The instants that the rule or the dates give."""
    if schedule.start_at is None:
        return
    zone = schedule.zone
    start = schedule.start_at.astimezone(zone)
    rule = parse(schedule.rrule) if schedule.rrule else None
    ends = (schedule.until, rule.ends_at(zone) if rule else None)
    end = min((e for e in ends if e is not None), default=None)
    everyday = schedule.days == "all"
    days: Iterable[date] = schedule.dates
    if rule is not None:
        days = rule.days(start.date(), lambda d: everyday or county.holidays.is_workday(d))
    for day in days:
        # A time that clocks leave out is taken by the offset before the gap, as RFC 5545 says.
        instant = datetime.combine(day, start.time(), zone).astimezone(UTC)
        if end is not None and instant > end:
            return
        yield instant


def _moved(planned: datetime, schedule: Schedule, terms: HourTerms, county: County) -> Fire:
    """Where the calendar moves a fire."""
    fire = Fire(planned, planned)
    day = county.holidays.day(_local_day(planned, schedule))
    if day.kind is DayKind.HOLIDAY and schedule.holidays != "send":
        if schedule.holidays == "skip":
            note = phrase(
                "{date} is a public holiday ({day_name})", date=day.date, day_name=day.name
            )
            return fire._replace(note=note, skipped=True, code=Why.CALENDAR)
        step = _DAY if schedule.holidays == "next_workday" else -_DAY
        target = _first(day.date + step, step, county.holidays.is_workday)
        note = phrase(
            "moved from {date}, a public holiday ({day_name})", date=day.date, day_name=day.name
        )
        fire = fire._replace(at=_at(planned, target, schedule), note=note)
    return _off_quiet_days(fire, schedule, terms, county)


def _off_quiet_days(fire: Fire, schedule: Schedule, terms: HourTerms, county: County) -> Fire:
    day = _local_day(fire.at, schedule)
    names = county.quiet_names(fire.at.astimezone(CHINA).date(), terms)
    if not names:
        return fire

    def has_hours(other: date) -> bool:
        at = _at(fire.planned_at, other, schedule)
        return bool(county.spans(at.astimezone(CHINA).date(), terms))

    target = _first(day + _DAY, _DAY, has_hours)
    note = phrase("moved from {day}, a quiet day ({names})", day=day, names="、".join(names))
    notes = listing(filter(None, (fire.note, note)), "; ")
    return fire._replace(at=_at(fire.planned_at, target, schedule), note=notes)


def _first(day: date, step: timedelta, wanted: Callable[[date], bool]) -> date:
    """The first day from this one on, in steps, that is as wanted, or the last one looked at."""
    days = (day + step * n for n in range(_SEARCH_DAYS))
    return next(filter(wanted, days), day + step * _SEARCH_DAYS)


def _at(planned: datetime, day: date, schedule: Schedule) -> datetime:
    """The instant on another day at the plan's time of day."""
    start = schedule.start_at or planned
    time_of_day = start.astimezone(schedule.zone).time()
    return datetime.combine(day, time_of_day, schedule.zone).astimezone(UTC)


def _local_day(instant: datetime, schedule: Schedule) -> date:
    return instant.astimezone(schedule.zone).date()
