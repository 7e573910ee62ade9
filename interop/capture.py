"""What crosses a real connection, as it crosses it: a relay that keeps it, and pcap files of it."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_OCTETS = 16_384
"""The most that is read at once, and so the longest segment in a file."""

_LINKTYPE_RAW = 101
_CLIENT, _SERVER = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
_CLIENT_PORT = 55_555  # nobody's: tshark guesses protocols by port
_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_TCP = struct.Struct(">HHIIBBHHH")
_PUSH_ACK = 0x18


@dataclass
class Capture:
    """One relayed connection. segments: who sent them (True: the client), and the octets."""

    port: int = 0
    segments: list[tuple[bool, bytes]] = field(default_factory=list)

    def write(self, path: Path, port: int) -> None:
        """A pcap file of it, as if the server had listened on that port."""
        sent = {True: 1, False: 1}
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _LINKTYPE_RAW))
            for number, (from_client, data) in enumerate(self.segments):
                tcp = _tcp(from_client, port, sent[from_client], sent[not from_client])
                packet = _ipv4(from_client, tcp + data)
                file.write(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)
                sent[from_client] += len(data)


def _tcp(from_client: bool, port: int, sequence: int, acknowledged: int) -> bytes:
    ports = (_CLIENT_PORT, port) if from_client else (port, _CLIENT_PORT)
    return _TCP.pack(*ports, sequence, acknowledged, 5 << 4, _PUSH_ACK, 65_535, 0, 0)


def _ipv4(from_client: bool, payload: bytes) -> bytes:
    ends = (_CLIENT, _SERVER) if from_client else (_SERVER, _CLIENT)
    length = _IPV4.size + len(payload)
    return _IPV4.pack(0x45, 0, length, 0, 0, 64, 6, 0, *ends) + payload


@asynccontextmanager
async def captured(port: int) -> AsyncIterator[Capture]:
    """A relay to a port of this machine for as long as the block runs; it takes one connection."""
    capture = Capture()
    ended = asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            _pump(reader, far_writer, capture, from_client=True),
            _pump(far_reader, writer, capture, from_client=False),
        )
        ended.set()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    capture.port = server.sockets[0].getsockname()[1]
    try:
        yield capture
        async with asyncio.timeout(10):
            await ended.wait()
    finally:
        server.close()


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    capture: Capture,
    *,
    from_client: bool,
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK_OCTETS):
            capture.segments.append((from_client, data))
            writer.write(data)
            await writer.drain()
    writer.close()
