"""The first accounts of a new system: one county department, and two administrators of it.

Two, since one could give rights to nobody: every grant, key and password of somebody else takes a
second administrator. Whoever runs the machine names both, and hands each their own key.

It is done once. Only when fewer than two administrators can log in any more it is done again, with
a reason, which every administrator sees for a month (`GET /work`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.departments import department_store
from service.accounts.departments.department import COUNTY, Department, DepartmentSettings
from service.accounts.departments.similar_names import check_plain, need_own_look
from service.accounts.keys import key_store
from service.accounts.keys.key import HeldRights, NewKey
from service.accounts.keys.keys import new_token, token_hash
from service.accounts.people import store
from service.accounts.people.model import NewUser, Role, User
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.storage.postgres import Connection
from service.words.phrase import phrase

DEPARTMENT = "县反诈中心"
NAMES = ("admin", "second_admin")
LONGEST_REASON = 100
"""Characters; it becomes the name of the keys."""


class FirstAdministrator(NamedTuple):
    """Somebody who becomes an administrator of the county."""

    login: str
    name: str


async def bootstrap(
    conn: Connection,
    keyring: Keyring,
    now: datetime,
    people: tuple[FirstAdministrator, FirstAdministrator],
    tokens: Mapping[str, str] | None = None,
    because: str | None = None,
) -> dict[str, str]:
    """Make the first accounts unless they are there, and return the two keys by their name:
    `admin` and `second_admin`.

    The keys work at once: nobody is there yet to be the second person. Tokens that are given are
    used, so that the next start can print the same ones; a key that was revoked stays so.

    because: why it is done again, once fewer than two administrators can log in.

    Raises:
        Invalid: it is the same person twice, or the reason is empty or too long.
        Conflict: the county has two administrators who can log in, or has had some and no reason is
            given; one of the logins is somebody who is no administrator of the county, or not any
            more; or it looks like somebody else's.
    """
    first, second = people
    if first.login == second.login:
        raise Invalid.at(
            "login",
            phrase(
                "one person is no two administrators: name two persons, each with a login of their"
                " own"
            ),
        )
    given = dict(tokens or {})
    if given.keys() >= set(NAMES) and await _are_stored(conn, keyring, given):
        return {name: given[name] for name in NAMES}
    again = await _check_again(conn, now, because)
    department = await _county(conn, now)
    result = {}
    for name, person in zip(NAMES, people, strict=True):
        token = given.get(name) or new_token()
        user = await _administrator(conn, department, person)
        await _give_key(conn, keyring, user, token, again, now)
        result[name] = token
    return result


async def _are_stored(conn: Connection, keyring: Keyring, tokens: Mapping[str, str]) -> bool:
    """Whether both keys are there, whatever became of them."""
    found = [await key_store.is_stored(conn, token_hash(keyring, tokens[name])) for name in NAMES]
    return all(found)


async def _give_key(
    conn: Connection,
    keyring: Keyring,
    user: User,
    token: str,
    again: str | None,
    now: datetime,
) -> None:
    """A key that works at once, unless it is there; and the entry of it in the audit trail.

    again: why administrators are made again.
    """
    name = f"made again: {again}" if again else "first key"
    key = NewKey(user.id, name, bootstrap=True)
    stored = token_hash(keyring, token)
    key_id = await key_store.insert_key(conn, key, stored, now, held=HeldRights.of(user))
    if key_id is None:
        return
    act = AuditAct(
        "bootstrap_again" if again else "bootstrap",
        now,
        "cli",
        object_kind="users",
        object_id=str(user.id),
        details={"key": str(key_id)},
    )
    await insert_entry(conn, keyring, act)


async def _check_again(conn: Connection, now: datetime, because: str | None) -> str | None:
    """The reason for which administrators are made again; None: there were none yet."""
    administrators = await store.lock_administrators(conn, now)
    if await store.are_two_persons(conn, administrators.able, now):
        raise Conflict(
            phrase(
                "the county has two administrators who can log in, and they make whatever else"
                " it needs; for one of them who has lost the password: tocsin password LOGIN"
            )
        )
    if not await store.had_administrators(conn):
        return None
    if because is None:
        raise Conflict(
            phrase(
                "the county has had administrators, of whom fewer than two can log in now: try"
                " `tocsin password LOGIN` for each of them; if that does not help, give"
                " --again-because REASON, which every administrator is shown"
            )
        )
    reason = because.strip()
    if not 0 < len(reason) <= LONGEST_REASON:
        problem = phrase("1 to {longest_reason} characters", longest_reason=LONGEST_REASON)
        raise Invalid(
            phrase("the reason is wrong: {problem}", problem=problem),
            fields={"again_because": problem},
        )
    return reason


async def _county(conn: Connection, now: datetime) -> Department:
    department = await department_store.find_department(conn, DEPARTMENT)
    if department is None:
        county = DepartmentSettings(name=DEPARTMENT, kind=COUNTY, signature=DEPARTMENT)
        department = await department_store.insert_department(conn, county, now)
        await department_store.register(
            conn, "signature", DEPARTMENT, department.id, by=None, now=now
        )
    return department


async def _administrator(
    conn: Connection, department: Department, person: FirstAdministrator
) -> User:
    user = await store.find_user(conn, person.login)
    if user is None:
        check_plain(person.login, "login")
        need_own_look(person.login, await store.lock_logins(conn))
        new = NewUser(department.id, person.login, person.name, frozenset({Role.ADMIN}))
        return await store.insert_user(conn, new, bootstrap=True)
    if not user.runs_the_county or user.disabled_at is not None:
        raise Conflict(
            phrase(
                "the login {login} is somebody who is no administrator of the county; give"
                " another login",
                login=person.login,
            )
        )
    return user
