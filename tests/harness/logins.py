"""People of the county who log in with a password, and codes that are sent to phones."""

import json
from uuid import UUID

from service.accounts.login.credentials import hash_password
from service.accounts.login.session_store import set_password
from service.accounts.people.model import User
from service.storage.postgres import transaction
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")
PASSWORD = "correct horse battery"


async def log_in(api: Api, login: str, password: str, code: str | None = None) -> Answer:
    body = {"login": login, "password": password} | ({"code": code} if code else {})
    return await api.post("/login", None, body)


async def given_password(api: Api, user_id: UUID) -> str:
    """A password for once, on which two administrators agreed."""
    given = await api.post(f"/users/{user_id}/password", ADMIN)
    if given.json["state"] == "pending":
        path = f"/users/{user_id}/password/confirm"
        assert (await api.post(path, await second_admin(api))).status == 204
    return str(given.json["password"])


async def person(api: Api, role: str = "operator", department: str = "county") -> str:
    """A user who has chosen a password; returns the login."""
    return await with_password(api, getattr(api.teams[department], role))


async def with_password(api: Api, user: User) -> str:
    """The login of a user, who has chosen a password by now."""
    given = await given_password(api, user.id)
    token = (await log_in(api, user.login, given)).json["token"]
    body = {"current": given, "new": PASSWORD}
    assert (await api.post("/me/password", token, body)).status == 204
    return str(user.login)


async def with_own_password(api: Api, user: User) -> str:
    """The login of a user who chose a password of which nobody else knows anything."""
    async with transaction(api.runtime.pool) as conn:
        await set_password(conn, user.id, hash_password(PASSWORD), temporary=False)
    return user.login


async def last_code(api: Api) -> str:
    """The last code that was sent, as its phone would show it."""
    cipher = await api.runtime.pool.fetchval(
        """
        SELECT m.variables_cipher FROM messages m JOIN runs r ON r.id = m.run_id
        WHERE r.kind = 'reply' ORDER BY r.id DESC LIMIT 1
        """
    )
    (code,) = json.loads(api.runtime.keyring.decrypt("variables", cipher)).values()
    return str(code)
