"""Kannel beside us: the same texts to the same simulated carrier, on the same machine.

Run as `python -m benchmarks.kannel [MESSAGES] [WINDOW] [--answers SECONDS]`. Kannel 1.4.5 of Debian
is fetched as `make interop` fetches it, and tuned: all in memory, no logs, a submit window as large
as ours. It takes each text over HTTP (`sendsms`) and calls a sink back with what became of it
(`dlr-url`). A crash loses what it holds; we are compared with it all the same.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import quote

import uvloop
from aiohttp import ClientSession

from benchmarks.carrier import SENDER, TEXT, Carrier, numbers
from benchmarks.figures import CARRIER, CLIENT, Figures, percentiles
from benchmarks.process import peak_megabytes, processor_seconds
from interop.install import KANNEL, environment, obtain
from service.local.embedded import free_port
from tests.harness.simulated import ACCOUNT, SECRET

CONNECTIONS = 64
"""Requests to Kannel that are under way at a time."""

START_SECONDS = 30.0
STALL_SECONDS = 60.0

CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = {password}
smsbox-port = {smsbox}
box-allow-ip = 127.0.0.1
log-level = 4
dlr-storage = internal
smsbox-max-pending = 1000

group = smsc
smsc = smpp
smsc-id = carrier
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = {account}
smsc-password = {password}
system-type = ""
max-pending-submits = {window}
enquire-link-interval = 30
source-addr-ton = 0
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-level = 4
max-pending-requests = 512

group = sendsms-user
username = {account}
password = {password}
max-messages = 1
"""


class NotHere(Exception):
    """Why Kannel cannot be measured on this machine."""


@dataclass
class Progress:
    """What the client has pushed and the sink was told, by national number, with the instants."""

    first: float = 0.0
    pushed: int = 0
    pushed_at: float = 0.0
    called: dict[str, float] = field(default_factory=dict)
    called_at: float = 0.0


class Sink(asyncio.Protocol):
    """Where Kannel calls back: says yes to everything, and notes whose it was."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request; those that are half here wait."""
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        now = time.time()
        for request in requests:
            number = request.partition(b"n=")[2].partition(b" ")[0][-11:].decode()
            self._progress.called.setdefault(number, now)
            self._progress.called_at = now
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * len(requests))


class Pusher(asyncio.Protocol):
    """One connection to `sendsms`: a request, its answer, the next request."""

    def __init__(self, requests: Sequence[bytes], progress: Progress) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = iter(requests)
        self._progress = progress

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Go on; the answer is short and comes in one piece."""
        if b" 202 " not in data[:16]:
            self.done.set_exception(NotHere(f"Kannel answered {data[:80]!r}"))
            return
        self._progress.pushed += 1
        self._progress.pushed_at = time.time()
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the rest, if this is not the end."""
        if not self.done.done():
            self.done.set_exception(error or NotHere("Kannel closed a connection of the client"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)


@asynccontextmanager
async def _box(name: str, folder: Path) -> AsyncIterator[int]:
    """One of Kannel's processes; gives its pid."""
    found = KANNEL.found
    assert found
    with (folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(found.parent / name, "-v", "4", "kannel.conf"),
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=log,
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _until(url: str, words: str) -> None:
    """Until Kannel's status page says something."""
    async with ClientSession() as session, asyncio.timeout(START_SECONDS):
        while True:
            try:
                async with session.get(url) as answer:
                    if words in await answer.text():
                        return
            except OSError:  # it does not listen yet
                pass
            await asyncio.sleep(0.1)


def _request(number: int, sink: int) -> bytes:
    """What the client writes for one text."""
    query = {
        "username": ACCOUNT,
        "password": SECRET,
        "from": SENDER,
        "to": f"86{number}",
        "charset": "UTF-8",
        "coding": "2",
        "text": TEXT,
        "dlr-mask": "3",
        "dlr-url": f"http://127.0.0.1:{sink}/?n={number}",
    }
    words = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"GET /cgi-bin/sendsms?{words} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


async def run(messages: int, window: int, delay: float, answers: float = 0.0) -> Figures:
    """So many texts through Kannel, and all that came back. delay, answers: how long the carrier
    takes with a receipt, at most, and with the answer to a submit, in seconds.

    Raises:
        NotHere: Kannel cannot be had, or does not do it.
    """
    reason = obtain(KANNEL)
    if reason:
        raise NotHere(f"Kannel cannot be had here: {reason}")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        carrier = stack.enter_context(Carrier(folder, "smpp", delay, answers=answers))
        progress = Progress()
        loop = asyncio.get_running_loop()
        sink = await loop.create_server(lambda: Sink(progress), "127.0.0.1", 0)
        stack.callback(sink.close)
        port = sink.sockets[0].getsockname()[1]
        ports = {name: free_port() for name in ("admin", "smsbox", "sendsms")}
        settings = {"account": ACCOUNT, "password": SECRET, "window": window}
        text = CONFIGURATION.format(**ports, **settings, smsc=carrier.port)
        (folder / "kannel.conf").write_text(text, encoding="utf-8")
        status = f"http://127.0.0.1:{ports['admin']}/status.txt?password={SECRET}"
        pids = {"bearerbox": await stack.enter_async_context(_box("bearerbox", folder))}
        await _until(status, "(online")
        pids["smsbox"] = await stack.enter_async_context(_box("smsbox", folder))
        await _until(status, "smsbox:(none), IP 127.0.0.1")
        pids[CARRIER] = carrier.pid
        requests = [_request(number, port) for number in numbers(messages)]
        before = {name: processor_seconds(pid) for name, pid in pids.items()}
        own = time.process_time()
        await _push(requests, ports["sendsms"], progress)
        used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
        used[CLIENT] = time.process_time() - own
        return _figures(messages, carrier, pids, progress, used)


async def _push(requests: Sequence[bytes], port: int, progress: Progress) -> None:
    """Push everything over several connections, and wait until everything was called back."""
    loop = asyncio.get_running_loop()
    progress.first = progress.called_at = time.time()
    pushers = [Pusher(requests[start::CONNECTIONS], progress) for start in range(CONNECTIONS)]
    for pusher in pushers:
        await loop.create_connection(partial(_same, pusher), "127.0.0.1", port)
    await asyncio.gather(*(pusher.done for pusher in pushers))
    while len(progress.called) < len(requests):
        if time.time() - progress.called_at > STALL_SECONDS:
            raise NotHere(f"Kannel called back for {len(progress.called)} of {len(requests)} only")
        await asyncio.sleep(0.05)


def _same(pusher: Pusher) -> Pusher:
    return pusher


def _figures(
    messages: int,
    carrier: Carrier,
    pids: dict[str, int],
    progress: Progress,
    used: dict[str, float],
) -> Figures:
    accepted = carrier.accepted_at()
    waits = [
        1000 * (progress.called[phone.removeprefix("+86")] - at) for phone, at in accepted.items()
    ]
    whole = progress.called_at - progress.first
    pushing = progress.pushed_at - progress.first
    return Figures(
        messages=messages,
        submitted=messages / (max(accepted.values()) - progress.first),
        recorded=messages / whole,
        micros={name: 1e6 * seconds / messages for name, seconds in used.items()},
        megabytes={name: peak_megabytes(pid) for name, pid in pids.items()},
        final_ms=percentiles(waits),
        notes=(
            f"the client pushed {messages / pushing:,.0f} messages/s, what Kannel took of it",
            f"the client and the sink used {used[CLIENT] / whole:.0%} of a core: no bottleneck",
        ),
    )


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", type=int, nargs="?", default=50_000)
    parser.add_argument("window", type=int, nargs="?", default=256)
    parser.add_argument("--answers", type=float, default=0.0)
    given = parser.parse_args()
    try:
        found = uvloop.run(run(given.messages, given.window, 0.5, given.answers))
    except NotHere as error:
        print(f"skipped: {error}")
    else:
        print("\n".join(found.lines()))


if __name__ == "__main__":
    main()
