"""The State Council's yearly notice: read from its text or a file, and taken back."""

from service.api.calendar import holidays
from service.api.calendar.holidays import NoticeTextBody
from service.console.asking import Desk
from service.console.render import Gone, Shown
from service.console.rules.calendar_setting import (
    HOLIDAYS,
    calendar_before,
    calendar_of,
    set_calendar,
    year_in_address,
    year_of,
)
from service.errors import Invalid, NotFound
from service.words.phrase import phrase


async def show_notice_form(desk: Desk) -> Shown:
    """The form that takes the State Council's notice."""
    return Shown("rules/holidays_notice.html", {"calendar": await calendar_of(desk, year_of(desk))})


async def read_notice(desk: Desk) -> Gone:
    """Make a year official from the notice's text."""
    return await _import(desk, desk.form.get("text", ""), "text")


async def read_notice_file(desk: Desk) -> Gone:
    """Make a year official from a file with the notice's text."""
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    if desk.upload.size > 4 * holidays.MAX_NOTICE:
        raise _no_text()
    octets = b"".join([chunk async for chunk in desk.upload.chunks()])
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return await _import(desk, octets.decode(encoding), "file")
        except UnicodeDecodeError:
            continue
    raise _no_text()


def _no_text() -> Invalid:
    problem = phrase("save the notice as plain text (.txt), or copy its text into the field above")
    return Invalid(phrase("the file is no text"), fields={"file": problem})


async def _import(desk: Desk, text: str, field: str) -> Gone:
    if not text.strip():
        problem = phrase("paste the text of the notice, from its title on")
        raise Invalid(phrase("there is no text"), fields={field: problem})
    try:
        if len(text) > holidays.MAX_NOTICE:
            raise Invalid.at("text", phrase("give the notice alone, without what is around it"))
        made = await desk.act(holidays.import_notice, body=NoticeTextBody(text=text))
    except Invalid as error:
        raise Invalid(error.message, fields={field: error.fields.get("text", "")}) from error
    done = phrase("{year} is official now. What is still to fire has moved with it.",
                  year=str(made.year))  # fmt: skip
    return Gone(f"{HOLIDAYS}?year={made.year}", done)


async def show_notice_removal(desk: Desk) -> Shown:
    """Whether a notice that the county has entered is to be taken back."""
    year = year_in_address(desk)
    found = await calendar_of(desk, year)
    notice = next((one for one in found.notices if one.year == year), None)
    if notice is None:
        raise NotFound(phrase("there is nothing at this address"))
    return Shown("rules/holidays_notice_remove.html", {"calendar": found, "notice": notice})


async def remove_notice(desk: Desk) -> Gone:
    """Take a notice back that the county has entered."""
    year = year_in_address(desk)
    found = await calendar_before(desk, year)
    kept = [notice.model_dump(mode="json") for notice in found.notices if notice.year != year]
    await set_calendar(desk, found, notices=kept)
    return Gone(f"{HOLIDAYS}?year={year}", phrase("The notice is taken back."))
