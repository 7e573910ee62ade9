"""Reports: figures that add up, and the trail, for whoever may."""

from urllib.parse import urlsplit
from uuid import UUID

import pytest

from service.api.routes import OPS
from service.console.reports.words import ACTIONS
from tests.harness.console import Browser, browser_of
from tests.harness.keys import second_admin
from tests.harness.logins import PASSWORD, given_password
from tests.integration.api.conftest import Api

PLAN = {"name": "<b>每周反诈</b>", "schedule": {"kind": "now"}}


async def _campaign(api: Api) -> str:
    who = ("county", "operator")
    text = {"name": "t", "text": "【旌德县公安局】不转账，拿不准拨96110。"}
    template = (await api.post("/templates", who, text)).json["id"]
    segment = (await api.post("/segments", who, {"name": "s", "rule": "身份 = 财务人员"})).json[
        "id"
    ]
    made = await api.post(
        "/campaigns", who, PLAN | {"template_id": template, "segment_id": segment}
    )
    assert made.status == 201, made.json
    return str(made.json["id"])


async def test_a_campaign_by_week_and_carrier(api: Api) -> None:
    campaign = await _campaign(api)
    browser = await browser_of(api, "inspector")
    listed = await browser.get("/reports")
    assert f"/reports/campaigns/{campaign}" in listed.links
    seen = await browser.get(f"/reports/campaigns/{campaign}")
    assert seen.status == 200, seen.text
    assert "<b>每周反诈" not in seen.html
    action = f"/reports/campaigns/{campaign}/export"
    file = await browser.submit(seen, action)
    assert file.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in file.headers["Content-Disposition"]


async def test_who_did_what_is_in_words_and_leads_to_the_thing(api: Api) -> None:
    campaign = await _campaign(api)
    browser = await browser_of(api, "admin")
    seen = await browser.get(f"/reports/audit?object_id={campaign}")
    assert seen.status == 200, seen.text
    assert "拟任务" in seen.text
    assert f"/plans/{campaign}" in seen.links
    assert "create_campaign" not in seen.text
    mine = next(link for link in seen.links if link.startswith("?actor_id="))
    again = await browser.get(f"/reports/audit{urlsplit(mine).path}{mine}")
    assert again.status == 200


async def test_an_auditor_reads_who_it_was(api: Api) -> None:
    await _campaign(api)
    browser = await browser_of(api, "admin")
    page = await browser.get("/office/users/new")
    typed = {"login": "an.auditor", "name": "审计", "roles": ["auditor"]}
    user = (await browser.submit(page, "/office/users/new", typed)).path.rpartition("/")[2]
    other = await second_admin(api)
    grant = (await api.get(f"/users/{user}", other)).json["proposed"]["id"]
    assert (await api.post(f"/users/{user}/grants/{grant}/confirm", other)).status == 200
    given = await given_password(api, UUID(user))
    auditor = Browser(api)
    seen = await auditor.log_in("an.auditor", given)
    new = {"current": given, "new": PASSWORD}
    await auditor.submit(seen, "/account/password", new)
    trail = await auditor.get("/reports/audit")
    assert trail.status == 200, trail.text
    assert api.teams["county"].operator.name in trail.text


@pytest.mark.parametrize("query", ["day=nonsense", "actor_id=x", "cursor=x", "unknown=1"])
async def test_a_bad_address_is_refused_and_no_fault_of_ours(api: Api, query: str) -> None:
    browser = await browser_of(api, "admin")
    assert (await browser.get(f"/reports/audit?{query}")).status in {404, 422}


async def test_channels_of_a_day(api: Api) -> None:
    browser = await browser_of(api, "operator")
    assert (await browser.get("/reports/channels")).status == 200
    assert (await browser.get("/reports/channels?day=2027-01-11")).status == 200
    assert (await browser.get("/reports/channels?day=yesterday")).status == 422


def test_each_act_of_the_trail_has_a_word() -> None:
    assert {op.name for op in OPS if op.audited} - ACTIONS.keys() == set()
