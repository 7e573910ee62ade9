"""Chat groups over HTTP: registered, changed, handed over, listed, and as files."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    Body,
    Day,
    Instant,
    Int,
    Line,
    OptionalLine,
    Out,
    Page,
    Text,
)
from service.audience.areas.area_store import area_names
from service.audience.numbers.number import mask, parse_phone
from service.clock import day_in_china
from service.errors import Invalid
from service.relays.groups import (
    group_store,
    groups,
    ownerless,
    ownerless_store,
)
from service.relays.groups.group import (
    LONGEST_NAME,
    LONGEST_UNIT,
    MOST_MEMBERS,
    ChatGroup,
    GroupOwner,
    NewGroup,
    UnitKind,
    display_name,
)
from service.relays.groups.group_store import GroupsWanted
from service.relays.groups.groups import HandOver
from service.words.phrase import phrase

FILE_OCTETS = 4 * 1024 * 1024
MOST_IN_REGISTER = 5_000

GroupName = Annotated[Line, Field(max_length=LONGEST_NAME)]
GroupUnit = Annotated[OptionalLine, Field(max_length=LONGEST_UNIT)]
GroupMembers = Annotated[Int, Field(ge=0, le=MOST_MEMBERS)]


class GroupBody(Body):
    """A chat group, and whose it is."""

    name: GroupName
    unit_kind: UnitKind
    area: Line | None = Field(default=None, description="The code of where its members live.")
    unit: GroupUnit = Field(default="", description="The firm, school, college or office.")
    members: GroupMembers | None = None
    owner_contact_id: UUID | None = Field(
        default=None, description="A person on a list of yours that holds."
    )
    owner_phone: Text | None = Field(default=None, description="In its place: the number.")


class GroupPatch(Body):
    """What is to be changed; the rest stays. Null takes area, unit or members away."""

    name: GroupName | None = None
    unit_kind: UnitKind | None = None
    area: Line | None = None
    unit: GroupUnit | None = None
    members: GroupMembers | None = None
    state: Literal["closed"] | None = Field(
        default=None, description="Closes the group for good: it is in no relay any more."
    )


class GroupQuery(PageQuery):
    """Which groups."""

    state: Literal["active", "closed", "all"] = "active"
    ownerless: bool = Field(default=False, description="Whose owner is on no list any more.")
    area: Line | None = Field(default=None, description="That lie in this area, by its code.")
    unit_kind: UnitKind | None = None


class HandOverBody(Body):
    """To whom a group goes."""

    contact_id: UUID | None = Field(
        default=None, description="The new owner: a person on a list of yours that holds."
    )
    phone: Text | None = Field(default=None, description="In its place: the number.")
    effective_on: Day | None = Field(
        default=None,
        description="The day on the form; default: today. The group is handed over at once.",
    )
    reason: Annotated[Line, Field(max_length=200)] = Field(
        description="Why; it stands on the form. No phone number, no name."
    )


class GroupTextBody(Body):
    """Which template tells the liaison of groups without an owner; null: none."""

    template_id: UUID | None


class GroupOwnerOut(Out):
    """Who owned a group, from when until when. no: from 1 on."""

    no: int
    contact_id: UUID
    display_name: str | None = Field(
        description="What the owner is called in the group, masked: built from the lists, never"
        " typed. null: the person is on file no more."
    )
    phone: str | None = Field(description="Masked.")
    since: Instant
    until: Instant | None
    effective_on: date = Field(description="The day on the form.")
    reason: str
    set_by: UUID


class ChatGroupOut(Out):
    """A registered group, with its owner; of a closed one, the last."""

    id: UUID
    department_id: UUID
    name: str
    unit_kind: UnitKind
    area: str | None
    area_name: str | None
    unit: str
    members: int | None
    state: Literal["active", "closed"]
    owner: GroupOwnerOut
    ownerless_since: Instant | None = Field(
        description="Since when the owner is on no list any more: name another one."
    )
    told_run_id: UUID | None = Field(description="By which run the liaison was told of that.")
    untold: str = Field(
        description="Why the liaison was not told: no_text, no_liaison, or why no text could go."
    )
    made_by: UUID
    made_at: Instant
    closed_by: UUID | None
    closed_at: Instant | None


class GroupHistoryOut(Out):
    """Who has owned a group, from the first on, without a gap."""

    items: list[GroupOwnerOut]


class GroupTextOut(Out):
    """The text that tells the liaison. template_id: null: none, and nobody is told."""

    template_id: UUID | None
    name: str | None
    set_by: UUID | None
    set_at: Instant | None


async def list_groups(call: Call, query: GroupQuery) -> Page[ChatGroupOut]:
    """List the groups of your department, owners masked, the latest registered first."""
    wanted = GroupsWanted(
        call.user.scope, query.state, query.ownerless, query.area, query.unit_kind
    )
    found = await group_store.list_groups(
        call.conn, call.runtime.keyring, wanted, query.before, query.wanted
    )
    page = cut(Page[ChatGroup], found, query, key=lambda one: one.id)
    names = await area_names(call.conn, {one.area_code for one in page.items})
    items = [_shown(one, names) for one in page.items]
    return Page[ChatGroupOut](items=items, next_cursor=page.next_cursor)


async def register_group(call: Call, body: GroupBody) -> ChatGroupOut:
    """Register a chat group with its owner. From here on it has one owner at any instant."""
    new = NewGroup(body.name, body.unit_kind, body.area, body.unit, body.members)
    owner = await _person(call, body.owner_contact_id, body.owner_phone, "owner_")
    made = await groups.register(call.conn, call.user, new, owner, call.by(""))
    call.note("group", made, unit_kind=body.unit_kind.value)
    return await get_group(call, made)


async def get_group(call: Call, group_id: UUID) -> ChatGroupOut:
    """Show a group, its owner masked."""
    found = await groups.find(call.conn, call.runtime.keyring, call.user, group_id)
    return _shown(found, await area_names(call.conn, {found.area_code}))


async def edit_group(call: Call, group_id: UUID, body: GroupPatch) -> ChatGroupOut:
    """Change what a group is called, where it belongs, or close it. Its owner is handed over."""
    given = body.model_dump(exclude_unset=True)
    closes = given.pop("state", None) is not None
    for fact in ("name", "unit_kind"):
        if given.get(fact, "") is None:
            raise Invalid.at(fact, phrase("a group has one; leave it out to keep it"))
    if "area" in given:
        given["area_code"] = given.pop("area")
    if "unit" in given:
        given["unit"] = given["unit"] or ""
    await groups.change(
        call.conn,
        call.runtime.keyring,
        call.user,
        group_id,
        given,
        call.by(""),
        closes=closes,
    )
    call.note(changed=",".join(sorted(body.model_fields_set)))
    return await get_group(call, group_id)


async def hand_over_group(call: Call, group_id: UUID, body: HandOverBody) -> ChatGroupOut:
    """Give a group to another owner, at once; what was stays in its history."""
    person = await _person(call, body.contact_id, body.phone, "")
    to = HandOver(person, body.effective_on or day_in_china(call.now), body.reason)
    await groups.hand_over(
        call.conn, call.runtime.keyring, call.user, group_id, to, call.by(body.reason)
    )
    return await get_group(call, group_id)


async def list_group_history(call: Call, group_id: UUID) -> GroupHistoryOut:
    """List who has owned a group, from the first on, masked."""
    keyring = call.runtime.keyring
    found = await groups.find(call.conn, keyring, call.user, group_id)
    place = (await area_names(call.conn, {found.area_code})).get(found.area_code or "", "")
    owners = await group_store.list_owners(call.conn, keyring, group_id)
    return GroupHistoryOut(items=[_owner(one, place) for one in owners])


async def get_group_text(call: Call) -> GroupTextOut:
    """Show the text by which your liaison is told of groups without an owner."""
    found = await ownerless_store.chosen_text(call.conn, call.user.department_id)
    if found is None:
        return GroupTextOut(template_id=None, name=None, set_by=None, set_at=None)
    return GroupTextOut.model_validate(found)


async def choose_group_text(call: Call, body: GroupTextBody) -> GroupTextOut:
    """Choose an approved service template of yours that tells your liaison of such groups, or none.

    It may have the variables 单位, 群名 and 项数.
    """
    await ownerless.choose_text(call.conn, call.user, body.template_id, call.by(""))
    call.note("group_text", None, template_id=str(body.template_id))
    return await get_group_text(call)


async def _person(call: Call, contact_id: UUID | None, phone: str | None, of: str) -> UUID:
    """Who is named, by id or by number. of: what goes before both in the body."""
    if (contact_id is None) == (phone is None):
        raise Invalid.at(f"{of}phone", phrase("name the person by id or by number, one of both"))
    if contact_id is not None:
        return contact_id
    phone_hash = call.runtime.keyring.phone_index(parse_phone(phone or "", field=f"{of}phone"))
    return await groups.person_of(call.conn, call.user, phone_hash, f"{of}phone", call.now)


def _shown(found: ChatGroup, names: dict[str, str]) -> ChatGroupOut:
    place = names.get(found.area_code or "", "")
    values = found._asdict() | {
        "area": found.area_code,
        "area_name": place or None,
        "state": "active" if found.closed_at is None else "closed",
        "owner": _owner(found.owner, place),
    }
    return ChatGroupOut.model_validate(values)


def _owner(owner: GroupOwner, place: str) -> GroupOwnerOut:
    values = owner._asdict() | {
        "display_name": display_name(owner, place, in_full=False),
        "phone": None if owner.phone is None else mask(owner.phone),
    }
    return GroupOwnerOut.model_validate(values)
