"""The client's side of a link, against a scripted carrier that speaks in recorded or raw octets."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.session import Timing, connect
from service.protocols.smgp.pdu import (
    Deliver,
    LoginResp,
    SubmitResp,
)
from service.protocols.smgp.session import SMGPClient
from tests.harness.session import carrier_of
from tests.harness.smgp import SMGPPeer
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("smgp", "smgp30")}
NOW = datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)
PATIENT = Timing(heartbeat_seconds=30, response_timeout_seconds=60)

Client = SMGPClient[SubmitResp | None]


def client(timing: Timing, on_deliver: Callable[[int, Deliver], None] | None = None) -> Client:
    made = Client(timing, read_answer=lambda answer, *_: answer, on_deliver=on_deliver or Mock())
    made.on_broken = Mock()
    return made


# Logging in


@pytest.mark.parametrize(
    ("vector", "account", "at", "mode"),
    [
        ("smgp-login", "12345678", NOW, 2),
        ("smgp-login-send-mode-short-id", "3710", datetime(2026, 2, 28, 16, tzinfo=UTC), 0),
    ],
)
async def test_the_login_is_the_recorded_packet(
    vector: str, account: str, at: datetime, mode: int
) -> None:
    async with carrier_of(SMGPPeer) as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login(account, "1qaz2wsx", at, mode=mode))
        peer = await scripted.peer()
        assert (await peer.read_frame()).hex() == VECTORS[vector]["hex"]
        assert not link.ready
        peer.writer.write(bytes.fromhex(VECTORS["smgp-login-resp-ok"]["hex"]))
        answer = await login
        assert answer is not None
        assert answer.status == 0
        assert link.ready
        await link.cut("the test is over")


@pytest.mark.parametrize(
    ("authenticator", "warned"), [("35d303df1c3bfb03084bed1846f38ec1", False), ("00" * 16, True)]
)
@pytest.mark.parametrize("verify", [False, True])
async def test_a_gateway_that_does_not_know_the_secret_is_a_warning_or_gets_nothing(
    authenticator: str, warned: bool, verify: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with carrier_of(SMGPPeer) as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login("12345678", "1qaz2wsx", NOW, mode=2, verify=verify))
        peer = await scripted.peer()
        sequence, _ = await peer.read()
        peer.write(sequence, LoginResp(0, bytes.fromhex(authenticator), 0x30))
        await login
        assert link.verified is not warned
        assert link.ready is not (warned and verify)
        assert (GATEWAY_UNVERIFIED in caplog.messages) is warned
        await link.cut("the test is over")
