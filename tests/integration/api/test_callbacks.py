"""Callbacks over HTTP: stored before they are answered, and only from those who can sign."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from arq.connections import ArqRedis
from openapi_spec_validator import OpenAPIV31SpecValidator
from twilio.request_validator import RequestValidator

from service.accounts.people.model import Role
from service.api.channels import callbacks
from service.api.description.openapi import document
from service.api.http.problems import as_problem
from service.api.routes import CALLBACKS, OPS, PREFIX
from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.changes import confirm, create
from service.channels.config.changes_store import list_proposals
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import Channel, ChannelSettings
from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts
from service.queue import Job, queue_name
from service.runtime import Runtime
from service.storage.postgres import Record, transaction
from service.web import ENTRY, RUNTIME, request_log
from tests.factories import make_user
from tests.harness.waiting import until
from tests.integration.api.conftest import Answer

MOST = 5
SECRET = "k3y-of-callbacks"
PUBLIC = "https://sms.example.com/tocsin/callbacks/x"
PHONE = "+8619790001234"
SENDER = "+447700900123"
CONFIGS: dict[str, dict[str, Any]] = {
    "cmpp": {"host": "h", "account": "901234", "secret": "s", "access_number": "10690000"},
    "twilio": {
        "account_sid": "AC" + "0" * 32,
        "auth_token": SECRET,
        "sender": SENDER,
        "public_url": PUBLIC,
    },
    "http": {
        "url": "https://sms.example.com/",
        "body": '{"to": "{recipient}", "text": "{text}"}',
        "answer_id": "id",
        "callback_id": "id",
        "callback_status": "status",
        "callback_states": {"DELIVRD": "delivered"},
        "callback_answer": "ok",
        "callback_secret": SECRET,
        "inbound_sender": "from",
        "inbound_text": "text",
    },
}
Client = TestClient[web.Request, web.Application]
RECEIPT = {"id": "m1", "status": "DELIVRD"}
TEXT = {"from": PHONE, "text": "退订"}


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[Client]:
    """A server with nothing but the callbacks, as the application adds them."""
    app = web.Application(middlewares=[request_log, as_problem])
    app[RUNTIME] = runtime
    app[ENTRY] = runtime.pool
    app.router.add_post(PREFIX + CALLBACKS, callbacks.Callbacks(most=MOST).receive)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def channel(runtime: Runtime, kind: str, name: str = "", **others: Any) -> Channel:
    settings = ChannelSettings(
        name=name or kind,
        kind=kind,
        simulated=True,
        carriers=tuple(CARRIERS),
        config=parse_settings(kind, {**CONFIGS[kind], **others}),
    )
    async with transaction(runtime.pool) as conn:
        return await insert_channel(conn, runtime.keyring, settings, runtime.clock.now())


async def post(client: Client, to: object, body: bytes, **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"{PREFIX}/callbacks/{to}"
    async with client.post(path, data=body, headers=given) as response:
        return Answer(response.status, response.headers, await response.read())


async def say(client: Client, to: object, said: object) -> Answer:
    """A genuine callback of the HTTP kind."""
    body = json.dumps(said).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return await post(client, to, body, X_Signature=signature, Content_Type="application/json")


async def stored(runtime: Runtime, table: str) -> list[Record]:
    async with runtime.pool.acquire() as conn:
        return await conn.fetch(f"SELECT * FROM {table} ORDER BY id")


async def rung(arq: ArqRedis) -> list[str]:
    return [key.decode() for key in await arq.zrange(queue_name("delivery"), 0, -1)]


@pytest.mark.attack
async def test_a_new_real_channel_reports_nothing_before_a_second_person(
    client: Client, runtime: Runtime
) -> None:
    """Whoever set it up knows its secret, and could say that everybody opts out."""
    now = runtime.clock.now()
    settings = ChannelSettings(
        name="real",
        kind="http",
        simulated=False,
        carriers=tuple(CARRIERS),
        config=parse_settings("http", CONFIGS["http"]),
    )
    async with transaction(runtime.pool) as conn:
        made = await create(conn, runtime.keyring, settings, None, now)
    for said in (RECEIPT, TEXT):
        assert (await say(client, made.id, said)).status == 404
    async with transaction(runtime.pool) as conn:
        admin = await make_user(conn, Role.ADMIN, now=now, kind="county")
        (proposal,) = await list_proposals(conn, made.id, None, 10)
        await confirm(conn, runtime.keyring, made.id, proposal.id, admin, now)
    assert (await say(client, made.id, TEXT)).status == 200
    assert len(await stored(runtime, "inbound")) == 1


@pytest.mark.attack
@pytest.mark.parametrize("by", ["id", "name"])
async def test_what_was_said_is_stored_and_the_folder_is_woken(
    client: Client, runtime: Runtime, by: str
) -> None:
    made = await channel(runtime, "http", "云信 1")
    answer = await say(client, made.id if by == "id" else made.name, [RECEIPT, TEXT])
    assert (answer.status, answer.body) == (200, b"ok")
    (row,) = await stored(runtime, "receipt_inbox")
    assert (row["channel_id"], row["ref"], row["state"]) == (made.id, b"m1", "delivered")
    assert (row["code"], row["received_at"]) == ("DELIVRD", runtime.clock.now())
    (text,) = await stored(runtime, "inbound")
    assert text["sender_hash"] == runtime.keyring.phone_index(PHONE)
    assert runtime.keyring.decrypt("inbound", text["text_cipher"]) == "退订"
    assert any(
        job.startswith(f"{Job.FOLD_RECEIPTS.value}:{made.id}:")
        for job in await rung(runtime.queue.arq)
    )


async def test_a_channel_may_have_a_number_for_a_name(client: Client, runtime: Runtime) -> None:
    made = await channel(runtime, "http", "95566")
    assert (await say(client, "95566", [RECEIPT])).status == 200
    (row,) = await stored(runtime, "receipt_inbox")
    assert row["channel_id"] == made.id


async def test_behind_a_proxy_the_public_address_is_what_was_signed(
    client: Client, runtime: Runtime
) -> None:
    made = await channel(runtime, "twilio")
    form = {"MessageSid": "SM7", "MessageStatus": "sent", "To": PHONE}
    body = urlencode(form).encode()
    seen = str(client.make_url(f"{PREFIX}/callbacks/{made.id}"))
    for signed, query, status in (
        (PUBLIC, "", 200),
        (f"{PUBLIC}?a=b%20c", "?a=b%20c", 200),
        (PUBLIC, "?a=b", 403),
        (seen, "", 403),
    ):
        answer = await post(
            client,
            f"{made.id}{query}",
            body,
            X_Twilio_Signature=RequestValidator(SECRET).compute_signature(signed, form),
            X_Forwarded_Host="sms.example.com",
            Content_Type="application/x-www-form-urlencoded",
        )
        assert answer.status == status, (signed, query)
    assert len(await stored(runtime, "receipt_inbox")) == 2


async def test_without_a_proxy_the_address_is_as_it_came(client: Client, runtime: Runtime) -> None:
    made = await channel(runtime, "twilio", public_url="")
    form = {"MessageSid": "SM8", "From": PHONE, "To": SENDER, "Body": "你好"}
    seen = str(client.make_url(f"{PREFIX}/callbacks/{made.id}"))
    answer = await post(
        client,
        made.id,
        urlencode(form).encode(),
        X_Twilio_Signature=RequestValidator(SECRET).compute_signature(seen, form),
        Content_Type="application/x-www-form-urlencoded",
    )
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert len(await stored(runtime, "inbound")) == 1
    assert await stored(runtime, "receipt_inbox") == []


def _check(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["type"] == f"/problems/{code}"
    assert SECRET.encode() not in answer.body


@pytest.mark.attack
async def test_refusals_say_why_and_store_nothing(client: Client, runtime: Runtime) -> None:
    made = await channel(runtime, "http")
    silent = await channel(runtime, "cmpp")
    body = json.dumps([RECEIPT]).encode()
    _check(await post(client, made.id, body), 403, "forbidden")
    _check(await post(client, made.id, body, X_Signature="0" * 64), 403, "forbidden")
    _check(await say(client, made.id, [{"odd": 1}]), 400, "malformed")
    _check(await say(client, made.id, "what"), 400, "malformed")
    for unknown in (silent.id, "cmpp", "nobody", made.id + 50, 40_000, "9" * 30, "-1", "%00", "é"):
        _check(await say(client, unknown, [RECEIPT]), 404, "not_found")
    _check(await post(client, made.id, b" " * 300_000), 413, "too_large")
    async with client.get(f"{PREFIX}/callbacks/{made.id}") as response:
        assert response.status == 405
    assert await stored(runtime, "receipt_inbox") == []
    assert await rung(runtime.queue.arq) == []


async def test_what_cannot_be_stored_is_not_answered_and_nothing_of_it_stays(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await channel(runtime, "http")

    async def gone(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as broken:
        broken.setattr("service.delivery.receipts.store.insert_inbound", gone)
        answer = await say(client, made.id, [RECEIPT, TEXT])
    _check(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert await stored(runtime, "receipt_inbox") == []
    assert await rung(runtime.queue.arq) == []
    assert (await say(client, made.id, [RECEIPT, TEXT])).status == 200
    assert len(await stored(runtime, "receipt_inbox")) == 1


async def test_the_answer_comes_after_the_commit(client: Client, runtime: Runtime) -> None:
    made = await channel(runtime, "http")
    async with transaction(runtime.pool) as conn:
        await conn.execute("LOCK TABLE receipt_inbox IN EXCLUSIVE MODE")
        asking = asyncio.create_task(say(client, made.id, [RECEIPT]))
        blocked = False
        while not blocked:
            blocked = await conn.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted "
                "AND relation = 'receipt_inbox'::regclass)"
            )
        assert not asking.done()
    assert (await asyncio.wait_for(asking, 10)).status == 200
    assert len(await stored(runtime, "receipt_inbox")) == 1


@pytest.mark.attack
async def test_a_repeat_changes_nothing(client: Client, runtime: Runtime, keyring: Keyring) -> None:
    made = await channel(runtime, "http")
    run = "0195f3a0-0000-7000-8000-000000000000"
    now = runtime.clock.now()
    async with transaction(runtime.pool) as conn:
        await conn.execute(
            "INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, "
            "roles, state, part_count, attempt) "
            "VALUES ($1, 1, $2, '', $3, 'china_mobile', '{}', 'submitted', 1, 1)",
            run,
            keyring.phone_index(PHONE),
            made.id,
        )
        await conn.execute(
            "INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at) "
            "VALUES ($1, $2, $3, $4, 1, 1, 1, $5)",
            made.id,
            b"m1",
            keyring.phone_index(PHONE),
            run,
            now,
        )
    for _ in range(3):
        assert (await say(client, made.id, [RECEIPT, RECEIPT])).status == 200
        await fold_receipts(runtime.pool, made.id, now)
    async with runtime.pool.acquire() as conn:
        assert await conn.fetchval("SELECT state::text FROM messages") == "delivered"
        assert await conn.fetchval("SELECT count(*) FROM receipts_unmatched") == 0
        assert await conn.fetchval("SELECT count(*) FROM receipt_inbox") == 0


async def test_a_lost_wake_up_does_not_lose_the_receipt(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await channel(runtime, "http")

    async def away(*_: object, **__: object) -> None:
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(runtime.queue.arq, "enqueue_job", away)
    assert (await say(client, made.id, [RECEIPT])).status == 200
    assert len(await stored(runtime, "receipt_inbox")) == 1


@pytest.mark.slow
def test_the_document_with_this_address_is_valid() -> None:
    whole = document(OPS, PREFIX, "0")
    whole["paths"][PREFIX + CALLBACKS] = callbacks.path_item()
    OpenAPIV31SpecValidator(json.loads(json.dumps(whole))).validate()  # as it is served
    operation = whole["paths"][PREFIX + CALLBACKS]["post"]
    assert operation["security"] == []
    assert set(operation["responses"]) == {"200", "400", "403", "404", "408", "413", "503"}


@pytest.mark.attack
async def test_when_too_many_wait_for_the_database_the_next_is_told_to_come_again(
    client: Client, runtime: Runtime
) -> None:
    made = await channel(runtime, "http")
    async with transaction(runtime.pool) as conn:
        await conn.execute("LOCK TABLE receipt_inbox IN ACCESS EXCLUSIVE MODE")
        waiting = [
            asyncio.create_task(say(client, made.id, [{**RECEIPT, "id": f"m{n}"}]))
            for n in range(MOST)
        ]

        async def all_wait() -> bool:
            waiting: int = await conn.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass",
                "receipt_inbox",
            )
            return waiting >= MOST

        await until(all_wait)
        for _ in range(20):
            refused = await say(client, made.id, [RECEIPT])
            _check(refused, 503, "unavailable")
            assert refused.headers["Retry-After"] == "5"
            assert "too many callbacks" in refused.json["detail"]
    assert [(await answer).status for answer in waiting] == [200] * MOST
    assert len(await stored(runtime, "receipt_inbox")) == MOST
    assert (await say(client, made.id, [RECEIPT])).status == 200


@pytest.mark.attack
async def test_strangers_who_send_slowly_keep_no_receipt_out(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them could sign; they would only have to hold all places for ever."""
    monkeypatch.setattr(callbacks, "BODY_SECONDS", 1.0)
    made = await channel(runtime, "http")
    coming = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        coming.set()
        await asyncio.Event().wait()

    path = f"{PREFIX}/callbacks/{made.id}"
    slow = [asyncio.create_task(client.post(path, data=never())) for _ in range(3 * MOST)]
    await coming.wait()
    assert (await say(client, made.id, [RECEIPT])).status == 200
    assert {(await answer).status for answer in slow} == {408}
    monkeypatch.setattr(callbacks, "MOST_COMING", 0)
    assert (await say(client, made.id, [RECEIPT])).status == 503
