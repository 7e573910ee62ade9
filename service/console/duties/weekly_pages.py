"""The weekly report of a unit on a page: read, handed in, and as a file."""

from datetime import date, timedelta

from service.api.duties import duties, weekly
from service.api.duties.weekly import WeeklyDocumentQuery, WeeklyQuery
from service.api.http.downloads import MadeFile
from service.clock import day_in_china
from service.console.asking import Desk
from service.console.duties.pages import duty_words
from service.console.forms import body_of
from service.console.render import Shown


async def show_weekly(desk: Desk) -> Shown:
    """A unit's week: its figures, and what was handed in of it."""
    query = body_of(WeeklyQuery, desk.request.query)
    found = await desk.get(weekly.get_weekly_report, query=query)
    owed = [await desk.get(duties.get_duty, duty_id=one.id) for one in found.duties]
    first = found.figures.first
    over = first + timedelta(days=7) <= day_in_china(desk.now)
    return Shown("duties/weekly.html", {
        "found": found,
        "duties": owed,
        "tab": "weekly",
        "before": _week(first - timedelta(days=7)),
        "after": _week(first + timedelta(days=7)) if over else "",
        **duty_words(desk),
    })  # fmt: skip


async def take_weekly_file(desk: Desk) -> MadeFile:
    """The same as a document."""
    query = body_of(WeeklyDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(weekly.get_weekly_document, query=query)


def _week(day: date) -> str:
    """The ISO week of a day, as operations take it."""
    return f"{day:%G}-W{day:%V}"
