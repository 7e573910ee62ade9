"""Tokens of keys: made at random, shown once, stored as a keyed hash."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.keys import key_store
from service.accounts.keys.key import MOST_OVERLAP, HeldRights, Key, NewKey
from service.accounts.people import store
from service.accounts.people.model import User
from service.accounts.people.second_person import need_second_person
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection
from service.words.phrase import phrase
from service.words.terms import term

PREFIX = "tk_"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a user, through a key or a session.

    department_requests: how many requests a minute the department has; None: as set for all.
    deputises: whether the user may stand in for somebody who is away, as far as is known.
    """

    user: User
    key: Key | None = None
    session_id: UUID | None = None
    department_requests: int | None = None
    deputises: bool = True

    @property
    def id(self) -> UUID:
        """The first key of the grant, whatever its token now; else the user who has logged in."""
        return self.key.first_id if self.key else self.user.id


def new_token(prefix: str = PREFIX) -> str:
    """A token with 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def token_hash(keyring: Keyring, token: str) -> bytes:
    """What is stored of a token."""
    return keyring.index("key", token)


async def caller_of(conn: Connection, keyring: Keyring, token: str, now: datetime) -> Caller | None:
    """For whom a token acts now, or None if for nobody (any more, or yet)."""
    found = await key_store.find_key(conn, token_hash(keyring, token), now)
    if found is None:
        return None
    key, user, requests, deputises = found
    if not key.works(now) or user.disabled_at is not None:
        return None
    return Caller(key.limited(user), key, None, requests, deputises)


async def issue(
    conn: Connection,
    keyring: Keyring,
    key: NewKey,
    now: datetime,
    renews: Key | None = None,
    overlap: timedelta | None = None,
) -> tuple[Key, str]:
    """Make a key, and the token that is shown this once; see `key_store.insert_key`."""
    token = new_token()
    stored = token_hash(keyring, token)
    held = HeldRights.of(await store.get_user(conn, key.user_id, None)) if key.bootstrap else None
    key_id = await key_store.insert_key(conn, key, stored, now, renews, overlap, held)
    if key_id is None:
        raise Conflict(phrase("this token exists already; ask again"))
    return await key_store.get_key(conn, key_id, None), token


async def activate(conn: Connection, actor: User, key: Key, user: User, now: datetime) -> Key:
    """Let a key work, as the second person; those that it renews end after its overlap.

    key, user: the key and whose it is, both locked. It has at most what the user has now.

    Raises:
        Forbidden: the actor counts as who made it.
        Conflict: it works already, was revoked, or has expired; or the user has no rights yet.
    """
    made = {key.grant.created_by: phrase("made this key")}
    await need_second_person(conn, actor, made, phrase("activate it"), now)
    if key.state(now) != "pending":
        raise Conflict(
            phrase(
                "this key is {state}; only one that is pending can be activated",
                state=term(key.state(now)),
            ),
            code="wrong_state",
        )
    if not user.all_rights:
        raise Conflict(
            phrase(
                "the user of this key has no rights yet: have those that were proposed"
                " confirmed first"
            ),
            code="wrong_state",
        )
    await key_store.activate_key(conn, key.id, actor.id, HeldRights.of(user), now)
    if key.overlap is not None:
        await key_store.end_renewed(conn, key, now + key.overlap)
    return await key_store.get_key(conn, key.id, None)


async def rotate(
    conn: Connection,
    keyring: Keyring,
    old: Key,
    by: UUID | None,
    *,
    overlap: timedelta,
    now: datetime,
) -> tuple[Key, str]:
    """A new token for the same grant; the old one works for `overlap` longer.

    by: whoever gets the token of somebody else's key: it works once a second person has activated
    it, and until then the old one goes on. None: of one's own key, on which two persons have
    agreed: nobody is asked again.

    Raises:
        Conflict: the key does not work (any more, or yet).
        Invalid: the overlap is too long.
    """
    if not timedelta(0) <= overlap <= MOST_OVERLAP:
        problem = phrase(
            "give 0 to {most_overlap} hours", most_overlap=MOST_OVERLAP // timedelta(hours=1)
        )
        raise Invalid(
            phrase("the overlap is wrong: {problem}", problem=problem),
            fields={"overlap_hours": problem},
        )
    if not old.works(now):
        raise Conflict(
            phrase("only a key that works can be rotated; make a new one instead"),
            code="wrong_state",
        )
    if by is not None:
        grant = replace(old.grant, created_by=by, bootstrap=False)
        return await issue(conn, keyring, grant, now, old, overlap)
    made = await issue(conn, keyring, old.grant, now, old)
    await key_store.end_key(conn, old.id, now + overlap)
    return made
