"""The generic HTTP vendor, asked with plain HTTP."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import SecretStr

from service.clock import Clock
from service.simulator.carrier.config import Account, Faults
from service.simulator.run import Simulator, running
from tests.harness.simulated import simulator
from tests.harness.waiting import until
from tests.integration.simulator.raw import QUIET_SECONDS, admin, callbacks

SECRET = "s3cret"
PHONE = "+8619790000001"
CALM = {"duplicate_receipts": 0.0, "early_receipts": 0.0, "unknown_receipts": 0.0}


@asynccontextmanager
async def reached(
    callback_url: str = "", clock: Clock | None = None, **others: Any
) -> AsyncIterator[tuple[Simulator, ClientSession]]:
    """A simulated vendor and a client of its account."""
    account = Account(account="county", secret=SecretStr(SECRET), callback_url=callback_url)
    values = {"cmpp_port": None, "http_port": 0, "admin_port": 0, "seed": 1}
    config = simulator(accounts=(account,), **{**values, **others})
    async with running(config, clock=clock) as carrier:
        url = f"http://127.0.0.1:{carrier.ports['http']}"
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with ClientSession(url, headers=headers) as client:
            yield carrier, client


async def post(client: ClientSession, **others: Any) -> tuple[int, dict[str, Any]]:
    body = {"to": PHONE, "text": "警钟", **others}
    async with client.post("/messages", json=body) as answer:
        return answer.status, await answer.json()


def genuine(request: Any, body: bytes) -> bool:
    signed = request.headers["X-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return bool(request.headers["X-Signature"] == expected)


@pytest.mark.parametrize("wrong", [False, True])
async def test_a_text_is_taken_and_its_receipt_signed(wrong: bool) -> None:
    async with callbacks() as taken, reached(taken.url) as (carrier, client):
        carrier.smsc.set_faults(Faults.model_validate({**CALM, "wrong_digest": wrong}))
        status, answer = await post(client, id="mine")
        assert (status, answer["code"], answer["client_id"]) == (202, "accepted", "mine")
        request, body = await taken.next()
        receipt = json.loads(body)
        assert receipt == {
            "type": "receipt",
            "id": answer["id"],
            "to": PHONE,
            "status": "delivered",
        }
        assert genuine(request, body) is not wrong


async def test_its_callbacks_bear_the_time_of_its_clock() -> None:
    start = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
    async with callbacks() as taken, reached(taken.url, Clock(start, time.time())) as (_, client):
        await post(client)
        request, _ = await taken.next()
        stamped = datetime.fromtimestamp(int(request.headers["X-Timestamp"]), UTC)
        assert timedelta(0) <= stamped - start < timedelta(minutes=5)


async def test_a_reply_is_posted() -> None:
    async with callbacks() as taken, reached(taken.url) as (carrier, _), admin(carrier) as steering:
        body = {"messages": [{"phone": PHONE, "to": "10690000", "text": "退订"}]}
        async with steering.post("/mo", json=body) as answer:
            assert answer.status == 202
        request, octets = await taken.next()
        assert json.loads(octets) == {
            "type": "text",
            "from": PHONE,
            "to": "10690000",
            "text": "退订",
        }
        assert genuine(request, octets)


@pytest.mark.parametrize(
    ("fault", "others", "status", "code"),
    [
        ({}, {"to": "10086"}, 400, "bad_number"),
        ({}, {"text": "x" * 1001}, 400, "too_long"),
        ({}, {"text": ""}, 400, "invalid"),
        ({}, {"to": 5}, 400, "invalid"),
        ({"too_fast": 1}, {}, 429, "too_fast"),
        ({"daily_limit": 0}, {}, 403, "daily_limit"),
        ({"barred_accounts": ("county",)}, {}, 403, "barred"),
        ({"login_status": 401}, {}, 401, "unauthorized"),
    ],
)
async def test_refusals(
    fault: dict[str, Any], others: dict[str, Any], status: int, code: str
) -> None:
    async with reached() as (carrier, client):
        carrier.smsc.set_faults(Faults.model_validate({**CALM, **fault}))
        answered, body = await post(client, **others)
        assert (answered, body["code"]) == (status, code)
        assert carrier.smsc.subscribers["http", "county"].tally.accepted == 0


async def test_what_is_no_json_is_refused_and_so_is_a_wrong_token() -> None:
    async with reached() as (_, client):
        for body in ("{", "[]", "\xff"):
            async with client.post("/messages", data=body.encode("latin-1")) as answer:
                assert (answer.status, (await answer.json())["code"]) == (400, "invalid")
        headers = {"Authorization": "Bearer wrong"}
        async with client.post("/messages", json={}, headers=headers) as answer:
            assert answer.status == 401


async def test_a_slow_answer_comes_late_and_a_swallowed_one_never() -> None:
    async with reached() as (carrier, client):
        for fault in ({"answer_delay_seconds": 5}, {"swallow_responses": 1}):
            carrier.smsc.set_faults(Faults.model_validate({**CALM, **fault}))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    await post(client)
        carrier.smsc.set_faults(Faults.model_validate(CALM))
        assert (await post(client))[0] == 202
        assert carrier.smsc.subscribers["http", "county"].tally.accepted == 3


async def test_a_callback_to_nobody_is_settled_at_once() -> None:
    async with reached() as (carrier, client):
        await post(client)
        tally = carrier.smsc.subscribers["http", "county"].tally
        await until(lambda: tally.receipts_acknowledged == 1)
