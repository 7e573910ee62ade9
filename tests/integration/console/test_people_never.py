"""Numbers never sent to, on pages: entered, from a file, looked up, given out, ended."""

from aiohttp import FormData

from tests.harness.console import browser_of
from tests.integration.api.conftest import Api

NEVER = "/people/never"
SCRIPT = "<script>alert(1)</script>"


async def test_numbers_are_stopped_looked_up_and_let_go(api: Api) -> None:
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{NEVER}/new")
    typed = {"numbers": "19790000001\n197 9000 0002\n", "note": SCRIPT, "reason": "complaint"}
    seen = await browser.submit(form, f"{NEVER}/new", typed)
    assert "已停发 2 个号码，其中新增 2 个" in seen.text
    assert "投诉" in seen.text
    assert (SCRIPT in seen.html, SCRIPT in seen.text) == (False, True)
    looked = await browser.submit(
        await browser.get(f"{NEVER}/lookup"), f"{NEVER}/lookup", {"phone": "19790000001"}
    )
    assert "197****0001 已停发" in looked.text
    assert looked.path == f"{NEVER}/lookup", "the number stands in no address"
    (end,) = [link for link in looked.links if link.endswith("/end")]
    ended = await browser.submit(await browser.get(end), end)
    assert "已解除停发" in ended.text
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM disclosures") == 1


async def test_a_wrong_number_is_shown_again(api: Api) -> None:
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{NEVER}/new")
    again = await browser.submit(form, f"{NEVER}/new", {"numbers": "123", "note": "甲"})
    assert again.status == 422
    assert {("numbers", "123"), ("note", "甲")} <= set(again.form(f"{NEVER}/new").fields)
    none = await browser.submit(form, f"{NEVER}/new", {"numbers": " "})
    assert (none.status, "一行一个" in none.text) == (422, True)


async def test_a_file_of_numbers_says_what_it_could_not_use(api: Api) -> None:
    browser = await browser_of(api, "operator")
    form = (await browser.get(f"{NEVER}/new")).form(f"{NEVER}/file")
    data = FormData(quote_fields=False)
    for name, value in {**dict(form.fields), "reason": "opted_out"}.items():
        data.add_field(name, value)
    content = "手机号\n19790000001\n0563-8600110\n".encode()
    data.add_field("file", content, filename="退订.csv", content_type="text/csv")
    seen = await browser.post(f"{NEVER}/file", data)
    assert "1 个号码：新停发 1，早已停发 0。1 行没有可用的号码" in seen.text
    assert "固定电话" in seen.text


async def test_the_list_is_given_out_for_a_reason(api: Api) -> None:
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{NEVER}/export")
    again = await browser.submit(form, f"{NEVER}/export", {"why": ""})
    assert again.status == 422
    done = await browser.submit(form, f"{NEVER}/export", {"why": "核对"})
    assert "attachment" in done.headers["Content-Disposition"]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM suppression_exports") == 1


async def test_whoever_may_not_suppress_only_looks(api: Api) -> None:
    viewer = await browser_of(api, "viewer")
    seen = await viewer.get(NEVER)
    assert f"{NEVER}/lookup" in seen.links
    assert not {f"{NEVER}/new", f"{NEVER}/export"} & set(seen.links)
    for page in ("new", "export"):
        assert (await viewer.ask("GET", f"{NEVER}/{page}")).status == 403
