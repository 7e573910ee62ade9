"""A scripted SMSC on a loopback port: the test reads packets and writes what it likes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.protocols.smpp.packet import PDU, RESPONSE
from service.protocols.smpp.pdu import Bind, BindTransceiverResp, decode, encode
from service.protocols.smpp.tlv import TLV, Tag
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.waiting import turns

VERSION_TLV = (TLV(Tag.SC_INTERFACE_VERSION, 0x34),)


class Peer:
    """The SMSC's end of one connection, or an ESME's of one to our simulator."""

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

    async def accept_login(self, status: int = 0) -> Bind:
        """Read a login and answer it, whatever its role."""
        sequence, bind = await self.read()
        assert isinstance(bind, Bind)
        name = "" if status else "SMSC01"
        answer = BindTransceiverResp(
            name, parameters=() if status else VERSION_TLV, command_status=status
        )
        frame = encode(sequence, answer)
        self.writer.write(frame[:4] + (RESPONSE | bind.command).to_bytes(4, "big") + frame[8:])
        return bind


class SMSC:
    """A listening port; every connection becomes a Peer."""

    def __init__(self) -> None:
        self.port = 0
        self._arrived: asyncio.Queue[Peer] = asyncio.Queue()

    async def peer(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._arrived.get()

    def arrived(self, peer: Peer) -> None:
        self._arrived.put_nowait(peer)


@asynccontextmanager
async def smsc(tls: ssl.SSLContext | None = None) -> AsyncIterator[SMSC]:
    """A scripted SMSC for as long as the block runs, under TLS if there is a context for it."""
    scripted = SMSC()
    writers: list[asyncio.StreamWriter] = []

    def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        scripted.arrived(Peer(reader, writer))

    server = await asyncio.start_server(arrived, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await turns()
