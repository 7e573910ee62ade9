"""Robots of work groups over the API and on pages: set up, tried, taken away; keys are shown to
nobody.
"""

import json
from typing import Any

import pytest

from tests.harness.console import browser_at
from tests.harness.logins import with_own_password
from tests.harness.things import everything
from tests.integration.api.conftest import Answer, Api

OPERATOR, SCHOOL, VIEWER = ("county", "operator"), ("school", "operator"), ("county", "viewer")
KEY = "693a91f6-7bcd-4bc4-97a0-planted5aaa"
NOBODY = "0190f3a2-7c1d-7a44-9f32-5c6b1e0f9a10"
ROBOT: dict[str, Any] = {
    "kind": "wecom",
    "name": "值班群",
    "address": f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={KEY}",
}
SIGNED = {
    "kind": "dingtalk",
    "name": "联络员群",
    "address": "https://oapi.dingtalk.com/robot/send?access_token=planted-token-1234",
    "secret": "SECplanted",
}


async def test_a_robots_key_is_in_no_answer_row_or_entry(api: Api) -> None:
    said = ""
    for body in (ROBOT, SIGNED):
        made = await api.post("/robots", OPERATOR, body)
        assert made.status == 201, made.body
        said += made.body.decode()
    listed = await api.get("/robots", VIEWER)
    assert [one["address"] for one in listed.json["items"]] == [
        "qyapi.weixin.qq.com…5aaa",
        "oapi.dingtalk.com…1234",
    ]
    assert [one["is_signed"] for one in listed.json["items"]] == [False, True]
    assert listed.json["may_set"] is False
    said += listed.body.decode() + await everything(api)
    for word in ("planted", KEY, "SECplanted"):
        assert word not in said.replace("planted5aaa"[-4:], ""), word
    assert (await api.get("/robots", SCHOOL)).json["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a"}, "address"),
        ({"address": "https://qyapi.weixin.qq.com/"}, "address"),
        ({"kind": "dingtalk"}, "address"),
        ({"secret": "SEC1"}, "secret"),
        ({"kind": "feishu"}, "kind"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["rain"]}, "kinds.0"),
        ({"name": ""}, "name"),
    ],
)
async def test_what_is_wrong_of_a_robot_is_said_beside_its_field(
    api: Api, change: dict[str, Any], field: str
) -> None:
    refused = await api.post("/robots", OPERATOR, ROBOT | change)
    assert (refused.status, list(refused.json["fields"])) == (422, [field])
    assert KEY.encode() not in refused.body


async def test_a_robot_is_tried_and_taken_away_by_its_own_department(api: Api) -> None:
    robot = (await api.post("/robots", OPERATOR, ROBOT)).json["id"]
    tried = await api.post(f"/robots/{robot}/test", OPERATOR)
    assert (tried.status, tried.json["last_state"]) == (202, "waiting")
    for who in (SCHOOL, ("school", "admin")):
        assert (await api.post(f"/robots/{robot}/test", who)).status == 404
        assert (await api.call("DELETE", f"/robots/{robot}", who)).status == 404
    assert (await api.call("DELETE", f"/robots/{robot}", VIEWER)).status == 403
    assert (await api.call("DELETE", f"/robots/{robot}", OPERATOR)).status == 204
    assert (await api.call("DELETE", f"/robots/{robot}", OPERATOR)).status == 404
    assert (await api.get("/robots", OPERATOR)).json["items"] == []


async def _kinds(api: Api, who: tuple[str, str], robot: str, *kinds: str) -> Answer:
    return await api.call("PUT", f"/robots/{robot}/kinds", who, json={"kinds": list(kinds)})


async def test_a_group_is_told_of_other_kinds_and_its_address_stays(api: Api) -> None:
    made = (await api.post("/robots", OPERATOR, SIGNED)).json
    set_ = await _kinds(api, OPERATOR, made["id"], "relay", "late", "late")
    assert set_.status == 200, set_.body
    assert set_.json == made | {"kinds": ["late", "relay"]}
    assert (await api.get("/robots", OPERATOR)).json["items"] == [set_.json]
    (entry,) = await api.runtime.pool.fetch(
        "SELECT object_kind, object_id, details::text FROM audit_entries"
        " WHERE action = 'set_robot_kinds'"
    )
    assert (entry["object_kind"], entry["object_id"]) == ("robots", made["id"])
    assert json.loads(entry["details"]) == {
        "before": ["approval", "leg", "paused", "returned"],
        "kinds": ["late", "relay"],
    }
    for kinds, field in ((["rain"], "kinds.0"), ([], "kinds")):
        refused = await _kinds(api, OPERATOR, made["id"], *kinds)
        assert (refused.status, list(refused.json["fields"])) == (422, [field])
    for who, status in ((VIEWER, 403), (SCHOOL, 404), (("school", "admin"), 404)):
        assert (await _kinds(api, who, made["id"], "late")).status == status
    assert (await api.call("DELETE", f"/robots/{made['id']}", OPERATOR)).status == 204
    assert (await _kinds(api, OPERATOR, made["id"], "late")).status == 404


async def test_what_a_group_is_told_is_changed_on_a_page(api: Api) -> None:
    made = (await api.post("/robots", OPERATOR, ROBOT)).json["id"]
    browser = await browser_at(api, await with_own_password(api, api.teams["county"].operator))
    here = f"/office/robots/{made}/kinds"
    assert here in (await browser.get("/office/robots")).links
    page = await browser.get(here)
    ticked = {value for name, value in page.form(here).fields if name == "kinds"}
    assert ticked == {"approval", "returned", "paused", "leg"}
    none = await browser.submit(page, here, {"kinds": []})
    assert none.status == 422, none.text
    shown = await browser.submit(page, here, {"kinds": ["approval", "late"]})
    assert shown.status == 200, shown.text
    listed = (await api.get("/robots", OPERATOR)).json["items"]
    assert [one["kinds"] for one in listed] == [["approval", "late"]]
    assert (await browser.get(f"/office/robots/{NOBODY}/kinds")).status == 404


@pytest.mark.parametrize(("language", "wrong"), [("zh-CN", "从群里复制"), ("en", "copy it from")])
async def test_a_robot_is_set_up_on_a_page(api: Api, language: str, wrong: str) -> None:
    login = await with_own_password(api, api.teams["county"].operator)
    browser = await browser_at(api, login, language)
    page = await browser.get("/office/robots/new")
    bad = {"name": "值班群", "address": "https://qyapi.weixin.qq.com/?key=a"}
    refused = await browser.submit(page, "/office/robots/new", bad)
    assert refused.status == 422
    assert wrong in refused.text
    typed = {"name": "值班群", "address": ROBOT["address"]}
    shown = await browser.submit(page, "/office/robots/new", typed)
    assert shown.status == 200, shown.text
    assert "qyapi.weixin.qq.com…5aaa" in shown.text
    assert KEY not in shown.html
    (test,) = {form.action for form in shown.forms if form.action.endswith("/test")}
    tried = await browser.submit(shown, test)
    assert tried.status == 200, tried.text
    gone = await browser.submit(tried, test.replace("/test", "/delete"))
    assert "qyapi" not in gone.text
