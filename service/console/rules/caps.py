"""How many texts a person may get: by class, what was before, and the county's change."""

from service.accounts.people.model import Right
from service.api.sending import caps
from service.api.sending.caps import CapsBody, CapsOut, CapsQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.console.words import CLASSES
from service.errors import NotFound
from service.ledger.message_class import REFUSABLE
from service.words.phrase import phrase

CAPS = "/office/rules/caps"
SPANS = ("per_day", "per_week", "per_month")


async def show_caps(desk: Desk) -> Shown:
    """The caps in force, and all that were, from new to old."""
    items = (await desk.get(caps.list_caps, query=CapsQuery())).items
    before = (await desk.get(caps.list_caps, query=CapsQuery(history=True))).items
    by_class = {one.message_class: one for one in items}
    told = {
        "in_force": [(code, by_class.get(code)) for code in REFUSABLE],
        "history": before,
        "names": await names_of(desk, (one.set_by for one in before)),
        "classes": CLASSES,
        "changes": _changes(desk),
    }
    return Shown("rules/caps.html", told)


async def show_cap_form(desk: Desk) -> Shown:
    """The form for the caps of one class."""
    code = _class(desk)
    items: list[CapsOut] = (await desk.get(caps.list_caps, query=CapsQuery())).items
    cap = next((one for one in items if one.message_class == code), None)
    return Shown("rules/caps_edit.html", {"code": code, "word": CLASSES[code], "cap": cap})


async def set_caps(desk: Desk) -> Gone:
    """Set the caps of a class; an empty field is no cap."""
    code = _class(desk)
    emptied = {name: None for name in SPANS if not desk.typed(name)}
    same_text = desk.typed("same_text") == "true"
    body = body_of(CapsBody, desk.form, given={**emptied, "class": code, "same_text": same_text})
    await desk.act(caps.set_caps, body=body)
    return Gone(CAPS, phrase("The caps count from the next text on."))


def _class(desk: Desk) -> str:
    code = desk.path("class")
    if code not in REFUSABLE:
        raise NotFound(phrase("there is nothing at this address"))
    return code


def _changes(desk: Desk) -> bool:
    """Whether the reader may change caps: they count for all departments."""
    return desk.may(Right.CHANNELS) and desk.user.runs_the_county
