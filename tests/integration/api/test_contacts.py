"""Persons, lists and areas over HTTP: read, corrected, removed, with where everything came from."""

from typing import Any
from uuid import UUID

import pytest

from service.storage.postgres import transaction
from tests.factories import Team, make_contact, make_draft, make_team, make_token
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Api

OPERATOR = ("school", "operator")
VIEWER = ("school", "viewer")
COUNTY = ("county", "admin")
VILLAGE = "341825100001"
PERSON = {
    "phone": "197 9000 0001",
    "name": "王小明",
    "roles": ["parent", "finance"],
    "age": 35,
    "school": "旌阳小学",
    "class": "1班",
    "guardian_of": "王大宝",
    "roster": "家长",
    "tags": ["重点"],
}


@pytest.fixture(autouse=True)
async def areas(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "INSERT INTO areas VALUES ('341825000000', '旌德县', 'county', NULL),"
            " ('341825100000', '旌阳镇', 'town', '341825000000'),"
            " ('341825100001', '南门居委会', 'community', '341825100000') ON CONFLICT DO NOTHING"
        )


async def made(api: Api, **more: Any) -> Any:
    answer = await api.post("/contacts", OPERATOR, PERSON | more)
    assert answer.status == 201, answer.json
    return answer.json


async def change(api: Api, path: str, body: Any, version: str | None, who: Any = OPERATOR) -> Any:
    headers = {"If-Match": version} if version else {}
    return await api.call("PATCH", path, who, json=body, headers=headers)


@pytest.mark.attack
async def test_a_person_is_shown_masked_with_where_everything_came_from(api: Api) -> None:
    person = await made(api)
    shown = (await api.get(f"/contacts/{person['id']}", VIEWER)).json
    assert shown == person
    assert (shown["phone"], shown["name"]) == ("197****0001", "王**")
    assert (shown["roles"], shown["tags"], shown["version"]) == (
        ["finance", "parent"],
        ["重点"],
        1,
    )
    (entry,) = shown["entries"]
    assert (entry["roster"], entry["school"], entry["class"], entry["row"]) == (
        "家长",
        "旌阳小学",
        "1班",
        2,
    )
    assert entry["guardian_of"] == "王**"
    assert entry["import_id"] is not None
    assert entry["imported_by"] == str(api.teams["school"].operator.id)
    assert "0001" not in str(shown).replace("197****0001", "").replace(person["id"], "")


async def test_a_second_row_adds_a_role_and_no_person(api: Api) -> None:
    first = await made(api)
    second = await made(api, roles=["grid_worker"], roster="网格", tags=["二"])
    assert second["id"] == first["id"]
    assert second["roles"] == ["finance", "grid_worker", "parent"]
    assert [entry["roster"] for entry in second["entries"]] == ["家长", "网格"]
    assert second["tags"] == ["二", "重点"]
    found = (await api.get("/contacts?roster=网格&tag=二", VIEWER)).json["items"]
    assert [person["id"] for person in found] == [first["id"]]
    assert (await api.get("/contacts?roster=别的", VIEWER)).json["items"] == []


REFUSED = [
    ({"phone": "0563-8601234"}, "phone"),
    ({"phone": "1064812345678"}, "phone"),
    ({"phone": "17409001234"}, "phone"),
    ({"phone": "1.98E+10"}, "phone"),
    ({"age": 13}, "phone"),
    ({"age": "", "grade": "三年级", "roles": ["student"], "guardian_of": ""}, "phone"),
    ({"basis": "consent"}, "evidence"),
    ({"basis": "consent", "evidence": "档案 7"}, "evidence_on"),
    ({"id_number": "1"}, "id_number"),
    ({"tags": [""]}, "tags.0"),
    ({"tags": ["341825199001011234"]}, "tags.0"),
    ({"tags": [f"t{n}" for n in range(21)]}, "tags"),
]


@pytest.mark.parametrize(("more", "field"), REFUSED, ids=[str(more)[:40] for more, _ in REFUSED])
async def test_who_or_what_is_never_stored(api: Api, more: Any, field: str) -> None:
    answer = await api.post("/contacts", OPERATOR, PERSON | {"tags": []} | more)
    assert answer.status == 422
    assert field in answer.json["fields"]
    for table in ("contacts", "links", "rosters", "imports"):
        assert await api.runtime.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_consent_is_kept_with_its_evidence(api: Api) -> None:
    await made(api, basis="consent", evidence="知情同意书 2027-3", evidence_on="2027-01-04")
    (roster,) = (await api.get("/rosters", VIEWER)).json["items"]
    assert (roster["basis"], roster["evidence"], roster["evidence_on"], roster["kind"]) == (
        "consent",
        "知情同意书 2027-3",
        "2027-01-04",
        "department",
    )


async def test_of_two_who_correct_the_same_person_one_is_told(api: Api) -> None:
    person = await made(api)
    path = f"/contacts/{person['id']}"
    etag = (await api.get(path, OPERATOR)).headers["ETag"]
    body = {"name": "李四", "area_code": VILLAGE, "gender": "f", "tags": []}
    right = await change(api, path, body, etag)
    assert right.status == 200
    assert (right.json["name"], right.json["area_code"], right.json["gender"]) == (
        "李*",
        VILLAGE,
        "f",
    )
    assert (right.json["tags"], right.json["version"]) == ([], 2)
    assert right.json["edited_by"] == str(api.teams["school"].operator.id)
    late = await change(api, path, {"gender": "m"}, etag)
    assert late.status == 412
    assert (await change(api, path, {"gender": None}, right.headers["ETag"])).status == 200
    assert (await api.get(path, OPERATOR)).json["gender"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "加V信 13800"}, "name"),
        ({"area_code": "341825999999"}, "area_code"),
        ({"age_band": "0-13"}, "age_band"),
        ({"phone": "19790000002"}, "phone"),
        ({"tags": ["x" * 31]}, "tags.0"),
    ],
)
async def test_what_cannot_be_corrected(api: Api, body: Any, field: str) -> None:
    person = await made(api)
    answer = await change(api, f"/contacts/{person['id']}", body, None)
    assert answer.status == 422
    assert field in answer.json["fields"]
    assert (await api.get(f"/contacts/{person['id']}", OPERATOR)).json == person


async def test_a_correction_outlives_the_list_that_said_otherwise(api: Api) -> None:
    person = await made(api)
    path = f"/contacts/{person['id']}"
    await change(api, path, {"name": "李四"}, None)
    members = {"members": [{"phone": PERSON["phone"], "name": "赵五", "roles": ["parent"]}]}
    answer = await api.call("PUT", "/rosters/家长/members", OPERATOR, json=members)
    assert (answer.status, answer.json["changed"]) == (200, 1)
    shown = (await api.get(path, OPERATOR)).json
    assert shown["name"] == "李*"
    assert [bool(entry["left_at"]) for entry in shown["entries"]] == [True, False]


async def test_a_removed_person_is_on_no_list_any_more(api: Api) -> None:
    person = await made(api)
    path = f"/contacts/{person['id']}"
    assert (await api.call("DELETE", path, VIEWER)).status == 403
    assert (await api.call("DELETE", path, OPERATOR)).status == 204
    assert (await api.get(path, OPERATOR)).status == 404
    found = await api.post("/segments/preview", OPERATOR, {"rule": "roster = 家长"})
    assert found.json["target"] == 0
    for table in ("contacts", "links", "contact_tags"):
        assert await api.runtime.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.attack
async def test_another_departments_people_are_not_there(api: Api) -> None:
    person = await made(api)
    async with transaction(api.runtime.pool) as conn:
        team = await make_team(conn, now=api.clock.now())
        stranger = await make_token(conn, api.runtime.keyring, team.admin, api.clock.now())
    path = f"/contacts/{person['id']}"
    assert (await api.get("/contacts", stranger)).json["items"] == []
    assert (await api.get(path, stranger)).status == 404
    assert (await change(api, path, {"name": "李四"}, None, stranger)).status == 404
    assert (await api.call("DELETE", path, stranger)).status == 404
    assert (await api.call("PATCH", "/rosters/家长", stranger, json={})).status == 404
    assert (await api.get(path, COUNTY)).status == 200


async def test_a_list_is_extended_by_saying_on_what_it_rests(api: Api) -> None:
    await made(api, expires_on="2027-02-01")
    body = {"expires_on": "2028-01-31", "purpose": "反诈宣传"}
    answer = await api.patch("/rosters/家长", OPERATOR, body)
    assert answer.status == 200
    (roster,) = (await api.get("/rosters", VIEWER)).json["items"]
    assert (roster["expires_on"], roster["purpose"]) == ("2028-01-31", "反诈宣传")
    assert roster["confirmed_by"] == str(api.teams["school"].operator.id)
    for wrong, field in (
        ({"basis": "consent"}, "evidence"),
        ({"expires_on": "2026-01-01"}, "expires_on"),
        ({"expires_on": "2050-01-01"}, "expires_on"),
    ):
        refused = await api.patch("/rosters/家长", OPERATOR, wrong)
        assert (refused.status, list(refused.json["fields"])) == (422, [field])
    assert (await api.get("/rosters", VIEWER)).json["items"] == [roster]


async def test_the_tree_is_kept_by_the_county(api: Api) -> None:
    new = {"parent": "341825100000", "name": "新安村"}
    assert (await api.post("/areas", OPERATOR, new)).status == 403
    village = await api.post("/areas", COUNTY, new)
    assert (village.status, village.json["code"], village.json["level"]) == (
        201,
        "341825100700",
        "village",
    )
    assert (await api.post("/areas", COUNTY, new)).json["type"].endswith("/area_exists")
    group = await api.post("/areas", COUNTY, {"parent": "341825100700", "name": "一组"})
    assert (group.json["code"], group.json["level"]) == ("341825100700700", "group")
    person = await made(api)
    placed = {"area_code": group.json["code"]}
    await change(api, f"/contacts/{person['id']}", placed, None)
    asked = await api.patch("/areas/341825100700", COUNTY, {"name": "新安新村"})
    rename = asked.json["renaming"]["id"]
    done = await api.post(f"/areas/341825100700/renames/{rename}/confirm", await second_admin(api))
    assert (done.status, done.json["name"]) == (200, "新安新村"), done.body
    for area in ("新安新村", "旌阳镇", group.json["code"], "一组"):
        found = await api.post("/segments/preview", OPERATOR, {"rule": f"area = {area}"})
        assert (found.status, found.json.get("by_area")) == (200, {"341825100000": 1}), area
    for wrong, field in (
        ({"parent": "341825999000", "name": "x"}, "parent"),
        ({"parent": "341825100700700", "name": "x"}, "level"),
        ({"parent": "341825100000", "name": "x", "level": "group"}, "level"),
        ({"parent": "341825100000", "name": "x", "code": "341825200001"}, "code"),
    ):
        refused = await api.post("/areas", COUNTY, wrong)
        assert (refused.status, list(refused.json["fields"])) == (422, [field])


async def test_a_carriers_subscribers_are_seen_by_the_carrier_alone(api: Api) -> None:
    """Only counts leave a subscriber base, also for the county's administrators."""
    now, keyring = api.clock.now(), api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        team = await make_team(conn, now=now, kind="carrier")
        token = await make_token(conn, keyring, team.operator, now)
        await make_contact(conn, keyring, team.department_id, 5, now=now)
    (own,) = (await api.get("/contacts", token)).json["items"]
    listed = (await api.get("/contacts", COUNTY)).json["items"]
    assert listed == []
    assert (await api.get(f"/contacts/{own['id']}", COUNTY)).status == 404
    assert (await api.call("DELETE", f"/contacts/{own['id']}", COUNTY)).status == 404
    everybody = {"rule": "carrier = mobile"}
    preview = (await api.post("/segments/preview", token, everybody)).json
    assert (preview["target"], preview["sample"]) == (1, [])
    body = PERSON | {"phone": "19790000009"}
    assert (await api.post("/contacts", token, body)).status == 201
    (roster,) = (await api.get("/rosters", COUNTY)).json["items"]
    assert (roster["kind"], roster["contacts"]) == ("subscriber_base", 1)
    rejects = f"/imports/{roster['latest']['import_id']}/rejects"
    refused = await api.get(rejects, COUNTY)
    assert (refused.status, refused.json["type"]) == (403, "/problems/subscriber_base")
    assert (await api.get(rejects, token)).status == 200
    run = await _sent(api, team)
    text = await _written(api, team)
    for method, path in (
        ("POST", f"/inbound/{text}/unmask"),
        ("POST", f"/contacts/{own['id']}/unmask"),
        ("POST", f"/runs/{run}/messages/1/unmask"),
        ("GET", f"/runs/{run}/messages"),
        ("GET", f"/runs/{run}/evidence"),
        ("GET", f"/messages/{run}.1"),
    ):
        body = {"json": {"reason": "举报核实"}} if method == "POST" else {}
        refused = await api.call(method, path, COUNTY, **body)
        assert (refused.status, refused.json["type"]) == (
            403,
            "/problems/subscriber_base",
        ), path
        stranger = await api.call(method, path, ("school", "admin"), **body)
        assert stranger.status == 404, path
    assert (await api.get(f"/runs/{run}/report", COUNTY)).json["states"] == {"queued": 1}


async def _sent(api: Api, team: Team) -> UUID:
    """A run of a department with one message."""
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, team.operator, now=api.clock.at)
        run: UUID = await conn.fetchval(
            """
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, send_hours, timezone, created_at)
            VALUES ($1, $2, $3, 'running', 'normal', 'service', '', '', '[]', '', $3) RETURNING id
            """,
            draft.id,
            team.department_id,
            api.clock.at,
        )
        await conn.execute(
            """
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles)
            VALUES ($1, 1, '', $2, 1, 'china_mobile', '{}')
            """,
            run,
            api.runtime.keyring.encrypt("phone", "+8619790000001"),
        )
    return run


async def _written(api: Api, team: Team) -> UUID:
    """A text from a handset that is a department's to read."""
    keyring = api.runtime.keyring
    text: UUID = await api.runtime.pool.fetchval(
        """
        INSERT INTO inbound_texts (id, channel_id, sender_hash, sender_cipher, recipient,
                                   text_cipher, digest, missing, received_at, kind, state,
                                   department_id)
        VALUES (uuidv7(), 1, $1, $2, '10657001', $3, $1, 0, $5, 'other', 'new', $4) RETURNING id
        """,
        keyring.phone_index("+8619790000001"),
        keyring.encrypt("phone", "+8619790000001"),
        keyring.encrypt("inbound", "你好"),
        team.department_id,
        api.clock.at,
    )
    return text
