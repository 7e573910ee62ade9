"""The values of those who would read a text, in clear and masked, and the longest name among them.

The longest name is found without deciphering everybody's. People are taken by the octets of their
names, which the length of the cipher tells; a name has at most as many characters as octets. So as
soon as the longest name that was read has no fewer characters than the next name has octets, no
other can be longer. If that takes too many, the octets are the bound: too high rather than too low
(a Chinese character has three). What lists say is kept in clear, and its length is read as it is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service.audience.areas.area import AreaTree
from service.audience.numbers.number import mask
from service.audience.segments.reader_store import Extremes
from service.crypto import CIPHER_OCTETS, Keyring
from service.messages.template import characters, contact_values, listed_values
from service.messages.value_sources import Fact
from service.storage.postgres import Record

MOST_READ = 5_000


def places_of(tree: AreaTree, code: str | None) -> tuple[str, str]:
    """The names of town and village; "" above them."""
    if code is None or code not in tree.areas:
        return "", ""
    area, town = tree.areas[code], tree.areas[tree.town_of(code)]
    village = area.name if area.level in {"village", "community"} else ""
    return (town.name if town.level == "town" else ""), village


@dataclass(frozen=True, slots=True)
class LongestName:
    """A name that nobody's exceeds, whether somebody's is as long, and how many were read."""

    filler: str
    exact: bool
    read: int


class PersonValues:
    """The values of a person's variables, in clear and masked.

    listed: what was asked of lists, in the order of `said`.
    """

    def __init__(self, keyring: Keyring | None, tree: AreaTree, listed: Sequence[str] = ()) -> None:
        self._keyring, self._tree = keyring, tree
        self.listed = listed

    def values(self, row: Record, *, is_masked: bool = False) -> dict[str, str]:
        """The values of all variables of one person; a fact we do not know is left out."""
        name, said = self.name(row), [value or "" for value in row["said"]]
        if is_masked:
            name, said = masked(name), list(map(masked, said))
        known = dict(zip(self.listed, said, strict=True))
        return contact_values(name, *self.places(row["area_code"])) | listed_values(known)

    def name(self, row: Record) -> str:
        """The name in clear; "" if there is none."""
        cipher = row["name_cipher"]
        return self._keyring.decrypt("name", cipher) if cipher and self._keyring else ""

    def phone(self, row: Record) -> str:
        """The phone, masked."""
        return mask(self._keyring.decrypt("phone", row["phone_cipher"])) if self._keyring else ""

    def places(self, code: str | None) -> tuple[str, str]:
        """The names of town and village; "" above them."""
        return places_of(self._tree, code)

    def places_with(self, needs: Collection[Fact]) -> list[str] | None:
        """The areas that have what a text needs of them; None: it needs nothing of them."""
        if not {"town", "village"} & set(needs):
            return None
        return [
            code
            for code in self._tree.areas
            if all(
                found or fact not in needs
                for fact, found in zip(("town", "village"), self.places(code), strict=True)
            )
        ]

    def longest_name(self, found: Extremes) -> LongestName:
        """Read names by their octets until no other can be longer."""
        longest, wide, read = 0, False, 0
        for row in found.by_name:
            octets = row["octets"] - CIPHER_OCTETS
            if octets <= longest:
                return LongestName(filler(longest, wide=wide), exact=True, read=read)
            if self._keyring is None:
                return LongestName(filler(octets, wide=False), exact=False, read=0)
            name = self.name(row)
            longest, read = max(longest, characters(name)), read + 1
            wide = wide or characters(name) > len(name)
        if read < MOST_READ:
            return LongestName(filler(longest, wide=wide), exact=True, read=read)
        octets = found.by_name[-1]["octets"] - CIPHER_OCTETS
        return LongestName(filler(octets, wide=wide), exact=False, read=read)


def masked(value: str) -> str:
    """A name or value of which a stranger reads the first character alone."""
    return value[:1] + "*" * (len(value) - 1)


def filler(units: int, *, wide: bool) -> str:
    """A name so many UTF-16 units long; `wide` where pairs of them must not be cut apart."""
    return "𬭎" * (units // 2) + "国" * (units % 2) if wide else "国" * units
