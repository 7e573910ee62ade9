"""The client's side of a link, against a scripted SMSC that speaks in recorded or raw octets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest

from service.protocols.session import Timing, connect
from service.protocols.smpp.operations import AlertNotification, Outbind, QuerySM
from service.protocols.smpp.pdu import (
    Bind,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSM,
    DataSMResp,
    DeliverSM,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSM,
    SubmitSMResp,
    encode,
)
from service.protocols.smpp.session import SMPPClient
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp import Peer, smsc
from tests.harness.vectors import load

VECTORS = {vector["id"]: vector for vector in load("smpp", "smpp34")}
LOGIN = BindTransceiver("esme01", "pw123456")
SUBMIT = SubmitSM("NOTICE", "8619790001234", b"x")
PATIENT = Timing(heartbeat_seconds=30, response_timeout_seconds=60)

Answer = SubmitSMResp | None
Client = SMPPClient[Answer]
OnDeliver = Callable[[int, DeliverSM | DataSM], None]


def client(timing: Timing, on_deliver: OnDeliver | None = None) -> Client:
    made = Client(timing, read_answer=lambda answer, *_: answer, on_deliver=on_deliver or Mock())
    made.on_broken = Mock()
    return made


def submit(link: Client, *packets: SubmitSM) -> list["asyncio.Future[Answer]"]:
    return link.transmit([link.request_of(packet) for packet in packets])


@asynccontextmanager
async def dialled(
    timing: Timing = PATIENT, on_deliver: OnDeliver | None = None
) -> AsyncIterator[tuple[Client, Peer]]:
    """A connection that nobody has logged in on."""
    async with smsc() as scripted:
        link = await connect(client(timing, on_deliver), "127.0.0.1", scripted.port)
        yield link, await scripted.peer()
        await link.cut("the test is over")


@asynccontextmanager
async def logged_in(
    timing: Timing = PATIENT, on_deliver: OnDeliver | None = None
) -> AsyncIterator[tuple[Client, Peer]]:
    async with dialled(timing, on_deliver) as (link, peer):
        login = asyncio.create_task(link.login(LOGIN))
        await peer.accept_login()
        await login
        yield link, peer


async def soon(awaitable: "asyncio.Future[Answer]") -> Answer:
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


async def gone(link: Client) -> str:
    await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
    return link.reason


# Login


@pytest.mark.parametrize(
    ("bind", "recorded"),
    [
        (BindTransceiver, "smpp-bind-trx"),
        (BindTransmitter, "smpp-bind-tx"),
        (BindReceiver, "smpp-bind-rx"),
    ],
)
async def test_the_login_is_the_recorded_packet(bind: type[Bind], recorded: str) -> None:
    async with dialled() as (link, peer):
        login = asyncio.create_task(link.login(bind("esme01", "pw123456")))
        assert (await peer.read_frame()).hex() == VECTORS[recorded]["hex"]
        assert not link.ready
        frame = bytearray.fromhex(VECTORS["smpp-bind-trx-resp"]["hex"])
        frame[7] = bind.command
        peer.writer.write(frame)
        answer = await login
        assert answer is not None
        assert answer.system_id == "SMSC01"
        assert link.ready


@pytest.mark.parametrize("octets", [VECTORS["smpp-bind-trx-resp-badpass"]["hex"]] + [
    form["hex"] for form in VECTORS["smpp-bind-trx-resp-badpass"]["disputed"]
])  # fmt: skip
async def test_a_refused_login_is_answered_with_or_without_a_body(octets: str) -> None:
    async with dialled() as (link, peer):
        login = asyncio.create_task(link.login(LOGIN))
        await peer.read()
        peer.writer.write(bytes.fromhex(octets))
        answer = await login
        assert answer is not None
        assert answer.command_status == 0x0E
        assert not link.ready


async def test_a_login_that_is_not_understood_is_refused() -> None:
    async with dialled() as (link, peer):
        login = asyncio.create_task(link.login(LOGIN))
        sequence, _ = await peer.read()
        peer.write(sequence, GenericNack(command_status=3))
        answer = await asyncio.wait_for(login, PATIENCE_SECONDS)
        assert answer is not None
        assert answer.command_status == 3


# Submits


async def test_sequence_numbers_end_at_31_bits_and_begin_again() -> None:
    async with logged_in() as (link, peer):
        link.sequence._next = 0x7FFF_FFFF
        submit(link, SUBMIT, SUBMIT)
        assert [(await peer.read())[0] for _ in range(2)] == [0x7FFF_FFFF, 1]


@pytest.mark.parametrize("body", ["", "00", "3137", "313700"])
@pytest.mark.parametrize("status", [0x58, 0x14])
async def test_refusals_with_and_without_a_body_are_read(body: str, status: int) -> None:
    octets = bytes.fromhex(body)
    async with logged_in() as (link, peer):
        (future,) = submit(link, SUBMIT)
        sequence, _ = await peer.read()
        frame = encode(sequence, SubmitSMResp(command_status=status)) + octets
        peer.writer.write(len(frame).to_bytes(4, "big") + frame[4:])
        answer = await soon(future)
        assert answer is not None
        assert answer.command_status == status
        assert link.ready


@pytest.mark.parametrize(("status", "read"), [(0x02, 0x02), (0x00, 0xFF)])
async def test_a_generic_nack_answers_the_submit_it_names(status: int, read: int) -> None:
    async with logged_in() as (link, peer):
        first, second = submit(link, SUBMIT, SUBMIT)
        sequence, _ = await peer.read()
        peer.write(sequence, GenericNack(command_status=status))
        answer = await soon(first)
        assert answer is not None
        assert answer.command_status == read
        assert not second.done()
        assert link.ready


async def test_a_generic_nack_for_nothing_of_ours_changes_nothing() -> None:
    async with logged_in() as (link, peer):
        (future,) = submit(link, SUBMIT)
        peer.writer.write(bytes.fromhex(VECTORS["smpp-generic-nack"]["hex"]))
        peer.write(77, GenericNack(command_status=3))
        peer.write(9, EnquireLink())
        await peer.read()
        assert await peer.read() == (9, EnquireLinkResp())
        assert not future.done()


# Delivers


async def test_data_sm_is_acknowledged_in_its_own_way() -> None:
    delivered: asyncio.Queue[tuple[int, DeliverSM | DataSM]] = asyncio.Queue()
    async with logged_in(on_deliver=lambda *args: delivered.put_nowait(args)) as (link, peer):
        peer.write(31, DataSM("", 1, 1, "8619790001234", 0, 0, "1069", 0, 0, 0))
        link.acknowledge(*await asyncio.wait_for(delivered.get(), PATIENCE_SECONDS))
        assert await peer.read() == (31, DataSMResp())


# What should not come


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        ("00000010000000770000000000000005", 3),
        (encode(5, QuerySM("1", 0, 0, "1069")).hex(), 3),
        (encode(5, SUBMIT).hex(), 3),
        (encode(5, LOGIN).hex(), 3),
        ("00000011000000040000000000000005ff", 2),
    ],
)
async def test_what_is_not_understood_is_refused_and_costs_nothing_else(
    octets: str, status: int
) -> None:
    async with logged_in() as (link, peer):
        peer.writer.write(bytes.fromhex(octets))
        assert await peer.read() == (5, GenericNack(command_status=status))
        assert link.ready


@pytest.mark.parametrize(
    "octets",
    [
        "00000010800000770000000000000005",
        "00000010800001030000000000000005",
        encode(5, AlertNotification(1, 1, "8619790001234", 0, 0, "1069")).hex(),
        encode(5, Outbind("SMSC01", "pw")).hex(),
    ],
)
async def test_notices_and_unasked_answers_are_skipped(octets: str) -> None:
    async with logged_in() as (link, peer):
        peer.writer.write(bytes.fromhex(octets))
        peer.write(6, EnquireLink())
        assert await peer.read() == (6, EnquireLinkResp())
        assert link.ready


@pytest.mark.attack
@pytest.mark.parametrize(
    "octets", ["00000003", "7fffffff00000005", b"HTTP/1.1 400 Bad Request\r\n\r\n".hex()]
)
async def test_a_bad_length_is_refused_and_closes_the_link_with_a_logged_reason(
    octets: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with logged_in() as (link, peer):
        (future,) = submit(link, SUBMIT)
        peer.writer.write(bytes.fromhex(octets))
        await peer.read()
        assert await peer.read() == (0, GenericNack(command_status=2))
        assert await peer.read_to_the_end() == b""
        assert "octets" in await gone(link)
        assert link.fault is not None
        assert await soon(future) is None
    levels = [record.levelno for record in caplog.records if record.name.startswith("service")]
    assert logging.WARNING in levels
    assert not any(record.exc_info for record in caplog.records)
