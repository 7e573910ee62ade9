"""The client's side of a link, against a scripted carrier that speaks in recorded or raw octets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from service.protocols import client as any_client
from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.session import Timing, connect
from service.protocols.smgp.pdu import (
    ActiveTest,
    ActiveTestResp,
    Deliver,
    Exit,
    ExitResp,
    LoginResp,
    Submit,
    SubmitResp,
)
from service.protocols.smgp.session import SMGPClient
from tests.harness.session import PATIENCE_SECONDS, carrier
from tests.harness.smgp import SMGPPeer, peer_of
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("smgp", "smgp30")}
LOGIN_ANSWERS = {"SMGP_LOGIN_RESP"}
NOW = datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)
SUBMIT = Submit(("19790001234",), b"x", src_term_id="106590001234", msg_format=0)
PATIENT = Timing(heartbeat_seconds=30, response_timeout_seconds=60)
QUICK = Timing(heartbeat_seconds=0.08, response_timeout_seconds=0.24)
ID = bytes.fromhex("01006108091030123456")

Client = SMGPClient[SubmitResp | None]

OPEN = {"is_closing": lambda: False, "get_write_buffer_size": lambda: 0}


def client(timing: Timing, on_deliver: Callable[[int, Deliver], None] | None = None) -> Client:
    made = Client(timing, read_answer=lambda answer, *_: answer, on_deliver=on_deliver or Mock())
    made.on_broken = Mock()
    return made


@asynccontextmanager
async def logged_in(
    timing: Timing = PATIENT, on_deliver: Callable[[int, Deliver], None] | None = None
) -> AsyncIterator[tuple[Client, SMGPPeer]]:
    async with carrier() as scripted:
        link = await connect(client(timing, on_deliver), "127.0.0.1", scripted.port)
        peer = await peer_of(scripted)
        login = asyncio.create_task(link.login("12345678", "1qaz2wsx", NOW, mode=2))
        await peer.accept_login()
        await login
        yield link, peer
        await link.cut("the test is over")


def submit(link: Client, number: int) -> list["asyncio.Future[SubmitResp | None]"]:
    return link.transmit(link.request_of(SUBMIT) for _ in range(number))


async def soon(awaitable: "asyncio.Future[SubmitResp | None]") -> SubmitResp | None:
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


async def gone(link: Client) -> str:
    await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
    return link.reason


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
    async with carrier() as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login(account, "1qaz2wsx", at, mode=mode))
        peer = await peer_of(scripted)
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
    async with carrier() as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login("12345678", "1qaz2wsx", NOW, mode=2, verify=verify))
        peer = await peer_of(scripted)
        sequence, _ = await peer.read()
        peer.write(sequence, LoginResp(0, bytes.fromhex(authenticator), 0x30))
        await login
        assert link.verified is not warned
        assert link.ready is not (warned and verify)
        assert (GATEWAY_UNVERIFIED in caplog.messages) is warned
        await link.cut("the test is over")


async def test_a_refused_login_allows_no_submit() -> None:
    async with carrier() as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login("12345678", "1qaz2wsx", NOW, mode=2))
        peer = await peer_of(scripted)
        await peer.read()
        peer.writer.write(bytes.fromhex(VECTORS["smgp-login-resp-authfail"]["hex"]))
        answer = await login
        assert answer is not None
        assert answer.status == 21
        assert not link.ready
        await link.cut("the test is over")


async def test_a_link_that_ends_before_the_login_is_answered_gives_none() -> None:
    async with carrier() as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login("12345678", "1qaz2wsx", NOW, mode=2))
        (await scripted.peer()).writer.transport.abort()
        assert await asyncio.wait_for(login, PATIENCE_SECONDS) is None
        assert link.lost.is_set()


# Submits


async def test_answers_find_their_submit_in_any_order() -> None:
    async with logged_in() as (link, peer):
        futures = submit(link, 3)
        sequences = [(await peer.read())[0] for _ in futures]
        assert len(set(sequences)) == 3
        for sequence in reversed(sequences):
            peer.write(sequence, SubmitResp(bytes(9) + bytes((sequence,)), 0))
        answers = [await soon(future) for future in futures]
        assert answers == [SubmitResp(bytes(9) + bytes((n,)), 0) for n in sequences]
        assert link.unanswered == []


async def test_a_lost_link_answers_every_submit_with_nothing() -> None:
    async with logged_in() as (link, peer):
        futures = submit(link, 4)
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(ID, 0))
        assert await soon(futures[0]) == SubmitResp(ID, 0)
        peer.writer.transport.abort()
        assert [await soon(future) for future in futures[1:]] == [None] * 3
        await gone(link)
        assert not link.ready


LAST = 999


async def _answer_heartbeats(peer: SMGPPeer) -> None:
    """Answer heartbeats until the client has answered one with the last number."""
    while True:
        sequence, pdu = await peer.read()
        if isinstance(pdu, ActiveTest):
            peer.write(sequence, ActiveTestResp())
        elif sequence == LAST:
            return


async def test_a_submit_without_an_answer_is_given_up_and_the_link_lives_on_if_others_talk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with logged_in(QUICK) as (link, peer):
        (future,) = submit(link, 1)
        sequence, _ = await peer.read()
        talk = asyncio.create_task(_answer_heartbeats(peer))
        assert await soon(future) is None
        assert link.ready
        peer.write(sequence, SubmitResp(ID, 0))
        peer.write(LAST, ActiveTest())
        await asyncio.wait_for(talk, PATIENCE_SECONDS)
        assert any_client.LATE_ANSWER in caplog.messages
        assert link.ready


# Heartbeats


async def test_a_silent_carrier_is_asked_and_then_given_up() -> None:
    async with logged_in(QUICK) as (link, peer):
        started = link.loop.time()
        _, pdu = await peer.read()
        assert isinstance(pdu, ActiveTest)
        assert await gone(link) == "no sign of life from the other side"
        assert 0.24 <= link.loop.time() - started < 5


async def test_a_carrier_that_answers_heartbeats_is_kept() -> None:
    async with logged_in(QUICK) as (link, peer):
        for _ in range(6):  # twice the time after which silence would have ended it
            sequence, pdu = await peer.read()
            assert isinstance(pdu, ActiveTest)
            peer.write(sequence, ActiveTestResp())
        assert link.ready


async def test_heartbeats_of_the_carrier_are_answered_with_the_recorded_packet() -> None:
    async with logged_in() as (_, peer):
        peer.writer.write(bytes.fromhex(VECTORS["smgp-active-test"]["hex"]))
        assert (await peer.read_frame()).hex() == VECTORS["smgp-active-test-resp"]["hex"]


# Delivers


async def test_a_deliver_is_acknowledged_with_its_own_id_only_when_asked_to() -> None:
    delivered: asyncio.Queue[tuple[int, Deliver]] = asyncio.Queue()
    async with logged_in(on_deliver=lambda *args: delivered.put_nowait(args)) as (link, peer):
        peer.writer.write(bytes.fromhex(VECTORS["smgp-deliver-report-delivrd"]["hex"]))
        sequence, deliver = await asyncio.wait_for(delivered.get(), PATIENCE_SECONDS)
        peer.write(9, ActiveTest())
        assert (await peer.read())[0] == 9, "nothing was acknowledged before it was stored"
        link.acknowledge(sequence, deliver)
        assert (await peer.read_frame()).hex() == VECTORS["smgp-deliver-resp"]["hex"]


async def test_octets_in_any_pieces_are_read() -> None:
    delivered: asyncio.Queue[tuple[int, Deliver]] = asyncio.Queue()
    async with logged_in(on_deliver=lambda *args: delivered.put_nowait(args)) as (_, peer):
        for octet in bytes.fromhex(VECTORS["smgp-deliver-mo-ucs2"]["hex"]):
            peer.writer.write(bytes((octet,)))
            await peer.writer.drain()
            await turns()
        sequence, _ = await asyncio.wait_for(delivered.get(), PATIENCE_SECONDS)
        assert sequence == 101


# Logging out


async def test_a_logout_of_the_carrier_is_answered_and_ends_the_link() -> None:
    async with logged_in() as (link, peer):
        peer.writer.write(bytes.fromhex(VECTORS["smgp-exit"]["hex"]))
        assert (await peer.read_frame()).hex() == VECTORS["smgp-exit-resp"]["hex"]
        assert await gone(link) == "the other side logged out"


async def test_logging_out_waits_for_the_answer() -> None:
    async with logged_in() as (link, peer):
        logout = asyncio.create_task(link.logout())
        sequence, pdu = await peer.read()
        assert isinstance(pdu, Exit)
        assert not link.ready
        peer.write(sequence, ExitResp())
        await asyncio.wait_for(logout, PATIENCE_SECONDS)
        assert link.reason == "logged out"


async def test_logging_out_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_client, "LOGOUT_SECONDS", 0.05)
    async with logged_in() as (link, _):
        await asyncio.wait_for(link.logout(), PATIENCE_SECONDS)
        assert link.lost.is_set()


# What is not the protocol


async def test_an_unknown_command_is_skipped() -> None:
    async with logged_in() as (link, peer):
        peer.writer.write(bytes.fromhex("0000000c0000000500000001"))  # gateway to gateway
        peer.write(5, ActiveTest())
        assert await peer.read() == (5, ActiveTestResp())
        assert link.ready


@pytest.mark.attack
@pytest.mark.parametrize(
    "octets",
    [
        "00000003",
        "7fffffff00000005",
        b"HTTP/1.1 400 Bad Request\r\n\r\n".hex(),
    ],
)
async def test_malformed_octets_close_the_link_with_a_logged_reason(
    octets: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with logged_in() as (link, peer):
        (future,) = submit(link, 1)
        peer.writer.write(bytes.fromhex(octets))
        assert "octets" in await gone(link)
        assert link.fault is not None
        assert await soon(future) is None
    levels = [record.levelno for record in caplog.records if record.name.startswith("service")]
    assert logging.WARNING in levels
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=list(VECTORS))
async def test_no_truncated_packet_raises_out_of_the_reader(vector: dict[str, str]) -> None:
    """Every truncation, its length field mended: only an answer to the login may end the link."""
    frame = bytes.fromhex(vector["hex"])
    for length in range(12, len(frame)):
        link = client(PATIENT)
        link.connection_made(Mock(spec=asyncio.Transport, **OPEN))
        link.data_received(length.to_bytes(4, "big") + frame[4:length])
        assert link.fault is None or vector["pdu"] in LOGIN_ANSWERS
        link.connection_lost(None)
