"""Deputies of absent approvers, and the caller's own phone, to which tests go."""

from uuid import UUID

from pydantic import Field

from service.accounts import deputies, deputies_store, phone_store
from service.accounts.deputies import NewDeputy
from service.api.call import Call
from service.api.paging import PageQuery, cut
from service.api.schema import Body, Instant, Line, Out, Page
from service.audience.number import mask, parse_phone


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


class PhoneBody(Body):
    """The caller's own phone, in any usual form; null takes it away."""

    phone: Line | None


class PhoneOut(Out):
    """The caller's own phone, masked."""

    phone: str | None = Field(description="Masked.")


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


async def set_own_phone(call: Call, body: PhoneBody) -> PhoneOut:
    """Say which phone is yours; test-sends go to it and nowhere else."""
    phone = parse_phone(body.phone) if body.phone is not None else None
    cipher = call.runtime.keyring.encrypt("phone", phone) if phone is not None else None
    await phone_store.set_phone(call.conn, call.user.id, cipher)
    return PhoneOut(phone=mask(phone) if phone is not None else None)
