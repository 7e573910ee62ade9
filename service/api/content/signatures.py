"""Signatures of departments: listed, proposed by one administrator, confirmed by another."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts.departments.department import bare
from service.accounts.departments.department_store import (
    Registered,
    get_department,
    list_registered,
)
from service.accounts.people.proposals import WAITS
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.messages import signature_changes, signature_store
from service.messages.signature_store import SignatureProposal


class SignatureBody(Body):
    """A signature to be registered."""

    signature: Annotated[Line, StringConstraints(min_length=2, max_length=22)]


class SignatureOut(Out):
    """A signature of a department: registered, and bound to it for good; or waiting."""

    value: str
    department_id: UUID
    state: Literal["registered", "waiting"] = Field(
        description="`waiting`: for another administrator of the county; no text begins with it."
    )
    registered_at: Instant | None
    ended_at: Instant | None
    proposal_id: UUID | None = Field(description="Of one that waits: what is confirmed.")
    proposed_by: UUID | None
    proposed_at: Instant | None


def _registered(found: Registered) -> SignatureOut:
    return SignatureOut(
        **found._asdict(), state="registered", proposal_id=None, proposed_by=None, proposed_at=None
    )


def _waiting(found: SignatureProposal) -> SignatureOut:
    return SignatureOut(
        value=found.signature,
        department_id=found.department_id,
        state="waiting",
        registered_at=None,
        ended_at=None,
        proposal_id=found.id,
        proposed_by=found.proposed_by,
        proposed_at=found.proposed_at,
    )


async def list_signatures(call: Call, department_id: UUID) -> Page[SignatureOut]:
    """List the signatures of a department, and those that wait for a second person."""
    await get_department(call.conn, department_id, call.user.count_scope)
    registered = await list_registered(call.conn, "signature", department_id)
    since = call.now - WAITS
    waiting = await signature_store.list_waiting(call.conn, department_id, since)
    items = [*map(_registered, registered), *map(_waiting, waiting)]
    return Page[SignatureOut](items=items, next_cursor=None)


async def register_signature(call: Call, department_id: UUID, body: SignatureBody) -> SignatureOut:
    """Propose a signature of a department; another administrator of the county confirms it."""
    made = await signature_changes.propose(
        call.conn, call.user, department_id, body.signature, call.now
    )
    if made is not None:
        call.note("departments", department_id, proposal=str(made.id))
        return _waiting(made)
    found = await list_registered(call.conn, "signature", department_id)
    return next(_registered(one) for one in found if one.value == bare(body.signature))


async def confirm_signature(call: Call, department_id: UUID, proposal_id: UUID) -> SignatureOut:
    """Register a proposed signature, as the second person; nobody else gets it. For the county."""
    made = await signature_changes.confirm(
        call.conn, call.user, department_id, proposal_id, call.now
    )
    call.note("departments", department_id, proposal=str(proposal_id))
    return _registered(made)
