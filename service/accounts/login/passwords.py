"""Passwords that somebody else gives: by one person, confirmed by another.

Whoever gives a password could log in with it and be the second person to what they did themselves.
So it counts once somebody else says so; until then the old one goes on. Whoever runs the machine
may give one alone (`tocsin password`): they could write into the database, too.
"""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.keys.key import Key
from service.accounts.login import session_store
from service.accounts.login.credentials import hash_password, new_password
from service.accounts.people import store
from service.accounts.people.model import User
from service.accounts.people.second_person import need_maker, need_second_person
from service.crypto import Keyring
from service.errors import Conflict
from service.storage.postgres import Connection
from service.words.phrase import phrase

WAITS = timedelta(hours=72)
"""How long a given password waits for its second person."""


async def give(
    conn: Connection, actor: User, asking: Key | None, user_id: UUID, now: datetime
) -> tuple[str, bool]:
    """A password for once, for a user whom the actor sees; and whether it counts already.

    It does for one's own account, asked for with a key that gives all that a login would. A
    session does not do: who finds one open must not stay.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the user has rights that the actor has not.
    """
    user = await store.get_user(conn, user_id, actor.scope, lock=True)
    actor.may_grant(user.roles, user.rights)
    at_once = user.id == actor.id and asking is not None and asking.is_whole
    password = new_password()
    stored = await asyncio.to_thread(hash_password, password)
    if at_once:
        await put_in_force(conn, user_id, stored, now)
        maker = asking.grant.created_by if asking is not None else None
        await session_store.record_giver(conn, user_id, maker, now, ends_others=False)
    else:
        await session_store.give_password(conn, user_id, stored, actor.id, now)
    return password, at_once


async def give_alone(
    conn: Connection, keyring: Keyring, user_id: UUID, now: datetime, *, action: str
) -> str:
    """A password for once, from whoever runs the machine; it counts at once, and is noted.

    action: as the audit entry calls it.
    """
    password = new_password()
    await put_in_force(conn, user_id, await asyncio.to_thread(hash_password, password), now)
    await session_store.record_giver(conn, user_id, None, now, ends_others=True)
    act = AuditAct(action, now, "cli", object_kind="users", object_id=str(user_id))
    await insert_entry(conn, keyring, act)
    return password


async def confirm(conn: Connection, actor: User, user_id: UUID, now: datetime) -> None:
    """Let a given password count, as the second person; see `put_in_force`.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the actor counts as who gave it, or the user has rights that the actor has not.
        Conflict: none waits (any more).
    """
    user = await store.get_user(conn, user_id, actor.scope, lock=True)
    actor.may_grant(user.roles, user.rights)
    await need_second_person(
        conn, actor, {user.password_from: phrase("gave this password")}, phrase("confirm it"), now
    )
    await need_maker(conn, user.password_from, user)
    if not await session_store.confirm_password(conn, user_id, actor.id, now - WAITS):
        raise Conflict(phrase("no password waits to be confirmed; give one"), code="wrong_state")
    await session_store.revoke_sessions(conn, user_id, now)
    giver = user.password_from
    await session_store.record_giver(conn, user_id, giver, now, ends_others=giver != user_id)


async def put_in_force(conn: Connection, user_id: UUID, stored: str, now: datetime) -> None:
    """A password for once in the place of the old one; sessions end, and a shut account opens."""
    await session_store.set_password(conn, user_id, stored, temporary=True)
    await session_store.revoke_sessions(conn, user_id, now)
