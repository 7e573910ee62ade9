"""Places: registered, ticked by the mark below the words, counted by town beside the texts."""

from datetime import timedelta
from typing import Any

import pytest

from service.audience.areas.area_store import load_areas
from service.messages.wordings import wordings
from service.storage.postgres import transaction
from tests.harness.offers import approved
from tests.integration.api.conftest import Answer, Api

OPERATOR, SCHOOL, ADMIN = ("county", "operator"), ("school", "operator"), ("county", "admin")
TOWN, VILLAGE = "341825100000", "341825100001"
BOARD = {"kind": "poster", "name": "村委会公告栏", "area": VILLAGE}


@pytest.fixture
async def mark(api: Api) -> str:
    """The mark of a poster of the county's."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        team = api.teams["county"]
        text = await approved(conn, team, api.clock.at)
        await wordings.add(conn, team.operator, text.id, text.no, "poster", api.clock.at)
        no = await conn.fetchval("SELECT no FROM template_numbers WHERE template_id = $1", text.id)
    return f"T{no}-{text.no}"


async def add(api: Api, who: tuple[str, str] = SCHOOL, **more: Any) -> Any:
    answer = await api.post("/places", who, BOARD | more)
    assert answer.status == 201, answer.body
    return answer.json


async def tick(api: Api, place: Any, **body: Any) -> Answer:
    return await api.post(f"/places/{place['id']}/tick", SCHOOL, body)


async def counts(api: Api, **query: str) -> Any:
    answer = await api.get("/reports/places", ADMIN, params=query)
    assert answer.status == 200, answer.body
    return answer.json


async def test_what_stands_there_is_known_by_its_mark(api: Api, mark: str) -> None:
    place = await add(api)
    assert (place["mark"], place["put_up"], place["may_tick"]) == (None, [], True)
    ticked = await tick(api, place, mark=mark.lower())
    assert ticked.status == 200, ticked.body
    assert (ticked.json["mark"], ticked.json["since"]) == (mark, "2027-01-12")
    api.clock.at += timedelta(days=3)
    down = await tick(api, place, mark=None)
    assert (down.json["mark"], down.json["since"]) == (None, None)
    assert [one["mark"] for one in down.json["put_up"]] == [None, mark]


async def test_only_words_that_may_be_put_up_there_are_ticked(api: Api, mark: str) -> None:
    screen = await add(api, kind="led")
    for wrong in (mark, "T99-1", "x", "T1-99"):
        refused = await tick(api, screen, mark=wrong)
        assert refused.status == 422, refused.body
        assert "mark" in refused.json["fields"]
    await api.runtime.pool.execute("UPDATE wordings SET same_words = false")
    refused = await tick(api, await add(api), mark=mark)
    assert refused.status == 422, "other words, and nobody has approved them"
    ahead = await tick(api, screen, mark=mark, on="2027-02-01")
    assert "on" in ahead.json["fields"]


async def test_places_are_counted_by_town_on_the_days_asked_for(api: Api, mark: str) -> None:
    shown, bare = await add(api), await add(api, name="另一块")
    await add(api, kind="led", area=TOWN)
    assert (await tick(api, shown, mark=mark)).status == 200
    found = await counts(api)
    assert (found["places"], found["shown"]) == (3, 1)
    assert [(i["area"], i["kind"], i["places"], i["shown"]) for i in found["items"]] == [
        (TOWN, "led", 1, 0),
        (TOWN, "poster", 2, 1),
    ]
    before = await counts(api, **{"from": "2027-01-01", "to": "2027-01-11"})
    assert (before["places"], before["shown"]) == (0, 0), "it was no place yet"
    api.clock.at += timedelta(days=10)
    assert (await tick(api, shown, mark=None)).status == 200
    assert (await tick(api, bare, mark=mark)).status == 200
    later = await counts(api, **{"from": "2027-01-25", "to": "2027-01-31"})
    assert later["shown"] == 1, "of the two one was taken down"
    both = await counts(api, **{"from": "2027-01-12", "to": "2027-01-31"})
    assert both["shown"] == 2
    coverage = await api.get("/reports/coverage?quarter=2027-Q1", OPERATOR)
    assert coverage.status == 404, "no text was sent: places are in no number of it"


async def test_a_place_that_is_none_any_more(api: Api, mark: str) -> None:
    place = await add(api)
    twice = await api.post("/places", SCHOOL, BOARD)
    assert (twice.status, twice.json["type"]) == (409, "/problems/place_exists")
    ended = await api.post(f"/places/{place['id']}/end", SCHOOL)
    assert (ended.json["until_on"], ended.json["may_tick"]) == ("2027-01-12", False)
    assert (await tick(api, place, mark=mark)).status == 409
    assert (await counts(api, **{"from": "2027-01-13", "to": "2027-01-31"}))["places"] == 0


async def test_a_department_ticks_its_own_and_an_administrator_sees_all(
    api: Api, mark: str
) -> None:
    place = await add(api)
    other = await api.post(f"/places/{place['id']}/tick", OPERATOR, {"mark": mark})
    assert other.status == 404
    seen = await api.get(f"/places/{place['id']}", ADMIN)
    assert (seen.status, seen.json["may_tick"]) == (200, False)
    own = await add(api, OPERATOR)
    hidden = await api.get(f"/places/{own['id']}", SCHOOL)
    assert hidden.status == 404
    listed = (await api.get(f"/places?area={TOWN}&kind=poster", ADMIN)).json["items"]
    assert {one["id"] for one in listed} == {own["id"], place["id"]}
    nowhere = await api.post("/places", SCHOOL, BOARD | {"area": "999999999999"})
    assert nowhere.status == 422
