"""What a thief reads: the database, a backup, Valkey, the logs, the calls to a webhook.

On a whole system everything that handles people and secrets is done once; then each of these is
searched for them, in clear and in hexadecimal, as PostgreSQL writes octets.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from service.api.webhooks.webhooks import Told
from service.local.embedded import postgres_binaries
from tests.harness.live import Live, write_in
from tests.harness.pauses import repeatedly
from tests.harness.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live"), pytest.mark.attack]

PHONES = [f"1979017{n:04d}" for n in range(1, 9)]
NAME = "司马玄霜"
WECHAT = "xuanshuang_sima_7"
FILE = "手机,姓名,备注,身份,微信号\n" + "".join(
    f"{phone},{NAME},{NAME},联络员,{WECHAT}\n" for phone in PHONES
)
TEXT = "【旌德县公安局】{姓名}：要求转账到安全账户的都是诈骗，请挂断并拨打96110。"


@dataclass
class Loot:
    """What was done with, and what each thief has of it."""

    secrets: list[str] = field(default_factory=list)
    campaign: str = ""
    backup: str = ""
    valkey: str = ""
    logs: str = ""
    calls: list[str] = field(default_factory=list)

    def people_in(self, text: str) -> list[str]:
        return _found([*PHONES, NAME, WECHAT], text)

    def secrets_in(self, text: str) -> list[str]:
        return _found(self.secrets, text)


def _found(words: list[str], text: str) -> list[str]:
    forms = {form for word in words for form in (word, word.encode().hex())}
    return [form for form in forms if form in text]


@asynccontextmanager
async def receiving(loot: Loot) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        loot.calls.append(str(request.headers) + await request.text())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/hook"))


READ: dict[str, Any] = {
    "string": Redis.get,
    "hash": Redis.hgetall,
    "set": Redis.smembers,
    "zset": lambda redis, key: redis.zrange(key, 0, -1),
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "stream": Redis.xrange,
}


async def everything_in(redis: Redis) -> str:
    """All keys with their values, as they lie there."""
    found: list[Any] = []
    async for key in redis.scan_iter():
        kind = (await redis.type(key)).decode()
        found += [key, await READ[kind](redis, key)] if kind in READ else [key]
        assert kind in READ or kind == "none", kind
    return str(found)


async def watch(redis: Redis, loot: Loot) -> None:
    async def look() -> None:
        loot.valkey += await everything_in(redis)

    await repeatedly(look, 0.2)


async def work(live: Live, loot: Loot) -> None:
    """Import, plan, send, hear back, look up; make keys, passwords and webhooks."""
    async with receiving(loot) as url, live.client("admin") as admin:
        hook = await admin.post("/webhooks", {"url": url, "events": list(get_args(Told))})
        user = await admin.post("/users", {"login": "thief", "name": "t", "roles": ["viewer"]})
        key = await admin.post("/keys", {"user_id": user["id"], "name": "k"})
        given = await admin.post(f"/users/{user['id']}/password", {})
        loot.secrets += [hook["secret"], key["token"], given["password"]]
        loot.secrets += list(live.summary["keys"].values())
        fields = {"roster": "不可见", "basis": "duty"}
        made = await admin.upload("/imports", FILE.encode(), fields)

        async def is_read() -> bool:
            return str((await admin.get(f"/imports/{made['id']}"))["state"]) == "done"

        await until(is_read, 60)
        await live.lift_caps()
        sent = await live.launch('roster = "不可见"', TEXT)
        loot.campaign = sent.campaign
        await sent.under_way(1)
        await write_in(live, PHONES[3], NAME)
        await admin.post("/guests", {"phones": [f"+86{PHONES[0]}"]})
        seen = {"phone": PHONES[1], "reason": f"{NAME} {PHONES[1]}"}
        await admin.post("/privacy/lookup", seen)
        await admin.post("/privacy/erase", seen)
        stopped = {"phone": PHONES[2], "reason": "complaint", "note": f"{NAME} {PHONES[2]}"}
        await admin.post("/suppressions", stopped)

        async def told() -> bool:
            bodies = "".join(loot.calls)
            return all(f'"{what}"' in bodies for what in ("message.final", "inbound.received"))

        await until(told, 60)


async def steal(live: Live, loot: Loot, folder: Path) -> None:
    redis = Redis.from_url(live.summary["redis_url"])
    watching = asyncio.create_task(watch(redis, loot))
    try:
        await work(live, loot)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await redis.aclose()
    backup = folder / "tocsin.sql"
    command = [postgres_binaries() / "pg_dump", "--file", backup, live.summary["database_url"]]
    await asyncio.to_thread(subprocess.run, command, check=True, env=os.environ)
    loot.backup = backup.read_text("utf-8")
    logs = [*live.folder.rglob("*.log"), live.folder.parent / f"{live.folder.name}.up.log"]
    loot.logs = "".join(log.read_text("utf-8", errors="replace") for log in logs)


@pytest.fixture(scope="module")
def loot(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Loot:
    stolen = Loot()
    asyncio.run(steal(live, stolen, tmp_path_factory.mktemp("thief")))
    return stolen


def test_a_backup_has_nobodys_number_or_name(loot: Loot) -> None:
    """Nor has the database, whose every table is in it."""
    assert loot.campaign in loot.backup
    assert len(re.findall("^COPY public", loot.backup, re.MULTILINE)) > 50
    assert loot.people_in(loot.backup) == []


def test_nobody_logs_in_with_what_a_backup_has(loot: Loot) -> None:
    assert len(loot.secrets) >= 6
    assert loot.secrets_in(loot.backup) == []


def test_valkey_has_nobodys_number_and_no_secret(loot: Loot) -> None:
    assert "tocsin:" in loot.valkey
    assert loot.people_in(loot.valkey) + loot.secrets_in(loot.valkey) == []


def test_the_logs_have_no_secret(loot: Loot) -> None:
    assert "expanded" in loot.logs
    assert loot.secrets_in(loot.logs) == []


def test_a_webhook_is_told_of_no_number_and_no_name(loot: Loot) -> None:
    told = "".join(loot.calls)
    assert loot.campaign in told
    assert loot.people_in(told) == []
    assert "197****" not in told
