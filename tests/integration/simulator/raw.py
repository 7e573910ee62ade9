"""A raw CMPP client of a simulated carrier, and a place where its callbacks arrive."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from aiohttp import ClientSession, web

from service.protocols.cmpp.digest import authenticator_source, connect_timestamp
from service.protocols.cmpp.pdu import (
    ActiveTest,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
)
from service.simulator.run import Simulator
from tests.harness.session import PATIENCE_SECONDS, Peer
from tests.harness.simulated import ACCOUNT, SECRET
from tests.harness.waiting import turns

QUIET_SECONDS = 0.3
"""How long nothing must come where nothing may: far longer than an answer takes."""

NOW = datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)


class Client(Peer):
    """A connection that writes and reads what the test says, and nothing of its own."""

    def login(self, secret: str = SECRET, account: str = ACCOUNT) -> bytes:
        """Write a login; returns its digest."""
        timestamp = connect_timestamp(NOW)
        source = authenticator_source(account.encode(), secret, timestamp)
        self.write(1, Connect(account, source, 0x30, timestamp))
        return source

    def submit(self, sequence: int, *numbers: str, **others: Any) -> None:
        """Write a submit."""
        values = {"msg_content": b"x", "src_id": "1069", "msg_src": ACCOUNT, "msg_fmt": 0}
        self.write(sequence, Submit(dest_terminal_id=numbers, **{**values, **others}))

    async def answer(self) -> tuple[int, int]:
        """The sequence number and the result of the next answer to a submit."""
        while True:
            sequence, pdu = await self.read()
            if isinstance(pdu, SubmitResp):
                return sequence, pdu.result

    async def deliver(self, *, acknowledge: bool = True) -> Deliver:
        """The next receipt or text from a handset."""
        while True:
            sequence, pdu = await self.read()
            if isinstance(pdu, Deliver):
                if acknowledge:
                    self.write(sequence, DeliverResp(pdu.msg_id))
                return pdu

    async def read_octets(self, number: int) -> bytes:
        """So many octets, whatever they are."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.readexactly(number)

    async def read_what_is_there(self) -> None:
        """Read until nothing comes for a moment."""
        try:
            while True:
                async with asyncio.timeout(0.05):
                    await self._reader.read(1024)
        except TimeoutError:
            return

    async def hears_nothing(self) -> bool:
        """Whether nothing comes, and the connection stays."""
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await self._reader.readexactly(1)
        except TimeoutError:
            return True
        except asyncio.IncompleteReadError:
            return False
        return False

    def ask_for_life(self, sequence: int = 99) -> None:
        """Write a heartbeat."""
        self.write(sequence, ActiveTest())


class Reachable(Protocol):
    """A simulated carrier, here or in a process of its own, by its ports."""

    @property
    def ports(self) -> Mapping[str, int]: ...


@asynccontextmanager
async def dialled(carrier: Reachable) -> AsyncIterator[Client]:
    """A connection, not logged in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports["cmpp"])
    yield Client(reader, writer)
    writer.transport.abort()
    await turns()


@asynccontextmanager
async def logged_in(carrier: Reachable) -> AsyncIterator[Client]:
    """A connection of the account."""
    async with dialled(carrier) as client:
        client.login()
        _, answer = await client.read()
        assert isinstance(answer, ConnectResp)
        assert answer.status == 0
        yield client


class Callbacks:
    """Requests that a provider made to us. status: what they are answered with."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.arrived: asyncio.Queue[tuple[web.Request, bytes]] = asyncio.Queue()

    async def next(self) -> tuple[web.Request, bytes]:
        """The next request and its body."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.arrived.get()

    async def take(self, request: web.Request) -> web.Response:
        self.arrived.put_nowait((request, await request.read()))
        return web.Response(status=self.status)


@asynccontextmanager
async def callbacks() -> AsyncIterator[Callbacks]:
    """A server for a provider's callbacks."""
    taken = Callbacks()
    app = web.Application()
    app.router.add_post("/{any:.*}", taken.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taken.url = f"http://127.0.0.1:{runner.addresses[0][1]}/callbacks/7"
    try:
        yield taken
    finally:
        await runner.cleanup()


@asynccontextmanager
async def admin(carrier: Simulator) -> AsyncIterator[ClientSession]:
    """A client of the admin API."""
    async with ClientSession(f"http://127.0.0.1:{carrier.ports['admin']}") as client:
        yield client
