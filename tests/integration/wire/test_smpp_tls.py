"""SMPP under TLS: whom the gateway trusts, and what it says where it does not."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.channels.contract.gateway import Unreachable
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.gateways.smpp import SMPPConfig, SMPPGateway
from service.protocols.smpp import tls
from service.simulator.run import running
from tests.harness.certificates import Made, make
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp import smsc
from tests.harness.smpp_simulated import Inbox, config, connected, phones, send, settings

NAME = "smsc.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("tls"), NAME)


@asynccontextmanager
async def refused(port: int, **options: Any) -> AsyncIterator[Unreachable]:
    gateway = SMPPGateway(settings(port, tls=True, **options), Inbox().deliver, Clock())
    with pytest.raises(Unreachable) as error:
        await asyncio.wait_for(gateway.open(), PATIENCE_SECONDS)
    yield error.value
    assert not gateway.link.ready


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The thread of each context for TLS that a client makes from here on."""
    threads: list[threading.Thread] = []
    make_one = ssl.create_default_context

    def counted(*given: Any, **options: Any) -> ssl.SSLContext:
        if ssl.Purpose.CLIENT_AUTH not in given:
            threads.append(threading.current_thread())
        return make_one(*given, **options)

    monkeypatch.setattr(ssl, "create_default_context", counted)
    tls.context.cache_clear()
    return threads


async def test_looking_at_the_settings_makes_no_context(made: list[threading.Thread]) -> None:
    """The channels table is read every two seconds, in the loop that sends."""
    for _ in range(3):
        stored = SMPPConfig.model_validate(settings(2775, tls=True, tls_ca="").model_dump())
        SMPPGateway(stored, Inbox().deliver, Clock())
    assert not made


async def test_a_context_is_made_once_and_not_in_the_loop(
    certificate: Made, made: list[threading.Thread]
) -> None:
    async with running(config(tls_certificate=certificate.server)) as carrier:
        for _ in range(3):
            async with connected(carrier.ports["smpp"], Inbox(), tls=True, tls_verify=False):
                pass
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


@pytest.mark.parametrize("verify", [True, False])
async def test_texts_and_receipts_travel_under_tls(certificate: Made, verify: bool) -> None:
    options: dict[str, Any] = {"tls_ca": certificate.authority, "tls_server_name": NAME}
    if not verify:
        options = {"tls_verify": False}
    inbox = Inbox()
    async with (
        running(config(tls_certificate=certificate.server)) as carrier,
        connected(carrier.ports["smpp"], inbox, tls=True, **options) as link,
    ):
        transport = link.link._transport
        assert transport is not None
        assert transport.get_extra_info("cipher")
        (result,) = await send(link, phones(1))
        assert result.outcome is Outcome.ACCEPTED
        await inbox.wait_for(1)
    assert (inbox.receipts[0].ref,) == result.refs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "tls_ca"),
        ({"tls_server_name": NAME}, "tls_ca"),
    ],
)
async def test_an_unknown_authority_is_not_trusted(
    certificate: Made, options: dict[str, Any], words: str
) -> None:
    async with (
        running(config(tls_certificate=certificate.server)) as carrier,
        refused(carrier.ports["smpp"], **options) as error,
    ):
        assert words in error.message
        assert "not trusted" in error.message
        assert (error.retryable, error.code) == (False, "untrusted_certificate")


async def test_a_certificate_of_another_name_is_not_trusted(certificate: Made) -> None:
    async with (
        running(config(tls_certificate=certificate.server)) as carrier,
        refused(carrier.ports["smpp"], tls_ca=certificate.authority) as error,
    ):
        assert "tls_server_name" in error.message
        assert error.code == "untrusted_certificate"


@pytest.mark.attack
async def test_nothing_is_written_to_a_server_that_is_not_trusted(certificate: Made) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.server)
    async with smsc(context) as scripted, refused(scripted.port):
        assert scripted.arrived.empty(), "the handshake was refused, so no login went out"


async def test_plain_text_where_tls_was_expected_says_so() -> None:
    async with smsc() as scripted:
        gateway = SMPPGateway(settings(scripted.port, tls=True), Inbox().deliver, Clock())
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        peer.writer.write(b"\x00" * 32)
        with pytest.raises(Unreachable, match="turn tls off") as error:
            await asyncio.wait_for(opening, PATIENCE_SECONDS)
        assert (error.value.retryable, error.value.code) == (False, "no_tls")


async def test_a_silent_port_under_tls_is_unreachable() -> None:
    async with smsc() as scripted:
        config = settings(scripted.port, tls=True, response_timeout_seconds=0.2)
        gateway = SMPPGateway(config, Inbox().deliver, Clock())
        with pytest.raises(Unreachable, match="check address") as error:
            await asyncio.wait_for(gateway.open(), PATIENCE_SECONDS)
        assert error.value.retryable


def test_bad_certificates_are_refused_with_the_settings(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert settings(1, tls=True, tls_ca=made.authority).tls_ca == made.authority
    with pytest.raises(ValueError, match="no certificate in PEM"):
        settings(1, tls=True, tls_ca=made.authority[:200])
