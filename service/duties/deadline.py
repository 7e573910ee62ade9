"""When something that is owed again and again is due: periods, their deadlines, reminders (pure).

The rule: a day of each period at an hour; if no office works on that day, the last working day
before it in the same period, or the first one after it. Working weekends are working days.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from service.campaigns.calendar.holidays import DayKind, Holidays
from service.cases.week import week_of
from service.clock import CHINA
from service.errors import Invalid
from service.words.phrase import phrase

_DAY = timedelta(days=1)
_FARTHEST = 60
"""So many days after a day there is a working day in any calendar."""
TWO_HOURS = timedelta(hours=2)


class PeriodKind(StrEnum):
    """How often something is owed."""

    WEEK = "week"
    MONTH = "month"
    ONCE = "once"


class DueShift(StrEnum):
    """Where a deadline goes whose day is no working day."""

    PREVIOUS_WORKDAY = "previous_workday"
    NEXT_WORKDAY = "next_workday"
    NONE = "none"


class Remind(StrEnum):
    """When somebody is reminded."""

    WORKDAY_BEFORE = "workday_before"
    TWO_HOURS_BEFORE = "-2h"


class DueRule(NamedTuple):
    """What is owed when. weekday: of a week, Monday is 1. day: of a month; in a shorter one its
    last day. on: of what is owed once. first: of what is owed once, the day from which on.
    """

    period: PeriodKind
    at: time
    shift: DueShift
    weekday: int | None = None
    day: int | None = None
    on: date | None = None
    first: date | None = None


class DutyPeriod(NamedTuple):
    """A stretch of days, by its name: 2026-W40, 2026-10, or the day of what is owed once."""

    key: str
    first: date
    last: date


class Deadline(NamedTuple):
    """When a period's is due. on: its day by the rule, wherever it went from there.

    holiday_week: the period had no working day up to that day, so it is due after it. official:
    false if a day that decides was not announced yet, and may become another kind of day.
    """

    at: datetime
    on: date
    holiday_week: bool
    official: bool

    @property
    def shifted(self) -> bool:
        """Whether it is another day than the rule's."""
        return self.at.astimezone(CHINA).date() != self.on


def check_rule(rule: DueRule) -> None:
    """Refuse a rule whose day does not go with its period.

    Raises:
        Invalid: names the field.
    """
    given = {"weekday": rule.weekday, "day": rule.day, "on": rule.on}
    wanted = {"week": "weekday", "month": "day", "once": "on"}[rule.period]
    if given[wanted] is None or sum(value is not None for value in given.values()) != 1:
        raise Invalid.at("due", _WANTED[rule.period])


_WANTED = {
    PeriodKind.WEEK: phrase("what is owed each week is due on a weekday: give weekday and time"),
    PeriodKind.MONTH: phrase("what is owed each month is due on a day of it: give day and time"),
    PeriodKind.ONCE: phrase("what is owed once is due on a date: give on and time"),
}


def period_at(rule: DueRule, day: date) -> DutyPeriod:
    """The period in which a day lies; of what is owed once, its only one."""
    if rule.period is PeriodKind.WEEK:
        week = week_of(day)
        return DutyPeriod(str(week), week.monday, week.sunday)
    if rule.period is PeriodKind.MONTH:
        last = day.replace(day=monthrange(day.year, day.month)[1])
        return DutyPeriod(f"{day:%Y-%m}", day.replace(day=1), last)
    on = _once(rule)
    return DutyPeriod(on.isoformat(), min(rule.first or on, on), on)


def period_after(rule: DueRule, period: DutyPeriod) -> DutyPeriod | None:
    """The next period; None: it is owed once."""
    if rule.period is PeriodKind.ONCE:
        return None
    return period_at(rule, period.last + _DAY)


def periods_between(rule: DueRule, first: date, last: date) -> Iterator[DutyPeriod]:
    """The periods that begin from a day on and not after another; of what is owed once, its own if
    it is due then.
    """
    period: DutyPeriod | None = period_at(rule, first)
    if rule.period is PeriodKind.ONCE:
        if period is not None and first <= period.last and period.first <= last:
            yield period
        return
    while period is not None and period.first <= last:
        yield period
        period = period_after(rule, period)


def deadline(rule: DueRule, period: DutyPeriod, calendar: Holidays) -> Deadline:
    """When what is owed for a period is due."""
    on = _day_of(rule, period)
    passed = [on]
    day, holiday_week = on, False
    if rule.shift is not DueShift.NONE and not calendar.is_workday(on):
        before: date | None = None
        if rule.shift is DueShift.PREVIOUS_WORKDAY:
            before = _workday_before(on, calendar, passed, period.first)
            holiday_week = before is None
        day = before or _workday_after(on, calendar, passed)
    official = rule.shift is DueShift.NONE or all(_is_certain(one, calendar) for one in passed)
    at = datetime.combine(day, rule.at, CHINA)
    return Deadline(at, on, holiday_week, official and _is_known(day, rule, calendar))


def reminders(at: datetime, wanted: list[Remind], calendar: Holidays) -> dict[Remind, datetime]:
    """When somebody is reminded of a deadline: the same hour of the working day before, and two
    hours before.
    """
    moments = {}
    local = at.astimezone(CHINA)
    if Remind.WORKDAY_BEFORE in wanted:
        day = _workday_before(local.date(), calendar, [], None)
        moments[Remind.WORKDAY_BEFORE] = datetime.combine(
            day or local.date() - _DAY, local.time(), CHINA
        )
    if Remind.TWO_HOURS_BEFORE in wanted:
        moments[Remind.TWO_HOURS_BEFORE] = local - TWO_HOURS
    return moments


def workday_after(day: date, calendar: Holidays) -> date:
    """The first working day after a day."""
    return _workday_after(day, calendar, [])


def _day_of(rule: DueRule, period: DutyPeriod) -> date:
    if rule.period is PeriodKind.WEEK:
        return period.first + (int(rule.weekday or 1) - 1) * _DAY
    if rule.period is PeriodKind.MONTH:
        return period.first.replace(day=min(int(rule.day or 1), period.last.day))
    return _once(rule)


def _once(rule: DueRule) -> date:
    if rule.on is None:
        raise ValueError("what is owed once has a day")
    return rule.on


def _workday_before(
    day: date, calendar: Holidays, passed: list[date], first: date | None
) -> date | None:
    """The last working day before a day, not before `first`; what is passed over is noted."""
    over: list[date] = []
    for n in range(1, _FARTHEST):
        one = day - n * _DAY
        if first is not None and one < first:
            break
        if calendar.is_workday(one):
            passed += over
            return one
        over.append(one)
    passed += over
    return None


def _workday_after(day: date, calendar: Holidays, passed: list[date]) -> date:
    for n in range(1, _FARTHEST):
        one = day + n * _DAY
        if calendar.is_workday(one):
            return one
        passed.append(one)
    raise ValueError(f"the calendar has no working day after {day}")


def _is_known(day: date, rule: DueRule, calendar: Holidays) -> bool:
    """Whether it was announced what the day is on which something is due, where that decides."""
    return rule.shift is DueShift.NONE or calendar.day(day).official


def _is_certain(day: date, calendar: Holidays) -> bool:
    """Whether a day is announced, or off by law, which no notice changes."""
    found = calendar.day(day)
    return found.official or found.kind is DayKind.HOLIDAY
