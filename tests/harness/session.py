"""A scripted CMPP carrier on a loopback port: the test reads packets and writes what it likes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.protocols.cmpp.digest import authenticator_ismg
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import Connect, ConnectResp, decode, encode
from service.protocols.cmpp.version import V30
from tests.harness.waiting import turns

SECRET = "1qaz2wsx"
"""The shared secret of the tests' account."""

PATIENCE_SECONDS = 10.0
"""How long a test waits for what must come; nothing that works comes near it."""


class Peer:
    """The carrier's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def read(self) -> tuple[int, PDU]:
        """The next packet."""
        return decode(await self.read_frame())

    async def read_frame(self) -> bytes:
        """The octets of the next packet."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self._reader.readexactly(4)
            return head + await self._reader.readexactly(int.from_bytes(head, "big") - 4)

    async def read_to_the_end(self) -> bytes:
        """What else comes until the other side closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.read()

    def write(self, sequence: int, pdu: PDU) -> None:
        self.writer.write(encode(sequence, pdu))

    async def accept_login(self, status: int = 0, secret: str = SECRET) -> Connect:
        """Read a login and answer it, as one who knows the secret."""
        sequence, connect = await self.read()
        assert isinstance(connect, Connect)
        digest = authenticator_ismg(status, connect.authenticator_source, secret, V30)
        self.write(sequence, ConnectResp(status, digest, 0x30))
        return connect


class Carrier:
    """A listening port; every connection becomes a Peer."""

    def __init__(self) -> None:
        self.port = 0
        self._arrived: asyncio.Queue[Peer] = asyncio.Queue()

    async def peer(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._arrived.get()

    def arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._arrived.put_nowait(Peer(reader, writer))


@asynccontextmanager
async def carrier() -> AsyncIterator[Carrier]:
    """A scripted carrier for as long as the block runs."""
    scripted = Carrier()
    peers: list[asyncio.StreamWriter] = []

    def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        scripted.arrived(reader, writer)

    server = await asyncio.start_server(arrived, "127.0.0.1", 0)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for writer in peers:
            writer.transport.abort()
        await turns()
