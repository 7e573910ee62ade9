"""The Twilio gateway against a server that answers as Twilio does, over real sockets."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from service.channels.contract.gateway import (
    LoginRefused,
    Receipt,
    SubmitResult,
    Unparseable,
    Unreachable,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.errors import Invalid
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.ledger.reasons import Reason
from tests.harness.session import PATIENCE_SECONDS
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
    send,
    submissions,
)

CLOCK = Clock(datetime(2027, 1, 12, 1, 30, tzinfo=UTC), anchor=0.0, speed=0.0)
ACCOUNT = "AC" + "0" * 31 + "7"
SERVICE = "MG" + "0" * 31 + "8"
SECRET = "t0ken-of-the-account"
SID = "SM" + "0" * 31 + "9"
PATH = f"/2010-04-01/Accounts/{ACCOUNT}"
CALLBACK = "https://sms.example.com/api/v1/callbacks/7"
CREATED = {"sid": SID, "status": "queued", "error_code": None, "to": PHONE}


def settings(url: str, **others: Any) -> TwilioConfig:
    given: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "auth_token": SECRET,
        "messaging_service_sid": SERVICE,
        "public_url": CALLBACK,
        "api_url": url,
        "timeout_seconds": 5,
    }
    return TwilioConfig(**{**given, **others})


def twilio(messages: Reply, account: Reply | None = None) -> Reply:
    """An account that is active, and `messages` as the answer to whatever is sent."""
    shows = account or says(200, {"sid": ACCOUNT, "status": "active"})

    async def reply(seen: Seen) -> web.StreamResponse:
        return await (shows if seen.path_qs == f"{PATH}.json" else messages)(seen)

    return reply


def refusal(status: int, code: int, **headers: str) -> Reply:
    """An error in Twilio's shape."""
    body = {"code": code, "message": "no", "more_info": "https://example.com", "status": status}
    return says(status, body, **headers)


@asynccontextmanager
async def reached(
    messages: Reply | None = None, **others: Any
) -> AsyncIterator[tuple[TwilioGateway, Provider]]:
    async with provider(twilio(messages or says(201, CREATED))) as there:
        gateway = TwilioGateway(settings(there.url, **others), nothing_delivered, CLOCK)
        await gateway.open()
        there.seen.clear()
        try:
            yield gateway, there
        finally:
            await gateway.close(drain_seconds=0)


def form(seen: Seen) -> dict[str, str]:
    return dict(parse_qsl(seen.text, keep_blank_values=True, strict_parsing=True))


# Opening


async def test_opening_fetches_the_account_with_its_credentials() -> None:
    async with provider(twilio(says(500))) as there:
        gateway = TwilioGateway(settings(there.url), nothing_delivered, CLOCK)
        await gateway.open()
        (seen,) = there.seen
        assert (seen.method, seen.path_qs) == ("GET", f"{PATH}.json")
        basic = base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()
        assert seen.headers["Authorization"] == f"Basic {basic}"
        assert not gateway.lost.is_set()
        await gateway.close(drain_seconds=0)
        assert gateway.lost.is_set()


@pytest.mark.parametrize(
    ("account", "error", "retryable", "words"),
    [
        (refusal(401, 20003), LoginRefused, False, "auth token"),
        (refusal(403, 20005), LoginRefused, False, "20005"),
        (refusal(404, 20404), LoginRefused, False, "no such account"),
        (refusal(429, 20429), LoginRefused, True, "too many"),
        (says(200, {"status": "suspended"}), LoginRefused, False, "suspended"),
        (refusal(503, 20503), Unreachable, True, "HTTP 503"),
        (says(400, "?"), Unparseable, True, "HTTP 400"),
        (says(200, ["?"]), Unparseable, True, "not Twilio"),
        (says(301, None), Unparseable, True, "not Twilio"),
    ],
)
async def test_a_refusal_says_why_and_whether_to_try_again(
    account: Reply, error: type[LoginRefused], retryable: bool, words: str
) -> None:
    async with provider(twilio(says(500), account)) as there:
        gateway = TwilioGateway(settings(there.url), nothing_delivered, CLOCK)
        with pytest.raises(error, match=words) as refused:
            await gateway.open()
        assert refused.value.retryable is retryable
        assert SECRET not in str(refused.value)
        assert gateway.lost.is_set()
        assert len(there.seen) == 1


async def test_nobody_there_is_unreachable() -> None:
    config = settings(f"http://127.0.0.1:{await free_port()}")
    with pytest.raises(Unreachable, match="refused"):
        await TwilioGateway(config, nothing_delivered, CLOCK).open()


@pytest.mark.attack
async def test_a_server_that_never_answers_is_unreachable_in_time() -> None:
    async def silent(*_: object) -> None:
        await asyncio.Event().wait()

    async with raw_server(silent) as (port, _):
        config = settings(f"http://127.0.0.1:{port}", timeout_seconds=0.2)
        with pytest.raises(Unreachable, match="too long"):
            await TwilioGateway(config, nothing_delivered, CLOCK).open()


# Submitting


async def test_a_text_is_created_once_with_what_belongs_to_it() -> None:
    text = '警钟 "a&b=c" + % 🀄\n{x}'
    async with reached() as (gateway, there):
        result = await send(gateway, text, valid_until=CLOCK.now() + timedelta(minutes=5))
        assert result == SubmitResult(Outcome.ACCEPTED, refs=(SID.encode(),))
        (seen,) = there.seen
        assert (seen.method, seen.path_qs) == ("POST", f"{PATH}/Messages.json")
        assert form(seen) == {
            "To": PHONE,
            "Body": text,
            "MessagingServiceSid": SERVICE,
            "ValidityPeriod": "300",
            "StatusCallback": CALLBACK,
        }


async def test_a_sender_of_its_own_and_no_receipt() -> None:
    async with reached(messaging_service_sid="", sender="+447700900123") as (gateway, there):
        await send(gateway, receipt=False)
    assert form(there.seen[0]) == {"To": PHONE, "Body": "警钟", "From": "+447700900123"}


async def test_validity_is_cut_to_what_twilio_takes_and_over_means_not_sent() -> None:
    async with reached() as (gateway, there):
        await send(gateway, valid_until=CLOCK.now() + timedelta(days=2))
        assert form(there.seen[0])["ValidityPeriod"] == "36000"
        assert (await send(gateway, valid_until=CLOCK.now())).outcome is Outcome.NOT_SENT
        assert len(there.seen) == 1


async def test_an_extension_cannot_be_written() -> None:
    async with reached() as (gateway, there):
        result = await send(gateway, extension="01")
    assert (result.outcome, result.code) == (Outcome.REJECTED, "extension")
    assert there.seen == []


def test_twilio_cuts_long_texts_itself_up_to_a_limit() -> None:
    gateway = TwilioGateway(settings("http://127.0.0.1"), nothing_delivered, CLOCK)
    assert len(gateway.split("警" * 1600)) == 1
    with pytest.raises(Invalid, match="1,601"):
        gateway.split("警" * 1601)


@pytest.mark.parametrize(
    ("status", "code", "outcome", "reason"),
    [
        (400, 21211, Outcome.REJECTED, Reason.EMPTY_NUMBER),
        (400, 21610, Outcome.REJECTED, Reason.BLACKLISTED),
        (400, 21614, Outcome.REJECTED, Reason.EMPTY_NUMBER),
        (400, 21617, Outcome.REJECTED, Reason.FORMAT),
        (400, 29999, Outcome.REJECTED, Reason.OTHER),
        (403, 21610, Outcome.REJECTED, Reason.BLACKLISTED),
        (400, 21606, Outcome.SUSPENDED, Reason.ACCOUNT),
        (400, 21408, Outcome.SUSPENDED, Reason.ACCOUNT),
        (403, 20403, Outcome.SUSPENDED, Reason.ACCOUNT),
        (404, 20404, Outcome.SUSPENDED, Reason.ACCOUNT),
        (403, 29999, Outcome.SUSPENDED, Reason.ACCOUNT),
        (400, 21611, Outcome.THROTTLED, Reason.FREQUENCY_LIMIT),
        (429, 20429, Outcome.THROTTLED, Reason.FREQUENCY_LIMIT),
        (429, 63038, Outcome.DAILY_LIMIT, Reason.FREQUENCY_LIMIT),
        (400, 63038, Outcome.DAILY_LIMIT, Reason.FREQUENCY_LIMIT),
        (408, 20408, Outcome.UNANSWERED, Reason.NONE),
        (500, 20500, Outcome.UNANSWERED, Reason.NONE),
        (503, 20503, Outcome.UNANSWERED, Reason.NONE),
    ],
)
async def test_each_refusal(status: int, code: int, outcome: Outcome, reason: Reason) -> None:
    async with reached(refusal(status, code)) as (gateway, there):
        assert await send(gateway) == SubmitResult(outcome, code=str(code), reason=reason)
        assert len(there.seen) == 1  # the library would have sent it again
        assert not gateway.lost.is_set()


@pytest.mark.attack
@pytest.mark.parametrize(
    "answer",
    [
        says(201, {}),
        says(201, {"sid": None}),
        says(201, {"sid": 5}),
        says(201, []),
        says(201, None),
        says(302, None),
        says(500, "not JSON in Twilio's sense"),
    ],
)
async def test_an_answer_that_cannot_be_read_may_have_been_a_yes(answer: Reply) -> None:
    async with reached(answer) as (gateway, _):
        assert (await send(gateway)).outcome is Outcome.UNANSWERED


async def test_a_429_keeps_its_retry_after_and_a_problem_without_a_code_its_status() -> None:
    async with reached(refusal(429, 20429, **{"Retry-After": "3"})) as (gateway, _):
        assert (await send(gateway)).retry_after == 3.0
    async with reached(says(429, "slow down")) as (gateway, _):
        result = await send(gateway)
    assert (result.outcome, result.code) == (Outcome.THROTTLED, "429")
    problem = {"type": "t", "title": "t", "status": 400, "code": 21211}
    async with reached(says(400, problem)) as (gateway, _):
        assert (await send(gateway)).reason == Reason.EMPTY_NUMBER


async def test_revoked_credentials_end_the_connection_after_the_open_answers() -> None:
    release = asyncio.Event()

    async def reply(seen: Seen) -> web.StreamResponse:
        if form(seen)["Body"] == "first":
            await release.wait()
            return await says(201, CREATED)(seen)
        return await refusal(401, 20003)(seen)

    async with reached(reply) as (gateway, there):
        (first,) = gateway.submit(submissions(gateway, ("first",)))
        await there.wait_for(1)
        result = await send(gateway, "second")
        assert (result.outcome, result.code) == (Outcome.SUSPENDED, "20003")
        assert not gateway.lost.is_set()
        release.set()
        assert (await asyncio.wait_for(first, PATIENCE_SECONDS)).outcome is Outcome.ACCEPTED
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        assert (await send(gateway)).outcome is Outcome.NOT_SENT
        assert len(there.seen) == 2


@pytest.mark.attack
async def test_a_slow_answer_is_given_up_in_time_and_never_repeated() -> None:
    async def slow(_: Seen) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with reached(slow, timeout_seconds=0.3) as (gateway, there):
        assert await send(gateway) == SubmitResult(Outcome.UNANSWERED)
        assert len(there.seen) == 1


async def test_a_twilio_that_went_away_gets_nothing_and_the_gateway_is_lost() -> None:
    async with provider(twilio(says(201, CREATED))) as there:
        gateway = TwilioGateway(settings(there.url), nothing_delivered, CLOCK)
        await gateway.open()
    assert (await send(gateway)).outcome is Outcome.NOT_SENT
    await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
    await gateway.close(drain_seconds=0)


async def test_settings_come_from_the_channel_and_never_from_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TWILIO_EDGE", "TWILIO_REGION", "TWILIO_ACCOUNT_SID"):
        monkeypatch.setenv(name, "elsewhere")
    async with reached() as (gateway, there):
        assert (await send(gateway)).outcome is Outcome.ACCEPTED
        assert len(there.seen) == 1


# Twilio's own list


def listed(sid: str, status: str, **others: object) -> dict[str, object]:
    return {
        "sid": sid,
        "status": status,
        "to": PHONE,
        "direction": "outbound-api",
        "error_code": None,
        "date_created": "Tue, 12 Jan 2027 01:29:00 +0000",
        **others,
    }


async def test_the_list_tells_what_became_of_texts_without_an_answer() -> None:
    messages = [
        listed("SM1", "delivered"),
        listed("SM2", "undelivered", error_code=30003),
        listed("SM3", "queued"),
        listed("SM4", "delivered", date_created="Tue, 12 Jan 2027 01:00:00 +0000"),
        listed("SM5", "received", direction="inbound"),
        listed("SM6", "delivered", date_created=None),
    ]
    async with reached(says(200, {"messages": messages, "next_page_uri": None})) as (g, there):
        found = await g.find(PHONE, CLOCK.now() - timedelta(seconds=59.5))
    query = dict(parse_qsl(urlsplit(there.seen[0].path_qs).query))
    assert query["To"] == PHONE
    assert found == [
        Receipt(b"SM1", PHONE, ReceiptState.DELIVERED, "delivered", "", None),
        Receipt(b"SM2", PHONE, ReceiptState.UNDELIVERED, "30003", "powered_off", None),
        Receipt(b"SM3", PHONE, ReceiptState.BUFFERED, "queued", "", None),
    ]


@pytest.mark.parametrize(
    "answer", [refusal(429, 20429), refusal(503, 20503), says(200, "?"), says(200, {})]
)
async def test_a_list_that_cannot_be_had_is_no_empty_list(answer: Reply) -> None:
    async with reached(answer) as (gateway, _):
        with pytest.raises(Unreachable):
            await gateway.find(PHONE, CLOCK.now())


@pytest.mark.attack
async def test_no_log_has_the_number_the_text_or_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever Twilio answers: it repeats the number and the text in what it refuses."""

    async def tear(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    told = {"code": 21211, "status": 400, "message": f"{PHONE} SECRET-TEXT {SECRET}"}
    answers = [says(400, told), says(500, told), says(201, {"sid": 5, **told}), says(302, None)]
    with caplog.at_level(logging.DEBUG):
        for answer in answers:
            async with reached(answer) as (gateway, _):
                await send(gateway, "SECRET-TEXT")
        async with raw_server(tear) as (port, _):
            torn = TwilioGateway(settings(f"http://127.0.0.1:{port}"), nothing_delivered, CLOCK)
            with pytest.raises(Unreachable):
                await torn.open()
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "service.protocols.http" in logged
    for word in (PHONE, PHONE[3:], "SECRET-TEXT", SECRET):
        assert word not in logged
