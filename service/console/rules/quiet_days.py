"""Quiet days, built in and the county's own, and the days of school that only the county knows."""

from datetime import date

from service.api.calendar.holidays import CalendarOut, QuietBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Gone, Shown
from service.console.rules.calendar_setting import (
    HOLIDAYS,
    OWN,
    calendar_before,
    calendar_of,
    set_calendar,
    year_in_address,
    year_of,
)
from service.console.rules.holidays import school_days_of
from service.console.rules.spans import spans_of
from service.console.rules.words import SCHOOL_DAYS
from service.console.words import CLASSES
from service.errors import Invalid, NotFound
from service.ledger.message_class import PUBLICITY, REFUSABLE
from service.words.phrase import phrase


async def show_quiet_form(desk: Desk) -> Shown:
    """The form for quiet days of the county's own."""
    options = [(code, desk.language.say(CLASSES[code])) for code in REFUSABLE]
    told = {"calendar": await calendar_of(desk, year_of(desk)), "classes": options}
    return Shown("rules/quiet_new.html", told | {"chosen": [PUBLICITY]})


async def add_quiet(desk: Desk) -> Gone:
    """Keep days, or hours of them, free of some texts."""
    given = {
        "hours": spans_of(desk, "hours"),
        "classes": desk.form.getall("classes", []),
        "binding": desk.typed("binding") == "true",
    }
    quiet = body_of(QuietBody, desk.form, but=(*OWN, *given), given=given)
    found = await calendar_before(desk, quiet.first.year)
    before = [one.model_dump(mode="json") for one in found.quiet]
    try:
        await set_calendar(desk, found, quiet=[*before, quiet.model_dump(mode="json")])
    except Invalid as error:
        fields = {_field(name): said for name, said in error.fields.items()}
        raise Invalid(error.message, fields=fields) from error
    done = phrase("Texts of these kinds do not leave then.")
    return Gone(f"{HOLIDAYS}?year={quiet.first.year}", done)


def _field(name: str) -> str:
    """The field of the form for what is wrong with the calendar that the form makes."""
    if name.startswith("quiet."):
        return name.rpartition(".")[2]
    return "last" if name == "quiet" else name


async def show_quiet_removal(desk: Desk) -> Shown:
    """Whether quiet days of the county's own are to end."""
    found = await calendar_of(desk, desk.now.year)
    place = _place(desk, found)
    told = {"calendar": found, "place": place, "quiet": found.quiet[place]}
    return Shown("rules/quiet_remove.html", told)


async def remove_quiet(desk: Desk) -> Gone:
    """Let texts leave again on quiet days of the county's own."""
    found = await calendar_before(desk, desk.now.year)
    place = _place(desk, found)
    kept = [one.model_dump(mode="json") for one in found.quiet]
    del kept[place]
    await set_calendar(desk, found, quiet=kept)
    year = found.quiet[place].first.year
    return Gone(f"{HOLIDAYS}?year={year}", phrase("These quiet days are gone."))


async def show_built_in(desk: Desk) -> Shown:
    """Which of the built-in quiet days the county keeps."""
    found = await calendar_of(desk, year_of(desk))
    kept = [name for name in found.built_in_quiet if name not in found.without]
    return Shown("rules/quiet_built_in.html", {"calendar": found, "kept": kept})


async def set_built_in(desk: Desk) -> Gone:
    """Keep those of the built-in quiet days that are ticked."""
    found = await calendar_before(desk, desk.now.year)
    kept = set(desk.form.getall("kept", []))
    await set_calendar(
        desk, found, without=[name for name in found.built_in_quiet if name not in kept]
    )
    return Gone(HOLIDAYS, phrase("Saved."))


async def show_school_days(desk: Desk) -> Shown:
    """The form for the days of school of a year."""
    year = year_in_address(desk)
    told = {
        "calendar": await calendar_of(desk, year),
        "days": await school_days_of(desk, year),
        "words": SCHOOL_DAYS,
    }
    return Shown("rules/school_days.html", told)


async def set_school_days(desk: Desk) -> Gone:
    """Enter the days of school of a year; an empty field is guessed again."""
    year = year_in_address(desk)
    found = await calendar_before(desk, year)
    kept = [one.model_dump(mode="json") for one in found.school_days if one.date.year != year]
    typed = [{"festival": name, "date": _day(desk, name, year)} for name in SCHOOL_DAYS]
    await set_calendar(desk, found, school_days=[*kept, *(one for one in typed if one["date"])])
    return Gone(f"{HOLIDAYS}?year={year}", phrase("Saved."))


def _day(desk: Desk, name: str, year: int) -> str | None:
    """The day that was typed into a field, if one was.

    Raises:
        Invalid: it is none of the year.
    """
    text = desk.typed(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.year != year:
        raise Invalid(
            phrase("there is no such day of school"),
            fields={name: phrase("give a day of {year}, like {year}-09-01", year=str(year))},
        )
    return day.isoformat()


def _place(desk: Desk, found: CalendarOut) -> int:
    """Which of the county's quiet days the address means."""
    given = desk.path("place")
    if not (given.isascii() and given.isdecimal()) or int(given[:5]) >= len(found.quiet):
        raise NotFound(phrase("there is nothing at this address"))
    return int(given)
