"""Rosters."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.api.audience.consent import EvidenceOut
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Instant, Out, Page
from service.audience.rosters import roster_store
from service.audience.rosters.rosters import day_in_china
from service.errors import NotFound


class LatestOut(Out):
    """What an import changed of a roster's people."""

    import_id: UUID
    at: Instant
    added: int
    changed: int
    left: int


class RosterOut(EvidenceOut):
    """An imported list."""

    id: UUID
    department_id: UUID
    name: str
    kind: Literal["department", "subscriber_base"] = Field(
        description="A carrier's subscribers are seen by nobody else; only counts leave them."
    )
    basis: str
    purpose: str
    expires_on: date
    expired: bool = Field(description="Past its last day: nobody is written to by it.")
    contacts: int = Field(description="How many people are on it now.")
    unshown: int = Field(
        description="Of them, how many by a consent that nothing shows, neither of the list nor of"
        " their import or row."
    )
    created_at: Instant
    confirmed_at: Instant | None = Field(description="When somebody said that it still holds.")
    confirmed_by: UUID | None
    latest: LatestOut | None = Field(description="The latest import that is in force.")


async def get_roster(call: Call, name: str) -> RosterOut:
    """Show a list of your department."""
    found = await roster_store.list_rosters(
        call.conn, call.user.department_id, None, 1, day_in_china(call.now), name=name
    )
    if not found:
        raise NotFound("your department has no list of this name")
    return RosterOut.model_validate(found[0])


async def list_rosters(call: Call, query: PageQuery) -> Page[RosterOut]:
    """List the imported lists that you see."""
    found = await roster_store.list_rosters(
        call.conn, call.user.scope, query.before, query.wanted, day_in_china(call.now)
    )
    return cut(Page[RosterOut], found, query)
