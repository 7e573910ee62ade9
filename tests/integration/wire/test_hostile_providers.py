"""A provider's slow, endless or packed answer costs one request, and bounded memory."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from service.channels.contract.gateway import Gateway, GatewayError
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.gateways.http import HTTPConfig, HTTPGateway
from service.gateways.twilio import TwilioConfig, TwilioGateway
from service.protocols.http.client import ANSWER_OCTETS
from tests.harness.pauses import delay
from tests.harness.session import PATIENCE_SECONDS
from tests.integration.wire.http_provider import nothing_delivered, submissions

pytestmark = pytest.mark.attack

MOST_MEMORY = 16 * 1024 * 1024
SECONDS = 1.0
PACKED = gzip.compress(bytes(64 * 1024 * 1024))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Writing = Callable[[asyncio.StreamWriter], Any]


async def endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def packed_body(writer: asyncio.StreamWriter) -> None:
    packed = PACKED
    length = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    writer.write(HEAD + length + packed)
    await writer.drain()
    await delay(60)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b"X-More: " + b"x" * 4_000 + b"\r\n")
        await writer.drain()


async def dribbled_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await delay(0.05)


async def silence(_: asyncio.StreamWriter) -> None:
    await delay(60)


@asynccontextmanager
async def answering(write: Writing) -> AsyncIterator[str]:
    """A provider that takes a request and answers like this."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await write(writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def http(url: str) -> Gateway:
    body = '{"to": "{recipient}", "text": "{text}", "id": "{message_id}"}'
    config = HTTPConfig(url=url, body=body, timeout_seconds=SECONDS)
    gateway = HTTPGateway(config, nothing_delivered, Clock())
    await gateway.open()
    return gateway


async def twilio(url: str) -> Gateway:
    config = TwilioConfig(
        account_sid="AC" + "0" * 32,
        auth_token=SecretStr("t"),
        sender="NOTICE",
        api_url=url,
        timeout_seconds=SECONDS,
    )
    return TwilioGateway(config, nothing_delivered, Clock())


ANSWERS = [endless_body, packed_body, endless_headers, dribbled_body, silence]


@pytest.mark.parametrize("write", ANSWERS)
async def test_a_hostile_answer_to_a_text_ends_in_time_and_costs_little(write: Writing) -> None:
    assert ANSWER_OCTETS < MOST_MEMORY
    async with answering(write) as url:
        gateway = await http(url)
        tracemalloc.start()
        try:
            (result,) = gateway.submit(submissions(gateway))
            outcome = (await asyncio.wait_for(result, PATIENCE_SECONDS)).outcome
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert outcome is Outcome.UNANSWERED, "it may have been taken"
        assert peak < MOST_MEMORY, f"{peak:,} octets"
        await gateway.close(drain_seconds=0)


@pytest.mark.parametrize("write", ANSWERS)
async def test_a_hostile_answer_to_a_login_at_twilio_ends_in_time(write: Writing) -> None:
    async with answering(write) as url:
        gateway = await twilio(url)
        with pytest.raises(GatewayError):
            await asyncio.wait_for(gateway.open(), PATIENCE_SECONDS)
