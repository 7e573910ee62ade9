"""The county's rules at a glance: what lint stops, the hours, the calendar, and the caps."""

from service.api.calendar import holidays
from service.api.calendar.holidays import YearQuery
from service.api.content import lint
from service.api.sending import caps
from service.api.sending.caps import CapsQuery
from service.console.asking import Desk
from service.console.render import Shown
from service.console.rules.lint_words import LEVELS
from service.console.rules.spans import spans_text
from service.console.rules.words import AUDIENCES
from service.console.words import CLASSES
from service.ledger.message_class import REFUSABLE


async def show_rules(desk: Desk) -> Shown:
    """Each kind of rule with what it says now, and its page."""
    year = desk.now.year
    found = (await desk.get(caps.list_caps, query=CapsQuery())).items
    return Shown("rules/overview.html", {
        "lint": await desk.get(lint.get_rules),
        "levels": LEVELS,
        "hours": await desk.get(holidays.get_send_hours),
        "this_year": await desk.get(holidays.get_holidays, query=YearQuery(year=year)),
        "next_year": await desk.get(holidays.get_holidays, query=YearQuery(year=year + 1)),
        "caps": sorted(found, key=lambda cap: REFUSABLE.index(cap.message_class)),
        "classes": CLASSES,
        "audiences": AUDIENCES,
        "spans_text": spans_text,
    })  # fmt: skip
