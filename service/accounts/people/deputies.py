"""Deputies: who approves in place of an approver who is away, from when to when, named by whom.

A deputy approves as a person of their own, and in the absent one's seat: whoever had a hand in a
campaign can neither approve it through a deputy nor as one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people import deputies_store, store
from service.accounts.people.deputies_store import Deputy
from service.accounts.people.model import Right, User
from service.accounts.people.second_person import need_second_person
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.storage.postgres import Connection
from service.words.phrase import phrase

LONGEST = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class NewDeputy:
    """A deputy to be named."""

    absent_id: UUID
    deputy_id: UUID
    starts_at: datetime
    ends_at: datetime
    reason: str


async def name(conn: Connection, actor: User, new: NewDeputy, now: datetime) -> Deputy:
    """Name a deputy: an approver for the own absence, an administrator for anybody's, which then
    waits for a second person: it widens what the deputy may do.

    Raises:
        Forbidden: the actor is neither, or only a deputy.
        Invalid: somebody is not there, not of the same department or no approver; or the span is
            empty, over, or longer than three months.
    """
    own = new.absent_id == actor.id and actor.deputy_for is None
    if not own and not actor.may(Right.ACCOUNTS):
        raise Forbidden(
            phrase("you may name a deputy for yourself; for others, an administrator does")
        )
    absent = await _user(conn, new.absent_id, actor, "absent_id")
    deputy = await _user(conn, new.deputy_id, actor, "deputy_id")
    fields = {}
    if not absent.may(Right.APPROVE):
        fields["absent_id"] = phrase("this user is no approver")
    if deputy.id == absent.id or deputy.department_id != absent.department_id:
        fields["deputy_id"] = phrase("name somebody else of the same department")
    if not now < new.ends_at or not timedelta(0) < new.ends_at - new.starts_at <= LONGEST:
        fields["ends_at"] = phrase(
            "give an end in the future, at most {days} days after the start", days=LONGEST.days
        )
    if fields:
        raise Invalid(phrase("the deputy cannot be named"), fields=fields)
    return await deputies_store.insert_deputy(
        conn, new.absent_id, new.deputy_id, new.starts_at, new.ends_at, new.reason, actor.id, now
    )


async def confirm(conn: Connection, actor: User, deputy_id: UUID, now: datetime) -> Deputy:
    """Let a deputy stand in whom an administrator named, as the second person: the absent one, or
    another administrator.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the actor is neither, is the deputy, or counts as who named them.
        Conflict: it does not wait (any more).
    """
    found = await deputies_store.get_deputy(conn, deputy_id, actor.scope, lock=True)
    if found is None:
        raise NotFound(phrase("there is no deputy {deputy_id}", deputy_id=deputy_id))
    if found.absent_id != actor.id and not actor.may(Right.ACCOUNTS):
        raise Forbidden(phrase("the absent approver confirms it, or an administrator"))
    if not found.needs_second or found.confirmed_at or found.ended_at or found.ends_at <= now:
        raise Conflict(phrase("it does not wait for anybody (any more)"), code="wrong_state")
    if actor.id == found.deputy_id:
        raise Forbidden(
            phrase("you are the deputy: somebody else must confirm it"), code="second_person_needed"
        )
    await need_second_person(
        conn, actor, {found.named_by: phrase("named this deputy")}, phrase("confirm it"), now
    )
    await deputies_store.confirm_deputy(conn, deputy_id, actor.id, now)
    return found._replace(confirmed_by=actor.id, confirmed_at=now)


async def end(conn: Connection, actor: User, deputy_id: UUID, now: datetime) -> Deputy:
    """End it before its time: the absent one is back, or an administrator says so.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the actor is neither the absent one nor an administrator.
        Conflict: it has ended.
    """
    found = await deputies_store.get_deputy(conn, deputy_id, actor.scope)
    if found is None:
        raise NotFound(phrase("there is no deputy {deputy_id}", deputy_id=deputy_id))
    if found.absent_id != actor.id and not actor.may(Right.ACCOUNTS):
        raise Forbidden(phrase("the absent approver ends it, or an administrator"))
    if not await deputies_store.end_deputy(conn, deputy_id, actor.id, now):
        raise Conflict(phrase("it has ended already"))
    return found._replace(ended_by=actor.id, ended_at=now)


async def standing_in(conn: Connection, user: User, now: datetime) -> User:
    """The user as a deputy, if somebody is away for whom they stand in and they need it."""
    if user.may(Right.APPROVE):
        return user
    absent = await deputies_store.absent_of(conn, user.id, now)
    return replace(user, deputy_for=absent) if absent else user


async def _user(conn: Connection, user_id: UUID, actor: User, field: str) -> User:
    try:
        return await store.get_user(conn, user_id, actor.scope)
    except NotFound as error:
        raise Invalid(error.message, fields={field: error.message}) from error
