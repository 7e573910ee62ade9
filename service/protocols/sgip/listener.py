"""The SP's listener: the connections that the carrier opens for its reports and deliveries.

SGIP 1.2 §3: whoever has commands opens a connection, so the SMG logs in at the SP with login type
2 and a name and password of its own. Each command is acknowledged only once it is stored.

Anybody may connect to a port. So connections that are not logged in take the room of their own
address's only, and an address that has tried some wrong passwords is refused for a while whatever
it says, in the same words (decision 0241). What was refused is noted, for the channel's health.
"""

import asyncio
import logging
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Self

from service.channels.contract.gateway import (
    Delivery,
    Inbound,
    Listening,
    RawDelivery,
    Receipt,
    Refused,
    UnreadReason,
)
from service.channels.contract.gateway import DeliveryHandler as Take
from service.logs import seldom
from service.protocols.frame import BrokenFrame
from service.protocols.sgip.packet import PDU
from service.protocols.sgip.pdu import HEADER_OCTETS, Bind, Deliver, Report
from service.protocols.sgip.session import LOGIN_TO_SP, SPSession
from service.protocols.sgip.status import (
    LOGIN_REFUSED,
    OK,
    TOO_MANY_CONNECTIONS,
    WRONG_LOGIN_TYPE,
)
from service.protocols.sgip.waiting_peers import Tries, Waiting, origin_of
from service.protocols.stream import NOT_STORED, delivery

logger = logging.getLogger(__name__)

LISTENING = "listening for the carrier's connections"
LOGIN = "login of the carrier"
STRANGER = "a connection from an address that is not allowed"

LOGIN_SECONDS = 15.0
"""How long a connection may stay without logging in."""

DRAIN_SECONDS = 5.0
"""How long the end waits until what was received is stored."""

MOST_STRANGERS = 32
"""Connections that may be there at once and not be logged in, beside as many as are allowed."""

SPARE = 3
"""How many of these an address may have, beside as many as are allowed."""

LOOK_AGAIN_SECONDS = 10.0
LOOK_UP_SECONDS = 5.0
"""How long an address is looked up, and how long until it is once more."""

GATEWAY_ALONE = (
    "no listen_addresses are set: only the host of the carrier's gateway may connect to us; where "
    "its reports come from elsewhere, name these addresses"
)
NO_ADDRESS = "the carrier's host has no address, so nobody may connect to us until it has"
DISPLACED = "a connection that did not log in made room for a newer one"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the SP listens, and who may come in.

    any_login: take every name and password; then the addresses should be known.
    addresses: networks the carrier may connect from; empty: any, or those of `carrier`.
    carrier: the host of the carrier's gateway, which alone may connect where no addresses are
        named; blank: anybody may.
    connections: how many may be logged in at once.
    idle_seconds: after so long without a command a connection is closed.
    """

    host: str
    port: int
    login_name: str
    password: str
    any_login: bool = False
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    carrier: str = ""
    connections: int = 5
    idle_seconds: float = 60.0

    def admits(self, address: str) -> bool:
        """Whether the carrier may connect from there."""
        if not self.addresses:
            return not self.carrier
        try:
            found = ip_address(address)
        except ValueError:  # gone before it could be asked
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self.addresses)

    def knows(self, bind: Bind) -> bool:
        """Whether name and password are those agreed on."""
        if self.any_login:
            return True
        given = f"{bind.login_name}\n{bind.login_password}".encode()
        return compare_digest(given, f"{self.login_name}\n{self.password}".encode())


class CarrierLink(SPSession):
    """One connection that somebody opened to us."""

    def __init__(self, listener: "Listener", response_timeout_seconds: float) -> None:
        super().__init__(response_timeout_seconds)
        self.bound = False
        self.on_deliver = partial(listener.take, self)
        self.on_broken = partial(listener.keep, self)
        self._listener = listener
        self._door = listener.door
        self._connected_at = self.loop.time()
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look where it comes from."""
        super().connection_made(transport)
        self.address, *_ = transport.get_extra_info("peername") or ("",)
        self._listener.links.add(self)
        if not self._listener.admits(self.address):
            seldom(logger, logging.WARNING, STRANGER, address=self.address)
            self._listener.note(Refused.STRANGER, self.address)
            self.abort("connections from this address are not allowed")
            return
        displaced = self._listener.waiting.add(self, origin_of(self.address))
        if displaced is not None:
            seldom(logger, logging.WARNING, DISPLACED, address=displaced.address)
            self._listener.note(Refused.DISPLACED, displaced.address)
            displaced.abort(DISPLACED)

    def broken(self, broken: BrokenFrame) -> None:
        """Take what cannot be read like what can: after the login only."""
        if self.bound:
            super().broken(broken)
            return
        if broken.command == Bind.command:
            self.refuse_broken(broken)
        self.close("not logged in")

    def handle(self, sequence: int, pdu: PDU) -> None:
        """Take a login first, then commands."""
        if self.bound:
            self.serve(sequence, pdu)
        elif isinstance(pdu, Bind):
            self._log_in(sequence, pdu)
        else:
            self.close("not logged in")

    def on_tick(self, now: float) -> None:
        """Close what does not log in or is of no use: the carrier opens another when needed."""
        if not self.bound and now - self._connected_at >= LOGIN_SECONDS:
            self.close("no login came")
        elif now - self._received_at >= self._door.idle_seconds:
            self.close("idle")

    def on_lost(self) -> None:
        """Make room for another."""
        self._listener.links.discard(self)
        self._listener.waiting.discard(self)

    def _log_in(self, sequence: int, bind: Bind) -> None:
        result = self._login_result(bind)
        level = logging.INFO if result == OK else logging.WARNING
        seldom(logger, level, LOGIN, result=result)
        self.answer(sequence, bind, result)
        if result == OK:
            self.bound = True
            self._listener.waiting.discard(self)
        else:
            self.close("login refused")

    def _login_result(self, bind: Bind) -> int:
        if bind.login_type != LOGIN_TO_SP:
            return WRONG_LOGIN_TYPE
        if not self._is_known(bind):
            return LOGIN_REFUSED
        if sum(link.bound for link in self._listener.links) >= self._door.connections:
            return TOO_MANY_CONNECTIONS
        return OK

    def _is_known(self, bind: Bind) -> bool:
        """Whether name and password are right; not even looked at where too many were wrong."""
        tries, origin = self._listener.tries, origin_of(self.address)
        if tries.used_up(origin, self.loop.time()):
            self._listener.note(Refused.LOCKED_OUT, self.address)
            return False
        known = self._door.knows(bind)
        if not known:
            tries.add(origin, self.loop.time())
            self._listener.note(Refused.WRONG_LOGIN, self.address)
        return known


class Listener(Listening):
    """Listens while it is entered; several processes may share the port.

    read: what a command says, or why that cannot be read.
    waiting: the connections that are not logged in yet. tries: the wrong passwords of late.
    """

    def __init__(
        self,
        door: Door,
        deliver: Take,
        read: Callable[[Deliver | Report], Receipt | Inbound | UnreadReason],
        *,
        response_timeout_seconds: float = 30.0,
    ) -> None:
        self.door = door
        self._finds_carrier = bool(door.carrier) and not door.addresses
        self.note = lambda _, __: None
        self.links: set[CarrierLink] = set()
        self.waiting = Waiting[CarrierLink](
            door.connections + SPARE, door.connections + MOST_STRANGERS
        )
        self.tries = Tries()
        self._deliver = deliver
        self._read = read
        self._response_timeout_seconds = response_timeout_seconds
        self._storing: set[asyncio.Future[None]] = set()
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = -math.inf

    def admits(self, address: str) -> bool:
        """Whether the carrier may connect from there. If not, and its gateway counts,
        that is looked up again: it may have moved.
        """
        if self.door.admits(address):
            return True
        loop = asyncio.get_running_loop()
        if self._finds_carrier and loop.time() - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looking = loop.create_task(self._find_carrier())
        return False

    async def _find_carrier(self) -> None:
        """Let in the addresses of the gateway's host, where nobody has named others."""
        loop, host = asyncio.get_running_loop(), self.door.carrier
        self._looked_at = loop.time()
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            seldom(logger, logging.ERROR, NO_ADDRESS, host=host, why=str(error))
            return
        addresses = {str(info[4][0]).partition("%")[0] for info in found}
        self.door = replace(self.door, addresses=tuple(map(ip_network, sorted(addresses))))

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None:
            raise ValueError("not listening")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: the address or port cannot be had.
        """
        if self._finds_carrier:
            seldom(logger, logging.WARNING, GATEWAY_ALONE, host=self.door.carrier)
            await self._find_carrier()
        door = self.door
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: CarrierLink(self, self._response_timeout_seconds),
                door.host,
                door.port,
                reuse_port=True,
            )
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot listen for the carrier on {door.host}:{door.port} ({error.strerror}); "
                "give another address or port, or free this one",
            ) from error
        logger.info(LISTENING, extra={"port": self.port})
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take no more, acknowledge what gets stored in time, and close."""
        if self._server is not None:
            self._server.close()
        if self._looking is not None:
            self._looking.cancel()
        if self._storing:
            await asyncio.wait(self._storing, timeout=DRAIN_SECONDS)
        links = list(self.links)
        for link in links:
            link.close("the channel is no longer served")
        for link in links:
            await link.lost.wait()

    def take(self, link: CarrierLink, sequence: int, pdu: Deliver | Report) -> None:
        """Hand on what the carrier sent; it is acknowledged when stored, or sent again."""
        item = delivery(self._read(pdu), link.frame, HEADER_OCTETS)
        self._store(link, item, partial(link.answer, sequence, pdu))

    def keep(self, link: CarrierLink, broken: BrokenFrame) -> None:
        """Keep the octets of what cannot be read; it is refused once they are stored."""
        item = RawDelivery(broken.frame, HEADER_OCTETS, UnreadReason.BROKEN_LENGTH)
        self._store(link, item, partial(link.refuse_broken, broken))

    def _store(self, link: CarrierLink, item: Delivery, answer: Callable[[], None]) -> None:
        link.storing()
        stored = self._deliver(item)
        self._storing.add(stored)
        stored.add_done_callback(partial(self._stored, link, answer))

    def _stored(
        self, link: CarrierLink, answer: Callable[[], None], stored: "asyncio.Future[None]"
    ) -> None:
        self._storing.discard(stored)
        if stored.cancelled() or stored.exception() is not None:
            seldom(logger, logging.ERROR, NOT_STORED)
        else:
            answer()
        link.stored()
