"""Requests in flight by sequence number, and which of them have waited too long.

Nothing here looks at a clock: the caller says what time it is.
"""

from typing import Generic, TypeVar

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
