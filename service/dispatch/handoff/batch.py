"""Messages into submits: one part of one text, to one recipient or to several at once (pure)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from service.coding.parts import Part
from service.dispatch.compose import ClaimedSlice, Message


@dataclass(slots=True, eq=False)
class Parcel:
    """One submit: a part, and the messages that it is a part of."""

    messages: list[Message]
    part: Part

    @property
    def work(self) -> ClaimedSlice:
        """The slice that all of them come from."""
        return self.messages[0].work

    @property
    def begun(self) -> bool:
        """Whether any of the messages has left in part, or may have."""
        return any(message.begun for message in self.messages)

    def cut(self, count: int) -> tuple["Parcel", "Parcel"]:
        """The first `count` recipients, and the rest."""
        return Parcel(self.messages[:count], self.part), Parcel(self.messages[count:], self.part)

    def singly(self) -> list["Parcel"]:
        """A submit for each recipient alone."""
        return [Parcel([message], self.part) for message in self.messages]


def pack(messages: Iterable[Message], destinations: int) -> list[Parcel]:
    """The submits for these messages, each message's parts in order.

    Up to `destinations` neighbours with the very same parts share their submits, and then the
    long-message reference too; a text with a person's name in it goes out alone.
    """
    parcels = []
    for _, alike in groupby(messages, key=lambda message: (id(message.work), id(message.parts))):
        for lot in _chunks(list(alike), destinations):
            for message in lot:
                message.reference = lot[0].reference
            parcels += [Parcel(list(lot), part) for part in lot[0].parts]
    return parcels


def _chunks(messages: list[Message], size: int) -> Iterator[list[Message]]:
    for start in range(0, len(messages), size):
        yield messages[start : start + size]
