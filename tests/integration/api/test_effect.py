"""Did it help, over the API: the worked example, what is unknown, who asks wrongly."""

from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.storage.postgres import transaction
from tests.harness.case_api import OFFICER, import_truth
from tests.integration.api.conftest import Api

VIEWER = ("school", "viewer")
JINGYANG, SANXI = "341825100000", "341825102000"


@pytest.fixture(autouse=True)
async def _figures(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    await import_truth(api)


async def effect(api: Api, period: str, who: tuple[str, str] = OFFICER) -> Any:
    answer = await api.get(f"/reports/effect?period={period}", who)
    assert answer.status == 200, answer.body
    return answer.json


async def test_the_worked_example(api: Api) -> None:
    found = await effect(api, "2027-Q1")
    assert (found["as_of"], found["coverage"]) == ("2027-W13", None)
    assert found["periods"][:3] == ["2027-Q2", "2027-Q1", "2026-Q4"]
    assert found["periods"][-2:] == ["2027-YEAR", "2026-YEAR"]
    assert found["county"] == {
        "cases": 42,
        "last_year": 58,
        "ratio": 0.724,
        "interval": [0.475, 1.096],
        "chance": 0.067,
    }
    towns = {town["area"]: town for town in found["towns"]}
    jingyang, sanxi = towns[JINGYANG], towns[SANXI]
    assert (jingyang["cases"], jingyang["expected"], jingyang["limits"]) == (14, 13.9, [7, 22])
    assert (sanxi["cases"], sanxi["expected"], sanxi["limits"]) == (6, 3.8, [1, 8])
    assert {town["outside"] for town in towns.values()} == {""}
    assert sum(town["cases"] for town in towns.values()) == 42
    trend = found["trend"]
    assert sum(week["cases"] for week in trend["weeks"]) == 42
    assert trend["bound"] is not None
    assert await effect(api, "2027-Q1", VIEWER) == found, "counts by town are for all who read"


async def test_villages_of_low_and_high_coverage_stand_side_by_side(api: Api) -> None:
    pool = api.runtime.pool
    low, high = "341825100001", "341825102200"
    scope = await pool.fetchval(
        "INSERT INTO coverage_scopes (kind, quarter, class, shown, as_of)"
        " VALUES ('quarter', '2027-01-01', 'public_interest', 1, $1) RETURNING id",
        api.clock.at,
    )
    for area, people in ((low, 100), (high, 900)):
        await pool.execute(
            "INSERT INTO coverage_facts VALUES ($1, 1, $2, '', 'reached', '', $3)",
            scope,
            area,
            people,
        )
        entry = {"area": area, "kind": "phones", "people": 1_000, "source": "三家"}
        answer = await api.call(
            "PUT", "/denominators", OFFICER, json={"items": [{**entry, "as_of": "2027-01-01"}]}
        )
        assert answer.status == 200, answer.body
    halves = (await effect(api, "2027-Q1"))["coverage"]
    assert [(half["villages"], half["from_pct"], half["to_pct"]) for half in halves] == [
        (1, "10.0", "10.0"),
        (1, "90.0", "90.0"),
    ]
    assert all(half["cases"] is not None for half in halves)
    assert (await effect(api, "2027-YEAR"))["coverage"] is None


async def test_a_period_of_which_nothing_is_covered(api: Api) -> None:
    found = await effect(api, "2028-Q1")
    assert (found["as_of"], found["towns"], found["coverage"]) == (None, [], None)
    assert found["county"]["cases"] is None


@pytest.mark.parametrize("period", ["2027", "2027-Q5", "2027-W01", "x"])
async def test_a_period_that_is_none_is_refused_in_both_languages(api: Api, period: str) -> None:
    answer = await api.get(f"/reports/effect?period={period}", OFFICER)
    assert answer.status == 422, answer.body
    assert "2027-Q1" in str(answer.json)


@pytest.mark.parametrize("form", ["docx", "xlsx", "html"])
async def test_the_page_as_a_document(api: Api, form: str) -> None:
    path = f"/reports/effect/document?period=2027-Q1&format={form}&language=zh"
    answer = await api.get(path, VIEWER)
    assert answer.status == 200, answer.body
    assert (await api.get(path, VIEWER)).body == answer.body, "the same facts, the same octets"
    if form == "html":
        page = answer.body.decode()
        assert "旌阳镇" in page
        assert "0.475 … 1.096" in page
        assert "由于" not in page
        assert "使得" not in page
