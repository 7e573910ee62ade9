"""The simulated Twilio, asked with Twilio's own library and with plain HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import ClientError, ClientSession
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from service.simulator.carrier.config import Account, Faults
from service.simulator.carrier.outcomes import fates
from service.simulator.run import Simulator, running
from tests.harness.simulated import simulator
from tests.harness.waiting import until
from tests.integration.simulator.raw import QUIET_SECONDS, admin, callbacks

SID = "AC" + "0" * 32
TOKEN = "token"
PHONE = "+8619790000001"
BASE = f"/2010-04-01/Accounts/{SID}"
CALM = {"duplicate_receipts": 0.0, "early_receipts": 0.0, "unknown_receipts": 0.0}


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


@asynccontextmanager
async def reached(
    callback_url: str = "", **others: Any
) -> AsyncIterator[tuple[Simulator, ClientSession]]:
    """A simulated Twilio and a client of its account."""
    account = Account(account=SID, secret=SecretStr(TOKEN), callback_url=callback_url)
    values = {"cmpp_port": None, "twilio_port": 0, "admin_port": 0, "seed": 1}
    config = simulator(accounts=(account,), **{**values, **others})
    async with running(config) as carrier:
        url = f"http://127.0.0.1:{carrier.ports['twilio']}"
        async with ClientSession(url, headers=basic(SID, TOKEN)) as client:
            yield carrier, client


async def post(client: ClientSession, **others: str) -> tuple[int, dict[str, Any]]:
    form = {"To": PHONE, "From": "+8619790009999", "Body": "警钟", **others}
    fields = {name: value for name, value in form.items() if value}
    async with client.post(f"{BASE}/Messages.json", data=fields) as answer:
        return answer.status, await answer.json()


async def get(client: ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with client.get(path) as answer:
        return answer.status, await answer.json()


def let(carrier: Simulator, **faults: Any) -> None:
    carrier.smsc.set_faults(Faults(**{**CALM, **faults}))


async def test_a_message_is_taken_reported_and_shown() -> None:
    async with callbacks() as taken, reached() as (_, client):
        status, message = await post(client, StatusCallback=taken.url)
        assert (status, message["status"], message["to"]) == (201, "queued", PHONE)
        assert message["sid"].startswith("SM")
        assert len(message["sid"]) == 34
        request, body = await taken.next()
        fields = dict(parse_qsl(body.decode()))
        assert (fields["MessageSid"], fields["MessageStatus"]) == (message["sid"], "delivered")
        given = request.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(taken.url, fields, given)
        _, shown = await get(client, message["uri"])
        assert (shown["sid"], shown["status"]) == (message["sid"], "delivered")


async def test_a_failure_is_reported_with_twilios_code() -> None:
    judge = fates("stale", 1, "china_mobile")
    numbers = (f"+861979{n:07d}" for n in range(1000))
    empty = next(p for p in numbers if judge(p).fate == "empty_number")
    async with callbacks() as taken, reached(profile="stale") as (_, client):
        await post(client, To=empty, StatusCallback=taken.url)
        _, body = await taken.next()
        fields = dict(parse_qsl(body.decode()))
        assert (fields["MessageStatus"], fields["ErrorCode"]) == ("undelivered", "30005")


async def test_a_callback_that_is_not_taken_comes_again() -> None:
    async with callbacks() as taken, reached(response_timeout_seconds=0.1) as (carrier, client):
        taken.status = 503
        await post(client, StatusCallback=taken.url)
        first = await taken.next()
        taken.status = 204
        second = await taken.next()
        assert first[1] == second[1]
        there = carrier.smsc.subscribers["twilio", SID]
        await until(lambda: there.tally.receipts_acknowledged == 1)
        assert len(there.receipts) == 0, "it would come again"
        assert taken.arrived.empty()


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"To": "+8610086"}, 400, 21211),
        ({"To": ""}, 400, 21604),
        ({"From": ""}, 400, 21603),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"ValidityPeriod": "0"}, 400, 21624),
        ({"ValidityPeriod": "36001"}, 400, 21624),
        ({"ValidityPeriod": "soon"}, 400, 21624),
        ({"StatusCallback": "nowhere"}, 400, 21609),
        ({"ValidityPeriod": "36000", "From": "", "MessagingServiceSid": "MG" + "0" * 32}, 201, 0),
    ],
)
async def test_a_bad_form_is_refused_in_twilios_shape(
    form: dict[str, str], status: int, code: int
) -> None:
    async with reached() as (_, client):
        answered, body = await post(client, **form)
        assert (answered, body.get("code", 0)) == (status, code)
        if code:
            assert body["status"] == status
            assert str(code) in body["more_info"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"too_fast": 1}, 429, 20429),
        ({"daily_limit": 0}, 429, 63038),
        ({"barred_accounts": (SID,)}, 403, 20005),
        ({"login_status": 401}, 401, 20003),
        ({"login_status": 503}, 503, 20003),
    ],
)
async def test_refusals_on_demand(fault: dict[str, Any], status: int, code: int) -> None:
    async with reached() as (carrier, client):
        let(carrier, **fault)
        answered, body = await post(client)
        assert (answered, body["code"]) == (status, code)
        let(carrier)
        assert (await post(client))[0] == 201


async def test_too_fast_says_when_to_come_again() -> None:
    async with reached(tps=1) as (_, client):
        for _ in range(3):
            assert (await post(client))[0] == 201
        form = {"To": PHONE, "From": "1", "Body": "x"}
        async with client.post(f"{BASE}/Messages.json", data=form) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


async def test_credentials_are_checked() -> None:
    async with reached() as (carrier, client):
        assert (await get(client, f"{BASE}.json"))[1]["status"] == "active"
        for headers in (basic(SID, "wrong"), basic("AC1", TOKEN), {"Authorization": "x"}):
            async with client.get(f"{BASE}.json", headers=headers) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, 20003)
        let(carrier, barred_accounts=(SID,))
        assert (await get(client, f"{BASE}.json"))[1]["status"] == "suspended"


@pytest.mark.parametrize("fault", ["disconnect_after", "garbage_responses"])
async def test_a_message_is_taken_but_the_answer_is_lost(fault: str) -> None:
    async with reached() as (carrier, client):
        let(carrier, **{fault: 1})
        with pytest.raises(ClientError):
            await post(client)
        let(carrier)
        _, listed = await get(client, f"{BASE}/Messages.json")
        assert [message["to"] for message in listed["messages"]] == [PHONE]


@pytest.mark.parametrize("fault", ["swallow_responses", "half_open"])
async def test_no_answer_comes(fault: str) -> None:
    async with reached() as (carrier, client):
        let(carrier, **{fault: 1})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                await post(client)
        tally = carrier.smsc.subscribers["twilio", SID].tally
        assert tally.accepted == (1 if fault == "swallow_responses" else 0)
        let(carrier)
        assert (await post(client))[0] == 201


async def test_requests_that_wait_are_cut_on_demand() -> None:
    async with reached() as (carrier, client), admin(carrier) as steering:
        let(carrier, answer_delay_seconds=30)
        waiting = asyncio.create_task(post(client))
        tally = carrier.smsc.subscribers["twilio", SID].tally
        await until(lambda: tally.accepted == 1)
        async with steering.post("/disconnect") as answer:
            assert answer.status == 200
        with pytest.raises(ClientError):
            await waiting


async def test_the_list_is_filtered_and_paged() -> None:
    async with reached() as (_, client):
        for n in range(5):
            await post(client, To=f"+861979000000{n % 2}", Body=str(n))
        path = f"{BASE}/Messages.json?To=%2B8619790000000&PageSize=2"
        _, page = await get(client, path)
        assert [message["body"] for message in page["messages"]] == ["4", "2"]
        _, page = await get(client, page["next_page_uri"])
        assert [message["body"] for message in page["messages"]] == ["0"]
        assert page["next_page_uri"] is None
        for query, number in (("DateSent%3E=2020-01-01", 5), ("DateSent%3C=2020-01-01", 0)):
            _, page = await get(client, f"{BASE}/Messages.json?{query}")
            assert len(page["messages"]) == number
        assert (await get(client, f"{BASE}/Messages.json?Page=x"))[0] == 400
        assert (await get(client, f"{BASE}/Messages/SM1.json"))[1]["code"] == 20404


async def test_a_receipt_comes_before_the_answer_on_demand() -> None:
    async with callbacks() as taken, reached(max_delay_seconds=3600) as (carrier, client):
        let(carrier, early_receipts=1)
        before: list[bool] = []
        answering = asyncio.create_task(post(client, StatusCallback=taken.url))
        await taken.next()
        before.append(not answering.done())
        _, message = await answering
        assert before == [True]
        _, shown = await get(client, message["uri"])
        assert shown["status"] == "delivered"


@pytest.mark.parametrize("wrong", [False, True])
async def test_a_reply_is_posted_to_the_account_and_signed(wrong: bool) -> None:
    async with callbacks() as taken, reached(taken.url) as (carrier, _), admin(carrier) as steering:
        let(carrier, wrong_digest=wrong)
        text = "退订 " + "长" * 100
        body = {"messages": [{"phone": PHONE, "to": "+8619790009999", "text": text}]}
        async with steering.post("/mo", json=body) as answer:
            assert await answer.json() == {"parts": 1}
        request, octets = await taken.next()
        fields = dict(parse_qsl(octets.decode()))
        assert (fields["From"], fields["Body"], fields["NumSegments"]) == (PHONE, text, "2")
        given = request.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(taken.url, fields, given) is not wrong


async def test_a_receipt_that_nobody_takes_is_owed_across_a_restart(tmp_path: Any) -> None:
    """A receipt that nobody takes is owed across a restart, to the address of its message."""
    journal = tmp_path / "journal"
    async with callbacks() as taken:
        taken.status = 500
        async with reached(journal=journal) as (_, client):
            _, message = await post(client, StatusCallback=taken.url)
            await taken.next()
        taken.status = 200
        async with reached(journal=journal) as (carrier, _):
            _, body = await taken.next()
            assert dict(parse_qsl(body.decode()))["MessageSid"] == message["sid"]
            await settled(carrier)
        async with reached(journal=journal) as (carrier, _):
            assert len(carrier.smsc.subscribers["twilio", SID].receipts) == 0


async def settled(carrier: Simulator) -> None:
    tally = carrier.smsc.subscribers["twilio", SID].tally
    await until(lambda: tally.receipts_acknowledged == 1)
