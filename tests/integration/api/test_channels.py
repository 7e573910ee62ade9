"""Channels over HTTP: checked by their kind, secrets never shown, simulated or real for good."""

import json
from datetime import timedelta

import pytest

from service.channels.config.store import get_channel, get_hold, hold_channel
from service.channels.contract.model import Hold
from service.dispatch.handoff.lease_store import claim_connection
from service.gateways.cmpp import CMPPConfig
from service.queue import queue_name
from service.storage.postgres import transaction
from tests.harness.channels import BODY, CODE, CONFIG, SECRET, SETTLED
from tests.harness.instants import instant
from tests.integration.api.conftest import Api

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")


async def test_a_channel_is_set_up_and_changed(api: Api) -> None:
    made = await api.post("/channels", ADMIN, BODY)
    assert made.status == 201, made.body
    assert (made.json["window"], made.json["connections"], made.json["enabled"]) == (16, 1, True)
    path = f"/channels/{made.json['id']}"
    changed = await api.patch(
        path, ADMIN, {"tps": None, "connections": 3, "config": {"host": "192.0.2.1"}}
    )
    assert changed.status == 200
    assert (changed.json["tps"], changed.json["connections"]) == (None, 3)
    assert changed.json["config"]["host"] == "192.0.2.1"
    async with transaction(api.runtime.pool) as conn:
        channel = await get_channel(conn, api.runtime.keyring, made.json["id"])
    assert isinstance(channel.config, CMPPConfig)
    assert channel.config.secret.get_secret_value() == SECRET
    assert (await api.get(path, ADMIN)).json == changed.json


@pytest.mark.attack
async def test_a_secret_is_never_shown_nor_stored_in_clear(api: Api) -> None:
    made = await api.post("/channels", ADMIN, BODY)
    assert made.json["config"]["secret"] == "set"
    path = f"/channels/{made.json['id']}"
    echoed = await api.patch(path, ADMIN, {"config": made.json["config"]})
    assert echoed.status == 200, echoed.body
    for answer in (made, echoed, await api.get("/channels", ADMIN), await api.get(path, ADMIN)):
        assert SECRET.encode() not in answer.body
    async with transaction(api.runtime.pool) as conn:
        channel = await get_channel(conn, api.runtime.keyring, made.json["id"])
        stored = await conn.fetchval("SELECT config_cipher FROM channels")
    assert isinstance(channel.config, CMPPConfig)
    assert channel.config.secret.get_secret_value() == SECRET
    assert SECRET.encode() not in stored


async def test_others_see_channels_without_their_settings(api: Api) -> None:
    await api.post("/channels", ADMIN, BODY)
    for who in (VIEWER, ("school", "admin")):
        (item,) = (await api.get("/channels", who)).json["items"]
        assert (item["name"], item["config"]) == ("移动", None)


async def test_wrong_settings_name_the_field_and_not_the_value(api: Api) -> None:
    wrong = {**CONFIG, "port": 99_999_999, "secret": 5, "colour": "red", "account": "toolong1"}
    refused = await api.post("/channels", ADMIN, {**BODY, "config": wrong})
    assert refused.status == 422
    names = {f"config.{name}" for name in ("port", "secret", "colour", "account")}
    assert set(refused.json["fields"]) == names
    assert "toolong1" not in json.dumps(refused.json)
    refused = await api.post("/channels", ADMIN, {**BODY, "kind": "pigeon"})
    assert "cmpp" in refused.json["fields"]["kind"]
    refused = await api.post("/channels", ADMIN, {**BODY, "carriers": ["china_pigeon"]})
    assert refused.status == 422


async def test_a_channel_stays_what_it_is(api: Api) -> None:
    made = await api.post("/channels", ADMIN, BODY)
    path = f"/channels/{made.json['id']}"
    for change in ({"simulated": False}, {"kind": "smpp"}):
        assert (await api.patch(path, ADMIN, change)).status == 422
    assert (await api.post("/channels", ADMIN, BODY)).status == 409
    assert (await api.get("/channels/9", ADMIN)).status == 404


async def test_health_tells_the_connections_and_the_work(api: Api) -> None:
    made = await api.post("/channels", ADMIN, {**BODY, "connections": 2})
    channel_id, owner = made.json["id"], api.teams["county"].admin.id
    async with transaction(api.runtime.pool) as conn:
        await claim_connection(conn, channel_id, 1, owner, api.clock.at)
    health = (await api.get(f"/channels/{channel_id}/health", VIEWER)).json
    assert [c["slot"] for c in health["connections"]] == [0, 1]
    assert health["connections"][1]["changed_at"] == instant("2027-01-12T01:30:00Z")
    assert (health["open_slices"], health["queued_estimate"]) == (0, 0)
    fewer = await api.patch(f"/channels/{channel_id}", ADMIN, {"connections": 1})
    assert fewer.status == 200
    health = (await api.get(f"/channels/{channel_id}/health", VIEWER)).json
    assert [c["slot"] for c in health["connections"]] == [0]
    async with transaction(api.runtime.pool) as conn:  # a slot that comes back keeps its epoch
        assert await conn.fetchval("SELECT max(epoch) FROM connections") == 1


# ---- what a contract settles


async def test_what_a_contract_settles_is_kept_and_changed(api: Api) -> None:
    plain = (await api.post("/channels", ADMIN, {**BODY, "name": "plain"})).json
    assert {name: plain[name] for name in SETTLED} == {
        "destinations": 1,
        "on_net_only": True,
        "rank": 100,
        "signature": "ours_head",
        "signature_counts": True,
        "receipts": "all",
        "send_validity": True,
        "daily_quota": None,
        "monthly_quota": None,
        "maintenance": [],
    }
    made = await api.post("/channels", ADMIN, {**BODY, **SETTLED})
    assert made.status == 201, made.body
    assert {name: made.json[name] for name in SETTLED} == SETTLED
    changed = await api.patch(f"/channels/{plain['id']}", ADMIN, SETTLED)
    assert changed.json == {**plain, **SETTLED}
    again = await api.patch(f"/channels/{plain['id']}", ADMIN, {"rank": 8})
    assert again.json == {**plain, **SETTLED, "rank": 8}
    assert (await api.get(f"/channels/{plain['id']}", ADMIN)).json == again.json


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("destinations", 0),
        ("destinations", 101),
        ("rank", -1),
        ("signature", "middle"),
        ("receipts", "none"),
        ("held_until", "2027-01-12T02:00:00Z"),
        ("send_validity", "perhaps"),
        ("daily_quota", 0),
        ("monthly_quota", -1),
        ("maintenance", [["08:00", "08:00"]]),
        ("maintenance", [["00:00", "24:00"]]),
    ],
)
async def test_a_value_that_there_is_not_is_refused(api: Api, field: str, value: object) -> None:
    made = (await api.post("/channels", ADMIN, BODY)).json
    refused = await api.patch(f"/channels/{made['id']}", ADMIN, {field: value})
    assert refused.status == 422
    assert list(refused.json["fields"]) == [field]
    assert (await api.get(f"/channels/{made['id']}", ADMIN)).json == made


async def test_a_submit_has_no_more_recipients_than_its_kind_can_take(api: Api) -> None:
    kinds = {
        kind["name"]: kind for kind in (await api.get("/channels/kinds", VIEWER)).json["items"]
    }
    assert kinds["cmpp"]["most_recipients"] == 99
    refused = await api.post("/channels", ADMIN, {**BODY, "destinations": 100})
    assert (refused.status, refused.json["fields"]) == (422, {"destinations": "at most 99"})
    made = await api.post("/channels", ADMIN, {**BODY, "destinations": 99})
    path = f"/channels/{made.json['id']}"
    refused = await api.patch(path, ADMIN, {"destinations": 100, "rank": 1})
    assert (refused.status, refused.json["fields"]) == (422, {"destinations": "at most 99"})
    assert (await api.get(path, ADMIN)).json["rank"] == 100


async def test_a_hold_is_shown_until_it_ends_or_is_lifted(api: Api) -> None:
    made = (await api.post("/channels", ADMIN, BODY)).json
    path = f"/channels/{made['id']}"
    assert (made["held_until"], made["held_why"]) == (None, "")
    until = api.clock.at + timedelta(hours=2)
    async with transaction(api.runtime.pool) as conn:
        await hold_channel(conn, made["id"], Hold(until, "the day's amount is used up"))
    held = (await api.get(path, VIEWER)).json
    assert (held["held_until"], held["held_why"]) == (
        instant("2027-01-12T03:30:00Z"),
        "the day's amount is used up",
    )
    assert (await api.get("/channels", VIEWER)).json["items"] == [held]
    assert (await api.patch(path, ADMIN, {"rank": 5})).json["held_until"] == held["held_until"]
    lifted = (await api.patch(path, ADMIN, {"held_until": None})).json
    assert lifted == {**made, "rank": 5}
    async with transaction(api.runtime.pool) as conn:
        assert await get_hold(conn, made["id"], api.clock.at) is None
        await hold_channel(conn, made["id"], Hold(until, "again"))
    api.clock.at = until
    assert (await api.get(path, ADMIN)).json == lifted


async def test_lifting_a_hold_wakes_the_channel(api: Api) -> None:
    made = (await api.post("/channels", ADMIN, BODY)).json
    await api.patch(f"/channels/{made['id']}", ADMIN, {"rank": 5})
    assert await api.runtime.redis.zcard(queue_name("channel")) == 0
    await api.patch(f"/channels/{made['id']}", ADMIN, {"held_until": None})
    assert await api.runtime.redis.zcard(queue_name("channel")) == 1


async def test_the_kinds_say_what_their_settings_are(api: Api) -> None:
    kinds = {
        kind["name"]: kind for kind in (await api.get("/channels/kinds", VIEWER)).json["items"]
    }
    settings = {setting["name"]: setting for setting in kinds["cmpp"]["settings"]}
    assert settings["secret"]["secret"] is True
    assert settings["secret"]["required"] is True
    assert (settings["host"]["type"], settings["host"]["secret"]) == ("string", False)
    guarded = {name for name, setting in settings.items() if setting["guarded"]}
    assert guarded == {"host", "port", "verify_gateway", "unverified_because"}
    assert settings["port"]["default"] == 7890
    assert settings["port"]["json_schema"]["maximum"] == 65535
    assert settings["ascii_part"]["choices"] == [134, 153]
    required = {name for name, setting in settings.items() if setting["required"]}
    assert required == set(CONFIG)  # a form of nothing but this makes a channel


# ---- codes


async def test_a_code_is_given_a_meaning_a_new_one_and_none(api: Api) -> None:
    put = await api.call("PUT", "/channels/codes", ADMIN, json={**CODE, "note": "安徽"})
    kept = {**CODE, "reason": "other", "note": "安徽"}
    assert (put.status, put.json) == (200, kept)
    again = {**CODE, "outcome": "undelivered", "reason": "powered_off"}
    assert (await api.call("PUT", "/channels/codes", ADMIN, json=again)).status == 200
    other = {**CODE, "applies_to": "submit", "outcome": "throttled"}
    assert (await api.call("PUT", "/channels/codes", ADMIN, json=other)).status == 200
    items = (await api.get("/channels/codes", VIEWER)).json["items"]
    assert items == [{**other, "reason": "other", "note": ""}, {**again, "note": ""}]
    name = {field: CODE[field] for field in ("kind", "applies_to", "code")}
    gone = await api.call("DELETE", "/channels/codes", ADMIN, params=name)
    assert gone.status == 204
    assert len((await api.get("/channels/codes", VIEWER)).json["items"]) == 1
    gone = await api.call("DELETE", "/channels/codes", ADMIN, params=name)
    assert gone.status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"applies_to": "login"}, "applies_to"),
        ({"code": ""}, "code"),
        ({"outcome": "lost"}, "outcome"),
        ({"applies_to": "submit", "outcome": "accepted"}, "outcome"),
        ({"applies_to": "submit", "outcome": "not_sent"}, "outcome"),
        ({"applies_to": "submit", "outcome": "delivered"}, "outcome"),
        ({"outcome": "throttled"}, "outcome"),
        ({"reason": "rain"}, "reason"),
        ({"outcome": "delivered", "reason": "other"}, "reason"),
    ],
)
async def test_a_meaning_that_there_is_not_is_refused(
    api: Api, change: dict[str, str], field: str
) -> None:
    refused = await api.call("PUT", "/channels/codes", ADMIN, json={**CODE, **change})
    assert refused.status == 422
    assert list(refused.json["fields"]) == [field]
    assert (await api.get("/channels/codes", VIEWER)).json["items"] == []
