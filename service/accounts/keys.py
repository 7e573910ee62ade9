"""Tokens: made at random, shown once, stored as a keyed hash."""

import secrets
from datetime import datetime

from service.accounts import store
from service.accounts.model import Key, NewKey, User
from service.crypto import Keyring
from service.errors import Conflict
from service.storage.postgres import Connection

PREFIX = "tk_"


def new_token() -> str:
    """A token with 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def token_hash(keyring: Keyring, token: str) -> bytes:
    """What is stored of a token."""
    return keyring.index("key", token)


async def user_of(conn: Connection, keyring: Keyring, token: str, now: datetime) -> User | None:
    """The user for whom a token acts now, or None if for nobody (any more)."""
    return await store.find_key_user(conn, token_hash(keyring, token), now)


async def issue(conn: Connection, keyring: Keyring, key: NewKey, now: datetime) -> tuple[Key, str]:
    """Make a key, and the token that is shown this once."""
    token = new_token()
    stored = await store.insert_key(conn, key, token_hash(keyring, token), now)
    if stored is None:
        raise Conflict("this token exists already; ask again")
    return stored, token
