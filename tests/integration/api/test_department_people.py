"""A department's liaison and leader in charge: named, replaced, hidden, erased, let go of."""

from datetime import timedelta
from typing import Any

import pytest

from service.privacy.erasure_store import delete_left_behind
from service.privacy.retention import RetentionTerms, let_go
from service.storage.postgres import one as one_row
from service.storage.postgres import transaction
from tests.harness.clocks import HandClock
from tests.integration.api.conftest import Answer, Api

ADMIN, OPERATOR = ("county", "admin"), ("county", "operator")
SCHOOL = ("school", "admin")
LI = {"name": "李四", "phone": "197 9000 0001"}
WANG = {"name": "王小明", "phone": "19790000002"}
ZHAO = {"name": "赵六", "phone": "19790000003"}
WHY = {"reason": "来函要求"}


def path(api: Api, team: str = "school") -> str:
    return f"/departments/{api.teams[team].department_id}/people"


async def put(api: Api, body: dict[str, Any], who: tuple[str, str] = SCHOOL) -> Answer:
    return await api.call("PUT", path(api), who, json=body)


async def shown(api: Api, who: tuple[str, str] = SCHOOL) -> Any:
    answer = await api.get(path(api), who)
    assert answer.status == 200, answer.body
    return answer.json


async def test_both_are_named_by_the_own_administrator(api: Api) -> None:
    assert (await shown(api))["missing"] == ["liaison", "leader"]
    answer = await put(api, {"liaison": LI, "leader": WANG})
    assert answer.status == 200, answer.body
    found = [(one["duty"], one["name"], one["phone"]) for one in answer.json["items"]]
    assert found == [("liaison", "李四", "197****0001"), ("leader", "王小明", "197****0002")]
    assert (answer.json["missing"], answer.json["history"]) == ([], [])
    row = one_row(await api.runtime.pool.fetchrow("SELECT * FROM department_people LIMIT 1"))
    assert b"19790000001" not in row["phone_cipher"]
    assert "李四".encode() not in row["name_cipher"]


async def test_a_replacement_keeps_who_it_was_and_since_when(api: Api) -> None:
    await put(api, {"liaison": LI, "leader": WANG})
    began = api.clock.at
    api.clock.at += timedelta(days=30)
    answer = await put(api, {"liaison": ZHAO})
    assert [one["name"] for one in answer.json["items"]] == ["赵六", "王小明"], "the leader stays"
    (before,) = answer.json["history"]
    assert (before["name"], before["duty"]) == ("李四", "liaison")
    assert before["until"] == answer.json["items"][0]["since"]
    assert before["since"] == answer.json["items"][1]["since"]
    api.clock.at += timedelta(days=1)
    again = await put(api, {"liaison": ZHAO})
    assert again.json == answer.json, "whoever is named anew has had the duty all the time"
    ended = await put(api, {"leader": None})
    assert (ended.json["missing"], len(ended.json["history"])) == (["leader"], 2)
    assert began < api.clock.at


async def test_who_may_name_them(api: Api) -> None:
    assert (await put(api, {"liaison": LI}, ADMIN)).status == 200
    assert (await put(api, {"liaison": LI}, OPERATOR)).status == 403
    county = f"/departments/{api.teams['county'].department_id}/people"
    stranger = await api.call("PUT", county, SCHOOL, json={"liaison": LI})
    assert stranger.status == 404
    assert (await api.get(county, SCHOOL)).status == 404
    below = api.teams["county"].department_id
    await api.runtime.pool.execute(
        "UPDATE departments SET parent_id = $1 WHERE id = $2",
        api.teams["school"].department_id,
        below,
    )
    seen = await api.get(county, SCHOOL)
    assert (seen.status, seen.json["may_set"]) == (200, False)
    refused = await api.call("PUT", county, SCHOOL, json={"liaison": LI})
    assert refused.status == 403
    assert "its own administrator" in refused.json["detail"]


async def test_the_leader_in_charge_is_not_the_liaison(api: Api) -> None:
    for first, second in (
        ({"liaison": LI, "leader": LI}, None),
        ({"liaison": LI}, {"leader": {"name": "李", "phone": "+86 19790000001"}}),
    ):
        answer = await put(api, first)
        answer = answer if second is None else await put(api, second)
        assert answer.status == 422
        assert list(answer.json["fields"]) == ["leader.phone"]
    assert (await shown(api))["missing"] == ["leader"]


@pytest.mark.parametrize(
    ("person", "field"),
    [
        ({"name": "李四", "phone": "0563-8601234"}, "liaison.phone"),
        ({"name": "李四 13800", "phone": "19790000001"}, "liaison.name"),
        ({"name": "李四"}, "liaison"),
        ({"name": "李四", "contact_id": "01a00000-0000-7000-8000-000000000000"}, "liaison"),
        ({"contact_id": "01a00000-0000-7000-8000-000000000000"}, "liaison.contact_id"),
    ],
)
async def test_what_is_no_person_is_refused(api: Api, person: dict[str, str], field: str) -> None:
    answer = await put(api, {"leader": WANG, "liaison": person})
    assert answer.status == 422
    assert list(answer.json["fields"]) == [field]
    assert (await shown(api))["items"] == [], "nor is the leader named"


async def test_a_contact_of_the_department_is_named_by_its_id(api: Api) -> None:
    person = {"phone": "19790000009", "name": "孙七", "roster": "联络员", "roles": ["liaison"]}
    made = await api.post(
        "/contacts", ("school", "operator"), person | {"expires_on": "2027-12-31"}
    )
    assert made.status == 201, made.body
    answer = await put(api, {"liaison": {"contact_id": made.json["id"]}})
    (one,) = answer.json["items"]
    assert (one["name"], one["phone"]) == ("孙七", "197****0009")
    other = await api.call(
        "PUT", path(api, "county"), ADMIN, json={"liaison": {"contact_id": made.json["id"]}}
    )
    assert other.status == 422, "it is a contact of another department"


async def test_departments_without_either_are_listed(api: Api) -> None:
    await put(api, {"liaison": LI})
    found = (await api.get("/departments/without-people", ADMIN)).json["items"]
    missing = {one["id"]: one["missing"] for one in found}
    assert missing[str(api.teams["school"].department_id)] == ["leader"]
    assert missing[str(api.teams["county"].department_id)] == ["liaison", "leader"]
    own = (await api.get("/departments/without-people", SCHOOL)).json["items"]
    assert [one["id"] for one in own] == [str(api.teams["school"].department_id)]
    await put(api, {"leader": WANG})
    assert (await api.get("/departments/without-people", SCHOOL)).json["items"] == []


async def test_an_erasure_reaches_them(api: Api) -> None:
    await put(api, {"liaison": LI, "leader": WANG})
    await put(api, {"leader": ZHAO})
    looked = await api.post("/privacy/lookup", ADMIN, {"phone": LI["phone"], **WHY})
    assert [one["duty"] for one in looked.json["duties"]] == ["liaison"]
    for person in (LI, WANG):
        done = await api.post("/privacy/erase", ADMIN, {"phone": person["phone"], **WHY})
        assert (done.status, done.json["duties"]) == (200, 1)
    found = await shown(api)
    assert [(one["duty"], one["name"]) for one in found["items"]] == [("leader", "赵六")]
    assert found["missing"] == ["liaison"], "it is nobody's until somebody else is named"
    assert [(one["name"], one["phone"]) for one in found["history"]] == [(None, None)] * 2
    kept = "SELECT count(*) FROM department_people WHERE phone_hash IS NOT NULL"
    assert await api.runtime.pool.fetchval(kept) == 1


async def test_a_duty_that_was_just_being_written_ends_with_the_next_turn(api: Api) -> None:
    """The erasure did not see it, for its transaction was not over."""
    assert (await api.post("/privacy/erase", ADMIN, {"phone": LI["phone"], **WHY})).status == 200
    await put(api, {"liaison": LI})
    async with transaction(api.runtime.pool) as conn:
        assert await delete_left_behind(conn) == 1
    assert (await shown(api))["missing"] == ["liaison", "leader"]
    api.clock.at += timedelta(seconds=1)
    await put(api, {"liaison": LI})
    async with transaction(api.runtime.pool) as conn:
        assert await delete_left_behind(conn) == 0, "whoever is named later stays"


async def test_whoever_had_a_duty_long_ago_is_let_go_of(api: Api) -> None:
    terms = RetentionTerms()
    await put(api, {"liaison": LI})
    await put(api, {"liaison": WANG})
    assert isinstance(api.clock, HandClock)
    now = api.clock.at + terms.numbers
    assert "former_people" not in await let_go(api.runtime.pool, api.runtime.keyring, terms, now)
    now += timedelta(seconds=1)
    done = await let_go(api.runtime.pool, api.runtime.keyring, terms, now)
    assert done["former_people"] == 1
    found = await shown(api)
    assert [one["name"] for one in found["items"]] == ["王小明"], "whoever has it now stays"
    assert [one["name"] for one in found["history"]] == [None]
