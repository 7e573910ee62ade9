"""One person, masked: where everything came from, corrected and taken off all lists."""

from service.accounts.people.model import Right
from service.api.audience import contacts
from service.api.audience.contacts import ContactPatch
from service.console.asking import Desk
from service.console.people import words
from service.console.render import Gone, Shown
from service.words.phrase import phrase

PERSONS = "/people/persons"


async def show_person(desk: Desk) -> Shown:
    """What is known of a person, and which list says it."""
    person = await desk.get(contacts.get_contact, contact_id=desk.uuid("contact_id"))
    is_own = person.department_id == desk.user.department_id
    return Shown(
        "people/person.html",
        {
            "person": person,
            "roles": words.ROLES,
            "genders": words.GENDERS,
            "carriers": words.CARRIERS,
            "may_edit": is_own and desk.may(Right.IMPORT),
            "seen": desk.version_of(person),
        },
    )


async def edit_person(desk: Desk) -> Gone:
    """Correct what is known of a person; an empty field takes the fact away."""
    contact_id = desk.uuid("contact_id")
    typed = {name: desk.typed(name) or None for name in ("gender", "age_band", "carrier")}
    tags = [tag for tag in desk.typed("tags").replace("，", ",").split(",") if tag.strip()]
    patch = ContactPatch.model_validate({**typed, "tags": tags})
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
