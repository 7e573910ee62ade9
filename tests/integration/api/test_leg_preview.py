"""How many people a joint plan would reach, counted before there is one; what may be done with a
leg; and a plan that becomes a joint one.
"""

from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.crypto import Keyring
from service.messages.lint.lint_store import policy_set
from service.storage.postgres import Pool, transaction
from tests.factories import make_segment
from tests.harness.joint import CARRIERS, MOBILE, TELECOM, UNICOM, JointCounty
from tests.harness.joint_api import (
    APPROVER,
    OPERATOR,
    a_template,
    approved,
    empty_county,
    joint_county,
    leg_of,
    plan,
)
from tests.integration.api.conftest import Api

TOWN, OTHER = "341825100000", "341825101000"


def asked(county: JointCounty, **areas: list[str]) -> dict[str, Any]:
    legs = [
        {"department_id": str(side.department_id), "areas": areas.get(carrier, [])}
        for carrier, side in county.sides.items()
    ]
    return {"legs": legs, "class": "public_interest"}


@pytest.fixture
async def bases(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    """Bases of 30, 40 and 12 people, half of them in each of two towns."""
    county = await empty_county(api, pool, keyring)
    async with transaction(pool) as conn:
        await load_areas(conn)
    for number, (carrier, people) in enumerate(zip(CARRIERS, (30, 40, 12), strict=True)):
        first = number * 100
        await county.give(carrier, range(first, first + people // 2), area_code=TOWN)
        await county.give(carrier, range(first + 50, first + 50 + people // 2), area_code=OTHER)
    return county


async def counted(api: Api, body: dict[str, Any]) -> tuple[int | None, list[int | None]]:
    answer = await api.post("/legs/preview", OPERATOR, body)
    assert answer.status == 200, answer.json
    return answer.json["people"], [one["people"] for one in answer.json["items"]]


async def test_each_leg_is_counted_and_all_of_them(api: Api, bases: JointCounty) -> None:
    assert await counted(api, asked(bases)) == (82, [30, 40, 12])
    assert await counted(api, asked(bases, **{MOBILE: [TOWN]})) == (67, [15, 40, 12])


@pytest.mark.attack
async def test_no_small_count_is_shown_or_found_out(api: Api, bases: JointCounty) -> None:
    async with transaction(bases.pool) as conn:
        await policy_set(conn, {"small_count": 13}, "r", None, bases.now)
    whole, parts = await counted(api, asked(bases))
    assert whole == 82
    assert parts == [None, None, None], "with two of them the third is their difference"
    alone = {"legs": [{"department_id": str(bases.sides[TELECOM].department_id)}]}
    assert await counted(api, alone) == (None, [None])


async def test_only_the_county_and_the_police_count_across_departments(
    api: Api, bases: JointCounty
) -> None:
    answer = await api.post("/legs/preview", ("school", "operator"), asked(bases))
    assert (answer.status, "legs" in answer.json["fields"]) == (422, True)
    assert (await api.post("/legs/preview", (UNICOM, "operator"), asked(bases))).status == 422
    wrong = await api.post("/legs/preview", OPERATOR, asked(bases, **{UNICOM: ["1" * 12]}))
    assert (wrong.status, [*wrong.json["fields"]]) == (422, ["legs.1.areas"])


@pytest.fixture
async def county(api: Api, pool: Pool, keyring: Keyring) -> JointCounty:
    return await joint_county(api, pool, keyring)


async def acts(api: Api, who: tuple[str, str], leg_id: str) -> dict[str, str | None]:
    """Each act of a leg: null if the caller could do it now, else why not."""
    shown = (await api.get(f"/legs/{leg_id}", who)).json["acts"]
    return {one["act"]: None if one["allowed"] else one["code"] for one in shown}


async def test_what_may_be_done_with_a_leg_is_what_the_act_itself_allows(
    api: Api, county: JointCounty
) -> None:
    await approved(api, county)
    leg = (await leg_of(api, MOBILE))["id"]
    own, planner = (MOBILE, "operator"), OPERATOR
    states: dict[str, list[tuple[tuple[str, str], str, dict[str, str]]]] = {
        "asked": [],
        "returned": [(own, "return", {"reason": "割接"})],
        "taken": [(planner, "ask", {}), (own, "take", {})],
    }
    for state, steps in states.items():
        for who, act, body in steps:
            assert (await api.post(f"/legs/{leg}/{act}", who, body)).status == 200, act
        for who in (own, planner, APPROVER):
            for act, code in (await acts(api, who, leg)).items():
                if code is None:
                    continue
                refused = await api.post(f"/legs/{leg}/{act}", who, {"reason": "r"})
                kind = refused.json["type"].rpartition("/")[2]
                assert (refused.status in {403, 409}, kind) == (True, code), (state, who, act)
    assert await acts(api, own, leg) == {
        "take": "wrong_state", "return": "wrong_state", "ask": "not_your_leg"
    }  # fmt: skip


async def test_whom_the_leg_means_is_a_rule_of_its_own_department(
    api: Api, county: JointCounty
) -> None:
    await approved(api, county)
    leg = await leg_of(api, MOBILE)
    shown = (await api.get(f"/legs/{leg['id']}", (MOBILE, "operator"))).json
    assert (await acts(api, (MOBILE, "operator"), leg["id"]))["take"] is None
    counted = await api.post("/segments/preview", (MOBILE, "operator"), {"rule": shown["rule"]})
    assert counted.json["target"] == 3


async def test_legs_and_a_segment_take_each_others_place(api: Api, county: JointCounty) -> None:
    made = (await api.post("/campaigns", OPERATOR, plan(county, await a_template(api)))).json
    async with transaction(county.pool) as conn:
        segment = await make_segment(conn, county.team.operator, now=county.now)
    at = f"/campaigns/{made['id']}"
    edited = await api.patch(at, OPERATOR, {"segment_id": str(segment.id)})
    assert (edited.status, edited.json["legs"]) == (200, []), edited.json
    assert (await api.get(f"{at}/legs", OPERATOR)).json["items"] == []
    edited = await api.patch(at, OPERATOR, {"legs": plan(county, "")["legs"]})
    assert (edited.status, edited.json["segment_id"], len(edited.json["legs"])) == (200, None, 3)
    both = {"segment_id": str(segment.id), "legs": plan(county, "")["legs"]}
    assert (await api.patch(at, OPERATOR, both)).status == 422
