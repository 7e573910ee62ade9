"""The references that a simulated carrier gives: CMPP 8 octets, SMGP 10, the others text.

An id is the present second and a sequence number. It is of the world's own time: no simulated
calendar may bring one back. In SGIP the client's own sequence is the reference; an id made for it
belongs to nothing and serves the fault of unknown receipts.
"""

import time
from datetime import UTC, datetime

from service.protocols.times import BEIJING
from service.simulator.carrier.protocols import PROTOCOLS


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
        self._traits = PROTOCOLS[protocol]
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
            self._prefix = self._traits.id_prefix(at, self._gateway)
        prefix, suffix, numbers = self._prefix, self._traits.id_suffix, self._numbers
        return [prefix + suffix(numbers.take()) for _ in range(count)]
