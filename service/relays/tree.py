"""The tree of a relay: who passes a text on to whom, and when each is due (pure).

A station asks the persons of the first level, each of these passes it on to those below, and the
last level are the owners of groups. Somebody belongs below whoever is of the same unit; else below
whoever answers for the nearest area around; of several, below the one who has the fewest.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from heapq import heapreplace
from typing import NamedTuple
from uuid import UUID

from service.clock import CHINA

OWNERS = "group_owner"
"""The role of the last level."""
MOST_LEVELS = 3

PATIENCE = timedelta(hours=24)
"""So long after its text somebody may pass it on; then those below get theirs from above."""
MORNING = time(8, 30)
"""At this hour of the next morning whoever answered 2 is asked once more."""
LATE_ANSWERS = timedelta(days=7)
"""So long after its end answers to a relay are read."""


class RelayState(StrEnum):
    """Where a relay stands."""

    GOING = "going"
    OVER = "over"
    CANCELLED = "cancelled"


class RelayFilter(NamedTuple):
    """Which relays. first, last: for this week or later, for this week or before."""

    department_id: UUID | None
    week: str | None
    first: str | None
    last: str | None
    state: str | None


class NodeState(StrEnum):
    """Where somebody in the tree stands."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    UNREACHABLE = "unreachable"
    SILENT = "silent"


class DoneVia(StrEnum):
    """How somebody acknowledged: by text, on the page, or the one above said so."""

    SMS = "sms"
    PAGE = "page"
    PARENT = "parent"


class RelayPerson(NamedTuple):
    """Somebody of a level above the groups. units: college, school, firm and office, folded."""

    contact_id: UUID
    area_code: str
    units: frozenset[str]


class RelayGroup(NamedTuple):
    """A group and its owner. unit: folded; "": none."""

    id: UUID
    contact_id: UUID
    area_code: str
    unit: str


class NewNode(NamedTuple):
    """A place in the tree. no: from 1 on, those above before those below. parent_no: None: right
    below the station.
    """

    no: int
    level: int
    parent_no: int | None
    group_id: UUID | None
    area_code: str
    contact_id: UUID


def with_holders(
    listed: Sequence[RelayPerson], holders: Sequence[RelayPerson]
) -> list[RelayPerson]:
    """The people of a role: whom lists name, and to whom posts of it were handed. Who is both is
    one person with the units of both.
    """
    people = {one.contact_id: one for one in listed}
    for one in holders:
        known = people.get(one.contact_id, one)
        people[one.contact_id] = known._replace(
            area_code=one.area_code or known.area_code, units=known.units | one.units
        )
    return sorted(people.values(), key=lambda one: (one.area_code, one.contact_id))


def freeze(
    levels: Sequence[Sequence[RelayPerson]],
    groups: Sequence[RelayGroup],
    parent_of: Mapping[str, str],
) -> list[NewNode]:
    """The tree of these persons, level by level, and of these groups. parent_of: the area around
    each area.

    Whoever has nobody above is right below the station, so no branch depends on a gap in a list.
    """
    nodes: list[NewNode] = []
    above = _Above([])
    for level, people in enumerate(levels, 1):
        placed: list[tuple[int, RelayPerson]] = []
        for person in people:
            parent = above.take_parent(person.units, person.area_code, parent_of)
            no = len(nodes) + 1
            nodes.append(NewNode(no, level, parent, None, person.area_code, person.contact_id))
            placed.append((no, person))
        if placed:
            above = _Above(placed)
    for group in groups:
        units = frozenset({group.unit} - {""})
        parent = above.take_parent(units, group.area_code, parent_of)
        node = NewNode(
            len(nodes) + 1, len(levels) + 1, parent, group.id, group.area_code, group.contact_id
        )
        nodes.append(node)
    return nodes


def groups_of(nodes: Sequence[NewNode]) -> dict[int, list[UUID]]:
    """By place, the groups that its text names: all those of an owner, or those right below
    somebody; as `node_store` reads them once the tree is kept.
    """
    own: dict[UUID, list[UUID]] = defaultdict(list)
    below: dict[int | None, list[UUID]] = defaultdict(list)
    for node in nodes:
        if node.group_id is not None:
            own[node.contact_id].append(node.group_id)
            below[node.parent_no].append(node.group_id)
    return {
        node.no: below[node.no] if node.group_id is None else own[node.contact_id] for node in nodes
    }


class _Above:
    """The persons of the level above, by unit and by area.

    Each heap has (how many are below, place). A count grows only, so an entry that is behind is put
    right when it comes to the top.
    """

    def __init__(self, people: Sequence[tuple[int, RelayPerson]]) -> None:
        self._below: Counter[int] = Counter()
        self._of_unit: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._of_area: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for no, person in people:  # in the order of places each list is a heap
            self._of_area[person.area_code].append((0, no))
            for unit in person.units:
                self._of_unit[unit].append((0, no))

    def take_parent(
        self, units: frozenset[str], area: str, parent_of: Mapping[str, str]
    ) -> int | None:
        """Who is above; noted as one more below them. None: nobody."""
        fitting = [top for unit in units if (top := self._fewest(self._of_unit.get(unit)))]
        for code in () if fitting else _around(area, parent_of):
            if top := self._fewest(self._of_area.get(code)):
                fitting = [top]
                break
        if not fitting:
            return None
        _, chosen = min(fitting)
        self._below[chosen] += 1
        return chosen

    def _fewest(self, heap: list[tuple[int, int]] | None) -> tuple[int, int] | None:
        if heap is None:
            return None
        while heap[0][0] < self._below[heap[0][1]]:
            no = heap[0][1]
            heapreplace(heap, (self._below[no], no))
        return heap[0]


def _around(area: str, parent_of: Mapping[str, str]) -> Iterator[str]:
    """An area, and those around it from the nearest on."""
    while area:
        yield area
        area = parent_of.get(area, "")


def asked_again_at(answered_at: datetime) -> datetime:
    """When whoever answered "not yet" is asked once more: the next morning."""
    local = answered_at.astimezone(CHINA)
    morning = datetime.combine(local.date(), MORNING, CHINA)
    return morning if morning > local else morning + timedelta(days=1)


def percent(confirmed: int, groups: int) -> float | None:
    """Confirmed of groups in percent, one decimal; None: there are none."""
    return None if groups == 0 else round(confirmed * 1000 / groups + 1e-9) / 10
