"""Who is in the file so far: one recipient a number, with the links of all its rows (§10).

The only thing whose memory grows with the file. Links and names are remembered as 64-bit hashes
and compared within one recipient only, so a chance collision is out of the question.
"""

from array import array
from typing import NamedTuple

from service.audience.model import Link, Origin
from service.audience.traits import role_bits


class Addition(NamedTuple):
    """What a row added to one recipient; `new_roles` are bits that no earlier row gave it."""

    origin: Origin
    new: bool = False
    linked: bool = False
    new_name: bool = False
    new_roles: int = 0
    had_roles: bool = False


class Recipients:
    """The recipients and links of one file."""

    def __init__(self) -> None:
        self._position: dict[str, int] = {}
        self._sheets: list[str] = []
        self._sheet = array("H")
        self._row = array("I")
        self._roles = array("I")
        self._links = array("q")
        self._names = array("q")
        self._further: dict[int, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._position)

    def add(self, number: str, link: Link, origin: Origin) -> Addition:
        """Register what a row says about a number."""
        position = self._position.setdefault(number, len(self._position))
        if position == len(self._row):
            return self._make(link, origin)
        return self._extend(position, link)

    def _make(self, link: Link, origin: Origin) -> Addition:
        if not self._sheets or self._sheets[-1] != origin.sheet:
            self._sheets.append(origin.sheet)
        bits = role_bits(link.roles)
        self._sheet.append(len(self._sheets) - 1)
        self._row.append(origin.row)
        self._roles.append(bits)
        self._links.append(hash(link))
        self._names.append(hash(link.name))
        return Addition(origin, new=True, new_roles=bits)

    def _extend(self, position: int, link: Link) -> Addition:
        origin = Origin(self._sheets[self._sheet[position]], self._row[position])
        known = [
            (self._links[position], self._names[position]),
            *self._further.get(position, ()),
        ]
        this = (hash(link), hash(link.name))
        if any(link_hash == this[0] for link_hash, _ in known):
            return Addition(origin)
        self._further.setdefault(position, []).append(this)
        before = self._roles[position]
        bits = role_bits(link.roles)
        self._roles[position] = before | bits
        return Addition(
            origin,
            linked=True,
            new_name=bool(link.name) and all(name_hash != this[1] for _, name_hash in known),
            new_roles=bits & ~before,
            had_roles=bool(before),
        )
