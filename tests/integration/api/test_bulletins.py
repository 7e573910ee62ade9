"""Bulletins: frozen, numbered, corrected, and what each reader sees of them."""

import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.audience.areas.area_store import load_areas
from service.storage.postgres import NoRight
from tests.factories import RULE
from tests.harness.attacker import named
from tests.harness.case_api import OFFICER, hire, import_truth, lines, send
from tests.harness.case_data import COUNTY, TOWNS, TYPES, truth
from tests.integration.api.conftest import Answer, Api

W3, W13 = "2027-W03", "2027-W13"


@pytest.fixture(autouse=True)
async def _figures(api: Api) -> None:
    async with api.runtime.pool.acquire() as conn:
        await load_areas(conn)
    await import_truth(api)


async def issue(api: Api, week: str = W3) -> dict[str, Any]:
    answer = await api.post(f"/bulletins/{week}/issue", OFFICER)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    return made


async def public(api: Api, week: str = W3) -> dict[str, Any]:
    answer = await api.get(f"/bulletins/{week}/public", None)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    return made


@pytest.mark.parametrize("week", [W3, W13])
async def test_the_bulletins_of_the_truth(api: Api, week: str) -> None:
    made = await issue(api, week)
    told = next(bulletin for bulletin in truth()["bulletins"] if bulletin["week"] == week)
    assert (made["cases"], made["loss_yuan"]) == (told["cases"], told["loss_yuan"])
    for name in ("villages", "towns"):
        found = {
            place["key"]: {"cases": place["cases"], "loss_yuan": place["loss_yuan"]}
            for place in made[name]
            if place["cases"]
        }
        assert found == told[name]
    period = next(period for period in truth()["periods"] if period["period"] == week)
    assert made["cases_change_pct"] == period["county"]["cases_change_pct"]
    assert made["loss_change_pct"] == period["county"]["loss_change_pct"]


async def test_it_has_a_number_a_version_and_a_hash_that_can_be_made_again(api: Api) -> None:
    made = await issue(api)
    assert (made["number"], made["version"], made["state"]) == ("〔2027〕3号", 1, "issued")
    row = await api.runtime.pool.fetchrow("SELECT * FROM bulletins")
    assert row is not None
    content = {"number": row["number"], "week": W3, "version": 1, "figures": row["figures"]}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert made["versions"][0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


async def test_it_is_issued_once_and_only_of_a_covered_week(api: Api) -> None:
    await issue(api)
    again = await api.post(f"/bulletins/{W3}/issue", OFFICER)
    assert (again.status, again.json["type"]) == (409, "/problems/issued_already")
    unknown = await api.post("/bulletins/2027-W14/issue", OFFICER)
    assert (unknown.status, unknown.json["type"]) == (404, "/problems/week_unknown")
    assert (await api.post("/bulletins/2027/issue", OFFICER)).status == 422


async def test_a_correction_is_the_next_version_and_the_first_one_stays(api: Api) -> None:
    await issue(api)
    same = await api.post(f"/bulletins/{W3}/correct", OFFICER, {"reason": "再看"})
    assert (same.status, same.json["type"]) == (409, "/problems/nothing_to_correct")
    await send(api, lines("2027-W03,三溪镇,,T01,3,1"), W3)
    assert (await api.get(f"/bulletins/{W3}", OFFICER)).json["changed_since"] is True
    assert (await api.get(f"/bulletins/{W3}", OFFICER)).json["cases"] == 2
    made = await api.post(f"/bulletins/{W3}/correct", OFFICER, {"reason": "一起补录"})
    assert made.status == 200, made.body
    assert (made.json["cases"], made.json["version"], made.json["number"]) == (3, 2, "〔2027〕3号")
    assert [one["reason"] for one in made.json["versions"]] == ["", "一起补录"]
    shown = await public(api)
    assert (shown["cases"], shown["corrected_by"], shown["version"]) == (3, 1, 2)
    never = await api.post(f"/bulletins/{W13}/correct", OFFICER, {"reason": "r"})
    assert never.status == 404
    (line,) = (await api.get("/bulletins", ("school", "viewer"))).json["items"]
    assert (line["week"], line["version"], line["cases"]) == (W3, 2, 3)


async def test_what_was_released_is_never_changed(api: Api) -> None:
    await issue(api)
    for table in ("bulletins", "releases", "goals"):
        for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with pytest.raises(NoRight):
                await api.runtime.pool.execute(statement.replace("id = id", _column(table)))


def _column(table: str) -> str:
    return {"bulletins": "number = ''", "releases": "version = 2", "goals": "reason = ''"}[table]


async def test_the_public_week_has_the_total_alone_and_towns_come_with_the_quarter(
    api: Api,
) -> None:
    await issue(api)
    shown = await public(api)
    assert (shown["cases"], shown["loss_wan"], shown["towns"]) == (2, None, None)
    assert (shown["first_day"], shown["last_day"]) == ("2027-01-18", "2027-01-24")
    assert shown["quarter"]["period"] == "2026-Q4"
    await issue(api, W13)
    shown = await public(api, W13)
    quarter = shown["quarter"]
    assert (quarter["period"], quarter["cases"], quarter["corrected_by"]) == ("2027-Q1", 42, 0)
    assert quarter["towns"] == {
        "hidden": False,
        "shown": {"341825100000": 14, "341825102000": 6},
        "rest_parts": 8,
        "rest": 22,
    }
    assert quarter["kinds"]["shown"] == {"T01": 12, "T04": 8, "T02": 7, "T07": 5}
    assert (quarter["kinds"]["rest_parts"], quarter["kinds"]["rest"]) == (14, 10)
    assert shown["names"]["341825102000"] == "三溪镇"
    assert shown["kinds"][0] == "刷单返利"


async def test_a_quarter_that_was_released_is_not_computed_anew(api: Api) -> None:
    await issue(api, W13)
    first = (await public(api, W13))["quarter"]
    await send(api, lines(*(f"2027-W13,{town},,T01,9,9" for town in TOWNS[:3]), head=CODES), W13)
    await api.post(f"/bulletins/{W13}/correct", OFFICER, {"reason": "补录"})
    corrected = (await public(api, W13))["quarter"]
    assert corrected.pop("corrected_by") == 24
    first.pop("corrected_by")
    assert corrected == first


CODES = "周次,区划代码,村,类型,起数,损失"


async def test_the_loss_of_a_week_with_enough_cases_is_public(api: Api) -> None:
    await issue(api, "2026-W38")
    shown = await public(api, "2026-W38")
    assert (shown["cases"], shown["loss_wan"], shown["towns"]) == (6, 22.5, None)
    own = (await api.get("/bulletins/2026-W38", OFFICER)).json
    assert own["values"]["金额"] == "22.5"
    assert own["values"]["周期"] == "9月14日至20日"
    hidden = await issue(api)
    assert hidden["values"].keys() == {"周期", "起数", "类型"}


async def test_towns_by_week_from_the_next_quarter_on_and_never_both(api: Api) -> None:
    body = {"bulletin_villages": "own", "public_towns": "week", "reason": "案件多"}
    made = await api.call("PUT", "/bulletins/settings", OFFICER, json=body)
    assert (made.status, made.json["towns_from"], made.json["before"]) == (
        200, "2027-Q3", "quarter",
    )  # fmt: skip
    await issue(api, W13)
    assert (await public(api, W13))["towns"] is None
    rows = [
        f"{town},,T01,{cases},{cases}" for town, cases in zip(TOWNS, [9, 6, 3, 2, 1], strict=False)
    ]
    api.clock.at += timedelta(weeks=14)
    await send(api, lines(*(f"2027-W27,{row}" for row in rows), head=CODES), "2027-W27..2027-W27")
    await issue(api, "2027-W27")
    shown = await public(api, "2027-W27")
    assert shown["towns"]["shown"] == {TOWNS[0]: 9, TOWNS[1]: 6}
    assert (shown["towns"]["rest_parts"], shown["towns"]["rest"]) == (8, 6)


async def test_who_sees_what_of_a_bulletin(api: Api) -> None:
    school, town = ("school", "operator"), await hire(api, "town", area="341825101000")
    for who in (school, town):
        assert (await api.get(f"/bulletins/{W3}", who)).status == 404, "not issued yet"
    draft = (await api.get(f"/bulletins/{W3}", OFFICER)).json
    assert (draft["state"], draft["version"], draft["cases"]) == ("draft", 0, 2)
    await issue(api)
    office = (await api.get(f"/bulletins/{W3}", OFFICER)).json
    assert len(office["without_cases"]) == 8
    of_school = (await api.get(f"/bulletins/{W3}", school)).json
    assert (of_school["loss_yuan"], of_school["villages"], of_school["without_cases"]) == (
        None, [], None,
    )  # fmt: skip
    assert [t["cases"] for t in of_school["towns"]] == [t["cases"] for t in office["towns"]]
    assert {t["loss_yuan"] for t in of_school["towns"] + of_school["types"]} == {None}
    of_town = (await api.get(f"/bulletins/{W3}", town)).json
    assert [v["key"] for v in of_town["villages"]] == ["341825101201"]
    assert {t["key"]: t["loss_yuan"] for t in of_town["towns"] if t["loss_yuan"] is not None} == {
        "341825101000": 26_300
    }
    opened = {"bulletin_villages": "all", "public_towns": "quarter", "reason": "便于对照"}
    await api.call("PUT", "/bulletins/settings", OFFICER, json=opened)
    assert len((await api.get(f"/bulletins/{W3}", town)).json["villages"]) == 2


async def test_the_public_page_is_for_anybody_and_limited(api: Api) -> None:
    assert (await api.get(f"/bulletins/{W3}/public", None)).status == 404
    await issue(api)
    answers = [(await api.get(f"/bulletins/{W3}/public", None)).status for _ in range(30)]
    assert answers[:29] == [200] * 29
    assert (await api.get(f"/bulletins/{W3}/public", None)).status == 429
    login = await api.post("/login", None, {"login": "x", "password": "y"})
    assert login.status == 401, "whoever reads bulletins does not keep an office from logging in"


async def test_webhooks_hear_of_it(api: Api) -> None:
    hook = {"url": "https://sms.example.gov.cn/tocsin", "events": ["bulletin.issued"]}
    assert (await api.post("/webhooks", ("school", "operator"), hook)).status == 201
    await issue(api)
    (event,) = await api.runtime.pool.fetch("SELECT department_id, data FROM webhook_events")
    assert event["department_id"] == api.teams["school"].department_id
    assert event["data"] == {"week": W3, "bulletin_version": 1, "number": "〔2027〕3号"}


GOAL = {"key": "G2", "title": "下降两成", "period": "Q1", "year": 2027, "target_change_pct": -20}


async def test_goals_as_of_a_week(api: Api) -> None:
    four = {
        **GOAL,
        "key": "G1",
        "fraud_types": ["T01", "T02", "T04", "T05"],
        "target_change_pct": -10,
    }
    body = {"items": [four, GOAL], "reason": "年度目标"}
    made = await api.call("PUT", "/goals", OFFICER, json=body)
    assert made.status == 200, made.body
    found = (await api.get("/goals", OFFICER)).json
    assert (found["as_of"], found["version"], found["reason"]) == (W13, 1, "年度目标")
    first, second = found["items"]
    assert (first["cases"], first["cases_last_year"], first["cases_change_pct"]) == (29, 40, -27.5)
    assert (first["loss_yuan"], first["loss_change_pct"]) == (1_509_500, -9.2)
    assert (first["loss_without_largest_pct"], first["colour"]) == (-24.7, "red")
    assert (second["met"], second["colour"], second["final"]) == (True, "grey", True)
    assert second["cases_interval_pct"] == [-52.5, 9.6]
    assert second["chance"] == 0.067
    earlier = (await api.get("/goals", OFFICER, params={"as_of": "2027-W06"})).json["items"]
    assert [goal["colour"] for goal in earlier] == ["red", "red"]
    later = (await api.get("/goals", OFFICER, params={"as_of": "2027-W20"})).json["items"]
    assert [goal["final"] for goal in later] == [True, True]
    none = (await api.get("/goals", OFFICER, params={"as_of": "2026-W20"})).json["items"]
    assert [goal["gap"] for goal in none] == ["not_begun", "not_begun"]
    of_school = (await api.get("/goals", ("school", "operator"))).json["items"][0]
    assert (of_school["cases"], of_school["loss_yuan"], of_school["met"]) == (29, None, None)
    assert (await api.get("/goals", ("school", "inspector"))).status == 200


@pytest.mark.parametrize(
    "items", [[GOAL, GOAL], [{**GOAL, "fraud_types": ["T99"]}], [{**GOAL, "period": "Q5"}]]
)
async def test_goals_that_are_none(api: Api, items: list[dict[str, Any]]) -> None:
    body = {"items": items, "reason": "r"}
    assert (await api.call("PUT", "/goals", OFFICER, json=body)).status == 422


def test_the_county_is_that_of_the_data() -> None:
    assert {town[:6] for town in TOWNS} == {COUNTY[:6]}


@pytest.mark.attack
async def test_from_all_that_is_public_nobody_names_a_small_cell(api: Api) -> None:
    """A quarter of bulletins of the county, some corrected; the attacker has no key."""
    answers = []
    for number in range(1, 14):
        await issue(api, f"2027-W{number:02}")
        answers.append(await public(api, f"2027-W{number:02}"))
        if number % 4 == 0:
            week = f"2027-W{number - 1:02}"
            await send(api, lines(f"{week},三溪镇,,T0{number // 4},4,1"), week)
            body = {"reason": "更正"}
            assert (await api.post(f"/bulletins/{week}/correct", OFFICER, body)).status == 200
            answers.append(await public(api, week))
    again = ("2027-W13", lines("2027-W13,旌阳镇,,T01,1,1"))
    await send(api, again[1], again[0])
    await api.post("/bulletins/2027-W13/correct", OFFICER, {"reason": "更正"})
    answers.append(await public(api, "2027-W13"))
    assert named(answers, TOWNS, TYPES, 5) == set()


TEXT = "【旌德县公安局】一周通报：{周期}接报电诈{起数}起，以{类型}为主，疑问拨96110。"
WITH_LOSS = "【旌德县公安局】一周通报：{周期}接报电诈{起数}起，损失{金额}万元，疑问拨96110。"


async def _campaign(api: Api, text: str, **more: Any) -> Answer:
    called = f"通报{uuid4()}"
    named = {"name": called, "text": text}
    template = (await api.post("/templates", OFFICER, named)).json["id"]
    segment = (await api.post("/segments", OFFICER, {"name": called, "rule": RULE})).json["id"]
    body = {"name": "通报", "template_id": template, "segment_id": segment, **more}
    return await api.post("/campaigns", OFFICER, body)


async def test_a_text_takes_its_figures_from_the_release_and_not_from_a_hand(api: Api) -> None:
    await issue(api)
    made = await _campaign(api, TEXT, figures_from=W3)
    assert made.status == 201, made.body
    assert made.json["values"] == (await api.get(f"/bulletins/{W3}", OFFICER)).json["values"]
    assert made.json["values"].keys() == {"周期", "起数", "类型"}
    typed = await _campaign(api, TEXT, figures_from=W3, values={"起数": "20"})
    assert (typed.json["type"], list(typed.json["fields"])) == (
        "/problems/figure_typed",
        ["values.起数"],
    )
    hidden = await _campaign(api, WITH_LOSS, figures_from=W3)
    assert (hidden.status, hidden.json["type"]) == (422, "/problems/figure_hidden")
    await issue(api, "2026-W38")
    shown = await _campaign(api, WITH_LOSS, figures_from="2026-W38")
    assert shown.json["values"] == {"周期": "9月14日至20日", "起数": "6", "金额": "22.5"}
    never = await _campaign(api, TEXT, figures_from="2027-W05")
    assert (never.status, list(never.json["fields"])) == (422, ["figures_from"])


async def test_what_was_issued_stays_to_be_seen_when_its_file_is_taken_back(api: Api) -> None:
    made = await issue(api)
    (file,) = (await api.get("/cases/imports", OFFICER)).json["items"]
    undone = await api.post(f"/cases/imports/{file['id']}/undo", OFFICER)
    assert undone.status == 200, undone.body
    seen = await api.get(f"/bulletins/{W3}", OFFICER)
    assert seen.status == 200, seen.body
    assert (seen.json["cases"], seen.json["changed_since"]) == (made["cases"], True)
    assert (await api.get(f"/bulletins/{W3}/document", OFFICER)).status == 200
    assert (await api.get(f"/bulletins/{W13}", OFFICER)).status == 404
