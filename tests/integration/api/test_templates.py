"""Texts over HTTP: versions, parts, lint."""

import json
from pathlib import Path
from typing import Any

from service.storage.postgres import transaction
from tests.factories import TEXT, make_contact, make_draft
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

DATA = json.loads(
    (Path(__file__).parents[2] / "data" / "texts" / "lint-cases.json").read_text("utf-8")
)
CASES, CONTEXTS = DATA["cases"], DATA["contexts"]
OPERATOR = ("county", "operator")


async def test_a_template_and_its_versions(api: Api) -> None:
    body = {"name": "转账", "class": "public_interest", "topic": "T03", "text": TEXT}
    made = (await api.post("/templates", OPERATOR, body)).json
    assert (made["version"], made["parts"], made["encoding"], made["lint"]) == (1, 1, "UCS2", [])
    assert made["class"] == "public_interest"
    longer = TEXT + "{姓名}您好，" + "请转告家人和邻居。" * 8
    path = f"/templates/{made['id']}"
    again = (await api.post(f"{path}/versions", ("county", "admin"), {"text": longer})).json
    assert (again["version"], again["parts"], again["variables"]) == (2, 2, ["姓名"])
    assert again["edited_by"] == str(api.teams["county"].admin.id)
    shown = (await api.get(path, OPERATOR)).json
    assert {act["act"] for act in shown.pop("acts")} >= {"add_version", "approve"}
    assert shown == again
    assert (await api.post("/templates", OPERATOR, body)).status == 409


async def test_a_version_that_follows_an_older_one_is_refused(api: Api) -> None:
    made = (await api.post("/templates", OPERATOR, {"name": "转账", "text": TEXT})).json
    path = f"/templates/{made['id']}/versions"
    body = {"text": TEXT + "请转告家人。", "follows": 1}
    assert (await api.post(path, OPERATOR, body)).json["version"] == 2
    refused = await api.post(path, ("county", "admin"), body)
    assert (refused.status, refused.json["type"]) == (409, "/problems/newer_version")
    assert (await api.post(path, OPERATOR, {"text": TEXT})).json["version"] == 3, "as before"


async def test_a_text_that_is_no_template_is_refused(api: Api) -> None:
    for text in ("【县】{姓名", "国" * 501, ""):
        answer = await api.post("/templates", OPERATOR, {"name": "n", "text": text})
        assert (answer.status, list(answer.json["fields"])) == (422, ["text"])


async def test_commercial_texts_do_not_exist(api: Api) -> None:
    body = {"name": "n", "class": "commercial", "text": TEXT}
    answer = await api.post("/templates", OPERATOR, body)
    assert (answer.status, list(answer.json["fields"])) == (422, ["class"])
    misspelt = {"name": "n", "message_class": "service", "text": TEXT}
    assert (await api.post("/templates", OPERATOR, misspelt)).status == 422


async def test_lint_judges_without_keeping(api: Api) -> None:
    text = "【旌德县公安局】请{姓名}点击http://a.example 看看。"
    found = (await api.post("/templates/lint", OPERATOR, {"text": text})).json["lint"]
    assert {(f["rule"], f["level"]) for f in found} == {("R05", "block"), ("R14", "warn")}
    assert text[found[0]["at"] - 1 :].startswith("http")
    body = {"text": "【旌德县公安局】{姓名}您好。", "class": "service", "values": {"姓名": ""}}
    found = (await api.post("/templates/lint", OPERATOR, body)).json["lint"]
    assert {f["rule"] for f in found} == {"R14", "R17"}
    assert (await api.get("/templates", OPERATOR)).json["items"] == []


async def test_a_context_is_for_administrators(api: Api) -> None:
    body = {"text": TEXT, "class": "public_interest", "context": CONTEXTS["police"]}
    assert (await api.post("/templates/lint", OPERATOR, body)).status == 403
    admin = ("county", "admin")
    assert (await api.post("/templates/lint", admin, body)).status == 200
    body["context"] = {"tenant": "x", "tenant_typ": "police"}
    assert (await api.post("/templates/lint", admin, body)).status == 422


async def test_every_case_has_its_verdict_over_http(api: Api) -> None:
    shipped = {"reason": "as shipped"}
    await api.call("PUT", "/lint/rules", ("county", "admin"), json=shipped)
    for case in CASES:
        body = {
            "text": case["text"],
            "class": case["class"],
            "values": case["values"],
            "context": CONTEXTS[case["context"]],
        }
        found = (await api.post("/templates/lint", ("county", "admin"), body)).json["lint"]
        levels = {finding["level"] for finding in found} - {"warn"}
        assert set(case["must_include"]) <= {finding["rule"] for finding in found}, case["id"]
        assert bool(levels) == (case["verdict"] != "pass"), case["id"]
        assert "block" in levels or case["verdict"] != "block", case["id"]


async def test_a_preview_is_of_one_department(api: Api) -> None:
    text = TEXT.replace("凡是", "{姓名}您好，凡是")
    template = (await api.post("/templates", OPERATOR, {"name": "n", "text": text})).json["id"]
    body = {"name": "s", "rule": "性别 = 女"}
    ours = (await api.post("/segments", OPERATOR, body)).json["id"]
    theirs = (await api.post("/segments", ("school", "operator"), body)).json["id"]
    path = f"/templates/{template}/preview"
    seen = await api.get(f"{path}?segment_id={ours}", OPERATOR)
    assert (seen.status, seen.json["people"], seen.json["longest"]) == (200, 0, [])
    for who in (OPERATOR, ("county", "admin")):
        assert (await api.get(f"{path}?segment_id={theirs}", who)).status == 404
    assert (await api.get(path, ("school", "operator"))).status == 404


async def test_a_preview_says_how_each_channel_would_cut_the_text(api: Api) -> None:
    county = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        keyring, now = api.runtime.keyring, api.clock.at
        names = ("王小明", "买买提江·吾买尔", None)
        for number, name in enumerate(names, 1):
            cipher = keyring.encrypt("name", name) if name else None
            await make_contact(conn, keyring, county, number, now=now, name_cipher=cipher)
        ours = await add_channel(conn, keyring, 1, now)
        added = await add_channel(
            conn, keyring, 1, now, signature="carrier_head", signature_counts=False
        )
        await add_channel(conn, keyring, 1, now, enabled=False)
    text = "【旌德县公安局】{姓名}" + "凡是要求转账的都是诈骗，拨96110。" * 3
    template = (await api.post("/templates", OPERATOR, {"name": "n", "text": text})).json["id"]
    seen = (await api.get(f"/templates/{template}/preview", OPERATOR)).json
    assert (seen["people"], seen["missing"], seen["parts"]) == (3, {"姓名": 1}, 2)

    def cuts(part: dict[str, Any]) -> dict[int, tuple[str, int, bool]]:
        return {
            cut["channel_id"]: (cut["encoding"], cut["parts"], cut["fits"])
            for cut in part["channels"]
        }

    assert cuts(seen) == {ours.id: ("UCS2", 2, True), added.id: ("UCS2", 1, True)}
    assert {cut["channel"] for cut in seen["channels"]} == {ours.name, added.name}
    long, short = seen["longest"]
    assert (long["characters"], cuts(long)) == (73, cuts(seen))
    assert (short["characters"], cuts(short)) == (
        68,
        {ours.id: ("UCS2", 1, True), added.id: ("UCS2", 1, True)},
    )
    assert sorted(read["parts"] for read in seen["at_random"]) == [1, 2]
    assert "王小明" not in json.dumps(seen, ensure_ascii=False)


async def test_a_campaign_with_missing_values_is_named_before_it_is_submitted(api: Api) -> None:
    text = TEXT.replace("凡是", "{姓名}您好，凡是")
    async with transaction(api.runtime.pool) as conn:
        await make_contact(
            conn,
            api.runtime.keyring,
            api.teams["county"].department_id,
            1,
            now=api.clock.at,
            name_cipher=None,
        )
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at, text=text)
    path = f"/campaigns/{draft.id}"
    found = (await api.get(f"{path}/preview", OPERATOR)).json["lint"]
    assert [(f["rule"], f["level"]) for f in found] == [("R17", "block")]
    refused = await api.post(f"{path}/submit", OPERATOR)
    assert (refused.status, refused.json["type"]) == (422, "/problems/missing_value")
    assert refused.json["fields"] == {"values.姓名": "1 of 1 people have none"}
    assert (await api.get(path, OPERATOR)).json["state"] == "draft"
