"""Wordings on pages: made of a text, edited, approved by another, taken as files."""

from tests.harness.console import Browser, Seen, browser_at, browser_of
from tests.harness.logins import with_own_password
from tests.integration.api.conftest import Api

TEXT = "【旌德县公安局】公检法不会电话办案，没有“安全账户”。接到来电请先挂断，再拨110核实。"


async def _page(api: Api, browser: Browser, *, approved: bool = True) -> Seen:
    """The wordings of a text, reached from its page."""
    body = {"name": "公检法", "text": TEXT}
    made = (await api.post("/templates", ("county", "operator"), body)).json
    if approved:
        approve = f"/templates/{made['id']}/approve"
        assert (await api.post(approve, ("county", "approver"), {"version": 1})).status == 200
    text = await browser.get(f"/texts/{made['id']}")
    (link,) = {link for link in text.links if "/wordings/" in link}
    assert link in (await browser.get(f"/texts/{made['id']}/edit")).links
    return await browser.get(link)


async def test_a_wording_is_made_and_taken_as_a_file(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await _page(api, browser)
    for kind in ("LED 屏", "大喇叭", "微信群", "海报", "致家长的信", "柜台屏", "自助机"):
        assert kind in page.text
    assert "再拨一一零核实" in page.text
    seen = page
    for kind in ("led", "poster"):
        form = next(form for form in seen.forms if ("kind", kind) in form.fields)
        seen = await browser.post(page.path, dict(form.fields))
        assert seen.status == 200, seen.text
    assert "可以张贴播放" in seen.text
    for wanted in ("file txt", "file docx", "poster svg", "poster html"):
        address, value = wanted.split()
        action = f"{page.path}/{address}"
        taken = await browser.post(action, {**_hidden(seen, action), "format": value})
        assert taken.status == 200, taken.text


async def test_other_words_wait_for_another_person(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await _page(api, browser)
    form = await browser.get(f"{page.path}/atm")
    seen = await browser.submit(form, f"{page.path}/atm", {"text": "公检法机关不会电话办案。"})
    assert "须由另一人批准" in seen.text
    assert "待第二人确认" in seen.text
    assert not [form for form in seen.forms if form.action.endswith("/approve")]
    second = await browser_at(api, await with_own_password(api, api.teams["county"].approver))
    waiting = await second.get(page.path)
    (approve,) = [form.action for form in waiting.forms if form.action.endswith("/approve")]
    done = await second.submit(waiting, approve)
    assert "可以张贴播放" in done.text


async def test_a_refused_edit_is_shown_again(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await _page(api, browser)
    form = await browser.get(f"{page.path}/atm")
    seen = await browser.submit(form, f"{page.path}/atm", {"text": "国" * 41})
    assert seen.status == 422
    assert "国" * 41 in seen.html
    assert (await browser.get(f"{page.path}/nothing")).status == 404
    assert (await browser.get(f"{page.path[:-1]}x")).status == 404


async def test_without_an_approval_nothing_is_made(api: Api) -> None:
    browser = await browser_of(api, "operator")
    page = await _page(api, browser, approved=False)
    assert "还没有批准" in page.text
    assert page.path not in [form.action for form in page.forms]


def _hidden(page: Seen, action: str) -> dict[str, str]:
    return dict(page.form(action).fields)
