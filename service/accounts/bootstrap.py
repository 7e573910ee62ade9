"""The first accounts of a new system: one county department, and a user and key for each role."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from service.accounts import department_store, key_store, store
from service.accounts.audit import Act
from service.accounts.audit_store import insert_entry
from service.accounts.department import COUNTY, Department, Settings
from service.accounts.key import NewKey
from service.accounts.keys import new_token, token_hash
from service.accounts.model import NewUser, Role
from service.crypto import Keyring
from service.storage.postgres import Connection

ROLES = (Role.ADMIN, Role.OPERATOR, Role.APPROVER)
DEPARTMENT = "县反诈中心"


async def bootstrap(
    conn: Connection, keyring: Keyring, now: datetime, tokens: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Make the first accounts unless they are there, and return a token for each role.

    A county department gets the users `admin`, `operator` and `approver`, each with that role and
    a key, which works at once: nobody is there yet to be its second person. Tokens that are given
    are used, so that the next start can print the same ones; a key that was revoked stays so.
    """
    department = await department_store.find_department(conn, DEPARTMENT)
    if department is None:
        county = Settings(name=DEPARTMENT, kind=COUNTY, signature=DEPARTMENT)
        department = await department_store.insert_department(conn, county, now)
        await department_store.register(
            conn, "signature", DEPARTMENT, department.id, by=None, now=now
        )
    given = dict(tokens or {})
    result = {}
    for role in ROLES:
        token = given.get(role.value) or new_token()
        user_id = await _user_with(conn, department, role)
        key = NewKey(user_id, "first key", bootstrap=True)
        if await key_store.insert_key(conn, key, token_hash(keyring, token), now):
            act = Act("bootstrap", now, "cli", object_kind="users", object_id=str(user_id))
            await insert_entry(conn, act)
        result[role.value] = token
    return result


async def _user_with(conn: Connection, department: Department, role: Role) -> UUID:
    user = await store.find_user(conn, role.value)
    if user is None:
        user = await store.insert_user(
            conn, NewUser(department.id, role.value, role.value, frozenset({role}))
        )
    return user.id
