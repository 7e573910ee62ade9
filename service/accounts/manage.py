"""Making departments, users and keys, each by somebody who may."""

from datetime import datetime
from uuid import UUID

from service.accounts import keys, store
from service.accounts.model import Department, Key, NewDepartment, NewKey, NewUser, User
from service.crypto import Keyring
from service.errors import Forbidden, Invalid, NotFound
from service.storage.postgres import Connection


async def create_department(
    conn: Connection, actor: User, new: NewDepartment, now: datetime
) -> Department:
    """Make a department.

    Raises:
        Forbidden: the actor does not run the county, and could otherwise take all of it.
        Conflict: the name is taken.
    """
    if not actor.runs_the_county:
        raise Forbidden("only an administrator of a county department may make departments")
    return await store.insert_department(conn, new, now)


async def set_weight(conn: Connection, actor: User, department_id: UUID, weight: int) -> Department:
    """Change a department's share of the channels beside those of others.

    Raises:
        Forbidden: the actor does not run the county, and could otherwise take all of them.
        NotFound: there is no such department.
    """
    if not actor.runs_the_county:
        raise Forbidden("only an administrator of a county department may set weights")
    return await store.set_weight(conn, department_id, weight)


async def create_user(conn: Connection, actor: User, new: NewUser) -> User:
    """Make a user of a department that the actor sees.

    Raises:
        Invalid: there is no such department.
        Conflict: the login is taken.
    """
    try:
        await store.get_department(conn, new.department_id, actor.scope)
    except NotFound as error:
        raise Invalid(error.message, fields={"department_id": error.message}) from error
    return await store.insert_user(conn, new)


async def create_key(
    conn: Connection, keyring: Keyring, actor: User, key: NewKey, now: datetime
) -> tuple[Key, str]:
    """Make a key for a user whom the actor sees; returns the token, which is shown this once.

    Raises:
        Invalid: there is no such user, or the expiry has passed.
    """
    if key.expires_at is not None and key.expires_at <= now:
        raise Invalid("the key would have expired", fields={"expires_at": "give a later instant"})
    try:
        await store.get_user(conn, key.user_id, actor.scope)
    except NotFound as error:
        raise Invalid(error.message, fields={"user_id": error.message}) from error
    return await keys.issue(conn, keyring, key, now)
