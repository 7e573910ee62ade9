"""Departments over HTTP: the tree, who sees what of it, and what belongs to one alone."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from service.accounts.people.model import Role
from service.storage.postgres import CheckViolation, transaction
from tests.factories import TEXT, make_draft, make_token, make_user
from tests.harness.keys import second_admin
from tests.harness.signatures import confirm_signatures, register_signature
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")


async def make(api: Api, name: str, **more: Any) -> Answer:
    return await api.post("/departments", ADMIN, {"name": name, **more})


async def test_what_is_left_out_has_a_default_by_kind(api: Api) -> None:
    plain = (await make(api, "财政局")).json
    assert (plain["kind"], plain["classes"]) == ("department", ["public_interest", "service"])
    police = (await make(api, "公安局", kind="police")).json
    assert "warning" in police["classes"]
    assert (police["channels"], police["daily_quota"], police["parent_id"]) == (None, None, None)


async def test_departments_are_found_by_a_part_of_the_name(api: Api) -> None:
    for name in ("旌阳镇", "三溪镇ABC", "白地镇"):
        assert (await api.post("/departments", ADMIN, {"name": name})).status == 201
    for words, wanted in (("镇", 3), ("三溪", 1), ("abc", 1), ("_", 0)):
        answer = await api.get("/departments", ADMIN, params={"words": words})
        assert len(answer.json["items"]) == wanted, words


async def test_an_edit_changes_what_it_names(api: Api) -> None:
    made = (await make(api, "教育局", kind="education", leader="李局长", daily_quota=100)).json
    path = f"/departments/{made['id']}"
    changed = await api.patch(path, ADMIN, {"weight": 20, "daily_quota": None})
    assert changed.json == {**made, "weight": 20, "daily_quota": None}
    assert (await api.get(path, ADMIN)).json == changed.json
    assert (await api.patch(path, ADMIN, {"name": None})).json == changed.json


PLACES = [
    ({"kind": "carrier"}, "carrier"),
    ({"kind": "school", "carrier": "china_mobile"}, "carrier"),
    ({"parent_id": "00000000-0000-0000-0000-000000000000"}, "parent_id"),
    ({"area_code": "999999999999"}, "area_code"),
    ({"channels": [999]}, "channels"),
]


@pytest.mark.parametrize(("body", "field"), PLACES)
async def test_what_does_not_fit_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    refused = await make(api, "新", **body)
    assert (refused.status, list(refused.json["fields"])) == (422, [field])
    assert (await make(api, "新")).status == 201  # nothing of it was kept


async def test_schools_stand_under_education_and_colleges_under_schools(api: Api) -> None:
    bureau = (await make(api, "教育局", kind="education")).json["id"]
    finance = (await make(api, "财政局", kind="finance")).json["id"]
    school = await make(api, "中学", kind="school", parent_id=bureau)
    assert school.status == 201
    assert (await make(api, "小学", kind="school", parent_id=finance)).status == 422
    assert (await make(api, "学院", kind="college", parent_id=bureau)).status == 422
    assert (await make(api, "学院", kind="college", parent_id=school.json["id"])).status == 201


async def test_nobody_stands_below_themselves(api: Api) -> None:
    first = (await make(api, "一")).json["id"]
    second = (await make(api, "二", parent_id=first)).json["id"]
    third = (await make(api, "三", parent_id=second)).json["id"]
    for parent in (first, second, third):
        refused = await api.patch(f"/departments/{first}", ADMIN, {"parent_id": parent})
        assert (refused.status, list(refused.json["fields"])) == (422, ["parent_id"])


async def test_a_parent_sees_the_counts_of_those_below_and_no_people(api: Api) -> None:
    bureau = (await make(api, "教育局", kind="education")).json["id"]
    school = str(api.teams["school"].department_id)
    await api.patch(f"/departments/{school}", ADMIN, {"parent_id": bureau})
    async with transaction(api.runtime.pool) as conn:
        chief = await make_user(conn, Role.ADMIN, now=api.clock.at, department_id=bureau)
        token = await make_token(conn, api.runtime.keyring, chief, api.clock.at)
        draft = await make_draft(conn, api.teams["school"].operator, now=api.clock.at)
        run = await conn.fetchval(
            """
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, send_hours, timezone, created_at, target)
            VALUES ($1, $2, $3, 'running', 'normal', 'service', '', '', '[]', '', $3, 7)
            RETURNING id
            """,
            draft.id,
            api.teams["school"].department_id,
            api.clock.at,
        )
    listed = (await api.get("/departments", token)).json["items"]
    assert {item["id"] for item in listed} == {bureau, school}
    counts = (await api.get(f"/departments/{school}/counts", token)).json
    assert (counts["runs"], counts["target"], counts["campaigns"]) == (1, 7, {"draft": 1})
    for path in (f"/runs/{run}", f"/runs/{run}/report"):
        assert (await api.get(path, token)).status == 200, path
    for path in (
        f"/runs/{run}/messages",
        f"/runs/{run}/inbound",
        f"/campaigns/{draft.id}",
        f"/campaigns/{draft.id}/preview",
        f"/segments/{draft.plan.segment_id}",
        f"/users/{api.teams['school'].viewer.id}",
    ):
        assert (await api.get(path, token)).status == 404, path
    upwards = await api.get(f"/departments/{bureau}/counts", ("school", "admin"))
    assert upwards.status == 404


async def test_what_cannot_be_a_guest_stops_no_other(api: Api) -> None:
    phones = ["19790000001", "12345", "197 9000 0001", "19790000002"]
    made = (await api.post("/guests", ADMIN, {"phones": phones})).json
    assert [(item["at"], item["is_new"]) for item in made["items"]] == [(0, True), (3, True)]
    assert [item["at"] for item in made["rejected"]] == [1, 2]
    again = (await api.post("/guests", ADMIN, {"phones": phones[:1]})).json
    assert (again["added"], again["items"][0]["is_new"]) == (0, False)
    listed = (await api.get("/guests", ADMIN)).json["items"]
    assert {item["phone"] for item in listed} == {"197****0001", "197****0002"}
    await api.call("DELETE", f"/guests/{listed[0]['id']}", ADMIN)
    assert len((await api.get("/guests", ADMIN)).json["items"]) == 1


@pytest.mark.parametrize(("what", "value"), [("signature", "旌德县教育局"), ("extension", "96110")])
async def test_what_is_registered_is_lent_to_nobody(api: Api, what: str, value: str) -> None:
    first = (await make(api, "一")).json["id"]
    second = (await make(api, "二")).json["id"]
    body = {what: value}
    assert (await api.post(f"/departments/{first}/{what}s", ADMIN, body)).status == 201
    if what == "signature":
        await confirm_signatures(api, first)
    assert (await api.post(f"/departments/{first}/{what}s", ADMIN, body)).status == 201
    refused = await api.post(f"/departments/{second}/{what}s", ADMIN, body)
    assert (refused.status, refused.json["type"]) == (409, f"/problems/{what}_taken")
    listed = (await api.get(f"/departments/{first}/{what}s", ADMIN)).json["items"]
    assert [item["value"] for item in listed] == [value]
    assert (
        await api.post(f"/departments/{first}/{what}s", ("school", "admin"), body)
    ).status == 403


async def test_a_campaign_asks_for_no_more_than_its_department_may(api: Api) -> None:
    operator, path = ("school", "operator"), f"/departments/{api.teams['school'].department_id}"
    template = await api.post(
        "/templates", operator, {"name": "n", "class": "service", "text": TEXT}
    )
    segment = await api.post("/segments", operator, {"name": "n", "rule": "性别 = 女"})
    plan = {"name": "n", "template_id": template.json["id"], "segment_id": segment.json["id"]}
    made = await api.post("/campaigns", operator, plan)
    assert made.status == 201
    await api.patch(path, ADMIN, {"classes": ["public_interest"], "channels": []})
    for answer in (
        await api.post("/campaigns", operator, plan),
        await api.post(f"/campaigns/{made.json['id']}/submit", operator),
    ):
        assert (answer.status, set(answer.json["fields"])) == (422, {"template_id", "channels"})
    await api.patch(path, ADMIN, {"classes": ["service"], "channels": None})
    other = (await make(api, "县反诈", kind="police")).json["id"]
    await register_signature(api, other, "旌德县反诈中心")
    lent = await api.post(f"/campaigns/{made.json['id']}/submit", operator)
    assert (lent.status, lent.json["type"]) == (409, "/problems/signature_of_another")


async def test_the_signature_of_a_department_is_registered_with_it(api: Api) -> None:
    made = (await make(api, "一", signature="旌德县一局")).json
    assert made["signature"] == "", "it waits for a second person"
    await confirm_signatures(api, made["id"])
    path = f"/departments/{made['id']}"
    assert (await api.get(path, ADMIN)).json["signature"] == "旌德县一局"
    refused = await make(api, "二", signature="旌德县一局")
    assert refused.json["type"] == "/problems/signature_taken"
    assert (await make(api, "二")).status == 201
    changed = await api.patch(path, ADMIN, {"signature": "【旌德县一办】", "weight": 20})
    assert (changed.json["signature"], changed.json["weight"]) == ("旌德县一局", 20)
    await confirm_signatures(api, made["id"])
    assert (await api.get(path, ADMIN)).json["signature"] == "旌德县一办"
    for own in ("", "旌德县一局"):
        assert (await api.patch(path, ADMIN, {"signature": own})).json["signature"] == own


PROTECTED = ["旌德农商银行", "旌德县公安局", "县反诈中心热线"]
DISGUISED = [
    "旌德农商銀行",
    "旌德县公 安局",
    "旌德县公·安局",
    "旌德县公\u200b安局",
    "ＡＢＣ中心",
    "аbc中心",
]


@pytest.mark.attack
async def test_one_person_gives_no_department_a_face(api: Api) -> None:
    """By none of the ways to a signature, and the database knows of the second person."""
    school = str(api.teams["school"].department_id)
    path = f"/departments/{school}"
    first = await api.post(f"{path}/signatures", ADMIN, {"signature": "旌德县一中"})
    assert (first.status, first.json["state"]) == (201, "waiting")
    await api.patch(path, ADMIN, {"signature": "旌德县二中"})
    text = {"text": "【旌德县一中】家长会改期，请向班主任核实。", "class": "service"}
    found = (await api.post("/templates/lint", ("school", "operator"), text)).json["lint"]
    assert "R02" in {finding["rule"] for finding in found}
    confirm = f"{path}/signatures/{first.json['proposal_id']}/confirm"
    alone = await api.post(confirm, ADMIN)
    assert (alone.status, alone.json["type"]) == (403, "/problems/second_person_needed")
    assert (await api.post(confirm, ("school", "admin"))).status == 403
    admin = api.teams["county"].admin.id
    for change in (
        "UPDATE signature_proposals SET confirmed_by = proposed_by, confirmed_at = proposed_at",
        (
            "INSERT INTO signatures (signature, department_id, registered_at, registered_by)"
            " SELECT signature, department_id, proposed_at, proposed_by FROM signature_proposals"
        ),
        "UPDATE signatures SET signature = '旌德县三中', registered_by = $1",
    ):
        await api.runtime.pool.execute(
            "INSERT INTO signatures (signature, department_id, registered_at)"
            " VALUES ('旌德县四中', $1, $2) ON CONFLICT DO NOTHING",
            api.teams["school"].department_id,
            api.clock.at,
        )
        with pytest.raises(CheckViolation):
            await api.runtime.pool.execute(change, *([admin] if "$1" in change else []))
    assert (await api.post(confirm, await second_admin(api))).json["state"] == "registered"
    found = (await api.post("/templates/lint", ("school", "operator"), text)).json["lint"]
    assert "R02" not in {finding["rule"] for finding in found}
    state = [item["state"] for item in (await api.get(f"{path}/signatures", ADMIN)).json["items"]]
    assert state == ["registered", "registered", "waiting"]
    api.clock.at += timedelta(days=7)
    listed = (await api.get(f"{path}/signatures", ADMIN)).json["items"]
    assert [item["state"] for item in listed] == ["registered", "registered"], "too late"
    assert (await api.post(confirm, await second_admin(api))).status == 409


@pytest.mark.attack
@pytest.mark.parametrize("signature", PROTECTED + DISGUISED)
async def test_no_department_signs_as_a_bank_or_the_police(api: Api, signature: str) -> None:
    school = api.teams["school"].department_id
    for method, path, body in (
        ("POST", f"/departments/{school}/signatures", {"signature": signature}),
        ("PATCH", f"/departments/{school}", {"signature": signature}),
        ("POST", "/departments", {"name": "新单位", "signature": signature}),
    ):
        refused = await api.call(method, path, ADMIN, json=body)
        assert (refused.status, list(refused.json["fields"])) == (422, ["signature"]), path
    kept = "SELECT count(*) FROM departments WHERE name = '新单位'"
    assert await api.runtime.pool.fetchval(kept) == 0, "nothing of it was kept"


@pytest.mark.attack
async def test_nobody_signs_with_what_looks_like_anothers(api: Api) -> None:
    """Nor with its name; also if it is registered while another one waits."""
    other = (await make(api, "旌德县ABC局")).json["id"]
    await register_signature(api, other, "旌德ABC中心")
    school = api.teams["school"].department_id
    path = f"/departments/{school}/signatures"
    for signature in ("旌德abc中心", "旌德 ABC 中心", "旌德-ABC-中心", "旌德县abc局"):
        refused = await api.post(path, ADMIN, {"signature": signature})
        assert (refused.status, refused.json["type"]) == (409, "/problems/looks_like_another")
    mine = (await api.post(path, ADMIN, {"signature": "旌德O1中心"})).json
    await register_signature(api, other, "旌德0l中心")
    late = await api.post(f"{path}/{mine['proposal_id']}/confirm", await second_admin(api))
    assert (late.status, late.json["type"]) == (409, "/problems/looks_like_another")


async def test_an_authority_signs_with_its_own_name(api: Api) -> None:
    police = (await make(api, "公安局", kind="police")).json["id"]
    await register_signature(api, police, "旌德县公安局")
    bank = (await make(api, "旌德农商银行")).json["id"]
    await register_signature(api, bank, "旌德农商银行")


async def channel_id(api: Api, name: str, number: str, **more: Any) -> Answer:
    config = {"host": "127.0.0.1", "account": "901234", "secret": "s3cr3t", "access_number": number}
    body = {
        "name": name,
        "kind": "cmpp",
        "simulated": True,
        "carriers": ["china_mobile"],
        "config": config,
    }
    return await api.post("/channels", ADMIN, body | more)


async def extensions(api: Api, department: str) -> list[str]:
    listed = (await api.get(f"/departments/{department}/extensions", ADMIN)).json["items"]
    return [item["value"] for item in listed if item["ended_at"] is None]


async def test_an_extension_has_room_behind_every_channel_that_is_used(api: Api) -> None:
    """Whatever is changed last is refused: the extension, the channel, or what may be used."""
    long, short = await channel_id(api, "长", "1" * 18), await channel_id(api, "短", "1" * 10)
    assert [made.json["extension_digits"] for made in (long, short)] == [3, 11]
    only_short = [short.json["id"]]
    all_ways = (await make(api, "一")).json["id"]
    bound = (await make(api, "二", channels=only_short)).json["id"]

    too_long = await api.post(f"/departments/{all_ways}/extensions", ADMIN, {"extension": "96110"})
    assert (too_long.status, too_long.json["type"]) == (422, "/problems/extension_too_long")
    assert set(too_long.json["fields"]) == {"extension"}
    assert await extensions(api, all_ways) == []
    fits = await api.post(f"/departments/{bound}/extensions", ADMIN, {"extension": "96110"})
    assert fits.status == 201

    freed = await api.patch(f"/departments/{bound}", ADMIN, {"channels": None})
    assert (freed.status, set(freed.json["fields"])) == (422, {"channels"})
    path = f"/channels/{short.json['id']}"
    longer = await api.patch(path, ADMIN, {"config": {"access_number": "1" * 17}})
    assert (longer.status, set(longer.json["fields"])) == (422, {"config.access_number"})
    assert "96110" in longer.json["detail"]
    disabled = await api.patch(
        path, ADMIN, {"config": {"access_number": "1" * 17}, "enabled": False}
    )
    assert disabled.status == 200
    assert (await api.patch(path, ADMIN, {"enabled": True})).status == 422
    given_up = await api.call("DELETE", f"/departments/{bound}/extensions/96110", ADMIN)
    assert given_up.status == 204
    assert (await api.patch(path, ADMIN, {"enabled": True})).status == 200
    assert (await api.patch(f"/departments/{bound}", ADMIN, {"channels": None})).status == 200
    gone = await api.call("DELETE", f"/departments/{all_ways}/extensions/96110", ADMIN)
    assert gone.status == 404


async def test_of_a_long_number_and_a_long_extension_at_once_one_is_refused(api: Api) -> None:
    department = (await make(api, "一")).json["id"]
    for digits in ("1234", "12345", "123456"):
        answers = await asyncio.gather(
            channel_id(api, f"路{digits}", "1" * 18),
            api.post(f"/departments/{department}/extensions", ADMIN, {"extension": digits}),
        )
        assert sorted(answer.status for answer in answers) == [201, 422]
        await api.runtime.pool.execute("DELETE FROM extensions")
        await api.runtime.pool.execute("UPDATE channels SET enabled = false")
