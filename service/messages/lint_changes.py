"""Changes of what lint allows: what makes it stricter counts at once, the rest takes two persons.

Whoever could weaken lint alone could let through what it is there to stop. So of a change only the
stricter part holds at once; the whole is proposed, and another administrator of a county confirms
it. Each change takes the place of one that waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID

from service.accounts.department_store import get_department
from service.accounts.manage import need_the_county
from service.accounts.model import User
from service.accounts.second_person import need_second_person
from service.errors import Conflict
from service.messages import lint_store
from service.messages.lint_store import Proposal
from service.messages.policy import changes_to, policy_from, tightened, weakened
from service.storage.postgres import Connection

WAITS = timedelta(days=7)
"""How long a proposal waits, as a submitted campaign does."""

State = Literal["pending", "confirmed", "replaced", "expired"]
_WHAT = "change what lint allows"


@dataclass(frozen=True, slots=True)
class Writes:
    """What a department may write: its numbers, in digits, and whether links."""

    landlines: tuple[str, ...]
    links: bool

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """What a proposal keeps."""
        return cls(tuple(content["landlines"]), content["links"])

    def as_json(self) -> dict[str, Any]:
        """In plain types, as a proposal keeps it."""
        return {"landlines": list(self.landlines), "links": self.links}


def state_of(proposal: Proposal, now: datetime) -> State:
    """Where a proposal stands."""
    if proposal.confirmed_at is not None:
        return "confirmed"
    if proposal.replaced_at is not None:
        return "replaced"
    return "expired" if proposal.proposed_at <= now - WAITS else "pending"


async def change_policy(
    conn: Connection, actor: User, changes: Mapping[str, Any], reason: str, now: datetime
) -> Proposal | None:
    """Let other levels and lists hold, as far as they are stricter; propose the rest.

    Returns the proposal that waits; None: everything holds.

    Raises:
        Forbidden: the actor does not run the county.
        Invalid: an unknown rule or level; a list that holds what it cannot.
    """
    need_the_county(actor, _WHAT)
    wanted = policy_from(changes)
    await lint_store.lock_changes(conn)
    in_force = await lint_store.policy_get(conn)
    await lint_store.replace_waiting(conn, None, now)
    if not weakened(in_force, wanted):
        await lint_store.policy_set(conn, changes, reason, actor.id, now)
        return None
    stricter = tightened(in_force, wanted)
    if weakened(stricter, in_force):
        await lint_store.policy_set(conn, changes_to(stricter), reason, actor.id, now)
    return await lint_store.insert_proposal(conn, None, changes, reason, actor.id, now)


async def change_sender(
    conn: Connection, actor: User, department_id: UUID, wanted: Writes, reason: str, now: datetime
) -> Proposal | None:
    """Let a department write this, as far as it is less than it may now; propose the rest.

    Raises:
        Forbidden: the actor does not run the county.
        NotFound: there is no such department.
    """
    need_the_county(actor, _WHAT)
    await get_department(conn, department_id, None, lock=True)
    sender = await lint_store.sender_get(conn, department_id)
    own = Writes(tuple(sorted(sender.landlines)), sender.links)
    await lint_store.replace_waiting(conn, department_id, now)
    if not more_than(own, wanted):
        await _let_write(conn, department_id, wanted, reason, actor.id, now)
        return None
    both = set(own.landlines) & set(wanted.landlines)
    less = Writes(tuple(sorted(both)), own.links and wanted.links)
    if less != own:
        await _let_write(conn, department_id, less, reason, actor.id, now)
    content = wanted.as_json()
    return await lint_store.insert_proposal(conn, department_id, content, reason, actor.id, now)


def more_than(own: Writes, wanted: Writes) -> list[str]:
    """What a department could write that it may not now, each by its field."""
    more = [f"landlines.{number}" for number in wanted.landlines if number not in own.landlines]
    return more + ["links"] * (wanted.links and not own.links)


async def confirm(
    conn: Connection, actor: User, department_id: UUID | None, proposal_id: UUID, now: datetime
) -> Proposal:
    """Put a proposal in force, as the second person.

    department_id: whose it is; None: the county's rules.

    Raises:
        Forbidden: the actor does not run the county, or counts as who proposed it.
        NotFound: there is no such proposal.
        Conflict: it does not wait (any more).
    """
    need_the_county(actor, _WHAT)
    if department_id is None:
        await lint_store.lock_changes(conn)
    else:
        await get_department(conn, department_id, None, lock=True)
    found = await lint_store.get_proposal(conn, department_id, proposal_id)
    state = state_of(found, now)
    if state != "pending":
        raise Conflict(f"this proposal is {state}; make another one", code="wrong_state")
    await need_second_person(
        conn, actor, {found.proposed_by: "proposed this change"}, "confirm it", now
    )
    confirmed = await lint_store.note_confirmed(conn, found, actor.id, now)
    if department_id is None:
        await lint_store.policy_set(
            conn, found.content, found.reason, found.proposed_by, now, confirmed_by=actor.id
        )
    else:
        wanted = Writes.of(found.content)
        by = found.proposed_by
        await _let_write(conn, department_id, wanted, found.reason, by, now, confirmed_by=actor.id)
    return confirmed


async def _let_write(
    conn: Connection,
    department_id: UUID,
    what: Writes,
    reason: str,
    by: UUID,
    now: datetime,
    *,
    confirmed_by: UUID | None = None,
) -> None:
    sender: tuple[Sequence[str], bool] = (what.landlines, what.links)
    await lint_store.sender_set(
        conn, department_id, sender, reason, by, now, confirmed_by=confirmed_by
    )
