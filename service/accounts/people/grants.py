"""Roles and rights of a user: one administrator proposes what widens them, another confirms it.

What a user may do decides who is a second person to whom, so one person alone gives none of it.
What only takes away counts at once. Both administrators must have all that they hand on.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from service.accounts.people import grant_store, proposals, store
from service.accounts.people.administrators import keep_two
from service.accounts.people.grant_store import NewGrant, RightsGrant
from service.accounts.people.model import Role, User
from service.accounts.people.second_person import need_second_person
from service.errors import Conflict, Forbidden
from service.storage.postgres import Connection
from service.words.phrase import phrase
from service.words.terms import term

GrantState = Literal[proposals.ProposalState, "narrowed"]
_REACH = frozenset({Role.ADMIN, Role.INSPECTOR, Role.AUDITOR})
"""Roles with which a user sees beyond the own department, whatever their rights."""


def state_of(grant: RightsGrant, now: datetime) -> GrantState:
    """Where a grant stands; `narrowed` and `confirmed` ones counted when they were made so."""
    return "narrowed" if grant.narrows else proposals.state_of(grant, now)


def widens(old: User, new: User) -> bool:
    """Whether a user could do anything that they cannot do now."""
    if old.disabled_at is not None and new.disabled_at is None:
        return True
    return not new.all_rights <= old.all_rights or bool((new.roles - old.roles) & _REACH)


def at_once(old: User, new: User) -> User:
    """What of a changed user counts without a second person."""
    if not widens(old, new):
        return new
    stays_out = old.disabled_at is not None and new.disabled_at is None
    disabled_at = old.disabled_at if stays_out else new.disabled_at
    return replace(new, roles=old.roles, rights=old.rights, disabled_at=disabled_at)


async def change(
    conn: Connection, actor: User, old: User, new: User, now: datetime, *, restated: bool
) -> None:
    """Store a changed user: what widens their rights waits for a second person, in place of what
    waited before; everything else counts at once.

    restated: roles, rights or being in service were named, if only as they are: nothing else waits.
    """
    regranted = (new.roles, new.rights) != (old.roles, old.rights)
    enables = old.disabled_at is not None and new.disabled_at is None
    grant = NewGrant(new.id, new.roles, new.rights, enables)
    if restated:
        await grant_store.replace_waiting(conn, new.id, now)
    if widens(old, new):
        await grant_store.insert_grant(conn, grant, actor.id, now)
        await store.update_user(conn, at_once(old, new))
    elif regranted:
        made = await grant_store.insert_grant(conn, grant._replace(narrows=True), actor.id, now)
        await store.update_user(conn, new, made.id)
    else:
        await store.update_user(conn, new)


async def confirm(
    conn: Connection, actor: User, user_id: UUID, grant_id: UUID, now: datetime
) -> RightsGrant:
    """Let a proposed grant count, as the second person; it is in force with the next request.

    Raises:
        NotFound: there is no such user in the actor's scope, or the user has no such grant.
        Forbidden: the actor counts as who proposed it, is the one who gets it, or lacks some of it.
        Conflict: it does not wait (any more), or too few administrators of the county would be
            left (`keep_two`).
    """
    async with keep_two(conn, now):
        user = await store.get_user(conn, user_id, actor.scope, lock=True)
        grant = await grant_store.get_grant(conn, user_id, grant_id)
        if (state := state_of(grant, now)) != "pending":
            raise Conflict(
                phrase("this grant is {state}; propose another one", state=term(state)),
                code="wrong_state",
            )
        actor.may_grant(grant.roles, grant.rights)
        if user_id == actor.id:
            raise Forbidden(
                phrase("you are the one who gets these rights: somebody else must confirm them"),
                code="second_person_needed",
            )
        await need_second_person(
            conn,
            actor,
            {grant.proposed_by: phrase("proposed these rights")},
            phrase("confirm them"),
            now,
        )
        await grant_store.confirm_grant(conn, grant_id, actor.id, now)
        disabled_at = None if grant.enables else user.disabled_at
        new = replace(user, roles=grant.roles, rights=grant.rights, disabled_at=disabled_at)
        await store.update_user(conn, new, grant_id)
    return grant._replace(confirmed_by=actor.id, confirmed_at=now)


async def waiting(
    conn: Connection, users: Sequence[User], now: datetime
) -> dict[UUID, RightsGrant]:
    """What waits to be confirmed, by user."""
    return await grant_store.waiting_grants(
        conn, [user.id for user in users], now - proposals.WAITS
    )
