"""Posts of lists over HTTP: who has each, handed over, with history and form."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.accounts.departments.department_store import get_department
from service.api.documents import downloaded
from service.api.http.call import Call, Download
from service.api.http.schema import Body, Day, Instant, Line, OptionalLine, Out, QueryString, Text
from service.api.relays.group_files import HandOverFormBody
from service.audience.areas.area_store import area_names
from service.audience.numbers.number import mask, parse_phone
from service.clock import day_in_china
from service.errors import Invalid
from service.relays.groups.group import masked
from service.relays.posts import post_documents, posts
from service.relays.posts.post import (
    LONGEST_REASON,
    LONGEST_UNIT,
    ListedPerson,
    Post,
    PostHolder,
    PostState,
)
from service.relays.posts.posts import MOST_POSTS, PostHandOver
from service.words.phrase import phrase

PostRole = Literal["liaison", "leader", "teacher", "counsellor", "class_monitor", "principal"]
PostUnit = Annotated[Text, Field(min_length=1, max_length=LONGEST_UNIT)]


class PostQuery(QueryString):
    """Which posts of the list."""

    role: PostRole | None = None
    unit: PostUnit | None = Field(default=None, description="Of this unit or class alone.")


class PostHandOverBody(Body):
    """Which post of the list goes to whom."""

    role: PostRole
    unit: PostUnit = Field(
        description="The unit or class, as the list says it: school, college, firm, office, grade"
        " and class; where it names none, the code of the place."
    )
    contact_id: UUID | None = Field(
        default=None, description="Who takes it over: a person on a list of yours that holds."
    )
    phone: Text | None = Field(default=None, description="In its place: the number.")
    effective_on: Day | None = Field(
        default=None,
        description="The day on the form; default: today. The post is handed over at once.",
    )
    reason: Annotated[Line, Field(max_length=LONGEST_REASON)] = Field(
        description="Why; it stands on the form. No phone number, no name."
    )
    told: Annotated[OptionalLine, Field(max_length=LONGEST_REASON)] = Field(
        default="", description="Who was told of it, such as offices; it stands on the form."
    )


class PostPersonOut(Out):
    """Somebody who has a post, masked. null: on file no more."""

    contact_id: UUID
    name: str | None = Field(description="Masked.")
    phone: str | None = Field(description="Masked.")


class PostHolderOut(PostPersonOut):
    """Who held a post, from when until when. no: from 1 on."""

    no: int
    since: Instant
    until: Instant | None
    effective_on: date = Field(description="The day on the form.")
    reason: str = Field(description="listed: the list named this person.")
    told: str
    answers_for: list[UUID] = Field(
        description="The departments whose liaison or leader in charge this person became with it."
    )
    set_by: UUID


class PostOut(Out):
    """A post that a list names somebody for, or that was handed over."""

    id: UUID | None = Field(description="null: it was never handed over.")
    role: str
    unit: str
    unit_name: str = Field(description="The name of the place, where the unit is one.")
    state: PostState = Field(
        description="held: whom it was handed to; listed: whom the list names; vacant: whom it was"
        " handed to is off the list, or on none that holds; named_anew: a list after the hand-over"
        " names somebody else; shared: the list names several."
    )
    person: PostPersonOut | None = Field(description="Who has it now; null: nobody, or several.")
    holder: PostHolderOut | None = Field(description="Whom it was handed to last.")
    listed: list[PostPersonOut] = Field(
        description="Whom the list names, without those who handed it over."
    )


class PostsOut(Out):
    """The posts of a list, by role and unit."""

    items: list[PostOut]
    more: bool = Field(description=f"There are more than {MOST_POSTS}: name role or unit.")


class PostHistoryOut(Out):
    """Who has held a post, from the first on, without a gap."""

    items: list[PostHolderOut]


async def list_posts(call: Call, name: str, query: PostQuery) -> PostsOut:
    """List the posts of a list of your department, masked: who has each, and since when."""
    found = await posts.list_posts(
        call.conn, call.runtime.keyring, call.user, name, query.role, query.unit, call.now
    )
    shown = found[:MOST_POSTS]
    names = await area_names(call.conn, {one.area_code for one in shown})
    return PostsOut(items=[_shown(one, names) for one in shown], more=len(found) > MOST_POSTS)


async def hand_over_post(call: Call, name: str, body: PostHandOverBody) -> PostOut:
    """Give a post of a list to another person, at once; what was stays in its history.

    Relays begun from now on, and reminders of what departments owe, go to the new one.
    """
    to = PostHandOver(
        name,
        body.role,
        body.unit,
        await _person(call, body),
        body.effective_on or day_in_china(call.now),
        body.reason,
        body.told,
    )
    found = await posts.hand_over(
        call.conn, call.runtime.keyring, call.user, to, call.by(body.reason)
    )
    call.note("posts", found.id, role=body.role)
    return _shown(found, await area_names(call.conn, {found.area_code}))


async def list_post_history(call: Call, name: str, post_id: UUID) -> PostHistoryOut:
    """List who has held a post, from the first on, masked."""
    found = await posts.list_history(call.conn, call.runtime.keyring, call.user, name, post_id)
    return PostHistoryOut(items=[_holder(one) for one in found])


async def take_post_form(
    call: Call, name: str, post_id: UUID, no: int, body: HandOverFormBody
) -> Download:
    """Take the form of a hand-over: both persons in full, day, reason, two lines to sign on.

    no: of the new holder in the history. That you saw both is noted for each of them.
    """
    (role, unit), old, new = await posts.take_form(
        call.conn, call.runtime.keyring, call.user, name, post_id, no, call.by("")
    )
    call.note("posts", post_id, no=no)
    names = await area_names(call.conn, [unit])
    departments = [
        (await get_department(call.conn, one, None)).name
        for one in (call.user.department_id, *new.answers_for)
    ]
    post = role, names.get(unit, unit)
    made = post_documents.post_form(post, name, old, new, departments, body.language)
    return await downloaded(call, made, body.format, "post-hand-over")


async def _person(call: Call, body: PostHandOverBody) -> UUID:
    if (body.contact_id is None) == (body.phone is None):
        raise Invalid.at("phone", phrase("name the person by id or by number, one of both"))
    if body.contact_id is not None:
        return body.contact_id
    phone_hash = call.runtime.keyring.phone_index(parse_phone(body.phone or "", field="phone"))
    return await posts.person_of(call.conn, call.user, phone_hash, "phone", call.now)


def _shown(post: Post, names: dict[str, str]) -> PostOut:
    return PostOut(
        id=post.id,
        role=post.role,
        unit=post.unit,
        unit_name=names.get(post.unit, post.unit),
        state=post.state,
        person=None if post.person is None else _masked(post.person),
        holder=None if post.holder is None else _holder(post.holder),
        listed=[_masked(one) for one in post.listed],
    )


def _masked(person: PostHolder | ListedPerson) -> PostPersonOut:
    return PostPersonOut(
        contact_id=person.contact_id,
        name=None if person.name is None else masked(person.name),
        phone=None if person.phone is None else mask(person.phone),
    )


def _holder(holder: PostHolder) -> PostHolderOut:
    values = holder._asdict() | _masked(holder).model_dump()
    return PostHolderOut.model_validate(values)
