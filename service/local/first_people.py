"""The people of a simulated system beside its two administrators: an operator and an approver.

They are made over the API as everybody is: one administrator proposes and the other confirms. Each
administrator makes the key of one of them, so that no single person could act as both.

For the console, all four get a password for once from whoever runs the machine, at the first start.
"""

from datetime import datetime
from typing import Any

from tocsin_client import Tocsin

from service.accounts.login import passwords, session_store
from service.crypto import Keyring
from service.storage.postgres import connect

FIRST, SECOND = "admin", "second_admin"
_NAMES = {"operator": "操作员", "approver": "审批员"}


async def make_people(url: str, keys: dict[str, str]) -> dict[str, str]:
    """Make whoever has no key yet, and return all keys: those given, `operator` and `approver`.

    url: of the API. keys: by name, at least those of the two administrators.
    """
    result = dict(keys)
    async with Tocsin(url, keys[FIRST]) as first, Tocsin(url, keys[SECOND]) as second:
        for role, (maker, other) in (("operator", (first, second)), ("approver", (second, first))):
            if role not in result:
                result[role] = await _make(role, maker, other)
    return result


async def _make(role: str, maker: Tocsin, other: Tocsin) -> str:
    """A user of a role, whom a start that was cut short may have left, and their key's token."""
    user = await _find(role, maker)
    if user is None:
        body = {"login": role, "name": _NAMES[role], "roles": [role]}
        user = await maker.ask("POST", "/users", body=body)
    if not user["roles"] and user["proposed"] is None:
        user = await maker.ask("PATCH", f"/users/{user['id']}", body={"roles": [role]})
    if user["proposed"] is not None:
        path = f"/users/{user['id']}/grants/{user['proposed']['id']}/confirm"
        await other.ask("POST", path)
    key = await maker.ask("POST", "/keys", body={"user_id": user["id"], "name": "first key"})
    await other.ask("POST", f"/keys/{key['id']}/activate")
    token: str = key["token"]
    return token


async def _find(login: str, maker: Tocsin) -> dict[str, Any] | None:
    async for user in maker.each("/users"):
        if user["login"] == login:
            found: dict[str, Any] = user
            return found
    return None


async def give_first_logins(database_url: str, keyring: Keyring, now: datetime) -> dict[str, str]:
    """A password for once for each of the four who never had one, by login; shown this once."""
    conn = await connect(database_url)
    try:
        given = {}
        for login in (FIRST, SECOND, *_NAMES):
            async with conn.transaction():
                known = await session_store.find_credentials(conn, login)
                if known is not None and known.password_hash is None:
                    given[login] = await passwords.give_alone(
                        conn, keyring, known.user_id, now, action="first_password"
                    )
        return given
    finally:
        await conn.close()
