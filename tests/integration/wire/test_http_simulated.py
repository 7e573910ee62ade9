"""Both HTTP kinds against the simulated providers: two implementations that share no code."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from service.channels.contract.gateway import (
    Callback,
    LoginRefused,
    Receipt,
    Submission,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.gateways.http import HTTPConfig, HTTPGateway
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.simulated import phones
from tests.integration.wire.http_provider import (
    Provider,
    Seen,
    nothing_delivered,
    provider,
    send,
)

SID = "AC" + "0" * 31 + "7"
SECRET = "t0ken-of-the-account"
PEOPLE = 30
KINDS = ("twilio", "http")


def carrier(callback_url: str, **faults: Any) -> SimulatorConfig:
    odd = {"duplicate_receipts": 0, "early_receipts": 0, "unknown_receipts": 0, **faults}
    account = Account(account=SID, secret=SecretStr(SECRET), callback_url=callback_url)
    return SimulatorConfig(
        cmpp_port=None,
        twilio_port=0,
        http_port=0,
        accounts=(account,),
        max_delay_seconds=0,
        faults=Faults(**odd),
    )


def twilio(simulator: Simulator, public_url: str, secret: str = SECRET) -> TwilioGateway:
    config = TwilioConfig.model_validate(
        {
            "account_sid": SID,
            "auth_token": secret,
            "sender": "+447700900123",
            "public_url": public_url,
            "api_url": f"http://127.0.0.1:{simulator.ports['twilio']}",
        }
    )
    return TwilioGateway(config, nothing_delivered, Clock())


def http(simulator: Simulator, public_url: str, secret: str = SECRET) -> HTTPGateway:
    config = HTTPConfig.model_validate(
        {
            "url": f"http://127.0.0.1:{simulator.ports['http']}/messages",
            "headers": f"Authorization: Bearer {secret}",
            "body": '{"to": "{recipient}", "text": "{text}", "id": "{message_id}"}',
            "answer_id": "id",
            "answer_code": "code",
            "codes": {
                "accepted": "accepted",
                "bad_number": "rejected:empty_number",
                "too_fast": "throttled",
                "barred": "suspended",
                "daily_limit": "daily_limit",
            },
            "public_url": public_url,
            "callback_id": "id",
            "callback_recipient": "to",
            "callback_status": "status",
            "callback_states": {
                "delivered": "delivered",
                "powered_off": "undelivered:powered_off",
                "empty_number": "undelivered:empty_number",
            },
            "callback_secret": SECRET,
            "signed": "{timestamp}.{body}",
            "timestamp_header": "X-Timestamp",
        }
    )
    return HTTPGateway(config, nothing_delivered, Clock())


MAKE: dict[str, Callable[[Simulator, str], HTTPGateway | TwilioGateway]] = {
    "twilio": twilio,
    "http": http,
}


async def ok(_: Seen) -> web.StreamResponse:
    return web.Response()


def read(gateway: HTTPGateway | TwilioGateway, url: str, seen: Seen) -> Receipt:
    headers = {name.lower(): value for name, value in seen.headers.items()}
    callback = Callback(seen.method, url, headers, seen.body, datetime.now(UTC))
    if isinstance(gateway, HTTPGateway):
        answer = gateway.read_callback(gateway._config, callback)
    else:
        answer = gateway.read_callback(gateway._config, callback)
    (item,) = answer.items
    assert isinstance(item, Receipt)
    return item


async def final(
    gateway: HTTPGateway | TwilioGateway, us: Provider, url: str
) -> dict[bytes, Receipt]:
    await us.wait_for(PEOPLE)
    receipts = [read(gateway, url, seen) for seen in us.seen]
    return {r.ref: r for r in receipts if r.state is not ReceiptState.BUFFERED}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_text_gets_the_receipt_that_names_it(kind: str) -> None:
    async with provider(ok) as us:
        url = f"{us.url}/callbacks/7"
        async with running(carrier(url)) as simulator:
            gateway = MAKE[kind](simulator, url)
            await gateway.open()
            (part,) = gateway.split("警钟 & 🀄")
            batch = [Submission((phone,), part, 7) for phone in phones(PEOPLE)]
            results = await asyncio.wait_for(
                asyncio.gather(*gateway.submit(batch)), PATIENCE_SECONDS
            )
            assert {result.outcome for result in results} == {Outcome.ACCEPTED}
            receipts = await final(gateway, us, url)
            assert {r.recipient for r in receipts.values()} == set(phones(PEOPLE))
            for phone, result in zip(phones(PEOPLE), results, strict=True):
                assert receipts[result.refs[0]].recipient == phone
            await gateway.close(drain_seconds=0)


FAULTS: list[tuple[dict[str, Any], Outcome]] = [
    ({"too_fast": 1.0}, Outcome.THROTTLED),
    ({"daily_limit": 0}, Outcome.DAILY_LIMIT),
    ({"garbage_responses": 1.0}, Outcome.UNANSWERED),
    ({"disconnect_after": 1}, Outcome.UNANSWERED),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("faults", "outcome"), FAULTS, ids=str)
async def test_each_fault(kind: str, faults: dict[str, Any], outcome: Outcome) -> None:
    async with running(carrier("")) as simulator:
        gateway = MAKE[kind](simulator, "")
        await gateway.open()
        simulator.smsc.faults = Faults(**faults)
        for session in simulator.smsc.sessions:
            session.faults_changed()
        result = await send(gateway)
        assert result.outcome is outcome
        if "too_fast" in faults:
            assert result.retry_after == 1.0
        await gateway.close(drain_seconds=0)


async def test_a_wrong_token_is_refused_at_the_opening_or_holds_the_channel() -> None:
    async with running(carrier("")) as simulator:
        with pytest.raises(LoginRefused, match="auth token"):
            await twilio(simulator, "", "wrong").open()
        gateway = http(simulator, "", "wrong")
        await gateway.open()
        assert (await send(gateway)).outcome is Outcome.SUSPENDED
        await gateway.close(drain_seconds=0)
