"""Departments, users and keys over HTTP."""

from datetime import timedelta

from service.storage.postgres import transaction
from tests.integration.api.conftest import Api

ADMIN, SCHOOL = ("county", "admin"), ("school", "admin")


async def test_a_new_department_gets_users_with_keys(api: Api) -> None:
    made = await api.post("/departments", ADMIN, {"name": "财政局", "signature": "旌德县财政局"})
    assert (made.status, made.json["kind"]) == (201, "department")
    user = await api.post(
        "/users",
        ADMIN,
        {"department_id": made.json["id"], "login": "li", "name": "李", "roles": ["viewer"]},
    )
    assert user.status == 201
    key = await api.post("/keys", ADMIN, {"user_id": user.json["id"], "name": "k"})
    assert key.status == 201
    assert key.json["token"].startswith("tk_")
    seen = await api.get("/departments", key.json["token"])
    assert [item["name"] for item in seen.json["items"]] == ["财政局"]
    listed = (await api.get("/keys", ADMIN)).json["items"]
    assert listed[0]["id"] == key.json["id"]
    assert "token" not in listed[0]


async def test_a_revoked_or_expired_key_is_nobodys(api: Api) -> None:
    viewer = str(api.teams["county"].viewer.id)
    expires = (api.clock.at + timedelta(hours=1)).isoformat()
    body = {"user_id": viewer, "name": "k", "expires_at": expires}
    first, second = [(await api.post("/keys", ADMIN, body)).json for _ in range(2)]
    assert (await api.get("/campaigns", first["token"])).status == 200
    for _ in range(2):
        assert (await api.post(f"/keys/{first['id']}/revoke", ADMIN)).status == 204
    assert (await api.get("/campaigns", first["token"])).status == 401
    assert (await api.get("/campaigns", second["token"])).status == 200
    api.clock.at += timedelta(hours=1)
    assert (await api.get("/campaigns", second["token"])).status == 401
    past = await api.post("/keys", ADMIN, body)
    assert list(past.json["fields"]) == ["expires_at"]


async def test_a_disabled_users_keys_do_nothing(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "UPDATE users SET disabled_at = $2 WHERE id = $1",
            api.teams["county"].viewer.id,
            api.clock.at,
        )
    assert (await api.get("/campaigns", ("county", "viewer"))).status == 401


async def test_names_and_logins_are_taken_once(api: Api) -> None:
    body = {"login": "li", "name": "李", "roles": ["viewer"]}
    assert (await api.post("/users", ADMIN, body)).status == 201
    assert (await api.post("/users", SCHOOL, body)).status == 409
    assert (await api.post("/departments", ADMIN, {"name": "新"})).status == 201
    assert (await api.post("/departments", ADMIN, {"name": "新"})).status == 409


async def test_an_administrator_of_a_school_stays_in_the_school(api: Api) -> None:
    refused = await api.post("/departments", SCHOOL, {"name": "n", "kind": "county"})
    assert refused.status == 403
    county = str(api.teams["county"].department_id)
    body = {"department_id": county, "login": "x", "name": "x", "roles": ["admin"]}
    refused = await api.post("/users", SCHOOL, body)
    assert (refused.status, list(refused.json["fields"])) == (422, ["department_id"])
    viewer = str(api.teams["county"].viewer.id)
    refused = await api.post("/keys", SCHOOL, {"user_id": viewer, "name": "k"})
    assert (refused.status, list(refused.json["fields"])) == (422, ["user_id"])


async def test_a_user_needs_a_role_that_exists(api: Api) -> None:
    for roles in ([], ["king"]):
        body = {"login": "x", "name": "x", "roles": roles}
        assert (await api.post("/users", ADMIN, body)).status == 422


async def test_lists_are_paged_from_new_to_old(api: Api) -> None:
    names = [f"d{n}" for n in range(5)]
    for name in names:
        await api.post("/departments", ADMIN, {"name": name})
    seen, cursor = [], ""
    while True:
        page = (await api.get(f"/departments?limit=2{cursor}", ADMIN)).json
        assert 1 <= len(page["items"]) <= 2
        seen += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen[:5] == names[::-1]
    assert len(seen) == len(set(seen)) == 7
