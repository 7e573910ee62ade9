"""What a pooler does to the start of a session: settings are dropped, and its key is another.

The rest of a session is forwarded as it is, so no server process is shared; what a real pooler does
with whole transactions `make failover-test` shows.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

SSL_REQUEST = 80_877_103
KEY_DATA, READY, ERROR = b"K", b"Z", b"E"


@asynccontextmanager
async def pooler(
    port: int, *, drops: Collection[str] = (), refuses: Collection[str] = ()
) -> AsyncIterator[int]:
    """A pooler before the server at a port of loopback; the port to ask instead. drops, refuses:
    names of settings with which a session may begin.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            start = await _start_of(reader, writer)
            if unknown := [name for name in start if name in refuses]:
                writer.write(_refusal(f"unsupported startup parameter: {unknown[0]}"))
                await writer.drain()
            else:
                kept = {name: value for name, value in start.items() if name not in drops}
                await _forward(reader, writer, kept, port)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _start_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str]:
    """With what a session begins; TLS is not to be had."""
    while True:
        length, code = struct.unpack("!II", await reader.readexactly(8))
        rest = await reader.readexactly(length - 8)
        if code != SSL_REQUEST:
            words = rest.rstrip(b"\0").decode().split("\0")
            return dict(zip(words[::2], words[1::2], strict=True))
        writer.write(b"N")


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: dict[str, str], port: int
) -> None:
    from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
    words = b"".join(f"{name}\0{value}\0".encode() for name, value in start.items()) + b"\0"
    to_server.write(struct.pack("!II", len(words) + 8, 3 << 16) + words)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, to_server))
            await _exchange_key(from_server, writer)
            group.create_task(_copy(from_server, writer))
    finally:
        to_server.close()


async def _exchange_key(from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward until the session may begin, with a key of our own."""
    kind = b""
    while kind not in (READY, ERROR):
        kind, length = struct.unpack("!cI", await from_server.readexactly(5))
        content = await from_server.readexactly(length - 4)
        if kind == KEY_DATA:
            content = struct.pack("!I", 1) + content[4:]
        writer.write(struct.pack("!cI", kind, length) + content)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(65_536):
        writer.write(octets)
        await writer.drain()
    writer.close()


def _refusal(text: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C08P01\0M{text}\0\0".encode()
    return struct.pack("!cI", ERROR, len(fields) + 4) + fields
