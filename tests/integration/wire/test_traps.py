"""Traps that others fell into: each costs a sender most of its speed and shows in no result."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from service.channels.contract.outcome import Outcome
from service.channels.links import logins
from service.settings import Settings
from service.simulator.wire.server import Served
from tests.harness.links import BEATING, LINKS
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.stream_gateways import Counted, reached, submissions
from tests.harness.waiting import until

LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}
WINDOW = 4


@pytest.mark.parametrize("kind", LINKS)
async def test_a_simulated_carrier_may_accept_the_login_and_close(kind: str) -> None:
    async with reached(kind, Counted(), close_after_login_seconds=0.02) as (_, gateway):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await gateway.link.lost.wait()
        assert gateway.ended == "closed by the other side"
        assert gateway.heard_seconds < logins.WORKED_SECONDS


def sends_at_once(session: Any) -> bool:
    """Whether a session's socket leaves out Nagle's wait for more."""
    found = session._transport.get_extra_info("socket")
    return bool(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", LINKS)
def test_both_ends_of_a_link_send_at_once(kind: str, loop: str) -> None:
    """With a small window, Nagle's wait and delayed acknowledgements make some 40 ms a window."""

    async def ends() -> list[bool]:
        async with reached(kind, Counted()) as (carrier, gateway):
            sessions = [s for s in carrier.smsc.sessions if isinstance(s, Served)]
            return [sends_at_once(end) for end in (gateway.link, *sessions)]

    run: Callable[[Any], list[bool]] = LOOPS[loop]
    assert run(ends()) == [True, True]


@pytest.mark.parametrize("kind", BEATING)
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
            await until(lambda: inbox.receipts >= 90)
            assert accepted > 90
            assert [record.message for record in caplog.records[before:]] == []
    assert logging.getLevelName(default) >= logging.INFO
