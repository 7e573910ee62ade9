"""Keys over HTTP: two persons, limits, rotation, and when each is good for nothing."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.accounts.people.model import Right
from service.storage.postgres import CheckViolation, transaction
from tests.factories import TEXT, make_token, make_user
from tests.harness.keys import ADMIN, active_key, make_key, second_admin
from tests.integration.api.conftest import Api


@pytest.mark.attack
async def test_a_key_works_once_a_second_person_says_so(api: Api) -> None:
    made = await make_key(api)
    assert (made.status, made.json["state"]) == (201, "pending")
    token, path = made.json["token"], f"/keys/{made.json['id']}"
    assert (await api.get("/campaigns", token)).status == 401
    own = await api.post(f"{path}/activate", ADMIN)
    assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    assert (await api.get("/campaigns", token)).status == 401
    other = await second_admin(api)
    done = await api.post(f"{path}/activate", other)
    assert (done.status, done.json["state"]) == (200, "active")
    assert (await api.get("/campaigns", token)).status == 200
    assert (await api.post(f"{path}/activate", other)).status == 409
    shown = (await api.get(path, ADMIN)).json
    assert "token" not in shown
    assert shown["created_by"] != shown["activated_by"]


@pytest.mark.attack
async def test_the_database_wants_two_persons_too(api: Api) -> None:
    made = await make_key(api)
    with pytest.raises(CheckViolation, match="keys_two_persons"):
        async with transaction(api.runtime.pool) as conn:
            await conn.execute(
                "UPDATE keys SET activated_at = $2, activated_by = created_by WHERE id = $1::uuid",
                made.json["id"],
                api.clock.at,
            )


async def test_a_key_of_another_department_cannot_be_activated(api: Api) -> None:
    made = await make_key(api)
    refused = await api.post(f"/keys/{made.json['id']}/activate", ("school", "admin"))
    assert refused.status == 404


async def test_revoked_and_expired_keys_are_nobodys(api: Api) -> None:
    expires = (api.clock.at + timedelta(hours=1)).isoformat()
    first = await active_key(api, expires_at=expires)
    second = await active_key(api, expires_at=expires)
    assert (await api.get("/campaigns", first["token"])).status == 200
    for _ in range(2):
        assert (await api.post(f"/keys/{first['id']}/revoke", ADMIN)).status == 204
    assert (await api.get("/campaigns", first["token"])).status == 401
    assert (await api.get("/campaigns", second["token"])).status == 200
    api.clock.at += timedelta(hours=1)
    assert (await api.get("/campaigns", second["token"])).status == 401
    past = await make_key(api, expires_at=expires)
    assert list(past.json["fields"]) == ["expires_at"]


async def test_a_rotated_key_has_the_same_grant_and_the_old_token_ends(api: Api) -> None:
    old = await active_key(api, "admin", scopes=["read"], networks=["127.0.0.0/8"])
    new = await api.post(f"/keys/{old['id']}/rotate", ADMIN, {"overlap_hours": 2})
    assert new.status == 201
    assert new.json["replaces"] == old["id"]
    assert (new.json["state"], new.json["scopes"]) == ("active", ["read"])
    assert new.json["activated_by"] == old["activated_by"]
    for token in (old["token"], new.json["token"]):
        assert (await api.get("/segments", token)).status == 200
        assert (await api.post("/segments", token, {})).status == 403
    api.clock.at += timedelta(hours=2)
    assert (await api.get("/segments", old["token"])).status == 401
    assert (await api.get("/segments", new.json["token"])).status == 200
    assert (await api.post(f"/keys/{old['id']}/rotate", ADMIN, {})).status == 409
    pending = await make_key(api)
    assert (await api.post(f"/keys/{pending.json['id']}/rotate", ADMIN, {})).status == 409


@pytest.mark.attack
async def test_whoever_renews_the_key_of_another_needs_a_second_person(api: Api) -> None:
    old = await active_key(api, scopes=["read"])
    new = await api.post(f"/keys/{old['id']}/rotate", ADMIN, {"overlap_hours": 2})
    assert (new.status, new.json["state"], new.json["replaces"]) == (201, "pending", old["id"])
    assert new.json["created_by"] == str(api.teams["county"].admin.id)
    path = f"/keys/{new.json['id']}"
    assert (await api.get("/segments", new.json["token"])).status == 401
    refused = await api.post(f"{path}/activate", ADMIN)
    assert (refused.status, refused.json["type"]) == (403, "/problems/second_person_needed")
    api.clock.at += timedelta(hours=3)  # the old one goes on until the new one works
    assert (await api.get("/segments", old["token"])).status == 200
    done = await api.post(f"{path}/activate", await second_admin(api))
    assert (done.status, done.json["state"], done.json["scopes"]) == (200, "active", ["read"])
    assert (await api.get("/segments", new.json["token"])).status == 200
    assert (await api.get("/segments", old["token"])).status == 200
    api.clock.at += timedelta(hours=2)
    assert (await api.get("/segments", old["token"])).status == 401
    assert (await api.get("/segments", new.json["token"])).status == 200


@pytest.mark.attack
async def test_the_first_keys_are_renewed_by_two_persons_too(api: Api) -> None:
    first = await api.runtime.pool.fetchval(
        "SELECT id FROM keys WHERE bootstrap AND user_id = $1", api.teams["county"].operator.id
    )
    new = await api.post(f"/keys/{first}/rotate", ADMIN, {})
    assert (new.status, new.json["state"]) == (201, "pending")


async def test_nobody_renews_the_key_of_somebody_who_may_do_more(api: Api) -> None:
    theirs = await active_key(api, "admin", scopes=["read"])
    async with transaction(api.runtime.pool) as conn:
        manager = await make_user(
            conn,
            now=api.clock.at,
            department_id=api.teams["county"].department_id,
            rights={Right.ACCOUNTS, Right.READ},
        )
        token = await make_token(conn, api.runtime.keyring, manager, api.clock.at)
    refused = await api.post(f"/keys/{theirs['id']}/rotate", token, {})
    assert (refused.status, refused.json["type"]) == (403, "/problems/right_not_yours")


async def test_a_key_renews_itself_at_once_and_nothing_that_gives_more(api: Api) -> None:
    narrow = {"scopes": ["accounts", "read"]}
    expires = (api.clock.at + timedelta(days=9)).isoformat()
    key = await active_key(api, "admin", **narrow, networks=["127.0.0.0/8"], expires_at=expires)
    itself = await api.post(f"/keys/{key['id']}/rotate", key["token"], {})
    assert (itself.status, itself.json["state"]) == (201, "active")
    for more in ({}, {"expires_at": expires}, {"networks": ["127.0.0.0/8"]}):
        other = await active_key(api, "admin", **narrow, **more)
        refused = await api.post(f"/keys/{other['id']}/rotate", key["token"], {})
        assert (refused.status, refused.json["type"]) == (403, "/problems/right_not_yours"), more
        assert (await api.post(f"/keys/{other['id']}/rotate", ADMIN, {})).json["state"] == "active"


async def test_a_key_does_no_more_than_its_scopes(api: Api) -> None:
    key = await active_key(api, role="admin", scopes=["read", "accounts"])
    assert (await api.get("/segments", key["token"])).status == 200
    assert (await api.get("/runs/00000000-0000-0000-0000-000000000000", key["token"])).status == 404
    refused = await api.post("/segments", key["token"], {"name": "n", "rule": "性别 = 女"})
    assert (refused.status, refused.json["type"]) == (403, "/problems/out_of_scope")
    body = {"login": "x", "name": "x", "roles": ["operator"]}
    refused = await api.post("/users", key["token"], body)
    assert refused.json["type"] == "/problems/right_not_yours"
    body = {"login": "x", "name": "x", "roles": ["viewer"]}
    assert (await api.post("/users", key["token"], body)).status == 201


@pytest.mark.attack
async def test_what_a_key_plans_stays_what_it_is(api: Api) -> None:
    test, live = await active_key(api, mode="test"), api.tokens["county", "operator"]
    segment = (await api.post("/segments", live, {"name": "n", "rule": "性别 = 女"})).json["id"]
    template = (
        await api.post("/templates", live, {"name": "n", "class": "service", "text": TEXT})
    ).json["id"]
    plan = {"name": "n", "template_id": template, "segment_id": segment}
    ours = (await api.post("/campaigns", test["token"], plan)).json
    theirs = (await api.post("/campaigns", live, plan)).json
    assert (ours["key_mode"], theirs["key_mode"]) == ("test", "live")
    edited = await api.patch(f"/campaigns/{ours['id']}", live, {"name": "m"})
    assert edited.json["key_mode"] == "test"
    for act, body in (("", {"name": "m"}), ("/submit", None)):
        path = f"/campaigns/{theirs['id']}{act}"
        method = "POST" if act else "PATCH"
        refused = await api.call(method, path, test["token"], json=body)
        assert (refused.status, refused.json["type"]) == (403, "/problems/out_of_scope")
    assert (await api.post(f"/campaigns/{ours['id']}/submit", test["token"])).status == 200


async def test_a_key_works_from_its_networks_only(api: Api) -> None:
    inside = await active_key(api, networks=["10.0.0.0/8", "127.0.0.1"])
    outside = await active_key(api, networks=["10.0.0.0/8"])
    assert (await api.get("/campaigns", inside["token"])).status == 200
    refused = await api.get("/campaigns", outside["token"])
    assert (refused.status, refused.json["type"]) == (403, "/problems/address_not_allowed")
    claimed = {"X-Forwarded-For": "10.1.2.3"}
    assert (await api.get("/campaigns", outside["token"], headers=claimed)).status == 403


async def test_the_last_use_is_written_once_a_minute(api: Api) -> None:
    key = await active_key(api)
    seen = []
    for seconds in (0, 59, 1):
        api.clock.at += timedelta(seconds=seconds)
        await api.get("/campaigns", key["token"])
        seen.append((await api.get(f"/keys/{key['id']}", ADMIN)).json["last_used_at"])
    assert seen[0] == seen[1] < seen[2]


NARROW = [
    ({"scopes": ["fly"]}, "scopes"),
    ({"rosters": ["家长"]}, "scopes"),
    ({"rosters": ["家长"], "scopes": ["import", "plan"]}, "scopes"),
    ({"area_codes": ["341825000000"], "scopes": ["import"]}, "area_codes"),
    ({"networks": ["10.0.0.0/99"]}, "networks"),
]


@pytest.mark.parametrize(("limits", "field"), NARROW)
async def test_limits_that_make_no_sense_are_refused(
    api: Api, limits: dict[str, Any], field: str
) -> None:
    refused = await make_key(api, **limits)
    assert (refused.status, list(refused.json["fields"])) == (422, [field])


async def test_a_key_fills_no_roster_but_its_own(api: Api) -> None:
    key = await active_key(api, scopes=["import"], rosters=["家长"])
    members: dict[str, list[object]] = {"members": []}
    own = await api.call("PUT", "/rosters/家长/members", key["token"], json=members)
    assert own.status == 200
    other = await api.call("PUT", "/rosters/财务/members", key["token"], json=members)
    assert (other.status, other.json["type"]) == (403, "/problems/out_of_scope")
    other = await api.call("PATCH", "/rosters/财务", key["token"], json={})
    assert (other.status, other.json["type"]) == (403, "/problems/out_of_scope")


async def test_a_key_stands_in_for_whoever_is_away_from_the_first_to_the_last_moment(
    api: Api,
) -> None:
    team, start = api.teams["county"], api.clock.at + timedelta(hours=1)
    body = {
        "absent_id": str(team.approver.id),
        "deputy_id": str(team.operator.id),
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=1)).isoformat(),
        "reason": "leave",
    }
    assert (await api.post("/deputies", ("county", "approver"), body)).status == 201
    path = f"/campaigns/{uuid4()}/approve"
    for seconds, status in ((-1, 403), (0, 404), (3599, 404), (3600, 403)):
        api.clock.at = start + timedelta(seconds=seconds)
        assert (await api.post(path, ("county", "operator"), {})).status == status, seconds
