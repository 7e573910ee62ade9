"""A joint plan over HTTP, as the county and each carrier see it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.accounts.departments.department_store import register
from service.audience.areas.area_store import load_areas
from service.campaigns.plans.missed import record_missed
from service.crypto import Keyring
from service.messages.lint.lint_store import policy_set
from service.storage.postgres import Pool, transaction
from tests.factories import make_contact
from tests.harness.bulletins import WEEK, give_bulletin
from tests.harness.joint import CARRIERS, MOBILE, TELECOM, UNICOM, JointCounty
from tests.harness.joint_api import (
    APPROVER,
    OPERATOR,
    a_template,
    approved,
    joint_county,
    leg_of,
    plan,
)
from tests.integration.api.conftest import Api

PAGE = Path(__file__).parents[3] / "docs" / "joint-plans.md"


@pytest.fixture
async def county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    return await joint_county(api, pool, keyring)


async def test_from_the_plan_to_three_campaigns(api: Api, county: JointCounty) -> None:
    made = await approved(api, county)
    assert (made["state"], made["baseline"], made["segment_id"]) == ("scheduled", 9, None)
    assert len(made["legs"]) == 3
    for carrier in CARRIERS:
        who = (carrier, "operator")
        waits = {kind["kind"]: kind for kind in (await api.get("/work", who)).json["items"]}
        assert waits["asked_legs"]["count"] == 1
        leg = await leg_of(api, carrier)
        shown = (await api.get(f"/legs/{leg['id']}", who)).json
        assert shown["plan"]["texts"] == [made["text"]]
        assert (await api.get(f"/campaigns/{made['id']}", who)).status == 404
        taken = await api.post(f"/legs/{leg['id']}/take", who, {})
        assert taken.status == 200, taken.json
        own = (await api.get(f"/campaigns/{taken.json['own_campaign_id']}", who)).json
        assert (own["state"], own["leg_of"], own["baseline"]) == ("scheduled", made["id"], 3)
        edit = await api.patch(f"/campaigns/{own['id']}", who, {"name": "x"})
        assert (edit.status, edit.json["type"]) == (409, "/problems/leg_of_a_joint_plan")
    legs = (await api.get(f"/campaigns/{made['id']}/legs", OPERATOR)).json
    assert {leg["own_state"] for leg in legs["items"]} == {"scheduled"}


@pytest.mark.attack
async def test_no_side_sees_or_moves_the_people_of_another(api: Api, county: JointCounty) -> None:
    made = await approved(api, county)
    owns = {}
    for carrier in CARRIERS:
        leg = await leg_of(api, carrier)
        who = (carrier, "operator")
        owns[carrier] = (await api.post(f"/legs/{leg['id']}/take", who, {})).json["own_campaign_id"]
    county.now += timedelta(hours=1)
    await county.pass_time()
    for carrier, own in owns.items():
        (run,) = await county.pool.fetch("SELECT id FROM runs WHERE campaign_id = $1", own)
        for other in {*CARRIERS} - {carrier}:
            who = (other, "operator")
            for path in (
                f"/campaigns/{own}",
                f"/runs/{run['id']}/messages",
                f"/runs/{run['id']}/report",
                f"/campaigns/{own}/report",
            ):
                assert (await api.get(path, who)).status == 404
            for act in ("pause", "cancel"):
                assert (await api.post(f"/campaigns/{own}/{act}", who, {})).status == 404
            legs = (await api.get(f"/campaigns/{made['id']}/legs", who)).json
            assert len(legs["items"]) == 3  # that there are three is no secret
    outsider = await api.get(f"/campaigns/{made['id']}/legs", ("school", "operator"))
    assert outsider.status == 404


async def test_a_leg_is_answered_by_its_own_people_alone(api: Api, county: JointCounty) -> None:
    await approved(api, county)
    leg = await leg_of(api, MOBILE)
    answer = await api.post(f"/legs/{leg['id']}/take", OPERATOR, {})
    assert (answer.status, answer.json["type"]) == (403, "/problems/not_your_leg")
    assert (await api.post(f"/legs/{leg['id']}/take", (UNICOM, "operator"), {})).status == 404
    back = await api.post(f"/legs/{leg['id']}/return", (MOBILE, "approver"), {"reason": "割接"})
    assert (back.status, back.json["state"]) == (200, "returned")
    waits = {kind["kind"]: kind for kind in (await api.get("/work", OPERATOR)).json["items"]}
    assert waits["returned_legs"]["count"] == 1
    again = await api.post(f"/legs/{leg['id']}/ask", OPERATOR, {"reason": "已改期"})
    assert again.json["state"] == "asked"


async def seen_of(api: Api, plan_id: str, leg_id: str) -> list[int]:
    """What a carrier is answered that looks for a leg: its list's length, then statuses."""
    who = (MOBILE, "operator")
    listed = len((await api.get("/legs", who)).json["items"])
    paths = (f"/legs/{leg_id}", f"/campaigns/{plan_id}/legs", f"/campaigns/{plan_id}/report")
    return [listed, *[(await api.get(path, who)).status for path in paths]]


@pytest.mark.attack
async def test_a_draft_that_was_cancelled_is_shown_to_nobody_else(
    api: Api, county: JointCounty
) -> None:
    made = (await api.post("/campaigns", OPERATOR, plan(county, await a_template(api)))).json
    asked = (await api.get(f"/campaigns/{made['id']}/legs", OPERATOR)).json["items"]
    own = next(leg["id"] for leg in asked if leg["carrier"] == MOBILE)
    assert (await api.post(f"/campaigns/{made['id']}/cancel", OPERATOR, {})).status == 200
    assert await seen_of(api, made["id"], own) == [0, 404, 404, 404]
    assert await county.told(county.sides[MOBILE].department_id) == []


@pytest.mark.attack
async def test_a_plan_that_was_withdrawn_and_cancelled_shows_no_later_draft(
    api: Api, county: JointCounty
) -> None:
    made = await approved(api, county)
    own = (await leg_of(api, MOBILE))["id"]
    assert await seen_of(api, made["id"], own) == [1, 200, 200, 200]
    changed = await api.patch(f"/campaigns/{made['id']}", OPERATOR, {"name": "只给内部看的草稿"})
    assert changed.status == 200, changed.json
    assert (await api.post(f"/campaigns/{made['id']}/cancel", OPERATOR, {})).status == 200
    assert await seen_of(api, made["id"], own) == [0, 404, 404, 404]
    told = await county.told(county.sides[MOBILE].department_id)
    assert told == ["leg.asked", "leg.withdrawn"]


async def test_both_sides_see_how_a_leg_was_taken(api: Api, county: JointCounty) -> None:
    made = await approved(api, county)
    leg, who, channel = (
        await leg_of(api, MOBILE),
        (MOBILE, "operator"),
        county.sides[MOBILE].channel,
    )
    assert leg["taken_as"] is None
    other = {"channels": [county.sides[UNICOM].channel]}
    refused = await api.post(f"/legs/{leg['id']}/take", who, other)
    assert (refused.status, list(refused.json["fields"])) == (422, ["channels"])
    narrower = {"send_hours": [["09:00", "18:00"]], "channels": [channel], "max_tps": 20}
    taken = (await api.post(f"/legs/{leg['id']}/take", who, narrower)).json["taken_as"]
    shown = {**narrower, "people": 3, "areas": [], "channel_count": 1}
    assert taken == shown
    assert (await leg_of(api, MOBILE))["taken_as"] == shown
    of_others = shown | {"channels": None}
    assert (await api.get(f"/legs/{leg['id']}", OPERATOR)).json["taken_as"] == of_others
    for side in (OPERATOR, (UNICOM, "operator")):
        legs = (await api.get(f"/campaigns/{made['id']}/legs", side)).json["items"]
        assert [one["taken_as"] for one in legs if one["id"] == leg["id"]] == [of_others]


async def test_bad_plans_say_what_is_wrong(api: Api, county: JointCounty) -> None:
    template = await a_template(api)
    side = str(county.sides[MOBILE].department_id)
    own = str(api.teams["county"].department_id)
    nobody = "00000000-0000-0000-0000-000000000000"
    for more, field in (
        ({"legs": None}, "segment_id"),
        ({"legs": [{"department_id": nobody}]}, "legs"),
        ({"legs": [{"department_id": own}]}, "legs"),
        ({"legs": [{"department_id": side}] * 2}, "legs"),
        ({"legs": [{"department_id": side, "areas": ["1"]}]}, "legs.0.areas"),
        ({"legs": []}, "legs"),
        ({"segment_id": nobody}, "segment_id"),
        ({"channels": [1]}, "channels"),
    ):
        answer = await api.post("/campaigns", OPERATOR, plan(county, template, **more))
        assert answer.status == 422, (more, answer.json)
        assert field in answer.json["fields"], (more, answer.json)


async def test_a_preview_counts_all_legs_and_shows_nobody(api: Api, county: JointCounty) -> None:
    made = await api.post("/campaigns", OPERATOR, plan(county, await a_template(api)))
    query = {"from": "2027-01-12", "to": "2027-01-12"}
    fires = (await api.get("/calendar", OPERATOR, params=query)).json["items"]
    assert [(fire["state"], fire["people"]) for fire in fires] == [("draft", 0)]
    found = (await api.get(f"/campaigns/{made.json['id']}/preview", OPERATOR)).json
    assert (found["target"], found["sample"], found["estimate"]) == (9, [], None)
    assert found["by_carrier"] == dict.fromkeys(CARRIERS, 3)
    assert found["by_area"] == {}  # three people of a base are too few to be shown by town
    assert [fire["target"] for fire in found["forecast"]["fires"]] == [9]
    names = (await api.get("/departments/names", OPERATOR)).json["items"]
    assert {one["carrier"] for one in names} == {None, *CARRIERS}
    own = (await api.get("/departments/names", ("school", "operator"))).json["items"]
    assert [one["kind"] for one in own] == ["school"]


async def test_one_report_of_all_legs(api: Api, county: JointCounty, keyring: Keyring) -> None:
    async with transaction(county.pool) as conn:
        await make_contact(
            conn, keyring, county.sides[TELECOM].department_id, 0, now=county.now, carrier=TELECOM
        )
    made = await approved(api, county)
    for carrier in CARRIERS:
        leg = await leg_of(api, carrier)
        assert (await api.post(f"/legs/{leg['id']}/take", (carrier, "operator"), {})).status == 200
    county.now += timedelta(hours=1)
    await county.pass_time()
    county.plan = await county.loaded(UUID(made["id"]))
    for carrier in CARRIERS:
        await county.hand_off(carrier)
    report = (await api.get(f"/campaigns/{made['id']}/report", OPERATOR)).json
    assert report["total"]["target"] == 10
    assert report["total"]["states"] == {"submitting": 9, "suppressed": 1}
    assert report["fires"] == {"shared": 1}
    assert {c: f["target"] for c, f in report["by_carrier"].items()} == {
        MOBILE: 3,
        UNICOM: 3,
        TELECOM: 4,
    }
    legs = {leg["carrier"]: leg for leg in report["legs"]}
    assert legs[TELECOM]["states"] == {"submitting": 3, "suppressed": 1}
    assert legs[MOBILE]["sent_for_others"] == 1
    assert sum(leg["target"] for leg in legs.values()) == 10
    assert all(leg["towns_hidden"] for leg in legs.values())  # fewer than five people
    await one_entry_in_the_calendar(api, made["id"])
    beside = await api.get(f"/campaigns/{made['id']}/report", (UNICOM, "operator"))
    assert beside.json["legs"] == report["legs"]
    school = await api.get(f"/campaigns/{made['id']}/report", ("school", "operator"))
    assert school.status == 404
    for row in await messages_of(api, county, TELECOM):
        assert row["reason"] in {None, "same_text"}  # not that the person is on another list


async def one_entry_in_the_calendar(api: Api, plan_id: str) -> None:
    """The plan has one entry, with the people of all its legs; the day counts them once."""
    query = {"from": "2027-01-12", "to": "2027-01-12"}
    fires = (await api.get("/calendar", OPERATOR, params=query)).json["items"]
    assert [(f["campaign_id"], f["state"], f["people"]) for f in fires] == [(plan_id, "shared", 10)]
    (day,) = (await api.get("/calendar/days", ("county", "admin"), params=query)).json["items"]
    assert (day["fires"], day["people"]) == (4, 10)


async def messages_of(api: Api, county: JointCounty, carrier: str) -> list[dict[str, Any]]:
    run = await county.run_of(carrier)
    answer = await api.get(f"/runs/{run}/messages", (carrier, "operator"))
    found: list[dict[str, Any]] = answer.json["items"]
    return found


async def test_a_carriers_preview_reads_the_words_as_the_plans(
    api: Api, county: JointCounty
) -> None:
    """The signature is that of the plan's department, and blocks nothing."""
    async with transaction(county.pool) as conn:
        await policy_set(conn, {"levels": {"R02": "block"}}, "as shipped", None, county.now)
        office = api.teams["county"].department_id
        await register(conn, "signature", "旌德县反诈中心", office, by=None, now=county.now)
    await approved(api, county)
    leg, who = await leg_of(api, MOBILE), (MOBILE, "operator")
    own = (await api.post(f"/legs/{leg['id']}/take", who, {})).json["own_campaign_id"]
    shown = (await api.get(f"/campaigns/{own}/preview", who)).json
    assert "R02" not in {finding["rule"] for finding in shown["lint"]}


async def waiting_of(api: Api, who: tuple[str, str]) -> dict[str, list[tuple[Any, ...]]]:
    """What waits for somebody: id, department, code and reason of each, by kind."""
    kinds = (await api.get("/work", who)).json["items"]
    names = ("id", "department", "code", "reason")
    return {
        kind["kind"]: [tuple(item[name] for name in names) for item in kind["items"]]
        for kind in kinds
        if kind["items"]
    }


async def test_both_sides_find_a_fire_without_a_leg_in_their_work(
    api: Api, county: JointCounty
) -> None:
    made = await approved(api, county)
    legs = {carrier: await leg_of(api, carrier) for carrier in CARRIERS}
    await api.post(f"/legs/{legs[MOBILE]['id']}/take", (MOBILE, "operator"), {})
    why = {"reason": "网络割接"}
    await api.post(f"/legs/{legs[UNICOM]['id']}/return", (UNICOM, "operator"), why)
    await county.pass_time(timedelta(hours=1))
    gone = {
        carrier: (legs[carrier]["id"], f"{carrier} 旌德", f"leg_{state}", reason)
        for carrier, state, reason in ((UNICOM, "returned", "网络割接"), (TELECOM, "asked", None))
    }
    assert sorted((await waiting_of(api, OPERATOR))["left_out_legs"]) == sorted(gone.values())
    for carrier, item in gone.items():
        assert (await waiting_of(api, (carrier, "operator")))["left_out_legs"] == [item]
    assert "left_out_legs" not in await waiting_of(api, (MOBILE, "operator"))
    (fire,) = (await api.get(f"/campaigns/{made['id']}/fires", OPERATOR)).json["items"]
    assert fire["plain"] == {
        "zh": "由各方分别发送，缺china_unicom 旌德、china_telecom 旌德。",
        "en": "Its legs sent it; without china_unicom 旌德, china_telecom 旌德.",
    }

    api.clock.at = county.now = county.now + timedelta(minutes=20)
    took = await api.post(
        f"/legs/{legs[TELECOM]['id']}/take", (TELECOM, "operator"), {"missed": "run"}
    )
    assert took.status == 200, took.json
    await county.pass_time()
    assert (await waiting_of(api, OPERATOR))["left_out_legs"] == [gone[UNICOM]]
    (fire,) = (await api.get(f"/campaigns/{made['id']}/fires", OPERATOR)).json["items"]
    assert fire["plain"]["zh"].endswith("缺china_unicom 旌德，china_telecom 旌德事后补发。")

    await county.pool.execute("UPDATE runs SET state = 'sent', finished_at = $1", county.now)
    await county.pool.execute("UPDATE campaigns SET state = 'done' WHERE leg_of IS NOT NULL")
    await county.pass_time(timedelta(days=31))
    api.clock.at = county.now
    ended = (legs[UNICOM]["id"], "china_unicom 旌德", "leg_left_out", "网络割接")
    for who in (OPERATOR, (UNICOM, "operator")):
        assert (await waiting_of(api, who))["left_out_legs"] == [ended]


async def test_the_plans_side_is_told_of_legs_that_do_not_send(
    api: Api, county: JointCounty
) -> None:
    """By the plan's id: the campaign of a leg does not exist for it."""
    weekly = {"kind": "recurring", "start_at": (county.now + timedelta(hours=1)).isoformat()}
    made = await approved(api, county, schedule=weekly | {"rrule": "FREQ=WEEKLY;COUNT=6"})
    owns = {}
    for carrier in CARRIERS:
        leg, who = await leg_of(api, carrier), (carrier, "operator")
        owns[carrier] = (await api.post(f"/legs/{leg['id']}/take", who, {})).json["own_campaign_id"]
    await api.post(f"/campaigns/{owns[UNICOM]}/pause", (UNICOM, "operator"), {"reason": "割接"})
    await county.give(MOBILE, range(100, 105))
    await county.pass_time(timedelta(hours=1))
    await record_missed(county.pool, county.now + timedelta(minutes=20))
    held, missed = ("drifted", None), ("paused", None)
    waits = await waiting_of(api, OPERATOR)
    assert waits["holds"] == [(made["id"], "china_mobile 旌德", *held)]
    assert waits["missed_fires"] == [(made["id"], "china_unicom 旌德", *missed)]
    own = await waiting_of(api, (MOBILE, "operator"))
    assert "not_firing" not in waits | own  # what is held stands among the holds
    assert own["holds"] == [(owns[MOBILE], "china_mobile 旌德", *held)]
    assert await waiting_of(api, ("school", "operator")) == {}
    await api.post(f"/campaigns/{made['id']}/pause", OPERATOR, {"reason": "全部停"})
    assert "missed_fires" not in await waiting_of(api, OPERATOR)  # the plan itself stands still


async def foretold(api: Api, plan_id: str) -> list[tuple[int, dict[str, int]]]:
    """Of each fire to come: how many people it reaches, and who is left out for which reason."""
    found = (await api.get(f"/campaigns/{plan_id}/preview", OPERATOR)).json["forecast"]["fires"]
    return [(fire["target"], fire["excluded"]) for fire in found]


async def test_the_plan_of_the_documentation_reaches_its_people_each_week(
    api: Api, county: JointCounty
) -> None:
    """Its example, with texts and departments of this county in the places that it leaves open."""
    async with transaction(county.pool) as conn:
        await load_areas(conn)
    await county.pool.execute("UPDATE contacts SET area_code = '341825100000'")
    said = PAGE.read_text("utf-8")
    asked = said[said.index("--json '") + len("--json '") : said.index("}'\n```") + 1]
    texts = {}
    for number in range(1, 6):
        words = f"【旌德县反诈中心】第{number}条提醒：凡要求转账到安全账户的都是诈骗，请拨96110。"
        body = {"name": str(number), "class": "public_interest", "text": words}
        texts[f"<text {number}>"] = (await api.post("/templates", OPERATOR, body)).json["id"]
    carriers = {"<移动>": MOBILE, "<联通>": UNICOM}
    for place, carrier in carriers.items():
        texts[place] = str(county.sides[carrier].department_id)
    for place, given in texts.items():
        asked = asked.replace(place, given)
    body = json.loads(asked)
    body["schedule"]["start_at"] = (county.now + timedelta(hours=1)).isoformat()
    made = await api.post("/campaigns", OPERATOR, body)
    assert made.status == 201, made.json
    assert await foretold(api, made.json["id"]) == [(6, {})] * 5
    one = {"name": "一条", "template_id": body["template_id"], "more_texts": []}
    alone = await api.post("/campaigns", OPERATOR, body | one)
    assert await foretold(api, alone.json["id"]) == [(6, {}), *[(0, {"same_text": 6})] * 4]


async def test_a_plan_of_last_week_is_copied_with_its_legs_and_other_figures(
    api: Api, county: JointCounty
) -> None:
    words = "【旌德县公安局】一周通报：{周期}接报电诈{起数}起，损失{金额}，疑问拨96110。"
    template = await api.post("/templates", OPERATOR, {"name": "通报", "text": words})
    operator = api.teams["county"].operator.id
    async with api.runtime.pool.acquire() as conn:
        await give_bulletin(conn, operator, api.clock.at)
        await give_bulletin(conn, operator, api.clock.at, week="2026-W53", cases=9)
    first = await approved(api, county, template_id=template.json["id"], figures_from=WEEK)
    for carrier in CARRIERS:
        leg = await leg_of(api, carrier)
        assert (await api.post(f"/legs/{leg['id']}/take", (carrier, "operator"), {})).status == 200
    county.plan = await county.loaded(UUID(first["id"]))
    await county.pass_time(timedelta(hours=1))
    for carrier in CARRIERS:
        assert await county.hand_off(carrier) == {"submitting": 3}
    copy = (await api.post(f"/campaigns/{first['id']}/clone", OPERATOR, {})).json
    assert [leg["department_id"] for leg in copy["legs"]] == [
        leg["department_id"] for leg in first["legs"]
    ]
    at = (county.now + timedelta(days=7)).isoformat()
    later = {"schedule": {"kind": "once", "start_at": at}}
    assert (await api.patch(f"/campaigns/{copy['id']}", OPERATOR, later)).status == 200
    assert await foretold(api, copy["id"]) == [(0, {"same_text": 9})]
    changed = {"figures_from": "2026-W53"}
    edited = await api.patch(f"/campaigns/{copy['id']}", OPERATOR, changed)
    assert edited.status == 200, edited.json
    assert await foretold(api, copy["id"]) == [(9, {})]
    assert (await api.post(f"/campaigns/{copy['id']}/submit", OPERATOR)).status == 200
    agreed = await api.post(f"/campaigns/{copy['id']}/approve", APPROVER, {})
    assert (agreed.status, "接报电诈9起" in agreed.json["text"]) == (200, True)
    for carrier in CARRIERS:
        asked = (await api.get("/legs", (carrier, "operator"))).json["items"]
        assert [leg["state"] for leg in asked] == ["asked", "taken"]
