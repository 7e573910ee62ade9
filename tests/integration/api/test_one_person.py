"""One person is never two: who gives rights, and who is the second person to what.

An administrator who makes somebody's key sees its token; so they count as that person.
"""

from datetime import timedelta
from uuid import UUID

import pytest

from service.accounts.bootstrap import FirstAdministrator, bootstrap
from service.accounts.people.model import Right, Role, User
from service.accounts.people.proposals import WAITS
from service.audience.areas.area_store import load_areas
from service.campaigns.approval import approval
from service.storage.postgres import CheckViolation, transaction
from tests.factories import make_draft, make_token, make_user
from tests.harness.keys import key_made_by, other, second_admin
from tests.integration.api.conftest import Answer, Api

ADMIN, OPERATOR, APPROVER = (("county", role) for role in ("admin", "operator", "approver"))
WORDS = {"name": "t", "class": "service", "text": "【旌德县反诈中心】会议改在周五。"}


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2]


REFUSED = (403, "second_person_needed")
APPROVED, ACTIVE = (f"{act}_by = $2, {act}_at = $3" for act in ("approved", "activated"))


async def token_of(api: Api, user: User) -> str:
    """A key that nobody else has seen."""
    async with transaction(api.runtime.pool) as conn:
        return await make_token(conn, api.runtime.keyring, user, api.clock.at)


async def submitted(api: Api, planner: User) -> str:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, planner, now=api.clock.at)
        await approval.submit(conn, planner, draft.id, api.clock.at)
    return f"/campaigns/{draft.id}/approve"


# ---- rights


@pytest.mark.attack
async def test_one_administrator_makes_no_approver(api: Api) -> None:
    """Neither of a new user nor of one whose token they hold: the rights wait for another."""
    held = await key_made_by(api, ADMIN, api.teams["county"].viewer.id)
    path = f"/users/{api.teams['county'].viewer.id}"
    changed = await api.patch(path, ADMIN, {"roles": ["approver"]})
    assert (changed.status, changed.json["roles"]) == (200, ["viewer"])
    made = await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["approver"]})
    assert (made.status, made.json["roles"], made.json["may"]) == (201, [], [])
    plan = await submitted(api, api.teams["county"].admin)
    assert (await api.post(plan, held, {})).status == 403
    for user in (changed.json, made.json):
        assert user["proposed"]["roles"] == ["approver"]
        confirm = f"/users/{user['id']}/grants/{user['proposed']['id']}/confirm"
        assert kind(await api.post(confirm, ADMIN)) == REFUSED
        assert (await api.get(f"/users/{user['id']}", ADMIN)).json["roles"] == user["roles"]


@pytest.mark.attack
async def test_a_puppet_administrator_confirms_no_grant(api: Api) -> None:
    """Whoever holds the token of a second administrator is no second administrator."""
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    made = (await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    confirm = f"/users/{made['id']}/grants/{made['proposed']['id']}/confirm"
    assert kind(await api.post(confirm, puppet)) == REFUSED
    assert (await api.post(confirm, await second_admin(api))).status == 200


@pytest.mark.attack
async def test_the_database_gives_nothing_on_the_word_of_one(api: Api) -> None:
    made = (await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    admin = api.teams["county"].admin
    puppet = await other(api, Role.ADMIN)
    await key_made_by(api, ADMIN, puppet.id)
    confirm = "UPDATE grants SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1::uuid"
    for by in (admin.id, puppet.id, UUID(made["id"])):
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(confirm, made["proposed"]["id"], by, api.clock.at)
    for change in ("roles = '{viewer}', bootstrap = true", "rights = '{approve}'"):
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(
                f"UPDATE users SET {change} WHERE id = $1::uuid",  # as above
                made["id"],
            )


@pytest.mark.attack
async def test_a_temporary_table_takes_the_place_of_no_grant(api: Api) -> None:
    made = (await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    async with api.runtime.pool.acquire() as conn:
        await conn.execute("CREATE TEMP TABLE grants (LIKE public.grants)")
        await conn.execute(
            "INSERT INTO grants SELECT * FROM public.grants WHERE id = $1::uuid",
            made["proposed"]["id"],
        )
        await conn.execute("UPDATE grants SET confirmed_by = proposed_by, confirmed_at = now()")
        try:
            with pytest.raises(CheckViolation):
                await conn.execute(
                    "UPDATE users SET roles = '{viewer}', grant_id = $2::uuid WHERE id = $1::uuid",
                    made["id"],
                    made["proposed"]["id"],
                )
        finally:
            await conn.execute("DROP TABLE pg_temp.grants")


@pytest.mark.attack
async def test_rights_that_are_taken_away_go_at_once(api: Api) -> None:
    """One administrator is enough to stop a colleague; back into service takes two."""
    user = api.teams["county"].admin
    path = f"/users/{(await other(api, Role.ADMIN)).id}"
    await second_admin(api)
    for body in ({"roles": ["operator"]}, {"roles": ["viewer"]}, {"disabled": True}):
        answer = await api.patch(path, ADMIN, body)
        assert (answer.status, answer.json["proposed"]) == (200, None), body
    assert answer.json["disabled_at"] is not None
    back = (await api.patch(path, ADMIN, {"disabled": False, "name": "新"})).json
    assert (back["name"], back["proposed"]["enables"]) == ("新", True)
    assert back["disabled_at"] is not None
    confirm = f"{path}/grants/{back['proposed']['id']}/confirm"
    assert kind(await api.post(confirm, ADMIN)) == REFUSED
    assert (await api.post(confirm, await second_admin(api))).status == 200
    shown = (await api.get(path, ADMIN)).json
    assert (shown["disabled_at"], shown["roles"], shown["proposed"]) == (None, ["viewer"], None)
    states = [grant["state"] for grant in (await api.get(f"{path}/grants", ADMIN)).json["items"]]
    assert states == ["confirmed", "narrowed", "narrowed"]
    assert user.disabled_at is None


@pytest.mark.attack
async def test_what_is_confirmed_is_what_was_read(api: Api) -> None:
    """A grant that was replaced, withdrawn, or has waited too long does not count any more."""
    made = (await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    path, second = f"/users/{made['id']}", await second_admin(api)
    first = f"{path}/grants/{made['proposed']['id']}/confirm"
    wider = (await api.patch(path, ADMIN, {"roles": ["admin"]})).json["proposed"]["id"]
    assert kind(await api.post(first, second)) == (409, "wrong_state")
    assert (await api.patch(path, ADMIN, {"disabled": False})).json["proposed"] is None
    assert kind(await api.post(f"{path}/grants/{wider}/confirm", second)) == (409, "wrong_state")
    late = (await api.patch(path, ADMIN, {"roles": ["viewer"]})).json["proposed"]["id"]
    api.clock.at += WAITS
    assert (await api.get(path, second)).json["proposed"] is None
    assert kind(await api.post(f"{path}/grants/{late}/confirm", second)) == (409, "wrong_state")
    assert (await api.get(path, second)).json["roles"] == []


@pytest.mark.attack
async def test_nobody_confirms_more_than_they_have(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        rights = {Right.ACCOUNTS, Right.READ}
        department = api.teams["county"].department_id
        lesser = await make_user(conn, now=api.clock.at, department_id=department, rights=rights)
    made = (await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["admin"]})).json
    confirm = f"/users/{made['id']}/grants/{made['proposed']['id']}/confirm"
    assert kind(await api.post(confirm, await token_of(api, lesser))) == (403, "right_not_yours")
    school = await api.post(confirm, ("school", "admin"))
    assert school.status == 404


@pytest.mark.attack
async def test_nobody_confirms_their_own_rights(api: Api) -> None:
    user = await other(api, Role.VIEWER)
    async with transaction(api.runtime.pool) as conn:
        all_of_them = await make_user(
            conn, now=api.clock.at, department_id=user.department_id, rights=frozenset(Right)
        )
    token = await token_of(api, all_of_them)
    path = f"/users/{all_of_them.id}"
    proposed = (await api.patch(path, ADMIN, {"roles": ["admin"], "rights": []})).json["proposed"]
    assert kind(await api.post(f"{path}/grants/{proposed['id']}/confirm", token)) == REFUSED


@pytest.mark.attack
async def test_the_kind_of_a_department_gives_its_users_nothing(api: Api) -> None:
    """Its administrator would run the county, or the channels, on the word of one."""
    path = f"/departments/{api.teams['school'].department_id}"
    for change in ({"kind": "county"}, {"kind": "police"}):
        assert kind(await api.patch(path, ADMIN, change)) == (409, "kind_gives_rights")
    assert (await api.patch(path, ADMIN, {"kind": "town"})).status == 200
    empty = (await api.post("/departments", ADMIN, {"name": "公安局"})).json["id"]
    assert (await api.patch(f"/departments/{empty}", ADMIN, {"kind": "police"})).status == 200


@pytest.mark.attack
async def test_nothing_is_granted_before_both_first_administrators_act(api: Api) -> None:
    people = (FirstAdministrator("wang", "王主任"), FirstAdministrator("chen", "陈科长"))
    async with transaction(api.runtime.pool) as conn:
        keyring, now = api.runtime.keyring, api.clock.at
        tokens = await bootstrap(conn, keyring, now, people, because="one is left")
    first, second = tokens["admin"], tokens["second_admin"]
    made = (await api.post("/users", first, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    key = (await api.post("/keys", first, {"user_id": made["id"], "name": "k"})).json
    confirm = f"/users/{made['id']}/grants/{made['proposed']['id']}/confirm"
    activate = f"/keys/{key['id']}/activate"
    assert kind(await api.post(confirm, first)) == REFUSED
    assert kind(await api.post(activate, first)) == REFUSED
    assert (await api.get("/me", key["token"])).status == 401
    assert [(await api.post(path, second)).status for path in (confirm, activate)] == [200, 200]
    assert (await api.get("/me", key["token"])).json["may"] == ["read", "reports"]


# ---- keys


@pytest.mark.attack
async def test_a_key_does_not_widen_with_its_user(api: Api) -> None:
    """Nor does it see other departments once its user has become the county's administrator."""
    user = await other(api, Role.OPERATOR)
    old = await token_of(api, user)
    admin, path = await second_admin(api), f"/users/{user.id}"
    proposed = (await api.patch(path, ADMIN, {"roles": ["admin"]})).json["proposed"]["id"]
    assert (await api.post(f"{path}/grants/{proposed}/confirm", admin)).status == 200
    new = await token_of(api, user)
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["school"].operator, now=api.clock.at)
    for token, may, status in ((old, False, 404), (new, True, 200)):
        me = (await api.get("/me", token)).json
        assert ("approve" in me["may"], me["roles"] == ["admin"]) == (may, may)
        assert (await api.get(f"/campaigns/{draft.id}", token)).status == status
        assert (await api.get("/keys", token)).status == (200 if may else 403)
    assert "plan" in (await api.get("/me", old)).json["may"]
    keys = (await api.get("/keys", new)).json["items"]
    wider = next(key["id"] for key in keys if key["user_id"] == str(user.id))
    assert (await api.post(f"/keys/{wider}/rotate", old, {})).status == 403


@pytest.mark.attack
async def test_a_key_of_a_user_without_rights_waits_for_them(api: Api) -> None:
    """Else it would be a key that one person gives its rights afterwards."""
    made = (await api.post("/users", ADMIN, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    key = (await api.post("/keys", ADMIN, {"user_id": made["id"], "name": "k"})).json
    second = await second_admin(api)
    path = f"/keys/{key['id']}/activate"
    assert kind(await api.post(path, second)) == (409, "wrong_state")
    await api.post(f"/users/{made['id']}/grants/{made['proposed']['id']}/confirm", second)
    assert (await api.post(path, second)).status == 200


@pytest.mark.attack
async def test_a_secret_made_before_its_user_got_more_is_made_anew(api: Api) -> None:
    """Else whoever may make viewers would hold the token of an administrator."""
    second = await second_admin(api)
    async with transaction(api.runtime.pool) as conn:
        rights = {Right.ACCOUNTS, Right.READ, Right.REPORTS}
        department = api.teams["county"].department_id
        lesser = await make_user(conn, now=api.clock.at, department_id=department, rights=rights)
    maker = await token_of(api, lesser)
    made = (await api.post("/users", maker, {"login": "n", "name": "n", "roles": ["viewer"]})).json
    key = (await api.post("/keys", maker, {"user_id": made["id"], "name": "k"})).json
    await api.post(f"/users/{made['id']}/password", maker)
    wider = (await api.patch(f"/users/{made['id']}", ADMIN, {"roles": ["admin"]})).json["proposed"]
    await api.post(f"/users/{made['id']}/grants/{wider['id']}/confirm", second)
    for path in (f"/keys/{key['id']}/activate", f"/users/{made['id']}/password/confirm"):
        assert kind(await api.post(path, second)) == (409, "wrong_state"), path


# ---- who is a second person


@pytest.mark.attack
async def test_whoever_holds_the_approvers_token_is_no_approver_of_theirs(api: Api) -> None:
    team = api.teams["county"]
    held = await key_made_by(api, ADMIN, team.approver.id)
    plan = await submitted(api, team.admin)
    assert kind(await api.post(plan, held, {})) == REFUSED
    assert (await api.post(plan, await second_admin(api), {})).status == 200


@pytest.mark.attack
async def test_whoever_holds_the_planners_token_does_not_approve(api: Api) -> None:
    team = api.teams["county"]
    await key_made_by(api, ADMIN, team.operator.id)
    plan = await submitted(api, team.operator)
    assert kind(await api.post(plan, ADMIN, {})) == REFUSED
    assert (await api.post(plan, APPROVER, {})).status == 200


@pytest.mark.attack
async def test_two_users_of_one_key_maker_are_one_person(api: Api) -> None:
    """They could plan with one of the tokens and approve with the other."""
    team = api.teams["county"]
    for user in (team.operator, team.approver):
        await key_made_by(api, ADMIN, user.id)
    plan = await submitted(api, team.operator)
    refused = await api.post(plan, APPROVER, {})
    assert kind(refused) == REFUSED
    shown = (await api.get(f"/users/{team.approver.id}", ADMIN)).json
    assert shown["held_by"] == [str(team.admin.id)]
    assert "one person" in refused.json["detail"]


@pytest.mark.attack
async def test_a_chain_of_puppets_is_one_person(api: Api) -> None:
    """The holder of an administrator's token makes, as them, the key of an approver."""
    team = api.teams["county"]
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    held = await key_made_by(api, puppet, team.approver.id)
    plan = await submitted(api, team.admin)
    assert kind(await api.post(plan, held, {})) == REFUSED


@pytest.mark.attack
async def test_a_secret_that_has_ended_counts_on_for_92_days(api: Api) -> None:
    """What was submitted with a key is not approved by who held it, once it is revoked."""
    team = api.teams["county"]
    await key_made_by(api, ADMIN, team.operator.id)
    for key in (await api.get("/keys", ADMIN)).json["items"]:
        if key["created_by"] == str(team.admin.id):
            await api.post(f"/keys/{key['id']}/revoke", ADMIN)
    api.clock.at += timedelta(days=92, seconds=-1)
    plan = await submitted(api, team.operator)
    assert kind(await api.post(plan, ADMIN, {})) == REFUSED
    api.clock.at += timedelta(seconds=2)
    assert (await api.post(plan, ADMIN, {})).status == 200


@pytest.mark.attack
async def test_whoever_gave_the_password_counts_as_its_user(api: Api) -> None:
    """Until somebody else gives another one: what the user chose may be what the giver chose."""
    team, second = api.teams["county"], await second_admin(api)
    path = f"/users/{team.approver.id}/password"
    await api.post(path, ADMIN)
    plan = await submitted(api, team.admin)
    await api.post(f"{path}/confirm", second)
    assert kind(await api.post(plan, APPROVER, {})) == REFUSED
    third = await second_admin(api)
    await api.post(path, third)
    assert (await api.post(f"{path}/confirm", second)).status == 204
    api.clock.at += timedelta(days=93)
    plan = await submitted(api, team.admin)
    assert (await api.post(plan, APPROVER, {})).status == 200


@pytest.mark.attack
async def test_a_text_takes_another_person(api: Api) -> None:
    held = await key_made_by(api, ADMIN, api.teams["county"].approver.id)
    made = (await api.post("/templates", ADMIN, WORDS)).json
    path = f"/templates/{made['id']}/approve"
    assert kind(await api.post(path, held, {"version": 1})) == REFUSED
    assert (await api.post(path, await second_admin(api), {"version": 1})).status == 200


@pytest.mark.attack
async def test_keys_passwords_and_limits_take_another_person(api: Api) -> None:
    team = api.teams["county"]
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    limits = f"/departments/{team.department_id}/direct-limits"
    limit = (await api.post(limits, ADMIN, {"limit": 5, "reason": "r"})).json["id"]
    key = (await api.post("/keys", ADMIN, {"user_id": str(team.operator.id), "name": "k"})).json
    await api.post(f"/users/{team.viewer.id}/password", ADMIN)
    paths = (
        f"{limits}/{limit}/confirm",
        f"/keys/{key['id']}/activate",
        f"/users/{team.viewer.id}/password/confirm",
    )
    for path in paths:
        assert kind(await api.post(path, puppet)) == REFUSED, path
    second = await second_admin(api)
    for path in paths:
        assert (await api.post(path, second)).status in {200, 204}, path


@pytest.mark.attack
async def test_lint_and_names_of_areas_take_another_person(api: Api) -> None:
    """In the database, too."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    user = await other(api, Role.ADMIN)
    puppet = await key_made_by(api, ADMIN, user.id)
    sender = f"/departments/{api.teams['school'].department_id}/sender"
    rules = {"levels": {"R02": "warn", "R07": "warn"}, "reason": "r"}
    links = {"landlines": [], "links": True, "reason": "r"}
    weak = (await api.call("PUT", "/lint/rules", ADMIN, json=rules)).json["waiting"]["id"]
    more = (await api.call("PUT", sender, ADMIN, json=links)).json["waiting"]["id"]
    town = "/areas/341825100000"
    name = (await api.patch(town, ADMIN, {"name": "旌阳新镇"})).json["renaming"]["id"]
    paths = (
        f"/lint/rules/proposals/{weak}/confirm",
        f"{sender}/proposals/{more}/confirm",
        f"{town}/renames/{name}/confirm",
    )
    for path in paths:
        assert kind(await api.post(path, puppet)) == REFUSED, path
    for table, thing in (
        ("lint_proposals", weak),
        ("lint_proposals", more),
        ("area_renames", name),
    ):
        with pytest.raises(CheckViolation, match="counts as the first"):
            await api.runtime.pool.execute(
                f"UPDATE {table} SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1::uuid",
                *(thing, user.id, api.clock.at),
            )
    second = await second_admin(api)
    for path in paths:
        assert (await api.post(path, second)).status == 200, path


async def test_every_table_with_two_persons_asks_who_counts_as_whom(api: Api) -> None:
    """What is in force of lint, and of signatures, is written with a proposal that has asked."""
    tables = """
        SELECT conrelid::regclass::text AS name FROM pg_constraint WHERE conname LIKE '%two_persons'
    """
    guarded = """
        SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname LIKE '%another_person'
    """
    found, held = [
        {row["name"] for row in await api.runtime.pool.fetch(query)} for query in (tables, guarded)
    ]
    assert {"keys", "grants", "lint_proposals", "area_renames"} <= found
    assert found - held == {"lint_policies", "lint_senders", "signatures"}
    assert {"users", "campaigns"} <= held


@pytest.mark.attack
async def test_the_database_takes_no_puppet_for_a_second_person(api: Api) -> None:
    """Whatever the program overlooks: every table that has a second person refuses."""
    team, at = api.teams["county"], api.clock.at
    puppet = await other(api, Role.ADMIN)
    await key_made_by(api, ADMIN, puppet.id)
    plan = (await submitted(api, team.admin)).split("/")[2]
    text = (await api.post("/templates", ADMIN, WORDS)).json["id"]
    limits = f"/departments/{team.department_id}/direct-limits"
    limit = (await api.post(limits, ADMIN, {"limit": 5, "reason": "r"})).json["id"]
    key = (await api.post("/keys", ADMIN, {"user_id": str(team.operator.id), "name": "k"})).json
    await api.post(f"/users/{team.viewer.id}/password", ADMIN)
    for change, thing in (
        (f"campaigns SET {APPROVED}, approved_hash = content_hash WHERE id", plan),
        (f"template_versions SET {APPROVED}, approved_lint = '[]' WHERE template_id", text),
        (f"keys SET {ACTIVE}, held_roles = '{{}}', held_rights = '{{}}' WHERE id", key["id"]),
        ("direct_limits SET confirmed_by = $2, confirmed_at = $3 WHERE id", limit),
        ("users SET given_confirmed_by = $2, given_at = $3 WHERE id", str(team.viewer.id)),
    ):  # fmt: skip
        with pytest.raises(CheckViolation, match="counts as the first"):
            await api.runtime.pool.execute(
                f"UPDATE {change} = $1::uuid",  # as above
                thing,
                puppet.id,
                at,
            )


@pytest.mark.attack
async def test_no_second_person_is_inserted_either(api: Api) -> None:
    """A key that takes the place of another has its two persons, and is the one exception."""
    on_update_alone = await api.runtime.pool.fetch(
        """
        SELECT tgrelid::regclass::text AS name FROM pg_trigger
        WHERE tgname LIKE '%another_person' AND tgtype & 4 = 0  -- the bit of INSERT
        """
    )
    assert [row["name"] for row in on_update_alone] == ["keys"]
    team, at = api.teams["county"], api.clock.at
    puppet = await other(api, Role.ADMIN)
    await key_made_by(api, ADMIN, puppet.id)
    with pytest.raises(CheckViolation, match="counts as the first"):
        await api.runtime.pool.execute(
            """
            INSERT INTO direct_limits (department_id, people, reason, proposed_by, proposed_at,
                                       confirmed_by, confirmed_at)
            VALUES ($1, 5, 'r', $2, $4, $3, $4)
            """,
            team.department_id,
            team.admin.id,
            puppet.id,
            at,
        )


@pytest.mark.attack
async def test_one_administrator_names_no_deputy_for_somebody_else(api: Api) -> None:
    """Else they would give the right to approve alone; for the own absence it is one's own seat."""
    team, second = api.teams["county"], await second_admin(api)
    span = {"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-02-01T00:00:00Z", "reason": "r"}
    body = {"absent_id": str(team.approver.id), "deputy_id": str(team.operator.id), **span}
    named = (await api.post("/deputies", ADMIN, body)).json
    assert (named["needs_second"], named["confirmed_at"]) == (True, None)
    plan = await submitted(api, team.admin)
    assert (await api.post(plan, OPERATOR, {})).status == 403
    path = f"/deputies/{named['id']}/confirm"
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    for who in (ADMIN, puppet):
        assert kind(await api.post(path, who)) == REFUSED
    for user in (team.admin, team.operator):
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(
                "UPDATE deputies SET confirmed_by = $1, confirmed_at = $2", user.id, api.clock.at
            )
    assert (await api.post(plan, OPERATOR, {})).status == 403
    assert (await api.post(path, second)).json["confirmed_by"] is not None
    assert kind(await api.post(path, second)) == (409, "wrong_state")
    assert (await api.post(plan, OPERATOR, {})).status == 200
    own = {"deputy_id": str(team.viewer.id), **span}
    assert (await api.post("/deputies", APPROVER, own)).json["needs_second"] is False


@pytest.mark.attack
async def test_whoever_holds_the_absent_approvers_token_has_no_deputy_approve(api: Api) -> None:
    """They name, as the absent one, a colleague: it is the absent one's seat."""
    team = api.teams["county"]
    held = await key_made_by(api, ADMIN, team.approver.id)
    span = {"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-02-01T00:00:00Z", "reason": "r"}
    body = {"deputy_id": str(team.viewer.id), **span}
    assert (await api.post("/deputies", held, body)).status == 201
    plan = await submitted(api, team.admin)
    assert kind(await api.post(plan, ("county", "viewer"), {})) == REFUSED


async def test_people_who_hold_nothing_of_each_other_are_two(api: Api) -> None:
    """Each administrator makes the key of one of them: the planner's and the approver's."""
    team = api.teams["county"]
    second = await second_admin(api)
    await key_made_by(api, ADMIN, team.operator.id)
    approver = await key_made_by(api, second, team.approver.id)
    plan = await submitted(api, team.operator)
    assert (await api.post(plan, approver, {})).status == 200
