"""The product's HTTP gateways against the simulated vendors, with the documented settings."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from service.channels.contract.gateway import (
    Callback,
    Delivery,
    Inbound,
    LoginRefused,
    Receipt,
    Submission,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.errors import Forbidden
from service.gateways.http import HTTPConfig, HTTPGateway
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.ledger.reasons import Reason
from service.simulator.carrier.config import Account, Faults
from service.simulator.run import running
from tests.harness.http_vendor import documented
from tests.harness.simulated import simulator
from tests.integration.simulator.raw import Callbacks, admin, callbacks

PHONE = "+8619790000001"
SID = "AC" + "0" * 32
CALM = {"duplicate_receipts": 0.0, "early_receipts": 0.0, "unknown_receipts": 0.0}


def nothing(_: Delivery) -> Any:
    raise AssertionError("HTTP gateways are called back through the API")


async def called(taken: Callbacks) -> Callback:
    request, body = await taken.next()
    return as_callback(taken.url, request, body)


def as_callback(url: str, request: web.Request, body: bytes) -> Callback:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Callback(request.method, url, headers, body, datetime.now(UTC))


async def test_the_generic_gateway_speaks_to_the_vendor_as_documented() -> None:
    async with callbacks() as taken:
        account = Account(account="county", secret=SecretStr("simulated"), callback_url=taken.url)
        carrier_config = simulator(
            accounts=(account,), cmpp_port=None, http_port=0, admin_port=0, seed=1
        )
        async with running(carrier_config) as carrier, admin(carrier) as steering:
            url = f"http://127.0.0.1:{carrier.ports['http']}/messages"
            config = HTTPConfig(**{**documented(), "url": url, "public_url": taken.url})
            gateway = HTTPGateway(config, nothing, Clock())
            await gateway.open()
            (part,) = gateway.split('警钟："不轻信" {链接}')

            async def outcome(phone: str = PHONE) -> Any:
                (future,) = gateway.submit([Submission((phone,), part, 1)])
                return await future

            result = await outcome()
            assert (result.outcome, result.code) == (Outcome.ACCEPTED, "accepted")
            callback = await called(taken)
            (receipt,) = HTTPGateway.read_callback(config, callback).items
            assert isinstance(receipt, Receipt)
            assert (receipt.ref, receipt.recipient) == (result.refs[0], PHONE)
            assert receipt.state is ReceiptState.DELIVERED

            body = {"messages": [{"phone": PHONE, "to": "10690000", "text": "退订"}]}
            async with steering.post("/mo", json=body):
                pass
            (inbound,) = HTTPGateway.read_callback(config, await called(taken)).items
            assert isinstance(inbound, Inbound)
            assert (inbound.sender, inbound.text) == (PHONE, "退订")

            assert (await outcome("+8610086")).outcome is Outcome.REJECTED
            for fault, expected in (
                ({"too_fast": 1}, Outcome.THROTTLED),
                ({"daily_limit": 0}, Outcome.DAILY_LIMIT),
                ({"barred_accounts": ("county",)}, Outcome.SUSPENDED),
                ({"disconnect_after": 1}, Outcome.UNANSWERED),
                ({"garbage_responses": 1}, Outcome.UNANSWERED),
            ):
                carrier.smsc.set_faults(Faults.model_validate({**CALM, **fault}))
                assert (await outcome()).outcome is expected, fault
            await gateway.close(drain_seconds=0)


def test_the_documented_settings_know_every_fate() -> None:
    from service.simulator.carrier.outcomes import _FATES

    known = documented()["callback_states"]
    assert known.keys() == {fate.name for fate in _FATES if fate.stats}
    for name, words in known.items():
        assert name == "delivered" or words.partition(":")[2] == Reason(name)


async def test_the_twilio_gateway_speaks_to_the_simulated_twilio() -> None:
    async with callbacks() as taken:
        account = Account(account=SID, secret=SecretStr("token"), callback_url=taken.url)
        carrier_config = simulator(
            accounts=(account,), cmpp_port=None, twilio_port=0, admin_port=0, seed=1
        )
        async with running(carrier_config) as carrier:
            config = TwilioConfig(
                account_sid=SID,
                auth_token=SecretStr("token"),
                sender="+8619790009999",
                api_url=f"http://127.0.0.1:{carrier.ports['twilio']}",
                public_url=taken.url,
            )
            gateway = TwilioGateway(config, nothing, Clock())
            await gateway.open()
            (part,) = gateway.split("警钟" * 60)
            (future,) = gateway.submit([Submission((PHONE,), part, 1)])
            result = await future
            assert result.outcome is Outcome.ACCEPTED
            request, body = await taken.next()
            callback = as_callback(str(request.url), request, body)
            (receipt,) = TwilioGateway.read_callback(config, callback).items
            assert isinstance(receipt, Receipt)
            assert (receipt.ref, receipt.state) == (result.refs[0], ReceiptState.DELIVERED)

            for fault, expected in (
                ({"too_fast": 1}, Outcome.THROTTLED),
                ({"daily_limit": 0}, Outcome.DAILY_LIMIT),
                ({"disconnect_after": 1}, Outcome.UNANSWERED),
                ({"barred_accounts": (SID,)}, Outcome.SUSPENDED),  # last: the gateway retires
            ):
                carrier.smsc.set_faults(Faults.model_validate({**CALM, **fault}))
                (future,) = gateway.submit([Submission((PHONE,), part, 1)])
                result = await future
                assert result.outcome is expected, (fault, result)
            await gateway.close(drain_seconds=0)
            await taken.next()  # of the text whose answer was lost

            carrier.smsc.set_faults(Faults.model_validate({**CALM, "wrong_digest": True}))
            other = TwilioGateway(config, nothing, Clock())
            await other.open()
            (future,) = other.submit([Submission((PHONE,), part, 1)])
            await future
            request, body = await taken.next()
            with pytest.raises(Forbidden):
                TwilioGateway.read_callback(config, as_callback(str(request.url), request, body))
            await other.close(drain_seconds=0)

            carrier.smsc.set_faults(Faults.model_validate({**CALM, "login_status": 401}))
            with pytest.raises(LoginRefused):
                await TwilioGateway(config, nothing, Clock()).open()
