"""Traps that others fell into: each costs a sender most of its speed and shows in no result."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from pydantic import SecretStr

from service.channels.contract.gateway import Delivery, Receipt, Submission
from service.channels.contract.outcome import Outcome
from service.channels.contract.registry import factory, load
from service.channels.links import logins
from service.clock import Clock
from service.protocols.stream import StreamGateway
from service.settings import Settings
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.run import Simulator, running
from service.simulator.wire.server import Served
from tests.harness.session import PATIENCE_SECONDS

ACCOUNT, SECRET, SENDER = "901234", "benchmk", "1069000012"
SETTINGS: dict[str, dict[str, Any]] = {
    "cmpp": {"account": ACCOUNT, "secret": SECRET, "access_number": SENDER},
    "smgp": {"account": ACCOUNT, "secret": SECRET, "access_number": SENDER},
    "smpp": {"system_id": ACCOUNT, "password": SECRET, "sender": SENDER},
    "sgip": {
        "login_name": ACCOUNT,
        "login_password": SECRET,
        "node_number": 3_055_112_345,
        "corp_id": "12345",
        "access_number": SENDER,
    },
}
LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}
WINDOW = 4


class Counted:
    """Stores every receipt at once, and counts."""

    def __init__(self) -> None:
        self.receipts = 0

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.receipts += isinstance(item, Receipt)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored


@asynccontextmanager
async def reached(
    kind: str, inbox: Counted, **faults: Any
) -> AsyncIterator[tuple[Simulator, StreamGateway[Any]]]:
    """A gateway of a kind, logged in at a simulated carrier in the same loop."""
    config = SimulatorConfig(
        accounts=(Account(account=ACCOUNT, secret=SecretStr(SECRET)),),
        max_delay_seconds=0,
        faults=Faults(duplicate_receipts=0, early_receipts=0, unknown_receipts=0, **faults),
        **{"cmpp_port": None, f"{kind}_port": 0},  # type: ignore[arg-type]
    )
    async with running(config) as carrier:
        settings = {"host": "127.0.0.1", "port": carrier.ports[kind], **SETTINGS[kind]}
        model = load()[kind].config_model.model_validate(settings)
        gateway = factory(kind)(model, inbox.deliver, Clock())
        assert isinstance(gateway, StreamGateway)
        await gateway.open()
        yield carrier, gateway
        await gateway.close(drain_seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("kind", SETTINGS)
async def test_a_simulated_carrier_may_accept_the_login_and_close(kind: str) -> None:
    async with reached(kind, Counted(), close_after_login_seconds=0.02) as (_, gateway):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await gateway.link.lost.wait()
        assert gateway.ended == "closed by the other side"
        assert gateway.heard_seconds < logins.WORKED_SECONDS


def submissions(gateway: StreamGateway[Any], first: int, count: int) -> list[Submission]:
    (part,) = gateway.split("警钟")
    numbers = range(first, first + count)
    return [Submission((f"+861979{number:07d}",), part, 0) for number in numbers]


def sends_at_once(session: Any) -> bool:
    """Whether a session's socket leaves out Nagle's wait for more."""
    found = session._transport.get_extra_info("socket")
    return bool(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", SETTINGS)
def test_both_ends_of_a_link_send_at_once(kind: str, loop: str) -> None:
    """With a small window, Nagle's wait and delayed acknowledgements make some 40 ms a window."""

    async def ends() -> list[bool]:
        async with reached(kind, Counted()) as (carrier, gateway):
            sessions = [s for s in carrier.smsc.sessions if isinstance(s, Served)]
            return [sends_at_once(end) for end in (gateway.link, *sessions)]

    run: Callable[[Any], list[bool]] = LOOPS[loop]
    assert run(ends()) == [True, True]


@pytest.mark.parametrize("kind", ["cmpp", "smgp", "smpp"])
async def test_nothing_is_logged_a_message(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    default = Settings.model_fields["log_level"].default
    inbox = Counted()
    with caplog.at_level(default):
        async with reached(kind, inbox) as (_, gateway):
            before = len(caplog.records)
            accepted = 0
            for start in range(0, 100, WINDOW):
                answers = gateway.submit(submissions(gateway, start, WINDOW))
                results = await asyncio.gather(*answers)
                accepted += sum(result.outcome is Outcome.ACCEPTED for result in results)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while inbox.receipts < 90:
                    await asyncio.sleep(0.01)
            assert accepted > 90
            assert [record.message for record in caplog.records[before:]] == []
    assert logging.getLevelName(default) >= logging.INFO
