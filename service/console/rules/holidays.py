"""Holidays and quiet days: a year at a glance, and what was set of the calendar."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.accounts.people.model import Right
from service.api.calendar import festivals, holidays
from service.api.calendar.holidays import YearQuery
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import made_of
from service.console.render import Shown
from service.console.rules.calendar_setting import FIRST_YEAR, LAST_YEAR, calendar_of, year_of
from service.console.rules.spans import spans_text
from service.console.rules.versions import read_versions
from service.console.rules.words import SCHOOL_DAYS
from service.console.rules.year import festivals_of, months_of
from service.console.words import CLASSES
from service.words.phrase import phrase

MOST_SHOWN = 20


async def school_days_of(desk: Desk, year: int) -> list[festivals.FestivalOut]:
    """The days of school of a year, as entered or as they can be guessed."""
    found = await desk.get(festivals.list_festivals, query=YearQuery(year=year))
    return [one for one in found.festivals if one.name in SCHOOL_DAYS]


async def show_holidays(desk: Desk) -> Shown:
    """A year: its holidays, its working weekends, and what holds back texts."""
    year = year_of(desk)
    found = await calendar_of(desk, year)
    own = {quiet: place for place, quiet in enumerate(map(str, found.quiet))}
    told = {
        "calendar": found,
        "festivals": festivals_of(found.days),
        "months": months_of(found),
        "quiet_days": [(quiet, own.get(str(quiet))) for quiet in found.quiet_days],
        "entered": any(notice.year == year for notice in found.notices),
        "school_words": SCHOOL_DAYS,
        "school_days": await school_days_of(desk, year),
        "before": year - 1 if year > FIRST_YEAR else None,
        "after": year + 1 if year < LAST_YEAR else None,
        "today": desk.now.date(),
        "classes": CLASSES,
        "changes": desk.may(Right.CALENDAR),
        "spans_text": spans_text,
    }
    return Shown("rules/holidays.html", told)


async def show_history(desk: Desk) -> Shown:
    """What was set of the calendar, from new to old."""
    cursor = desk.request.query.get("cursor")
    query = made_of(PageQuery, {"limit": MOST_SHOWN, "cursor": cursor})
    page = await desk.get(holidays.list_calendars, query=query)
    return Shown("rules/holidays_history.html", await read_versions(desk, page, _lines))


def _lines(desk: Desk, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a version of the calendar says, line by line."""
    say = desk.language.say
    for notice in body["notices"]:
        label = say(phrase("Notice of {year}", year=str(notice["year"])))
        days = phrase(
            "{off} days off, {worked} weekend days worked",
            off=len(notice["holidays"]),
            worked=len(notice["workdays"]),
        )
        yield label, f"{notice['source']}: {say(days)}"
    for quiet in body["quiet"]:
        first, last = quiet["first"], quiet["last"]
        named = f"{quiet['name']} {first}"
        span = first if first == last else f"{first} – {last}"
        words = ", ".join(say(CLASSES.get(code, code)) for code in quiet["classes"])
        label = say(phrase("Quiet days {name}", name=named))
        yield label, f"{span}, {spans_text(quiet['hours'])}, {words}"
    for name in body["without"]:
        yield say(phrase("Built-in quiet days {name}", name=name)), say(phrase("not kept"))
    for name, day in body.get("school_days", ()):
        yield f"{say(SCHOOL_DAYS.get(name, name))} {day[:4]}", day
