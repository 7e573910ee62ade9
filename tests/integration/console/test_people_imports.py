"""Imports on pages: sent, watched, mended, taken back; each figure is the report's own."""

from uuid import UUID

import pytest
from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.audience.rosters.rosters import run_undo
from service.storage.postgres import transaction
from tests.harness.console import Browser, Seen, browser_at, browser_of
from tests.harness.logins import with_password
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

SCRIPT = "<script>alert(1)</script>"
DIRTY = f"""手机号,姓名,乡镇,身份证号
19790000001,{SCRIPT},旌阳,999999190001010000
+86 19790000002,王小明,旌阳镇,
0563-8600110,李四,旌阳镇,
1979000000,张三,旌阳镇,
19790000001,{SCRIPT},旌阳,999999190001010000
合计,,,
"""


async def _choose(browser: Browser, content: str, name: str = "名单.csv", **typed: str) -> Seen:
    """Send the form for a file, as a browser does."""
    form = (await browser.get("/people/imports/new")).form("/people/imports/new")
    fields = dict(form.fields) | {"roster": "群众"} | typed
    data = FormData(quote_fields=False)
    for field, value in fields.items():
        data.add_field(field, value)
    data.add_field("file", content.encode(), filename=name, content_type="text/csv")
    return await browser.post("/people/imports/new", data)


async def _read(api: Api) -> None:
    """Read all that waits, as a worker does."""
    for row in await api.runtime.pool.fetch("SELECT id FROM imports WHERE state = 'reading'"):
        async with api.runtime.pool.acquire() as conn:
            assert await run_import(conn, api.runtime.keyring, row["id"], api.clock.at)


async def _import(api: Api, browser: Browser, content: str = DIRTY, **typed: str) -> Seen:
    """Import a file, and look at what became of it."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    seen = await _choose(browser, content, **typed)
    assert seen.status == 200, seen.text
    await _read(api)
    return await browser.get(seen.path)


async def test_a_report_adds_up_and_says_what_to_mend(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _import(api, browser)
    assert "读入 6 = 接受 2 + 拒绝 2 + 重复 1 + 跳过 1 ✓" in seen.text
    assert "不符" not in seen.text
    assert "新增 2 · 更新 0 · 退出 0" in seen.text
    for said in ("固定电话", "号码位数不对", "前面有 +86", "身份证号 (2 格", "旌阳 旌阳镇"):
        assert said in seen.text, said
    assert "第 5 行 197***0000" in seen.text, "an example of each rule, masked"
    assert SCRIPT not in seen.html
    listed = await browser.get("/people/imports")
    assert "有行要改 6 2 2" in listed.text
    via = await api.runtime.pool.fetchval(
        "SELECT via FROM audit_entries WHERE action LIKE '%import%'"
    )
    assert via == "console"


async def test_how_a_suggestion_differs_is_said_although_both_look_alike_masked(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _import(api, browser, "手机号\n1979OO00763\n")
    assert "197****0763 → 197****0763" not in seen.text
    assert "隐去的几位改正后可能就对了：把像数字的字母当作数字，如 O 当 0、l 当 1。" in seen.text
    seen = await _import(api, browser, "手机号\n19790000763（父）\n")
    assert "可能是 197****0763：去掉不是数字的字。" in seen.text
    await api.runtime.pool.execute("UPDATE import_rejects SET repair = NULL")
    assert "与文件中的这一行对照" in (await browser.get(seen.path)).text, "read before it was kept"


async def test_a_file_is_watched_while_it_is_read(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _choose(browser, DIRTY)
    assert "正在读" in seen.text
    part = f"{seen.path}/progress?read=0"
    assert f'hx-get="{part}"' in seen.html
    assert (await browser.ask("GET", part)).status == 204, "nothing has changed"
    await api.runtime.pool.execute(
        "INSERT INTO import_progress (import_id, rows_read) VALUES ($1, 4000)",
        UUID(seen.path.rpartition("/")[2]),
    )
    changed = await browser.ask("GET", part)
    assert (changed.status, "已读 4,000 行" in changed.text) == (200, True)
    await _read(api)
    ended = await browser.ask("GET", part)
    assert "读入 6 =" in ended.text
    assert "hx-trigger" not in ended.html, "who has the whole report asks no more"


async def test_refused_rows_are_mended_in_the_file_and_nobody_is_doubled(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _import(api, browser)
    action = f"{seen.path}/rejects"
    data = FormData(seen.form(action).fields)
    sent = await api.client.post(
        action,
        data=data,
        headers={
            "Origin": browser.origin,
            "Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
        },
    )
    lines = (await sent.read()).decode().splitlines()
    assert "attachment" in sent.headers["Content-Disposition"]
    assert len(lines) == 3
    lines[1] += "19790000003"
    lines[2] += "19790000002"  # who is on the list already
    again = await _import(api, browser, "\r\n".join(lines), name="mended.csv")
    assert "读入 2 = 接受 2 + 拒绝 0" in again.text
    assert "新增 1 ·" in again.text
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM contacts") == 3


async def test_a_form_without_a_file_is_shown_again_with_what_was_typed(api: Api) -> None:
    browser = await browser_of(api, "operator")
    again = await _choose(browser, "", "", roster=SCRIPT, expires_on="2020-01-01")
    assert again.status == 422
    assert "选一个文件" in again.text
    assert ("roster", SCRIPT) in again.form("/people/imports/new").fields
    assert SCRIPT not in again.html
    late = await _choose(browser, DIRTY, expires_on="2020-01-01")
    assert late.status == 422
    assert ("expires_on", "2020-01-01") in late.form("/people/imports/new").fields
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM imports") == 0


async def test_trying_stores_nobody(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _import(api, browser, dry_run="true")
    assert "读入 6 = 接受 2" in seen.text
    assert "还没有存任何人" in seen.text
    assert f"{seen.path}/undo" not in seen.links
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM contacts") == 0


async def test_a_file_that_cannot_be_read_says_why(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _import(api, browser, "姓名,村\n王小明,南门\n")
    assert "没有“手机号”这一列" in seen.text
    named = await _import(api, browser, "号,村\n19790000001,南门\n", phone_column="号")
    assert "读入 1 = 接受 1" in named.text


async def test_an_import_is_taken_back_after_a_question(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await _import(api, browser)
    asked = await browser.get(f"{seen.path}/undo")
    assert "撤销，2 人退出名单" in asked.text
    asked_for = await browser.submit(asked, f"{seen.path}/undo")
    assert "正在撤销" in asked_for.text
    async with api.runtime.pool.acquire() as conn:
        assert await run_undo(conn, UUID(seen.path.rpartition("/")[2]), api.clock.at)
    assert "已撤销" in (await browser.get(seen.path)).text
    assert f"{seen.path}/undo" not in (await browser.get(seen.path)).links


async def test_another_departments_import_leads_to_no_list_of_ones_own(api: Api) -> None:
    school = await browser_at(api, await with_password(api, api.teams["school"].operator))
    made = await _import(api, school)
    own = [link for link in made.links if link.startswith("/people/lists/")]
    assert own
    seen = await (await browser_of(api, "admin")).get(made.path)
    assert seen.status == 200
    assert not set(own) & set(seen.links)


async def test_who_may_only_read_sees_no_button_and_is_refused(api: Api) -> None:
    seen = await _import(api, await browser_of(api, "operator"))
    viewer = await browser_of(api, "viewer")
    looked = await viewer.get(seen.path)
    assert "读入 6 =" in looked.text
    assert not any("/imports/new" in link or link.endswith("/undo") for link in looked.links)
    assert (await viewer.ask("GET", f"{seen.path}/undo")).status == 403
    inspector = await browser_of(api, "inspector")
    assert (await inspector.ask("GET", seen.path)).status == 403
