"""The rule language as data: what a department's lists hold, and rules made of conditions."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from service import shared_counts
from service.audience.areas.area_store import load_areas
from service.audience.imports.loading import run_import
from service.audience.rosters.rosters import run_undo
from service.audience.segments.segment_words import FIELDS
from service.audience.segments.terms_store import list_values
from service.storage.postgres import Connection, transaction
from tests.harness.uploads import upload
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

COUNTY, SCHOOL = ("county", "operator"), ("school", "operator")
FILE = """手机号,姓名,身份,单位,学校,乡镇,村居,性别
19790000001,王小明,财务人员,旌德农商行,,旌阳镇,新桥社区,女
19790000002,李四,财务人员,旌德农商行,,三溪镇,霍家桥村,男
19790000003,张三,家长,,旌阳小学,旌阳镇,,女
""".encode()


async def _import(api: Api, who: Any = COUNTY, content: bytes = FILE, **fields: str) -> None:
    made = (await api.post("/imports", who, data=upload(content, **fields))).json["id"]
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        assert await run_import(conn, api.runtime.keyring, UUID(made), api.clock.at)


async def _terms(api: Api, who: Any = COUNTY) -> dict[str, Any]:
    answer = await api.get("/segments/terms", who)
    assert answer.status == 200, answer.body
    return {item["field"]: item for item in answer.json["items"]}


def _people(field: Any) -> dict[str, int]:
    return {value["plain"]["zh"]: value["people"] for value in field["values"] if value["people"]}


async def test_the_values_of_the_own_lists_with_how_many_have_them(api: Api) -> None:
    await _import(api)
    found = await _terms(api)
    assert list(found) == list(FIELDS)
    assert _people(found["role"]) == {"财务人员": 2, "家长": 1}
    assert len(found["role"]["values"]) == 35, "those that nobody has are there as well"
    assert found["role"]["values"][0]["plain"] == {"zh": "财务人员", "en": "finance staff"}
    assert _people(found["org"]) == {"旌德农商行": 2}
    assert _people(found["school"]) == {"旌阳小学": 1}
    assert _people(found["gender"]) == {"女": 2, "男": 1}
    assert _people(found["roster"]) == {"财务人员": 3}
    areas = {value["plain"]["zh"]: value for value in found["area"]["values"]}
    assert (areas["旌阳镇"]["people"], areas["三溪镇"]["people"]) == (2, 1)
    assert areas["旌德县"]["people"] == 3
    (village,) = [area for area in areas.values() if area["level"] == "village"]
    assert village["plain"]["zh"].startswith("霍家桥")
    assert village["parent"] == areas["三溪镇"]["value"]
    assert [sign["operator"] for sign in found["age"]["operators"]][-1] == ">="
    assert not _people((await _terms(api, SCHOOL))["role"]), "another department's lists"


async def test_a_list_that_has_ended_counts_nobody(api: Api) -> None:
    await _import(api, expires_on=api.clock.at.date().isoformat())
    assert _people((await _terms(api))["role"])
    api.clock.at += timedelta(days=1)
    found = await _terms(api)
    assert (_people(found["role"]), found["area"]["values"]) == ({}, [])


async def test_people_are_counted_once_until_a_list_changes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_counts, "REST", 1e9)
    counted = [0]

    async def counting(conn: Connection, department_id: UUID, today: date) -> Any:
        counted[0] += 1
        return await list_values(conn, department_id, today)

    monkeypatch.setattr("service.api.audience.segment_terms.list_values", counting)
    await _import(api)
    for _ in range(3):
        assert _people((await _terms(api))["role"]) == {"财务人员": 2, "家长": 1}
    assert counted == [1]
    assert not _people((await _terms(api, SCHOOL))["role"])
    assert counted == [2], "each department has its own"
    more = FILE.decode().splitlines()[0] + "\n19790000004,赵五,财务人员,,,,,\n"
    await _import(api, content=more.encode(), roster="第二份")
    assert _people((await _terms(api))["role"]) == {"财务人员": 3, "家长": 1}
    (last,) = (await api.get("/imports?limit=1", COUNTY)).json["items"]
    assert (await api.post(f"/imports/{last['id']}/undo", COUNTY)).status == 202
    async with transaction(api.runtime.pool) as conn:
        assert await run_undo(conn, UUID(last["id"]), api.clock.at)
    assert _people((await _terms(api))["role"]) == {"财务人员": 2, "家长": 1}
    api.clock.at += timedelta(days=10_000)
    assert not _people((await _terms(api))["role"]), "the list has ended"


async def test_a_correction_shows_after_a_count_behind_whoever_asks(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_counts, "REST", 0.0)
    await _import(api)
    assert _people((await _terms(api))["gender"]) == {"女": 2, "男": 1}
    await api.runtime.pool.execute("UPDATE links SET gender = 'f'")

    async def corrected() -> bool:
        return _people((await _terms(api))["gender"]) == {"女": 3}

    await until(corrected)


async def test_a_clicked_rule_is_made_counted_saved_and_clicked_again(api: Api) -> None:
    await _import(api)
    (town,) = [
        value["value"]
        for value in (await _terms(api))["area"]["values"]
        if value["plain"]["zh"] == "旌阳镇"
    ]
    terms = [
        {"field": "role", "operator": "in", "values": ["finance", "parent"]},
        {"field": "area", "operator": "=", "values": [town]},
        {"field": "carrier", "operator": "not in", "values": ["联通"]},
    ]
    made = await api.post("/segments/compose", COUNTY, {"terms": terms})
    assert made.status == 200, made.body
    assert "旌阳镇" in made.json["chinese"]
    assert made.json["canonical"] == made.json["rule"]
    explained = await api.post("/segments/explain", COUNTY, {"rule": made.json["rule"]})
    assert explained.json["terms"] == made.json["terms"]
    terms[2]["values"] = ["china_unicom"]
    assert explained.json["terms"] == terms
    again = await api.post("/segments/compose", COUNTY, {"terms": explained.json["terms"]})
    assert again.json == made.json
    preview = await api.post("/segments/preview", COUNTY, {"rule": made.json["rule"]})
    assert preview.json["target"] == 2
    saved = await api.post("/segments", COUNTY, {"name": "试", "rule": made.json["rule"]})
    assert saved.status == 201
    (segment,) = (await _terms(api))["segment"]["values"]
    assert segment["value"] == "试"


async def test_what_cannot_be_clicked_has_no_terms_and_wrong_conditions_are_named(api: Api) -> None:
    either = await api.post("/segments/explain", COUNTY, {"rule": "身份 = 家长 或 年龄 >= 60"})
    assert (either.status, either.json["terms"]) == (200, None)
    terms = [
        {"field": "role", "operator": "=", "values": ["finance"]},
        {"field": "role", "operator": ">", "values": ["finance"]},
    ]
    wrong = await api.post("/segments/compose", COUNTY, {"terms": terms})
    assert (wrong.status, list(wrong.json["fields"])) == (422, ["terms.1"])
    nowhere = [{"field": "area", "operator": "=", "values": ["月亮镇"]}]
    assert (await api.post("/segments/compose", COUNTY, {"terms": nowhere})).status == 422
