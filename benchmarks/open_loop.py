"""Requests at instants fixed in advance, over keep-alive connections.

The next one does not wait for the answers to those before it, and its delay is counted from the
instant it was due at: a server that stands still is charged for everybody who came meanwhile.
HTTP/1.1 by hand over asyncio, for the client runs on the cores of what it measures.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

LAST_ANSWER_SECONDS = 30.0
"""How long answers are waited for once the last request is due."""


@dataclass(slots=True)
class Answered:
    """What came of the requests of one load.

    delays: seconds from the instant due to the whole answer, in the order of the answers.
    statuses: how many of each; 0: the connection broke. bodies: by the request's number.
    """

    delays: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: dict[int, bytes] = field(default_factory=dict)
    seconds: float = 0.0

    def line(self, name: str, good: int) -> str:
        """The percentiles, for people; `good`: the status of a success."""
        ordered = sorted(self.delays)
        p50, p95, p99 = (1e3 * share(ordered, percent) for percent in (50, 95, 99))
        failed = self.statuses.total() - self.statuses[good]
        return (
            f"{name:<28} {len(ordered) / self.seconds:7.1f}/s  p50 {p50:7.1f}  p95 {p95:7.1f}"
            f"  p99 {p99:7.1f}  max {1e3 * ordered[-1]:7.1f} ms"
            + (f"  FAILED {failed}: {dict(self.statuses)}" if failed else "")
        )


def share(ordered: Sequence[float], percent: int) -> float:
    """A percentile of what is in order."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class _Connection(asyncio.Protocol):
    """One connection, with at most one request on it."""

    def __init__(self, load: "OpenLoop") -> None:
        self._load = load
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None
        self._number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, number: int, request: bytes) -> None:
        """Write a request; nothing else is under way here."""
        assert self._transport is not None
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.index(b"content-length:") + len(b"content-length:")
        if len(body) < int(lower[at:].split(b"\r\n", 1)[0]):
            return
        self._read.clear()
        number, self._number = self._number, -1
        self._load.answered(self, number, int(head[9:12]), bytes(body))

    def connection_lost(self, _: Exception | None) -> None:
        self._load.lost(self, self._number)

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


class OpenLoop:
    """Connections to the addresses of one service, in turn, for as long as the block runs."""

    def __init__(self, urls: Sequence[str], connections: int) -> None:
        self._urls = urls
        self._connections = connections
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._due: dict[int, float] = {}
        self._found = Answered()
        self._ended = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in range(self._connections):
            url = urlsplit(self._urls[number % len(self._urls)])
            assert url.hostname is not None
            assert url.port is not None
            _, made = await loop.create_connection(
                lambda: _Connection(self), url.hostname, url.port
            )
            self._idle.append(made)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        for connection in self._idle:
            connection.close()
        await asyncio.sleep(0)

    async def run(self, requests: Iterable[bytes], rate: float) -> Answered:
        """Send them at so many a second, evenly; returns once all are answered, or lost.

        Those without an answer LAST_ANSWER_SECONDS after the last one was due are lost.
        """
        self._found = Answered()
        started = time.perf_counter()
        for number, request in enumerate(requests):
            due = started + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self._due[number] = due
            if self._idle:
                self._idle.popleft().send(number, request)
            else:
                self._waiting.append((number, request))
        deadline = time.perf_counter() + LAST_ANSWER_SECONDS
        while self._due and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        for number in list(self._due):
            self._note(number, 0)
        self._found.seconds = time.perf_counter() - started
        return self._found

    def answered(self, connection: _Connection, number: int, status: int, body: bytes) -> None:
        """Note an answer, and give the connection to whoever waits for one."""
        if number not in self._due:
            return  # it was given up
        self._note(number, status)
        self._found.bodies[number] = body
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection, number: int) -> None:
        """A connection broke: what was on it counts as failed."""
        if self._ended:
            return
        if number >= 0:
            self._note(number, 0)
        elif connection in self._idle:
            self._idle.remove(connection)

    def _note(self, number: int, status: int) -> None:
        self._found.delays.append(time.perf_counter() - self._due.pop(number))
        self._found.statuses[status] += 1


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire; underscores in the names of headers are dashes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
