"""The county's calendar as a form changes it: whole, as its page showed it but for one thing.

Who set it meanwhile is not overwritten: each form has the version that its page showed.
"""

import re

from service.api.calendar import holidays
from service.api.calendar.holidays import CalendarBody, CalendarOut, YearQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.errors import NotFound
from service.words.phrase import phrase

HOLIDAYS = "/office/rules/holidays"
FIRST_YEAR, LAST_YEAR = 2000, 2199
OWN = ("reason", "version")
"""Fields of every form of the calendar: why, and which version its page showed."""


def year_of(desk: Desk) -> int:
    """The year that the address asks for; the present one without it, or where it is none."""
    given = desk.request.query.get("year", "")
    if given.isascii() and given.isdecimal() and FIRST_YEAR <= int(given[:5]) <= LAST_YEAR:
        return int(given)
    return desk.now.year


def year_in_address(desk: Desk) -> int:
    """The year of the address."""
    given = desk.path("year")
    if not re.fullmatch("2[01][0-9]{2}", given):
        raise NotFound(phrase("there is nothing at this address"))
    return int(given)


async def calendar_of(desk: Desk, year: int) -> CalendarOut:
    """The calendar of a year."""
    return await desk.get(holidays.get_holidays, query=YearQuery(year=year))


async def calendar_before(desk: Desk, year: int) -> CalendarOut:
    """The calendar as it is before the act."""
    async with desk.reading():
        return await calendar_of(desk, year)


async def set_calendar(desk: Desk, found: CalendarOut, **changed: object) -> None:
    """Set the calendar as it was found, but for what changes; why and of which version says the
    form.
    """
    told = found.model_dump(mode="json")
    kept = {name: told[name] for name in ("notices", "quiet", "without", "school_days")}
    but = [name for name in desk.form if name not in OWN]
    body = body_of(CalendarBody, desk.form, but=but, given={**kept, **changed})
    await desk.act(holidays.set_holidays, body=body)
