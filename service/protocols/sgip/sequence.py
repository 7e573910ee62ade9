"""SGIP's sequence numbers, SGIP 1.2 §4.1.2: who made a command, when, and the how manieth it is.

A SUBMIT has no other id: reports name it by these 12 octets, so they are our reference. Inside
the protocol they are one number of 96 bits; stored, they are the 12 octets as they travel; for
people, node, time and counter in decimal. All times in SGIP are Beijing local times; China has had
no summer time since 1991.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import randbits
from typing import NamedTuple

from service.protocols.times import BEIJING

OCTETS = 12

_RUN_BITS = 16


class SequenceNumber(NamedTuple):
    """The three integers, of 4 octets each."""

    node: int
    time: int
    counter: int

    @property
    def number(self) -> int:
        """All of it as one number of 96 bits."""
        return self.node << 64 | self.time << 32 | self.counter

    def __str__(self) -> str:
        return f"{self.node:010d} {self.time:010d} {self.counter:010d}"


def read(number: int) -> SequenceNumber:
    """The three integers of a number of 96 bits."""
    return SequenceNumber(number >> 64, number >> 32 & 0xFFFF_FFFF, number & 0xFFFF_FFFF)


def reference(number: int) -> bytes:
    """The 12 octets that are stored, and that a report brings back."""
    return number.to_bytes(OCTETS, "big")


def shown(ref: bytes) -> str:
    """A stored reference as carriers' engineers write it: node, MMDDhhmmss, counter."""
    return str(read(int.from_bytes(ref, "big")))


def sp_node(area: str, corp_id: str) -> int:
    """The node number of an SP: 3, its area code as dialled in four digits, its enterprise code."""
    return int(f"3{area:0<4}{corp_id:0>5}")


def time_field(at: datetime) -> int:
    """An instant as the middle integer: MMDDhhmmss read as one decimal number."""
    return int(at.astimezone(BEIJING).strftime("%m%d%H%M%S"))


def write_time(at: datetime) -> str:
    """An instant as ExpireTime, `YYMMDDhhmmss032+` with tenths: Beijing is 32 quarters."""
    return at.astimezone(BEIJING).strftime("%y%m%d%H%M%S") + "032+"


class Counter:
    """The third integer: +1 with each command of a node, whatever the connection.

    Processes that share a node cannot agree on a counter. Each runs through 65,536 numbers from a
    place drawn by lot, then through others from another: so two that draw the same place do not
    stay together, and no second has the same number twice.
    """

    def __init__(self, draw: Callable[[int], int] = randbits) -> None:
        self._draw = draw
        self._run = self._place = 0

    def take(self) -> int:
        """The next number, of 32 bits."""
        if not self._run:
            self._place = self._draw(32 - _RUN_BITS) << _RUN_BITS
        number = self._place | self._run
        self._run = (self._run + 1) & (1 << _RUN_BITS) - 1
        return number


_COUNTER = Counter()


class SequenceNumbers:
    """The numbers of one node's commands.

    now: seconds since the epoch, by the world's own time: no calendar may bring a number back.
    counter: shared by all links of the process unless given.
    """

    def __init__(
        self, node: int, *, now: Callable[[], float] = time.time, counter: Counter = _COUNTER
    ) -> None:
        self._node = node << 64
        self._now = now
        self._counter = counter
        self._second = -1
        self._prefix = 0

    def take(self) -> int:
        """The next number, of 96 bits."""
        second = int(self._now())
        if second != self._second:
            self._second = second
            at = datetime.fromtimestamp(second, UTC)
            self._prefix = self._node | time_field(at) << 32
        return self._prefix | self._counter.take()
