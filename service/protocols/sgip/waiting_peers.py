"""Who waits at the SP's listener without a login, and who has tried wrong passwords (pure).

Both are kept by origin: an IPv4 address, or the /64 network of an IPv6 one, since whoever has one
address of it has all. Nothing here looks at a clock: the caller says what time it is.
"""

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

MOST_TRIES, TRIES_SECONDS = 5, 600.0
"""How many wrong passwords an origin may try within this time."""

MOST_ORIGINS = 1_024
"""Of so many origins wrong passwords are remembered, the last ones."""

T = TypeVar("T")


def origin_of(address: str) -> str:
    """What addresses of one and the same owner have in common."""
    try:
        found = ip_address(address)
    except ValueError:  # gone before it could be asked
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{int(found) >> 64:x}"


class Waiting(Generic[T]):
    """Connections that are not logged in, oldest first.

    of_one: how many an origin may have. most: how many there may be; the origin that has the most
    gives way then, so that whoever has opened many makes no room for itself at others' cost.
    """

    def __init__(self, of_one: int, most: int) -> None:
        self._of_one = of_one
        self._most = most
        self._origins: OrderedDict[T, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._origins)

    def add(self, connection: T, origin: str) -> T | None:
        """A new one; returns the one that has to go for it, if one has to."""
        self._origins[connection] = origin
        counts: dict[str, int] = {}
        for own in self._origins.values():
            counts[own] = counts.get(own, 0) + 1
        if counts[origin] > self._of_one:
            return self._take_oldest(origin)
        if len(self._origins) > self._most:
            return self._take_oldest(max(counts, key=counts.__getitem__))
        return None

    def discard(self, connection: T) -> None:
        """It is logged in, or gone."""
        self._origins.pop(connection, None)

    def _take_oldest(self, origin: str) -> T:
        oldest = next(connection for connection, own in self._origins.items() if own == origin)
        del self._origins[oldest]
        return oldest


class Tries:
    """Wrong passwords of late, by origin."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, origin: str, now: float) -> None:
        """One more was wrong."""
        self._at.setdefault(origin, deque(maxlen=MOST_TRIES)).append(now)
        self._at.move_to_end(origin)
        if len(self._at) > MOST_ORIGINS:
            self._at.popitem(last=False)

    def used_up(self, origin: str, now: float) -> bool:
        """Whether an origin may try no more for now; what it says then counts for nothing."""
        at = self._at.get(origin)
        return at is not None and len(at) == MOST_TRIES and now - at[0] < TRIES_SECONDS
