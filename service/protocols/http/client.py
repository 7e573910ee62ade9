"""One HTTP request, sent once, told apart by what is known of it afterwards.

A connection that never came about carried nothing: `NotSent`. From the moment there is one, the
request may have arrived, whatever happens next: `Unanswered`. Nothing is ever repeated; aiohttp
itself would repeat a GET or PUT whose connection broke, so its error never reaches that code.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache, partial
from types import SimpleNamespace

import aiohttp
from aiohttp import hdrs
from yarl import URL

from service.channels.contract import address_check
from service.channels.contract.address_check import AllowedAddresses, SocketAddress
from service.words.phrase import phrase

CONNECT_SECONDS = 10.0
"""How long making a connection may take, name resolution and TLS included."""

ANSWER_OCTETS = 256 * 1024
"""The longest answer that is read."""

MOST_RETRY_AFTER = 86_400.0

_FAILURES = (aiohttp.ClientError, OSError, TimeoutError)


@cache
def trusted() -> ssl.SSLContext:
    """What the system trusts, read once; for a thread, as it takes tens of milliseconds."""
    return ssl.create_default_context()


class AddressRefused(OSError):
    """The channel may not connect there; the text says why."""


async def knock(host: str, port: int, tls: ssl.SSLContext | None) -> None:
    """Open a connection and close it: somebody answers there.

    Raises:
        OSError: nobody does.
        NotAllowed: the channel may not connect there.
    """
    address, *_ = await address_check.current().addresses(host, port)
    name = host if tls else None
    _, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
    writer.transport.abort()


class NotSent(Exception):
    """There was no connection, so nothing was written; the text says why."""


class Unanswered(Exception):
    """The request may have arrived, and there is no answer that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP response, read whole. Header names compare without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8; what makes no sense becomes U+FFFD."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to be sent.

    headers: with the Content-Type of `body`. query: percent-encoded.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    query: str = ""

    @property
    def address(self) -> URL:
        """The whole address; aiohttp would percent-encode the query once more."""
        base = URL(self.url)
        if not self.query:
            return base
        return URL(f"{base}{'&' if base.raw_query_string else '?'}{self.query}", encoded=True)


@dataclass(slots=True)
class _Attempt:
    """What is known of one request: whether it has had a connection."""

    connected: bool = False

    def failed(self, why: str) -> NotSent | Unanswered:
        """What a failure at this point means."""
        return Unanswered(why) if self.connected else NotSent(why)

    async def guard(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Turn failures into ours before anybody thinks of sending again."""
        try:
            return await send(request)
        except _FAILURES as error:
            raise self.failed(why(error)) from error


class HTTPClient:
    """A pool of connections to one provider; made inside a running loop, closed with `close`.

    How many requests are open at once is the caller's to decide.
    """

    def __init__(
        self, timeout_seconds: float, closed: frozenset[SocketAddress] = frozenset()
    ) -> None:
        """`timeout_seconds` is for a whole exchange: connecting, sending and the answer; `closed`:
        where our own servers are.
        """
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        self._closing = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, socket_factory=partial(_socket, address_check.current(), closed)
            ),
            timeout=aiohttp.ClientTimeout(
                total=timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS)
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )

    async def send(self, outgoing: HttpRequest) -> HttpAnswer:
        """Send a request, once, and read its answer whatever its status.

        Raises:
            NotSent: there was no connection.
            Unanswered: it may have arrived.
        """
        attempt = _Attempt()
        try:
            async with self._session.request(
                outgoing.method,
                outgoing.address,
                data=outgoing.body,
                headers=outgoing.headers,
                allow_redirects=False,
                trace_request_ctx=attempt,
                middlewares=(attempt.guard,),
            ) as response:
                return HttpAnswer(response.status, response.headers, await _read(response))
        except _FAILURES as error:
            raise attempt.failed(why(error)) from error
        except asyncio.CancelledError as error:
            if not self._closing:
                raise
            raise attempt.failed("the channel was closed") from error

    def interrupt(self) -> None:
        """From now on a request that is cancelled fails as one that is known to be given up."""
        self._closing = True

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


def _socket(
    where: AllowedAddresses, closed: frozenset[SocketAddress], address: aiohttp.AddrInfoType
) -> socket.socket:
    """The socket to an address that is resolved: no name can mean one thing now and another later.

    Raises:
        AddressRefused: the channel may not connect there.
    """
    family, kind, protocol, _, target = address
    if why_not := where.why_not(str(target[0]), int(target[1]), closed):
        raise AddressRefused(why_not)
    return socket.socket(family, kind, protocol)


async def _connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.connected = True


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_OCTETS:
            raise Unanswered(f"the answer is longer than {ANSWER_OCTETS:,} octets")
    return bytes(body)


_WHY: tuple[tuple[type[BaseException], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, phrase("its certificate is not trusted")),
    (ssl.CertificateError, phrase("its certificate is not trusted")),
    (aiohttp.ClientSSLError, phrase("there was no agreement on TLS")),
    (ssl.SSLError, phrase("there was no agreement on TLS")),
    (aiohttp.ClientConnectorDNSError, phrase("its name is not known")),
    (socket.gaierror, phrase("its name is not known")),
    (aiohttp.ClientConnectorError, phrase("the connection was refused")),
    (ConnectionRefusedError, phrase("the connection was refused")),
    (TimeoutError, phrase("it took too long")),
    (aiohttp.ClientResponseError, phrase("the answer is not HTTP")),
)


def why(error: BaseException) -> str:
    """What went wrong, for a person, without the request's address or content."""
    under = getattr(error, "os_error", error)
    if isinstance(under, AddressRefused):
        return str(under)
    found = (text for kind, text in _WHY if isinstance(error, kind))
    return next(found, phrase("the connection broke"))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header (RFC 9110 §10.2.3); None without one that can be read.

    A date is counted from the answer's own Date, so that no two clocks need agree.
    """
    text = headers.get(hdrs.RETRY_AFTER, "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), MOST_RETRY_AFTER)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get(hdrs.DATE, ""))
    except (ValueError, TypeError):  # TypeError: only one of them names its zone
        return None
    return min(max(wait.total_seconds(), 0.0), MOST_RETRY_AFTER)
