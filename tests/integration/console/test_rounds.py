"""Pages of household rounds: begun, households at the door and from a file, signed, on paper."""

import pytest
from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.storage.postgres import transaction
from tests.harness.console import Browser, Seen, browser_at
from tests.harness.logins import with_own_password
from tests.harness.offers import approved
from tests.integration.api.conftest import Api

VILLAGE = "341825100001"
READ_OUT = "【旌德县反诈中心】不点陌生链接，不给陌生人转账，有疑问请拨打96110。"
FORM = "村编码,户号,结果,人数\n341825100001,一组1号,已告知,2\n341825100001,一组2号,也许,\n".encode()


@pytest.fixture
async def browser(api: Api) -> Browser:
    """Of an operator whose department has an approved text."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        await approved(conn, api.teams["county"], api.clock.at, READ_OUT)
    return await own_browser(api, "operator")


async def own_browser(api: Api, role: str) -> Browser:
    """Of somebody whose password nobody else has given: two of them are two persons."""
    return await browser_at(api, await with_own_password(api, getattr(api.teams["county"], role)))


async def begun(api: Api, browser: Browser, area: str = "南门居委会") -> str:
    """The address of a round that began on its page."""
    page = await browser.get("/rounds/new")
    text = await api.runtime.pool.fetchval("SELECT id::text FROM templates")
    typed = {"name": "元旦前入户", "area": area, "due_on": "2027-01-31", "texts": [f"{text}.1"]}
    made = await browser.submit(page, "/rounds/new", typed)
    assert made.status == 200, made.text
    return f"/rounds/{await api.runtime.pool.fetchval('SELECT id FROM visit_rounds')}"


async def sent(browser: Browser, here: str, **fields: str) -> Seen:
    """The answer to a file."""
    page = await browser.get(f"{here}/import")
    data = FormData(quote_fields=False)
    data.add_field("file", FORM, filename="登记.csv", content_type="text/csv")
    for name, value in {**dict(page.form(f"{here}/import").fields), **fields}.items():
        data.add_field(name, value)
    return await browser.post(f"{here}/import", data)


async def test_from_a_round_to_a_signed_village(api: Api, browser: Browser) -> None:
    assert "/rounds" in (await browser.get("/followups")).links
    here = await begun(api, browser)
    assert here in (await browser.get("/rounds")).links
    page = await browser.get(here)
    assert READ_OUT in page.text
    assert "没有录入户数" in page.text
    assert f"{here}/households?area={VILLAGE}" in page.links
    door = await browser.get(f"{here}/households?area={VILLAGE}")
    absent = {"household": "三组12号", "spoken_to": "1", "result": "not_home"}
    again = await browser.submit(door, f"{here}/visits", absent)
    assert again.status == 200, again.text
    assert "三组12号" in again.text
    forms = [form for form in again.forms if form.action == f"{here}/visits"]
    assert len(forms) == 2, "the next household, and the one to visit again"
    told = {**dict(forms[1].fields), "spoken_to": "2", "result": "told"}
    assert told["household"] == "三组12号"
    done = await browser.post(f"{here}/visits", FormData(told))
    household = await api.runtime.pool.fetchval("SELECT id FROM households")
    assert f"/households/{household}" in done.links
    tries = await browser.get(f"/households/{household}")
    assert tries.text.count("不在家") == 1
    own = await browser.get(f"{here}/sign?area={VILLAGE}")
    refused = await browser.submit(own, f"{here}/sign", {})
    assert refused.status == 403
    leader = await own_browser(api, "approver")
    page = await leader.get(f"{here}/sign?area={VILLAGE}")
    signed = await leader.submit(page, f"{here}/sign", {"note": "逐户核对过"})
    assert "本轮入户已结束" in signed.text


async def test_a_household_that_cannot_be_is_refused_where_it_was_typed(
    api: Api, browser: Browser
) -> None:
    here = await begun(api, browser)
    door = await browser.get(f"{here}/households?area={VILLAGE}")
    wrong = {"household": "19790000001", "spoken_to": "1", "result": "told"}
    refused = await browser.submit(door, f"{here}/visits", wrong)
    assert refused.status == 422
    assert "不填电话" in refused.text
    part = await browser.submit(
        door, f"{here}/visits", {**wrong, "household": "三组12号"}, headers={"HX-Request": "true"}
    )
    assert 'data-visit-written="told"' in part.html
    assert "三组12号" in part.html


async def test_a_file_with_wrong_rows_says_which_and_writes_nothing(
    api: Api, browser: Browser
) -> None:
    here = await begun(api, browser)
    refused = await sent(browser, here)
    assert refused.status == 422
    assert "不是结果" in refused.text
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM households") == 0
    assert "accept_partial" in refused.form(f"{here}/import").named
    taken = await sent(browser, here, accept_partial="true")
    assert "登记 1 行；未收 1 行" in taken.text


async def test_the_forms_and_the_table_are_files(api: Api, browser: Browser) -> None:
    here = await begun(api, browser)
    page = await browser.get(here)
    table = await browser.submit(page, f"{here}/progress/file", {"format": "html"})
    assert "入户进度表" in table.text
    door = await browser.get(f"{here}/households?area={VILLAGE}")
    form = await browser.submit(door, f"{here}/form/file", {"format": "html"})
    assert READ_OUT in form.text
    assert form.text.count("☐") == 4 * 30


async def test_a_round_ends_early_with_a_reason(api: Api, browser: Browser) -> None:
    here = await begun(api, browser, "旌阳镇")
    page = await browser.get(f"{here}/end")
    ended = await browser.submit(page, f"{here}/end", {"reason": "改由镇里统一走访"})
    assert "改由镇里统一走访" in ended.text
    assert f"{here}/import" not in ended.links


async def test_an_area_that_is_none_is_named_at_its_field(browser: Browser) -> None:
    page = await browser.get("/rounds/new")
    typed = {"name": "n", "area": "某某村", "due_on": "2027-01-31"}
    refused = await browser.submit(page, "/rounds/new", typed)
    assert refused.status == 422
    assert "某某村" in refused.text
