"""The first accounts of a new system: one county department, and two administrators of it.

Two, since one could give rights to nobody: every grant, key and password of somebody else takes a
second administrator. Whoever runs the machine names both, and hands each their own key.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from service.accounts import department_store, key_store, store
from service.accounts.audit import Act
from service.accounts.audit_store import insert_entry
from service.accounts.department import COUNTY, Department, Settings
from service.accounts.key import Held, NewKey
from service.accounts.keys import new_token, token_hash
from service.accounts.model import NewUser, Role, User
from service.accounts.twins import check_plain, need_own_look
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection

DEPARTMENT = "县反诈中心"


class Person(NamedTuple):
    """Somebody who becomes an administrator of the county."""

    login: str
    name: str


async def bootstrap(
    conn: Connection,
    keyring: Keyring,
    now: datetime,
    people: tuple[Person, Person],
    tokens: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Make the first accounts unless they are there, and return the two keys by their name:
    `admin` and `second_admin`.

    The keys work at once: nobody is there yet to be the second person. Tokens that are given are
    used, so that the next start can print the same ones; a key that was revoked stays so.

    Raises:
        Invalid: it is the same person twice.
        Conflict: one of the logins is somebody who is no administrator of the county, or not any
            more; or it looks like somebody else's.
    """
    first, second = people
    if first.login == second.login:
        problem = "name two persons, each with a login of their own"
        raise Invalid(f"one person is no two administrators: {problem}", fields={"login": problem})
    department = await _county(conn, now)
    given = dict(tokens or {})
    result = {}
    for name, person in (("admin", first), ("second_admin", second)):
        token = given.get(name) or new_token()
        user = await _administrator(conn, department, person)
        key = NewKey(user.id, "first key", bootstrap=True)
        stored = token_hash(keyring, token)
        if await key_store.insert_key(conn, key, stored, now, held=Held.of(user)):
            act = Act("bootstrap", now, "cli", object_kind="users", object_id=str(user.id))
            await insert_entry(conn, act)
        result[name] = token
    return result


async def _county(conn: Connection, now: datetime) -> Department:
    department = await department_store.find_department(conn, DEPARTMENT)
    if department is None:
        county = Settings(name=DEPARTMENT, kind=COUNTY, signature=DEPARTMENT)
        department = await department_store.insert_department(conn, county, now)
        await department_store.register(
            conn, "signature", DEPARTMENT, department.id, by=None, now=now
        )
    return department


async def _administrator(conn: Connection, department: Department, person: Person) -> User:
    user = await store.find_user(conn, person.login)
    if user is None:
        check_plain(person.login, "login")
        need_own_look(person.login, await store.lock_logins(conn))
        new = NewUser(department.id, person.login, person.name, frozenset({Role.ADMIN}))
        return await store.insert_user(conn, new, bootstrap=True)
    if not user.runs_the_county or user.disabled_at is not None:
        raise Conflict(
            f"the login {person.login} is somebody who is no administrator of the county; give"
            " another login"
        )
    return user
