"""The carrier's ends of SGIP's two connections, scripted: it answers ours, and opens one to us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from service.channels.contract.gateway import Delivery, SubmitResult
from service.clock import Clock
from service.gateways.sgip import SGIPConfig, SGIPGateway
from service.protocols.sgip.packet import PDU
from service.protocols.sgip.pdu import Bind, BindResp, decode, encode
from service.protocols.sgip.sequence import SequenceNumber
from tests.harness.session import PATIENCE_SECONDS, Peer, carrier
from tests.harness.waiting import turns

CLOCK = Clock(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC), anchor=0.0, speed=0.0)
NODE = 3037112345
SMG_NODE = 103711
PASSWORD = "1qaz2wsx"
PHONE = "+8619790001234"


def number(counter: int, *, node: int = SMG_NODE) -> int:
    """A sequence number of the carrier's."""
    return SequenceNumber(node, 809104500, counter).number


def settings(port: int, **others: Any) -> SGIPConfig:
    """The account sheet of the tests."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "login_name": "12345",
        "login_password": PASSWORD,
        "node_number": NODE,
        "corp_id": "12345",
        "access_number": "10655123",
        "listen_host": "127.0.0.1",
    }
    return SGIPConfig(**{**given, **others})


class Store:
    """Where deliveries go; each stays unstored until the test says so."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Delivery] = asyncio.Queue()
        self.futures: list[asyncio.Future[None]] = []

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.items.put_nowait(item)
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    async def next(self) -> Delivery:
        item: Delivery = await soon(self.items.get())
        return item


class SMG:
    """The carrier's end of one connection, in packets."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.writer = peer.writer
        self.read_frame = peer.read_frame
        self.read_to_the_end = peer.read_to_the_end

    async def read(self) -> tuple[int, PDU]:
        """The next packet."""
        return decode(await self._peer.read_frame())

    def write(self, sequence: int, pdu: PDU) -> None:
        self.writer.write(encode(sequence, pdu))

    async def accept_login(self, result: int = 0) -> Bind:
        """Read a login and answer it."""
        sequence, bind = await self.read()
        assert isinstance(bind, Bind)
        self.write(sequence, BindResp(result))
        return bind

    async def ask(self, sequence: int, pdu: PDU) -> tuple[int, PDU]:
        """Write a packet and read the next one that comes."""
        self.write(sequence, pdu)
        return await self.read()

    def cut(self) -> None:
        self.writer.transport.abort()


async def soon(awaitable: Any) -> Any:
    """What must come, or the test fails."""
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


async def answer(future: "asyncio.Future[SubmitResult]") -> SubmitResult:
    result: SubmitResult = await soon(future)
    return result


@asynccontextmanager
async def opened(**others: Any) -> AsyncIterator[tuple[SGIPGateway, SMG, Store]]:
    """A gateway that is logged in at a scripted carrier."""
    async with carrier() as scripted:
        store = Store()
        gateway = SGIPGateway(settings(scripted.port, **others), store.deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        smg = SMG(await scripted.peer())
        await smg.accept_login()
        await opening
        yield gateway, smg, store
        smg.cut()
        await soon(gateway.link.lost.wait())


@asynccontextmanager
async def dialled(port: int, address: str = "127.0.0.1") -> AsyncIterator[SMG]:
    """A connection that the carrier opens to the SP's listener, from an address of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield SMG(Peer(reader, writer))
    finally:
        writer.transport.abort()
        await turns()
