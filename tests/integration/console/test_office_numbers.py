"""Administration of numbers: why one takes its channel, its carrier, blocks, carriers' codes."""

import pytest
from aiohttp import FormData

from service.channels.routing.route_store import get_override
from service.storage.postgres import transaction
from tests.factories import phone
from tests.harness.channels import CODE, channel
from tests.harness.console import Browser, Seen, browser_of
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

ADMIN = ("county", "admin")
NUMBER, MASKED = "19790000007", "197****0007"
ROUTE, CARRIER, TABLE = "/office/numbers", "/office/numbers/carrier", "/office/numbers/table"


async def upload(browser: Browser, page: Seen, path: str, text: str, **fields: str) -> Seen:
    given = [(n, v) for n, v in page.form(path).fields if n not in fields]
    data = FormData([*given, *fields.items()])
    data.add_field("file", text.encode(), filename="a.csv", content_type="text/csv")
    return await browser.post(path, data)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_a_page_says_which_channel_a_number_takes_and_why(api: Api, language: str) -> None:
    mobile = await channel(api, "移动", "china_mobile")
    await channel(api, "旧", "china_mobile", enabled=False)
    browser = await browser_of(api, "viewer", language)
    page = await browser.get(ROUTE)
    seen = await browser.submit(page, ROUTE, {"phone": NUMBER})
    assert seen.path == ROUTE, "the number stands in no address"
    assert MASKED in seen.text
    assert NUMBER not in seen.html
    why = "通道已停用。" if language == "zh-CN" else "The channel is switched off."
    assert why in seen.text
    off = await browser.submit(seen, ROUTE, {"phone": NUMBER, "channels": [str(mobile + 1)]})
    none = "没有通道能发往" if language == "zh-CN" else "No channel takes"
    assert none in off.text
    bad = await browser.submit(off, ROUTE, {"phone": "123"})
    assert (bad.status, 'id="e-phone"' in bad.html) == (422, True)


async def test_the_carrier_of_a_number_is_entered_looked_up_and_forgotten(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get(CARRIER)
    said = {"phone": NUMBER, "carrier": "china_unicom", "act": "set"}
    seen = await browser.submit(page, CARRIER, said)
    assert "联通" in seen.text
    assert NUMBER not in seen.html
    looked = await browser.submit(seen, CARRIER, {"phone": NUMBER, "act": "look"})
    assert MASKED in looked.text
    assert "人工登记" in looked.text
    gone = await browser.submit(looked, CARRIER, {"phone": NUMBER, "act": "forget"})
    assert "重新按号段判断" in gone.text
    twice = await browser.submit(gone, CARRIER, {"phone": NUMBER, "act": "forget"})
    assert twice.status == 404


async def test_who_only_reads_looks_up_and_enters_nothing(api: Api) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get(CARRIER)
    assert [value for _, value in page.form(CARRIER).buttons] == ["look"]
    assert (await browser.submit(page, CARRIER, {"phone": NUMBER, "act": "look"})).status == 200
    fields = page.form(CARRIER).fields
    said = [("phone", NUMBER), ("carrier", "china_unicom"), ("act", "set")]
    data = FormData([*[(n, v) for n, v in fields if n != "phone"], *said])
    assert (await browser.post(CARRIER, data)).status == 403
    for path in (TABLE, "/office/codes"):
        assert (await browser.get(path)).status == 200
    assert [form.action for form in (await browser.get(TABLE)).forms if TABLE in form.action] == []


async def test_a_list_of_ported_numbers_is_taken_with_what_is_wrong(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get(CARRIER)
    path = f"{CARRIER}/list"
    none = await upload(browser, page, path, "")
    assert (none.status, 'id="e-file"' in none.html) == (422, True)
    seen = await upload(
        browser, page, path, f"手机号,运营商\n{phone(3)[-11:]},联通\n{phone(4)[-11:]},戊\n"
    )
    assert "导入 1 个号码" in seen.text
    assert "第 3 行" in seen.text
    assert phone(4)[-11:] not in seen.html
    async with transaction(api.runtime.pool) as conn:
        found = await get_override(conn, api.runtime.keyring.phone_index(phone(3)))
    assert found is not None
    assert found.carrier == "china_unicom"


async def test_a_table_of_blocks_is_taken_and_forgotten(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get(TABLE)
    text = "号段,运营商,省份,城市\n1979000,联通,安徽,宣城\n1979001,联通,,\n1440000,移动,,\n"
    unsaid = await upload(browser, page, TABLE, text)
    assert (unsaid.status, 'id="e-source"' in unsaid.html) == (422, True)
    seen = await upload(browser, page, TABLE, text, source="2026-10 号段表")
    assert "号段表已启用：2 个号段" in seen.text
    assert "2026-10 号段表" in seen.text
    bad = await upload(browser, seen, TABLE, "号段,运营商\n197,联通\n", source="x")
    assert bad.status == 422
    assert (await api.get("/prefixes", ADMIN)).json["table"]["blocks"] == 2
    path = f"{TABLE}/forget"
    assert path in seen.links
    gone = await browser.submit(await browser.get(path), path)
    assert "没有号段表" in gone.text
    assert (await api.get("/prefixes", ADMIN)).json["table"] is None


async def test_a_code_gets_a_meaning_another_one_and_none(api: Api) -> None:
    browser = await browser_of(api, "admin")
    new = "/office/codes/new"
    page = await browser.get(f"{new}?applies_to=receipt")
    said = {"kind": "cmpp", "code": CODE["code"], "outcome": "expired", "note": "安徽"}
    seen = await browser.submit(page, new, said)
    assert "MK:0099" in seen.text
    assert "安徽" in seen.text
    link = next(link for link in seen.links if link.startswith(new) and "code=" in link)
    page = await browser.get(link)
    wrong = await browser.submit(page, new, {"outcome": "delivered", "reason": "powered_off"})
    assert (wrong.status, 'id="e-reason"' in wrong.html) == (422, True)
    again = await browser.submit(page, new, {"outcome": "undelivered", "reason": "powered_off"})
    assert again.status == 200, again.text
    (kept,) = (await api.get("/channels/codes", ADMIN)).json["items"]
    assert (kept["outcome"], kept["reason"]) == ("undelivered", "powered_off")
    gone = await browser.submit(again, "/office/codes/delete")
    assert "恢复规范的含义" in gone.text
    assert (await api.get("/channels/codes", ADMIN)).json["items"] == []
    submits = await browser.get(f"{new}?applies_to=submit")
    assert 'value="throttled"' in submits.html
    assert 'value="delivered"' not in submits.html
