"""The references that a simulated carrier gives: CMPP 8 octets, SMGP 10, the others text.

An id is the present second and a sequence number. It is of the world's own time: no simulated
calendar may bring one back. In SGIP the client's own sequence is the reference; an id made for it
belongs to nothing and serves the fault of unknown receipts.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from service.protocols.cmpp.digest import message_id
from service.protocols.times import BEIJING


class Scheme(NamedTuple):
    """How a protocol writes ids: what a second, the gateway's code and a sequence number become."""

    prefix: Callable[[datetime, int], bytes]
    suffix: Callable[[int], bytes]


def _cmpp_prefix(at: datetime, gateway: int) -> bytes:
    return message_id(at, gateway, 0).to_bytes(8, "big")[:6]


def _smgp_prefix(at: datetime, gateway: int) -> bytes:
    """SMGP 3.0.3 §6: the gateway's code in 6 digits and MMDDhhmm in 8, two digits an octet."""
    return bytes.fromhex(f"{gateway % 1_000_000:06d}{at:%m%d%H%M}")


def _sgip_prefix(at: datetime, gateway: int) -> bytes:
    return gateway.to_bytes(4, "big") + int(f"{at:%m%d%H%M%S}").to_bytes(4, "big")


def _hexadecimal(at: datetime, _: int) -> bytes:
    return b"%X" % int(at.timestamp())


_SCHEMES = {
    "cmpp": Scheme(_cmpp_prefix, lambda number: (number & 0xFFFF).to_bytes(2, "big")),
    "smgp": Scheme(_smgp_prefix, lambda number: bytes.fromhex(f"{number % 1_000_000:06d}")),
    "sgip": Scheme(_sgip_prefix, lambda number: (number & 0xFFFF_FFFF).to_bytes(4, "big")),
    "smpp": Scheme(_hexadecimal, lambda number: b"%06X" % (number & 0xFF_FFFF)),
    "twilio": Scheme(
        lambda at, _: b"SM%016x" % int(at.timestamp()), lambda number: b"%016x" % number
    ),
    "http": Scheme(lambda at, _: b"m-%x-" % int(at.timestamp()), lambda number: b"%08x" % number),
}


class Numbers:
    """Numbers from a start on, for all protocols together. last: the one given last."""

    def __init__(self, last: int) -> None:
        self.last = last

    def take(self) -> int:
        """The next number."""
        self.last += 1
        return self.last


class Ids:
    """Makes the ids of one protocol."""

    def __init__(self, protocol: str, gateway: int, numbers: Numbers) -> None:
        self._scheme = _SCHEMES[protocol]
        self._gateway = gateway
        self._numbers = numbers
        self._second = 0
        self._prefix = b""

    def take(self, count: int = 1) -> list[bytes]:
        """Ids that were never given, consecutive and of one second."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            at = datetime.fromtimestamp(now, UTC).astimezone(BEIJING)
            self._prefix = self._scheme.prefix(at, self._gateway)
        prefix, suffix, numbers = self._prefix, self._scheme.suffix, self._numbers
        return [prefix + suffix(numbers.take()) for _ in range(count)]
