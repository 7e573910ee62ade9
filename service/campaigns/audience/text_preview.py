"""What people would read: a text as some of them, and those with the longest, would get it; and who
could not be written to because a value is missing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.segments import reader_store
from service.audience.segments.reader_store import Extremes, Readers
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import Compiled, compile_rule
from service.audience.segments.segment_uses import WrittenOut
from service.campaigns.audience.preview import compile_to_count, read_rule
from service.campaigns.audience.reader_values import (
    MOST_READ,
    LongestName,
    PersonValues,
    filler,
    masked,
    places_of,
)
from service.channels.trial.split_preview import Cut, Cutter
from service.clock import day_in_china
from service.crypto import Keyring
from service.messages.lint.draft import DraftAudience
from service.messages.template import (
    Measure,
    characters,
    contact_values,
    fill,
    listed_values,
    measure,
    planned,
    render,
    sample_values,
    variables,
    worst_values,
)
from service.messages.value_sources import PERSON_VARIABLES, facts_of, listed_of
from service.storage.postgres import Connection, Record

EVERYBODY = Compiled("true", "contacts c", {}, ())

SHOWN = 5


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
class LackingPerson:
    """Somebody who lacks values of a text, with phone and name masked; and which variables."""

    phone: str
    name: str
    variables: list[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is to those whom a rule means.

    missing: how many have no value, by variable; they are left out of a run.
    longest: the length and parts that nobody's text exceeds; None if it cannot be filled for
        anybody. exact: whether somebody's text may really be that long.
    cuts: of the longest text, in the order of the cutters; empty if it cannot be filled.
    lacking: a few of those who have no value.
    """

    people: int
    missing: Mapping[str, int]
    longest: Measure | None
    exact: bool
    cuts: list[Cut]
    at_random: list[PreviewedText]
    by_length: list[PreviewedText]
    lacking: list[LackingPerson]


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

    rule: None means everybody of the department. words: the text and its class; what a plan fills
    is as long as it may be where it is measured. cutters: of the channels that it could take.

    Raises:
        SegmentError: the rule names an unknown area or segment.
    """
    text, message_class = words
    tree = await read_area_tree(conn)
    listed = listed_of(facts_of(variables(text)))
    condition = await _condition(conn, department_id, rule, tree, day_in_china(now), listed)
    readers = Readers(department_id, condition, message_class, now)
    read, widest = _as_planned(text, sample_values(text)), _as_planned(text, worst_values(text))
    look = _Look(read, PersonValues(keyring, tree, tuple(listed)), cutters)
    found = await _extremes(conn, readers, tree, [text], only_shown=True)
    names = look.facts.longest_name(found)
    audience = _audience(found, look.facts, names, variables(read))
    filled = all(variable in audience.longest for variable in variables(read))
    most, whole = max(names.read, SHOWN), render(widest, audience.longest) if filled else ""
    return Reading(
        people=audience.people,
        missing=audience.missing,
        longest=measure(widest, audience.longest) if filled else None,
        exact=names.exact and read == text,
        cuts=[cutter.cut(whole) for cutter in cutters if filled],
        at_random=look.reads(await reader_store.some_readers(conn, readers, SHOWN)),
        by_length=look.longest([*found.by_name[:most], *found.by_place, *found.by_said]),
        lacking=await _lacking(conn, readers, look.facts, text) if audience.missing else [],
    )


async def _condition(
    conn: Connection,
    department_id: UUID,
    rule: str | None,
    tree: AreaTree,
    day: date,
    listed: Mapping[str, int],
) -> Compiled:
    """Whom a rule means, or everybody of the department, with what lists say of them."""
    if rule is not None:
        written = await read_rule(conn, department_id, rule)
        return await compile_to_count(conn, department_id, written, tree, day, listed)
    if not listed:
        return EVERYBODY
    everybody = compile_rule(
        None, areas=RuleAreas(tree), department_id=department_id, today=day, fields=listed
    )
    return replace(everybody, sql="true")


def _as_planned(text: str, values: Mapping[str, str]) -> str:
    """The text with these values where a plan fills it."""
    return fill(text, ((name, values[name]) for name in planned(text)))


async def audiences_of(
    conn: Connection,
    keyring: Keyring | None,
    department_id: UUID,
    rule: WrittenOut,
    words: tuple[Sequence[str], str],
    now: datetime,
) -> list[DraftAudience | None]:
    """For each of the texts of a class the longest and the missing values among all whom a rule
    means; None if it has no variables.

    Texts that take the same of lists are looked at together. Which entry of a list counts depends
    on what is asked of it, and each text is filled by itself.

    keyring: without it no name is read, and its octets are the bound of its characters.

    Raises:
        SegmentError: the rule names an unknown area.
    """
    texts, message_class = words
    alike: dict[tuple[str, ...], list[str]] = {}
    for text in texts:
        if facts := facts_of(variables(text)):
            alike.setdefault(tuple(listed_of(facts)), []).append(text)
    found: dict[str, DraftAudience] = {}
    for some in alike.values():
        asked = (department_id, rule, message_class, now)
        found |= dict.fromkeys(some, await _audience_of(conn, keyring, some, asked))
    return [found.get(text) for text in texts]


async def _audience_of(
    conn: Connection,
    keyring: Keyring | None,
    texts: Sequence[str],
    asked: tuple[UUID, WrittenOut, str, datetime],
) -> DraftAudience:
    department_id, rule, message_class, now = asked
    used = [name for text in texts for name in variables(text) if name in PERSON_VARIABLES]
    tree = await read_area_tree(conn)
    listed = listed_of(facts_of(used))
    day = day_in_china(now)
    condition = await compile_to_count(conn, department_id, rule, tree, day, listed)
    readers = Readers(department_id, condition, message_class, now)
    facts = PersonValues(keyring, tree, tuple(listed))
    found = await _extremes(conn, readers, tree, texts, only_shown=False)
    return _audience(found, facts, facts.longest_name(found), dict.fromkeys(used))


async def who_lacks(
    conn: Connection,
    keyring: Keyring | None,
    department_id: UUID,
    rule: WrittenOut,
    words: tuple[str, str],
    now: datetime,
) -> list[LackingPerson]:
    """A few of those whom a rule means and who have no value for a variable of a text of a class;
    nobody without a keyring.

    Raises:
        SegmentError: the rule names an unknown area.
    """
    if keyring is None:
        return []
    text, message_class = words
    tree = await read_area_tree(conn)
    listed = listed_of(facts_of(variables(text)))
    day = day_in_china(now)
    condition = await compile_to_count(conn, department_id, rule, tree, day, listed)
    readers = Readers(department_id, condition, message_class, now)
    return await _lacking(conn, readers, PersonValues(keyring, tree, tuple(listed)), text)


async def _lacking(
    conn: Connection, readers: Readers, facts: PersonValues, text: str
) -> list[LackingPerson]:
    names = [name for name in variables(text) if name in PERSON_VARIABLES]
    needs = facts_of(names)
    rows = await reader_store.some_without(
        conn, readers, facts.places_with(needs), nameless="name" in needs, limit=SHOWN
    )
    return [
        LackingPerson(
            facts.phone(row),
            masked(facts.name(row)),
            [name for name in names if name not in facts.values(row)],
        )
        for row in rows
    ]


async def _extremes(
    conn: Connection,
    readers: Readers,
    tree: AreaTree,
    texts: Collection[str],
    *,
    only_shown: bool,
) -> Extremes:
    """The longest and the missing values; places are of no weight where no text names them."""
    facts = facts_of(name for text in texts for name in variables(text))
    places = {}
    for code in tree.areas if facts & {"town", "village"} else ():
        town, village = places_of(tree, code)
        places[code] = characters(town * ("town" in facts) + village * ("village" in facts))
    return await reader_store.extremes_of(
        conn, readers, places, most=MOST_READ, few=SHOWN, only_shown=only_shown
    )


def _audience(
    found: Extremes, facts: PersonValues, name: LongestName, used: Collection[str]
) -> DraftAudience:
    people = sum(row["people"] for row in found.areas)
    places = [facts.places(row["area_code"]) for row in found.areas]
    town, village = (max(names, key=characters) for names in zip(("", ""), *places, strict=True))
    said = dict(zip(facts.listed, found.said, strict=False))  # of nobody nothing is said
    longest = {fact: filler(row["units"] or 0, wide=row["wide"]) for fact, row in said.items()}
    missing: dict[str, int] = {
        "name": sum(row["nameless"] for row in found.areas),
        "town": _without_place(found.areas, facts, 0),
        "village": _without_place(found.areas, facts, 1),
        **{fact: row["missing"] for fact, row in said.items()},
    }
    return DraftAudience(
        people=people,
        longest=contact_values(name.filler, town, village) | listed_values(longest),
        missing={
            variable: count
            for variable in used
            if (count := _without(PERSON_VARIABLES.get(variable), missing, people))
        },
    )


def _without(fact: str | None, missing: Mapping[str, int], people: int) -> int:
    """How many have no value for a fact; for none that we know, nobody has."""
    return missing.get(fact, 0) if fact is not None else people


def _without_place(areas: Sequence[Record], facts: PersonValues, index: int) -> int:
    return sum(row["people"] for row in areas if not facts.places(row["area_code"])[index])


class _Look:
    """A text as single people get it."""

    def __init__(self, text: str, facts: PersonValues, cutters: Sequence[Cutter]) -> None:
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
        found = self.facts.values(row)
        return found if all(variable in found for variable in variables(self._text)) else None

    def _read(self, row: Record, values: Mapping[str, str]) -> PreviewedText:
        filled = render(self._text, values)
        return PreviewedText(
            self.facts.phone(row),
            render(self._text, self.facts.values(row, is_masked=True)),
            measure(self._text, values),
            [cutter.cut(filled) for cutter in self._cutters],
        )
