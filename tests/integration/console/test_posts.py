"""Pages of posts: who has each, handed over, with history and form."""

from datetime import timedelta
from urllib.parse import quote

from tests.factories import phone
from tests.harness.console import Browser, browser_at
from tests.harness.logins import with_own_password
from tests.harness.posts import ROSTER, UNIT, give, import_list, member
from tests.integration.api.conftest import Api

OLD, NEW = 501, 502


async def own_browser(api: Api, role: str) -> Browser:
    return await browser_at(api, await with_own_password(api, getattr(api.teams["county"], role)))


async def test_a_post_is_handed_over_and_its_form_is_taken(api: Api) -> None:
    await import_list(api, member(OLD, "王小明"), member(NEW, "李小红", unit="旌德县民政局"))
    county = await own_browser(api, "operator")
    (here,) = [
        link for link in (await county.get(f"/people/lists/{ROSTER}")).links if "/posts" in link
    ]
    listed = await county.get(here)
    assert UNIT in listed.text
    links = [link for link in listed.links if "/post?" in link]
    assert len(links) == 2
    (post,) = [link for link in links if UNIT in (await county.get(link)).text]
    page = await county.get(post)
    (action,) = {form.action for form in page.forms if form.action.endswith("/post")}
    wrong = await county.submit(page, action, {"phone": "19790007999", "reason": "轮岗"})
    assert wrong.status == 422, wrong.text
    assert "请先" in wrong.text
    given = {"phone": phone(NEW), "reason": "轮岗", "told": "县反诈办"}
    handed = await county.submit(page, action, given)
    assert handed.status == 200, handed.text
    for part in ("李**", "轮岗", "县反诈办"):
        assert part in handed.text
    (file,) = {form.action for form in handed.forms if form.action.endswith("/history/2/file")}
    form = await county.submit(handed, file, {"format": "html"})
    assert form.status == 200, form.text
    for part in ("王小明", "李小红", "县反诈办"):
        assert part in form.text
    viewer = await own_browser(api, "viewer")
    seen = await viewer.get(post)
    assert "李**" in seen.text
    assert not [form.action for form in seen.forms if "/people/lists" in form.action]
    for nothing in (f"/people/lists/{ROSTER}/post", post + "x"):
        assert (await viewer.get(nothing)).status == 404


async def test_a_vacant_post_is_on_the_start_page_until_it_is_handed_over(api: Api) -> None:
    listed = f"/people/lists/{quote(ROSTER)}/posts"
    await import_list(api, member(OLD, "王小明"), member(NEW, "李小红", unit="旌德县民政局"))
    assert (await give(api, NEW)).status == 200
    county = await own_browser(api, "operator")
    assert listed not in (await county.get("/today")).links
    api.clock.at += timedelta(minutes=5)
    await import_list(api, member(OLD, "王小明"))
    for page in ("/today", "/duty"):
        assert listed in (await county.get(page)).links, page
    assert "无人：已不在名单" in (await county.get(listed)).text
    assert (await give(api, OLD)).status == 200
    for page in ("/today", "/duty"):
        assert listed not in (await county.get(page)).links, page
