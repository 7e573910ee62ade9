"""The test of a channel: what the carrier said in plain words, one at a time, never a secret."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from service.channels.config.store import get_channel
from service.channels.contract.gateway import LoginRefused
from service.channels.links.logins import Ending
from service.channels.links.logins_store import failed, note_loss
from service.channels.trial import trial
from service.channels.trial.trial import try_channel
from service.clock import Clock
from service.dispatch.handoff.lease_store import claim_connection, note_connection
from service.errors import Unavailable
from service.gateways.cmpp import CMPPGateway
from service.protocols.cmpp.pdu import Deliver, Terminate, TerminateResp
from service.simulator.carrier.config import Account, SimulatorConfig
from service.simulator.run import Simulator, running
from service.storage.postgres import transaction
from tests.harness.channels import confirmed
from tests.harness.instants import instant
from tests.harness.links import LINKS, account_of
from tests.harness.session import carrier
from tests.harness.sick import serve_channel
from tests.harness.simulated import ACCOUNT, SECRET, simulator
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "WATCH_SECONDS", 0.3)


async def set_up(api: Api, port: int, *, simulated: bool = True, **config: Any) -> str:
    made = await api.post(
        "/channels",
        ADMIN,
        {
            "name": f"移动 {port}",
            "kind": "cmpp",
            "simulated": simulated,
            "enabled": False,
            "carriers": ["china_mobile"],
            "config": {
                "host": "127.0.0.1",
                "port": port,
                "account": ACCOUNT,
                "secret": SECRET,
                "access_number": "106900001234",
                **config,
            },
        },
    )
    assert made.status == 201, made.body
    await confirmed(api, made.json["id"])
    return f"/channels/{made.json['id']}"


async def tried(api: Api, path: str) -> dict[str, Any]:
    answer = await api.post(path + "/test", ADMIN)
    assert answer.status == 200, answer.body
    assert set(answer.json) == {"ok", "detail", "code", "milliseconds", "plain"}
    return cast(dict[str, Any], answer.json)


@asynccontextmanager
async def simulated(**settings: Any) -> AsyncIterator[tuple[Simulator, int]]:
    async with running(simulator(**settings)) as running_:
        yield running_, running_.ports["cmpp"]


async def test_a_good_account_is_logged_in_and_out_again(api: Api) -> None:
    async with carrier() as scripted:
        path = await set_up(api, scripted.port)
        asked = asyncio.create_task(tried(api, path))
        peer = await scripted.peer()
        await peer.accept_login(secret=SECRET)
        sequence, pdu = await peer.read()
        assert isinstance(pdu, Terminate)
        peer.write(sequence, TerminateResp())
        answer = await asked
        assert await peer.read_to_the_end() == b""  # no submit, nothing else
    assert (answer["ok"], answer["code"]) == (True, "")
    assert "accepted the login" in answer["detail"]
    assert 0 <= answer["milliseconds"] < 10_000


async def test_a_wrong_secret_is_the_carriers_refusal_and_stays_unsaid(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with simulated() as (_, port):
        path = await set_up(api, port, secret="wrong-secret-9")
        answer = await tried(api, path)
    assert (answer["ok"], answer["code"]) == (False, "3")
    assert "refused the login" in answer["detail"]
    assert "wrong-secret-9" not in str(answer)
    assert "wrong-secret-9" not in caplog.text
    assert not any("wrong-secret-9" in str(record.__dict__) for record in caplog.records)


async def test_a_login_that_is_accepted_and_closed_is_no_success(api: Api) -> None:
    """And the channel's own connections, which meet the same, are told of beside it."""
    async with simulated(faults={"close_after_login_seconds": 0.02}) as (_, port):
        path = await set_up(api, port)
        channel_id = int(path.rsplit("/", 1)[-1])
        alone = await tried(api, path)
        assert (alone["ok"], alone["code"]) == (False, "closed")
        assert "accepts the login and closes after 0." in alone["detail"]
        assert alone["plain"]["zh"].startswith("运营商接受登录，0.")
        assert alone["plain"]["zh"].endswith("秒后即断开（对方关闭了连接）。")
        lease = await serve_channel(api.runtime.pool, channel_id, api.clock.at, up=False)
        ending = Ending("closed", "closed by the other side", 0.1)
        async with transaction(api.runtime.pool) as conn:
            for _ in range(14):
                await note_loss(conn, channel_id, 0, lease.owner, ending, api.clock.at)
            await failed(conn, channel_id, ending, turn=False)
        both = (await tried(api, path))["plain"]
    assert "。0/1 条连接在线。" in both["zh"]
    assert "自 09:30 起 14 次；下次尝试 09:30:0" in both["zh"]
    assert "14 times since 09:30; next try at 09:30:0" in both["en"]
    health = (await api.get(f"{path}/health", ADMIN)).json
    (link,) = health["connections"]
    assert (link["lost_how"], link["lost_why"]) == ("closed", "closed by the other side")
    assert (link["losses"], link["lived_ms"]) == (14, 100)
    assert instant(api.clock.at) == link["losing_since"] == link["lost_at"]
    assert datetime.fromisoformat(health["next_login_at"]) >= api.clock.at
    assert "14 times since 09:30; next try at" in health["plain"]["en"]


async def test_nobody_there_says_what_to_check(api: Api) -> None:
    async with carrier() as closed:
        path = await set_up(api, closed.port)
    answer = await tried(api, path)
    assert (answer["ok"], answer["code"]) == (False, "unreachable")
    assert "check address, port and firewall" in answer["detail"]


async def test_one_who_says_nothing_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 0.3)
    async with carrier() as silent:
        answer = await tried(api, await set_up(api, silent.port))
        peer = await silent.peer()
        await peer.read()  # the login
        assert await peer.read_to_the_end() == b""  # and the link was cut
    assert (answer["ok"], answer["code"]) == (False, "unreachable")
    assert "no answer within 0.3 s" in answer["detail"]
    assert 300 <= answer["milliseconds"] < 5_000


async def test_a_refusal_for_too_many_connections_says_what_it_may_mean(api: Api) -> None:
    async with carrier() as scripted:
        path = await set_up(api, scripted.port)
        channel_id = int(path.rsplit("/", 1)[-1])
        owner = api.teams["county"].admin.id

        async def answered_with(status: int) -> dict[str, Any]:
            asked = asyncio.create_task(tried(api, path))
            await (await scripted.peer()).accept_login(status, secret=SECRET)
            return await asked

        alone = await answered_with(56)
        assert (alone["ok"], alone["code"]) == (False, "56")
        assert "too many connections" in alone["detail"]
        assert "needs one more" not in alone["detail"]
        async with transaction(api.runtime.pool) as conn:
            lease = await claim_connection(conn, channel_id, 0, owner, api.clock.at)
            assert lease is not None
            await note_connection(conn, lease, "up", "", api.clock.at)
        beside = await answered_with(56)
        assert "This channel has 1 connection up, and a test needs one more" in beside["detail"]


@pytest.mark.slow
async def test_a_real_channel_is_never_called_on_simulated_time(api: Api) -> None:
    async with carrier() as real, carrier() as rehearsed:
        path = await set_up(api, real.port, simulated=False)
        api.clock.simulated = True
        refused = await api.post(path + "/test", ADMIN)
        assert refused.status == 409
        assert refused.json["type"] == "/problems/simulated_clock"
        asked = asyncio.create_task(tried(api, await set_up(api, rehearsed.port)))
        await (await rehearsed.peer()).accept_login(secret=SECRET)
        assert (await asked)["ok"] is True
        assert real.arrived.empty()
        api.clock.simulated = False
        asked = asyncio.create_task(tried(api, path))
        await (await real.peer()).accept_login(secret=SECRET)
        assert (await asked)["ok"] is True


@pytest.mark.slow
async def test_a_channel_is_tested_once_at_a_time(api: Api) -> None:
    async with carrier() as scripted, carrier() as another:
        path, other = await set_up(api, scripted.port), await set_up(api, another.port)
        first = asyncio.create_task(tried(api, path))
        peer = await scripted.peer()
        second = await api.post(path + "/test", ADMIN)
        assert (second.status, "under way" in second.json["detail"]) == (409, True)
        beside = asyncio.create_task(tried(api, other))  # another channel is another matter
        await (await another.peer()).accept_login(secret=SECRET)
        assert (await beside)["ok"] is True
        await peer.accept_login(secret=SECRET)
        assert (await first)["ok"] is True
        third = asyncio.create_task(tried(api, path))
        await (await scripted.peer()).accept_login(secret=SECRET)
        assert (await third)["ok"] is True


@pytest.mark.slow
async def test_no_database_connection_is_held_while_the_carrier_thinks(api: Api) -> None:
    async with carrier() as slow:
        asked = asyncio.create_task(tried(api, await set_up(api, slow.port)))
        peer = await slow.peer()
        assert api.runtime.pool.get_idle_size() == api.runtime.pool.get_size()
        open_ = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        assert await api.runtime.pool.fetchval(open_) == 0
        await peer.accept_login(secret=SECRET)
        assert (await asked)["ok"] is True


async def test_what_the_carrier_delivers_meanwhile_is_left_to_those_who_store_it(
    api: Api,
) -> None:
    """A receipt that nobody stored must not be acknowledged, or it is lost."""
    async with carrier() as scripted:
        path = await set_up(api, scripted.port)
        asked = asyncio.create_task(tried(api, path))
        peer = await scripted.peer()
        await peer.accept_login(secret=SECRET)
        peer.write(9, Deliver(1, "106900001234", "19790000001", b"R"))
        sequence, pdu = await peer.read()
        assert isinstance(pdu, Terminate), "nothing is acknowledged"
        peer.write(sequence, TerminateResp())
        assert (await asked)["ok"] is True


async def test_without_redis_nobody_is_called(api: Api) -> None:
    async with carrier() as scripted, Redis.from_url("redis://127.0.0.1:1") as away:
        path = await set_up(api, scripted.port)
        async with transaction(api.runtime.pool) as conn:
            channel = await get_channel(conn, api.runtime.keyring, int(path.rsplit("/", 1)[-1]))
        with pytest.raises(Unavailable, match="Redis"):
            await try_channel(channel, Clock(), away, 0)
        assert scripted.arrived.empty()


PASSWORD = "1qaz2wsx"


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
async def test_each_kind_of_link_is_tried_with_its_own_login(
    api: Api, kind: str, right: bool
) -> None:
    ports = {f"{name}_port": 0 if name == kind else None for name in LINKS}
    account = Account(account=ACCOUNT, secret=SecretStr(PASSWORD))
    config = account_of(kind, secret=PASSWORD, host="127.0.0.1")
    if not right:
        (secret,) = (name for name, value in config.items() if value == PASSWORD)
        config[secret] = "otherpwd"
    settings = SimulatorConfig.model_validate({"accounts": (account,), **ports})
    async with running(settings) as simulator_:
        config["port"] = simulator_.ports[kind]
        body = {"name": kind, "kind": kind, "simulated": True, "carriers": ["china_unicom"]}
        made = await api.post("/channels", ADMIN, {**body, "config": config})
        assert made.status == 201, made.body
        answer = await tried(api, f"/channels/{made.json['id']}")
    assert answer["ok"] is right, answer
    assert right or "refused the login" in answer["detail"]
    assert right or answer["code"].lstrip("-").isdigit()
    assert "otherpwd" not in str(answer)


class Talkative(CMPPGateway):
    """Says everything it knows."""

    async def open(self) -> None:
        raise LoginRefused(f"refused: {self._config.secret.get_secret_value()}", code="3")


async def test_a_gateway_that_says_too_much_is_not_repeated(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(trial, "factory", lambda _: Talkative)
    answer = await tried(api, await set_up(api, 1))
    assert answer == {**answer, "ok": False, "code": "3", "detail": "refused: •••"}
    assert not any(SECRET in str(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize("secret", ["login", "password", "account"])
async def test_a_secret_that_is_a_common_word_leaves_the_sentence_whole(
    api: Api, secret: str
) -> None:
    async with simulated() as (_, port):
        path = await set_up(api, port, secret=secret)
        answer = await tried(api, path)
    assert answer["detail"] == (
        f"127.0.0.1:{port} refused the login: account and secret do not match (status 3)"
    )


async def test_a_channel_without_a_login_says_only_what_was_shown(api: Api) -> None:
    heard = bytearray()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    body = {"name": "HTTP", "kind": "http", "simulated": True, "enabled": False}
    config = {
        "url": f"http://127.0.0.1:{port}/send",
        "body": '{"to": "{recipient}", "text": "{text}"}',
    }
    made = await api.post(
        "/channels", ADMIN, body | {"carriers": ["china_mobile"], "config": config}
    )
    assert made.status == 201, made.body
    answer = await tried(api, f"/channels/{made.json['id']}")
    server.close()
    assert answer["ok"] is True
    assert "login" not in answer["detail"]
    assert "nothing was sent" in answer["detail"]
    assert "什么也没有发送" in answer["plain"]["zh"]
    assert not heard
