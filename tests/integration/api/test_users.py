"""Users over HTTP: who may make and change whom."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.manage import create_user, edit_user
from service.accounts.people.model import NewUser, Role, User
from service.accounts.people.store import get_user, lock_administrators
from service.errors import Conflict
from service.storage.postgres import transaction
from tests.factories import make_draft, make_token, make_user
from tests.harness.keys import second_admin
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Answer, Api

ADMIN, SCHOOL = ("county", "admin"), ("school", "admin")
LAST = "/problems/last_administrator"


async def test_a_disabled_users_keys_do_nothing(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "UPDATE users SET disabled_at = $2 WHERE id = $1",
            api.teams["county"].viewer.id,
            api.clock.at,
        )
    assert (await api.get("/campaigns", ("county", "viewer"))).status == 401


async def test_users_are_found_by_a_part_of_the_name_or_login_and_by_department(api: Api) -> None:
    school = str(api.teams["school"].department_id)
    for login, name, where in (("wang.fang", "王芳", None), ("li.wang", "李明", school)):
        body = {"login": login, "name": name, "roles": ["viewer"], "department_id": where}
        assert (await api.post("/users", ADMIN, body)).status == 201

    async def found(query: str, who: tuple[str, str] = ADMIN) -> list[str]:
        answer = await api.get(f"/users?{query}", who)
        assert answer.status == 200, answer.body
        return [user["login"] for user in answer.json["items"]]

    assert await found("words=WANG") == ["li.wang", "wang.fang"]
    assert await found("words=WANG", SCHOOL) == ["li.wang"]
    assert await found("words=%E7%8E%8B") == ["wang.fang"]
    assert await found("words=%25") == [], "no sign stands for others"
    assert await found(f"words=wang&department_id={school}") == ["li.wang"]
    of_school = await found(f"department_id={school}")
    assert of_school == await found("", SCHOOL)
    county = api.teams["county"].department_id
    assert await found(f"department_id={county}", SCHOOL) == [], "they stay in the school"
    first = (await api.get("/users?words=wang&limit=1", ADMIN)).json
    assert await found(f"words=wang&cursor={first['next_cursor']}") == ["wang.fang"]


async def test_names_and_logins_are_taken_once(api: Api) -> None:
    body = {"login": "li", "name": "李", "roles": ["viewer"]}
    assert (await api.post("/users", ADMIN, body)).status == 201
    assert (await api.post("/users", SCHOOL, body)).status == 409
    assert (await api.post("/departments", ADMIN, {"name": "新"})).status == 201
    assert (await api.post("/departments", ADMIN, {"name": "新"})).status == 409


@pytest.mark.attack
@pytest.mark.parametrize(
    "twin", ["Wang.li", "ｗａｎｇ．ｌｉ", "wang.1i", "wang .li", "vvang.li", "WANG.LI"]
)
async def test_nobody_is_taken_for_another_by_the_login(api: Api, twin: str) -> None:
    body = {"login": "wang.li", "name": "王", "roles": ["viewer"]}
    assert (await api.post("/users", ADMIN, body)).status == 201
    refused = await api.post("/users", ADMIN, body | {"login": twin})
    assert (refused.status, refused.json["type"]) == (409, "/problems/looks_like_another")
    assert (await api.post("/users", ADMIN, body | {"login": "wang.lin"})).status == 201


@pytest.mark.attack
@pytest.mark.parametrize("disguised", ["wаng", "wang\u200b", "wäng", "wang\u3164", "\u0440an"])
async def test_letters_that_pass_for_others_are_in_no_name(api: Api, disguised: str) -> None:
    for path, field, body in (
        ("/users", "login", {"name": "王", "roles": ["viewer"]}),
        ("/departments", "name", {}),
    ):
        refused = await api.post(path, ADMIN, body | {field: disguised})
        assert (refused.status, list(refused.json["fields"])) == (422, [field])
    path = f"/departments/{api.teams['school'].department_id}"
    assert (await api.patch(path, ADMIN, {"name": disguised})).status == 422


@pytest.mark.attack
async def test_no_department_is_taken_for_another_by_its_name(api: Api) -> None:
    made = (await api.post("/departments", ADMIN, {"name": "公安局（一）"})).json
    for twin in ("公安局(一)", "公安局 （一）"):
        refused = await api.post("/departments", ADMIN, {"name": twin})
        assert (refused.status, refused.json["type"]) == (409, "/problems/looks_like_another")
        path = f"/departments/{api.teams['school'].department_id}"
        assert (await api.patch(path, ADMIN, {"name": twin})).status == 409
        own = await api.patch(f"/departments/{made['id']}", ADMIN, {"leader": "王"})
        assert own.status == 200


@pytest.mark.attack
async def test_of_twins_made_in_one_moment_one_is_there(api: Api) -> None:
    """The second waits for the first, whom it would not see before."""
    pool, admin = api.runtime.pool, api.teams["county"].admin

    async def make(login: str) -> None:
        new = NewUser(admin.department_id, login, "王", frozenset({Role.VIEWER}))
        async with transaction(pool) as conn:
            await create_user(conn, admin, new, api.clock.at)

    async with transaction(pool) as conn:
        new = NewUser(admin.department_id, "li", "李", frozenset({Role.VIEWER}))
        await create_user(conn, admin, new, api.clock.at)
        twin = asyncio.create_task(make("Li"))
        await until_blocked(pool, twin)
    with pytest.raises(Conflict, match="looks like one"):
        await twin


@pytest.mark.attack
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
    body = {"login": "x", "name": "x", "roles": ["viewer"], "rights": ["rule"]}
    assert (await api.post("/users", ADMIN, body)).status == 422


async def _made(api: Api, who: tuple[str, str], login: str, **more: Any) -> Answer:
    """What a second administrator has confirmed of a user; or the refusal to make one."""
    made = await api.post("/users", who, {"login": login, "name": login, **more})
    return await _confirmed(api, made) if made.status == 201 else made


async def _confirmed(api: Api, changed: Answer) -> Answer:
    """The user once another administrator has confirmed what waits."""
    user = changed.json
    path = f"/users/{user['id']}/grants/{user['proposed']['id']}/confirm"
    done = await api.post(path, await second_admin(api))
    assert (done.status, done.json["state"]) == (200, "confirmed"), done.body
    return await api.get(f"/users/{user['id']}", ADMIN)


async def _token(api: Api, user_id: str) -> str:
    async with transaction(api.runtime.pool) as conn:
        user = await get_user(conn, UUID(user_id), None)
        return await make_token(conn, api.runtime.keyring, user, api.clock.at)


async def test_rights_are_given_one_by_one(api: Api) -> None:
    made = await _made(api, ADMIN, "drafter", rights=["read", "reports", "plan"])
    assert made.json["may"] == ["plan", "read", "reports"]
    token = await _token(api, made.json["id"])
    assert (await api.get("/segments", token)).status == 200
    assert (await api.post("/campaigns", token, {})).status == 422
    for act in ("submit", "approve", "pause"):
        path = f"/campaigns/{made.json['id']}/{act}"
        assert (await api.post(path, token, {})).status == 403, act
    changed = await api.patch(f"/users/{made.json['id']}", ADMIN, {"rights": ["reports"]})
    assert changed.json["may"] == ["reports"]
    assert (await api.get("/segments", token)).status == 403


@pytest.mark.attack
async def test_nobody_gives_rights_that_are_not_theirs(api: Api) -> None:
    manager = await _made(api, ADMIN, "manager", rights=["accounts", "read"])
    token = await _token(api, manager.json["id"])
    viewer = str(api.teams["county"].viewer.id)
    refusals = [
        await api.post("/users", token, {"login": "a", "name": "a", "roles": ["admin"]}),
        await api.post("/users", token, {"login": "b", "name": "b", "rights": ["approve"]}),
        await api.patch(f"/users/{manager.json['id']}", token, {"rights": ["accounts", "plan"]}),
        await api.patch(f"/users/{viewer}", token, {"roles": ["operator"]}),
        await api.patch(f"/users/{api.teams['county'].admin.id}", token, {"disabled": True}),
        await api.post("/keys", token, {"user_id": viewer, "name": "k"}),
    ]
    assert {answer.json["type"].rpartition("/")[2] for answer in refusals} == {"right_not_yours"}
    made = await api.post("/users", token, {"login": "c", "name": "c", "rights": ["read"]})
    assert made.status == 201
    inspector = await api.post(
        "/users", SCHOOL, {"login": "i", "name": "i", "roles": ["inspector"]}
    )
    assert inspector.status == 403


async def _id_of(api: Api, token: str) -> str:
    return str((await api.get("/me", token)).json["id"])


@pytest.mark.attack
async def test_the_last_two_administrators_of_the_county_stay(api: Api) -> None:
    """Neither puts out the other, nor themselves: whoever is left could have others made alone."""
    own, token = str(api.teams["county"].admin.id), await second_admin(api)
    second = await _id_of(api, token)
    for user in (own, second):
        for who in (ADMIN, token):
            for body in ({"disabled": True}, {"roles": ["viewer"]}, {"roles": ["inspector"]}):
                answer = await api.patch(f"/users/{user}", who, body)
                if body == {"roles": ["inspector"]}:
                    assert (answer.status, answer.json["roles"]) == (200, ["admin"]), "it waits"
                    continue
                assert (answer.status, answer.json["type"]) == (409, LAST), (user, who, body)
                assert "name a third one first" in answer.json["detail"]
            shown = (await api.get(f"/users/{user}", ADMIN)).json
            assert (shown["roles"], shown["disabled_at"]) == (["admin"], None)
    third = await second_admin(api)
    assert (await api.patch(f"/users/{second}", ADMIN, {"disabled": True})).status == 200
    left = await api.patch(f"/users/{own}", third, {"roles": ["operator"]})
    assert left.json["type"] == LAST


@pytest.mark.attack
async def test_nobody_takes_the_last_key_of_the_other_administrator(api: Api) -> None:
    """A key is how they log in; with a password beside it, it may go."""
    token = await second_admin(api)
    second = await _id_of(api, token)
    keys = (await api.get("/keys?limit=100", ADMIN)).json["items"]
    (key,) = (item["id"] for item in keys if item["user_id"] == second)
    for who in (ADMIN, token):
        refused = await api.post(f"/keys/{key}/revoke", who)
        assert (refused.status, refused.json["type"]) == (409, LAST)
    assert (await api.get("/me", token)).status == 200
    await api.runtime.pool.execute(
        "UPDATE users SET password_hash = 'x' WHERE id = $1::uuid", second
    )
    assert (await api.post(f"/keys/{key}/revoke", ADMIN)).status == 204


@pytest.mark.attack
async def test_a_department_of_another_kind_leaves_two_administrators(api: Api) -> None:
    """Another county department with the other administrator in it becomes a town."""
    made = (await api.post("/departments", ADMIN, {"name": "旌德县应急局", "kind": "county"})).json
    async with transaction(api.runtime.pool) as conn:
        department = UUID(made["id"])
        user = await make_user(conn, Role.ADMIN, now=api.clock.at, department_id=department)
        await make_token(conn, api.runtime.keyring, user, api.clock.at)
    refused = await api.patch(f"/departments/{department}", ADMIN, {"kind": "town"})
    assert (refused.status, refused.json["type"]) == (409, LAST)
    await second_admin(api)
    done = await api.patch(f"/departments/{department}", ADMIN, {"kind": "town"})
    assert done.status == 200, done.body


@pytest.mark.attack
async def test_two_accounts_of_one_person_are_not_two_administrators(api: Api) -> None:
    """Whoever holds the third one's key puts out the second: alone with a puppet."""
    second = await second_admin(api)
    async with transaction(api.runtime.pool) as conn:
        department = api.teams["county"].department_id
        puppet = await make_user(conn, Role.ADMIN, now=api.clock.at, department_id=department)
    key = (await api.post("/keys", ADMIN, {"user_id": str(puppet.id), "name": "k"})).json
    assert (await api.post(f"/keys/{key['id']}/activate", second)).status == 200
    path = f"/users/{await _id_of(api, second)}"
    refused = await api.patch(path, ADMIN, {"disabled": True})
    assert (refused.status, refused.json["type"]) == (409, LAST)
    await second_admin(api)
    assert (await api.patch(path, ADMIN, {"disabled": True})).status == 200


@pytest.mark.attack
@pytest.mark.parametrize("how", ["nothing", "pending", "revoked", "expired", "trial", "scopes"])
async def test_an_administrator_who_cannot_log_in_does_not_count(api: Api, how: str) -> None:
    """Else nobody could put anything right: by a key that does not work, or manages no users."""
    second = await second_admin(api)
    async with transaction(api.runtime.pool) as conn:
        department = api.teams["county"].department_id
        third = await make_user(conn, Role.ADMIN, now=api.clock.at, department_id=department)
    limits: dict[str, dict[str, Any]] = {
        "expired": {"expires_at": (api.clock.at + timedelta(hours=1)).isoformat()},
        "trial": {"mode": "trial"},
        "scopes": {"scopes": ["read"]},
    }
    if how != "nothing":
        body = {"user_id": str(third.id), "name": "k", **limits.get(how, {})}
        key = (await api.post("/keys", ADMIN, body)).json["id"]
        if how != "pending":
            assert (await api.post(f"/keys/{key}/activate", second)).status == 200
        if how == "revoked":
            assert (await api.post(f"/keys/{key}/revoke", ADMIN)).status == 204
    api.clock.at += timedelta(hours=2)
    path = f"/users/{await _id_of(api, second)}"
    refused = await api.patch(path, ADMIN, {"disabled": True})
    assert (refused.status, refused.json["type"]) == (409, LAST)
    await second_admin(api)
    assert (await api.patch(path, ADMIN, {"disabled": True})).status == 200


@pytest.mark.attack
async def test_two_administrators_who_put_each_other_out_at_once_stay_both(api: Api) -> None:
    """Of three, two who each put out the other: one is let, and two stay."""
    first, now = api.teams["county"].admin, api.clock.at
    second = UUID(await _id_of(api, await second_admin(api)))

    async def put_out(actor: User, user_id: UUID) -> None:
        async with transaction(api.runtime.pool) as conn:
            await edit_user(conn, actor, user_id, lambda user: replace(user, disabled_at=now), now)

    async def both() -> list[object]:
        other = replace(first, id=second)
        acts = (put_out(first, second), put_out(other, first.id))
        return [type(answer) for answer in await asyncio.gather(*acts, return_exceptions=True)]

    assert await both() == [Conflict, Conflict]
    await second_admin(api)
    assert sorted(map(str, await both())) == sorted(map(str, [type(None), Conflict]))
    async with transaction(api.runtime.pool) as conn:
        assert len((await lock_administrators(conn, now)).able) == 2


@pytest.mark.attack
async def test_an_inspector_sees_reports_of_all_and_no_people(api: Api) -> None:
    made = await _made(api, ADMIN, "inspector", roles=["inspector"])
    token = await _token(api, made.json["id"])
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["school"].operator, now=api.clock.at)
    listed = (await api.get("/campaigns", token)).json["items"]
    assert [item["id"] for item in listed] == [str(draft.id)]
    assert (await api.get(f"/campaigns/{draft.id}", token)).status == 200
    for path in ("/segments", "/inbound", "/suppressions", f"/campaigns/{draft.id}/preview"):
        assert (await api.get(path, token)).status == 403, path
    both = await _made(api, ADMIN, "both", roles=["inspector", "viewer"])
    assert both.status == 422


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
