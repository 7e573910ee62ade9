"""Direct sends keep to what the department and the key may use."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from service.accounts.people.proposals import WAITS
from service.storage.postgres import COLLISIONS, CheckViolation, transaction
from tests.factories import make_contact, phone
from tests.harness.channels import channel
from tests.harness.keys import ADMIN, active_key, second_admin
from tests.harness.signatures import register_signature
from tests.integration.api.conftest import Api

WORDS = "【旌德县教体局】家长会改在周五下午三点，地点不变。"
SEND: dict[str, Any] = {"role": "admin", "scopes": ["send:text"]}


@pytest.fixture(autouse=True)
async def channel_id(api: Api) -> int:
    await register_signature(api, api.teams["county"].department_id, "旌德县教体局")
    return await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")


async def send(api: Api, token: str, *numbers: int) -> tuple[int, dict[str, Any]]:
    body = {"to": [phone(n) for n in numbers], "text": WORDS}
    answer = await api.post("/messages", token, body)
    return answer.status, answer.json


def refused(body: dict[str, Any]) -> list[tuple[int, str]]:
    return [(item["index"], item["reason"]) for item in body["rejected"]]


@pytest.mark.attack
async def test_a_trial_key_reaches_guests_only(api: Api) -> None:
    key = await active_key(api, mode="trial", **SEND)
    await api.post("/guests", ADMIN, {"phones": [phone(2)]})
    status, body = await send(api, key["token"], 1, 2)
    assert (status, body["accepted"], refused(body)) == (202, 1, [(0, "not_a_guest")])


@pytest.mark.attack
async def test_a_test_key_goes_through_everything_and_sends_nothing(api: Api) -> None:
    key = await active_key(api, mode="test", **SEND)
    status, body = await send(api, key["token"], 1, 2)
    assert (status, body["accepted"]) == (202, 2)
    report = (await api.get(f"/runs/{body['run_id']}/report", ADMIN)).json
    assert (report["target"], report["states"]) == (2, {"cancelled": 2})
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM slices") == 0


async def test_a_key_sends_to_no_other_rosters_and_areas(api: Api) -> None:
    county = api.teams["county"].department_id
    areas = {1: "341825100000", 2: "341825200000", 3: None}
    async with transaction(api.runtime.pool) as conn:
        await conn.execute(
            "INSERT INTO areas (code, name, level) VALUES ('341825100000', 'a', 'town'),"
            " ('341825200000', 'b', 'town')"
        )
        for number, code in areas.items():
            await make_contact(
                conn, api.runtime.keyring, county, number, now=api.clock.at, area_code=code
            )
        roster = await conn.fetchval(
            "INSERT INTO rosters (department_id, name, basis, expires_on)"
            " VALUES ($1, '家长', 'duty', '2030-01-01') RETURNING id",
            county,
        )
        await conn.execute(
            "INSERT INTO links (contact_id, roster_id, digest, roles)"
            " SELECT id, $2, '', '{}' FROM contacts WHERE phone_hash = $1",
            api.runtime.keyring.phone_index(phone(3)),
            roster,
        )
    by_area = await active_key(api, area_codes=["341825100000"], **SEND)
    _, body = await send(api, by_area["token"], 1, 2, 3, 4)
    assert refused(body) == [(1, "outside_key"), (2, "outside_key"), (3, "outside_key")]
    by_roster = await active_key(api, rosters=["家长"], **SEND)
    _, body = await send(api, by_roster["token"], 1, 2, 3, 4)
    assert refused(body) == [(0, "outside_key"), (1, "outside_key"), (3, "outside_key")]
    await api.patch(f"/departments/{county}", ADMIN, {"area_code": "341825200000"})
    _, body = await send(api, api.tokens[ADMIN], 1, 2, 3)
    assert refused(body) == [(0, "outside_area")]


async def test_a_department_keeps_to_its_classes_channels_and_signature(
    api: Api, channel_id: int
) -> None:
    path = f"/departments/{api.teams['county'].department_id}"
    token = api.tokens[ADMIN]
    await api.patch(path, ADMIN, {"classes": ["public_interest"]})
    status, body = await send(api, token, 1)
    assert (status, body["type"]) == (422, "/problems/class_not_allowed")
    await api.patch(path, ADMIN, {"classes": ["service"], "channels": []})
    status, body = await send(api, token, 1)
    assert (status, body["type"]) == (422, "/problems/nobody_accepted")
    assert body["fields"] == {"to.0": "no channel takes numbers of this carrier"}
    await api.patch(path, ADMIN, {"channels": [channel_id]})
    assert (await send(api, token, 1))[1]["accepted"] == 1
    other = (await api.post("/departments", ADMIN, {"name": "教体局"})).json["id"]
    await api.runtime.pool.execute("DELETE FROM signatures WHERE signature = '旌德县教体局'")
    await register_signature(api, other, "旌德县教体局")
    status, body = await send(api, token, 1)
    assert (status, body["type"]) == (409, "/problems/signature_of_another")


@pytest.mark.attack
async def test_a_rotation_begins_no_new_day(api: Api) -> None:
    """The limit of a day is the grant's, whatever its tokens."""
    await api.runtime.pool.execute("UPDATE departments SET direct_send_limit = 2")
    old = await active_key(api, **SEND)
    assert (await send(api, old["token"], 1, 2))[0] == 202
    new = await api.post(f"/keys/{old['id']}/rotate", ADMIN, {})
    again = await api.post(f"/keys/{new.json['id']}/rotate", ADMIN, {})
    for token in (new.json["token"], again.json["token"]):
        status, body = await send(api, token, 3)
        assert (status, body["type"]) == (403, "/problems/needs_campaign")


@pytest.mark.attack
async def test_two_persons_set_how_many_people_are_sent_to_directly(api: Api) -> None:
    county = f"/departments/{api.teams['county'].department_id}"
    path = f"{county}/direct-limits"
    key = await active_key(api, **SEND)
    made = await api.post(path, ADMIN, {"limit": 1, "reason": "试用"})
    assert (made.status, made.json["state"], made.json["limit"]) == (201, "pending", 1)
    assert (await api.get(county, ADMIN)).json["direct_send_limit"] == 1000
    confirm = f"{path}/{made.json['id']}/confirm"
    own = await api.post(confirm, ADMIN)
    assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    assert (await send(api, key["token"], 1))[0] == 202
    other = await second_admin(api)
    done = await api.post(confirm, other)
    assert (done.status, done.json["state"]) == (200, "confirmed")
    assert done.json["confirmed_by"] != done.json["proposed_by"]
    assert (await api.get(county, ADMIN)).json["direct_send_limit"] == 1
    status, body = await send(api, key["token"], 2)
    assert (status, body["type"]) == (403, "/problems/needs_campaign")
    assert (await api.post(confirm, other)).status == 409
    acts = await api.runtime.pool.fetch(
        "SELECT action, object_id, details FROM audit_entries WHERE action ~ 'limit$' ORDER BY id"
    )
    facts = {"proposal": made.json["id"], "limit": 1}
    assert [tuple(row) for row in acts] == [
        (act, str(api.teams["county"].department_id), facts)
        for act in ("propose_limit", "confirm_limit")
    ]


async def test_a_limit_that_was_replaced_or_waited_too_long_is_not_confirmed(api: Api) -> None:
    path = f"/departments/{api.teams['school'].department_id}/direct-limits"
    first, second = [
        (await api.post(path, ADMIN, {"limit": limit, "reason": "r"})).json["id"]
        for limit in (5, 50_000)
    ]
    other = await second_admin(api)
    for proposal, wait in ((first, timedelta()), (second, WAITS)):
        api.clock.at += wait
        refused = await api.post(f"{path}/{proposal}/confirm", other)
        assert (refused.status, refused.json["type"]) == (409, "/problems/wrong_state")
    third = (await api.post(path, other, {"limit": 7, "reason": "r"})).json["id"]
    elsewhere = f"/departments/{api.teams['county'].department_id}/direct-limits"
    assert (await api.post(f"{elsewhere}/{third}/confirm", ADMIN)).status == 404
    assert (await api.post(f"{path}/{third}/confirm", ADMIN)).status == 200
    listed = (await api.get(path, ("school", "viewer"))).json["items"]
    assert [(item["limit"], item["state"]) for item in listed] == [
        (7, "confirmed"),
        (50_000, "replaced"),
        (5, "replaced"),
    ]
    assert (await api.post(path, ADMIN, {"limit": 50_001, "reason": "r"})).status == 422


@pytest.mark.attack
async def test_the_database_wants_two_persons_for_a_limit_too(api: Api) -> None:
    path = f"/departments/{api.teams['school'].department_id}/direct-limits"
    await api.post(path, ADMIN, {"limit": 5, "reason": "r"})
    with pytest.raises(CheckViolation, match="direct_limits_two_persons"):
        await api.runtime.pool.execute(
            "UPDATE direct_limits SET confirmed_by = proposed_by, confirmed_at = proposed_at"
        )


async def allow(api: Api, people: int) -> None:
    """Let each sender of the county name so many people in 24 hours."""
    await api.runtime.pool.execute("UPDATE departments SET direct_send_limit = $1", people)


@pytest.mark.attack
async def test_of_sends_at_once_no_more_pass_than_there_is_room_for(api: Api) -> None:
    token = (await active_key(api, **SEND))["token"]
    await allow(api, 25)
    sends = [send(api, token, *range(start, start + 10)) for start in range(1, 51, 10)]
    answers = await asyncio.gather(*sends)
    assert sorted(status for status, _ in answers) == [202, 202, 403, 403, 403]
    assert {body["type"] for status, body in answers if status == 403} == {
        "/problems/needs_campaign"
    }
    assert (await send(api, token, *range(60, 65)))[0] == 202
    assert (await send(api, token, 70))[0] == 403


async def test_the_24_hours_are_those_of_each_send(api: Api) -> None:
    """Whatever has been put together of what was counted."""
    token = (await active_key(api, **SEND))["token"]
    await allow(api, 3)
    start, pool = api.clock.at, api.runtime.pool
    fold = "SELECT fold_direct_use(sender_id, $1) FROM (SELECT DISTINCT sender_id FROM direct_use)"
    for minutes, number, status in (
        (0, 1, 202),
        (4, 2, 202),
        (11, 3, 202),
        (12, 4, 403),
        (24 * 60 + 2, 4, 202),
        (24 * 60 + 3, 5, 403),
        (24 * 60 + 5, 5, 202),
        (24 * 60 + 6, 6, 403),
        (24 * 60 + 12, 6, 202),
    ):
        api.clock.at = start + timedelta(minutes=minutes, seconds=1)
        assert (await send(api, token, number))[0] == status, minutes
        await pool.execute(fold, api.clock.at)
    spans = await pool.fetch("SELECT share = 0 AS over FROM direct_use ORDER BY span")
    assert [row["over"] for row in spans] == [True, True, False, False]


async def test_far_from_the_limit_a_small_send_waits_for_no_other(api: Api) -> None:
    """A large one does, and counts those that it has waited for. Nine, for there once were eight
    rows to count in."""
    token = (await active_key(api, **SEND))["token"]
    pool = api.runtime.pool
    await send(api, token, 1)
    note = """
        WITH run AS (INSERT INTO runs SELECT * FROM jsonb_populate_record(
            (SELECT r FROM runs r LIMIT 1), jsonb_build_object('id', uuidv7())) RETURNING id)
        INSERT INTO direct_sends SELECT id, sender_id, $1, at
        FROM run, (SELECT * FROM direct_sends LIMIT 1) s
    """
    at_once = int(await pool.fetchval("SHOW max_connections"))
    await allow(api, 10 * at_once + 40)
    async with AsyncExitStack() as stack:
        for _ in range(9):
            conn = await stack.enter_async_context(transaction(pool))
            await conn.execute(note, 10)
            await asyncio.wait_for(conn.execute("SET CONSTRAINTS ALL IMMEDIATE"), 5)
        large = asyncio.create_task(pool.execute(note, 10 * at_once + 20))
        done, _ = await asyncio.wait([large], timeout=0.3)
        assert not done
    with pytest.raises(COLLISIONS, match="more people than"):
        await large
    assert await pool.fetchval("SELECT sum(recipients) FROM direct_use") == 91
