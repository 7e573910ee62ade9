"""A scripted carrier on a loopback port: the test reads packets and writes what it likes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, TypeVar

from service.protocols.cmpp.digest import authenticator_ismg
from service.protocols.cmpp.pdu import Connect, ConnectResp, decode, encode
from service.protocols.cmpp.version import V30
from tests.harness.waiting import turns

SECRET = "1qaz2wsx"
"""The shared secret of the tests' account."""

PATIENCE_SECONDS = 10.0
"""How long a test waits for what must come; nothing that works comes near it."""


async def soon(awaitable: Any) -> Any:
    """What must come, or the test fails."""
    return await asyncio.wait_for(awaitable, PATIENCE_SECONDS)


class Peer:
    """The carrier's end of one connection: of CMPP, unless a subclass speaks something else."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def decode(self, frame: bytes) -> tuple[int, Any]:
        return decode(frame)

    def encode(self, sequence: int, pdu: Any) -> bytes:
        return encode(sequence, pdu)

    async def read(self) -> tuple[int, Any]:
        """The next packet."""
        return self.decode(await self.read_frame())

    async def read_frame(self) -> bytes:
        """The octets of the next packet."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self._reader.readexactly(4)
            return head + await self._reader.readexactly(int.from_bytes(head, "big") - 4)

    async def read_to_the_end(self) -> bytes:
        """What else comes until the other side closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.read()

    def write(self, sequence: int, pdu: Any) -> None:
        self.writer.write(self.encode(sequence, pdu))

    async def ask(self, sequence: int, pdu: Any) -> tuple[int, Any]:
        """Write a packet and read the next one that comes."""
        self.write(sequence, pdu)
        return await self.read()

    def cut(self) -> None:
        """End the connection at once."""
        self.writer.transport.abort()

    async def accept_login(self, status: int = 0, *, secret: str = SECRET) -> Any:
        """Read a login and answer it, as one who knows the secret."""
        sequence, connect = await self.read()
        assert isinstance(connect, Connect)
        digest = authenticator_ismg(status, connect.authenticator_source, secret, V30)
        self.write(sequence, ConnectResp(status, digest, 0x30))
        return connect


P = TypeVar("P", bound=Peer)


class Carrier(Generic[P]):
    """A listening port; every connection becomes a peer."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: asyncio.Queue[P] = asyncio.Queue()

    async def peer(self) -> P:
        """The next connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.arrived.get()


def carrier() -> AbstractAsyncContextManager[Carrier[Peer]]:
    """A scripted carrier of CMPP for as long as the block runs."""
    return carrier_of(Peer)


@asynccontextmanager
async def carrier_of(peer: type[P], tls: ssl.SSLContext | None = None) -> AsyncIterator[Carrier[P]]:
    """A scripted carrier for as long as the block runs, under TLS if there is a context for it."""
    scripted = Carrier[P]()
    writers: list[asyncio.StreamWriter] = []

    def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        scripted.arrived.put_nowait(peer(reader, writer))

    server = await asyncio.start_server(arrived, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await turns()
