"""Numbers never sent to, on pages: entered, from a file, looked up, given out, ended."""

import pytest
from aiohttp import FormData

from tests.factories import phone
from tests.harness.console import browser_of
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

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


async def _in_bulk(api: Api, who: tuple[str, str]) -> str:
    """An entry of 60 numbers that waits for a second person."""
    body = {"phones": [phone(n) for n in range(1, 61)], "reason": "protected", "note": "信访"}
    made = await api.post("/suppressions", who, body)
    return str(made.json["waiting"]["id"])


async def _stopped(api: Api) -> int:
    query = "SELECT count(DISTINCT phone_hash) FROM suppressions"
    count: int = await api.runtime.pool.fetchval(query)
    return count


async def test_numbers_in_bulk_count_by_another_administrator_of_the_county(api: Api) -> None:
    entry = f"{NEVER}/entries/{await _in_bulk(api, ('school', 'operator'))}"
    admin = await browser_of(api, "admin")
    for page in ("/today", "/duty", NEVER):
        assert entry in (await admin.get(page)).links, page
    asked = await admin.get(entry)
    silent = await admin.submit(asked, f"{entry}/count")
    assert (silent.status, 'id="e-reason"' in silent.html) == (422, True)
    assert await _stopped(api) == 0
    done = await admin.submit(asked, f"{entry}/count", {"reason": "来函已核对"})
    assert "已停发 60 个号码" in done.text
    assert "来函已核对" in done.text
    assert await _stopped(api) == 60
    dropped = await admin.submit(done, f"{entry}/drop", {"reason": "录错"})
    assert "已撤回，不再停发" in dropped.text
    assert await _stopped(api) == 0
    assert not [form for form in dropped.forms if form.action.startswith(entry)]
    assert "已撤回" in (await admin.get(f"{NEVER}/entries")).text


async def test_an_operator_drops_what_waits_and_lets_nothing_count(api: Api) -> None:
    entry = f"{NEVER}/entries/{await _in_bulk(api, ('county', 'operator'))}"
    operator = await browser_of(api, "operator")
    page = await operator.get(entry)
    assert "须由没有参与录入的县级管理员确认有效" in page.text
    assert [form.action for form in page.forms if form.action.startswith(entry)] == [
        f"{entry}/drop"
    ]
    dropped = await operator.submit(page, f"{entry}/drop", {"reason": "录错"})
    assert "已撤回，不再停发" in dropped.text
    assert await _stopped(api) == 0


async def test_whoever_entered_numbers_in_bulk_does_not_let_them_count(api: Api) -> None:
    entry = f"{NEVER}/entries/{await _in_bulk(api, ('county', 'admin'))}"
    admin = await browser_of(api, "admin")
    page = await admin.get(entry)
    assert "是您录入的，须由另一位县级管理员确认有效" in page.text
    assert [form.action for form in page.forms if form.action.startswith(entry)] == [
        f"{entry}/drop"
    ]


async def test_an_entry_is_shown_to_its_department_and_the_county(api: Api) -> None:
    entry = await _in_bulk(api, ("school", "operator"))
    viewer = await browser_of(api, "viewer")
    assert (await viewer.ask("GET", f"{NEVER}/entries/{entry}")).status == 404
    assert (await api.get(f"/suppressions/entries/{entry}", ("school", "viewer"))).status == 200
    seen = await (await browser_of(api, "admin")).get(f"{NEVER}/entries/{entry}")
    assert (await api.runtime.pool.fetchval("SELECT name FROM departments ORDER BY id DESC LIMIT 1")
            in seen.text)  # fmt: skip
    assert phone(1).removeprefix("+86") not in seen.html
