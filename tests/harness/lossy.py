"""A wire to a server that loses answers (the effect is there, the answer not), is slow, or cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.harness.pauses import delay

_OCTETS = 64 * 1024


@dataclass
class LossyWire:
    """`lose` answers are thrown away, each with its connection; `url`: where to connect to.

    slow: seconds that each piece of an answer is late. cut: nobody gets through.
    """

    host: str
    port: int
    url: str = ""
    lose: int = 0
    slow: float = 0.0
    cut: bool = False
    lost: int = 0
    _carrying: set[asyncio.Task[None]] = field(default_factory=set)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = asyncio.current_task()
        assert mine is not None
        self._carrying.add(mine)
        mine.add_done_callback(self._carrying.discard)
        if self.cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self.host, self.port)
        asking = asyncio.create_task(_pump(reader, back))
        try:
            while octets := await there.read(_OCTETS):
                if self.slow:
                    await delay(self.slow)
                if self.cut:
                    writer.transport.abort()
                    return
                if self.lose:
                    self.lose -= 1
                    self.lost += 1
                    writer.transport.abort()
                    return
                writer.write(octets)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            asking.cancel()
            for end in (writer, back):
                end.close()
            await asyncio.gather(asking, return_exceptions=True)

    async def end(self) -> None:
        """Carry nothing any more, and wait until nothing is carried."""
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while octets := await reader.read(_OCTETS):
            writer.write(octets)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def lossy(host: str, port: int) -> AsyncIterator[LossyWire]:
    """A wire to a server; it loses nothing until it is told to."""
    wire = LossyWire(host, port)
    server = await asyncio.start_server(wire._carry, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield wire
        finally:
            await wire.end()
