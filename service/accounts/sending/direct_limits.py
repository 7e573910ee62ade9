"""How many people a department may send to directly: one person proposes, another confirms.

A direct send has no second person of its own, so this number is what keeps it from going round one
(see `dispatch.direct_send`). Both are administrators of a county.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.accounts.departments import department_store
from service.accounts.manage import need_the_county
from service.accounts.people.model import User
from service.accounts.people.proposals import need_pending
from service.accounts.people.second_person import need_second_person
from service.accounts.sending import direct_limit_store
from service.accounts.sending.direct_limit_store import LimitProposal
from service.storage.postgres import Connection
from service.words.phrase import phrase

_WHAT = phrase("set how many people are sent to directly")


@dataclass(frozen=True, slots=True)
class NewLimit:
    """A limit to be proposed. people: in 24 hours, of each key."""

    department_id: UUID
    people: int
    reason: str


async def propose(conn: Connection, actor: User, new: NewLimit, now: datetime) -> LimitProposal:
    """Propose a limit, in place of a proposal that waits; nothing changes yet.

    Raises:
        Forbidden: the actor does not run the county.
        NotFound: there is no such department.
    """
    need_the_county(actor, _WHAT)
    await department_store.get_department(conn, new.department_id, None, lock=True)
    await direct_limit_store.replace_waiting(conn, new.department_id, now)
    return await direct_limit_store.insert_proposal(
        conn, new.department_id, new.people, new.reason, actor.id, now
    )


async def confirm(
    conn: Connection, actor: User, department_id: UUID, proposal_id: UUID, now: datetime
) -> LimitProposal:
    """Put a proposed limit in force, as the second person; the next direct send is held to it.

    Raises:
        Forbidden: the actor does not run the county, or counts as who proposed it.
        NotFound: the department has no such proposal.
        Conflict: it does not wait (any more).
    """
    need_the_county(actor, _WHAT)
    await department_store.get_department(conn, department_id, None, lock=True)
    found = await direct_limit_store.get_proposal(conn, department_id, proposal_id)
    need_pending(found, now)
    await need_second_person(
        conn, actor, {found.proposed_by: phrase("proposed this limit")}, phrase("confirm it"), now
    )
    return await direct_limit_store.put_in_force(conn, found, actor.id, now)
