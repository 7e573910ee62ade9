"""A provider on a loopback port that answers as a test says, and the gateways' means to meet it."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from multidict import CIMultiDictProxy

from service.channels.contract.gateway import Delivery, Gateway, Submission, SubmitResult
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.waiting import turns

PHONE = "+8619790001234"


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path_qs: str
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


Reply = Callable[[Seen], Awaitable[web.StreamResponse]]


@dataclass
class Provider:
    """What arrived, and how the next request is answered."""

    reply: Reply
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(request.method, request.path_qs, request.headers, await request.read())
        self.connections.add(id(request.transport))
        async with self.arrived:
            self.seen.append(seen)
            self.arrived.notify_all()
        return await self.reply(seen)

    async def wait_for(self, number: int) -> None:
        """Until `number` requests have arrived."""
        async with asyncio.timeout(PATIENCE_SECONDS), self.arrived:
            await self.arrived.wait_for(lambda: len(self.seen) >= number)


@asynccontextmanager
async def provider(reply: Reply, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Provider]:
    """A provider for as long as the block runs."""
    it = Provider(reply)
    runner = web.ServerRunner(web.Server(it.handle), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    it.port = runner.addresses[0][1]
    try:
        yield it
    finally:
        await runner.cleanup()


def says(status: int, body: object = None, **headers: str) -> Reply:
    """The same answer to everything."""

    async def reply(_: Seen) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return reply


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port that handles each connection with `talk`; yields it with what `talk` has read."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        await turns()


async def free_port() -> int:
    """A port at which nobody listens."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "self-signed.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


def nothing_delivered(_: Delivery) -> "asyncio.Future[None]":
    """What these gateways never call: the API takes what comes in."""
    raise AssertionError("delivered over the gateway")


def submissions(gateway: Gateway, texts: Sequence[str] = ("警钟",)) -> list[Submission]:
    """One for each text."""
    return [Submission((PHONE,), part, 7) for text in texts for part in gateway.split(text)]


async def send(
    gateway: Gateway,
    text: str = "警钟",
    *,
    valid_until: datetime | None = None,
    extension: str = "",
    receipt: bool = True,
) -> SubmitResult:
    """Submit a text and wait for its result."""
    (part,) = gateway.split(text)
    (future,) = gateway.submit([Submission((PHONE,), part, 7, valid_until, extension, receipt)])
    return await asyncio.wait_for(future, PATIENCE_SECONDS)
