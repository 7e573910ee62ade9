"""Parts into whole texts (pure): whatever their order, and whichever connections brought them.

The parts of a long text share sender, recipient, reference and count (TS 23.040 §9.2.3.24.1). A
reference has 8 or 16 bits and comes again: a part that is there already with another text begins a
new text, and the old one is given out as it stands. So is one whose first part waited too long.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

GAP = "［…］"
"""Stands in a text where a part never came."""

REPEATED_WITHIN = timedelta(minutes=10)
"""How long after the first one the same part, or the same text, is taken for a copy. A carrier
repeats what was not acknowledged in time (CMPP: after 60 s, three times), or after the next login;
what a person really wrote twice within it is shown once, with two copies."""

ReassemblyKey = tuple[bytes, str, int, int]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One text or part as it came, in the clear; `text_id` once it was joined into a text."""

    id: int
    channel_id: int
    sender_hash: bytes
    sender_cipher: bytes
    recipient: str
    text: str
    reference: int
    number: int
    total: int
    received_at: datetime
    text_id: UUID | None = None

    @property
    def key(self) -> ReassemblyKey:
        """What the parts of one text share."""
        return self.sender_hash, self.recipient, self.reference, self.total

    @property
    def is_part(self) -> bool:
        """Whether there are others; a header that cannot be makes no part."""
        return 1 <= self.number <= self.total and self.total > 1


@dataclass(frozen=True, slots=True)
class Whole:
    """A text that waits for nothing more, with the arrivals that it was made of, by number."""

    id: UUID
    parts: Mapping[int, Arrival]
    total: int

    @property
    def first(self) -> Arrival:
        """The arrival that came first."""
        return min(self.parts.values(), key=lambda part: part.id)

    @property
    def received_at(self) -> datetime:
        """When the last arrival came."""
        return max(part.received_at for part in self.parts.values())

    @property
    def missing(self) -> int:
        """How many parts never came."""
        return self.total - len(self.parts)

    @property
    def text(self) -> str:
        """The text, with a mark where something is missing."""
        parts = self.parts
        return "".join(parts[n].text if n in parts else GAP for n in range(1, self.total + 1))


@dataclass(slots=True)
class Joiner:
    """Takes arrivals in their order.

    ids: as many as texts may come of it.
    wholes: the texts that are ready. copies: arrivals that only repeat another, with the text that
    the other belongs to, if it has one. waiting: parts of texts that are not whole.
    """

    ids: Iterator[UUID]
    wholes: list[Whole] = field(default_factory=list)
    copies: list[tuple[Arrival, UUID | None]] = field(default_factory=list)
    waiting: dict[ReassemblyKey, dict[int, Arrival]] = field(default_factory=dict)
    _joined: dict[tuple[ReassemblyKey, int], list[tuple[Arrival, UUID]]] = field(
        default_factory=dict
    )

    def remember(self, earlier: Iterable[Arrival]) -> None:
        """Know what came before: parts that wait, and parts that were joined lately."""
        for part in earlier:
            if part.text_id is None:
                self.waiting.setdefault(part.key, {})[part.number] = part
            else:
                self._joined.setdefault((part.key, part.number), []).append((part, part.text_id))

    def take(self, arrival: Arrival) -> None:
        """Take one arrival."""
        if not arrival.is_part:
            self.wholes.append(Whole(next(self.ids), {1: arrival}, 1))
            return
        if (text_id := self._repeated(arrival)) is not None:
            self.copies.append((arrival, text_id))
            return
        parts = self.waiting.setdefault(arrival.key, {})
        if (there := parts.get(arrival.number)) is not None:
            if there.text == arrival.text:
                self.copies.append((arrival, None))
                return
            self._give_out(arrival.key)
            parts = self.waiting.setdefault(arrival.key, {})
        parts[arrival.number] = arrival
        if len(parts) == arrival.total:
            self._give_out(arrival.key)

    def give_up(self, overdue: datetime) -> None:
        """Give out what has waited since `overdue`, as it stands."""
        for key, parts in list(self.waiting.items()):
            if min(part.received_at for part in parts.values()) <= overdue:
                self._give_out(key)

    def _repeated(self, part: Arrival) -> UUID | None:
        return next(
            (
                text_id
                for joined, text_id in self._joined.get((part.key, part.number), ())
                if joined.text == part.text
                and part.received_at - joined.received_at <= REPEATED_WITHIN
            ),
            None,
        )

    def _give_out(self, key: ReassemblyKey) -> None:
        parts = self.waiting.pop(key)
        whole = Whole(next(self.ids), parts, key[3])
        self.wholes.append(whole)
        for number, part in parts.items():
            self._joined.setdefault((key, number), []).append((part, whole.id))
