"""What people would read: a text as some of them, and those with the longest, would get it.

The longest text is found without deciphering everybody's name. People are taken by the octets of
their names, which the length of the cipher tells; a name has at most as many characters as octets.
So as soon as the longest name that was read has no fewer characters than the next name has octets,
no other can be longer. If that takes too many, the octets are the bound: too high rather than too
low (a Chinese character has three).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience import reader_store
from service.audience.area import AreaTree
from service.audience.number import mask
from service.audience.reader_store import Readers
from service.audience.segment_sql import Compiled
from service.audience.store import read_area_tree
from service.campaigns.preview import compiled, read_rule
from service.crypto import CIPHER_OCTETS, Keyring
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

EVERYBODY = Compiled("true", "contacts c", [], ())

SHOWN = 5
_STEP, _MOST_READ = 200, 5_000


@dataclass(frozen=True, slots=True)
class Read:
    """A text as one person would get it, with phone and name masked, and its true length."""

    phone: str
    text: str
    size: Measure


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is to those whom a rule means.

    missing: how many have no value, by variable; they are left out of a run.
    longest: the length and parts that nobody's text exceeds; None if it cannot be filled for
        anybody. exact: whether somebody's text may really be that long.
    """

    people: int
    missing: Mapping[str, int]
    longest: Measure | None
    exact: bool
    at_random: list[Read]
    by_length: list[Read]


async def read_by(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    rule: str | None,
    words: tuple[str, str],
    now: datetime,
) -> Reading:
    """Look at a text of a class as those whom a rule of the department means would read it.

    rule: None means everybody of the department. words: the text and its class.

    Raises:
        SegmentError: the rule names an unknown area or segment.
        MissingValue: the text has a variable that no contact fills.
    """
    text, message_class = words
    tree = await read_area_tree(conn)
    condition = EVERYBODY
    if rule is not None:
        condition = compiled(await read_rule(conn, department_id, rule), department_id, tree, now)
    readers = Readers(department_id, condition, message_class, now)
    facts = _Facts(keyring, tree)
    areas = await reader_store.areas_of(conn, readers)
    long_names, bound, exact = await _longest_names(conn, readers, facts)
    rows = await reader_store.some_readers(conn, readers, SHOWN)
    return Reading(
        people=sum(row["people"] for row in areas),
        missing=_missing(text, areas, facts),
        longest=_longest(text, areas, facts, bound),
        exact=exact,
        at_random=_reads(text, rows, facts),
        by_length=sorted(_reads(text, long_names, facts), key=lambda r: -r.size.characters)[:SHOWN],
    )


class _Facts:
    """The values of a contact's variables, in clear and masked."""

    def __init__(self, keyring: Keyring, tree: AreaTree) -> None:
        self._keyring, self._tree = keyring, tree

    def name(self, row: Record) -> str:
        cipher = row["name_cipher"]
        return self._keyring.decrypt("name", cipher) if cipher else ""

    def phone(self, row: Record) -> str:
        return mask(self._keyring.decrypt("phone", row["phone_cipher"]))

    def places(self, code: str | None) -> tuple[str, str]:
        """The names of town and village; "" above them."""
        if code is None or code not in self._tree.areas:
            return "", ""
        area, town = self._tree.areas[code], self._tree.areas[self._tree.town_of(code)]
        village = area.name if area.level in {"village", "community"} else ""
        return (town.name if town.level == "town" else ""), village


async def _longest_names(
    conn: Connection, readers: Readers, facts: _Facts
) -> tuple[list[Record], int, bool]:
    """Those with long names, the characters that no name exceeds, and whether one has them."""
    found: list[Record] = []
    longest = 0
    while len(found) < _MOST_READ:
        rows = await reader_store.by_length_of_name(conn, readers, _STEP, skip=len(found))
        found += rows
        longest = max([longest, *(characters(facts.name(row)) for row in rows)])
        if len(rows) < _STEP or rows[-1]["octets"] - CIPHER_OCTETS <= longest:
            return found, longest, True
    return found, found[-1]["octets"] - CIPHER_OCTETS, False


def _missing(text: str, areas: list[Record], facts: _Facts) -> dict[str, int]:
    missing = {}
    for variable in variables(text):
        fact = CONTACT_VARIABLES.get(variable)
        if fact is None:
            missing[variable] = sum(row["people"] for row in areas)
        elif fact == "name":
            missing[variable] = sum(row["nameless"] for row in areas)
        else:
            index = 0 if fact == "town" else 1
            missing[variable] = sum(
                row["people"] for row in areas if not facts.places(row["area_code"])[index]
            )
    return {variable: count for variable, count in missing.items() if count}


def _longest(text: str, areas: list[Record], facts: _Facts, bound: int) -> Measure | None:
    places = [facts.places(row["area_code"]) for row in areas]
    town = max((town for town, _ in places), key=characters, default="")
    village = max((village for _, village in places), key=characters, default="")
    values = contact_values("国" * bound, town, village)
    if any(variable not in values for variable in variables(text)):
        return None
    return measure(text, values)


def _reads(text: str, rows: list[Record], facts: _Facts) -> list[Read]:
    reads = []
    for row in rows:
        name, places = facts.name(row), facts.places(row["area_code"])
        values = contact_values(name, *places)
        if all(variable in values for variable in variables(text)):
            masked = contact_values(name[:1] + "*" * (len(name) - 1), *places)
            reads.append(Read(facts.phone(row), render(text, masked), measure(text, values)))
    return reads
