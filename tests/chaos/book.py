"""The carrier's own book: what it accepted, read from the simulator's journal as it grows."""

import json
from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from service.simulator.carrier.smsc import DIGEST_OCTETS


class Entry(NamedTuple):
    """One accepted text of one part.

    at: seconds since the epoch. due: when its receipt is to be sent; None: never. stat: what its
    receipt says.
    """

    at: float
    account: str
    phone: str
    due: float | None
    stat: str

    @property
    def failed(self) -> bool:
        """Whether its receipt says that it did not arrive."""
        return self.due is not None and self.stat != "DELIVRD"


def digest_of(text: str) -> str:
    """How the carrier's book names a text."""
    return blake2b(text.encode(), digest_size=DIGEST_OCTETS).hexdigest()


def silence_of(entries: Sequence[Entry], since: float) -> float:
    """The longest time without a text, from a little before an instant on."""
    instants = [entry.at for entry in entries]
    return max((later - at for at, later in pairwise(instants) if later > since), default=0.0)


class Book:
    """All that was accepted, by text. Each `read` goes on where the last one stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        self.last: Entry | None = None

    def read(self) -> None:
        """Take in what was written since; a line that is not whole yet is left for later."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                if b'"submit"' in line:
                    self._add(json.loads(line))

    def _add(self, found: dict[str, Any]) -> None:
        entry = Entry(**{name: found[name] for name in Entry._fields})
        self._entries[found["digest"]].append(entry)
        self.last = entry

    def of(self, text: str) -> list[Entry]:
        """What was accepted of a text, in the order of acceptance."""
        self.read()
        return self._entries[digest_of(text)]

    def all(self) -> list[Entry]:
        """Everything that was accepted, in the order of acceptance."""
        self.read()
        return sorted(entry for entries in self._entries.values() for entry in entries)
