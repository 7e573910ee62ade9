"""When texts may leave: the county's hours by class and audience, what was before, setting them."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.accounts.people.model import Right
from service.api.calendar import holidays
from service.api.calendar.holidays import HourRulesBody
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Gone, Shown
from service.console.rules.spans import spans_of, spans_text
from service.console.rules.versions import read_versions
from service.console.rules.words import AUDIENCES, SPAN_KINDS
from service.console.words import CLASSES
from service.ledger.message_class import REFUSABLE
from service.words.phrase import phrase

HOURS = "/office/rules/hours"
MOST_SHOWN = 20


async def show_hours(desk: Desk) -> Shown:
    """The hours in force, and what was set before."""
    cursor = desk.request.query.get("cursor")
    query = made_of(PageQuery, {"limit": MOST_SHOWN, "cursor": cursor})
    page = await desk.get(holidays.list_send_hours, query=query)
    told = await _told(desk) | await read_versions(desk, page, _lines)
    return Shown("rules/hours.html", told | {"changes": desk.may(Right.CALENDAR)})


async def show_hours_form(desk: Desk) -> Shown:
    """The form for the hours."""
    return Shown("rules/hours_edit.html", await _told(desk))


async def set_hours(desk: Desk) -> Gone:
    """Set the hours; what is on its way is held to them within seconds."""
    classes = {
        code: {
            kind: spans_of(desk, f"classes.{code}.{kind}", needed=kind != "preferred")
            for kind in SPAN_KINDS
        }
        for code in REFUSABLE
    }
    audiences = {code: spans_of(desk, f"audiences.{code}") for code in AUDIENCES}
    own = [name for name in desk.form if name.startswith(("classes.", "audiences."))]
    body = body_of(
        HourRulesBody, desk.form, but=own, given={"classes": classes, "audiences": audiences}
    )
    await desk.act(holidays.set_send_hours, body=body)
    return Gone(HOURS, phrase("The hours count now, also for what is on its way."))


async def _told(desk: Desk) -> dict[str, object]:
    return {
        "hours": await desk.get(holidays.get_send_hours),
        "classes": {code: CLASSES[code] for code in REFUSABLE},
        "kinds": SPAN_KINDS,
        "audiences": AUDIENCES,
        "spans_text": spans_text,
    }


def _lines(desk: Desk, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a version of the hours says, line by line."""
    say = desk.language.say
    for code, hours in body["classes"].items():
        for kind, word in SPAN_KINDS.items():
            label = f"{say(CLASSES.get(code, code))} · {say(word)}"
            yield label, spans_text(hours[kind]) or "–"
    for code, spans in body["audiences"].items():
        yield say(AUDIENCES.get(code, code)), spans_text(spans)
