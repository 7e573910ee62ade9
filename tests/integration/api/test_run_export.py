"""The report of a run as a file: the same figures in words, for whoever sees its counts, noted."""

import pytest

from service.audience.areas.area_store import load_areas
from service.storage.postgres import transaction
from tests.harness.sending import PEOPLE, begin_sending
from tests.integration.api.conftest import Api

VIEWER, INSPECTOR, STRANGER = ("county", "viewer"), ("county", "inspector"), ("school", "viewer")


@pytest.mark.parametrize(
    ("language", "whole", "delivered", "by"),
    [
        ("zh", "全部", "已送达", "按运营商"),
        ("en", "The whole run", "delivered", "By carrier"),
    ],
)
async def test_each_row_adds_up_in_words(
    api: Api, language: str, whole: str, delivered: str, by: str
) -> None:
    sending = await begin_sending(api)
    await sending.hand_off(range(1, PEOPLE + 1))
    await sending.become("delivered", range(1, 13))
    await sending.become("undelivered", range(13, 16), "powered_off")
    await sending.become("suppressed", [16], "opted_out")
    path = f"/runs/{sending.run}/report"
    report = (await api.get(path, VIEWER)).json
    head, first, *others = (await api.get(f"{path}/export?language={language}", VIEWER)).rows
    assert first[:3] == ["", whole, str(PEOPLE)]
    assert first[head.index(delivered)] == "12"
    figures = [row for row in [first, *others] if len(row) == len(head)]
    assert all(sum(map(int, row[3:])) == int(row[2]) for row in figures)
    carriers = [int(row[2]) for row in figures if row[0] == by]
    assert sorted(carriers) == sorted(g["target"] for g in report["by_carrier"].values())
    reasons = [int(row[2]) for row in others if len(row) == 3]
    assert sorted(reasons) == sorted([*report["by_reason"].values(), *report["excluded"].values()])


async def test_it_is_for_whoever_sees_the_counts(api: Api) -> None:
    path = f"/runs/{(await begin_sending(api)).run}/report/export"
    assert (await api.get(path, INSPECTOR)).rows
    assert (await api.get(path, STRANGER)).status == 404
    assert (await api.get(f"{path}?language=fr", VIEWER)).status == 422


async def test_the_name_of_a_place_is_no_formula_of_a_spreadsheet(api: Api) -> None:
    sending = await begin_sending(api)
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        town = await conn.fetchval("SELECT min(code) FROM areas WHERE level = 'town'")
        await conn.execute("UPDATE areas SET name = '=1+1' WHERE code = $1", town)
        await conn.execute("UPDATE messages SET area_code = $1", town)
    answer = await api.get(f"/runs/{sending.run}/report/export", VIEWER)
    cells = [cell for row in answer.rows for cell in row]
    assert "'=1+1" in cells
    assert "=1+1" not in cells
