"""A year as twelve months: each day with what it is and what holds back texts on it (pure)."""

from calendar import Calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from service.api.calendar.holidays import CalendarOut, DayOut


@dataclass(frozen=True, slots=True)
class YearDay:
    """A day of a month. kind: `holiday`, `makeup` or "". name: of its holiday. quiet: the names of
    the quiet days that it is one of.
    """

    date: date
    kind: str
    name: str
    quiet: Sequence[str]


@dataclass(frozen=True, slots=True)
class Month:
    """A month in weeks from Monday on; None: a day of the months beside it."""

    first: date
    weeks: Sequence[Sequence[YearDay | None]]


@dataclass(frozen=True, slots=True)
class DaysOff:
    """Days off under one name that follow each other, and the weekends worked for them."""

    name: str
    first: date
    last: date
    makeup: Sequence[date]

    @property
    def days(self) -> int:
        """How many days off."""
        return (self.last - self.first).days + 1


def months_of(year: CalendarOut) -> list[Month]:
    """The twelve months of a year."""
    special = {day.date: day for day in year.days}
    quiet: dict[date, list[str]] = {}
    for span in year.quiet_days:
        for ordinal in range(span.first.toordinal(), span.last.toordinal() + 1):
            quiet.setdefault(date.fromordinal(ordinal), []).append(span.name)
    return [_month(year.year, month, special, quiet) for month in range(1, 13)]


def _month(
    year: int, month: int, special: Mapping[date, DayOut], quiet: Mapping[date, Sequence[str]]
) -> Month:
    def shown(day: date) -> YearDay | None:
        if day.month != month:
            return None
        found = special.get(day)
        kind, name = (found.kind, found.name) if found else ("", "")
        return YearDay(day, kind, name, quiet.get(day, ()))

    weeks = Calendar().monthdatescalendar(year, month)
    return Month(date(year, month, 1), [[shown(day) for day in week] for week in weeks])


def festivals_of(days: Iterable[DayOut]) -> list[DaysOff]:
    """The holidays of a year in order; a working weekend stands with the nearest of them."""
    spans: list[tuple[str, date, date]] = []
    makeup: list[date] = []
    for off in days:
        if off.kind == "makeup":
            makeup.append(off.date)
        elif spans and spans[-1][0] == off.name and (off.date - spans[-1][2]).days == 1:
            spans[-1] = (off.name, spans[-1][1], off.date)
        else:
            spans.append((off.name, off.date, off.date))
    worked: dict[int, list[date]] = {}
    for day in makeup if spans else ():
        away = [_away(day, span) for span in spans]
        worked.setdefault(away.index(min(away)), []).append(day)
    return [
        DaysOff(name, first, last, worked.get(place, ()))
        for place, (name, first, last) in enumerate(spans)
    ]


def _away(day: date, span: tuple[str, date, date]) -> int:
    """How many days a day lies outside of a span."""
    _, first, last = span
    return max((first - day).days, (day - last).days, 0)
