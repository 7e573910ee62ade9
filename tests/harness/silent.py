"""A TCP proxy that can fall silent: its connections stay open, and it forwards nothing.

That is what a host without power, a moved address or a forgotten NAT entry looks like from the
other end: no FIN, no RST. As TCP does, the proxy keeps what was sent meanwhile and delivers it once
it forwards again, even if the sender has closed its connection since.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

_OCTETS = 64 * 1024


class Direction(Enum):
    """Which octets a silent proxy holds back."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"
    BOTH = "both"


class _Gates:
    """Whether octets of a group of connections pass, in each direction."""

    def __init__(self) -> None:
        self.to_server = asyncio.Event()
        self.to_client = asyncio.Event()
        self.open()

    def open(self) -> None:
        self.to_server.set()
        self.to_client.set()

    def shut(self, direction: Direction) -> None:
        if direction is not Direction.TO_CLIENT:
            self.to_server.clear()
        if direction is not Direction.TO_SERVER:
            self.to_client.clear()


@dataclass
class SilentProxy:
    """Forwards `own_host:own_port` to `host:port` until it is told to be silent. A host that begins
    with a slash is a unix socket.

    accepted: connections ever taken. open: those that neither end has closed as far as the proxy
    can see.
    """

    host: str
    port: int
    own_host: str = "127.0.0.1"
    own_port: int = 0
    accepted: int = 0
    _gates: _Gates = field(default_factory=_Gates)
    _carrying: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def open(self) -> int:
        return len(self._carrying)

    def fall_silent(self, direction: Direction = Direction.BOTH) -> None:
        """Hold back everything of all connections, also of those that are still to come."""
        self._gates.shut(direction)

    def forward(self) -> None:
        """Forward again, beginning with what was held back."""
        self._gates.open()

    def forward_new(self) -> None:
        """Connections of now stay as they are, silent ones for ever; new ones are forwarded."""
        self._gates = _Gates()

    async def _carry(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        mine = asyncio.current_task()
        assert mine is not None
        self.accepted += 1
        self._carrying.add(mine)
        mine.add_done_callback(self._carrying.discard)
        gates = self._gates
        ends = [to_client]
        try:
            await gates.to_server.wait()
            from_server, to_server = await self._open()
            ends.append(to_server)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(from_client, to_server, gates.to_server))
                group.create_task(_pump(from_server, to_client, gates.to_client))
        except* OSError:  # an end is gone or refuses: so must the other one
            pass
        finally:
            for end in ends:
                end.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.host.startswith("/"):
            return await asyncio.open_unix_connection(self.host)
        return await asyncio.open_connection(self.host, self.port)

    async def end(self) -> None:
        """Carry nothing any more, and wait until nothing is carried."""
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    """Forward what comes while the gate is open, and at last that nothing more comes."""
    try:
        while octets := await reader.read(_OCTETS):
            await gate.wait()
            writer.write(octets)
            await writer.drain()
    except OSError:
        await gate.wait()  # the other end does not learn of it before
        raise
    await gate.wait()
    with contextlib.suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def silent_proxy(host: str, port: int = 0, own_port: int = 0) -> AsyncIterator[SilentProxy]:
    """A proxy on loopback to a server; own_port 0: any free one."""
    proxy = SilentProxy(host, port)
    server = await asyncio.start_server(proxy._carry, proxy.own_host, own_port)
    proxy.own_port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield proxy
        finally:
            server.close()
            await proxy.end()
