"""One person, masked: found by number, where everything came from, seen in full for a reason,
corrected and taken off all lists.
"""

from typing import Any

from service.accounts.people.model import Right
from service.api.audience import contacts
from service.api.audience.contacts import ContactNumberBody, ContactPatch
from service.api.privacy import privacy
from service.api.privacy.privacy import DisclosureBody
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.names import departments_of, watermark
from service.console.people import words
from service.console.render import Gone, Shown
from service.words.phrase import phrase

PERSONS = "/people/persons"
MINOR = "14-17"
"""The age band of whom nobody sees in full."""


async def show_finder(_: Desk) -> Shown:
    """The form that finds a person by number."""
    return Shown("people/persons.html", {"found": None})


async def find(desk: Desk) -> Shown | Gone:
    """The person of a number, which stands in no address; several, where departments share it."""
    body = body_of(ContactNumberBody, desk.form)
    found = await desk.act(contacts.look_up_contacts, body=body)
    if len(found.items) == 1:
        return Gone(f"{PERSONS}/{found.items[0].id}")
    async with desk.reading():
        whose = await departments_of(desk, (one.department_id for one in found.items))
    return Shown("people/persons.html", {"found": found, "departments": whose})


async def show_person(desk: Desk) -> Shown:
    """What is known of a person, and which list says it."""
    return Shown("people/person.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    person = await desk.get(contacts.get_contact, contact_id=desk.uuid("contact_id"))
    is_own = person.department_id == desk.user.department_id
    return {
        "person": person,
        "roles": words.ROLES,
        "genders": words.GENDERS,
        "carriers": words.CARRIERS,
        "may_edit": is_own and desk.may(Right.IMPORT),
        "may_unmask": desk.may(Right.UNMASK),
        "is_minor": person.age_band == MINOR,
        "number": "",
        "watermark": watermark(desk),
        "seen": desk.version_of(person),
    }


async def unmask(desk: Desk) -> Shown:
    """Show a person in full, for a minute; that it was shown, and why, is noted."""
    found = await desk.act(
        privacy.unmask_contact,
        contact_id=desk.uuid("contact_id"),
        body=body_of(DisclosureBody, desk.form),
    )
    async with desk.reading():
        told = await _told(desk)
    in_full = " ".join(filter(None, (found.phone, found.name, *found.wechat)))
    return Shown("people/person.html", {**told, "number": in_full})


async def edit_person(desk: Desk) -> Gone:
    """Correct what is known of a person; an empty field takes the fact away."""
    contact_id = desk.uuid("contact_id")
    typed = {name: desk.typed(name) or None for name in ("gender", "age_band", "carrier")}
    tags = [tag for tag in desk.typed("tags").replace("，", ",").split(",") if tag.strip()]
    patch = made_of(ContactPatch, {**typed, "tags": tags})
    await desk.act(contacts.edit_contact, contact_id=contact_id, body=patch)
    return Gone(f"{PERSONS}/{contact_id}", phrase("The person is corrected."))


async def ask_delete(desk: Desk) -> Shown:
    """Whether to take a person off all lists."""
    person = await desk.get(contacts.get_contact, contact_id=desk.uuid("contact_id"))
    return Shown("people/person_delete.html", {"person": person})


async def delete_person(desk: Desk) -> Gone:
    """Take a person off all lists of the department."""
    await desk.act(contacts.delete_contact, contact_id=desk.uuid("contact_id"))
    return Gone("/people/lists", phrase("The person is on no list any more."))
