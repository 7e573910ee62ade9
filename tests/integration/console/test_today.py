"""The start page: what waits is named with the page on which it is worked off."""

import re
from datetime import timedelta

import pytest

from service.console.routes import PAGES
from service.console.today.work_links import address_of
from service.reports.work_store import KINDS
from tests.harness.console import browser_of
from tests.harness.plan_pages import OPERATOR, county
from tests.integration.api.conftest import Api

__all__ = ["county"]

MANY = 102
"""Fires of a day: more than the start page lists, and than the calendar reads at once."""


async def test_what_waits_is_named_with_its_page(api: Api) -> None:
    browser = await browser_of(api, "operator")
    assert "今天没有等您处理的事。" in (await browser.get("/today")).text
    reason = "<script>alert(1)</script>"
    stopped = await api.post("/stop-all", ("county", "operator"), {"reason": reason})
    assert stopped.status == 200
    seen = await browser.get("/today")
    assert "/duty/stop" in seen.links
    assert "现在全部停发。" in seen.text, "the band"
    assert reason in seen.text
    assert "<script>alert" not in seen.html


async def test_its_parts_have_no_frame(api: Api) -> None:
    browser = await browser_of(api, "operator")
    for part in ("now", "day", "week"):
        seen = await browser.get(f"/today/{part}")
        assert seen.status == 200
        assert "<html" not in seen.html


async def test_what_comes_today_says_how_much_it_is_and_where_all_of_it_is(
    api: Api, county: dict[str, str]
) -> None:
    today = api.clock.at.astimezone(api.runtime.settings.zone).date()
    for number in range(MANY):
        start = f"{today.isoformat()}T{10 + number // 12}:{number % 12 * 5:02}:00+08:00"
        schedule = {"kind": "once", "start_at": start}
        body = {"name": f"第{number}个", "schedule": schedule, **county}
        assert (await api.post("/campaigns", OPERATOR, body)).status == 201
    browser = await browser_of(api, "operator")
    seen = await browser.get("/today/day")
    assert f"今天有 {MANY} 次" in seen.text, seen.text
    (whole,) = {link for link in seen.links if "day=" in link}
    found = await browser.get(whole)
    assert {f"第{number}个" for number in range(MANY)} <= set(found.text.split())


@pytest.mark.attack
async def test_a_page_left_open_does_not_keep_its_session(api: Api) -> None:
    browser = await browser_of(api, "operator")
    for _ in range(5):
        api.clock.at += timedelta(minutes=25)
        poll = await browser.ask("GET", "/today/now", headers={"HX-Request": "true"})
    assert poll.status == 401
    assert poll.headers["HX-Session"] == "over"


async def test_a_page_in_use_keeps_it(api: Api) -> None:
    browser = await browser_of(api, "operator")
    for _ in range(5):
        api.clock.at += timedelta(minutes=25)
        assert (await browser.ask("GET", "/today")).status == 200


def test_what_waits_leads_to_no_page_that_is_not_there() -> None:
    pages = [page.path for page in PAGES if page.method == "GET"]
    known = [re.compile(re.sub(r"{\w+}", "[^/]+", path)) for path in pages]
    leads = [address_of(kind.name, "x", "名单/一") for kind in KINDS]
    assert [to for to in leads if to and not any(one.fullmatch(to) for one in known)] == []
    assert any(leads)
