"""Groups on pages: chosen by ticking, read in words, counted; the rule is never typed."""

from typing import Any
from uuid import UUID

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

OPERATOR = ("county", "operator")
NEW = "/people/groups/new"
JINGYANG, SANXI = "341825100000", "341825102000"
SCRIPT = "<script>alert(1)</script>"
FILE = f"""手机号,姓名,身份,乡镇,运营商,性别,年龄段,单位
19790000001,王小明,财务人员,旌阳镇,移动,女,41-59,{SCRIPT}
19790000002,李四,财务人员,三溪镇,联通,男,60-69,
19790000003,张三,财务人员,三溪镇,电信,女,60-69,
19790000004,赵六,家长,旌阳镇,移动,女,26-40,
""".encode()


async def _list(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    taken = await api.post("/imports", OPERATOR, data=upload(FILE, roster="群众"))
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, UUID(taken.json["id"]), api.clock.at)


async def _towns(api: Api) -> dict[str, str]:
    found = (await api.get("/segments/terms", OPERATOR)).json["items"]
    areas = next(item["values"] for item in found if item["field"] == "area")
    return {area["plain"]["zh"]: area["value"] for area in areas}


async def _save(browser: Browser, api: Api, **more: Any) -> Seen:
    towns = await _towns(api)
    ticked = {
        "name": "两镇财务",
        "area": [towns["旌阳镇"], towns["三溪镇"]],
        "role": ["finance"],
        "not_carrier": ["china_unicom"],
    }
    return await browser.submit(await browser.get(NEW), NEW, ticked | more)


async def test_a_group_is_ticked_read_in_words_counted_and_saved(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    seen = await _save(browser, api)
    assert "人群已保存" in seen.text, seen.text
    for said in ("旌阳镇", "三溪镇", "财务人员", "运营商不是中国联通", "2 人", "197****0001"):
        assert said in seen.text, said
    assert "19790000001" not in seen.html
    assert SCRIPT not in seen.html
    rule = await api.runtime.pool.fetchval("SELECT rule FROM segments")
    assert rule in seen.text.replace("&#34;", '"')
    form = dict(seen.form(seen.path).fields)
    assert (form["role"], form["not_carrier"]) == ("finance", "china_unicom")


async def test_ticking_counts_at_once_and_without_script_by_a_button(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    page = await browser.get(NEW)
    fields = [*page.form(NEW).fields, ("role", "finance")]
    part = await browser.post("/people/groups/count", dict(fields))
    assert ("<html" in part.html, "3 人" in part.text) == (False, True)
    whole = await browser.post("/people/groups/look", dict(fields))
    assert "3 人" in whole.text
    assert ("role", "finance") in whole.form(NEW).fields, "what is ticked stays"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM segments") == 0


async def test_a_group_is_changed_and_what_somebody_else_did_is_not_lost(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    seen = await _save(browser, api)
    old = await browser.get(seen.path)
    changed = await browser.submit(seen, seen.path, {"role": ["parent"], "not_carrier": []})
    assert "人群已修改" in changed.text
    assert "家长" in changed.text
    stale = await browser.submit(old, old.path, {"role": ["finance"], "name": "旧的"})
    assert stale.status == 412
    assert await api.runtime.pool.fetchval("SELECT name FROM segments") == "两镇财务"
    for said in ("您打开以后，别人改过它", "现在： 两镇财务", "现在： 家长"):
        assert said in stale.text, said
    ticked = {"role": ["finance"], "name": "旧的", "_now": ["role"]}
    kept = await browser.submit(stale, old.path, ticked)
    assert "人群已修改" in kept.text, kept.text
    form = dict(kept.form(kept.path).fields)
    assert (form["name"], form["role"]) == ("旧的", "parent")


async def test_a_form_refused_for_another_reason_still_sees_what_changed_meanwhile(
    api: Api,
) -> None:
    """Its version is that of the page as it was opened, not of the page that was refused."""
    await _list(api)
    browser = await browser_of(api, "operator")
    seen = await _save(browser, api)
    page = await browser.get(seen.path)
    await browser.submit(seen, seen.path, {"name": "别人改的"})
    nameless = await browser.submit(page, page.path, {"name": ""})
    assert nameless.status == 422
    stale = await browser.submit(nameless, page.path, {"name": "我改的"})
    assert stale.status == 412
    assert await api.runtime.pool.fetchval("SELECT name FROM segments") == "别人改的"


async def test_what_is_refused_is_shown_again_as_it_was_ticked(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    nameless = await _save(browser, api, name="")
    assert nameless.status == 422
    assert ("role", "finance") in nameless.form(NEW).fields
    nothing = await browser.submit(await browser.get(NEW), NEW, {"name": SCRIPT})
    assert (nothing.status, "还没有选" in nothing.text) == (422, True)
    assert SCRIPT not in nothing.html
    await _save(browser, api)
    twice = await _save(browser, api)
    assert twice.status == 409
    assert ("name", "两镇财务") in twice.form(NEW).fields


async def test_a_county_begins_with_ready_groups(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    assert 'hx-get="/people/groups/ready"' in (await browser.get("/people/groups")).html
    ready = await browser.get("/people/groups/ready")
    for said in ("全县群众", "财务人员", "家长与学校", "60岁以上", "妇女", "银行员工", "返乡人员"):
        assert said in ready.text, said
    page = await browser.get(f"{NEW}?ready=elderly")
    form = page.form(NEW)
    assert {("name", "60岁以上"), ("age_from", "60")} <= set(form.fields)
    assert "2 人" in page.text
    saved = await browser.submit(page, NEW)
    assert "人群已保存" in saved.text
    assert "60岁以上" not in (await browser.get("/people/groups/ready")).text


async def test_a_rule_that_ticks_cannot_show_stays_as_it_is(api: Api) -> None:
    await _list(api)
    made = await api.post("/segments", OPERATOR, {"name": "写的", "rule": "身份=家长 或 年龄>=60"})
    browser = await browser_of(api, "operator")
    seen = await browser.get(f"/people/groups/{made.json['id']}")
    assert "用规则写的" in seen.text
    assert "3 人" in seen.text
    assert not [form for form in seen.forms if form.action.startswith("/people/groups")]


async def test_a_rule_that_was_typed_is_ticked_whole(api: Api) -> None:
    await _list(api)
    rule = "区域 = 旌阳镇 且 身份 = 家长 且 名单 = 群众"
    made = await api.post("/segments", OPERATOR, {"name": "写的", "rule": rule})
    browser = await browser_of(api, "operator")
    path = f"/people/groups/{made.json['id']}"
    seen = await browser.submit(await browser.get(path), path)
    assert "人群已修改" in seen.text, seen.text
    kept = (await api.get(f"/segments/{made.json['id']}", OPERATOR)).json["rule"]
    for said in (JINGYANG, "群众", "parent"):
        assert said in kept, kept


async def test_a_group_of_what_is_not_offered_is_not_ticked(api: Api) -> None:
    await _list(api)
    rule = "身份 = 财务人员 且 单位 = 没有这个单位"
    made = await api.post("/segments", OPERATOR, {"name": "写的", "rule": rule})
    browser = await browser_of(api, "operator")
    seen = await browser.get(f"/people/groups/{made.json['id']}")
    assert "用规则写的" in seen.text
    assert not [form for form in seen.forms if form.action.startswith("/people/groups")]


async def test_who_may_only_read_cannot_save(api: Api) -> None:
    await _list(api)
    await _save(await browser_of(api, "operator"), api)
    viewer = await browser_of(api, "viewer")
    assert NEW not in (await viewer.get("/people/groups")).links
    assert (await viewer.ask("GET", NEW)).status == 403
    group = await api.runtime.pool.fetchval("SELECT id FROM segments")
    seen = await viewer.get(f"/people/groups/{group}")
    assert "两镇财务" in seen.text
    assert "保存人群" not in seen.text
    forced = await viewer.submit(seen, f"/people/groups/{group}", {"name": "改"})
    assert forced.status == 403
