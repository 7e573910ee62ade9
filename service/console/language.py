"""The language of a page, and what stands in it beside sentences: numbers, instants, days, shares.

Numbers are written in full with separators. An instant is written as 1月13日(周三) 09:30; its year
only where it is not this one.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from service.words.catalogues import LANGUAGES, chosen
from service.words.phrase import translated

CHINESE, ENGLISH = LANGUAGES

_DAYS = {
    CHINESE: ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    ENGLISH: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS: tuple[tuple[timedelta, str, str, str], ...] = (
    (timedelta(days=1), "天", "day", "days"),
    (timedelta(hours=1), "小时", "hour", "hours"),
    (timedelta(minutes=1), "分钟", "minute", "minutes"),
    (timedelta(seconds=1), "秒", "second", "seconds"),
)


class Bilingual(Protocol):
    """A sentence in both languages."""

    @property
    def zh(self) -> str:
        """In Chinese."""
        ...

    @property
    def en(self) -> str:
        """In English."""
        ...


@dataclass(frozen=True, slots=True)
class Language:
    """Chinese or English, in a time zone, at an instant. code: `zh` or `en`."""

    code: str
    zone: ZoneInfo
    now: datetime

    @property
    def html(self) -> str:
        """The language as HTML names it."""
        return "zh-CN" if self.code == CHINESE else "en"

    def say(self, sentence: str) -> str:
        """A phrase in this language; any other text as it is."""
        return translated(sentence, self.code)

    def plain(self, sentence: Bilingual) -> str:
        """A sentence that exists in both languages."""
        return sentence.zh if self.code == CHINESE else sentence.en

    def number(self, value: float | None) -> str:
        """A number in full, a fraction with one digit; "–": nobody knows it."""
        if value is None:
            return "–"
        return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"

    def people(self, value: int | None) -> str:
        """A number of people."""
        if self.code == CHINESE:
            return f"{self.number(value)} 人"
        return f"{self.number(value)} {'person' if value == 1 else 'people'}"

    def share(self, part: float, whole: float) -> str:
        """A share in per cent with one digit; "–" of nothing."""
        return f"{100 * part / whole:.1f} %" if whole else "–"

    def when(self, instant: datetime | None) -> str:
        """An instant to the minute; "–": none."""
        if instant is None:
            return "–"
        here = instant.astimezone(self.zone)
        return f"{self.day(here.date())} {here:%H:%M}"

    def day(self, day: date | None) -> str:
        """A day with its weekday; "–": none."""
        if day is None:
            return "–"
        weekday = _DAYS[self.code][day.weekday()]
        this_year = day.year == self.now.astimezone(self.zone).year
        if self.code == CHINESE:
            year = "" if this_year else f"{day.year}年"
            return f"{year}{day.month}月{day.day}日({weekday})"
        year = "" if this_year else f" {day.year}"
        return f"{weekday} {day.day} {_MONTHS[day.month - 1]}{year}"

    def month(self, day: date) -> str:
        """The month in which a day lies, with its year."""
        if self.code == CHINESE:
            return f"{day.year}年{day.month}月"
        return f"{_MONTHS[day.month - 1]} {day.year}"

    def time(self, instant: datetime | None) -> str:
        """The time of day of an instant; "–": none."""
        return "–" if instant is None else f"{instant.astimezone(self.zone):%H:%M}"

    def second(self, instant: datetime) -> str:
        """The time of day of an instant, to the second."""
        return f"{instant.astimezone(self.zone):%H:%M:%S}"

    def since(self, instant: datetime | None) -> str:
        """How long ago an instant was, or how far ahead it is, in its largest unit."""
        if instant is None:
            return "–"
        passed = self.now - instant
        long = self.lasting(abs(passed))
        if self.code == CHINESE:
            return f"{long}前" if passed >= timedelta(0) else f"{long}后"
        return f"{long} ago" if passed >= timedelta(0) else f"in {long}"

    def lasting(self, long: timedelta) -> str:
        """How long something lasts, in its largest unit."""
        for unit, zh, one, many in _UNITS:
            if long >= unit:
                count = long // unit
                if self.code == CHINESE:
                    return f"{count} {zh}"
                return f"{count} {one if count == 1 else many}"
        return "不到 1 秒" if self.code == CHINESE else "less than a second"


def language_code(cookie: str, accept_language: str) -> str:
    """The language of a page: as its reader has chosen, else as the browser says, else Chinese."""
    return cookie if cookie in LANGUAGES else chosen(accept_language, CHINESE)
