"""The sheet that an approver signs: what it shows, who may sign, what is returned."""

import re
from datetime import timedelta

import pytest
from multidict import MultiDict

from service.campaigns.plans.lifecycle import expire_pending
from service.storage.postgres import transaction
from tests.factories import TEXT, make_template
from tests.harness.console import Browser, browser_of
from tests.harness.plan_pages import (
    APPROVER,
    HOSTILE,
    OPERATOR,
    PEOPLE,
    county,
    stored,
)
from tests.integration.api.conftest import Api

__all__ = ["county"]

TO_REVIEW = "【旌德县反诈中心】公安不会打电话给群众，凡自称公安的来电，请拨110核实。"


async def submitted(api: Api, fields: dict[str, str], **more: object) -> str:
    """The address of a campaign that waits to be signed. It was planned with a key: whoever gave
    planner and approver their passwords would make them one person.
    """
    when = (api.clock.at + timedelta(days=1)).isoformat()
    body = {"name": "每周反诈", **fields, "schedule": {"kind": "once", "start_at": when}, **more}
    made = await api.post("/campaigns", OPERATOR, body)
    assert made.status == 201, made.body
    answer = await api.post(f"/campaigns/{made.json['id']}/submit", OPERATOR)
    assert answer.status == 200, answer.body
    return f"/plans/{made.json['id']}"


@pytest.mark.attack
async def test_what_was_submitted_again_since_is_not_signed_unseen(
    api: Api, county: dict[str, str]
) -> None:
    address = await submitted(api, county)
    sheet = f"{address}/sign"
    browser = await browser_of(api, "approver")
    seen = await browser.get(sheet)
    path = "/campaigns/" + address.rpartition("/")[2]
    assert (await api.patch(path, OPERATOR, {"max_tps": 3})).status == 200
    assert (await api.post(f"{path}/submit", OPERATOR)).status == 200
    again = await browser.submit(seen, sheet, {"known": "true"})
    assert "您看过以后它被改过" in again.text
    assert (await stored(api, address))["state"] == "pending_approval"
    assert ("known", "true") not in again.form(sheet).fields, "no tick of before counts"
    await browser.submit(again, sheet, {"known": "true"})
    assert (await stored(api, address))["state"] == "scheduled"


async def test_the_sheet_shows_what_is_bound_and_is_signed(
    api: Api, county: dict[str, str]
) -> None:
    address = await submitted(api, county, max_tps=9, name=HOSTILE)
    sheet = f"{address}/sign"
    browser = await browser_of(api, "approver")
    seen = await browser.get(sheet)
    assert seen.status == 200, seen.text
    plan = await stored(api, address)
    for shown in (TEXT, plan["frozen_rule"], "9 条", "公益", f"{PEOPLE} 人", plan["content_hash"]):
        assert shown in re.sub(r"&#34;", '"', seen.html), shown
    assert HOSTILE not in seen.html
    assert seen.html.index('name="known"') < seen.html.rindex("签发，"), seen.text[190:]
    refused = await browser.submit(seen, sheet)
    assert refused.status == 422, "nobody signs without the tick"
    assert 'id="e-known"' in refused.html
    seen = await browser.submit(refused, sheet, {"known": "true"})
    assert seen.status == 200, seen.text
    plan = await stored(api, address)
    assert plan["state"] == "scheduled"
    assert plan["approved_by"] == str(api.teams["county"].approver.id)
    entry = await api.runtime.pool.fetchrow(
        "SELECT via FROM audit_entries WHERE action = 'approve_campaign' ORDER BY id DESC LIMIT 1"
    )
    assert entry is not None
    assert entry["via"] == "console"


async def test_the_counts_of_now_stand_beside_those_of_the_submission(
    api: Api, county: dict[str, str]
) -> None:
    address = await submitted(api, county)
    browser = await browser_of(api, "approver")
    for path in (f"{address}/counts", f"{address}/sign?count=1"):
        seen = await browser.get(path)
        assert seen.status == 200, seen.text
        assert f"提交时 {PEOPLE} 人" in seen.text
        assert "中国移动" in seen.text


@pytest.mark.attack
async def test_who_had_a_hand_in_it_reads_who_can_sign_instead(
    api: Api, county: dict[str, str]
) -> None:
    team = api.teams["county"]
    async with transaction(api.runtime.pool) as conn:
        mine = await make_template(conn, team.approver, now=api.clock.at)
    address = await submitted(api, county | {"template_id": str(mine.id)})
    browser = await browser_of(api, "approver")
    seen = await browser.get(f"{address}/sign")
    assert seen.status == 200
    assert f"{address}/sign" not in [form.action for form in seen.forms], "no button to be refused"
    plan = (await api.get("/campaigns/" + address.rpartition("/")[2], APPROVER)).json
    others = [one["name"] for one in plan["approvers"]]
    assert others
    assert team.approver.name not in others
    assert all(name in seen.text for name in others)
    token = MultiDict(dict((await browser.get("/account")).form("/logout").fields))
    forced = await browser.post(f"{address}/sign", MultiDict({**token, "known": "true"}))
    assert forced.status == 403
    assert (await stored(api, address))["state"] == "pending_approval"


async def test_the_planner_sees_the_sheet_and_no_button(api: Api, county: dict[str, str]) -> None:
    address = await submitted(api, county)
    for role in ("operator", "viewer"):
        seen = await (await browser_of(api, role)).get(f"{address}/sign")
        assert seen.status == 200
        assert not [form for form in seen.forms if form.action.startswith(address)]
        assert api.teams["county"].approver.name in seen.text, "who can sign"
    assert (await (await browser_of(api, "inspector")).get(f"{address}/sign")).status == 403


async def refuse(browser: Browser, address: str, act: str, reason: str) -> int:
    asked = await browser.get(f"{address}/{act}")
    assert asked.status == 200, asked.text
    return (await browser.submit(asked, f"{address}/{act}", {"reason": reason})).status


async def test_it_is_returned_with_a_reason_mended_and_submitted_again(
    api: Api, county: dict[str, str]
) -> None:
    address = await submitted(api, county)
    approver, operator = await browser_of(api, "approver"), await browser_of(api, "operator")
    assert await refuse(approver, address, "return", "") == 422, "it wants a reason"
    assert await refuse(approver, address, "return", f"改一下{HOSTILE}") == 200
    assert (await stored(api, address))["state"] == "returned"
    for page in ("/today", "/duty"):
        seen = await operator.get(page)
        assert "退回修改的任务" in seen.text, page
        assert "改一下" in seen.text, page
        assert HOSTILE not in seen.html, page
        assert f"{address}/edit" in seen.links, page
    seen = await operator.get(f"{address}/edit")
    assert "改一下" in seen.text
    assert HOSTILE not in seen.html
    await operator.submit(seen, f"{address}/edit", {"act": "submit"})
    assert (await stored(api, address))["state"] == "pending_approval"
    assert "退回修改的任务" not in (await operator.get("/today")).text
    assert await refuse(approver, address, "reject", "不发") == 200
    assert (await stored(api, address))["state"] == "rejected"


async def test_what_nobody_signed_in_time_says_so(api: Api, county: dict[str, str]) -> None:
    address = await submitted(api, county)
    await expire_pending(api.runtime.pool, api.clock.at + timedelta(days=365))
    browser = await browser_of(api, "operator")
    assert "逾期未签发" in (await browser.get("/today")).text
    for page in (address, f"{address}/edit"):
        assert "逾期未签发" in (await browser.get(page)).text, page


async def test_a_change_after_the_submission_takes_the_button_away(
    api: Api, county: dict[str, str]
) -> None:
    address = await submitted(api, county)
    text = TEXT.replace("96110", "96110。")
    path = f"/templates/{county['template_id']}/versions"
    assert (await api.post(path, OPERATOR, {"text": text})).status == 201
    seen = await (await browser_of(api, "approver")).get(f"{address}/sign")
    assert "有改动" in seen.text, seen.text[190:900]
    assert f"{address}/sign" not in [form.action for form in seen.forms]


async def test_what_lint_wants_read_is_ticked(api: Api, county: dict[str, str]) -> None:
    body = {"name": "要确认", "text": TO_REVIEW, "class": "public_interest"}
    made = (await api.post("/templates", OPERATOR, body)).json
    review = {one["rule"] for one in made["lint"] if one["level"] == "review"}
    address = await submitted(api, county | {"template_id": made["id"]})
    plan = await stored(api, address)
    review = {one["rule"] for one in plan["findings"] if one["level"] == "review"}
    assert review, plan["findings"]
    browser, sheet = await browser_of(api, "approver"), f"{address}/sign"
    seen = await browser.submit(await browser.get(sheet), sheet, {"known": "true"})
    assert seen.status == 422, seen.text
    seen = await browser.submit(seen, sheet, {"known": "true", "acknowledged": sorted(review)})
    assert seen.status == 200, seen.text
    assert (await stored(api, address))["state"] == "scheduled"
