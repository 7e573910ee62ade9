"""ISO weeks and the periods that are made of them (pure): ISO 8601, Monday to Sunday.

A week is written `2027-W03`; files also say `2027年第3周`, or any day of it. A year has 52 weeks or
53; a quarter has 13, and the fourth one 14 where the year has 53.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from service.errors import Invalid
from service.words.phrase import phrase

PeriodName = Literal["Q1", "Q2", "Q3", "Q4", "YEAR"]

MOST_COVERED = 530
"""How many weeks one import may cover: ten years."""

_WEEK = re.compile(r"(20[0-9]{2})-?W([0-9]{1,2})", re.IGNORECASE)
_CHINESE_WEEK = re.compile(r"(20[0-9]{2})年?第?([0-9]{1,2})周")
_DAY = re.compile(r"(20[0-9]{2})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?(?:[T ].*)?")
_QUARTERS: dict[PeriodName, tuple[int, int]] = {
    "Q1": (1, 13),
    "Q2": (14, 26),
    "Q3": (27, 39),
    "Q4": (40, 53),
    "YEAR": (1, 53),
}


class IsoWeek(NamedTuple):
    """A week of the calendar, in the order of time."""

    year: int
    number: int

    def __str__(self) -> str:
        """The week as programs and the database write it."""
        return f"{self.year}-W{self.number:02}"

    @property
    def monday(self) -> date:
        """Its first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    @property
    def next(self) -> "IsoWeek":
        """The week after it."""
        return week_of(self.monday + timedelta(days=7))

    @property
    def year_before(self) -> "IsoWeek | None":
        """The same week of the year before; None: that year has no week 53."""
        if self.number > weeks_in(self.year - 1):
            return None
        return IsoWeek(self.year - 1, self.number)


class Period(NamedTuple):
    """A quarter or a year of weeks."""

    year: int
    name: PeriodName

    def __str__(self) -> str:
        """The period as programs and the database write it: 2027-Q1."""
        return f"{self.year}-{self.name}"

    @property
    def first(self) -> IsoWeek:
        """Its first week."""
        return IsoWeek(self.year, _QUARTERS[self.name][0])

    @property
    def last(self) -> IsoWeek:
        """Its last week."""
        return IsoWeek(self.year, min(_QUARTERS[self.name][1], weeks_in(self.year)))

    @property
    def first_day(self) -> date:
        """The first day of the calendar quarter or year of the same name."""
        return date(self.year, 1 if self.name == "YEAR" else int(self.name[1]) * 3 - 2, 1)

    @property
    def weeks(self) -> list[IsoWeek]:
        """All its weeks."""
        return weeks_between(self.first, self.last)


def week_of(day: date) -> IsoWeek:
    """The week of a day."""
    year, number, _ = day.isocalendar()
    return IsoWeek(year, number)


def weeks_in(year: int) -> int:
    """How many weeks a year has: 52 or 53."""
    return date(year, 12, 28).isocalendar().week


def weeks_between(first: IsoWeek, last: IsoWeek) -> list[IsoWeek]:
    """The weeks from the first to the last, both among them; none if the last is earlier."""
    monday, found = first.monday, []
    while monday <= last.monday:
        found.append(week_of(monday))
        monday += timedelta(days=7)
    return found


def weeks_before(week: IsoWeek, count: int) -> list[IsoWeek]:
    """So many weeks before a week, in order."""
    return [week_of(week.monday - timedelta(days=7 * back)) for back in range(count, 0, -1)]


def quarter_of(week: IsoWeek) -> Period:
    """The quarter to which a week belongs."""
    names: Sequence[PeriodName] = ("Q1", "Q2", "Q3", "Q4")
    return Period(week.year, names[min((week.number - 1) // 13, 3)])


def quarter_before(quarter: Period) -> Period:
    """The quarter before one."""
    return quarter_of(week_of(quarter.first.monday - timedelta(days=7)))


@lru_cache(4_096)  # a file says few weeks and many rows
def parse_week(text: str) -> IsoWeek | None:
    """The week that a text names: 2027-W03, 2027年第3周, or any day of it; None: it names none."""
    text = "".join(text.split(" ")) if _CHINESE_WEEK.search(text.replace(" ", "")) else text.strip()
    named = _WEEK.fullmatch(text) or _CHINESE_WEEK.fullmatch(text)
    if named:
        year, number = int(named[1]), int(named[2])
        return IsoWeek(year, number) if 1 <= number <= weeks_in(year) else None
    day = _DAY.fullmatch(text)
    try:
        return week_of(date(int(day[1]), int(day[2]), int(day[3]))) if day else None
    except ValueError:
        return None


def need_week(text: str, field: str) -> IsoWeek:
    """The week that a caller names.

    Raises:
        Invalid: it is none.
    """
    week = parse_week(text)
    if week is None:
        raise Invalid.at(field, phrase("write a week like 2027-W03"))
    return week


def parse_cover(text: str, field: str = "weeks") -> list[IsoWeek]:
    """The weeks that a file covers: `2027-W03`, a list with commas, or `2027-W01..2027-W13`.

    Raises:
        Invalid: a part of it is no week, or there are none or too many.
    """
    weeks: set[IsoWeek] = set()
    for part in re.split("[,，;；]", text):
        first, is_span, last = part.partition("..")
        start = need_week(first, field)
        end = need_week(last, field) if is_span else start
        if (end.monday - start.monday).days > 7 * MOST_COVERED:
            raise Invalid.at(field, phrase("at most {most} weeks", most=MOST_COVERED))
        span = weeks_between(start, end)
        if not span:
            raise Invalid.at(field, phrase("the last week is earlier than the first"))
        weeks.update(span)
    if len(weeks) > MOST_COVERED:
        raise Invalid.at(field, phrase("at most {most} weeks", most=MOST_COVERED))
    return sorted(weeks)
