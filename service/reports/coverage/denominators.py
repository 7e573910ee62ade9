"""How many people there should be: entered by a person, or added up from the areas below (pure)."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.vocabulary.roles import ROLES
from service.words.phrase import phrase

RESIDENTS, PHONES, HOUSEHOLDS = "residents", "phones", "households"
KINDS = (RESIDENTS, PHONES, HOUSEHOLDS, *ROLES)
"""Of whom there is a number: all who live there, phones, households, and each role."""

LIST = "list:"
"""Before the name of a list: how many people it should hold, such as a unit's own staff."""

PACKAGED = phrase("packaged estimate")
"""The source of the residents that the program knows of an area."""

OLD = timedelta(days=400)
JUMP_PERCENT = 10


def list_of(kind: str) -> str | None:
    """The name of the list that a kind is of; None: it is of none."""
    return kind.removeprefix(LIST) if kind.startswith(LIST) and len(kind) > len(LIST) else None


class Entry(NamedTuple):
    """How many people somebody said there are in an area, from a day on."""

    area_code: str
    kind: str
    people: int
    source: str
    as_of: date


class EnteredDenominator(NamedTuple):
    """An entry as it was written down."""

    id: UUID
    area: str
    area_name: str | None
    kind: str
    people: int
    source: str
    as_of: date
    entered_at: datetime
    entered_by: UUID


class Denominator(NamedTuple):
    """How many people there should be in an area; people None: nobody has said.

    source, as_of: of the area's own entry; None: added up from the areas below, of which
    `missing_children` have no number, so that their people are in neither side of a fraction.
    """

    people: int | None
    source: str | None = None
    as_of: date | None = None
    missing_children: int = 0
    old: bool = False
    jump: bool = False


class Denominators:
    """The denominators of one kind on one day."""

    def __init__(self, tree: AreaTree, entries: Iterable[Entry], kind: str, day: date) -> None:
        """entries: of this kind, none later than the day; of an area in the order in which they
        count, the last one first.
        """
        self._tree, self._kind, self._day = tree, kind, day
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            self._entries[entry.area_code].append(entry)
        self._found: dict[str, Denominator] = {}

    def of(self, code: str) -> Denominator:
        """The denominator of an area."""
        if code not in self._found:
            self._found[code] = self._own(code) or self._packaged(code) or self._added(code)
        return self._found[code]

    def _own(self, code: str) -> Denominator | None:
        entries = self._entries.get(code)
        if not entries:
            return None
        latest, *earlier = entries
        before = next((entry for entry in earlier if entry.as_of < latest.as_of), None)
        return Denominator(
            latest.people,
            latest.source,
            latest.as_of,
            old=self._day - latest.as_of > OLD,
            jump=before is not None
            and abs(latest.people - before.people) * 100 >= before.people * JUMP_PERCENT
            and latest.people != before.people,
        )

    def _packaged(self, code: str) -> Denominator | None:
        area = self._tree.areas.get(code)
        if self._kind != RESIDENTS or area is None or area.population is None:
            return None
        return Denominator(area.population, PACKAGED)

    def _added(self, code: str) -> Denominator:
        return added_up(self.of(child) for child in self._tree.children.get(code, ()))


def added_up(found: Iterable[Denominator]) -> Denominator:
    """The denominator of several areas together: the sum of those that are known."""
    every = list(found)
    known = [one.people for one in every if one.people is not None]
    if not known:
        return Denominator(None)
    return Denominator(
        sum(known),
        missing_children=sum(one.people is None for one in every),
        old=any(one.old for one in every),
        jump=any(one.jump for one in every),
    )
