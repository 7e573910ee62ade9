"""Requests in flight by sequence number, which of them have waited too long, and which were made.

Nothing here looks at a clock: the caller says what time it is.
"""

from collections import deque
from typing import Generic, TypeVar

MOST_STRANGE, STRANGE_SECONDS = 32, 60.0
"""How many answers to no request of ours a link may bring within this time."""

MOST_REMEMBERED = 20_000
"""How many requests without an answer are remembered at most; at least the latest half of them,
which is as many as the largest window has."""

T = TypeVar("T")


class Window(Generic[T]):
    """What was sent and not yet answered, in the order of sending.

    All requests wait equally long, so the order of sending is the order of deadlines and a sweep
    looks at the overdue only.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[float, T]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._waiting

    def add(self, sequence: int, item: T, deadline: float) -> None:
        """Put a request in flight; its sequence number must not be in flight already."""
        if sequence in self._waiting:
            raise ValueError(f"sequence number {sequence} is in flight already")
        self._waiting[sequence] = deadline, item

    def take(self, sequence: int) -> T | None:
        """The request that this answer belongs to; None if there is none (any more)."""
        entry = self._waiting.pop(sequence, None)
        return entry[1] if entry else None

    def overdue(self, now: float) -> list[T]:
        """Take every request whose deadline has come."""
        late = []
        for sequence, (deadline, _) in self._waiting.items():
            if deadline > now:
                break
            late.append(sequence)
        return [self._waiting.pop(sequence)[1] for sequence in late]

    def postpone(self, deadline: float) -> None:
        """Let every request in flight wait until then, which is later than each one's own end."""
        for sequence, (_, item) in self._waiting.items():
            self._waiting[sequence] = deadline, item

    def items(self) -> list[T]:
        """Every request in flight, oldest first; they stay."""
        return [item for _, item in self._waiting.values()]

    def clear(self) -> list[T]:
        """Take every request: the link is gone."""
        items = self.items()
        self._waiting.clear()
        return items


class RequestsMade:
    """Which requests were made and not answered yet, given up or not: a late answer is no strange
    one, an answer to nothing, or a second one, is.
    """

    def __init__(self) -> None:
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()
        self._strange: deque[float] = deque(maxlen=MOST_STRANGE)

    def add(self, sequence: bytes) -> None:
        """Remember a request by its sequence number as it was written."""
        if len(self._new) >= MOST_REMEMBERED // 2:
            self._old, self._new = self._new, set()
        self._new.add(sequence)

    def take(self, sequence: bytes) -> bool:
        """Whether an answer is the first to a request that was made."""
        for made in (self._new, self._old):
            if sequence in made:
                made.discard(sequence)
                return True
        return False

    def too_many_strange(self, now: float) -> bool:
        """Count a strange answer; whether there have been too many of late."""
        full = len(self._strange) == MOST_STRANGE
        too_many = full and now - self._strange[0] < STRANGE_SECONDS
        self._strange.append(now)
        return too_many


class Sequence:
    """Sequence numbers of 32 bits, +1 each request, wrapping to `first`."""

    def __init__(self, first: int = 1, last: int = 0xFFFF_FFFF) -> None:
        self._first = first
        self._last = last
        self._next = first

    def take(self) -> int:
        """The next number."""
        number = self._next
        self._next = number + 1 if number < self._last else self._first
        return number
