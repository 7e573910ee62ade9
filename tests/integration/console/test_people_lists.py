"""Lists on pages: what each rests on, who is on it, what uses it; confirmed, added to by hand."""

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.storage.postgres import transaction
from tests.harness.console import browser_of
from tests.harness.uploads import upload
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

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


async def test_a_list_is_set_as_a_whole_and_can_be_undone(api: Api) -> None:
    await _list(api, basis="contract_hr", expires_on="2027-10-31")
    browser = await browser_of(api, "operator")
    assert f"{LIST}/members" in (await browser.get(LIST)).links
    form = await browser.get(f"{LIST}/members")
    rows = "手机号\t姓名\t身份\n197 9000 0001\t王小明\t财务人员\n19790000003\t赵五\t教师"
    unsure = await browser.submit(form, f"{LIST}/members", {"members": rows})
    assert (unsure.status, 'id="e-sure"' in unsure.html) == (422, True)
    assert ("members", rows) in unsure.form(f"{LIST}/members").fields
    done = await browser.submit(form, f"{LIST}/members", {"members": rows, "sure": "true"})
    assert done.path.startswith("/people/imports/"), done.text
    assert "新增 1，更新 1，退出 1" in done.text
    assert f"{done.path}/undo" in done.links
    (roster,) = (await api.get("/rosters", OPERATOR)).json["items"]
    assert (roster["contacts"], roster["basis"], roster["expires_on"]) == (
        2,
        "contract_hr",
        "2027-10-31",
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "请填 1 至 5,000 人"),
        ("19790000001,王小明,财务人员", "第 1 行的单元格比列名多"),
        ("手机号,心情\n19790000001,好", "第 1 行：“心情”不是能读取的列名"),
        ("手机号,身份证号\n19790000001,1", "身份证号"),
        ("手机号,电话\n19790000001,19790000002", "第 1 行：有两个列名意思相同"),
        ("19790000001\n,王小明", "第 2 行没有号码"),
    ],
)
async def test_rows_that_cannot_be_read_leave_a_list_as_it_is(
    api: Api, rows: str, said: str
) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{LIST}/members")
    refused = await browser.submit(form, f"{LIST}/members", {"members": rows, "sure": "true"})
    assert refused.status == 422
    assert said in refused.text
    assert 'id="e-members"' in refused.html
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM links WHERE left_by IS NULL") == 2


async def test_rows_without_one_usable_number_do_not_empty_a_list(api: Api) -> None:
    await _list(api)
    browser = await browser_of(api, "operator")
    form = await browser.get(f"{LIST}/members")
    typed = {"members": "0563-8600110,王小明", "sure": "true"}
    refused = await browser.submit(form, f"{LIST}/members", typed)
    assert refused.status == 422
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM links WHERE left_by IS NULL") == 2
    assert "mode=replace" in "".join(form.links)
    viewer = await browser_of(api, "viewer")
    assert (await viewer.ask("GET", f"{LIST}/members")).status == 403
