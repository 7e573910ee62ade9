"""What a relay would come to, before it begins: as its tree is frozen and its text sent then."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.audience.suppressions.suppression_store import insert_suppressions
from service.campaigns.audience.reader_values import masked
from service.campaigns.calendar.schedule import DEFAULT_HOURS
from service.clock import CHINA
from service.dispatch.compose import VARIABLES
from service.messages.template import render
from service.storage.postgres import transaction
from tests.factories import phone, suppression
from tests.harness.chats import TEXT, VILLAGE, add_group, drop_person
from tests.harness.relayed import (
    DUE,
    NUMBERS,
    OPERATOR,
    Station,
    answer,
    begin,
    build,
    hand_off,
    nodes,
    shown,
    texts_of,
    turn,
)
from tests.integration.api.conftest import Answer, Api


def asked(station: Station) -> dict[str, Any]:
    """What `begin` asks for."""
    return {
        "template_id": station.template,
        "version": 1,
        "week": "2027-W02",
        "due_at": DUE.isoformat(),
    }


async def preview(api: Api, station: Station, **more: Any) -> Answer:
    """What the relay that `begin` begins would come to."""
    return await api.post("/relays/preview", OPERATOR, {**asked(station), **more})


async def mixed(api: Api) -> Station:
    """a has four groups below, of which two are of one owner; g3 has opted out, and g4 is on no
    list any more.
    """
    station = await build(api)
    station.groups["more"] = await add_group(
        api, name="另一群", owner=station.people["g1"], area=VILLAGE
    )
    await drop_person(api, station.people["g4"])
    keyring = api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        out = keyring.phone_index(phone(NUMBERS["g3"]))
        await insert_suppressions(conn, [out], suppression("opted_out"), api.clock.at)
    return station


async def test_a_preview_counts_what_is_frozen_and_sent_then(api: Api) -> None:
    station = await mixed(api)
    answered = await preview(api, station)
    assert answered.status == 200, answered.body
    foreseen = answered.json
    station.relay = (await begin(api, station)).json["id"]
    frozen = await shown(api, station)
    assert (foreseen["groups"], foreseen["groups_without_owner"]) == (frozen["groups"], 1)
    assert [(one["role"], one["all"]) for one in foreseen["by_level"]] == [
        (one["role"], one["all"]) for one in frozen["by_level"]
    ]
    await turn(api)
    first = await api.runtime.pool.fetchval(
        "SELECT variables_cipher FROM messages WHERE phone_hash = $1",
        api.runtime.keyring.phone_index(phone(NUMBERS["a"])),
    )
    values = json.loads(api.runtime.keyring.decrypt(VARIABLES, first))
    assert values["群名"] == "4个群"
    read = render(TEXT, values | {"姓名": masked(values["姓名"])})
    assert foreseen["text"]["text"] == read
    assert foreseen["text"]["characters"] == len(render(TEXT, values))
    await hand_off(api)
    for name in ("a", "b"):
        await answer(api, name, "1")
    await turn(api)
    sent = await texts_of(api)
    assert sent == dict.fromkeys(("a", "b", "g1", "g2", "g5"), 1)
    assert foreseen["texts"] == len(sent)
    assert [one["texts"] for one in foreseen["by_level"]] == [2, 3]
    lost = {name: one["why"] for name, one in (await nodes(api, station)).items() if one["why"]}
    assert Counter(lost.values()) == foreseen["excluded"] == {"on_no_list": 1, "opted_out": 1}
    assert foreseen["people"] == foreseen["texts"] + 2
    assert [one["people"] for one in foreseen["by_level"]] == [2, 5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"week": "2027-W99"},
        {"due_at": "2027-03-01T20:00:00+08:00"},
        {"version": 2},
        {"levels": ["nobody", "group_owner"]},
        {"levels": ["village_staff"]},
        {"area": "999999999999"},
        {"area": "341825101000"},
    ],
)
async def test_what_is_refused_is_refused_before(api: Api, wrong: dict[str, Any]) -> None:
    station = await build(api)
    before, then = await preview(api, station, **wrong), await begin(api, station, **wrong)
    assert before.status == then.status == 422
    assert before.json["fields"] == then.json["fields"]


async def test_a_preview_tells_of_the_relay_that_went_and_of_what_holds_the_text(api: Api) -> None:
    station = await build(api)
    assert (await preview(api, station)).json["relay_id"] is None
    made = (await begin(api, station)).json["id"]
    assert (await preview(api, station)).json["relay_id"] == made
    assert (await preview(api, station, area=VILLAGE)).json["relay_id"] is None
    assert (await preview(api, station, week="2027-W03")).json["relay_id"] is None
    await api.post(f"/relays/{made}/cancel", OPERATOR, {})
    await api.runtime.pool.execute("UPDATE departments SET classes = '{public_interest}'")
    found = (await preview(api, station)).json
    assert (found["relay_id"], found["held_why"]) == (None, "class_not_allowed")


async def test_a_preview_begins_in_the_send_hours_and_changes_nothing(api: Api) -> None:
    station = await build(api)
    kept = "SELECT (SELECT count(*) FROM relays) + (SELECT count(*) FROM runs)"
    trail = "SELECT count(*) FROM audit_entries"
    entries = await api.runtime.pool.fetchval(trail)
    by_day = (await preview(api, station)).json
    assert datetime.fromisoformat(by_day["begins_at"]) == api.clock.at
    api.clock.at += timedelta(hours=14)
    by_night = (await preview(api, station)).json
    opens = datetime.fromisoformat(by_night["begins_at"])
    assert api.clock.at < opens < api.clock.at + timedelta(hours=14)
    assert f"{opens.astimezone(CHINA):%H:%M}" == DEFAULT_HOURS[0][0]
    assert await api.runtime.pool.fetchval(kept) == 0
    assert await api.runtime.pool.fetchval(trail) == entries


async def test_a_relay_that_is_begun_twice_at_once_is_one(api: Api) -> None:
    station = await build(api)
    made, refused = sorted(
        await asyncio.gather(begin(api, station), begin(api, station)), key=lambda one: one.status
    )
    assert (made.status, refused.status) == (201, 409)
    assert refused.json["type"] == "/problems/relayed_already"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM relays") == 1
    places = await api.runtime.pool.fetchval("SELECT count(*) FROM relay_nodes")
    assert places == len(NUMBERS)


async def test_a_key_of_a_press_answers_the_same_relay(api: Api) -> None:
    station = await build(api)
    key = {"headers": {"Idempotency-Key": "press"}}
    body = asked(station)
    first = await api.post("/relays", OPERATOR, body, **key)
    again = await api.post("/relays", OPERATOR, body, **key)
    assert (first.status, again.status) == (201, 201), again.body
    assert first.json["id"] == again.json["id"]
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM relays") == 1
