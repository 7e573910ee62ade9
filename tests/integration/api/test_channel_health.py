"""How a channel is doing, over HTTP: state, figures, and the record of what was done."""

from dataclasses import replace

from service.delivery.receipts import id_forms
from service.delivery.receipts.id_forms_store import count_misses
from service.dispatch.failover.channel_monitor import judge, limits_of
from service.dispatch.failover.failover import shift_waiting
from service.dispatch.failover.health import ChannelCounts
from service.dispatch.limits.pace import Pace
from service.storage.postgres import transaction
from tests.harness.channels import BODY
from tests.harness.instants import instant
from tests.harness.ledger import add_contacts, add_run, make_scene, phone
from tests.harness.sick import SECOND, seen, serve_channel, tell
from tests.integration.api.conftest import Api

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")

SCHOOL = ("school", "viewer")


async def look(api: Api) -> None:
    """What the scheduler does each few seconds."""
    runtime = api.runtime
    await judge(runtime.pool, Pace(runtime.redis), limits_of(runtime.settings), api.clock.at)
    await shift_waiting(runtime.pool, api.clock.at)


async def test_before_anybody_has_judged_a_channel_it_is_closed(api: Api) -> None:
    made = await api.post("/channels", ADMIN, BODY)
    health = (await api.get(f"/channels/{made.json['id']}/health", VIEWER)).json
    assert (health["state"], health["why"], health["since"]) == ("closed", "", None)
    assert health["figures"]["submits"] == 0
    assert health["figures"]["fault_share"] is None
    assert health["events"] == []
    assert (await api.get("/channels/99/health", VIEWER)).status == 404


async def test_it_says_what_is_wrong_since_when_and_what_was_done(api: Api) -> None:
    from service.dispatch.expansion.expand import expand_run

    made = await api.post("/channels", ADMIN, BODY)
    other = await api.post("/channels", ADMIN, {**BODY, "name": "联通", "rank": 200})
    channel, spare, runtime = made.json["id"], other.json["id"], api.runtime
    async with transaction(runtime.pool) as conn:
        scene = await make_scene(conn, api.clock.at)
        await add_contacts(conn, runtime.keyring, scene, [phone(n) for n in range(7)], api.clock.at)
        run = await add_run(conn, scene, api.clock.at)
    await expand_run(runtime.pool, run, api.clock.at)
    lease = await serve_channel(runtime.pool, channel, api.clock.at)
    await look(api)
    api.clock.at += 30 * SECOND
    well = replace(seen(accepted=30, refused=10), throttled=3, receipts=8, delivered=6)
    await tell(runtime.pool, lease.owner, channel, api.clock.at, well, seen(unanswered=60))
    path = f"/channels/{channel}/health"
    before = (await api.get(path, VIEWER)).json
    assert before["state"] == "closed"
    figures = before["figures"]
    assert (figures["accepted"], figures["refused"], figures["throttled"]) == (30, 10, 3)
    assert (figures["unanswered"], figures["fault_share"]) == (60, 0.6)
    assert (figures["answer_p50_ms"], figures["delivered_share"]) == (100, 0.75)
    assert (figures["connections"], figures["up"]) == (1, 1)
    await tell(runtime.pool, lease.owner, channel, api.clock.at - 10 * SECOND, seen(unanswered=1))
    await look(api)
    after = (await api.get(path, ADMIN)).json
    assert (after["state"], after["since"]) == ("open", instant("2027-01-12T01:30:30Z"))
    assert after["why"] == "61 of 101 submits went wrong: 61 without an answer."
    assert after["next_trial_at"] == instant("2027-01-12T01:31:00Z")
    assert after["figures"]["accepted"] == 0, "since it was opened"
    shifted, opened = after["events"]
    assert (opened["kind"], opened["figures"]["unanswered"]) == ("opened", 61)
    assert (shifted["kind"], shifted["messages"]) == ("shifted", 7)
    assert (shifted["to_channel_id"], shifted["run_id"]) == (spare, str(run))
    assert after["queued_estimate"] == 0
    hidden = (await api.get(path, SCHOOL)).json["events"]
    assert [event["run_id"] for event in hidden] == [None, None]
    assert hidden[0]["messages"] == 7


async def test_the_explanation_of_a_route_names_a_channel_that_does_not_work(api: Api) -> None:
    made = await api.post("/channels", ADMIN, BODY)
    other = await api.post("/channels", ADMIN, {**BODY, "name": "联通", "rank": 200})
    channel, runtime = made.json["id"], api.runtime
    lease = await serve_channel(runtime.pool, channel, api.clock.at)
    await look(api)
    api.clock.at += 30 * SECOND
    await tell(
        runtime.pool, lease.owner, channel, api.clock.at, *[ChannelCounts(unanswered=30)] * 2
    )
    await look(api)
    said = (await api.post("/routes/explain", VIEWER, {"phone": "19790000007"})).json
    assert said["chosen"] == other.json["id"]
    assert "was found not to work for now" in said["channels"][0]["reason"]


async def test_receipts_that_meet_nothing_are_a_hint_with_the_setting_that_helps(api: Api) -> None:
    config = {"host": "127.0.0.1", "system_id": "x", "password": "pw123456", "sender": "1069000012"}
    body = {**BODY, "name": "国际", "kind": "smpp", "config": config}
    channel = (await api.post("/channels", ADMIN, body)).json["id"]
    path = f"/channels/{channel}"
    assert (await api.get(f"{path}/health", VIEWER)).json["hints"] == []
    pool, now = api.runtime.pool, api.clock.at
    for number in range(25):
        await pool.execute(
            """
            INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
            VALUES ($1, $2, $3, uuidv7(), 1, 1, 1, $4)
            """,
            *(channel, b"%X" % (7_000_000 + number), b"%d" % number, now),
        )
        await pool.execute(
            """
            INSERT INTO receipts_unmatched
                (id, channel_id, ref, phone_hash, state, reason, code, received_at, why)
            VALUES ($1, $2, $3, $4, 'delivered', '', 'DELIVRD', $5, 'parked')
            """,
            *(number, channel, b"%d" % (7_000_000 + number), b"%d" % number, now),
        )
    async with transaction(pool) as conn:
        await count_misses(conn, channel, met=0, missed=25, now=now)
    (hint,) = (await api.get(f"{path}/health", VIEWER)).json["hints"]
    assert hint["name"] == "receipts_meet_nothing"
    assert (hint["receipts"], hint["since"]) == (25, instant(now))
    assert (hint["setting"], hint["now"], hint["fitting"]) == ("id_form", "same", "hex_decimal")
    assert hint["plain"]["zh"].startswith("自 2027-01-12 09:30 起，连续 25 条回执对不上任何短信")
    assert "把 id_form 从 same 改为 hex_decimal，最近 20 条中有 20 条对得上" in hint["plain"]["zh"]
    assert "By id_form = hex_decimal (now same) 20 of the last 20 would fit" in hint["plain"]["en"]
    changed = await api.patch(path, ADMIN, {"config": {"id_form": hint["fitting"]}})
    assert changed.status == 200, changed.body
    async with pool.acquire() as conn:
        assert await id_forms.changed(conn, now) == [channel]
    assert (await api.get(f"{path}/health", VIEWER)).json["hints"] == []
