"""Lists on pages: what each rests on, who is on it, what uses it; confirmed, added to by hand."""

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.harness.console import browser_of
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

OPERATOR = ("county", "operator")
NAME = "甲/乙 100%"
LIST = "/people/lists/%E7%94%B2%2F%E4%B9%99%20100%25"
FILE = """手机号,姓名,乡镇,运营商
19790000001,王小明,旌阳镇,移动
19790000002,李四,三溪镇,联通
""".encode()


async def _list(api: Api, name: str = NAME, **fields: str) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    taken = await api.post("/imports", OPERATOR, data=upload(FILE, roster=name, **fields))
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, taken.json["id"], api.clock.at)


async def test_a_list_shows_who_is_on_it_masked_and_what_uses_it(api: Api) -> None:
    await _list(api)
    rule = f'roster = "{NAME}"'
    await api.post("/segments", OPERATOR, {"name": "甲乙的人", "rule": rule})
    await api.post("/segments", OPERATOR, {"name": "别的人", "rule": "role = finance"})
    browser = await browser_of(api, "operator")
    lists = await browser.get("/people/lists")
    assert LIST in lists.links
    seen = await browser.get(LIST)
    for said in ("197****0001", "王**", "旌阳镇 1", "三溪镇 1", "移动 1", "甲乙的人", "2 人"):
        assert said in seen.text, said
    assert "19790000001" not in seen.html
    assert "别的人" not in seen.text


async def test_a_list_is_confirmed_again(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{LIST}/confirm")
    again = await browser.submit(form, f"{LIST}/confirm", {"expires_on": "2020-01-01"})
    assert again.status == 422
    assert ("expires_on", "2020-01-01") in again.form(f"{LIST}/confirm").fields
    done = await browser.submit(
        again, f"{LIST}/confirm", {"expires_on": "2027-12-31", "purpose": "<b>反诈</b>"}
    )
    assert "名单已确认" in done.text
    assert "<b>反诈</b>" not in done.html
    pool = api.runtime.pool
    assert await pool.fetchval("SELECT expires_on::text FROM rosters") == "2027-12-31"
    confirmed_by = await pool.fetchval("SELECT confirmed_by FROM rosters")
    assert confirmed_by == api.teams["county"].operator.id


async def test_one_person_is_added_by_hand(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{LIST}/add")
    wrong = await browser.submit(form, f"{LIST}/add", {"phone": "1979", "name": "赵六"})
    assert wrong.status == 422
    assert ("name", "赵六") in wrong.form(f"{LIST}/add").fields
    done = await browser.submit(wrong, f"{LIST}/add", {"phone": "197 9000 0003"})
    assert "197****0003 已在名单上" in done.text
    assert "3 人" in done.text


async def test_a_list_that_ends_soon_is_marked(api: Api) -> None:
    await _list(api, expires_on=str((api.clock.at).date().replace(day=28)))
    seen = await (await browser_of(api, "viewer")).get("/people/lists")
    assert "快到期" in seen.text
    assert not any("/imports/new" in link for link in seen.links)


async def test_whoever_may_not_import_is_refused(api: Api) -> None:
    await _list(api)
    viewer = await browser_of(api, "viewer")
    assert f"{LIST}/add" not in (await viewer.get(LIST)).links
    assert (await viewer.ask("GET", f"{LIST}/add")).status == 403
    assert (await viewer.ask("GET", f"{LIST}/confirm")).status == 403
    other = await browser_of(api, "inspector")
    assert (await other.ask("GET", "/people/lists")).status == 403
