"""The generic HTTP gateway against providers on real sockets: each outcome, each way to fail."""

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from service.channels.contract.gateway import SubmitResult, Unreachable
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.errors import Invalid
from service.gateways.http import HTTPConfig, HTTPGateway
from service.ledger.reasons import Reason
from service.protocols.http.client import trusted
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.waiting import turns
from tests.integration.wire.http_provider import (
    PHONE,
    Provider,
    Reply,
    Seen,
    free_port,
    nothing_delivered,
    provider,
    raw_server,
    says,
    self_signed,
    send,
    submissions,
)

CLOCK = Clock(datetime(2027, 1, 12, 1, 30, tzinfo=UTC), anchor=0.0, speed=0.0)
SECRET = "s3cr3t-of-the-provider"
JSON_BODY = '{"to": "{recipient_national}", "text": "{text}", "expire": "{valid_until}"}'
OK = {"code": 0, "data": {"list": [{"msgid": 92233720368547758070}]}}
HOSTILE = [
    'he said "hi" \\ \n\r\t',
    "{text}{secret}}}{{",
    "a&b=c&to=19790009999#?%41+%",
    '", "to": "19790009999',
    "🀄🧑‍🚒\u2028\u202e",
    "\x00\x1f\x7f",
]


def settings(url: str, **others: Any) -> HTTPConfig:
    given: dict[str, Any] = {
        "url": url,
        "body": JSON_BODY,
        "answer_id": "data.list.0.msgid",
        "answer_code": "code",
        "codes": {"0": "accepted", "9": "throttled", "4": "rejected:blacklisted", "5": "suspended"},
        "timeout_seconds": 5,
    }
    return HTTPConfig(**{**given, **others})


@asynccontextmanager
async def opened(config: HTTPConfig) -> AsyncIterator[HTTPGateway]:
    gateway = HTTPGateway(config, nothing_delivered, CLOCK)
    await gateway.open()
    try:
        yield gateway
    finally:
        await gateway.close(drain_seconds=0)


@asynccontextmanager
async def reached(
    reply: Reply | None = None, /, **others: Any
) -> AsyncIterator[tuple[HTTPGateway, Provider]]:
    async with (
        provider(reply or says(200, OK)) as there,
        opened(settings(f"{there.url}/send", **others)) as gateway,
    ):
        yield gateway, there


# What is sent


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_text_can_break_out_of_a_json_body(text: str) -> None:
    async with reached(headers="X-Key: k\nAuthorization: Bearer b") as (gateway, there):
        assert (await send(gateway, text)).outcome is Outcome.ACCEPTED
    (seen,) = there.seen
    assert json.loads(seen.body) == {"to": "19790001234", "text": text}
    assert seen.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (seen.headers["X-Key"], seen.headers["Authorization"]) == ("k", "Bearer b")


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
@pytest.mark.parametrize("text", HOSTILE)
async def test_no_text_can_break_out_of_a_form(method: str, text: str) -> None:
    body = (
        "to={recipient}&text={text}&pass={secret}&from={sender}&note=100%25+sure&end={valid_until}"
    )
    account = {"method": method, "secret": SECRET, "sender": "1069"}
    async with reached(None, content="form", body=body, **account) as (gateway, there):
        assert (await send(gateway, text, extension="01")).outcome is Outcome.ACCEPTED
    (seen,) = there.seen
    form = urlsplit(seen.path_qs).query if method == "GET" else seen.text
    assert parse_qsl(form, keep_blank_values=True) == [
        ("to", PHONE),
        ("text", text),
        ("pass", SECRET),
        ("from", "106901"),
        ("note", "100% sure"),
    ]
    assert seen.method == method
    assert ("Content-Type" in seen.headers) is (method != "GET")


async def test_the_end_of_validity_travels_and_a_text_past_it_is_not_sent() -> None:
    until = CLOCK.now() + timedelta(minutes=5)
    body = '{"t": "{text}{recipient}", "until": "{valid_until}", "ttl": "{validity_seconds}"}'
    async with reached(body=body) as (gateway, there):
        await send(gateway, valid_until=until)
        assert json.loads(there.seen[0].body)["until"] == "2027-01-12T01:35:00+00:00"
        assert json.loads(there.seen[0].body)["ttl"] == "300"
        late = await send(gateway, valid_until=CLOCK.now())
        assert late == SubmitResult(Outcome.NOT_SENT)
        assert len(there.seen) == 1
        assert not gateway.lost.is_set()


async def test_a_callback_is_asked_for_only_where_a_receipt_is() -> None:
    body = '{"t": "{text}{recipient}", "cb": "{callback_url}"}'
    url = "https://sms.example.com/api/v1/callbacks/7"
    async with reached(body=body, public_url=url) as (gateway, there):
        await send(gateway)
        await send(gateway, receipt=False)
    assert [json.loads(seen.body).get("cb") for seen in there.seen] == [url, None]


async def test_a_long_text_is_one_part_and_too_long_a_text_none() -> None:
    gateway = HTTPGateway(settings("http://127.0.0.1/"), nothing_delivered, CLOCK)
    (part,) = gateway.split("警" * 1000)
    assert (part.number, part.total) == (1, 1)
    with pytest.raises(Invalid, match="1,001"):
        gateway.split("警" * 1001)


# What the answer means


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code", "reason"),
    [
        (200, OK, Outcome.ACCEPTED, "0", ""),
        (202, OK, Outcome.ACCEPTED, "0", ""),
        (200, {"code": "9"}, Outcome.THROTTLED, "9", Reason.NONE),
        (200, {"code": 4}, Outcome.REJECTED, "4", Reason.BLACKLISTED),
        (400, {"code": 4}, Outcome.REJECTED, "4", Reason.BLACKLISTED),
        (500, {"code": 4}, Outcome.REJECTED, "4", Reason.BLACKLISTED),
        (200, {"code": 5}, Outcome.SUSPENDED, "5", Reason.NONE),
        (200, {"code": 777}, Outcome.REJECTED, "777", Reason.OTHER),
        (200, {"code": 0}, Outcome.UNANSWERED, "0", Reason.NONE),
        (200, {}, Outcome.UNANSWERED, "http 200", Reason.NONE),
        (200, [], Outcome.UNANSWERED, "http 200", Reason.NONE),
        (204, None, Outcome.UNANSWERED, "http 204", Reason.NONE),
        (302, {}, Outcome.UNANSWERED, "http 302", Reason.NONE),
        (307, {}, Outcome.SUSPENDED, "http 307", Reason.ACCOUNT),
        (400, {}, Outcome.REJECTED, "http 400", Reason.FORMAT),
        (401, {}, Outcome.SUSPENDED, "http 401", Reason.ACCOUNT),
        (404, {}, Outcome.SUSPENDED, "http 404", Reason.ACCOUNT),
        (408, {}, Outcome.UNANSWERED, "http 408", Reason.NONE),
        (409, {}, Outcome.REJECTED, "http 409", Reason.OTHER),
        (418, {}, Outcome.DAILY_LIMIT, "http 418", Reason.NONE),
        (429, {}, Outcome.THROTTLED, "http 429", Reason.FREQUENCY_LIMIT),
        (500, {}, Outcome.UNANSWERED, "http 500", Reason.NONE),
        (503, {"code": 777}, Outcome.UNANSWERED, "777", Reason.NONE),
    ],
)
async def test_each_answer(
    status: int, body: object, outcome: Outcome, code: str, reason: str
) -> None:
    async with reached(says(status, body), statuses={"418": "daily_limit"}) as (gateway, there):
        result = await send(gateway)
    ids = (b"92233720368547758070",) if outcome is Outcome.ACCEPTED else ()
    assert result == SubmitResult(outcome, refs=ids, code=code, reason=reason)
    assert len(there.seen) == 1


async def test_without_a_code_of_its_own_the_status_decides() -> None:
    async with reached(answer_code="", codes={}) as (gateway, _):
        result = await send(gateway)
    assert (result.outcome, result.code) == (Outcome.ACCEPTED, "http 200")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "9" * 30}, 86_400.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
        (
            {
                "Date": "Tue, 12 Jan 2027 01:30:00 GMT",
                "Retry-After": "Tue, 12 Jan 2027 01:31:30 GMT",
            },
            90.0,
        ),
        (
            {
                "Date": "Tue, 12 Jan 2027 01:30:00 GMT",
                "Retry-After": "Tue, 12 Jan 2027 01:00:00 GMT",
            },
            0.0,
        ),
    ],
)
async def test_a_throttling_provider_says_how_long(
    headers: dict[str, str], seconds: float | None
) -> None:
    async with reached(says(429, {}, **headers)) as (gateway, _):
        result = await send(gateway)
    assert (result.outcome, result.retry_after) == (Outcome.THROTTLED, seconds)


async def test_our_own_id_is_the_reference_where_the_provider_keeps_it() -> None:
    body = '{"to": "{recipient}", "text": "{text}", "uid": "{message_id}"}'
    own = {"body": body, "answer_id": "", "answer_code": "", "codes": {}}
    async with reached(None, **own) as (gateway, there):
        results = [await send(gateway), await send(gateway)]
    ids = [json.loads(seen.body)["uid"].encode() for seen in there.seen]
    assert [result.refs for result in results] == [(ids[0],), (ids[1],)]
    assert ids[0] != ids[1]
    async with reached(says(500, {}), **own) as (gateway, there):
        result = await send(gateway)  # so that its receipt settles what has no answer
    assert result.outcome is Outcome.UNANSWERED
    assert result.refs == (json.loads(there.seen[0].body)["uid"].encode(),)
    async with reached(says(429, {}), **own) as (gateway, _):
        assert (await send(gateway)).refs == ()


async def test_our_own_id_is_kept_where_the_connection_broke() -> None:
    async def drop(*_: object) -> None:
        return

    body = "to={recipient}&text={text}&uid={message_id}"
    own = {"body": body, "answer_id": "", "method": "GET", "content": "form"}
    async with (
        raw_server(drop) as (port, heads),
        opened(settings(f"http://127.0.0.1:{port}/", **own)) as gateway,
    ):
        result = await send(gateway)
    sent = dict(parse_qsl(urlsplit(heads[0].split()[1].decode()).query))
    assert result == SubmitResult(Outcome.UNANSWERED, refs=(sent["uid"].encode(),))


@pytest.mark.attack
async def test_answers_are_read_up_to_a_limit() -> None:
    async def endless(_: Seen) -> web.StreamResponse:
        long = json.dumps(OK).encode() + b" " * 300_000
        return web.Response(body=long, content_type="application/json")

    async with reached(endless) as (gateway, _):
        assert (await send(gateway)).outcome is Outcome.UNANSWERED


# Ways to fail


async def test_nobody_there_is_unreachable() -> None:
    config = settings(f"http://127.0.0.1:{await free_port()}/")
    gateway = HTTPGateway(config, nothing_delivered, CLOCK)
    with pytest.raises(Unreachable, match="refused") as error:
        await gateway.open()
    assert error.value.retryable
    assert gateway.lost.is_set()
    assert (await send(gateway)).outcome is Outcome.NOT_SENT
    await gateway.close(drain_seconds=0)


async def test_an_untrusted_certificate_is_unreachable(tmp_path: Path) -> None:
    async with provider(says(200, OK), tls=self_signed(tmp_path)) as there:
        gateway = HTTPGateway(
            settings(f"https://127.0.0.1:{there.port}/"), nothing_delivered, CLOCK
        )
        with pytest.raises(Unreachable, match="certificate"):
            await gateway.open()
        assert there.seen == []


async def test_what_the_system_trusts_is_read_once_and_not_in_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    make = ssl.create_default_context

    def counted() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return make()

    monkeypatch.setattr(ssl, "create_default_context", counted)
    trusted.cache_clear()
    for _ in range(3):
        config = settings(f"https://127.0.0.1:{await free_port()}/")
        with pytest.raises(Unreachable):
            await HTTPGateway(config, nothing_delivered, CLOCK).open()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_an_unknown_name_is_unreachable() -> None:
    gateway = HTTPGateway(settings("http://no-such-host.invalid/"), nothing_delivered, CLOCK)
    with pytest.raises(Unreachable, match="name"):
        await gateway.open()


async def test_a_cancelled_opening_is_cancelled() -> None:
    async with provider(says(200, OK)) as there:
        gateway = HTTPGateway(settings(there.url), nothing_delivered, CLOCK)
        opening = asyncio.create_task(gateway.open())
        await turns()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert gateway.lost.is_set()


async def test_a_provider_that_went_away_gets_nothing_and_the_gateway_is_lost() -> None:
    async with provider(says(200, OK)) as there:
        gateway = HTTPGateway(settings(there.url), nothing_delivered, CLOCK)
        await gateway.open()
    results = await asyncio.gather(*gateway.submit(submissions(gateway, ("a", "b", "c"))))
    assert {result.outcome for result in results} == {Outcome.NOT_SENT}
    await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
    await gateway.close(drain_seconds=0)


async def test_a_certificate_that_goes_bad_carries_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with provider(says(200, OK), tls=self_signed(tmp_path)) as there:
        gateway = HTTPGateway(
            settings(f"https://127.0.0.1:{there.port}/"), nothing_delivered, CLOCK
        )

        async def trusted(_: HTTPGateway) -> None:
            return

        monkeypatch.setattr(HTTPGateway, "sign_in", trusted)
        await gateway.open()
        assert (await send(gateway)).outcome is Outcome.NOT_SENT
        assert there.seen == []
        await gateway.close(drain_seconds=0)


async def test_a_connection_that_never_comes_about_carries_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def there(_: HTTPGateway) -> None:
        return

    monkeypatch.setattr(HTTPGateway, "sign_in", there)

    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async with raw_server(silent) as (port, _):
        config = settings(f"https://127.0.0.1:{port}/", timeout_seconds=0.2)
        async with opened(config) as gateway:  # TLS is never answered
            assert await send(gateway) == SubmitResult(Outcome.NOT_SENT)
            assert gateway.lost.is_set()


@pytest.mark.attack
@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{}", b"220 smtp ready\r\n"]
)
async def test_a_connection_torn_after_the_request_is_never_repeated(
    method: str, answer: bytes
) -> None:
    async def tear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    form = {"content": "form", "body": "to={recipient}&text={text}", "method": method}
    async with (
        raw_server(tear) as (port, heads),
        opened(settings(f"http://127.0.0.1:{port}/", **form)) as gateway,
    ):
        assert await send(gateway) == SubmitResult(Outcome.UNANSWERED)
        assert len(heads) == 1
        assert not gateway.lost.is_set()


@pytest.mark.attack
async def test_a_slow_answer_is_waited_for_and_then_given_up() -> None:
    release = asyncio.Event()

    async def slow(_: Seen) -> web.StreamResponse:
        await release.wait()
        return web.json_response(OK)

    async with reached(slow, timeout_seconds=1.5) as (gateway, there):
        assert await send(gateway) == SubmitResult(Outcome.UNANSWERED)
        assert len(there.seen) == 1
        assert not gateway.lost.is_set()
        release.set()
        assert (await send(gateway)).outcome is Outcome.ACCEPTED


async def test_closing_waits_for_answers_and_gives_up_the_rest() -> None:
    release = asyncio.Event()

    async def slow(seen: Seen) -> web.StreamResponse:
        if b"second" in seen.body:
            await asyncio.Event().wait()
        await release.wait()
        return web.json_response(OK)

    async with provider(slow) as there:
        gateway = HTTPGateway(settings(there.url), nothing_delivered, CLOCK)
        await gateway.open()
        first, second = gateway.submit(submissions(gateway, ("first", "second")))
        await there.wait_for(2)
        closing = asyncio.create_task(gateway.close(drain_seconds=1.0))
        await turns()
        (late,) = gateway.submit(submissions(gateway, ("late",)))
        release.set()
        await asyncio.wait_for(closing, PATIENCE_SECONDS)
        assert first.result().outcome is Outcome.ACCEPTED
        assert second.result().outcome is Outcome.UNANSWERED
        assert late.result().outcome is Outcome.NOT_SENT
        assert gateway.lost.is_set()
        assert len(there.seen) == 2
        await gateway.close(drain_seconds=0)


async def test_what_has_not_begun_when_the_gateway_is_closed_was_not_sent() -> None:
    async with provider(says(200, OK)) as there:
        gateway = HTTPGateway(settings(there.url), nothing_delivered, CLOCK)
        await gateway.open()
        futures = gateway.submit(submissions(gateway, ("a", "b")))
        await gateway.close(drain_seconds=0)
        assert {future.result().outcome for future in futures} == {Outcome.NOT_SENT}
        assert there.seen == []


async def test_a_provider_that_vanishes_lets_open_answers_in_before_the_gateway_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = asyncio.Event()
    taken = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await release.wait()
        body = json.dumps(OK).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gateway = HTTPGateway(settings(f"http://127.0.0.1:{port}/"), nothing_delivered, CLOCK)

    async def there() -> None:
        return

    monkeypatch.setattr(gateway, "sign_in", there)
    await gateway.open()
    (open_one,) = gateway.submit(submissions(gateway))
    await asyncio.wait_for(taken.wait(), PATIENCE_SECONDS)
    server.close()
    assert (await send(gateway)).outcome is Outcome.NOT_SENT
    assert not gateway.lost.is_set()
    (held,) = gateway.submit(submissions(gateway))
    await turns()
    assert not held.done()  # at once, its caller would spin
    release.set()
    assert (await asyncio.wait_for(open_one, PATIENCE_SECONDS)).outcome is Outcome.ACCEPTED
    assert (await asyncio.wait_for(held, PATIENCE_SECONDS)).outcome is Outcome.NOT_SENT
    assert gateway.lost.is_set()
    await gateway.close(drain_seconds=0)


async def test_requests_are_in_flight_at_once_and_connections_are_used_again() -> None:
    async with reached() as (gateway, there):
        for _ in range(3):
            futures = gateway.submit(submissions(gateway, [f"n{n}" for n in range(20)]))
            results = await asyncio.wait_for(asyncio.gather(*futures), PATIENCE_SECONDS)
            assert {result.outcome for result in results} == {Outcome.ACCEPTED}
        assert len(there.seen) == 60
        assert len(there.connections) <= 40


@pytest.mark.attack
async def test_no_log_has_the_number_the_text_or_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def drop(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    form = {
        "method": "GET",
        "content": "form",
        "body": "to={recipient_national}&text={text}&pass={secret}",
        "secret": SECRET,
    }
    with caplog.at_level(logging.DEBUG):
        async with (
            raw_server(drop) as (port, _),
            opened(settings(f"http://127.0.0.1:{port}/", **form)) as gateway,
        ):
            await send(gateway, "SECRET-TEXT")
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "no answer" in logged
    for word in ("19790001234", "SECRET-TEXT", SECRET):
        assert word not in logged
