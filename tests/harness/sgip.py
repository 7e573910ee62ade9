"""SGIP as its tests need it: an account sheet, reports, and the carrier's ends of its two
connections: it answers ours, and opens one to us.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.gateways.sgip import SGIPConfig, SGIPGateway
from service.protocols.sgip.listener import CarrierLink, Listener
from service.protocols.sgip.pdu import (
    Bind,
    BindResp,
    Deliver,
    DeliverResp,
    Report,
    ReportResp,
    SubmitResp,
    Unbind,
    UnbindResp,
    UserRpt,
    UserRptResp,
    decode,
    encode,
)
from service.protocols.sgip.sequence import SequenceNumber, reference
from tests.harness.scripted import CLOCK, PHONE, Protocol, Store
from tests.harness.session import Peer
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("sgip", "sgip12")}
NODE = 3037112345
SMG_NODE = 103711
PASSWORD = "1qaz2wsx"
LOGIN = Bind(2, "smg0371", "smgpass")
"""The carrier's, at our listener."""


def number(counter: int, *, node: int = SMG_NODE) -> int:
    """A sequence number of the carrier's."""
    return SequenceNumber(node, 809104500, counter).number


SUBMIT_SEQUENCE = number(2, node=NODE)


def settings(port: int, **others: Any) -> SGIPConfig:
    """The account sheet of the tests."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "login_name": "12345",
        "login_password": PASSWORD,
        "node_number": NODE,
        "corp_id": "12345",
        "access_number": "10655123",
        "listen_host": "127.0.0.1",
    }
    return SGIPConfig(**{**given, **others})


class SMG(Peer):
    """The carrier's end of one connection, in packets."""

    def decode(self, frame: bytes) -> tuple[int, Any]:
        return decode(frame)

    def encode(self, sequence: int, pdu: Any) -> bytes:
        return encode(sequence, pdu)

    async def accept_login(self, status: int = 0, **_: str) -> Bind:
        """Read a login and answer it; a carrier proves nothing."""
        sequence, bind = await self.read()
        assert isinstance(bind, Bind)
        self.write(sequence, BindResp(status))
        return bind


def report(state: int = 0, error_code: int = 0, **others: Any) -> Report:
    """A report on a text, of any submit unless one is given."""
    given = {"submit_sequence": SUBMIT_SEQUENCE, "user_number": PHONE[1:], **others}
    return Report(state=state, error_code=error_code, **given)


SGIP = Protocol(
    name="sgip",
    gateway=SGIPGateway,
    settings=settings,
    peer=SMG,
    answer=lambda _, result: SubmitResp(result),
    ref=reference,
    report=lambda sequence: Report(sequence, PHONE[1:], 0),
    acknowledgement=ReportResp(0),
    text=Deliver(PHONE[1:], "10655123", "退订".encode("utf-16-be"), message_coding=8),
    text_acknowledgement=DeliverResp(0),
    at_once=UserRpt("10655123", PHONE[1:], 2),
    answered_at_once=UserRptResp(),
    heartbeat=None,
    heartbeat_answer=None,
    logout=Unbind(),
    logout_answer=UnbindResp(),
    vectors=VECTORS,
    account="12345",
    code="0:0",
    done_at=None,
    number=number,
)


@asynccontextmanager
async def dialled(port: int, address: str = "127.0.0.1") -> AsyncIterator[SMG]:
    """A connection that the carrier opens to the SP's listener, from an address of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield SMG(reader, writer)
    finally:
        writer.transport.abort()
        await turns()


@asynccontextmanager
async def listening(store: Store, **others: Any) -> AsyncIterator[Listener]:
    """The listener of a channel, on a free port."""
    given = {
        "listen_port": 0,
        "listen_login_name": "smg0371",
        "listen_password": "smgpass",
        "listen_addresses": ("127.0.0.0/8",),
    }
    listener = SGIPGateway.listener(settings(1, **{**given, **others}), store.deliver, CLOCK)
    assert listener is not None
    async with listener as entered:
        yield entered


@asynccontextmanager
async def logged_in(**others: Any) -> AsyncIterator[tuple[Listener, SMG, Store]]:
    """A listener with one connection of the carrier's that is logged in."""
    store = Store()
    async with listening(store, **others) as listener, dialled(listener.port) as smg:
        assert await smg.ask(number(1), LOGIN) == (number(1), BindResp(0))
        yield listener, smg, store


async def is_sent_away(smg: SMG) -> bool:
    """Whether the connection ends without a word."""
    try:
        return await smg.read_to_the_end() == b""
    except ConnectionResetError:  # with octets of ours that nobody has read
        return True


def link_of(listener: Listener) -> CarrierLink:
    (link,) = listener.links
    return link


@dataclass(frozen=True)
class Dialled:
    """What stands for a gateway where the carrier has opened the link."""

    link: CarrierLink

    @property
    def lost(self) -> asyncio.Event:
        return self.link.lost


class FromTheCarrier(Protocol):
    """SGIP on a link that the carrier opens to our listener."""

    @asynccontextmanager
    async def opened(self, **others: Any) -> AsyncIterator[tuple[Any, Any, Store]]:
        """The listener's end of a link that is logged in, the carrier's, and the store."""
        async with logged_in(**others) as (listener, smg, store):
            yield Dialled(link_of(listener)), smg, store


SGIP_LISTENER = FromTheCarrier(**{**vars(SGIP), "name": "sgip-listener"})
