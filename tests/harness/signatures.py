"""A signature that two administrators of the county register."""

from uuid import UUID

from service.storage.postgres import transaction
from tests.factories import make_token, make_user
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")


async def confirm_signatures(api: Api, department_id: UUID | str) -> None:
    """Confirm what waits for a department, as another administrator."""
    first = api.teams["county"].admin
    async with transaction(api.runtime.pool) as conn:
        second = await make_user(
            conn, *first.roles, now=api.clock.at, department_id=first.department_id
        )
        token = await make_token(conn, api.runtime.keyring, second, api.clock.at)
    path = f"/departments/{department_id}/signatures"
    for item in (await api.get(path, ADMIN)).json["items"]:
        if item["state"] == "waiting":
            done = await api.post(f"{path}/{item['proposal_id']}/confirm", token)
            assert (done.status, done.json["state"]) == (200, "registered"), done.body


async def register_signature(api: Api, department_id: UUID | str, signature: str) -> None:
    """Propose it as one administrator, and confirm it as another."""
    path = f"/departments/{department_id}/signatures"
    made = await api.post(path, ADMIN, {"signature": signature})
    assert made.status == 201, made.body
    await confirm_signatures(api, department_id)
