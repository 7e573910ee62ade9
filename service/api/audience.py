"""Rosters, and numbers that are never sent to."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.api.call import Call
from service.api.paging import PageQuery, cut
from service.api.schema import Body, Instant, OptionalLine, Out, Page, Text
from service.audience import segment_store as store
from service.audience import terms_store
from service.audience.number import mask, parse_phone
from service.audience.rosters import day_in_china
from service.audience.suppression import stopped_classes
from service.errors import Invalid

MAX_PHONES = 1_000

MessageClass = Literal["public_interest", "service", "warning"]


class LatestOut(Out):
    """What an import changed of a roster's people."""

    import_id: UUID
    at: Instant
    added: int
    changed: int
    left: int


class RosterOut(Out):
    """An imported list."""

    id: UUID
    department_id: UUID
    name: str
    kind: Literal["department", "subscriber_base"] = Field(
        description="A carrier's subscribers are seen by nobody else; only counts leave them."
    )
    basis: str
    purpose: str
    evidence: str = Field(description="Where the consent is kept, if the basis is consent.")
    evidence_on: date | None
    expires_on: date
    expired: bool = Field(description="Past its last day: nobody is written to by it.")
    contacts: int = Field(description="How many people are on it now.")
    created_at: Instant
    confirmed_at: Instant | None = Field(description="When somebody said that it still holds.")
    confirmed_by: UUID | None
    latest: LatestOut | None = Field(description="The latest import that is in force.")


class SuppressionQuery(PageQuery):
    """Which suppressions: all, or those of one number."""

    phone: Text | None = Field(default=None, description="A number, in any usual form.")


class SuppressionBody(Body):
    """Numbers that are not to be sent to any more."""

    phone: Text | None = Field(
        default=None, description="One number, in any usual form; or `phones`."
    )
    phones: list[Text] = Field(default_factory=list, max_length=MAX_PHONES)
    reason: Literal["opted_out", "protected", "dead_number", "complaint"] = "opted_out"
    classes: list[MessageClass] | None = Field(
        default=None,
        min_length=1,
        description="What it stops. Left out: all, or what can be refused for opted_out.",
    )
    note: OptionalLine = ""
    expires_at: Instant | None = Field(default=None, description="Until when; null: for good.")

    @model_validator(mode="after")
    def _some_number(self) -> "SuppressionBody":
        if (self.phone is None) == (not self.phones):
            raise ValueError("give either phone or phones")
        return self

    @model_validator(mode="after")
    def _refusable(self) -> "SuppressionBody":
        if self.reason == "opted_out" and "warning" in (self.classes or ()):
            raise ValueError("nobody can opt out of warnings; give another reason or other classes")
        return self


class SuppressionOut(Out):
    """A number that is not sent texts of some classes; it is kept as a keyed hash only."""

    id: UUID
    reason: str
    classes: list[MessageClass]
    note: str
    created_by: UUID | None
    created_at: Instant
    expires_at: Instant | None


class NewSuppressionOut(SuppressionOut):
    """A suppression with the masked number it was asked for; `is_new`: it was not there before."""

    phone: str
    is_new: bool


class SuppressedOut(Out):
    """What became of a request to suppress numbers."""

    added: int
    items: list[NewSuppressionOut]


async def list_rosters(call: Call, query: PageQuery) -> Page[RosterOut]:
    """List the imported lists that you see."""
    found = await terms_store.list_rosters(
        call.conn, call.user.scope, query.before, query.wanted, day_in_china(call.now)
    )
    return cut(Page[RosterOut], found, query)


async def list_suppressions(call: Call, query: SuppressionQuery) -> Page[SuppressionOut]:
    """List the suppressions that your department made."""
    keyring = call.runtime.keyring
    phone_hash = keyring.phone_index(parse_phone(query.phone)) if query.phone else None
    found = await store.list_suppressions(
        call.conn, call.user.scope, query.before, query.wanted, phone_hash
    )
    return cut(Page[SuppressionOut], found, query)


async def create_suppressions(call: Call, body: SuppressionBody) -> SuppressedOut:
    """Stop classes of texts to numbers; after the answer, none of these is handed off any more."""
    if body.expires_at is not None and body.expires_at <= call.now:
        raise Invalid("the end has passed", fields={"expires_at": "give a later instant"})
    index = call.runtime.keyring.phone_index
    phones = {index(phone): phone for phone in _phones(body)}
    classes = list(dict.fromkeys(body.classes or stopped_classes(body.reason)))
    new = store.NewSuppression(body.reason, classes, body.note, call.user.id, body.expires_at)
    await store.lock_suppressions(call.conn)
    made = await store.insert_suppressions(call.conn, phones, new, call.now)
    items = [
        NewSuppressionOut(
            **SuppressionOut.model_validate(suppression).model_dump(),
            phone=mask(phones[phone_hash]),
            is_new=is_new,
        )
        for phone_hash, (suppression, is_new) in made.items()
    ]
    return SuppressedOut(added=sum(item.is_new for item in items), items=items)


async def delete_suppression(call: Call, suppression_id: UUID) -> None:
    """Lift a suppression."""
    await store.delete_suppression(call.conn, suppression_id, call.user.scope)


def _phones(body: SuppressionBody) -> list[str]:
    if body.phone is not None:
        return [parse_phone(body.phone)]
    return [parse_phone(phone, field=f"phones.{n}") for n, phone in enumerate(body.phones)]
