"""Which days are holidays, working days and quiet days in China (pure).

Official are only the years of which the State Council's notice is known: shipped in
`holidays.toml`, or imported. Other years have their weekends and the days off by law, computed,
and no working days that make up for others; whoever shows them says so. Quiet days are days, or
hours of days, in which texts of some classes do not leave.
"""

import tomllib
from calendar import isleap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Any

from service.errors import Invalid
from service.ledger.message_class import NOTICE, PUBLICITY
from service.words.phrase import listing, phrase

ALL_DAY = (("00:00", "24:00"),)
_DAY = timedelta(days=1)


class DayKind(StrEnum):
    """What a day is; `makeup` is a working day at a weekend."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKEUP = "makeup"


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day, the holiday's name where it has one, and whether a notice says so."""

    date: date
    kind: DayKind
    name: str
    official: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """What the State Council announced for a year: its days off by name, and working weekends."""

    year: int
    source: str
    holidays: Mapping[date, str]
    workdays: frozenset[date]

    def as_json(self) -> dict[str, Any]:
        """The notice as stored."""
        days = {day.isoformat(): name for day, name in sorted(self.holidays.items())}
        workdays = [day.isoformat() for day in sorted(self.workdays)]
        return {"year": self.year, "source": self.source, "holidays": days, "workdays": workdays}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Notice":
        """The inverse of `as_json`."""
        days = {date.fromisoformat(day): name for day, name in stored["holidays"].items()}
        workdays = frozenset(map(date.fromisoformat, stored["workdays"]))
        return cls(stored["year"], stored["source"], days, workdays)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Days, or hours of them, in which texts of these classes do not leave.

    binding: whether also plans that send on quiet days keep it.
    """

    name: str
    first: date
    last: date
    hours: tuple[tuple[str, str], ...] = ALL_DAY
    classes: tuple[str, ...] = (PUBLICITY,)
    binding: bool = True

    def as_json(self) -> dict[str, Any]:
        """The quiet days as stored."""
        return {
            "name": self.name,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "hours": [list(span) for span in self.hours],
            "classes": list(self.classes),
            "binding": self.binding,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Quiet":
        """The inverse of `as_json`."""
        return cls(
            stored["name"],
            date.fromisoformat(stored["first"]),
            date.fromisoformat(stored["last"]),
            tuple((start, end) for start, end in stored["hours"]),
            tuple(stored["classes"]),
            stored["binding"],
        )


@dataclass(frozen=True, slots=True)
class CalendarChanges:
    """What the county has said beyond the shipped facts.

    without: names of built-in quiet days that it does not keep. school_days: the days that
    `festivals` can only guess, such as the start of term.
    """

    notices: tuple[Notice, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    without: tuple[str, ...] = ()
    school_days: tuple[tuple[str, date], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The changes as stored."""
        return {
            "notices": [notice.as_json() for notice in self.notices],
            "quiet": [quiet.as_json() for quiet in self.quiet],
            "without": list(self.without),
            "school_days": [[name, day.isoformat()] for name, day in self.school_days],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "CalendarChanges":
        """The inverse of `as_json`."""
        return cls(
            tuple(map(Notice.from_json, stored["notices"])),
            tuple(map(Quiet.from_json, stored["quiet"])),
            tuple(stored["without"]),
            tuple((name, date.fromisoformat(day)) for name, day in stored.get("school_days", ())),
        )

    def with_notice(self, notice: Notice) -> "CalendarChanges":
        """The same with this notice in place of any other of its year."""
        others = tuple(n for n in self.notices if n.year != notice.year)
        return replace(self, notices=(*others, notice))


@dataclass(frozen=True)
class Holidays:
    """The calendar: the shipped facts, and over them what the county has said."""

    changes: CalendarChanges = CalendarChanges()
    _notices: Mapping[int, Notice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        notices = _SHIPPED | {notice.year: notice for notice in self.changes.notices}
        object.__setattr__(self, "_notices", notices)

    @property
    def official_until(self) -> date:
        """The last day of the last year that is known by its notice, without a gap before it."""
        year = min(self._notices)
        while year + 1 in self._notices:
            year += 1
        return date(year, 12, 31)

    def source(self, year: int) -> str | None:
        """The notice of a year; None: none is known."""
        notice = self._notices.get(year)
        return notice.source if notice else None

    def day(self, day: date) -> CalendarDay:
        """What a day is."""
        notice = self._notices.get(day.year)
        if notice is None:
            name = _by_law(day)
        elif day in notice.workdays:
            return CalendarDay(day, DayKind.MAKEUP, "", official=True)
        else:
            name = notice.holidays.get(day)
        if name is not None:
            return CalendarDay(day, DayKind.HOLIDAY, name, notice is not None)
        kind = DayKind.WORKDAY if day.weekday() < 5 else DayKind.WEEKEND
        return CalendarDay(day, kind, "", notice is not None)

    def is_workday(self, day: date) -> bool:
        """Whether offices work on that day; working weekends are among them."""
        return self.day(day).kind in {DayKind.WORKDAY, DayKind.MAKEUP}

    def year(self, year: int) -> Notice:
        """A year's holidays and working weekends, by its notice or computed."""
        if year in self._notices:
            return self._notices[year]
        days = [self.day(date(year, 1, 1) + n * _DAY) for n in range(365 + isleap(year))]
        off = {day.date: day.name for day in days if day.kind is DayKind.HOLIDAY}
        return Notice(year, "computed", off, frozenset())

    def quiet_in(self, year: int) -> list[Quiet]:
        """The quiet days of a year, in order, the county's as they were entered."""
        days = (date(year, 1, 1) + n * _DAY for n in range(365 + isleap(year)))
        return list(dict.fromkeys(quiet for day in days for quiet in self.quiet_on(day)))

    def quiet_on(self, day: date) -> Iterator[Quiet]:
        """The quiet days, built in or the county's, that this day is one of."""
        yield from (quiet for quiet in self.changes.quiet if quiet.first <= day <= quiet.last)
        yield from (q for q in _built_in_quiet(day) if q.name not in self.changes.without)


def check_changes(changes: CalendarChanges) -> None:
    """Refuse changes that contradict themselves.

    Raises:
        Invalid: names what is wrong.
    """
    years = [notice.year for notice in changes.notices]
    if len(years) != len(set(years)):
        raise Invalid(
            phrase("a year has one notice"), fields={"notices": phrase("give each year once")}
        )
    for notice in changes.notices:
        for day in (*notice.holidays, *notice.workdays):
            if day.year != notice.year:
                raise Invalid.at(
                    "notices", phrase("{day} is not in {year}", day=day, year=notice.year)
                )
        if both := sorted(set(notice.holidays) & notice.workdays):
            raise Invalid.at(
                "notices", phrase("{both} cannot be a holiday and a working day", both=both[0])
            )
        if weekdays := sorted(day for day in notice.workdays if day.weekday() < 5):
            raise Invalid.at(
                "notices",
                phrase(
                    "{day} is no weekend: name only working days that are weekends",
                    day=weekdays[0],
                ),
            )
    for quiet in changes.quiet:
        if not quiet.first <= quiet.last <= quiet.first + 366 * _DAY:
            raise Invalid.at(
                "quiet",
                phrase(
                    "{name}: the last day must not be before the first, nor a year later",
                    name=quiet.name,
                ),
            )
    entered = [(name, day.year) for name, day in changes.school_days]
    if len(entered) != len(set(entered)):
        raise Invalid.at("school_days", phrase("a school day has one date a year"))
    if unknown := sorted(set(changes.without) - set(BUILT_IN_QUIET)):
        raise Invalid.at(
            "without",
            phrase(
                "there are no quiet days {unknown}; the built-in ones are {known}",
                unknown=unknown[0],
                known=listing(BUILT_IN_QUIET),
            ),
        )


EVE, NEW_YEAR, EVE_EVENING, EXAM = "除夕", "春节初一", "除夕夜", "高考"
BUILT_IN_QUIET: Mapping[str, str] = {
    EVE: phrase("the eve of the Spring Festival: no publicity unless the plan sends on quiet days"),
    NEW_YEAR: phrase("the first day of the Spring Festival: the same"),
    EVE_EVENING: phrase("18:00 to 24:00 on the eve, when networks are busiest: only warnings"),
    EXAM: phrase(
        "the national entrance examination, 7 and 8 June; further days are the province's"
    ),
}


def _built_in_quiet(day: date) -> Iterator[Quiet]:
    lunar = _LUNAR.get(str(day.year))
    first = _on(day.year, lunar[0]) if lunar else None
    if first is not None and day == first - _DAY:
        yield Quiet(EVE, day, day, binding=False)
        evening = (("18:00", "24:00"),)
        yield Quiet(EVE_EVENING, day, day, evening, (PUBLICITY, NOTICE))
    if first is not None and day == first:
        yield Quiet(NEW_YEAR, day, day, binding=False)
    if (day.month, day.day) in {(6, 7), (6, 8)}:
        yield Quiet(EXAM, day, day, binding=False)


@lru_cache(maxsize=4_096)
def _by_law(day: date) -> str | None:
    """The holiday that a day is by law, whatever a notice may add."""
    if fixed := _FACTS["by_law"]["fixed"].get(f"{day:%m-%d}"):
        return str(fixed)
    lunar = _LUNAR.get(str(day.year))
    if lunar is None:
        return None
    festival = _on(day.year, lunar[0])
    if festival - _DAY <= day <= festival + 2 * _DAY:
        return "春节"
    others = zip(lunar[1:], ("清明节", "端午节", "中秋节"), strict=True)
    return next((name for text, name in others if _on(day.year, text) == day), None)


def lunar_days(year: int) -> tuple[date, date, date, date] | None:
    """The first day of the lunar year, Qingming (a term of the sun's course), the Dragon Boat and
    the Mid-Autumn Festival; None for years that are not computed.
    """
    lunar = _LUNAR.get(str(year))
    if lunar is None:
        return None
    first, qingming, dragon_boat, mid_autumn = (_on(year, text) for text in lunar)
    return first, qingming, dragon_boat, mid_autumn


def _on(year: int, month_day: str) -> date:
    return date.fromisoformat(f"{year}-{month_day}")


def _shipped_notice(facts: Mapping[str, Any]) -> Notice:
    year = facts["year"]
    holidays = {}
    for span in facts["holidays"]:
        day = _on(year, span["first"])
        while day <= _on(year, span["last"]):
            holidays[day] = span["name"]
            day += _DAY
    return Notice(
        year, facts["source"], holidays, frozenset(_on(year, day) for day in facts["workdays"])
    )


_FACTS: Mapping[str, Any] = tomllib.loads(
    files("service.campaigns").joinpath("holidays.toml").read_text("utf-8")
)
_LUNAR: Mapping[str, Sequence[str]] = _FACTS["lunar"]
_SHIPPED = {facts["year"]: _shipped_notice(facts) for facts in _FACTS["years"]}
COMPUTED_UNTIL = max(map(int, _LUNAR))
"""The last year of which the lunar dates are known."""
