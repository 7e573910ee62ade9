"""Opt-outs in bulk that wait for a person, who lets them count or drops them."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.delivery.inbound import strays, strays_store


class HoldDecisionBody(Body):
    """Why."""

    reason: Line


class OptOutHoldOut(Out):
    """Opt-outs over one channel, of people who had no text over it; they stop nothing yet."""

    id: UUID
    channel_id: int
    channel: str = Field(description="Its name.")
    began_at: Instant
    last_at: Instant = Field(description="When the last of them was read.")
    texts: int
    people: int = Field(description="So many senders they name.")
    decision: Literal["count", "drop"] | None = Field(description="Null: they wait.")
    reason: str | None
    decided_by: UUID | None
    decided_at: Instant | None


async def list_holds(call: Call, query: PageQuery) -> Page[OptOutHoldOut]:
    """List opt-outs that were held because too many came from people who had no text from us."""
    found = (
        await strays_store.list_holds(call.conn, query.before, query.wanted)
        if call.user.scope is None
        else []
    )
    return cut(Page[OptOutHoldOut], found, query)


async def count_hold(call: Call, hold_id: UUID, body: HoldDecisionBody) -> OptOutHoldOut:
    """Let held opt-outs count: their senders get no publicity any more."""
    hold = await strays.decide(call.conn, call.user, hold_id, "count", body.reason, call.now)
    return OptOutHoldOut.model_validate(hold)


async def drop_hold(call: Call, hold_id: UUID, body: HoldDecisionBody) -> OptOutHoldOut:
    """Drop held opt-outs: they stop nothing."""
    hold = await strays.decide(call.conn, call.user, hold_id, "drop", body.reason, call.now)
    return OptOutHoldOut.model_validate(hold)
