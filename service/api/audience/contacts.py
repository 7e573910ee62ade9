"""Persons: what a department knows of them and from where, corrected and removed by hand."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.consent import EvidenceBody, EvidenceOut
from service.api.audience.field_members import SHOWN, with_members
from service.api.audience.people import note_lookup
from service.api.audience.rosters import MemberBody
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    AreaName,
    Body,
    Day,
    Instant,
    Line,
    OptionalLine,
    Out,
    Page,
    Text,
)
from service.audience.areas.area_store import area_names, read_area_tree
from service.audience.contacts import contact_store as store
from service.audience.contacts.contact import (
    Contact,
    RosterEntry,
    check_is_name,
    corrected_name,
    read_tags,
)
from service.audience.imports.model import ImportRequest
from service.audience.imports.rejects import REJECTED_COLUMNS
from service.audience.numbers.number import REASONS, mask, parse_phone
from service.audience.numbers.wechat import masked_wechat
from service.audience.rosters import roster_store
from service.audience.rosters.rosters import put_members
from service.audience.vocabulary.choices import Carrier
from service.audience.vocabulary.consent import check_evidence
from service.audience.vocabulary.fields import SHOWN_FIELDS, PersonField
from service.clock import day_in_china
from service.errors import Invalid, NotFound
from service.words.phrase import phrase

MOST_TYPED = 100
"""Tags that are looked at; a person has at most `MOST_TAGS` of them."""

AgeBand = Literal["14-17", "18-25", "26-40", "41-59", "60-69", "70+"]
Basis = Literal["duty", "contract_hr", "consent", "emergency"]


class ContactQuery(PageQuery):
    """Which persons: all, or those on a roster or with a tag."""

    roster: Text | None = None
    tag: Text | None = None


class ContactNumberBody(Body):
    """Whom: a number, which stands in no address and so in no log."""

    phone: Text = Field(description="In any usual form.")


class ContactBody(MemberBody, EvidenceBody):
    """A person to be put on a list, and what the list rests on."""

    roster: Line = Field(description="The list; it is made if there is none of this name.")
    basis: Basis | None = Field(default=None, description="Of a new list; default: duty.")
    expires_on: Day | None = Field(default=None, description="Of a new list; default: a year on.")
    tags: list[Text] = Field(default_factory=list, max_length=MOST_TYPED)


class ContactPatch(Body):
    """What is to be corrected; the rest stays. Null takes a fact away."""

    name: OptionalLine | None = ""
    gender: Literal["f", "m"] | None = None
    age_band: AgeBand | None = None
    area_code: Text | None = None
    carrier: Carrier | None = None
    tags: list[Text] = Field(default_factory=list, max_length=MOST_TYPED)


class ContactOut(Out):
    """A person, masked; `version` is raised by each correction."""

    version: int

    id: UUID
    department_id: UUID
    phone: str
    name: str
    gender: str | None
    age_band: str | None
    area_code: str | None
    area_name: AreaName
    carrier: str | None
    roles: list[str]
    tags: list[str] = Field(
        description="Your department's own, which PATCH sets, and those that lists give."
    )
    listed: bool = Field(description="Who is on no list any more is not written to.")
    created_at: Instant
    updated_at: Instant
    edited_at: Instant | None
    edited_by: UUID | None


@with_members(SHOWN)
class _SaidOut(EvidenceOut):
    """What one row of one list says of a person."""

    roster: str


class ContactEntryOut(_SaidOut):
    """What one row of one list says of a person, and where it came from."""

    import_id: UUID | None
    file_name: str
    row: int | None
    imported_by: UUID | None
    imported_at: Instant | None
    left_at: Instant | None = Field(description="Since when a newer list does not say so.")
    last_day: date | None = Field(
        description="To the end of which day, in China, it counts; null: as long as its list."
    )
    evidence_of: Literal["import", "roster"] | None = Field(
        description="Whether the consent was shown with the import or for the list as a whole."
    )


class FoundContactsOut(Out):
    """The persons of one number, one in a department at most."""

    phone: str = Field(description="Masked.")
    items: list[ContactOut]


class ContactDetail(ContactOut):
    """A person with the provenance of everything that is known."""

    entries: list[ContactEntryOut]


async def list_contacts(call: Call, query: ContactQuery) -> Page[ContactOut]:
    """List the persons whom your department holds, masked."""
    found = await store.list_contacts(
        call.conn,
        call.runtime.keyring,
        call.user.department_id,
        query.before,
        query.wanted,
        everywhere=call.user.scope is None,
        roster=query.roster,
        tag=query.tag,
    )
    names = await area_names(call.conn, (contact.area_code for contact in found))
    shown = [ContactOut(**_shown(contact, names)) for contact in found]
    return cut(Page[ContactOut], shown, query)


async def look_up_contacts(call: Call, body: ContactNumberBody) -> FoundContactsOut:
    """Find a person by number, masked; in all departments for the county, else in your own."""
    phone, keyring = parse_phone(body.phone), call.runtime.keyring
    phone_hash = keyring.phone_index(phone)
    await note_lookup(call, phone_hash, "人员查询 / whose number it is")
    found = await store.find_contacts(
        call.conn,
        keyring,
        call.user.department_id,
        phone_hash,
        everywhere=call.user.scope is None,
    )
    names = await area_names(call.conn, (contact.area_code for contact in found))
    items = [ContactOut(**_shown(contact, names)) for contact in found]
    return FoundContactsOut(phone=mask(phone), items=items)


async def create_contact(call: Call, body: ContactBody) -> ContactDetail:
    """Put a person on a list; the row is read by the rules of imports."""
    call.need_roster(body.roster)
    department_id = call.user.department_id
    known = await roster_store.get_roster(call.conn, department_id, body.roster)
    if known is None:
        check_evidence(body.basis or "duty", body.shown, day_in_china(call.now))
    tags = read_tags(body.tags)
    row = body.columns() | {"tags": ""}
    phone = parse_phone(row["phone"])
    check_is_name(row["name"])
    request = ImportRequest(
        department_id=department_id,
        user_id=call.user.id,
        roster=body.roster,
        file_name="",
        basis=known.basis if known else body.basis or "duty",
        expires_on=known.expires_on if known else body.expires_on,
        evidence=body.shown,
    )
    keyring = call.runtime.keyring
    made = await put_members(call.conn, keyring, request, [row], call.now)
    _check_taken(made.report["rejected"])
    contact = await store.find_contact(
        call.conn, keyring, department_id, keyring.phone_index(phone)
    )
    if contact is None:
        raise Invalid(
            phrase("the row gives no person"), fields={"phone": phrase("give one mobile number")}
        )
    if tags:
        await store.add_tags(call.conn, contact.id, tags, call.now)
    call.note("contacts", contact.id)
    return await _detail(call, contact.id)


async def get_contact(call: Call, contact_id: UUID) -> ContactDetail:
    """Show a person, masked, with where everything came from."""
    return await _detail(call, contact_id)


async def edit_contact(call: Call, contact_id: UUID, body: ContactPatch) -> ContactDetail:
    """Correct what is known of a person; lists do not change that any more."""
    await _visible(call, contact_id, lock=True)
    given = body.model_dump(exclude_unset=True)
    tags = given.pop("tags", None)
    if "name" in given:
        name = corrected_name(given.pop("name") or "")
        given["name_cipher"] = call.runtime.keyring.encrypt("name", name) if name else None
    await _check_area(call, given.get("area_code"))
    if tags is not None:
        await store.set_tags(call.conn, contact_id, read_tags(tags), call.now)
    await store.correct_contact(call.conn, contact_id, given, call.user.id, call.now)
    return await _detail(call, contact_id)


async def delete_contact(call: Call, contact_id: UUID) -> None:
    """Take a person off all lists of the department; what was sent stays in its reports."""
    await _visible(call, contact_id, lock=True)
    await store.remove_contacts(call.conn, [contact_id])


def _check_taken(rejected: dict[str, int]) -> None:
    for code in rejected:
        problem = REASONS.get(code, phrase("the row cannot be taken"))
        field = "wechat" if REJECTED_COLUMNS.get(code) == "wechat" else "phone"
        raise Invalid(phrase("this person cannot be stored"), fields={field: problem}, code=code)


async def _check_area(call: Call, code: str | None) -> None:
    if code is not None and code not in (await read_area_tree(call.conn)).areas:
        problem = phrase("there is no such area; GET /areas lists them, POST /areas makes one")
        raise Invalid(phrase("the area is not known"), fields={"area_code": problem})


async def _visible(call: Call, contact_id: UUID, *, lock: bool = False) -> Contact:
    found = await store.get_contact(
        call.conn,
        call.runtime.keyring,
        call.user.department_id,
        contact_id,
        everywhere=call.user.scope is None,
        lock=lock,
    )
    if found is None:
        raise NotFound(phrase("there is no such person on your department's lists"))
    return found


async def _detail(call: Call, contact_id: UUID) -> ContactDetail:
    contact = await _visible(call, contact_id)
    entries = await store.list_entries(call.conn, call.runtime.keyring, contact_id)
    names = await area_names(call.conn, [contact.area_code])
    return ContactDetail(**_shown(contact, names), entries=[_entry(entry) for entry in entries])


def _shown(contact: Contact, areas: Mapping[str, str]) -> dict[str, Any]:
    values = {
        name: getattr(contact, name) for name in ContactOut.model_fields if hasattr(contact, name)
    }
    return values | {
        "phone": mask(contact.phone),
        "name": masked_name(contact.name),
        "area_name": areas.get(contact.area_code or ""),
    }


def _entry(entry: RosterEntry) -> ContactEntryOut:
    values = {
        name: getattr(entry, name) for name in ContactEntryOut.model_fields if hasattr(entry, name)
    }
    for field in SHOWN_FIELDS:
        said = entry.said[field.code]
        values[field.code] = _masked(field, said) if field.encrypted else said
    return ContactEntryOut(**values)


def _masked(field: PersonField, said: str) -> str:
    return masked_wechat(said) if field.code == "wechat" else masked_name(said)


def masked_name(name: str) -> str:
    """A name as people may see it: its first character."""
    return name[:1] + "*" * (len(name) - 1)
