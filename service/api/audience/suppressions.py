"""Numbers that are never sent to: entered, listed, taken from a file, given out, lifted."""

import asyncio
from collections.abc import Collection
from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.accounts.departments.department_store import get_department
from service.accounts.long_acts.long_act import LongProgress
from service.api.audience.people import note_lookup
from service.api.audience.suppression_entries import SuppressionEntryOut, entry_out
from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.problems import TooLarge
from service.api.http.schema import Body, Instant, Line, OptionalLine, Out, Page, Text
from service.api.http.upload import Upload
from service.audience.numbers.number import mask, parse_phone, to_e164
from service.audience.numbers.prefix import packaged_prefixes
from service.audience.suppressions import suppression_store as store
from service.audience.suppressions.suppression import (
    OptOuts,
    add_suppressions,
    check_new,
    encrypted_note,
    read_optouts,
    stopped_classes,
    suppressions_csv,
    whose_notices,
    with_note,
)
from service.audience.suppressions.suppression_entries import bounds_of, write_down
from service.audience.suppressions.suppression_entry_store import SuppressionEntry
from service.audience.suppressions.suppression_store import NewSuppression, SuppressionFilter
from service.errors import Invalid, NotFound
from service.ledger.message_class import WARNING, MessageClass
from service.storage.locks import lock_suppressions
from service.words.phrase import phrase

MAX_PHONES = 1_000
MAX_REJECTED = 1_000
MOST_OF_ONE = 1_000
"""More departments than that do not stop their notices to one number."""
LIST_OCTETS = 4 * 1024 * 1024

SuppressionReason = Literal["opted_out", "protected", "dead_number", "complaint"]


_WHOSE = "Whose work notices alone (class service) it stops; publicity stops for the whole county."


class SuppressionQuery(PageQuery):
    """Which suppressions: all, or those for one reason, of one class, of one's notices."""

    reason: SuppressionReason | None = None
    message_class: MessageClass | None = Field(
        default=None, alias="class", description="Those that stop texts of this class."
    )
    department_id: UUID | None = Field(default=None, description=_WHOSE)
    in_force: bool = Field(default=False, description="Without those whose end has passed.")


class _Terms(Body):
    reason: SuppressionReason = "opted_out"
    classes: list[MessageClass] | None = Field(
        default=None,
        min_length=1,
        description="What it stops. Left out: all, or what can be refused for opted_out; the work"
        " notices alone where a department is named.",
    )
    department_id: UUID | None = Field(
        default=None,
        description=f"{_WHOSE} Left out: your department's; for an administrator of a county,"
        " everybody's.",
    )
    owner: OptionalLine = Field(
        default="",
        description="Who answers for a protected number. Left out: your department.",
    )
    note: OptionalLine = ""
    expires_at: Instant | None = Field(default=None, description="Until when; null: for good.")

    @model_validator(mode="after")
    def _refusable(self) -> "_Terms":
        if self.reason == "opted_out" and WARNING in (self.classes or ()):
            raise ValueError(
                phrase("nobody can opt out of warnings; give another reason or other classes")
            )
        return self


class SuppressionBody(_Terms):
    """Numbers that are not to be sent to any more."""

    phone: Text | None = Field(
        default=None, description="One number, in any usual form; or `phones`."
    )
    phones: list[Text] = Field(default_factory=list, max_length=MAX_PHONES)

    @model_validator(mode="after")
    def _some_number(self) -> "SuppressionBody":
        if (self.phone is None) == (not self.phones):
            raise ValueError(phrase("give either phone or phones"))
        return self


class SuppressionListForm(Body):
    """What is said of a file with a column of numbers (手机号); its other columns do not matter."""

    reason: SuppressionReason = "opted_out"
    department_id: UUID | None = Field(
        default=None,
        description=f"{_WHOSE} Then the list stops nothing else. Left out: as for single numbers.",
    )
    owner: OptionalLine = Field(
        default="",
        description="Who answers for protected numbers. Left out: your department.",
    )
    note: OptionalLine = Field(default="", description="Where the list comes from.")
    expires_at: Instant | None = Field(default=None, description="Until when; null: for good.")
    encoding: Line | None = Field(default=None, description="Of the file; default: found out.")


class SuppressionExportBody(Body):
    """Why the list is given out, and which part of it."""

    why: Line = Field(description="It is recorded.")
    reason: SuppressionReason | None = None
    in_force: bool = Field(default=True, description="Without those whose end has passed.")


class SuppressionOut(Out):
    """A number that is not sent texts of some classes; it is kept as a keyed hash only."""

    id: UUID
    reason: str
    classes: list[MessageClass]
    owner: str
    source: Literal["person", "list", "reply", "receipts"]
    note: str
    created_by: UUID | None
    created_at: Instant
    expires_at: Instant | None
    department_id: UUID | None = Field(description=f"{_WHOSE} null: everybody's.")
    department: str | None = Field(description="Its name.")


class NumberBody(Body):
    """A number."""

    phone: Text = Field(description="In any usual form.")


class NumberOut(Out):
    """What is stopped to a number, one item for each reason and department."""

    phone: str = Field(description="Masked.")
    items: list[SuppressionOut]


class NewSuppressionOut(SuppressionOut):
    """A suppression with the masked number it was asked for; `is_new`: it was not there before."""

    phone: str
    is_new: bool


_WAITS = "So many numbers that they wait for a second person of the county; else null."


class SuppressedOut(Out):
    """What became of a request to suppress numbers: they are stopped, or all of it waits."""

    added: int
    items: list[NewSuppressionOut]
    waiting: SuppressionEntryOut | None = Field(description=_WAITS)


class RefusedRowOut(Out):
    """A row of a list without a number that can be used, by its place in the file."""

    sheet: str
    row: int
    reason: str
    value: str = Field(description="Masked.")


class SuppressionListOut(Out):
    """What became of a list: numbers = added + known, and those of what waits; rejected rows have
    no usable number.
    """

    numbers: int
    added: int
    known: int
    rejected: int
    rows: list[RefusedRowOut] = Field(description="The first of the rejected rows.")
    waiting: SuppressionEntryOut | None = Field(description=_WAITS)


async def list_suppressions(call: Call, query: SuppressionQuery) -> Page[SuppressionOut]:
    """List the suppressions that your department made, and those of its own work notices."""
    which = SuppressionFilter(
        call.user.scope,
        reason=query.reason,
        message_class=query.message_class,
        department_id=query.department_id,
        in_force_at=call.now if query.in_force else None,
    )
    found = await store.list_suppressions(call.conn, which, query.before, query.wanted)
    return cut(Page[SuppressionOut], [with_note(call.runtime.keyring, s) for s in found], query)


async def look_up_suppressions(call: Call, body: NumberBody) -> NumberOut:
    """Say what your department stopped to one number: it stands in no address, and so in no log."""
    phone, keyring = parse_phone(body.phone), call.runtime.keyring
    phone_hash = keyring.phone_index(phone)
    await note_lookup(call, phone_hash, "禁发查询 / what is stopped to a number")
    which = SuppressionFilter(call.user.scope, phone_hash)
    found = await store.list_suppressions(call.conn, which, None, MOST_OF_ONE)
    items = [SuppressionOut.model_validate(with_note(keyring, s)) for s in found]
    return NumberOut(phone=mask(phone), items=items)


async def create_suppressions(call: Call, body: SuppressionBody) -> SuppressedOut:
    """Stop classes of texts to numbers; after the answer, none of these is handed off any more.
    Many that no department may write to any more wait for a second person (`waiting`).
    """
    keyring = call.runtime.keyring
    phones = {keyring.phone_index(phone): phone for phone in _phones(body)}
    classes = body.classes or stopped_classes(body.reason, body.department_id)
    whose = whose_notices(call.user, body.reason, classes, body.department_id)
    new = NewSuppression(
        reason=body.reason,
        classes=list(dict.fromkeys(classes)),
        note_cipher=encrypted_note(keyring, body.note),
        created_by=call.user.id,
        expires_at=body.expires_at,
        owner=await _owner(call, body.reason, body.owner),
        department_id=await _existing(call, whose),
    )
    check_new(new, call.now)
    new, waiting = await _written_down(call, phones.keys(), new)
    if waiting is not None:
        call.note("suppression_entries", waiting.id, held=waiting.numbers)
        return SuppressedOut(added=0, items=[], waiting=entry_out(keyring, waiting))
    made = await store.insert_suppressions(call.conn, phones, new, call.now)
    items = [
        NewSuppressionOut(
            **SuppressionOut.model_validate(with_note(keyring, suppression)).model_dump(),
            phone=mask(phones[phone_hash]),
            is_new=is_new,
        )
        for phone_hash, (suppression, is_new) in made.items()
    ]
    await lock_suppressions(call.conn)
    return SuppressedOut(added=sum(item.is_new for item in items), items=items, waiting=None)


async def read_list(body: SuppressionListForm, file: Upload) -> OptOuts:
    """The numbers of a file.

    Raises:
        TooLarge, FileRefused: it is larger than is read while a request waits, or cannot be read.
    """
    if file.size > LIST_OCTETS:
        raise TooLarge(
            phrase(
                "the list is larger than {list_octets:,} octets; split it into several",
                list_octets=LIST_OCTETS,
            )
        )
    pieces = [piece async for piece in file.chunks()]
    return await asyncio.to_thread(
        read_optouts, lambda: pieces, packaged_prefixes(), encoding=body.encoding
    )


async def import_suppressions(
    call: Call, body: SuppressionListForm, file: Upload, listed: OptOuts
) -> SuppressionListOut:
    """Stop texts to all numbers of a file, at once or, as with single ones, by a second person."""
    keyring = call.runtime.keyring
    classes = stopped_classes(body.reason, body.department_id)
    whose = whose_notices(call.user, body.reason, classes, body.department_id)
    new = NewSuppression(
        reason=body.reason,
        classes=classes,
        note_cipher=encrypted_note(keyring, body.note),
        created_by=call.user.id,
        expires_at=body.expires_at,
        owner=await _owner(call, body.reason, body.owner),
        source="list",
        department_id=await _existing(call, whose),
    )
    check_new(new, call.now)
    hashes = {keyring.phone_index(to_e164(phone)) for phone in listed.phones}
    new, waiting = await _written_down(call, hashes, new)
    held = waiting.numbers if waiting else 0
    added = 0
    if waiting is None:
        added = (await add_suppressions(call.conn, keyring, listed.phones, new, call.now)).added
    else:
        call.note("suppression_entries", waiting.id, held=held)
    call.note(numbers=len(hashes), added=added, file_sha256=file.sha256)
    return SuppressionListOut(
        numbers=len(hashes),
        added=added,
        known=len(hashes) - added - held,
        rejected=len(listed.rejected),
        rows=[
            RefusedRowOut(sheet=r.sheet, row=r.row, reason=r.code, value=r.masked)
            for r in listed.rejected[:MAX_REJECTED]
        ],
        waiting=entry_out(keyring, waiting) if waiting else None,
    )


async def export_suppressions(call: Call, body: SuppressionExportBody) -> Download:
    """Download what `GET /suppressions` lists; the keyed hash stands for the number."""
    which = SuppressionFilter(
        call.user.scope, reason=body.reason, in_force_at=call.now if body.in_force else None
    )
    count = await store.count_suppressions(call.conn, which)
    export = await store.insert_export(call.conn, call.user.id, body.why, count, call.now)
    call.note("suppression_exports", export, suppressions=count)
    runtime = call.runtime
    lines = suppressions_csv(call.conn, runtime.keyring, which, runtime.settings.zone)
    return Download("text/csv", "suppressions.csv", lines, progress=LongProgress(total=count + 1))


async def delete_suppression(call: Call, suppression_id: UUID) -> None:
    """Lift a suppression."""
    await store.delete_suppression(call.conn, suppression_id, call.user.scope)


async def _written_down(
    call: Call, hashes: Collection[bytes], new: NewSuppression
) -> tuple[NewSuppression, SuppressionEntry | None]:
    bounds = bounds_of(call.runtime.settings)
    return await write_down(call.conn, call.user, hashes, new, bounds, call.now)


async def _existing(call: Call, department_id: UUID | None) -> UUID | None:
    """The department, if there is one of this id."""
    if department_id is not None and department_id != call.user.department_id:
        try:
            await get_department(call.conn, department_id, None)
        except NotFound as error:
            problem = phrase("there is no such department")
            raise Invalid(
                phrase("department_id: {problem}", problem=problem),
                fields={"department_id": problem},
            ) from error
    return department_id


async def _owner(call: Call, reason: str, owner: str) -> str:
    """Who answers for a protected number: nobody is protected without anybody's name."""
    if owner or reason != "protected":
        return owner
    return await store.department_name(call.conn, call.user.department_id)


def _phones(body: SuppressionBody) -> list[str]:
    if body.phone is not None:
        return [parse_phone(body.phone)]
    return [parse_phone(phone, field=f"phones.{n}") for n, phone in enumerate(body.phones)]
