"""Changes of what lint allows: what makes it stricter counts at once, the rest takes two persons.

Whoever could weaken lint alone could let through what it is there to stop. So of a change only the
stricter part holds at once; the whole is proposed, and another administrator of a county confirms
it. Each change takes the place of one that waits.

A never-word that stands in texts in use holds back those who warn; so it takes two persons as well.
What one person alone made stricter is undone alone: within the hour by whoever did it, within the
seven days of a proposal by anybody else who could have confirmed it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from service.accounts.departments.department_store import get_department
from service.accounts.manage import need_the_county
from service.accounts.people.model import User
from service.accounts.people.proposals import WAITS, need_pending
from service.accounts.people.second_person import need_second_person
from service.errors import Forbidden
from service.messages.lint import lint_store, never_words
from service.messages.lint.lint_store import LintChange, LintProposal
from service.messages.policy import (
    Policy,
    changes_to,
    loosened,
    policy_from,
    tightened,
    weakened,
    without_words,
)
from service.storage.locks import lock_lint_changes
from service.storage.postgres import Connection
from service.words.phrase import phrase

UNDONE_WITHIN = timedelta(hours=1)
"""How long whoever made something stricter alone may undo it alone; somebody else: `WAITS`."""
_LOOKED_BACK = 200

_WHAT = phrase("change what lint allows")


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


async def change_policy(
    conn: Connection, actor: User, changes: Mapping[str, Any], reason: str, now: datetime
) -> LintProposal | None:
    """Let other levels and lists hold, as far as one person may; propose the rest.

    Returns the proposal that waits; None: everything holds.

    Raises:
        Forbidden: the actor does not run the county.
        Invalid: an unknown rule or level; a list that holds what it cannot; a never-word that is
            too short.
    """
    need_the_county(actor, _WHAT)
    wanted = policy_from(changes)
    await lock_lint_changes(conn)
    in_force = await lint_store.policy_get(conn)
    added = never_words.new_words(in_force, wanted)
    holds: Sequence[never_words.Holds] = ()
    if added:
        in_use = await lint_store.texts_in_use(conn)
        holds = await asyncio.to_thread(never_words.held_by, added, in_use)
    floor = in_force
    if weakened(in_force, wanted):
        floor = await _before_changes_of_one(conn, actor, in_force, now)
    await lint_store.replace_waiting(conn, None, now)
    if not (holds or weakened(floor, wanted)):
        await lint_store.policy_set(conn, changes, reason, actor.id, now)
        return None
    common = {(held.carrier, held.word) for held in holds}
    at_once = tightened(floor, without_words(wanted, common))
    if weakened(at_once, in_force) or weakened(in_force, at_once):
        await lint_store.policy_set(conn, changes_to(at_once), reason, actor.id, now)
    return await lint_store.insert_proposal(conn, None, changes, reason, actor.id, now, holds)


async def _before_changes_of_one(
    conn: Connection, actor: User, in_force: Policy, now: datetime
) -> Policy:
    """The least strict of the policy in force and those before it, as far back as the actor may
    undo the changes between, which one person made alone.
    """
    history = await lint_store.policy_history(conn, None, _LOOKED_BACK)
    before: list[Mapping[str, Any]] = [change.content for change in history[1:]]
    if len(history) < _LOOKED_BACK:
        before.append({})
    found = in_force
    for change, content in zip(history, before, strict=False):
        if not await _may_undo(conn, actor, change, now):
            break
        found = loosened(found, policy_from(content))
    return found


async def _may_undo(conn: Connection, actor: User, change: LintChange, now: datetime) -> bool:
    """Whether an actor may undo a change without anybody else."""
    if change.confirmed_by is not None or change.changed_by is None:
        return False
    try:
        hands: Mapping[UUID | None, str] = {change.changed_by: phrase("made this change")}
        await need_second_person(conn, actor, hands, phrase("undo it"), now)
    except Forbidden:
        return change.changed_at > now - UNDONE_WITHIN
    return change.changed_at > now - WAITS


async def change_sender(
    conn: Connection, actor: User, department_id: UUID, wanted: Writes, reason: str, now: datetime
) -> LintProposal | None:
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
) -> LintProposal:
    """Put a proposal in force, as the second person.

    department_id: whose it is; None: the county's rules.

    Raises:
        Forbidden: the actor does not run the county, or counts as who proposed it.
        NotFound: there is no such proposal.
        Conflict: it does not wait (any more).
    """
    need_the_county(actor, _WHAT)
    if department_id is None:
        await lock_lint_changes(conn)
    else:
        await get_department(conn, department_id, None, lock=True)
    found = await lint_store.get_proposal(conn, department_id, proposal_id)
    need_pending(found, now)
    await need_second_person(
        conn, actor, {found.proposed_by: phrase("proposed this change")}, phrase("confirm it"), now
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
