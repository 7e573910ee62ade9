"""Tokens of keys: made at random, shown once, stored as a keyed hash."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts import key_store
from service.accounts.key import MOST_OVERLAP, Key, NewKey
from service.accounts.model import User
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid
from service.storage.postgres import Connection

PREFIX = "tk_"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a user, through a key or a session.

    department_requests: how many requests a minute the department has; None: as set for all.
    """

    user: User
    key: Key | None = None
    session_id: UUID | None = None
    department_requests: int | None = None


def new_token(prefix: str = PREFIX) -> str:
    """A token with 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(keyring: Keyring, token: str) -> bytes:
    """What is stored of a token."""
    return keyring.index("key", token)


async def caller_of(conn: Connection, keyring: Keyring, token: str, now: datetime) -> Caller | None:
    """For whom a token acts now, or None if for nobody (any more, or yet)."""
    found = await key_store.find_key(conn, token_hash(keyring, token))
    if found is None:
        return None
    key, user, limits = found
    if not key.works(now) or user.disabled_at is not None:
        return None
    return Caller(key.limited(user), key, None, limits["department_requests"])


async def user_of(conn: Connection, keyring: Keyring, token: str, now: datetime) -> User | None:
    """The user for whom a token acts now, or None if for nobody (any more, or yet)."""
    caller = await caller_of(conn, keyring, token, now)
    return caller.user if caller else None


async def issue(
    conn: Connection, keyring: Keyring, key: NewKey, now: datetime, renews: Key | None = None
) -> tuple[Key, str]:
    """Make a key, and the token that is shown this once."""
    token = new_token()
    key_id = await key_store.insert_key(conn, key, token_hash(keyring, token), now, renews)
    if key_id is None:
        raise Conflict("this token exists already; ask again")
    return await key_store.get_key(conn, key_id, None), token


async def activate(
    conn: Connection, actor: User, key_id: UUID, scope: UUID | None, now: datetime
) -> Key:
    """Let a key work, as the second person.

    Raises:
        NotFound: there is none of this id in the scope.
        Forbidden: the actor made it, or lacks a right that it hands on.
        Conflict: it works already, was revoked, or has expired.
    """
    key = await key_store.get_key(conn, key_id, scope, lock=True)
    if key.grant.created_by == actor.id:
        raise Forbidden(
            "you made this key: somebody else must activate it", code="second_person_needed"
        )
    if key.state(now) != "pending":
        raise Conflict(
            f"this key is {key.state(now)}; only one that is pending can be activated",
            code="wrong_state",
        )
    await key_store.activate_key(conn, key_id, actor.id, now)
    return await key_store.get_key(conn, key_id, None)


async def rotate(
    conn: Connection,
    keyring: Keyring,
    key_id: UUID,
    scope: UUID | None,
    *,
    overlap: timedelta,
    now: datetime,
) -> tuple[Key, str]:
    """A new token for the same grant; the old one works for `overlap` longer.

    The grant is that which a second person saw, so nobody is asked again.

    Raises:
        NotFound: there is none of this id in the scope.
        Conflict: it does not work (any more, or yet).
        Invalid: the overlap is too long.
    """
    if not timedelta(0) <= overlap <= MOST_OVERLAP:
        problem = f"give 0 to {MOST_OVERLAP // timedelta(hours=1)} hours"
        raise Invalid(f"the overlap is wrong: {problem}", fields={"overlap_hours": problem})
    old = await key_store.get_key(conn, key_id, scope, lock=True)
    if not old.works(now):
        raise Conflict(
            "only a key that works can be rotated; make a new one instead", code="wrong_state"
        )
    made = await issue(conn, keyring, old.grant, now, renews=old)
    await key_store.end_key(conn, key_id, now + overlap)
    return made
