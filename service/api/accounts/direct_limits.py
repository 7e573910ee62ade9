"""The limit of a department's direct sends: proposed by one person, confirmed by another."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from service.accounts.departments import department_store
from service.accounts.people.proposals import ProposalState, state_of
from service.accounts.sending import direct_limit_store, direct_limits
from service.accounts.sending.direct_limit_store import LimitProposal
from service.accounts.sending.direct_limits import NewLimit
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Int, Line, Out, Page

MOST_PEOPLE = 50_000
"""More than that takes a campaign in any case: its approver has it on the own phone first."""


class LimitBody(Body):
    """How many people each key of the department may send to in 24 hours, and why."""

    limit: Annotated[Int, Field(ge=0, le=MOST_PEOPLE)]
    reason: Line


class LimitOut(Out):
    """A limit that was proposed, and what became of it; `confirmed`: it came into force then."""

    id: UUID
    department_id: UUID
    limit: int
    reason: str
    state: ProposalState
    proposed_by: UUID
    proposed_at: Instant
    confirmed_by: UUID | None
    confirmed_at: Instant | None

    @classmethod
    def of(cls, proposal: LimitProposal, call: Call) -> Self:
        """What is shown of a proposal."""
        state = state_of(proposal, call.now)
        return cls.model_validate(proposal._asdict() | {"limit": proposal.people, "state": state})


async def list_limits(call: Call, department_id: UUID, query: PageQuery) -> Page[LimitOut]:
    """List the limits of a department's direct sends, proposed and in force, from new to old."""
    await department_store.get_department(call.conn, department_id, call.user.count_scope)
    found = await direct_limit_store.list_proposals(
        call.conn, department_id, query.before, query.wanted
    )
    return cut(Page[LimitOut], [LimitOut.of(item, call) for item in found], query)


async def propose_limit(call: Call, department_id: UUID, body: LimitBody) -> LimitOut:
    """Propose how many people are sent to directly; somebody else confirms it. For the county."""
    new = NewLimit(department_id, body.limit, body.reason)
    made = await direct_limits.propose(call.conn, call.user, new, call.now)
    call.note("departments", department_id, proposal=str(made.id), limit=made.people)
    return LimitOut.of(made, call)


async def confirm_limit(call: Call, department_id: UUID, proposal_id: UUID) -> LimitOut:
    """Put a proposed limit in force, as the second person. For the county."""
    made = await direct_limits.confirm(call.conn, call.user, department_id, proposal_id, call.now)
    call.note("departments", department_id, proposal=str(made.id), limit=made.people)
    return LimitOut.of(made, call)
