"""Suggestions: made when a week is covered, kept as the figures are, and nothing but drafts."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.campaigns.runs.firing import fire_due
from service.clock import CHINA
from service.storage.postgres import transaction
from tests.factories import make_contact
from tests.harness.case_api import OFFICER, hire, import_truth, lines, rows_until, send
from tests.harness.sending import PEOPLE, begin_sending
from tests.integration.api.conftest import Api

W50 = "2026-W50"
MONDAY = datetime(2026, 12, 14, 9, tzinfo=CHINA)
"""The Monday after 2026-W50."""
SCHOOL = ("school", "operator")
TEXT = "【旌德县财政局】客服主动退款理赔都是诈骗，疑问请拨96110。"
SANXI = "341825102000"


@pytest.fixture(autouse=True)
async def _areas(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    api.clock.at = MONDAY


async def to_w50(api: Api) -> str:
    """Import all figures up to 2026-W50, on the Monday after; returns the import's id."""
    answer = await send(api, rows_until(W50), f"2026-W01..{W50}")
    assert answer.status == 201, answer.body
    made: str = answer.json["id"]
    return made


async def listed(api: Api, who: tuple[str, str] = OFFICER, week: str = "") -> Any:
    answer = await api.get("/suggestions", who, params={"week": week} if week else {})
    assert answer.status == 200, answer.body
    return answer.json


async def rise(api: Api, who: tuple[str, str] = OFFICER) -> Any:
    """What rises in 2026-W50: T04 in the county."""
    items = (await listed(api, who, W50))["items"]
    return next(one for one in items if one["fraud_type"] == "T04" and not _is_usual(one))


def _is_usual(one: Mapping[str, Any]) -> bool:
    return bool(one["kind"] == "usual")


async def shopkeepers(api: Api, who: tuple[str, str], count: int = 3) -> None:
    """People of the audience of T04 on a list of somebody's department."""
    members = [
        {"phone": f"1979000{n:04}", "name": "王小明", "roles": ["shop"]}
        for n in range(101, 101 + count)
    ]
    body = {"basis": "duty", "expires_on": "2027-12-31", "members": members}
    answer = await api.call("PUT", "/rosters/商户/members", who, json=body)
    assert answer.status == 200, answer.body


async def approved_text(api: Api, team: str, text: str = TEXT, topic: str = "T04") -> str:
    """An approved text of a department on a kind of fraud."""
    body = {"name": topic, "text": text, "topic": topic}
    made = (await api.post("/templates", (team, "operator"), body)).json
    answer = await api.post(
        f"/templates/{made['id']}/approve",
        (team, "approver"),
        {"version": made["version"], "acknowledged": []},
    )
    assert answer.status == 200, answer.body
    template: str = made["id"]
    return template


async def test_the_worked_example_over_the_whole_file(api: Api) -> None:
    await import_truth(api)
    rows = await api.runtime.pool.fetch(
        "SELECT week, area_code, fraud_type FROM suggestions WHERE kind = 'rise' ORDER BY week"
    )
    assert [tuple(row) for row in rows] == [("2026-W29", SANXI, "T01"), (W50, "", "T04")]
    (found,) = (await listed(api, week="2026-W29"))["items"]
    assert found["because"] == {
        "first": "2026-W26",
        "last": "2026-W29",
        "cases": 3,
        "loss_yuan": 232_600,
        "expected": 0.25,
        "chance": 0.0022,
    }
    assert (found["area"], found["area_name"], found["state"]) == (SANXI, "三溪镇", "expired")
    w50 = await listed(api, week=W50)
    assert [one["because"]["chance"] for one in w50["items"]] == [0.0086]
    assert w50["items"][0]["because"]["expected"] == 1.23
    assert 4 < w50["rises_a_year_by_chance"] < 7
    last = await listed(api)
    assert last["week"] == "2027-W13"
    assert [one["fraud_type"] for one in last["items"]] == ["T01", "T04", "T02", "T07"]
    assert last["rises_a_year_by_chance"] is None, "nothing rises that week"


async def test_a_fresh_rise_is_open_for_a_week_with_its_usual_kinds(api: Api) -> None:
    await to_w50(api)
    found = await listed(api)
    assert (found["week"], found["covered"]) == (W50, True)
    first, *usual = found["items"]
    assert (first["kind"], first["fraud_type"], first["state"]) == ("rise", "T04", "open")
    assert [one["audience"] for one in first["audiences"]] == ["shop", "women", "everyone"]
    assert {one["kind"] for one in usual} == {"usual"}
    assert 3 <= len(usual) <= 4
    assert "T04" not in {one["fraud_type"] for one in usual}, "it rises"
    api.clock.at += timedelta(days=7) - timedelta(seconds=1)
    assert (await rise(api))["state"] == "open"
    api.clock.at += timedelta(seconds=1)
    assert (await rise(api))["state"] == "expired"
    late = await api.post(f"/suggestions/{first['id']}/draft", OFFICER, {"audiences": ["shop"]})
    assert (late.status, late.json["type"]) == (409, "/problems/suggestion_closed")


async def test_a_suggestion_becomes_a_draft_and_sends_nothing(api: Api) -> None:
    """E17: whatever is written is the draft, its group, the act, and their entries."""
    await to_w50(api)
    await shopkeepers(api, OFFICER)
    template = await approved_text(api, "county")
    found = await rise(api)
    assert found["templates"] == [template]
    assert [(one["audience"], one["on_file"], one["due"]) for one in found["audiences"]] == [
        ("shop", 3, True), ("women", 0, False), ("everyone", 3, True),
    ]  # fmt: skip
    before = await _counts(api)
    answer = await api.post(
        f"/suggestions/{found['id']}/draft", OFFICER, {"audiences": ["shop", "women"]}
    )
    assert answer.status == 201, answer.body
    made = answer.json
    grown = {table: n - before[table] for table, n in (await _counts(api)).items()}
    assert {table: n for table, n in grown.items() if n} == {
        "campaigns": 1,
        "segments": 1,
        "suggestion_acts": 1,
        "audit_entries": 1,
        "audit_unsealed": 1,
    }
    assert (made["state"], made["next_fire_at"]) == ("draft", None)
    assert made["name"] == f"公安建议 {W50} 冒充客服"
    segment = (await api.get(f"/segments/{made['segment_id']}", OFFICER)).json
    assert segment["canonical"] == 'role = "shop" or gender = "f"'
    shown = await rise(api)
    assert (shown["state"], shown["act"]["campaign_id"]) == ("drafted", made["id"])
    assert await fire_due(api.runtime.pool, api.clock.at + timedelta(days=1)) == []
    again = await api.post(f"/suggestions/{found['id']}/draft", OFFICER, {"audiences": ["shop"]})
    assert (again.status, again.json["type"]) == (409, "/problems/suggestion_acted_on")
    assert (await _counts(api))["runs"] == 0


async def _counts(api: Api) -> dict[str, int]:
    """How many rows each table has; those that a request itself leaves are not looked at."""
    tables = await api.runtime.pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    found = {}
    for (name,) in tables:
        found[name] = await api.runtime.pool.fetchval(f'SELECT count(*) FROM "{name}"')
    return found


async def test_the_same_group_is_not_made_twice(api: Api) -> None:
    await to_w50(api)
    await shopkeepers(api, OFFICER)
    template = await approved_text(api, "county")
    segment = {"name": "商户", "rule": 'role = "shop"'}
    known = (await api.post("/segments", OFFICER, segment)).json["id"]
    made = await api.post(
        f"/suggestions/{(await rise(api))['id']}/draft",
        OFFICER,
        {"audiences": ["shop"], "template_id": template, "name": "提醒商户"},
    )
    assert (made.json["segment_id"], made.json["name"]) == (known, "提醒商户")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"audiences": ["teacher"]}, "audiences"),
        ({"audiences": []}, "audiences"),
        ({"audiences": ["shop"]}, "template_id"),
    ],
)
async def test_a_draft_that_cannot_be_made_leaves_nothing(
    api: Api, body: dict[str, Any], field: str
) -> None:
    await to_w50(api)
    answer = await api.post(f"/suggestions/{(await rise(api))['id']}/draft", OFFICER, body)
    assert answer.status == 422
    assert field in answer.json["fields"]
    counts = await _counts(api)
    assert (counts["segments"], counts["campaigns"], counts["suggestion_acts"]) == (0, 0, 0)


async def test_others_see_that_the_police_suggest_it_and_no_figure(api: Api) -> None:
    await to_w50(api)
    assert (await listed(api, SCHOOL))["items"] == [], "nobody of theirs is meant"
    await shopkeepers(api, SCHOOL)
    found = await listed(api, SCHOOL)
    assert found["rises_a_year_by_chance"] is None
    assert found["items"]
    for one in found["items"]:
        assert (one["kind"], one["because"], one["acts"]) == (None, None, [])
    school = await rise(api, SCHOOL)
    made = await api.post(
        f"/suggestions/{school['id']}/dismiss", SCHOOL, {"reason": "已在家长会讲过"}
    )
    assert made.status == 200, made.body
    assert (await rise(api, SCHOOL))["state"] == "dismissed"
    seen = await rise(api)
    assert seen["state"] == "open", "another department still may"
    (act,) = seen["acts"]
    assert (act["act"], act["reason"]) == ("dismiss", "已在家长会讲过")


async def test_inspectors_and_the_police_see_the_figures(api: Api) -> None:
    await to_w50(api)
    for who in (await hire(api, "police"), ("county", "inspector")):
        assert (await rise(api, who))["because"]["cases"] == 5


async def test_a_corrected_week_takes_back_what_its_figures_do_not_say(api: Api) -> None:
    await to_w50(api)
    found = await rise(api)
    corrected = await send(api, lines(f"{W50},旌阳镇,,T03,1,1"), W50)
    assert corrected.status == 201
    gone = await rise(api)
    assert (gone["state"], gone["figures_changed"]) == ("withdrawn", True)
    refused = await api.post(f"/suggestions/{found['id']}/draft", OFFICER, {"audiences": ["shop"]})
    assert (refused.status, refused.json["type"]) == (409, "/problems/suggestion_closed")
    api.clock.at += timedelta(days=1)
    undone = await api.post(f"/cases/imports/{corrected.json['id']}/undo", OFFICER)
    assert undone.status == 200
    back = await rise(api)
    assert (back["id"], back["state"], back["because"]) == (
        found["id"], "open", found["because"],
    )  # fmt: skip
    assert back["made_at"] > found["made_at"]


async def test_what_was_drafted_stays_and_says_that_the_figures_changed(api: Api) -> None:
    await to_w50(api)
    await shopkeepers(api, OFFICER)
    await approved_text(api, "county")
    found = await rise(api)
    path = f"/suggestions/{found['id']}/draft"
    made = (await api.post(path, OFFICER, {"audiences": ["shop"]})).json
    await send(api, lines(f"{W50},旌阳镇,,T03,1,1"), W50)
    seen = await rise(api)
    assert (seen["state"], seen["figures_changed"]) == ("drafted", True)
    assert (await api.get(f"/campaigns/{made['id']}", OFFICER)).json["state"] == "draft"
    kept = await api.runtime.pool.fetchval("SELECT because FROM suggestion_acts")
    assert kept["cases"] == 5, "what it rested on when it was taken up"


async def test_weeks_that_are_taken_back_have_no_suggestion(api: Api) -> None:
    made = await to_w50(api)
    assert (await api.post(f"/cases/imports/{made}/undo", OFFICER)).status == 200
    found = await listed(api, week=W50)
    assert found["covered"] is False
    assert {one["state"] for one in found["items"]} == {"withdrawn"}
    assert (await listed(api))["week"] is None


async def test_a_correction_of_an_earlier_week_reaches_the_lists_after_it(api: Api) -> None:
    """Five more cases before it are to be expected, so what rose in W50 rises no more."""
    await to_w50(api)
    assert (await send(api, lines("2026-W40,旌阳镇,,T04,9,1"), "2026-W40")).status == 201
    assert (await rise(api))["state"] == "withdrawn"


async def test_a_usual_kind_is_left_out_once_half_of_its_audience_was_reached(api: Api) -> None:
    api.clock.at = MONDAY - timedelta(days=5)
    sending = await begin_sending(api, text=TEXT)
    await api.runtime.pool.execute("UPDATE templates SET topic = '刷单返利'")
    api.clock.at = MONDAY
    await to_w50(api)

    async def audience() -> Any:
        items = (await listed(api))["items"]
        usual = [one for one in items if one["fraud_type"] == "T01" and _is_usual(one)]
        return usual and next(one for one in usual[0]["audiences"] if one["audience"] == "everyone")

    half = PEOPLE // 2
    await sending.become("delivered", range(1, half))
    found = await audience()
    assert (found["on_file"], found["reached"], found["due"]) == (PEOPLE, half - 1, True)
    assert found["last_reached_on"] == "2026-12-09"
    await sending.become("delivered", [half])
    assert not await audience(), "half were reached, so it is time for another kind"
    api.clock.at = MONDAY + timedelta(days=6)
    await sending.become("delivered", range(1, PEOPLE + 1))
    api.clock.at = MONDAY + timedelta(days=29)
    later = await listed(api, week=W50)
    assert any(one["fraud_type"] == "T01" for one in later["items"])


async def test_a_text_that_was_sent_in_the_last_thirty_days_is_not_offered(api: Api) -> None:
    await to_w50(api)
    await shopkeepers(api, OFFICER)
    template = await approved_text(api, "county")
    other = await approved_text(api, "county", TEXT.replace("疑问", "拿不准"), "T01、T04")
    assert set((await rise(api))["templates"]) == {template, other}
    await begin_sending(api, text=TEXT)
    assert (await rise(api))["templates"] == [other]


async def test_the_audiences_are_the_countys_to_set(api: Api) -> None:
    shipped = (await api.get("/suggestions/rules", OFFICER)).json
    assert shipped["version"] == 0
    assert {"fraud_type": "T04", "audiences": ["shop", "women", "everyone"]} in shipped["items"]
    assert {"fraud_type": "T03", "audiences": ["everyone"]} in shipped["items"]
    body = {"items": [{"fraud_type": "T04", "audiences": ["owner"]}], "reason": "网店集中"}
    made = await api.call("PUT", "/suggestions/rules", OFFICER, json=body)
    assert (made.status, made.json["version"]) == (200, 1)
    await to_w50(api)
    assert [one["audience"] for one in (await rise(api))["audiences"]] == ["owner"]
    body = {"items": [{"fraud_type": "T04", "audiences": ["shop"]}], "reason": "改回"}
    await api.call("PUT", "/suggestions/rules", OFFICER, json=body)
    assert [one["audience"] for one in (await rise(api))["audiences"]] == ["owner"], "kept"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM suggestion_rules") == 2


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([{"fraud_type": "T99", "audiences": ["shop"]}], "items.0.fraud_type"),
        ([{"fraud_type": "T04", "audiences": ["divorced"]}], "items.0.audiences"),
        ([{"fraud_type": "T04", "audiences": []}], "items.0.audiences"),
        ([{"fraud_type": "T04", "audiences": ["shop"]}] * 2, "items"),
    ],
)
async def test_audiences_that_cannot_be_are_refused(
    api: Api, items: list[dict[str, Any]], field: str
) -> None:
    body = {"items": items, "reason": "r"}
    answer = await api.call("PUT", "/suggestions/rules", OFFICER, json=body)
    assert answer.status == 422
    assert field in answer.json["fields"]


async def test_one_of_two_who_draft_at_once_is_told(api: Api) -> None:
    await to_w50(api)
    await shopkeepers(api, OFFICER)
    await approved_text(api, "county")
    path = f"/suggestions/{(await rise(api))['id']}/draft"
    both = await asyncio.gather(
        *(api.post(path, OFFICER, {"audiences": ["shop"]}) for _ in range(2))
    )
    assert sorted(answer.status for answer in both) == [201, 409]
    assert (await _counts(api))["campaigns"] == 1


async def test_people_of_other_towns_are_not_of_a_town_that_rises(api: Api) -> None:
    rows = [f"2026-W{n},旌阳镇,,T03,1,1" for n in range(30, 47)]
    rows += ["2026-W50,三溪镇,,T12,3,3"]
    await send(api, lines(*rows), f"2026-W30..{W50}")
    async with transaction(api.runtime.pool) as conn:
        department = api.teams["county"].department_id
        for n, area in enumerate([SANXI, "341825102201", "341825100000"]):
            await make_contact(
                conn, api.runtime.keyring, department, n, now=api.clock.at, area_code=area
            )
    await api.call("PUT", "/suggestions/rules", OFFICER, json={"items": [], "reason": "r"})
    found = (await listed(api))["items"][0]
    assert (found["area"], found["fraud_type"], found["kind"]) == (SANXI, "T12", "rise")
    assert [one["audience"] for one in found["audiences"]] == ["parent"]
