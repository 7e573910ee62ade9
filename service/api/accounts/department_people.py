"""The liaison of a department and its leader in charge: who they are, and who they were."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator

from service.accounts.departments import department_store, duty_people_store
from service.accounts.departments.duty_people_store import (
    DUTIES,
    Duty,
    DutyPerson,
    PersonCiphers,
)
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page, Text
from service.audience.contacts.contact import check_is_name
from service.audience.numbers.number import mask, parse_phone
from service.crypto import Keyring
from service.errors import Forbidden, Invalid
from service.words.phrase import phrase


class DutyPersonBody(Body):
    """Somebody with a phone: typed, or one of the department's contacts."""

    name: Annotated[Line, Field(min_length=1)] | None = None
    phone: Text | None = Field(default=None, description="A mobile number in any usual form.")
    contact_id: UUID | None = Field(
        default=None, description="In place of both: a contact of that department."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "DutyPersonBody":
        typed = self.name is not None and self.phone is not None
        if typed == (self.contact_id is not None) or (
            not typed and (self.name is not None or self.phone is not None)
        ):
            raise ValueError(phrase("give a name and a phone, or a contact"))
        return self


class DepartmentPeopleBody(Body):
    """Who has which duty from now on; a duty that is left out stays as it is, null: nobody's."""

    liaison: DutyPersonBody | None = Field(
        default=None, description="Who is told what the department owes."
    )
    leader: DutyPersonBody | None = Field(
        default=None, description="The leader in charge, who is told when it is late."
    )


class DutyPersonOut(Out):
    """Somebody who has a duty, or had it. Null: erased, or not kept any more."""

    duty: Duty
    name: str | None
    phone: str | None = Field(description="Masked.")
    since: Instant
    until: Instant | None
    set_by: UUID


class DepartmentPeopleOut(Out):
    """A department's liaison and leader in charge."""

    items: list[DutyPersonOut]
    missing: list[Duty] = Field(description="Duties that are nobody's.")
    history: list[DutyPersonOut] = Field(description="Who had them before, the latest first.")
    may_set: bool = Field(description="Whether you may change them.")


class WithoutPeopleOut(Out):
    """A department of which a duty is nobody's."""

    id: UUID
    name: str
    kind: str
    missing: list[Duty]


async def get_people(call: Call, department_id: UUID) -> DepartmentPeopleOut:
    """Show a department's liaison and leader in charge, and who they were."""
    await department_store.get_department(call.conn, department_id, call.user.count_scope)
    return await _shown(call, department_id)


async def set_people(
    call: Call, department_id: UUID, body: DepartmentPeopleBody
) -> DepartmentPeopleOut:
    """Name a department's liaison and leader in charge; those who were are kept."""
    await department_store.get_department(
        call.conn, department_id, call.user.count_scope, lock=True
    )
    if not _may_set(call, department_id):
        raise Forbidden(
            phrase("a department's people are named by its own administrator, or the county's")
        )
    known = await duty_people_store.on_duty(call.conn, department_id)
    named: dict[Duty, PersonCiphers | None] = {
        duty: await _person(call, department_id, duty, getattr(body, duty))
        for duty in DUTIES
        if duty in body.model_fields_set
    }
    hashes = {duty: person.phone_hash for duty, person in known.items()}
    hashes |= {duty: person and person.phone_hash for duty, person in named.items()}
    if hashes.get("liaison") is not None and hashes.get("liaison") == hashes.get("leader"):
        raise Invalid.at(
            "leader.phone",
            phrase(
                "this is the liaison's number: the leader in charge is told when the liaison is"
                " late, and is somebody else"
            ),
        )
    changed = [
        duty
        for duty, person in named.items()
        if not _same(call.runtime.keyring, known.get(duty), person)
    ]
    for duty in changed:
        await duty_people_store.end_duty(call.conn, department_id, duty, call.now)
        if (person := named[duty]) is not None:
            await duty_people_store.begin_duty(
                call.conn, department_id, duty, person, (call.user.id, call.now)
            )
    call.note("departments", department_id, changed=",".join(changed))
    return await _shown(call, department_id)


async def list_without_people(call: Call, query: PageQuery) -> Page[WithoutPeopleOut]:
    """List the departments that you see of which the liaison or the leader in charge is nobody."""
    found = await duty_people_store.without_people(
        call.conn, call.user.count_scope, query.before, query.wanted
    )
    return cut(
        Page[WithoutPeopleOut], [WithoutPeopleOut.model_validate(one) for one in found], query
    )


def _may_set(call: Call, department_id: UUID) -> bool:
    return call.user.runs_the_county or call.user.department_id == department_id


async def _person(
    call: Call, department_id: UUID, duty: Duty, given: DutyPersonBody | None
) -> PersonCiphers | None:
    if given is None:
        return None
    keyring = call.runtime.keyring
    if given.contact_id is not None:
        found = await duty_people_store.find_contact(call.conn, given.contact_id, department_id)
        if found is None or found[0] is None:
            raise Invalid.at(
                f"{duty}.contact_id", phrase("the department has no such contact with a name")
            )
        return PersonCiphers(found[0], found[1], found[2])
    name, phone = given.name or "", given.phone or ""
    try:
        check_is_name(name)
    except Invalid as error:
        raise Invalid.at(f"{duty}.name", error.message) from error
    try:
        number = parse_phone(phone)
    except Invalid as error:
        raise Invalid.at(f"{duty}.phone", error.message) from error
    return PersonCiphers(
        keyring.encrypt("name", name), keyring.encrypt("phone", number), keyring.phone_index(number)
    )


def _same(keyring: Keyring, known: DutyPerson | None, named: PersonCiphers | None) -> bool:
    """Whether a duty stays with whom it is."""
    if known is None or named is None:
        return known is None and named is None
    return (
        known.phone_hash == named.phone_hash
        and known.name_cipher is not None
        and (
            keyring.decrypt("name", known.name_cipher) == keyring.decrypt("name", named.name_cipher)
        )
    )


async def _shown(call: Call, department_id: UUID) -> DepartmentPeopleOut:
    keyring = call.runtime.keyring
    known = await duty_people_store.on_duty(call.conn, department_id)
    before = await duty_people_store.former(call.conn, department_id)
    return DepartmentPeopleOut(
        items=[_out(keyring, known[duty]) for duty in DUTIES if duty in known],
        missing=[duty for duty in DUTIES if duty not in known],
        history=[_out(keyring, one) for one in before],
        may_set=_may_set(call, department_id),
    )


def _out(keyring: Keyring, person: DutyPerson) -> DutyPersonOut:
    name, phone = person.name_cipher, person.phone_cipher
    return DutyPersonOut(
        duty=person.duty,
        name=None if name is None else keyring.decrypt("name", name),
        phone=None if phone is None else mask(keyring.decrypt("phone", phone)),
        since=person.since,
        until=person.until,
        set_by=person.set_by,
    )
