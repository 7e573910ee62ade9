"""Keys and second persons of the county, as tests of the API get them."""

from typing import Any

from service.accounts.people.model import Role, User
from service.storage.postgres import transaction
from tests.factories import make_token, make_user
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")


async def second_admin(api: Api) -> str:
    """The token of another administrator of the county."""
    async with transaction(api.runtime.pool) as conn:
        admin = api.teams["county"].admin
        other = await make_user(
            conn, *admin.roles, now=api.clock.at, department_id=admin.department_id
        )
        return await make_token(conn, api.runtime.keyring, other, api.clock.at)


async def make_key(api: Api, role: str = "operator", **more: Any) -> Answer:
    user = getattr(api.teams["county"], role)
    return await api.post("/keys", ADMIN, {"user_id": str(user.id), "name": "k", **more})


async def active_key(api: Api, role: str = "operator", **more: Any) -> dict[str, Any]:
    """A key that a second person has activated, with its token."""
    made = await make_key(api, role, **more)
    assert made.status == 201, made.body
    other = await second_admin(api)
    done = await api.post(f"/keys/{made.json['id']}/activate", other)
    assert done.status == 200, done.body
    return {**made.json, **done.json}


async def other(api: Api, *roles: Role) -> User:
    """Another user of the county."""
    async with transaction(api.runtime.pool) as conn:
        department = api.teams["county"].department_id
        return await make_user(conn, *roles, now=api.clock.at, department_id=department)


async def key_made_by(api: Api, maker: Any, user_id: object) -> str:
    """The token of a user's key that an administrator made, and another one activated."""
    made = await api.post("/keys", maker, {"user_id": str(user_id), "name": "k"})
    assert made.status == 201, made.body
    done = await api.post(f"/keys/{made.json['id']}/activate", await second_admin(api))
    assert done.status == 200, done.body
    return str(made.json["token"])
