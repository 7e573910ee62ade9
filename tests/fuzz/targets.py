"""What can be fuzzed: each protocol's decoder, our links, and those of the simulated carrier."""

import asyncio
import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from service.channels.contract import registry
from service.channels.contract.gateway import Delivery, Inbound, Receipt
from service.clock import Clock
from service.protocols.cmpp.version import V20, V30
from service.protocols.frame import LENGTH_OCTETS
from service.protocols.session import Session
from service.protocols.sgip.sequence import SequenceNumbers
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.carrier.smsc import SMSC
from service.simulator.wire.cmpp import CMPPServer
from service.simulator.wire.sgip import SGIPServer
from service.simulator.wire.smgp import SMGPServer
from service.simulator.wire.smpp import SMPPServer
from tests.harness.links import GATEWAYS, LINKS, VERIFYING, account_of
from tests.harness.vectors import FOLDER

PROTOCOLS = tuple(sorted({kind.protocol.lower() for kind in GATEWAYS.values()}))
"""Those of all links; a kind that speaks another one's protocol adds none."""

# What decodes a protocol in more than one way.
_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "cmpp": ({"version": V20}, {"version": V30}),
}

_UNVERIFIED = {"verify_gateway": False, "unverified_because": "it is made up"}
_VERSIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "cmpp": ({"version": "2.0"}, {"version": "3.0"})
}
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    kind: tuple(
        account_of(kind, host="127.0.0.1", port=1, **version)
        | (_UNVERIFIED if kind in VERIFYING else {})
        for version in _VERSIONS.get(kind, ({},))
    )
    for kind in LINKS
}

# The accounts of the recorded logins.
_ACCOUNTS = {
    **dict.fromkeys(("901234", "12345678", "3710", "12345"), "1qaz2wsx"),
    "smg0371": "smgpass",
    "esme01": "pw123456",
}
_SERVERS: dict[str, Callable[[SMSC], Session]] = {
    "cmpp": CMPPServer,
    "sgip": lambda smsc: SGIPServer(smsc, SequenceNumbers(smsc.config.gateway_code), {}),
    "smgp": SMGPServer,
    "smpp": SMPPServer,
}
_COMMAND = slice(4, 8)

LINKS_OF_A_CARRIER = 200

Decoder = Callable[[bytes], object]


def seeds(protocol: str) -> list[bytes]:
    """Every recorded frame of a protocol."""
    found: list[bytes] = []
    for path in sorted((FOLDER / protocol).glob("*.json")):
        found += _frames(json.loads(path.read_text(encoding="utf-8")))
    if not found:
        raise SystemExit(f"there are no recorded frames in {FOLDER / protocol}")
    return found


def decoders(protocol: str) -> list[Decoder]:
    """What reads one frame of a protocol, in each of its versions."""
    decode: Decoder = import_module(f"service.protocols.{protocol}.pdu").decode
    return [partial(decode, **variant) for variant in _VARIANTS.get(protocol, ({},))]


class Links:
    """Links that octets can be fed to; a closed one is replaced."""

    def __init__(self, makers: list[Callable[[], Session]]) -> None:
        self._makers = makers
        self._links: list[Session | None] = [None for _ in makers]

    def feed(self, number: int, chunks: list[bytes]) -> bool:
        """Feed a link; False if it has closed over that."""
        at = number % len(self._links)
        link = self._links[at] or self._makers[at]()
        self._links[at] = None  # an error leaves it in no state to go on with
        for chunk in chunks:
            if not link.is_open:
                break
            link.data_received(chunk)
        if not link.is_open:
            link.connection_lost(None)
            return False
        self._links[at] = link
        return True


class Gateways:
    """Our end of a link, with a gateway behind it. items: how many receipts and texts came out."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self.items = 0
        self.makers = [partial(self._link, settings) for settings in SETTINGS[protocol]]

    def _link(self, settings: dict[str, Any]) -> Session:
        config = registry.load()[self._protocol].config_model.model_validate(settings)
        gateway: Any = registry.factory(self._protocol)(config, self._deliver, Clock())
        link: Session = gateway.link
        link.connection_made(_Nowhere())
        return link

    def _deliver(self, item: Delivery) -> "asyncio.Future[None]":
        """Store what came, as far as its types promise that it can be."""
        self.items += 1
        if isinstance(item, Receipt):
            assert item.ref, "a receipt for nothing"
            assert "\x00" not in item.code + item.recipient, "no database takes a zero"
        elif isinstance(item, Inbound):
            assert 1 <= item.number <= item.total, "a part of nothing"
            assert "\x00" not in item.sender + item.recipient, "no database takes a zero"
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored


class Carriers:
    """The simulated carrier's end of a link, logged in by a recorded login.

    A carrier that has taken many submits is replaced, since nobody acknowledges its receipts.
    """

    def __init__(self, protocol: str, frames: list[bytes]) -> None:
        self._protocol = protocol
        self._smsc: SMSC | None = None
        self._links = 0
        command = frames[0][_COMMAND]
        logins = [frame for frame in frames if frame[_COMMAND] == command]
        self.makers = [partial(self._link, login) for login in logins]

    def _link(self, login: bytes) -> Session:
        if self._smsc is None or self._links % LINKS_OF_A_CARRIER == 0:
            if self._smsc is not None:
                self._smsc.stop()
            self._smsc = SMSC(carrier_config(self._protocol), Clock())
        self._links += 1
        link = _SERVERS[self._protocol](self._smsc)
        link.connection_made(_Nowhere())
        link.data_received(login)
        return link


def carrier_config(protocol: str) -> SimulatorConfig:
    """A simulated carrier with the accounts of the recorded logins."""
    ports = {f"{name}_port": 0 if name == protocol else None for name in PROTOCOLS}
    accounts = [{"account": name, "secret": secret} for name, secret in _ACCOUNTS.items()]
    values = {"accounts": accounts, "max_delay_seconds": 0, "max_connections": 1000}
    return SimulatorConfig.model_validate(ports | values)


class _Nowhere(asyncio.Transport):
    """The other end does not exist; closing is immediate."""

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def is_closing(self) -> bool:
        return self._closed

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data, "nothing was written"
        assert not self._closed, "written after closing"

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self._closed = True

    def abort(self) -> None:
        self._closed = True


def _frames(value: Any) -> Iterator[bytes]:
    """Every frame in a file of vectors: a `hex` whose length field is right."""
    if isinstance(value, list):
        for item in value:
            yield from _frames(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "hex":
                frame = bytes.fromhex(item)
                if int.from_bytes(frame[:LENGTH_OCTETS], "big") == len(frame):
                    yield frame
            else:
                yield from _frames(item)
