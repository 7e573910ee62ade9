"""A plan that is left half-filled to make a group comes back as it was, with the group chosen."""

from typing import Any

from multidict import MultiDict

from tests.harness.console import Browser, Seen, browser_of
from tests.harness.plan_pages import OPERATOR, county, drafted, stored, typed
from tests.integration.api.conftest import Api

__all__ = ["county"]

NEW, GROUP = "/plans/new", "/people/groups/new"


async def _left(browser: Browser, action: str, fields: dict[str, Any]) -> Seen:
    """The page on which a group is made, reached from a plan."""
    seen = await browser.submit(await browser.get(action), action, fields | {"act": "group"})
    assert seen.path.startswith(f"{GROUP}?carried="), seen.text
    return seen


async def _made(browser: Browser, page: Seen, name: str) -> Seen:
    return await browser.submit(page, GROUP, {"name": name, "age_from": ["60"]})


async def _typed(seen: Seen) -> dict[str, str]:
    return dict(seen.form(seen.path.partition("?")[0]).fields)


async def test_it_comes_back_with_the_group_chosen(api: Api, county: dict[str, str]) -> None:
    browser = await browser_of(api, "operator")
    fields = typed(county, api, name="写到一半", priority="bulk", segment_id="")
    page = await _left(browser, NEW, fields)
    assert "您的任务先放着" in page.text
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []
    seen = await _made(browser, page, "六十岁以上")
    assert seen.path.startswith(f"{NEW}?"), seen.text
    found = await _typed(seen)
    groups = {
        one["name"]: one["id"] for one in (await api.get("/segments", OPERATOR)).json["items"]
    }
    assert found["segment_id"] == groups["六十岁以上"]
    assert (found["name"], found["priority"]) == ("写到一半", "bulk")
    assert found["template_id"] == county["template_id"]
    assert 'data-keeps="typed"' in seen.html, "it is not kept yet, and says so before it is left"
    kept = await browser.submit(seen, NEW, {"act": "save"})
    assert "草稿已保存" in kept.text, kept.text


async def test_whoever_makes_no_group_comes_back_too(api: Api, county: dict[str, str]) -> None:
    browser = await browser_of(api, "operator")
    page = await _left(browser, NEW, typed(county, api, name="写到一半"))
    (back,) = {link for link in page.links if link.startswith(f"{NEW}?carried=")}
    found = await _typed(await browser.get(back))
    assert (found["name"], found["segment_id"]) == ("写到一半", county["segment_id"])
    refused = await browser.submit(page, GROUP, {"name": "", "age_from": ["60"]})
    assert refused.status == 422
    assert back in refused.links, "nor is it lost with a group that is refused"
    looked = await browser.post(
        "/people/groups/look", MultiDict(dict(page.form(GROUP).fields) | {"age_from": "60"})
    )
    assert back in looked.links
    ready = next(link for link in page.links if "ready=elderly" in link)
    assert back in (await browser.get(ready)).links


async def test_two_windows_have_two_plans(api: Api, county: dict[str, str]) -> None:
    browser = await browser_of(api, "operator")
    one = await _left(browser, NEW, typed(county, api, name="一号窗口"))
    other = await _left(browser, NEW, typed(county, api, name="二号窗口"))
    first = await _typed(await _made(browser, one, "一号人群"))
    second = await _typed(await _made(browser, other, "二号人群"))
    assert (first["name"], second["name"]) == ("一号窗口", "二号窗口")
    assert first["segment_id"] != second["segment_id"]


async def test_a_draft_comes_back_over_what_is_kept_of_it(api: Api, county: dict[str, str]) -> None:
    browser, address = await drafted(api, county)
    edit = f"{address}/edit"
    page = await _left(browser, edit, {"name": "改到一半"})
    assert (await stored(api, address))["name"] == "每周反诈", "nothing is kept by leaving"
    path = "/campaigns/" + address.rpartition("/")[2]
    assert (await api.patch(path, OPERATOR, {"name": "别人改的"})).status == 200
    seen = await _made(browser, page, "六十岁以上")
    assert (await _typed(seen))["name"] == "改到一半"
    refused = await browser.submit(seen, edit, {"act": "save"})
    assert refused.status == 412, "what somebody else did meanwhile is not overwritten"


async def test_nobody_else_gets_it(api: Api, county: dict[str, str]) -> None:
    page = await _left(await browser_of(api, "operator"), NEW, typed(county, api, name="我的"))
    (back,) = {link for link in page.links if link.startswith(f"{NEW}?carried=")}
    admin = await browser_of(api, "admin")
    for address in (back, f"{NEW}?carried=AAAA", f"{NEW}?carried=%FF"):
        seen = await admin.get(address)
        assert seen.status == 200
        assert "我的" not in dict(seen.form(NEW).fields)["name"]
