"""Making and changing departments, users and keys, each by somebody who may.

Nobody hands on a right that is not theirs, and the county keeps two administrators.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.departments import department_store
from service.accounts.departments.department import Department, DepartmentSettings, check_place
from service.accounts.departments.similar_names import check_plain, need_own_look
from service.accounts.keys import key_store, keys
from service.accounts.keys.key import Key, NewKey
from service.accounts.people import grants, store
from service.accounts.people.administrators import keep_two
from service.accounts.people.model import NewUser, User, check_alone, gives_more
from service.accounts.people.second_person import need_maker
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.storage.postgres import Connection
from service.words.phrase import phrase


async def create_department(
    conn: Connection, actor: User, new: DepartmentSettings, now: datetime
) -> Department:
    """Make a department. Its signature takes a second person (`messages.signature_changes`).

    Raises:
        Forbidden: the actor does not run the county, and could otherwise take all of it.
        Conflict: the name is taken or looks like one that is.
        Invalid: kind, carrier, parent and area do not go together.
    """
    need_the_county(actor, phrase("make departments"))
    await _check_name(conn, new.name)
    await _check_place(conn, new)
    return await department_store.insert_department(conn, replace(new, signature=""), now)


async def edit_department(
    conn: Connection,
    actor: User,
    department_id: UUID,
    change: Callable[[DepartmentSettings], DepartmentSettings],
    now: datetime,
) -> Department:
    """Change a department, but for its signature.

    Raises:
        NotFound: there is no such department.
        Forbidden, Conflict, Invalid: as `create_department`; or the county would lead no more, or
            the users of the department would have more rights, or too few administrators of the
            county would be left (`keep_two`).
    """
    need_the_county(actor, phrase("change departments"))
    found = await department_store.get_department(conn, department_id, None, lock=True)
    new = replace(change(found.settings), signature=found.settings.signature)
    if new.kind != found.kind and department_id == actor.department_id:
        raise Invalid.at("kind", phrase("you cannot change the kind of your own department"))
    if gives_more(found.kind, new.kind) and await store.list_users(conn, department_id, None, 1):
        raise Conflict(
            phrase(
                "as {new_kind} the users of this department would have more rights, which takes a"
                " second person: make another department of that kind, and users in it",
                new_kind=new.kind,
            ),
            code="kind_gives_rights",
        )
    if new.name != found.settings.name:
        await _check_name(conn, new.name)
    await _check_place(conn, new)
    async with keep_two(conn, now):
        return await department_store.update_department(conn, department_id, new)


def need_the_county(actor: User, what: str) -> None:
    """Refuse whoever is no administrator of a county.

    Raises:
        Forbidden: says what only they may do.
    """
    if not actor.runs_the_county:
        raise Forbidden(
            phrase("only an administrator of a county department may {what}", what=what)
        )


async def _check_name(conn: Connection, name: str) -> None:
    check_plain(name, "name")
    need_own_look(name, await department_store.lock_names(conn))


async def _check_place(conn: Connection, new: DepartmentSettings) -> None:
    parent = None
    if new.parent_id is not None:
        try:
            parent = await department_store.get_department(conn, new.parent_id, None)
        except NotFound as error:
            raise Invalid(error.message, fields={"parent_id": error.message}) from error
    check_place(new, parent)


async def create_user(conn: Connection, actor: User, new: NewUser, now: datetime) -> User:
    """Make a user of a department that the actor sees; what they may do waits for a second person.

    Raises:
        Invalid: there is no such department.
        Forbidden: the user would have rights that the actor has not.
        Conflict: the login is taken, or looks like one that is.
    """
    scope = None if actor.scope is None else [actor.scope]
    try:
        await department_store.get_department(conn, new.department_id, scope)
    except NotFound as error:
        raise Invalid(error.message, fields={"department_id": error.message}) from error
    check_alone(new.roles, new.rights)
    actor.may_grant(new.roles, new.rights)
    check_plain(new.login, "login")
    need_own_look(new.login, await store.lock_logins(conn))
    made = await store.insert_user(conn, new)
    granted = replace(made, roles=new.roles, rights=new.rights)
    await grants.change(conn, actor, made, granted, now, restated=False)
    return made


async def edit_user(
    conn: Connection,
    actor: User,
    user_id: UUID,
    change: Callable[[User], User],
    now: datetime,
    *,
    restated: bool = True,
) -> User:
    """Change a user whom the actor sees; see `grants.change` for what of it waits. The rest is in
    force with the next request.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the user has, or would have, rights that the actor has not.
        Conflict: fewer than two administrators of the county would be left; see `keep_two`.
    """
    async with keep_two(conn, now):
        user = await store.get_user(conn, user_id, actor.scope, lock=True)
        new = change(user)
        if not new.roles and not new.rights and (user.roles or user.rights):
            raise Invalid.at(
                "roles",
                phrase(
                    "give at least one role or right; to put the user out of service, disable them"
                ),
            )
        check_alone(new.roles, new.rights)
        actor.may_grant(user.roles, user.rights)
        actor.may_grant(new.roles, new.rights)
        await grants.change(conn, actor, user, new, now, restated=restated)
    return await store.get_user(conn, user_id, None)


async def create_key(
    conn: Connection, keyring: Keyring, actor: User, key: NewKey, now: datetime
) -> tuple[Key, str]:
    """Make a key for a user whom the actor sees; returns the token, which is shown this once.

    It works once a second person has activated it.

    Raises:
        Invalid: there is no such user, or the limits make no sense.
        Forbidden: the user has rights that the actor has not.
    """
    key.check(now)
    try:
        user = await store.get_user(conn, key.user_id, actor.scope)
    except NotFound as error:
        raise Invalid(error.message, fields={"user_id": error.message}) from error
    actor.may_grant(user.roles, user.rights)
    return await keys.issue(conn, keyring, key, now)


async def activate_key(conn: Connection, actor: User, key_id: UUID, now: datetime) -> Key:
    """Let a key of a user whom the actor sees work, as the second person.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Conflict: as `keys.activate`.
        Forbidden: the actor counts as who made it, or the user has rights that the actor has not.
    """
    key = await key_store.get_key(conn, key_id, actor.scope, lock=True)
    user = await store.get_user(conn, key.grant.user_id, None, lock=True)
    actor.may_grant(user.roles, user.rights)
    await need_maker(conn, key.grant.created_by, user)
    return await keys.activate(conn, actor, key, user, now)


async def rotate_key(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    asking: Key | None,
    key_id: UUID,
    overlap: timedelta,
    now: datetime,
) -> tuple[Key, str]:
    """A new token for the grant of a key that the actor sees; returns it, shown this once.

    It works at once if it is the actor's own and `asking`, the key through which they ask, lacks
    nothing that it gives. Else somebody could come to act as another: it waits for a second
    person.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: its user has rights that the actor has not.
        Conflict, Invalid: as `keys.rotate`.
    """
    old = await key_store.get_key(conn, key_id, actor.scope, lock=True)
    user = await store.get_user(conn, old.grant.user_id, None)
    own = user.id == actor.id and (asking is None or asking.covers(old))
    if not own:
        actor.may_grant(user.roles, user.rights)
    by = None if own else actor.id
    return await keys.rotate(conn, keyring, old, by, overlap=overlap, now=now)


async def revoke_key(conn: Connection, actor: User, key_id: UUID, now: datetime) -> None:
    """Put a key of a user whom the actor sees out of service for good.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Conflict: fewer than two administrators of the county could log in; see `keep_two`.
    """
    async with keep_two(conn, now):
        await key_store.revoke_key(conn, key_id, actor.scope, now)
