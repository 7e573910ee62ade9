"""Instants in answers, compared as instants: with which offset they are written is another test."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SameInstant:
    """Equal to every text that means this instant, at any depth of an answer."""

    at: datetime

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and datetime.fromisoformat(other) == self.at

    def __hash__(self) -> int:
        return hash(self.at)


def instant(given: datetime | str) -> SameInstant:
    """What an answer says of this instant; a text has an offset."""
    return SameInstant(datetime.fromisoformat(given) if isinstance(given, str) else given)
