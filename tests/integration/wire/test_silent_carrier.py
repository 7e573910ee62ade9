"""A carrier that falls silent and keeps its connections open: no FIN, no RST, nothing at all."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from pydantic import SecretStr

from service.channels.contract.gateway import Gateway, SubmitResult, Unreachable
from service.channels.contract.outcome import Outcome
from service.channels.contract.registry import factory, load
from service.clock import Clock
from service.protocols.session import Session, Timing
from service.protocols.stream import OPEN_SECONDS, StreamGateway
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import running
from tests.harness.certificates import make
from tests.harness.links import BEATING, LINKS, account_of
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.silent import SilentProxy, silent_proxy
from tests.harness.simulated import ACCOUNT, SECRET
from tests.harness.stream_gateways import Counted, submissions
from tests.harness.tiers import cases
from tests.harness.waiting import counted, turns, until

NOTICED_SECONDS = 30.0
"""The longest that a silence may stay unnoticed (I4)."""

SILENCE = 0.6
QUICK = {"silence_seconds": SILENCE, "response_timeout_seconds": PATIENCE_SECONDS}
"""Timers that a test can wait for."""

SILENT = "no sign of life from the other side"


def gateway(kind: str, port: int, **others: Any) -> Gateway:
    timers: dict[str, Any] = QUICK | ({"heartbeat_seconds": 0.2} if kind in BEATING else {})
    settings = account_of(kind, host="127.0.0.1", port=port, **timers) | others
    model = load()[kind].config_model.model_validate(settings)
    return factory(kind)(model, Counted().deliver, Clock())


@asynccontextmanager
async def behind_a_proxy(
    kind: str, *, delay: float = 0.0, certificate: Path | None = None, **others: Any
) -> AsyncIterator[tuple[SilentProxy, StreamGateway[Any]]]:
    """An unopened gateway whose carrier is behind a proxy that can fall silent."""
    config = SimulatorConfig.model_validate(
        {
            "accounts": (Account(account=ACCOUNT, secret=SecretStr(SECRET)),),
            "faults": Faults(answer_delay_seconds=delay),
            "tls_certificate": certificate,
            "cmpp_port": None,
            f"{kind}_port": 0,
        }
    )
    async with (
        running(config) as carrier,
        silent_proxy("127.0.0.1", carrier.ports[kind]) as proxy,
    ):
        link = gateway(kind, proxy.own_port, **others)
        assert isinstance(link, StreamGateway)
        yield proxy, link
        await link.close(drain_seconds=0)


async def answers(futures: list["asyncio.Future[SubmitResult]"]) -> list[Outcome]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [result.outcome for result in await asyncio.gather(*futures)]


async def gone(link: StreamGateway[Any]) -> str:
    """Wait until the link is lost; returns why."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await link.lost.wait()
    return str(link.link.reason)


@pytest.mark.parametrize("kind", BEATING)
async def test_a_link_with_nothing_to_send_notices(kind: str) -> None:
    async with behind_a_proxy(kind) as (proxy, link):
        await link.open()
        proxy.fall_silent()
        assert await gone(link) == SILENT


@pytest.mark.attack
@pytest.mark.parametrize("kind", LINKS)
async def test_a_link_whose_submits_are_not_answered_notices(kind: str) -> None:
    """Long before the submits themselves are given up; and they are uncertain, not unsent."""
    async with behind_a_proxy(kind) as (proxy, link):
        await link.open()
        proxy.fall_silent()
        futures = link.submit(submissions(link, 0, 4))
        assert await answers(futures) == [Outcome.UNANSWERED] * 4
        assert await gone(link) == SILENT


@pytest.mark.parametrize("kind", LINKS)
async def test_a_link_that_cannot_write_any_more_notices(kind: str) -> None:
    async with behind_a_proxy(kind) as (proxy, link):
        await link.open()
        proxy.fall_silent()
        transport = link.link._transport
        assert transport is not None
        while not transport.get_write_buffer_size():
            link.link.request(b"\0" * 1024 * 1024)
            link.link.flush()
            await turns()
        assert await gone(link) == SILENT


@pytest.mark.attack
@pytest.mark.parametrize("kind", LINKS)
async def test_a_login_that_meets_silence_is_given_up(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection comes about, and then nothing."""
    monkeypatch.setattr("service.protocols.stream.OPEN_SECONDS", SILENCE)
    async with behind_a_proxy(kind) as (proxy, link):
        proxy.fall_silent()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(link.open(), PATIENCE_SECONDS)


async def test_a_handshake_that_meets_silence_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.protocols.stream.OPEN_SECONDS", SILENCE)
    made = make(tmp_path).server
    async with behind_a_proxy("smpp", certificate=made, tls=True, tls_verify=False) as on:
        proxy, link = on
        proxy.fall_silent()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(link.open(), PATIENCE_SECONDS)
        proxy.forward()
        await until(lambda: not proxy.open, what="nothing of it stays behind")


async def test_a_link_under_tls_notices_and_closing_it_waits_for_nobody(tmp_path: Path) -> None:
    made = make(tmp_path).server
    async with behind_a_proxy("smpp", certificate=made, tls=True, tls_verify=False) as on:
        proxy, link = on
        await link.open()
        proxy.fall_silent()
        assert await gone(link) == SILENT


@pytest.mark.parametrize("kind", cases(LINKS, "cmpp"))
async def test_a_slow_carrier_with_a_window_of_one_is_not_taken_for_a_dead_one(kind: str) -> None:
    """Each answer takes longer than the longest silence; heartbeats are answered meanwhile.

    SGIP has none: there a silence must be longer than the slowest answer.
    """
    rare = {"heartbeat_seconds": PATIENCE_SECONDS}  # only what is overdue asks for one
    others: dict[str, Any] = {"silence_seconds": 4 * SILENCE} if kind == "sgip" else rare
    async with behind_a_proxy(kind, delay=2 * SILENCE, **others) as (_, link):
        await link.open()
        for first in range(3):
            assert await answers(link.submit(submissions(link, first, 1))) == [Outcome.ACCEPTED]
        assert not link.lost.is_set()


@pytest.mark.parametrize("kind", LINKS)
async def test_no_heartbeat_goes_before_the_login(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carrier that takes its time for the login must not be asked anything before."""
    ticks = counted(monkeypatch, Session, "_tick")
    read: list[int] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        read.append(len(await reader.read(65536)))
        while octets := await reader.read(65536):
            read.append(len(octets))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        link = gateway(kind, server.sockets[0].getsockname()[1])
        opening = asyncio.create_task(link.open())
        # A session looks at the time eight times in each wait for a heartbeat.
        await until(lambda: ticks.count >= 2 * 8 + 2 or opening.done())
        assert len(read) == 1
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)


@runtime_checkable
class Watched(Protocol):
    """Settings of a link whose silence is noticed."""

    response_timeout_seconds: float
    silence_seconds: float


@pytest.mark.parametrize("kind", LINKS)
def test_the_settings_as_they_come_notice_in_time(kind: str) -> None:
    """Idle or busy; each of the two looks at the time comes up to a tick late."""
    settings = load()[kind].config_model.model_validate(account_of(kind, host="h"))
    assert isinstance(settings, Watched)
    timing = Timing(
        getattr(settings, "heartbeat_seconds", math.inf),
        settings.response_timeout_seconds,
        settings.silence_seconds,
    )
    asked = timing.heartbeat_seconds if math.isfinite(timing.heartbeat_seconds) else 0.0
    assert asked + timing.longest_silence + 2 * timing.tick_seconds <= NOTICED_SECONDS
    assert OPEN_SECONDS <= NOTICED_SECONDS
    assert timing.response_timeout_seconds >= timing.longest_silence


@pytest.mark.parametrize("kind", ["http", "twilio"])
async def test_a_silent_provider_leaves_a_text_uncertain(kind: str) -> None:
    """Over HTTP each request has its own end; what may have arrived is uncertain."""
    config = SimulatorConfig.model_validate(
        {
            "accounts": (Account(account=f"AC{'0' * 32}", secret=SecretStr(SECRET)),),
            "cmpp_port": None,
            f"{kind}_port": 0,
        }
    )
    async with (
        running(config) as carrier,
        silent_proxy("127.0.0.1", carrier.ports[kind]) as proxy,
    ):
        url = f"http://127.0.0.1:{proxy.own_port}"
        settings: dict[str, Any] = {
            "twilio": {
                "account_sid": f"AC{'0' * 32}",
                "auth_token": SECRET,
                "sender": "+8619790001234",
                "api_url": url,
            },
            "http": {"url": f"{url}/send", "body": '{"to": "{recipient}", "text": "{text}"}'},
        }
        model = load()[kind].config_model
        assert model.model_fields["timeout_seconds"].default <= NOTICED_SECONDS
        values = model.model_validate({**settings[kind], "timeout_seconds": SILENCE})
        link = factory(kind)(values, Counted().deliver, Clock())
        await link.open()
        proxy.fall_silent()
        assert await answers(link.submit(submissions(link, 0, 2))) == [Outcome.UNANSWERED] * 2
        again = factory(kind)(values, Counted().deliver, Clock())
        if kind == "twilio":  # of the other a connection is all that is asked at first
            with pytest.raises(Unreachable):
                await again.open()
        await link.close(drain_seconds=0)
        await again.close(drain_seconds=0)
