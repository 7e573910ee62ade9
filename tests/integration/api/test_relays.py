"""Relays: a text down the tree, answers, who is silent or cannot be reached, what it comes to."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from service.reports.weekly.relay_figures import relays_of
from tests.harness.chats import VILLAGE, add_group, approved_text, drop_person
from tests.harness.relayed import (
    DUE,
    OPERATOR,
    VIEWER,
    Station,
    answer,
    begin,
    begun,
    build,
    hand_off,
    nodes,
    shown,
    states,
    texts_of,
    turn,
)
from tests.integration.api.conftest import Answer, Api

DAY = timedelta(hours=24)
STRANGER = ("school", "operator")
ONE_EACH = dict.fromkeys(("a", "b", "g1", "g2", "g3", "g4", "g5"), 1)


def code(found: Answer) -> str:
    return str(found.json["type"]).removeprefix("/problems/")


async def silence(api: Api) -> None:
    """The due time is over."""
    api.clock.at = DUE
    await turn(api)


async def test_the_worked_example_comes_to_three_of_five(api: Api) -> None:
    """§16: station → a, b; a → g1 g2 g3, b → g4 g5. a, g1, g2 done, b silent; after 24 h g4."""
    station = await begun(api)
    assert await texts_of(api) == {"a": 1, "b": 1}
    tree = await nodes(api, station)
    assert [tree[name]["parent_no"] for name in ("g1", "g2", "g3")] == [tree["a"]["no"]] * 3
    assert [tree[name]["parent_no"] for name in ("g4", "g5")] == [tree["b"]["no"]] * 2
    await hand_off(api)
    await answer(api, "a", "1")
    await turn(api)
    assert await texts_of(api) == {"a": 1, "b": 1, "g1": 1, "g2": 1, "g3": 1}
    await hand_off(api)
    await answer(api, "g1", "1")
    await answer(api, "g2", " １。")
    await turn(api, DAY - timedelta(minutes=10))
    assert "g4" not in await texts_of(api), "b has its 24 hours"
    await turn(api, timedelta(minutes=10))
    assert await texts_of(api) == ONE_EACH
    tree = await nodes(api, station)
    assert [tree[name]["passed_over"] for name in ("g3", "g4", "g5")] == [False, True, True]
    await hand_off(api)
    await answer(api, "g4", "1")
    await silence(api)
    found = await shown(api, station)
    assert (found["confirmed"], found["groups"], found["confirmed_pct"]) == (3, 5, 60.0)
    at = await states(api, station)
    assert {name for name, state in at.items() if state == "silent"} == {"b", "g3", "g5"}
    assert found["state"] == "over"
    assert await texts_of(api) == ONE_EACH
    department = api.teams["county"].department_id
    async with api.runtime.pool.acquire() as conn:
        (figures,) = await relays_of(conn, [department], ["2027-W02"])
        assert await relays_of(conn, [department], ["2027-W03"]) == []
    assert (figures.groups, figures.confirmed) == (5, 3)


async def test_whoever_cannot_be_reached_lets_the_branch_go_on_at_once(api: Api) -> None:
    """E11: an empty number, a person on no list any more; nobody below is cut off."""
    station = await begun(api)
    await hand_off(api, "undelivered", "a")
    await turn(api)
    at = await states(api, station)
    assert (at["a"], at["g1"], at["g4"]) == ("unreachable", "sent", "waiting")
    tree = await nodes(api, station)
    assert (tree["a"]["why"], tree["g1"]["passed_over"]) == ("empty_number", True)
    await drop_person(api, station.people["g5"])
    await hand_off(api)
    await answer(api, "b", "1")
    await turn(api)
    tree = await nodes(api, station)
    assert (tree["g5"]["state"], tree["g5"]["why"]) == ("unreachable", "on_no_list")
    assert await texts_of(api) == {name: n for name, n in ONE_EACH.items() if name != "g5"}
    assert (await shown(api, station))["groups"] == 5, "a group without an owner counts, too"
    assert (await shown(api, station))["level_one_at"] is not None


async def test_an_owner_without_a_list_at_the_top_cuts_nobody_off(api: Api) -> None:
    """E11: the first level is on no list; those below get theirs in the same minute."""
    station = await build(api)
    begun_at = await begin(api, station)
    assert begun_at.status == 201
    station.relay = begun_at.json["id"]
    for name in ("a", "b"):
        await drop_person(api, station.people[name])
    await turn(api)
    at = await states(api, station)
    assert (at["a"], at["b"]) == ("unreachable", "unreachable")
    assert {at[name] for name in ("g1", "g2", "g3", "g4", "g5")} == {"sent"}


async def test_answers_twice_late_and_not_yet(api: Api) -> None:
    """E11: one text a place, but for who answered 2: asked once more the next morning, and once."""
    station = await begun(api)
    await hand_off(api)
    for said in ("1", "1", "2"):
        await answer(api, "a", said)
    await answer(api, "b", "2")
    await turn(api)
    assert (await states(api, station))["a"] == "done"
    first = (await nodes(api, station))["a"]["done_at"]
    assert (await texts_of(api))["b"] == 1
    await turn(api, timedelta(hours=22, minutes=30))  # 8:00 of the next morning
    assert (await texts_of(api))["b"] == 1
    await turn(api, timedelta(minutes=30))
    assert (await texts_of(api))["b"] == 2
    await hand_off(api)
    await answer(api, "b", "2")
    await turn(api, DAY)
    assert (await texts_of(api))["b"] == 2, "nobody is asked a third time"
    await hand_off(api)
    await silence(api)
    assert (await states(api, station))["g4"] == "silent"
    await answer(api, "g4", "1")
    await answer(api, "b", "1")
    await turn(api, timedelta(minutes=10))
    tree = await nodes(api, station)
    assert (tree["g4"]["state"], tree["g4"]["late"], tree["g4"]["via"]) == ("done", True, "sms")
    assert (tree["b"]["state"], tree["a"]["done_at"]) == ("done", first)
    found = await shown(api, station)
    assert (found["confirmed"], found["state"]) == (0, "over"), "late ones are not confirmed"
    others = {name: n for name, n in (await texts_of(api)).items() if name != "b"}
    assert others == {name: n for name, n in ONE_EACH.items() if name != "b"}


async def test_nine_is_a_clue_and_no_acknowledgement(api: Api) -> None:
    station = await begun(api)
    await hand_off(api)
    await answer(api, "a", "9")
    await turn(api)
    assert (await states(api, station))["a"] == "sent"
    kinds = await api.runtime.pool.fetch("SELECT kind FROM inbound_texts")
    assert [row["kind"] for row in kinds] == ["clue"]


async def test_the_page_and_the_one_above_acknowledge(api: Api) -> None:
    station = await begun(api)
    tree = await nodes(api, station)
    here = f"/relays/{station.relay}/nodes"
    wrong = await api.post(f"{here}/{tree['a']['no']}/done", OPERATOR, {"via": "parent"})
    assert wrong.status == 422
    assert (await api.post(f"{here}/99/done", OPERATOR, {})).status == 404
    for name, via in (("a", "page"), ("g1", "parent"), ("g1", "page")):
        done = await api.post(f"{here}/{tree[name]['no']}/done", OPERATOR, {"via": via})
        assert done.status == 200, done.body
    await turn(api)
    tree = await nodes(api, station)
    assert (tree["a"]["via"], tree["g1"]["via"]) == ("page", "parent")
    assert await texts_of(api) == {"a": 1, "b": 1, "g2": 1, "g3": 1}, "g1 needs none any more"
    open_ones = (await api.get(f"{here}?unanswered=true", VIEWER)).json["items"]
    assert {one["no"] for one in open_ones} == {tree[name]["no"] for name in ("b", "g2", "g3")}


async def test_who_owns_two_groups_gets_one_text_for_both(api: Api) -> None:
    station = await build(api)
    await add_group(api, name="g4副群", owner=station.people["g4"], area="341825100001")
    station.relay = (await begin(api, station)).json["id"]
    await turn(api)
    await hand_off(api)
    await answer(api, "a", "1")
    await turn(api)
    assert (await texts_of(api))["g4"] == 1, "the group below a is due, and the other one with it"
    await hand_off(api)
    await answer(api, "b", "1")
    await answer(api, "g4", "1")
    await turn(api)
    assert (await texts_of(api))["g4"] == 1
    found = await shown(api, station)
    assert (found["groups"], found["confirmed"]) == (6, 2), "the answer is for both"
    written = await api.runtime.pool.fetchval(
        "SELECT m.variables_cipher FROM messages m JOIN relay_nodes n"
        " ON n.run_id = m.run_id AND n.message_no = m.no WHERE n.contact_id = $1 LIMIT 1",
        station.people["g4"],
    )
    assert "g4副、g4群" in api.runtime.keyring.decrypt("variables", written)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("东门群", "西门群", "北门群"), "3个群"),
        (("东门小区第三居民小组群", "西门小区第三居民小组群"), "2个群"),
        (("加微信12345678", "西门群"), "2个群"),
        (("东门群", "西门群"), "东门、西门群"),
    ],
)
async def test_what_an_owner_of_several_groups_reads(
    api: Api, names: tuple[str, ...], said: str
) -> None:
    station = await build(api)
    groups = [station.groups["g4"]]
    for place in range(1, len(names)):
        group = await add_group(api, name=f"群{place}", owner=station.people["g4"], area=VILLAGE)
        groups.append(group)
    await api.runtime.pool.executemany(
        "UPDATE groups SET name = $2, area_code = $3 WHERE id = $1",
        [(group, name, VILLAGE) for group, name in zip(groups, names, strict=True)],
    )
    station.relay = (await begin(api, station, levels=["group_owner"])).json["id"]
    await turn(api)
    written = await api.runtime.pool.fetchval(
        "SELECT m.variables_cipher FROM messages m JOIN relay_nodes n"
        " ON n.run_id = m.run_id AND n.message_no = m.no WHERE n.group_id = $1",
        groups[0],
    )
    assert f'"{said}"' in api.runtime.keyring.decrypt("variables", written)


async def test_a_group_called_as_no_text_may_call_it_gets_the_text_all_the_same(api: Api) -> None:
    station = await build(api)
    await api.runtime.pool.execute(
        "UPDATE groups SET name = '加微信12345678' WHERE id = $1", station.groups["g4"]
    )
    station.relay = (await begin(api, station)).json["id"]
    await turn(api)
    await hand_off(api, "undelivered", "a", "b")
    await turn(api)
    assert await texts_of(api) == ONE_EACH


async def test_only_an_approved_service_text_of_ones_own_is_passed_on(api: Api) -> None:
    station = await build(api)
    body = {"name": "未批", "class": "service", "text": "【旌德县反诈中心】请转发。"}
    made = (await api.post("/templates", OPERATOR, body)).json["id"]
    for wrong in (
        {"template_id": made},
        {"version": 7},
        {"template_id": await approved_text(api, "【旌德县反诈中心】{乡镇}请转发，回复1。")},
        {"week": "2027-W99"},
        {"due_at": api.clock.at.isoformat()},
        {"levels": ["village_staff"]},
        {"levels": ["nobody", "group_owner"]},
        {"levels": ["group_owner", "group_owner"]},
        {"area": "999999999999"},
        {"area": "341825101000"},
    ):
        refused = await begin(api, station, **wrong)
        assert refused.status == 422, (wrong, refused.body)
        assert set(refused.json["fields"]) == {
            "area"
            if "area" in wrong
            else next(name if name != "version" else "template_id" for name in wrong)
        }
    assert (await begin(api, station)).status == 201
    again = await begin(api, station)
    assert (again.status, code(again)) == (409, "relayed_already")
    assert (await begin(api, station, area="341825100001")).status == 201


async def test_a_relay_is_ended_and_nobody_further_gets_its_text(api: Api) -> None:
    station = await begun(api)
    ended = await api.post(f"/relays/{station.relay}/cancel", OPERATOR, {"reason": "文本有误"})
    assert (ended.status, ended.json["state"]) == (200, "cancelled")
    left = await api.runtime.pool.fetchval("SELECT count(*) FROM messages WHERE state = 'queued'")
    assert left == 0
    await turn(api, DAY * 2)
    assert await texts_of(api) == {"a": 1, "b": 1}
    again = await api.post(f"/relays/{station.relay}/cancel", OPERATOR, {})
    assert (again.status, code(again)) == (409, "relay_over")
    assert (await begin(api, station)).status == 201, "after that it may be begun anew"


async def test_a_text_that_may_not_be_sent_any_more_holds_the_relay(api: Api) -> None:
    station = await build(api)
    station.relay = (await begin(api, station)).json["id"]
    await api.runtime.pool.execute("UPDATE departments SET classes = '{public_interest}'")
    await turn(api)
    found = await shown(api, station)
    assert (found["held_why"], await texts_of(api)) == ("class_not_allowed", {})
    await api.runtime.pool.execute("UPDATE departments SET classes = '{public_interest,service}'")
    await turn(api, timedelta(minutes=10))
    assert (await shown(api, station))["held_why"] == ""
    assert await texts_of(api) == {"a": 1, "b": 1}


async def test_twenty_schedulers_at_once_send_one_text_a_place(api: Api) -> None:
    station = await begun(api)
    await hand_off(api)
    await answer(api, "a", "1")
    api.clock.at += timedelta(minutes=5)
    await asyncio.gather(*(turn(api) for _ in range(20)))
    assert await texts_of(api) == {"a": 1, "b": 1, "g1": 1, "g2": 1, "g3": 1}
    runs = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM relay_runs WHERE relay_id = $1::text::uuid", station.relay
    )
    assert runs == 2


async def test_others_see_neither_the_relay_nor_its_people(api: Api) -> None:
    station = await begun(api)
    here = f"/relays/{station.relay}"
    for path in (here, f"{here}/nodes"):
        assert (await api.get(path, STRANGER)).status == 404
    assert (await api.post(f"{here}/nodes/1/done", STRANGER, {})).status == 404
    assert (await api.post(f"{here}/cancel", STRANGER, {})).status == 404
    assert (await api.get("/relays", STRANGER)).json["items"] == []


async def alarms(api: Api, query: str = "") -> Any:
    found = await api.get(f"/relays/alarms{query}", VIEWER)
    assert found.status == 200, found.body
    return found.json


@pytest.mark.parametrize("begins_in_time", [True, False])
async def test_a_station_that_began_none_by_sunday_evening_is_on_the_alarm_list(
    api: Api, begins_in_time: bool
) -> None:
    station: Station = await build(api)
    assert not (await alarms(api))["due"]
    if begins_in_time:
        assert (await begin(api, station)).status == 201
    api.clock.at = DUE + timedelta(minutes=1)
    if not begins_in_time:
        late = (DUE + timedelta(days=1)).isoformat()
        assert (await begin(api, station, due_at=late)).status == 201
    found = await alarms(api)
    assert (found["week"], found["due"], found["stations"]) == ("2027-W02", True, 1)
    assert [one["groups"] for one in found["items"]] == ([] if begins_in_time else [5])
    assert (await alarms(api, "?week=2027-W03"))["items"][0]["began_at"] is None
