"""Who is on a list, set anew as a whole: whoever is not among the rows leaves it."""

from typing import Any

from service.api.audience import rosters
from service.api.audience.consent import FIELDS
from service.api.audience.rosters import MembersBody, RosterOut
from service.console.asking import Desk
from service.console.people import words
from service.console.people.lists import address_of
from service.console.people.pasted import FIELD, members_of
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

SURE = "sure"
"""The tick without which nobody leaves a list."""


async def show_members(desk: Desk) -> Shown:
    """The form for all who are to be on a list, and what it means for those who are on it."""
    roster = await desk.get(rosters.get_roster, name=desk.path("name"))
    told = {"roster": roster, "address": address_of(roster.name), "bases": words.BASES}
    return Shown("people/list_members.html", told)


async def set_members(desk: Desk) -> Gone:
    """Make a list hold exactly the persons of the rows; on what it rests, and until when, stays."""
    name = desk.path("name")
    members = members_of(desk.form.get(FIELD, ""))
    if not desk.typed(SURE):
        what = phrase("tick this, if the rows are the whole list")
        raise Invalid(phrase("the list was left as it is"), fields={SURE: what})
    async with desk.reading(heavy=True):
        roster = await desk.get(rosters.get_roster, name=name)
    body = MembersBody.model_validate({"members": members, **_terms(roster)})
    made = await desk.act(rosters.set_members, name=name, body=body)
    done = phrase("The list is set: {added} new, {changed} changed, {left} left.",
                  added=made.added, changed=made.changed, left=made.left)  # fmt: skip
    return Gone(f"/people/imports/{made.import_id}", done)


def _terms(roster: RosterOut) -> dict[str, Any]:
    """On what a list rests, and until when, as an operation takes it."""
    evidence = {field: getattr(roster, field) for field in FIELDS}
    return {"basis": roster.basis, "expires_on": roster.expires_on, **evidence}
