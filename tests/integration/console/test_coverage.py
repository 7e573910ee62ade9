"""Pages on coverage: figures by town and village, and who says how many people there are."""

import pytest

from service.audience.areas.area_store import load_areas
from service.reports.coverage.counting import count_coverage
from service.storage.postgres import transaction
from tests.harness.console import browser_of
from tests.harness.sending import PEOPLE, begin_sending
from tests.integration.api.conftest import Api

VILLAGE, TOWN = "341825100001", "341825100000"


@pytest.fixture
async def run(api: Api) -> str:
    """A run that reached half of its people, all of one village; nothing is counted yet."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    sending = await begin_sending(api)
    await api.runtime.pool.execute("UPDATE messages SET area_code = $1", VILLAGE)
    await sending.become("delivered", range(1, PEOPLE // 2 + 1))
    await sending.become("undelivered", range(PEOPLE // 2 + 1, PEOPLE + 1), "empty_number")
    return str(sending.run)


async def test_from_a_run_to_its_villages(api: Api, run: str) -> None:
    browser = await browser_of(api, "inspector")
    page = f"/runs/{run}/coverage"
    assert page in (await browser.get(f"/runs/{run}/report")).links
    assert "尚未统计" in (await browser.get(page)).text
    await count_coverage(api.runtime.pool, api.clock)
    towns = await browser.get(page)
    assert f"?area={TOWN}" in towns.links
    assert "发送对象" in towns.text
    assert "在册" not in towns.text
    villages = await browser.get(f"{page}?area={TOWN}")
    assert "南门" in villages.text
    assert "空号" in villages.text
    assert "50.0 %" in villages.text  # of those written to


async def test_a_run_is_counted_anew_by_a_press(api: Api, run: str) -> None:
    await count_coverage(api.runtime.pool, api.clock)
    browser = await browser_of(api, "operator")
    here = f"/runs/{run}/coverage"
    seen = await browser.submit(await browser.get(here), f"{here}/recount")
    assert seen.status == 200, seen.text
    assert "正在重新统计" in seen.text


async def test_a_number_that_is_entered_is_what_coverage_is_of(api: Api, run: str) -> None:
    await count_coverage(api.runtime.pool, api.clock)
    browser = await browser_of(api, "operator")
    page = await browser.get("/reports/denominators")
    entered = {"area": VILLAGE, "people": "40", "source": "街道办", "as_of": "2027-01-01"}
    refused = await browser.submit(page, "/reports/denominators", entered | {"area": "1"})
    assert refused.status == 422
    assert "没有" in refused.text
    assert (await browser.submit(page, "/reports/denominators", entered)).status in {200, 303}
    assert "街道办" in (await browser.get("/reports/denominators")).text
    assert "25.0 %" in (await browser.get(f"/runs/{run}/coverage?area={TOWN}")).text
    viewer = await browser_of(api, "viewer")
    assert "/reports/denominators" not in [
        form.action for form in (await viewer.get("/reports/denominators")).forms
    ]


async def test_a_quarter_is_chosen(api: Api, run: str) -> None:
    browser = await browser_of(api, "viewer")
    page = await browser.get("/reports/coverage")
    assert page.status == 200
    assert "2026-Q4" in page.html


@pytest.mark.parametrize("wrong", ["xx", "2027-Q5", "2027Q1", "0000-Q1", "%00", "2027-Q1%0a"])
async def test_a_wrong_quarter_is_answered_by_a_page_with_an_example(api: Api, wrong: str) -> None:
    page = await (await browser_of(api, "inspector")).get(f"/reports/coverage?quarter={wrong}")
    assert page.status in {404, 422}, page.text
    assert "2027-Q1 这样" in page.text
    assert "\\d" not in page.text


async def test_the_people_behind_the_counts_are_shown_for_a_purpose(api: Api, run: str) -> None:
    await count_coverage(api.runtime.pool, api.clock)
    browser = await browser_of(api, "viewer")
    path = f"/runs/{run}/coverage"
    page = await browser.get(path)
    asked = {"outcome": "failed", "purpose": "visit"}
    seen = await browser.submit(page, f"{path}/people", asked)
    assert seen.status == 200, seen.text
    assert seen.text.count("****") == PEOPLE // 2
    assert "空号" in seen.text
    assert "上门" in seen.text
    inspector = await browser_of(api, "inspector")
    assert f"{path}/people" not in [form.action for form in (await inspector.get(path)).forms]


async def test_a_county_is_seen_at_a_glance(api: Api, run: str) -> None:
    await count_coverage(api.runtime.pool, api.clock)
    browser = await browser_of(api, "operator")
    county = await browser.get(f"/runs/{run}/coverage?show=target")
    assert f"?area={TOWN}&show=target#a-{VILLAGE}" in county.links
    assert f"南门居委会，到达率 50.0 %，{PEOPLE} 人中 {PEOPLE // 2} 人" in county.html
    town = await browser.get(f"/runs/{run}/coverage?area={TOWN}&show=target")
    assert f"#a-{VILLAGE}" in town.links
    assert f'id="a-{VILLAGE}"' in town.html
    assert town.html.index(f'id="a-{VILLAGE}"') < town.html.index('id="a-341825100002"')  # lowest
    assert (await browser.get(f"/runs/{run}/coverage?show=rank")).status == 422
    role = await browser.get(f"/runs/{run}/coverage?role=finance")
    assert "selected" in role.html
    assert (await browser.get(f"/runs/{run}/coverage?role=nobody")).status == 422
