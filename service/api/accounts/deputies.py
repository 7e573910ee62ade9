"""Deputies of absent approvers, and the caller's own phone, to which tests and notices go."""

from uuid import UUID

from pydantic import Field

from service.accounts.keys.key import Mode
from service.accounts.people import deputies, deputies_store, phone_store
from service.accounts.people.deputies import NewDeputy
from service.api.accounts.notices import need_concerned
from service.api.http.call import Call, Counted
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.audience.numbers.number import mask, parse_phone
from service.dispatch.direct.own_phone import prove_phone, say_phone
from service.errors import Conflict, Forbidden, Invalid
from service.queue import Job
from service.words.phrase import phrase
from service.words.terms import term


class DeputyBody(Body):
    """Who stands in for whom; without `absent_id`, for the caller."""

    absent_id: UUID | None = None
    deputy_id: UUID
    starts_at: Instant
    ends_at: Instant
    reason: Line


class DeputyOut(Out):
    """Who stands in for whom, who said so, and who ended it early."""

    id: UUID
    absent_id: UUID
    deputy_id: UUID
    starts_at: Instant
    ends_at: Instant
    reason: str
    named_by: UUID
    named_at: Instant
    ended_by: UUID | None
    ended_at: Instant | None
    needs_second: bool = Field(
        description="Somebody else than the absent one named them: it counts once confirmed."
    )
    confirmed_by: UUID | None
    confirmed_at: Instant | None


class OwnPhoneBody(Body):
    """The caller's own phone, in any usual form; null takes it away."""

    phone: Line | None


class PhoneCodeBody(Body):
    """The code that was sent to the caller's own phone."""

    code: Line


class PhoneOut(Out):
    """The caller's own phone, masked."""

    phone: str | None = Field(description="Masked.")
    proved_at: Instant | None = Field(
        description="Since when a code has proved it; null: give the code that was sent to it."
    )


async def list_deputies(call: Call, query: PageQuery) -> Page[DeputyOut]:
    """List who stands in for whom, and who did."""
    found = await deputies_store.list_deputies(
        call.conn, call.user.scope, query.before, query.wanted
    )
    return cut(Page[DeputyOut], found, query)


async def name_deputy(call: Call, body: DeputyBody) -> DeputyOut:
    """Name who approves while an approver is away; for others, it waits for a second person."""
    new = NewDeputy(
        body.absent_id or call.user.id, body.deputy_id, body.starts_at, body.ends_at, body.reason
    )
    return DeputyOut.model_validate(await deputies.name(call.conn, call.user, new, call.now))


async def confirm_deputy(call: Call, deputy_id: UUID) -> DeputyOut:
    """Let a deputy stand in whom an administrator named, as the second person."""
    made = await deputies.confirm(call.conn, call.user, deputy_id, call.now)
    return DeputyOut.model_validate(made)


async def end_deputy(call: Call, deputy_id: UUID) -> DeputyOut:
    """End it before its time."""
    return DeputyOut.model_validate(await deputies.end(call.conn, call.user, deputy_id, call.now))


async def set_own_phone(call: Call, body: OwnPhoneBody) -> PhoneOut:
    """Say which phone is yours; a code is sent to it, then test-sends and notices."""
    need_concerned(call.user)
    if body.phone is None:
        await phone_store.set_phone(call.conn, call.user.id, None)
        return PhoneOut(phone=None, proved_at=None)
    if call.mode is not Mode.LIVE:
        raise Forbidden(
            phrase("a {mode} key sends no code to a phone; take a live one", mode=term(call.mode)),
            code="out_of_scope",
        )
    phone = parse_phone(body.phone)
    said = await say_phone(call.conn, call.runtime.keyring, call.user, phone, call.now)
    for channel_id in said.channels:
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    return PhoneOut(phone=mask(phone), proved_at=said.proved_at)


async def prove_own_phone(call: Call, body: PhoneCodeBody) -> PhoneOut:
    """Give the code that was sent to your phone; test-sends and notices go there from now on."""
    need_concerned(call.user)
    try:
        phone = await prove_phone(
            call.conn, call.runtime.keyring, call.user, body.code.strip(), call.now
        )
    except (Conflict, Invalid) as refusal:
        raise Counted(refusal) from refusal
    return PhoneOut(phone=mask(phone), proved_at=call.now)
