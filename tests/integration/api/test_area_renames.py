"""An area gets another name by two persons, and only one that asks for nothing."""

from typing import Any

import pytest

from service.accounts.people.proposals import WAITS
from service.audience.areas.area_store import load_areas
from service.storage.postgres import CheckViolation, transaction
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")
TOWN = "/areas/341825100000"
OTHER = "/areas/341825101000"


@pytest.fixture(autouse=True)
async def areas(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)


async def confirm(api: Api, who: Any, shown: Answer, path: str = TOWN) -> Answer:
    return await api.post(f"{path}/renames/{shown.json['renaming']['id']}/confirm", who)


@pytest.mark.attack
async def test_nobody_renames_an_area_alone(api: Api) -> None:
    asked = await api.patch(TOWN, ADMIN, {"name": "旌阳新镇", "population": 7})
    assert (asked.status, asked.json["name"], asked.json["population"]) == (200, "旌阳镇", 7)
    assert asked.json["renaming"]["name"] == "旌阳新镇"
    assert asked.json["renaming"]["state"] == "pending"
    own = await confirm(api, ADMIN, asked)
    assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    assert (await confirm(api, ("school", "admin"), asked)).status == 403
    other = await second_admin(api)
    assert (await confirm(api, other, asked, OTHER)).status == 404
    assert (await api.get(TOWN, ADMIN)).json == asked.json
    done = await confirm(api, other, asked)
    assert (done.status, done.json["name"], done.json["renaming"]) == (200, "旌阳新镇", None)
    assert done.json["edited_by"] == str(api.teams["county"].admin.id)
    again = await confirm(api, other, asked)
    assert (again.status, again.json["type"]) == (409, "/problems/wrong_state")


@pytest.mark.attack
@pytest.mark.parametrize(
    "name",
    [
        "点t.cn/x报验证码镇",
        "请把验证码告诉民警镇",
        "旌阳镇，拨19790000001",
        "交保证金镇",
        "国务院总理镇",
        "旌阳",
    ],
)
async def test_no_area_is_given_a_name_that_asks_for_something(api: Api, name: str) -> None:
    for answer in (
        await api.patch(TOWN, ADMIN, {"name": name}),
        await api.post("/areas", ADMIN, {"parent": "341825000000", "name": name}),
    ):
        assert (answer.status, list(answer.json["fields"])) == (422, ["name"])
    assert (await api.get(TOWN, ADMIN)).json["renaming"] is None


async def test_a_name_that_was_replaced_or_waited_too_long_is_not_confirmed(api: Api) -> None:
    other = await second_admin(api)
    first = await api.patch(TOWN, ADMIN, {"name": "旌阳一镇"})
    second = await api.patch(TOWN, ADMIN, {"name": "旌阳二镇"})
    assert (await confirm(api, other, first)).status == 409
    back = await api.patch(TOWN, ADMIN, {"name": "旌阳镇"})
    assert back.json["renaming"] is None
    assert (await confirm(api, other, second)).status == 409
    third = await api.patch(TOWN, ADMIN, {"name": "旌阳三镇"})
    api.clock.at += WAITS
    assert (await api.get(TOWN, ADMIN)).json["renaming"]["state"] == "expired"
    assert (await confirm(api, other, third)).status == 409


async def test_of_two_areas_side_by_side_one_gets_the_name(api: Api) -> None:
    taken = await api.patch(TOWN, ADMIN, {"name": "蔡家桥镇"})
    assert (taken.status, taken.json["type"]) == (409, "/problems/area_exists")
    other = await second_admin(api)
    one = await api.patch(TOWN, ADMIN, {"name": "新镇"})
    two = await api.patch(OTHER, ADMIN, {"name": "新镇"})
    assert (await confirm(api, other, one)).status == 200
    refused = await confirm(api, other, two, OTHER)
    assert (refused.status, refused.json["type"]) == (409, "/problems/area_exists")


@pytest.mark.attack
async def test_the_database_wants_two_persons_for_a_name_too(api: Api) -> None:
    await api.patch(TOWN, ADMIN, {"name": "旌阳新镇"})
    with pytest.raises(CheckViolation, match="area_renames_two_persons"):
        await api.runtime.pool.execute(
            "UPDATE area_renames SET confirmed_by = proposed_by, confirmed_at = proposed_at"
        )
