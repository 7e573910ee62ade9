"""Whoever is slow is not waited for, nor does anybody wait for them: a real server, real TCP."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import ClientSession

from service import app as application
from service.api.http import reading
from service.api.routes import PREFIX
from service.runtime import Runtime
from tests.harness.pauses import delay
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

WAIT = 0.5
OPERATOR = ("county", "operator")
CROWD = 60
MIB = 1024 * 1024


@asynccontextmanager
async def _served(runtime: Runtime) -> AsyncIterator[int]:
    """The port of the server as `tocsin serve` runs it."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(application.serve(runtime, "127.0.0.1", 0, port.set_result))
    try:
        yield await port
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _dripped(port: int, head: bytes, drop: bytes) -> bytes:
    """What comes back while drops follow a head, until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def drip() -> None:
        while drop:
            writer.write(drop)
            await writer.drain()
            await delay(WAIT / 5)

    writer.write(head)
    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(20 * WAIT):
            with suppress(ConnectionError):
                return await reader.read(-1)
            return b""
    finally:
        dripping.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await dripping
        writer.close()


@pytest.mark.slow
@pytest.mark.attack
async def test_a_crowd_of_the_slow_is_let_go_while_others_are_served(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "HEAD_SECONDS", WAIT)
    monkeypatch.setattr(application, "LINGER_SECONDS", WAIT)
    monkeypatch.setattr(reading, "READ_SECONDS", WAIT)
    token = api.tokens[OPERATOR]
    start = f"POST {PREFIX}/segments HTTP/1.1\r\nHost: x\r\n".encode()
    head = start + f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n".encode()
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    slow = {
        "silent": (b"", b""),
        "a head that drips": (start, b"X-Slow: x\r\n"),
        "a line that drips": (start + b"X-Slow: ", b"x"),
        "a body that stalls": (head + b"Content-Length: 5000\r\n\r\n", b""),
        "a body that drips": (head + b"Content-Length: 5000\r\n\r\n", b" "),
        "chunks that drip": (chunked, b"1\r\n \r\n"),
        "sizes that drip": (chunked, b"0"),
    }
    async with _served(api.runtime) as port, ClientSession() as session:
        waiting = {
            what: [asyncio.create_task(_dripped(port, *given)) for _ in range(CROWD // len(slow))]
            for what, given in slow.items()
        }
        url = f"http://127.0.0.1:{port}{PREFIX}/segments"
        mine = {"Authorization": f"Bearer {token}", "Connection": "close"}

        async def all_are_sent_away() -> bool:
            async with session.get(url, headers=mine) as answer:
                assert answer.status == 200
            return all(task.done() for tasks in waiting.values() for task in tasks)

        await until(all_are_sent_away, every=WAIT / 10)
        for what, tasks in waiting.items():
            answers = {(await task)[:13] for task in tasks}
            # An answer to somebody who goes on sending may get lost, as TCP has it.
            assert answers <= {b"", b"HTTP/1.1 408 ", b"HTTP/1.0 400 ", b"HTTP/1.1 400 "}, what
            assert answers == {b"HTTP/1.1 408 "} or what != "a body that stalls", answers


@pytest.mark.attack
async def test_a_packed_body_is_refused_unopened(api: Api) -> None:
    bomb = gzip.compress(bytes(16 * MIB))
    kinds = {"/segments": "application/json", "/imports": "multipart/form-data; boundary=b"}
    async with _served(api.runtime) as port, ClientSession() as session:
        for packing in ("gzip", "deflate", "br", "zstd", "x-odd", "gzip, gzip"):
            for path, kind in kinds.items():
                headers = {
                    "Authorization": f"Bearer {api.tokens[OPERATOR]}",
                    "Content-Type": kind,
                    "Content-Encoding": packing,
                }
                url = f"http://127.0.0.1:{port}{PREFIX}{path}"
                async with session.post(url, data=bomb, headers=headers) as answer:
                    assert answer.status == 415, await answer.text()
