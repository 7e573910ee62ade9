"""Channels over HTTP: checked by their kind, secrets never shown, simulated or real for good."""

import json
from typing import Any

from service.channels.store import get_channel
from service.dispatch.lease_store import claim_connection
from service.storage.postgres import transaction
from tests.integration.api.conftest import Api

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")
SECRET = "s3cr3t-of-the-carrier"
CONFIG = {"host": "127.0.0.1", "account": "901234", "secret": SECRET, "access_number": "10690000"}
BODY: dict[str, Any] = {
    "name": "移动",
    "kind": "cmpp",
    "simulated": True,
    "carriers": ["china_mobile"],
    "config": CONFIG,
    "tps": 100,
}


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
    assert channel.config.secret.get_secret_value() == SECRET  # type: ignore[attr-defined]
    assert (await api.get(path, ADMIN)).json == changed.json


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
    assert channel.config.secret.get_secret_value() == SECRET  # type: ignore[attr-defined]
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
    assert health["connections"][1]["changed_at"] == "2027-01-12T01:30:00Z"
    assert (health["open_slices"], health["queued_estimate"]) == (0, 0)
    fewer = await api.patch(f"/channels/{channel_id}", ADMIN, {"connections": 1})
    assert fewer.status == 200
    health = (await api.get(f"/channels/{channel_id}/health", VIEWER)).json
    assert [c["slot"] for c in health["connections"]] == [0]
    async with transaction(api.runtime.pool) as conn:  # a slot that comes back keeps its epoch
        assert await conn.fetchval("SELECT max(epoch) FROM connections") == 1
