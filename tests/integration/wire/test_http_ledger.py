"""A run over the generic HTTP gateway, from the ledger to the callback and back into the ledger."""

import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from service.api.channels import callbacks
from service.api.http.problems import as_problem
from service.api.routes import CALLBACKS, PREFIX
from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import ChannelSettings
from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts
from service.dispatch.expansion.expand import expand_run
from service.runtime import Runtime
from service.storage.postgres import Pool
from service.web import ENTRY, RUNTIME
from tests.harness.ledger import add_contacts, add_run, make_scene, phone, states
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, clock, serve  # noqa: F401  # fixtures
from tests.integration.wire.http_provider import Seen, provider

SECRET = "k3y-of-callbacks"
PEOPLE = 60


@dataclass
class Vendor:
    """Takes texts, and now and then says too fast, hangs up after taking one, or takes none."""

    ids: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)

    async def reply(self, seen: Seen) -> web.StreamResponse:
        form = dict(parse_qsl(seen.text))
        to = form["to"]
        self.asked[to] += 1
        odd = int(to[-4:]) % 10
        if odd == 1 and self.asked[to] == 1:
            return web.json_response({"code": "fast"}, status=429, headers={"Retry-After": "0"})
        if odd == 2:
            return web.json_response({"code": "black"})
        self.taken[to] += 1
        self.ids[to] = form["uid"]
        if odd == 3:
            raise aiohttp.web.HTTPBadGateway  # taken, and the answer is lost on the way
        return web.json_response({"code": "ok"})

    def reports(self) -> bytes:
        return json.dumps([{"id": i, "stat": "DELIVRD"} for i in self.ids.values()]).encode()


def settings(url: str) -> dict[str, Any]:
    return {
        "url": url,
        "content": "form",
        "body": "to={recipient}&text={text}&uid={message_id}",
        "answer_code": "code",
        "codes": {"ok": "accepted", "fast": "throttled", "black": "rejected:blacklisted"},
        "callback_id": "id",
        "callback_status": "stat",
        "callback_states": {"DELIVRD": "delivered"},
        "callback_secret": SECRET,
    }


async def test_everybody_ends_in_one_state_and_a_receipt_settles_what_had_no_answer(
    pool: Pool,
    keyring: Keyring,
    now: datetime,
    runtime: Runtime,
    serve: Serve,  # noqa: F811
) -> None:
    vendor = Vendor()
    async with provider(vendor.reply) as there, pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(PEOPLE)], now)
        channel = await insert_channel(
            conn,
            keyring,
            ChannelSettings(
                name="vendor",
                kind="http",
                simulated=True,
                carriers=tuple(CARRIERS),
                config=parse_settings("http", settings(there.url)),
            ),
            now,
        )
        run = await add_run(conn, scene, now)
        await expand_run(pool, run, now)
        await serve()

        async def handed_off() -> bool:
            counts = await states(conn, run)
            return not counts.get("queued") and not counts.get("submitting")

        await until(handed_off)
        tenth = PEOPLE // 10
        assert await states(conn, run) == {
            "submitted": PEOPLE - 2 * tenth,
            "rejected": tenth,
            "uncertain": tenth,
        }
        assert set(vendor.taken.values()) == {1}

        app = web.Application(middlewares=[as_problem])
        app[RUNTIME] = runtime
        app[ENTRY] = pool
        app.router.add_post(PREFIX + CALLBACKS, callbacks.Callbacks().receive)
        async with TestClient(TestServer(app)) as client:
            body = vendor.reports()
            signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            headers = {"X-Signature": signature, "Content-Type": "application/json"}
            for _ in range(2):
                path = f"{PREFIX}/callbacks/{channel.id}"
                async with client.post(path, data=body, headers=headers) as answer:
                    assert answer.status == 200
                await fold_receipts(pool, channel.id, now)
        assert await states(conn, run) == {"delivered": PEOPLE - tenth, "rejected": tenth}
        assert await conn.fetchval("SELECT count(*) FROM uncertain") == 0
        assert await conn.fetchval("SELECT count(*) FROM receipts_unmatched") == 0
