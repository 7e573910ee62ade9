"""An officer's Monday on pages: figures in, rows mended, the bulletin out, goals, the public."""

from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from tests.harness.case_api import AFTER, OFFICER, import_truth, lines, send
from tests.harness.console import Browser, Seen, browser_at, browser_of
from tests.harness.logins import with_password
from tests.integration.api.conftest import Api

IMPORT = "/reports/cases/import"
W13 = "2027-W13"
WRONG = lines("2027-W13,三溪镇,霍家桥村,刷单返利,1,2.63", "2027-W13,三里镇,,中奖,1,0.5")


async def _officer(api: Api, role: str = "operator", language: str = "zh-CN") -> Browser:
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    api.clock.at = AFTER
    return await browser_of(api, role, language)


async def _choose(browser: Browser, content: bytes, seen: Seen | None = None, **typed: str) -> Seen:
    page = seen or await browser.get(IMPORT)
    fields = dict(page.form(IMPORT).fields) | typed
    data = FormData(quote_fields=False)
    for field, value in fields.items():
        data.add_field(field, value)
    data.add_field("file", content, filename="发案.csv", content_type="text/csv")
    return await browser.post(IMPORT, data)


async def test_rows_that_are_wrong_are_mended_in_their_place(api: Api) -> None:
    browser = await _officer(api)
    empty = await browser.get("/reports/cases")
    assert "最近几周还没有数据" in empty.text
    seen = await _choose(browser, WRONG)
    assert seen.status == 422
    assert (
        "读入 2 = 接受 1 + 拒绝 1 + 跳过 0 ✓" in seen.text.replace("行数", "读入")
        or "✓" in seen.text
    )
    assert "区划里没有这个乡镇、村或代码" in seen.text
    assert "乡镇: 三里镇" in seen.text
    still = await _choose(browser, WRONG, seen, **{"repair.3.town": "三溪镇"})
    assert still.status == 422
    assert "没有这种诈骗类型" in still.text
    mended = {"repair.3.town": "三溪镇", "repair.3.fraud_type": "T18"}
    data = await _choose(browser, WRONG, still, **mended)
    assert data.status == 200, data.text
    assert "数据已导入" in data.text
    assert "2027-W13 2 31,300" in data.text
    assert "2027-W13" in (await browser.get("/reports/cases")).text


async def test_the_rest_is_taken_where_that_is_ticked_and_a_file_is_taken_back(api: Api) -> None:
    browser = await _officer(api)
    seen = await _choose(browser, WRONG, await _choose(browser, WRONG), accept_partial="true")
    assert seen.status == 200, seen.text
    assert "没有收的行" in seen.text
    back = await browser.submit(seen, f"{seen.path}/undo")
    assert "已撤销" in back.text
    again = await browser.get(seen.path)
    assert not [form for form in again.forms if form.action.endswith("/undo")]


async def test_a_bulletin_is_issued_corrected_and_read_by_everybody(api: Api) -> None:
    browser = await _officer(api)
    await import_truth(api)
    page = f"/reports/bulletins/{W13}"
    draft = await browser.get(page)
    assert "这是草稿" in draft.text
    stranger = Browser(api)
    assert (await stranger.get(f"/bulletins/{W13}")).status == 404
    assert not [form for form in draft.forms if form.action.endswith("/issue")], "one press"
    asked = await browser.get(f"{page}/issue")
    assert f"{page}/issue" in draft.links
    assert "签发通报〔2027〕13号？" in asked.text
    seen = await browser.submit(asked, f"{page}/issue")
    assert "通报〔2027〕13号已签发" in seen.text
    assert "{起数}" in seen.text
    shown = await stranger.get(f"/bulletins/{W13}")
    assert shown.status == 200
    for said in ("〔2027〕13号", "旌阳镇 14", "其余 8 个合计 22", "其余 14 个合计 10", "96110"):
        assert said in shown.text, said
    assert "蔡家桥镇" not in shown.text
    english = await Browser(api, "en").get(f"/bulletins/{W13}")
    assert "The other 8 together" in english.text
    await send(api, lines("2027-W13,三溪镇,,T01,9,1"), W13)
    changed = await browser.get(page)
    assert "这一周的数据已有变化" in changed.text
    corrected = await browser.submit(changed, f"{page}/correct", {"reason": "补录"})
    assert "更正版已签发" in corrected.text
    assert "更正，第 2 版" in (await stranger.get(f"/bulletins/{W13}")).text


async def test_the_board_of_goals(api: Api) -> None:
    browser = await _officer(api)
    assert "还没有设定目标" in (await browser.get("/reports/goals")).text
    await import_truth(api)
    goal = {
        "key": "G2",
        "title": "下降两成",
        "period": "Q1",
        "year": 2027,
        "target_change_pct": -20,
    }
    body = {"items": [goal], "reason": "r"}
    assert (await api.call("PUT", "/goals", OFFICER, json=body)).status == 200
    board = await browser.get("/reports/goals")
    assert "达标，但不能排除偶然" in board.text
    assert "-52.5 … 9.6 %" in board.text
    assert "-40.9 %" in board.text


async def test_another_department_reads_and_enters_nothing(api: Api) -> None:
    await _officer(api)
    await import_truth(api)
    login = await with_password(api, api.teams["school"].operator)
    school = await browser_at(api, login)
    seen = await school.get("/reports/cases")
    assert IMPORT not in seen.links
    assert "31,300" not in seen.text
    assert (await school.get(IMPORT)).status == 403
    assert (await school.get(f"/reports/bulletins/{W13}")).status == 404


async def test_settings_goals_and_names_are_set(api: Api) -> None:
    browser = await _officer(api)
    page = await browser.get("/reports/cases/settings")
    assert page.status == 200, page.text
    typed = {"bulletin_villages": "all", "public_towns": "week", "reason": "案件多"}
    assert (await browser.submit(page, "/reports/cases/settings", typed)).status == 200
    found = (await api.get("/bulletins/settings", OFFICER)).json
    assert (found["bulletin_villages"], found["public_towns"]) == ("all", "week")
    goal = {"key": "G1", "title": "下降两成", "year": "2027", "target_change_pct": "-20"}
    board = await browser.submit(page, "/reports/goals", goal | {"reason": "年度目标"})
    assert "下降两成" in board.text
    await browser.submit(page, "/reports/cases/kinds", {"key": "T01", "name": "刷单"})
    assert (await api.get("/fraud-types", OFFICER)).json["items"][0]["name"] == "刷单"
