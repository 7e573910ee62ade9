"""The client's side of a link, against a scripted carrier that speaks in recorded or raw octets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from service.protocols import client as client_module
from service.protocols.cmpp import session as cmpp_session
from service.protocols.cmpp.pdu import (
    ActiveTest,
    ActiveTestResp,
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
    Terminate,
    TerminateResp,
    decode,
    encode,
)
from service.protocols.cmpp.session import CMPPClient
from service.protocols.cmpp.version import BY_NAME, V20, V21, V30, Version
from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.session import Timing, connect
from tests.harness.session import PATIENCE_SECONDS, Carrier, Peer, carrier
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("cmpp", "cmpp20") + load("cmpp", "cmpp30")}
LOGIN_ANSWERS = {"CMPP_CONNECT_RESP"}
NOW = datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)
SUBMIT = Submit(("19790001234",), b"x", src_id="106900001234", msg_src="901234", msg_fmt=0)
PATIENT = Timing(heartbeat_seconds=30, response_timeout_seconds=60)
QUICK = Timing(heartbeat_seconds=0.08, response_timeout_seconds=0.24)

Client = CMPPClient[SubmitResp | None]

OPEN = {"is_closing": lambda: False, "get_write_buffer_size": lambda: 0}


def submit(link: Client, pdus: list[Submit]) -> list["asyncio.Future[SubmitResp | None]"]:
    return link.transmit([link.request_of(pdu) for pdu in pdus])


def client(
    timing: Timing,
    on_deliver: Callable[[int, Deliver], None] | None = None,
    version: Version = V30,
) -> Client:
    made = Client(
        timing, version, read_answer=lambda answer, *_: answer, on_deliver=on_deliver or Mock()
    )
    made.on_broken = Mock()
    return made


@asynccontextmanager
async def logged_in(
    timing: Timing = PATIENT, on_deliver: Callable[[int, Deliver], None] | None = None
) -> AsyncIterator[tuple[Client, Peer]]:
    async with carrier() as scripted:
        link, peer = await _log_in(scripted, timing, on_deliver)
        yield link, peer
        await link.cut("the test is over")


async def _log_in(
    scripted: Carrier, timing: Timing, on_deliver: Callable[[int, Deliver], None] | None
) -> tuple[Client, Peer]:
    link = await connect(client(timing, on_deliver), "127.0.0.1", scripted.port)
    peer = await scripted.peer()
    login = asyncio.create_task(link.login("901234", "1qaz2wsx", NOW))
    await peer.accept_login()
    await login
    return link, peer


async def soon(awaitable: "asyncio.Future[SubmitResp | None]") -> SubmitResp | None:
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


async def gone(link: Client) -> str:
    await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
    return link.reason


@asynccontextmanager
async def logging_in(
    version: Version, *, verify: bool = False
) -> AsyncIterator[tuple[Client, Peer, "asyncio.Task[ConnectResp | None]"]]:
    """A client whose login has not been read yet."""
    async with carrier() as scripted:
        link = await connect(client(PATIENT, version=version), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login("901234", "1qaz2wsx", NOW, verify=verify))
        yield link, await scripted.peer(), login
        await link.cut("the test is over")


@pytest.mark.parametrize("name", ["2.0", "3.0"])
async def test_the_login_is_the_recorded_packet(name: str) -> None:
    prefix = f"cmpp{name.replace('.', '')}"
    async with logging_in(BY_NAME[name]) as (link, peer, login):
        assert (await peer.read_frame()).hex() == VECTORS[f"{prefix}-connect"]["hex"]
        assert not link.ready
        peer.writer.write(bytes.fromhex(VECTORS[f"{prefix}-connect-resp-ok"]["hex"]))
        answer = await login
        assert answer is not None
        assert answer.status == 0
        assert link.ready


async def test_a_login_of_21_differs_in_the_version_octet_alone() -> None:
    async with logging_in(V21) as (_, peer, _):
        recorded = bytes.fromhex(VECTORS["cmpp20-connect"]["hex"])
        assert await peer.read_frame() == recorded[:34] + b"\x21" + recorded[35:]


ONE_OCTET, FOUR_OCTETS = "be50fd1a2656446f51bf82f10a665f42", "0c4c50f3bc9708c067152394c49e60dd"


@pytest.mark.attack
@pytest.mark.parametrize(
    ("authenticator", "known"), [(ONE_OCTET, True), (FOUR_OCTETS, True), ("00" * 16, False)]
)
@pytest.mark.parametrize("version", [V20, V30], ids=lambda version: version.name)
@pytest.mark.parametrize("verify", [False, True])
async def test_a_gateway_that_does_not_know_the_secret_is_a_warning_or_gets_no_submits(
    authenticator: str,
    known: bool,
    version: Version,
    verify: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with logging_in(version, verify=verify) as (link, peer, login):
        sequence, _ = await peer.read()
        answer = ConnectResp(0, bytes.fromhex(authenticator), version.octet)
        peer.writer.write(encode(sequence, answer, version))
        await login
        assert link.verified is known
        assert link.ready is (known or not verify)
        assert (GATEWAY_UNVERIFIED in caplog.messages) is not known


@pytest.mark.parametrize(
    ("ours", "theirs", "warned"),
    [(V30, 0x20, True), (V30, 0x30, False), (V20, 0x30, False), (V21, 0x20, False)],
)
async def test_a_gateway_that_names_a_lower_version_is_a_warning(
    ours: Version, theirs: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with logging_in(ours) as (link, peer, login):
        sequence, _ = await peer.read()
        answer = ConnectResp(0, bytes.fromhex(FOUR_OCTETS), theirs)
        peer.writer.write(encode(sequence, answer, V20))
        await login
        assert link.ready
        assert (cmpp_session.LOWER_VERSION in caplog.messages) is warned


async def test_a_link_of_20_keeps_to_its_layouts() -> None:
    delivered: asyncio.Queue[tuple[int, Deliver]] = asyncio.Queue()
    async with carrier() as scripted:
        link = await connect(
            client(PATIENT, lambda *deliver: delivered.put_nowait(deliver), V20),
            "127.0.0.1",
            scripted.port,
        )
        login = asyncio.create_task(link.login("901234", "1qaz2wsx", NOW))
        peer = await scripted.peer()
        await peer.read_frame()
        peer.writer.write(bytes.fromhex(VECTORS["cmpp20-connect-resp-ok"]["hex"]))
        await login
        (future,) = submit(link, [SUBMIT])
        frame = await peer.read_frame()
        assert len(frame) == 138 + 21 + 1
        sequence, read = decode(frame, V20)
        assert read == SUBMIT
        peer.writer.write(encode(sequence, SubmitResp(5, 8), V20))
        assert await soon(future) == SubmitResp(5, 8)
        recorded = VECTORS["cmpp20-deliver-report-delivrd"]
        peer.writer.write(bytes.fromhex(recorded["hex"]))
        number, deliver = await asyncio.wait_for(delivered.get(), PATIENCE_SECONDS)
        link.acknowledge(number, deliver)
        answer = DeliverResp(recorded["fields"]["msg_id"])
        assert decode(await peer.read_frame(), V20) == (recorded["sequence"], answer)
        await link.cut("the test is over")


async def test_a_link_that_ends_before_the_login_is_answered_gives_none() -> None:
    async with carrier() as scripted:
        link = await connect(client(PATIENT), "127.0.0.1", scripted.port)
        login = asyncio.create_task(link.login("901234", "1qaz2wsx", NOW))
        (await scripted.peer()).writer.transport.abort()
        assert await asyncio.wait_for(login, PATIENCE_SECONDS) is None
        assert link.lost.is_set()


async def test_submits_go_out_in_one_write_and_answers_find_their_submit() -> None:
    async with logged_in() as (link, peer):
        futures = submit(link, [SUBMIT] * 3)
        sequences = [(await peer.read())[0] for _ in futures]
        assert len(set(sequences)) == 3
        for sequence in reversed(sequences):
            peer.write(sequence, SubmitResp(sequence * 10, 0))
        answers = [await soon(future) for future in futures]
        assert answers == [SubmitResp(sequence * 10, 0) for sequence in sequences]
        assert link.unanswered == []


async def test_one_batch_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logged_in() as (link, _):
        written: list[bytes] = []
        monkeypatch.setattr(link._transport, "write", written.append)
        submit(link, [SUBMIT] * 5)
        assert [len(data) for data in written] == [5 * len(encode(1, SUBMIT))]


async def test_a_submit_that_cannot_be_written_leaves_nothing_in_flight() -> None:
    async with logged_in() as (link, _):
        too_long = Submit(("1" * 33,), b"x", src_id="1", msg_src="901234", msg_fmt=0)
        with pytest.raises(ValueError, match="33 characters"):
            submit(link, [SUBMIT, too_long])
        assert link.unanswered == []


async def test_a_lost_link_answers_every_submit_with_nothing() -> None:
    async with logged_in() as (link, peer):
        futures = submit(link, [SUBMIT] * 4)
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(1, 0))
        assert await soon(futures[0]) == SubmitResp(1, 0)
        peer.writer.transport.abort()
        assert [await soon(future) for future in futures[1:]] == [None] * 3
        await gone(link)
        assert not link.ready


async def test_a_submit_without_an_answer_is_given_up_and_the_link_lives_on_if_others_talk() -> (
    None
):
    async with logged_in(QUICK) as (link, peer):
        (future,) = submit(link, [SUBMIT])
        talk = asyncio.create_task(_answer_heartbeats(peer))
        assert await soon(future) is None
        assert link.ready
        peer.write(LAST, ActiveTest())
        await talk


LAST = 999


async def _answer_heartbeats(peer: Peer) -> None:
    """Answer heartbeats until the client has answered one with the last number."""
    while True:
        sequence, pdu = await peer.read()
        if isinstance(pdu, ActiveTest):
            peer.write(sequence, ActiveTestResp())
        elif sequence == LAST:
            return


async def test_an_answer_that_comes_too_late_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with logged_in(Timing(0.05, 0.1)) as (link, peer):
        (future,) = submit(link, [SUBMIT])
        answering = asyncio.create_task(_answer_heartbeats(peer))
        assert await soon(future) is None
        peer.write(2, SubmitResp(1, 0))
        peer.write(LAST, ActiveTest())
        await answering
        assert client_module.LATE_ANSWER in caplog.messages
        assert link.ready


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


async def test_heartbeats_of_the_carrier_are_answered() -> None:
    async with logged_in() as (_, peer):
        peer.write(4711, ActiveTest())
        assert await peer.read() == (4711, ActiveTestResp())


async def test_a_deliver_is_acknowledged_with_its_own_id_only_when_asked_to() -> None:
    delivered: asyncio.Queue[tuple[int, Deliver]] = asyncio.Queue()
    async with logged_in(on_deliver=lambda *args: delivered.put_nowait(args)) as (link, peer):
        peer.writer.write(bytes.fromhex(VECTORS["cmpp30-deliver-report-delivrd"]["hex"]))
        sequence, deliver = await asyncio.wait_for(delivered.get(), PATIENCE_SECONDS)
        peer.write(9, ActiveTest())
        assert (await peer.read())[0] == 9, "nothing was acknowledged before it was stored"
        link.acknowledge(sequence, deliver)
        assert (await peer.read_frame()).hex() == VECTORS["cmpp30-deliver-resp"]["hex"]


async def test_octets_in_any_pieces_are_read() -> None:
    delivered: asyncio.Queue[tuple[int, Deliver]] = asyncio.Queue()
    async with logged_in(on_deliver=lambda *args: delivered.put_nowait(args)) as (_, peer):
        for octet in bytes.fromhex(VECTORS["cmpp30-deliver-mo-ucs2"]["hex"]):
            peer.writer.write(bytes((octet,)))
            await peer.writer.drain()
            await turns()
        sequence, _ = await asyncio.wait_for(delivered.get(), PATIENCE_SECONDS)
        assert sequence == 101


async def test_a_logout_of_the_carrier_is_answered_and_ends_the_link() -> None:
    async with logged_in() as (link, peer):
        peer.write(77, Terminate())
        assert await peer.read() == (77, TerminateResp())
        assert await gone(link) == "the other side logged out"


async def test_logging_out_waits_for_the_answer() -> None:
    async with logged_in() as (link, peer):
        logout = asyncio.create_task(link.logout())
        sequence, pdu = await peer.read()
        assert isinstance(pdu, Terminate)
        assert not link.ready
        peer.write(sequence, TerminateResp())
        await asyncio.wait_for(logout, PATIENCE_SECONDS)
        assert link.reason == "logged out"


async def test_logging_out_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LOGOUT_SECONDS", 0.05)
    async with logged_in() as (link, _):
        await asyncio.wait_for(link.logout(), PATIENCE_SECONDS)
        assert link.lost.is_set()


async def test_an_unknown_command_is_skipped() -> None:
    async with logged_in() as (link, peer):
        peer.writer.write(bytes.fromhex("0000000c0000007700000001"))
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
        (future,) = submit(link, [SUBMIT])
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
