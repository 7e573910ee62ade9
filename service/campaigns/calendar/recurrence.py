"""On which days a recurring plan fires: the part of RFC 5545's RRULE that plans use (pure).

FREQ=DAILY, WEEKLY or MONTHLY with INTERVAL, BYDAY, BYMONTHDAY, and COUNT or UNTIL. The time of day
is that of the plan's start, so no part says it. What is not understood is refused by its name, and
never left out: a plan must not fire on other days than its author meant.
"""

import calendar
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.words.phrase import listing, phrase

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LAST_DAY = date(2200, 1, 1)
"""No plan fires from this day on."""
MOST_INTERVAL = 1_000
MOST_COUNT = 10_000

_DAY = re.compile(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)")
_KNOWN = {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "COUNT", "UNTIL", "WKST"}
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY")


class RecurrenceError(ValueError):
    """A rule that cannot be followed; the sentence names the part and what to write instead."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule. by_day: (ordinal in the month or None, weekday from 0 for Monday).

    until: the last instant, or the last day where only a day is said; as written, without a zone
    unless it ended in Z.
    """

    frequency: str
    interval: int = 1
    by_day: tuple[tuple[int | None, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    count: int | None = None
    until: datetime | None = None

    def ends_at(self, zone: ZoneInfo) -> datetime | None:
        """The last instant at which it may fire."""
        if self.until is None or self.until.tzinfo is not None:
            return self.until
        return self.until.replace(tzinfo=zone).astimezone(UTC)

    def days(self, start: date, keep: Callable[[date], bool] = lambda _: True) -> Iterator[date]:
        """The days from `start` on, in order; `keep` says which of them count at all."""
        kept = (day for day in self._days(start) if day >= start and keep(day))
        return itertools.islice(kept, self.count)

    def _days(self, start: date) -> Iterator[date]:
        if self.frequency == "DAILY":
            found = _every(start, timedelta(days=self.interval))
            weekdays = {weekday for _, weekday in self.by_day}
            yield from (d for d in found if not weekdays or d.weekday() in weekdays)
        elif self.frequency == "WEEKLY":
            weekdays = {weekday for _, weekday in self.by_day} or {start.weekday()}
            monday = start - timedelta(days=start.weekday())
            for week in _every(monday, timedelta(weeks=self.interval)):
                yield from (week + timedelta(days=weekday) for weekday in sorted(weekdays))
        else:
            for first in _months(start, self.interval):
                yield from sorted(self._days_of_month(first, start))

    def _days_of_month(self, first: date, start: date) -> set[date]:
        length = calendar.monthrange(first.year, first.month)[1]
        if not self.by_day:
            numbers = self.by_month_day or (start.day,)
            days = {number if number > 0 else length + 1 + number for number in numbers}
            return {first.replace(day=day) for day in days if 1 <= day <= length}
        found: set[int] = set()
        for ordinal, weekday in self.by_day:
            days_of = range(1 + (weekday - first.weekday()) % 7, length + 1, 7)
            if ordinal is None:
                found.update(days_of)
            elif abs(ordinal) <= len(days_of):
                found.add(days_of[ordinal - 1 if ordinal > 0 else ordinal])
        return {first.replace(day=day) for day in found}


def _every(first: date, step: timedelta) -> Iterator[date]:
    day = first
    while day < LAST_DAY:
        yield day
        day += step


def _months(start: date, interval: int) -> Iterator[date]:
    for number in itertools.count(start.year * 12 + start.month - 1, interval):
        year, month = divmod(number, 12)
        if year >= LAST_DAY.year:
            return
        yield date(year, month + 1, 1)


def parse(text: str) -> Recurrence:
    """Read a rule such as FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;UNTIL=20270331.

    Raises:
        RecurrenceError: names the part that is wrong or not supported, and what to write.
    """
    parts: dict[str, str] = {}
    for item in text.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or not value:
            raise RecurrenceError(
                phrase(
                    "{item!r} is no part of a rule; write it like FREQ=WEEKLY;BYDAY=FR",
                    item=item[:40],
                )
            )
        if name not in _KNOWN:
            known = ", ".join(sorted(_KNOWN))
            raise RecurrenceError(
                phrase(
                    "{name} is not supported; a rule may have {known}", name=name[:20], known=known
                )
            )
        if name in parts:
            raise RecurrenceError(phrase("{name} is there twice", name=name))
        parts[name] = value
    return _checked(_read(parts))


def _read(parts: dict[str, str]) -> Recurrence:
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise RecurrenceError(
            phrase("FREQ must be one of {frequencies}", frequencies=listing(_FREQUENCIES))
        )
    if parts.get("WKST", "MO") != "MO":
        raise RecurrenceError(phrase("WKST is not supported: weeks begin on Monday"))
    return Recurrence(
        frequency,
        _number("INTERVAL", parts.get("INTERVAL", "1"), MOST_INTERVAL),
        tuple(dict.fromkeys(_weekday(item) for item in _listed(parts, "BYDAY"))),
        tuple(dict.fromkeys(_month_day(item) for item in _listed(parts, "BYMONTHDAY"))),
        _number("COUNT", parts["COUNT"], MOST_COUNT) if "COUNT" in parts else None,
        _until(parts["UNTIL"]) if "UNTIL" in parts else None,
    )


def _checked(rule: Recurrence) -> Recurrence:
    if rule.count is not None and rule.until is not None:
        raise RecurrenceError(phrase("COUNT and UNTIL exclude each other"))
    if rule.by_month_day and rule.frequency != "MONTHLY":
        raise RecurrenceError(phrase("BYMONTHDAY is supported with FREQ=MONTHLY only"))
    if rule.by_month_day and rule.by_day:
        raise RecurrenceError(
            phrase("BYDAY together with BYMONTHDAY is not supported; use one of them")
        )
    if rule.frequency != "MONTHLY" and any(ordinal for ordinal, _ in rule.by_day):
        raise RecurrenceError(phrase("BYDAY with a number, such as 1MO, takes FREQ=MONTHLY"))
    return rule


def _listed(parts: dict[str, str], name: str) -> list[str]:
    return [item.strip() for item in parts[name].split(",")] if name in parts else []


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= most):
        raise RecurrenceError(
            phrase("{name} must be a whole number from 1 to {most}", name=name, most=most)
        )
    return int(text)


def _weekday(text: str) -> tuple[int | None, int]:
    match = _DAY.fullmatch(text)
    if match is None:
        raise RecurrenceError(
            phrase("BYDAY takes MO, TU, WE, TH, FR, SA, SU, in a month also 1MO or -1FR")
        )
    return int(match[1]) if match[1] else None, WEEKDAYS.index(match[2])


def _month_day(text: str) -> int:
    number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,2}", text) else 0
    if not 1 <= abs(number) <= 31:
        raise RecurrenceError(
            phrase("BYMONTHDAY takes days from 1 to 31, or from the end: -1 to -31")
        )
    return number


def _until(text: str) -> datetime:
    for form, length in (("%Y%m%d", 8), ("%Y%m%dT%H%M%S", 15), ("%Y%m%dT%H%M%SZ", 16)):
        if len(text) != length:
            continue
        try:
            read = datetime.strptime(text, form)  # noqa: DTZ007  # the zone is the plan's, or Z
        except ValueError:
            break
        if length == 8:
            return datetime.combine(read, time(23, 59, 59))
        return read.replace(tzinfo=UTC) if length == 16 else read
    raise RecurrenceError(
        phrase("UNTIL must be a day or an instant, such as 20270331 or 20270331T120000Z")
    )
