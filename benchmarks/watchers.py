"""People who have a run's page open: they ask for its figures as the page's script does.

Each opens the page with a session of its own, and asks again at the address and after the pause
that the last answer had. HTTP/1.1 by hand over asyncio, for they run on the cores of what is
measured; a browser would run elsewhere.
"""

import asyncio
import gzip
import html
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.console.session import PLAIN_COOKIE

PART = re.compile(r'id="run-progress"[^>]*? hx-get="([^"]+)" hx-trigger="every (\d+)s"')
ARRIVE_SECONDS = 2.0
"""Within which all have opened the page."""
SCRIPT = "HX-Request: true\r\n"


@dataclass(slots=True)
class Polled:
    """What some watchers have asked. delays: seconds of each answer but the pages' own.

    pauses: seconds that answers asked to wait. used: seconds of this process's processor.
    """

    delays: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    pauses: list[int] = field(default_factory=list)
    used: float = 0.0


class _Line:
    """One keep-alive connection of somebody who has logged in."""

    def __init__(self, url: str, token: str) -> None:
        self._where = urlsplit(url)
        self._cookie = f"{PLAIN_COOKIE}={token}"

    async def open(self) -> None:
        """Connect."""
        where = self._where
        self._reader, self._writer = await asyncio.open_connection(where.hostname, where.port)

    async def ask(self, path: str, more: str = "") -> tuple[int, str]:
        """Status and body of a GET."""
        self._writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._where.netloc}\r\nCookie: {self._cookie}\r\n"
            f"Accept-Encoding: gzip\r\nAccept-Language: zh-CN\r\n{more}\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        found = re.search(r"\r\ncontent-length: (\d+)", head)
        body = await self._reader.readexactly(int(found[1])) if found else b""
        if "\r\ncontent-encoding: gzip" in head:
            body = gzip.decompress(body)
        return int(head[9:12]), body.decode()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def _watch(line: _Line, run: str, polled: Polled) -> None:
    """Until the run is over, or for good."""
    await asyncio.sleep(random.uniform(0, ARRIVE_SECONDS))  # noqa: S311  # no secrets
    await line.open()
    try:
        status, body = await line.ask(f"/runs/{run}")
        assert status == 200, body
        while part := PART.search(body):
            address, pause = html.unescape(part[1]), int(part[2])
            status = 0
            while status != 200:  # 204: nothing has changed
                polled.pauses.append(pause)
                await asyncio.sleep(pause)
                began = time.perf_counter()
                status, answer = await line.ask(address, SCRIPT)
                assert status in {200, 204}, (status, answer)
                polled.delays.append(time.perf_counter() - began)
                polled.statuses[status] += 1
            body = answer
    finally:
        line.close()


@asynccontextmanager
async def watching(url: str, run: str, tokens: Sequence[str]) -> AsyncIterator[Polled]:
    """Somebody for each session watches a run while the block runs.

    Raises:
        AssertionError: one of them got an answer that no page gives.
    """
    polled = Polled()
    used = time.process_time()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_watch(_Line(url, token), run, polled)) for token in tokens]
        try:
            yield polled
        finally:
            for task in tasks:
                task.cancel()
    polled.used = time.process_time() - used
