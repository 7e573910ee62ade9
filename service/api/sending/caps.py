"""Frequency caps over HTTP: what is in force, what was before, and a change by the county."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Line, Out, QueryString
from service.dispatch.limits import caps
from service.dispatch.limits.caps import CapLimits, Caps
from service.dispatch.limits.caps_store import KEPT
from service.errors import Forbidden
from service.ledger.message_class import RefusableClass
from service.words.phrase import phrase

Most = Annotated[Int, Field(ge=1, le=KEPT)]


class CapsQuery(QueryString):
    """What is in force, or all that ever was."""

    history: bool = Field(default=False, description="Everything that ever was, from new to old.")


class CapsBody(Body):
    """The caps of a class from now on; null: no such cap."""

    message_class: RefusableClass = Field(alias="class")
    per_day: Most | None = Field(description="In any 24 hours.")
    per_week: Most | None = Field(description="In any 7 days.")
    per_month: Most | None = Field(description="In any 30 days.")
    same_text: bool = Field(description="Whether the same text may come again within 30 days.")
    reason: Line = Field(description="Why; it is recorded.")


class CapsOut(Out):
    """How many texts of a class a person may get, from all departments together."""

    message_class: str = Field(alias="class")
    per_day: int | None
    per_week: int | None
    per_month: int | None
    same_text: bool
    reason: str
    set_by: UUID | None = Field(description="null: as delivered.")
    set_at: Instant


class CapsListOut(Out):
    """The caps by class; a class that is not there has none."""

    items: list[CapsOut]


async def list_caps(call: Call, query: CapsQuery) -> CapsListOut:
    """Show how many texts of each class a person may get."""
    found = await caps.list_caps(call.conn, history=query.history)
    return CapsListOut(items=[_shown(one) for one in found])


async def set_caps(call: Call, body: CapsBody) -> CapsOut:
    """Change the caps of a class for the whole county; the next hand-off follows them."""
    if not call.user.runs_the_county:
        raise Forbidden(
            phrase("the caps count for all departments: only the county's administrator may")
        )
    limits = CapLimits(body.per_day, body.per_week, body.per_month, body.same_text)
    by = call.by(body.reason)
    return _shown(await caps.set_caps(call.conn, body.message_class, limits, by))


def _shown(one: Caps) -> CapsOut:
    return CapsOut.model_validate(asdict(one) | asdict(one.limits))
