"""The proxy that other tests put in front of a server: what it forwards, and what it holds back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.harness.silent import Direction, SilentProxy, silent_proxy
from tests.harness.waiting import turns, until

HELD_SECONDS = 0.1
ANSWER_SECONDS = 10


class Echo:
    """A server that answers with what it got; `got` holds all of it, `ended` the connections."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1024):
            self.got += octets
            writer.write(octets)
        self.ended += 1
        writer.close()


@asynccontextmanager
async def echo_behind_proxy() -> AsyncIterator[tuple[Echo, SilentProxy]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, silent_proxy("127.0.0.1", port) as proxy:
        yield echo, proxy


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def says(self, octets: bytes) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            assert await self.reader.readexactly(len(octets)) == octets

    async def says_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(HELD_SECONDS):
                await self.reader.readexactly(1)


async def connected_to(proxy: SilentProxy) -> Client:
    client = Client(*await asyncio.open_connection(proxy.own_host, proxy.own_port))
    client.writer.write(b"first")
    await client.says(b"first")
    return client


async def test_what_was_held_back_is_forwarded_at_last() -> None:
    async with echo_behind_proxy() as (echo, proxy):
        client = await connected_to(proxy)
        proxy.fall_silent()
        client.writer.write(b"second")
        await client.says_nothing()
        assert echo.got == b"first"
        proxy.forward()
        await client.says(b"second")
        client.writer.close()


@pytest.mark.parametrize(
    ("direction", "got"),
    [(Direction.TO_SERVER, b"first"), (Direction.TO_CLIENT, b"firstsecond")],
)
async def test_one_direction_alone(direction: Direction, got: bytes) -> None:
    async with echo_behind_proxy() as (echo, proxy):
        client = await connected_to(proxy)
        proxy.fall_silent(direction)
        client.writer.write(b"second")
        await client.says_nothing()
        assert echo.got == got
        client.writer.close()


async def test_old_connections_stay_silent_and_new_ones_work() -> None:
    async with echo_behind_proxy() as (echo, proxy):
        old = await connected_to(proxy)
        proxy.fall_silent()
        old.writer.write(b"lost")
        proxy.forward_new()
        new = await connected_to(proxy)
        await old.says_nothing()
        assert echo.got == b"firstfirst"
        assert proxy.accepted == 2
        old.writer.close()
        new.writer.close()


async def test_a_connection_made_in_the_silence_is_taken_and_not_answered() -> None:
    async with echo_behind_proxy() as (echo, proxy):
        proxy.fall_silent()
        reader, writer = await asyncio.open_connection(proxy.own_host, proxy.own_port)
        client = Client(reader, writer)
        writer.write(b"knock")
        await client.says_nothing()
        assert echo.got == b""
        proxy.forward()
        await client.says(b"knock")
        writer.close()


async def test_neither_end_learns_of_the_other_ones_end() -> None:
    async with echo_behind_proxy() as (echo, proxy):
        client = await connected_to(proxy)
        proxy.fall_silent()
        client.writer.write(b"last")
        client.writer.close()
        await turns(100)
        assert (echo.got, echo.ended, proxy.open) == (b"first", 0, 1)
        proxy.forward()
        await until(lambda: echo.ended)
        assert echo.got == b"firstlast"


async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    async with echo_behind_proxy() as (_, proxy):
        proxy.port = 1  # nothing listens there
        reader, writer = await asyncio.open_connection(proxy.own_host, proxy.own_port)
        async with asyncio.timeout(ANSWER_SECONDS):
            assert await reader.read() == b""
        writer.close()
