"""Where a channel may connect to, looked at when it does, by the address that its host means then.

Whoever may set up a channel, or test it, names a host and a port: without limits the server would
knock for them wherever it can reach. Never allowed are link-local addresses (where clouds give out
credentials), multicast, the unspecified ones, and PostgreSQL and Redis of our own. A carrier whose
networks are named (TOCSIN_CARRIER_NETWORKS) is connected to within these alone.

The limits go with the task, like a log's ids: `going` sets them, whoever connects asks `current`.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from urllib.parse import parse_qs, urlsplit

from service.channels.contract.gateway import Unreachable
from service.redis_address import read_redis_address
from service.words.phrase import phrase

Network = IPv4Network | IPv6Network
SocketAddress = tuple[IPv4Address | IPv6Address, int]
"""An address and a port."""

DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379}
LOCAL = ("127.0.0.1", "::1")


class NotAllowed(Unreachable):
    """The channel may not connect there; nothing was sent."""

    code = "not_allowed"


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """Where one channel may connect to.

    networks: within these alone; empty: anywhere but what is never allowed. own: URLs of servers of
    our own.
    """

    networks: tuple[Network, ...] = ()
    own: tuple[str, ...] = ()

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to.

        Raises:
            OSError: the host is not known.
            NotAllowed: it has none; says why.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        closed = await self.closed()
        addresses = list(dict.fromkeys(str(target[0]) for *_, target in found))
        whys = {address: self.why_not(address, port, closed) for address in addresses}
        allowed = [address for address in addresses if not whys[address]]
        if not allowed:
            raise NotAllowed(
                phrase(
                    "{host}:{port} is not connected to: {why}",
                    host=host,
                    port=port,
                    why=whys[addresses[0]],
                )
            )
        return allowed

    async def closed(self) -> frozenset[SocketAddress]:
        """Where our own servers are now."""
        loop = asyncio.get_running_loop()
        places: set[SocketAddress] = set()
        for host, port in (place for url in self.own for place in _places(url)):
            with suppress(OSError):
                for *_, target in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                    places.add((_plain(str(target[0])), port))
        return frozenset(places)

    def why_not(self, address: str, port: int, closed: frozenset[SocketAddress]) -> str:
        """Why an address must not be connected to; "": it may."""
        found = _plain(address)
        if found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved:
            return phrase("link-local, multicast and reserved addresses are no carrier's")
        if any(port == own and _same_machine(found, place) for place, own in closed):
            return phrase("PostgreSQL or Redis of this system is there")
        within = any(found in own for own in self.networks if own.version == found.version)
        if self.networks and not within:
            return phrase(
                "the address is in none of the carrier's networks (TOCSIN_CARRIER_NETWORKS)"
            )
        return ""


_current: ContextVar[AllowedAddresses] = ContextVar("reach", default=AllowedAddresses())  # noqa: B039  # it is frozen


def current() -> AllowedAddresses:
    """Where the channel at hand may connect to."""
    return _current.get()


@contextmanager
def going(reach: AllowedAddresses) -> Iterator[None]:
    """Let every connection that is opened inside go to these addresses only."""
    token = _current.set(reach)
    try:
        yield
    finally:
        _current.reset(token)


def _places(url: str) -> list[tuple[str, int]]:
    """The hosts and ports of a server's URL; one behind a unix socket listens on this machine."""
    if address := read_redis_address(url):
        return list(address.sentinels)
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    default = DEFAULT_PORTS.get(parts.scheme, 0)
    hosts = [host for host in parts.netloc.rpartition("@")[2].split(",") if host]
    if not hosts:
        port = int(query["port"][0]) if "port" in query else default
        return [(host, port) for host in LOCAL] if port else []
    places = []
    for host in hosts:
        one = urlsplit(f"//{host}")
        places.append((one.hostname or "", one.port or default))
    return places


def _plain(address: str) -> IPv4Address | IPv6Address:
    """An address; what carries an IPv4 address within leads there, and is judged by it."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or found.sixtofour or found
    return found


def _same_machine(one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address) -> bool:
    return one == other or (_is_ours(one) and _is_ours(other))


def _is_ours(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of this machine's: only such a one can be listened on."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
