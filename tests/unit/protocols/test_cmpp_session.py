"""The client's side of a link, against a scripted carrier that speaks in recorded or raw octets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest

from service.protocols.cmpp import session as cmpp_session
from service.protocols.cmpp.pdu import (
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
    decode,
    encode,
)
from service.protocols.cmpp.session import CMPPClient
from service.protocols.cmpp.version import V20, V21, V30, Version
from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.session import Timing, connect
from tests.harness.session import PATIENCE_SECONDS, Peer, carrier
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("cmpp", "cmpp20") + load("cmpp", "cmpp30")}
NOW = datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)
SUBMIT = Submit(("19790001234",), b"x", src_id="106900001234", msg_src="901234", msg_fmt=0)
PATIENT = Timing(heartbeat_seconds=30, response_timeout_seconds=60)

Client = CMPPClient[SubmitResp | None]


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


async def soon(awaitable: "asyncio.Future[SubmitResp | None]") -> SubmitResp | None:
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


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
