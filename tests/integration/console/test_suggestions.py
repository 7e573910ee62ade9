"""Suggestions on pages: reasons for whoever may see them, a draft, a dismissal, the audiences."""

import re
from datetime import datetime

from service.audience.areas.area_store import load_areas
from service.clock import CHINA
from tests.harness.case_api import OFFICER, rows_until, send
from tests.harness.console import Browser, browser_at, browser_of
from tests.harness.logins import with_password
from tests.integration.api.conftest import Api

W50 = "2026-W50"
PAGE = "/reports/suggestions"
TEXT = "【旌德县公安局】客服主动退款理赔都是诈骗，疑问请拨96110。"


async def _officer(api: Api, language: str = "zh-CN") -> Browser:
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    api.clock.at = datetime(2026, 12, 14, 9, tzinfo=CHINA)
    assert (await send(api, rows_until(W50), f"2026-W01..{W50}")).status == 201
    return await browser_of(api, "operator", language)


async def _list(api: Api, who: tuple[str, str]) -> None:
    body = {
        "basis": "duty",
        "expires_on": "2027-12-31",
        "members": [{"phone": "19790000101", "name": "王小明", "roles": ["shop"]}],
    }
    assert (await api.call("PUT", "/rosters/商户/members", who, json=body)).status == 200


async def _first(browser: Browser) -> str:
    """The address of the first suggestion: what rises."""
    seen = await browser.get(PAGE)
    return next(link for link in seen.links if link.startswith(f"{PAGE}/{W50}/"))


async def test_an_officer_sees_why_and_makes_a_draft(api: Api) -> None:
    browser = await _officer(api)
    await _list(api, OFFICER)
    seen = await browser.get(PAGE)
    assert "全县 · 冒充电商物流客服" in seen.text
    assert "2026-W47 至 2026-W50 发案 5 起，按前期应有 1.23 起" in seen.text
    assert "100 次中约 0.86 次" in seen.text
    assert re.search("仅凭偶然每年也会出现约 [4-6] 次", seen.text)
    page = await _first(browser)
    before = await browser.get(page)
    assert "没有这类诈骗的" in before.text, "and no button to press in vain"
    assert not any("template_id" in form.named for form in before.forms)
    made = (
        await api.post("/templates", OFFICER, {"name": "退款", "text": TEXT, "topic": "T04"})
    ).json
    body = {"version": made["version"], "acknowledged": []}
    approved = await api.post(f"/templates/{made['id']}/approve", ("county", "approver"), body)
    assert approved.status == 200, approved.body
    one = await browser.get(page)
    fields = dict(one.form(f"{page}/draft").fields)
    assert (fields["audiences"], fields["template_id"]) == ("shop", made["id"])
    plan = await browser.submit(one, f"{page}/draft")
    assert "草稿已拟好" in plan.text
    assert f"公安建议 {W50} 冒充客服" in plan.text
    again = await browser.get(page)
    assert plan.path in again.links
    assert not [form for form in again.forms if form.action.startswith(page)]


async def test_a_text_that_is_written_for_a_suggestion_is_found_by_it(api: Api) -> None:
    browser = await _officer(api)
    page = await _first(browser)
    (way,) = {link for link in (await browser.get(page)).links if "topic=" in link}
    form = await browser.get(way)
    made = await browser.submit(form, "/texts/new", {"name": "冒充客服", "text": TEXT})
    assert made.status == 200, made.text
    template = made.path.removeprefix("/texts/")
    body = {"version": 1, "acknowledged": []}
    approved = await api.post(f"/templates/{template}/approve", ("county", "approver"), body)
    assert approved.status == 200, approved.body
    one = await browser.get(page)
    assert dict(one.form(f"{page}/draft").fields)["template_id"] == template


async def test_a_ready_text_keeps_the_kind_of_fraud_of_which_it_warns(api: Api) -> None:
    browser = await _officer(api)
    for starter in (await api.get("/templates/library", OFFICER)).json["items"]:
        if starter["fraud_types"]:
            assert starter["topic"], starter["id"]
    page = await browser.get("/texts/new?starter=S01")
    assert dict(page.form("/texts/new").fields)["topic"]


async def test_one_is_dismissed_with_a_reason(api: Api) -> None:
    browser = await _officer(api)
    page = await _first(browser)
    one = await browser.get(page)
    refused = await browser.submit(one, f"{page}/dismiss")
    assert refused.status == 422
    gone = await browser.submit(one, f"{page}/dismiss", {"reason": "已在镇上讲过"})
    assert gone.status == 200
    assert "已记为不采纳" in gone.text
    assert "未采纳： 已在镇上讲过" in (await browser.get(page)).text


async def test_another_department_reads_that_the_police_suggest_it(api: Api) -> None:
    await _officer(api)
    await _list(api, ("school", "operator"))
    school = await browser_at(api, await with_password(api, api.teams["school"].operator))
    seen = await school.get(PAGE)
    assert "公安建议" in seen.text
    assert "1.23" not in seen.text
    assert "仅凭偶然" not in seen.text
    one = await school.get(await _first(school))
    assert "公安建议" in one.text
    assert "5 起" not in one.text


async def test_the_audiences_of_one_kind_are_changed(api: Api) -> None:
    browser = await _officer(api, "en")
    page = f"{PAGE}/audiences"
    seen = await browser.get(page)
    assert "As shipped" in seen.text
    assert "finance staff、heads of firms、elderly people" in seen.text
    typed = {"fraud_type": "T07", "audiences": "owner", "reason": "多为老板"}
    done = await browser.submit(seen, page, typed)
    assert done.status == 200, done.text
    assert "Version 1 · 多为老板" in done.text
    rules = (await api.get("/suggestions/rules", OFFICER)).json["items"]
    assert {"fraud_type": "T07", "audiences": ["owner"]} in rules
    assert {"fraud_type": "T06", "audiences": ["student"]} in rules, "the others stay"
    empty = await browser.submit(done, page, {"fraud_type": "T07", "reason": "r"})
    assert empty.status == 422


async def test_a_week_without_figures_says_so(api: Api) -> None:
    browser = await _officer(api)
    assert "这一周还没有数据" in (await browser.get(f"{PAGE}?week=2027-W01")).text
    assert (await browser.get(f"{PAGE}?week=nonsense")).status == 422
