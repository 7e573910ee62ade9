"""Channels whose carrier connects to us: what they need to be real, and what their health says."""

from typing import Any

import pytest

from service.channels.config.store import get_channel, update_channel
from service.channels.contract.gateway import Refused
from service.channels.links.refusals_store import add_refusals
from service.storage.postgres import transaction
from tests.harness.channels import confirmed
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.attack

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")
CONFIG = {
    "host": "192.0.2.1",
    "login_name": "12345",
    "login_password": "s3cr3t-pw",
    "node_number": 3055112345,
    "corp_id": "12345",
    "access_number": "10655123",
    "listen_port": 8801,
}
REAL: dict[str, Any] = {
    "name": "联通",
    "kind": "sgip",
    "simulated": False,
    "carriers": ["china_unicom"],
    "config": CONFIG,
}
NETWORKS = {"listen_addresses": ["192.0.2.0/28"]}


async def test_a_real_channel_that_listens_needs_the_carriers_addresses(api: Api) -> None:
    refused = await api.post("/channels", ADMIN, REAL)
    assert refused.status == 422
    assert list(refused.json["fields"]) == ["config.listen_addresses"]
    assert "the addresses or networks that the carrier connects from" in refused.json["detail"]
    for body in (
        {**REAL, "simulated": True, "name": "模拟"},
        {**REAL, "config": CONFIG | {"listen_port": None}, "name": "不监听"},
        {**REAL, "config": CONFIG | NETWORKS},
    ):
        made = await api.post("/channels", ADMIN, body)
        assert made.status == 201, made.body
        assert made.json["warnings"] == []


async def test_one_that_was_set_up_without_goes_on_until_it_is_changed_or_enabled(
    api: Api,
) -> None:
    made = await api.post("/channels", ADMIN, {**REAL, "config": CONFIG | NETWORKS})
    path = f"/channels/{made.json['id']}"
    await confirmed(api, made.json["id"])
    async with transaction(api.runtime.pool) as conn:
        channel = await get_channel(conn, api.runtime.keyring, made.json["id"])
        config = channel.config.model_copy(update={"listen_addresses": ()})
        object.__setattr__(channel, "config", config)
        await update_channel(conn, api.runtime.keyring, channel)
    (warning,) = (await api.get(path, VIEWER)).json["warnings"]
    assert "只接受来自网关 host 的连接" in warning["zh"]
    assert "only the gateway's own host may" in warning["en"]
    (listed,) = (await api.get("/channels", ADMIN)).json["items"]
    assert listed["warnings"] == [warning]
    for harmless in ({"tps": 5}, {"enabled": False}):
        assert (await api.patch(path, ADMIN, harmless)).status == 200
    for harmful in ({"enabled": True}, {"config": {"service_type": "X"}}):
        refused = await api.patch(path, ADMIN, harmful)
        assert refused.status == 422
        assert list(refused.json["fields"]) == ["config.listen_addresses"]
    assert (await api.get(path, ADMIN)).json["enabled"] is False


async def test_health_tells_what_was_refused_and_never_what_would_have_been_right(
    api: Api,
) -> None:
    made = await api.post("/channels", ADMIN, {**REAL, "config": CONFIG | NETWORKS})
    number = made.json["id"]
    path = f"/channels/{number}/health"
    assert (await api.get(path, VIEWER)).json["refusals"] == []
    for counts in (
        {(number, Refused.WRONG_LOGIN): (5, "192.0.2.7"), (9_999, Refused.DISPLACED): (1, "::1")},
        {(number, Refused.WRONG_LOGIN): (2, "192.0.2.8")},
        {(number, Refused.LOCKED_OUT): (90_000, "192.0.2.8")},
    ):
        async with transaction(api.runtime.pool) as conn:
            await add_refusals(conn, counts, api.clock.at)
    shown = await api.get(path, VIEWER)
    locked, wrong = shown.json["refusals"]
    assert (locked["why"], locked["times"]) == ("locked_out", 90_000)
    assert (wrong["why"], wrong["times"]) == ("wrong_login", 7)
    assert wrong["plain"]["zh"] == "自 09:30 起 7 次登录的用户名或密码不符，最近来自 192.0.2.8。"
    assert "last from 192.0.2.8" in wrong["plain"]["en"]
    assert "after ten minutes" in locked["plain"]["en"]
    assert b"s3cr3t-pw" not in shown.body
