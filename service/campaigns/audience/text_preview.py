"""What people would read: a text as some of them, and those with the longest, would get it.

The longest text is found without deciphering everybody's name. People are taken by the octets of
their names, which the length of the cipher tells; a name has at most as many characters as octets.
So as soon as the longest name that was read has no fewer characters than the next name has octets,
no other can be longer. If that takes too many, the octets are the bound: too high rather than too
low (a Chinese character has three).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.numbers.number import mask
from service.audience.segments import reader_store
from service.audience.segments.reader_store import Extremes, Readers
from service.audience.segments.segment_sql import Compiled
from service.audience.segments.segment_uses import WrittenOut
from service.campaigns.audience.preview import compiled, read_rule
from service.channels.trial.split_preview import Cut, Cutter
from service.crypto import CIPHER_OCTETS, Keyring
from service.messages.lint.draft import DraftAudience
from service.messages.template import (
    CONTACT_VARIABLES,
    Measure,
    characters,
    contact_values,
    measure,
    render,
    variables,
)
from service.storage.postgres import Connection, Record

EVERYBODY = Compiled("true", "contacts c", {}, ())

SHOWN = 5
_MOST_READ = 5_000


@dataclass(frozen=True, slots=True)
class PreviewedText:
    """A text as one person would get it, with phone and name masked, and its true length; and how
    each channel would cut it, in the order of the cutters.
    """

    phone: str
    text: str
    size: Measure
    cuts: list[Cut]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is to those whom a rule means.

    missing: how many have no value, by variable; they are left out of a run.
    longest: the length and parts that nobody's text exceeds; None if it cannot be filled for
        anybody. exact: whether somebody's text may really be that long.
    cuts: of the longest text, in the order of the cutters; empty if it cannot be filled.
    """

    people: int
    missing: Mapping[str, int]
    longest: Measure | None
    exact: bool
    cuts: list[Cut]
    at_random: list[PreviewedText]
    by_length: list[PreviewedText]


async def read_by(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    rule: str | None,
    words: tuple[str, str],
    now: datetime,
    cutters: Sequence[Cutter] = (),
) -> Reading:
    """Look at a text of a class as those whom a rule of the department means would read it.

    rule: None means everybody of the department. words: the text and its class. cutters: of the
    channels that it could take.

    Raises:
        SegmentError: the rule names an unknown area or segment.
    """
    text, message_class = words
    tree = await read_area_tree(conn)
    condition = EVERYBODY
    if rule is not None:
        written = await read_rule(conn, department_id, rule)
        condition = compiled(written, department_id, tree, now)
    readers = Readers(department_id, condition, message_class, now)
    look = _Look(text, _Facts(keyring, tree), cutters)
    found = await _extremes(conn, readers, tree, [text], only_shown=True)
    names = look.facts.longest_name(found)
    audience = _audience(found, look.facts, names, variables(text))
    rows = await reader_store.some_readers(conn, readers, SHOWN)
    filled = all(variable in audience.longest for variable in variables(text))
    whole = render(text, audience.longest) if filled else ""
    return Reading(
        people=audience.people,
        missing=audience.missing,
        longest=measure(text, audience.longest) if filled else None,
        exact=names.exact,
        cuts=[cutter.cut(whole) for cutter in cutters if filled],
        at_random=look.reads(rows),
        by_length=look.longest([*found.by_name[: max(names.read, SHOWN)], *found.by_place]),
    )


async def audience_of(
    conn: Connection,
    keyring: Keyring | None,
    department_id: UUID,
    rule: WrittenOut,
    words: tuple[Collection[str], str],
    now: datetime,
) -> DraftAudience | None:
    """The longest and the missing values of texts of a class among all whom a rule means; None if
    the texts have no variables.

    keyring: without it no name is read, and its octets are the bound of its characters.

    Raises:
        SegmentError: the rule names an unknown area.
    """
    texts, message_class = words
    used = [name for text in texts for name in variables(text) if name in CONTACT_VARIABLES]
    if not used:
        return None
    tree = await read_area_tree(conn)
    condition = compiled(rule, department_id, tree, now)
    readers = Readers(department_id, condition, message_class, now)
    facts = _Facts(keyring, tree)
    found = await _extremes(conn, readers, tree, texts, only_shown=False)
    return _audience(found, facts, facts.longest_name(found), dict.fromkeys(used))


async def _extremes(
    conn: Connection,
    readers: Readers,
    tree: AreaTree,
    texts: Collection[str],
    *,
    only_shown: bool,
) -> Extremes:
    """The longest and the missing values; places are of no weight where no text names them."""
    facts = {CONTACT_VARIABLES.get(name) for text in texts for name in variables(text)}
    places = {}
    for code in tree.areas if facts & {"town", "village"} else ():
        town, village = _places(tree, code)
        places[code] = characters(town * ("town" in facts) + village * ("village" in facts))
    return await reader_store.extremes_of(
        conn, readers, places, most=_MOST_READ, few=SHOWN, only_shown=only_shown
    )


def _places(tree: AreaTree, code: str | None) -> tuple[str, str]:
    """The names of town and village; "" above them."""
    if code is None or code not in tree.areas:
        return "", ""
    area, town = tree.areas[code], tree.areas[tree.town_of(code)]
    village = area.name if area.level in {"village", "community"} else ""
    return (town.name if town.level == "town" else ""), village


@dataclass(frozen=True, slots=True)
class _LongestName:
    """A name that nobody's exceeds, whether somebody's is as long, and how many were read."""

    filler: str
    exact: bool
    read: int


class _Facts:
    """The values of a contact's variables, in clear and masked."""

    def __init__(self, keyring: Keyring | None, tree: AreaTree) -> None:
        self._keyring, self._tree = keyring, tree

    def name(self, row: Record) -> str:
        cipher = row["name_cipher"]
        return self._keyring.decrypt("name", cipher) if cipher and self._keyring else ""

    def phone(self, row: Record) -> str:
        return mask(self._keyring.decrypt("phone", row["phone_cipher"])) if self._keyring else ""

    def places(self, code: str | None) -> tuple[str, str]:
        return _places(self._tree, code)

    def longest_name(self, found: Extremes) -> _LongestName:
        """Read names by their octets until no other can be longer."""
        longest, wide, read = 0, False, 0
        for row in found.by_name:
            octets = row["octets"] - CIPHER_OCTETS
            if octets <= longest:
                return _LongestName(_filler(longest, wide=wide), exact=True, read=read)
            if self._keyring is None:
                return _LongestName(_filler(octets, wide=False), exact=False, read=0)
            name = self.name(row)
            longest, read = max(longest, characters(name)), read + 1
            wide = wide or characters(name) > len(name)
        if read < _MOST_READ:
            return _LongestName(_filler(longest, wide=wide), exact=True, read=read)
        octets = found.by_name[-1]["octets"] - CIPHER_OCTETS
        return _LongestName(_filler(octets, wide=wide), exact=False, read=read)


def _filler(units: int, *, wide: bool) -> str:
    """A name so many UTF-16 units long; `wide` where pairs of them must not be cut apart."""
    return "𬭎" * (units // 2) + "国" * (units % 2) if wide else "国" * units


def _audience(
    found: Extremes, facts: _Facts, name: _LongestName, used: Collection[str]
) -> DraftAudience:
    people = sum(row["people"] for row in found.areas)
    places = [facts.places(row["area_code"]) for row in found.areas]
    town, village = (max(names, key=characters) for names in zip(("", ""), *places, strict=True))
    return DraftAudience(
        people=people,
        longest=contact_values(name.filler, town, village),
        missing={
            variable: count
            for variable in used
            if (count := _without(CONTACT_VARIABLES.get(variable), found.areas, facts, people))
        },
    )


def _without(fact: str | None, areas: Sequence[Record], facts: _Facts, people: int) -> int:
    """How many have no value for a fact; for none that we know, nobody has."""
    if fact is None:
        return people
    if fact == "name":
        return sum(row["nameless"] for row in areas)
    index = 0 if fact == "town" else 1
    return sum(row["people"] for row in areas if not facts.places(row["area_code"])[index])


class _Look:
    """A text as single people get it."""

    def __init__(self, text: str, facts: _Facts, cutters: Sequence[Cutter]) -> None:
        self.facts = facts
        self._text, self._cutters = text, cutters

    def reads(self, rows: Sequence[Record]) -> list[PreviewedText]:
        """The text of each of them, masked; without those who lack a value."""
        return [self._read(row, values) for row in rows if (values := self._values(row))]

    def longest(self, rows: Sequence[Record]) -> list[PreviewedText]:
        """A few of them, those with the longest texts first."""
        filled = {row["phone_cipher"]: (row, self._values(row)) for row in rows}
        order = sorted(
            ((row, values) for row, values in filled.values() if values),
            key=lambda one: -characters(render(self._text, one[1])),
        )
        return [self._read(row, values) for row, values in order[:SHOWN]]

    def _values(self, row: Record) -> dict[str, str] | None:
        """The values of all variables, or None if one is missing."""
        found = contact_values(self.facts.name(row), *self.facts.places(row["area_code"]))
        return found if all(variable in found for variable in variables(self._text)) else None

    def _read(self, row: Record, values: Mapping[str, str]) -> PreviewedText:
        name, filled = self.facts.name(row), render(self._text, values)
        masked = contact_values(
            name[:1] + "*" * (len(name) - 1), *self.facts.places(row["area_code"])
        )
        return PreviewedText(
            self.facts.phone(row),
            render(self._text, masked),
            measure(self._text, values),
            [cutter.cut(filled) for cutter in self._cutters],
        )
