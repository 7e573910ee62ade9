"""Robots of work groups over the API and on pages: set up, tried, taken away; keys are shown to
nobody.
"""

from typing import Any

import pytest

from tests.harness.console import browser_at
from tests.harness.logins import with_own_password
from tests.harness.things import everything
from tests.integration.api.conftest import Api

OPERATOR, SCHOOL, VIEWER = ("county", "operator"), ("school", "operator"), ("county", "viewer")
KEY = "693a91f6-7bcd-4bc4-97a0-planted5aaa"
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
