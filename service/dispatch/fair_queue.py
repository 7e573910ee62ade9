"""Whose turn it is on a channel: by priority with a floor, and by the departments' weights (pure).

Within a priority this is start-time fair queueing. Each department has a virtual time: the parts
that it has handed off, divided by its weight. The department with the least virtual time comes
next. A department that has work again begins at the present of its priority, which is the virtual
time at which the latest turn began. So it does not wait for departments that are ahead, and does
not catch up on turns that it did not need.

Between priorities the most urgent one comes first. Each lower priority that has work is owed the
share FLOOR of the parts that are handed off meanwhile, and has a turn once it is owed a whole part.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

FLOOR = 0.05
"""The share that a priority with work gets, however much more urgent work there is."""

MAX_LAG = 100.0
"""How far a department may be behind the present, in parts per unit of weight. A department that
could not use its share, for lack of connections or because of its own pace, saves up only so much.
"""


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """The texts of one department at one priority, of which 0 is the most urgent."""

    priority: int
    department: uuid.UUID


@dataclass(frozen=True, slots=True)
class FlowStanding:
    """Where a department stands at one priority of a channel, as the channel's connections report.

    time: its virtual time. last_start: its virtual time before its last turn.
    """

    time: float
    last_start: float
    weight: int


@dataclass(slots=True)
class Charge:
    """What a connection has handed off and not written to the database yet.

    first_start: the department's virtual time before the first of these parts; a greater one in the
    database counts instead. last_start: its virtual time before the last turn.
    """

    parts: int
    first_start: float
    last_start: float
    weight: int

    @property
    def advance(self) -> float:
        """How far it moves the virtual time."""
        return self.parts / self.weight


class Turns:
    """The turns on one connection. What its peers handed off comes in by `take_standings`."""

    def __init__(self) -> None:
        self._weights: dict[Flow, int] = {}
        self._times: dict[Flow, float] = {}
        self._present: dict[int, float] = {}
        self._owed: dict[int, float] = {}
        self._charges: dict[Flow, Charge] = {}

    def take_standings(self, standings: Mapping[Flow, FlowStanding]) -> None:
        """Take over the standings in the database, and add the parts that are not written there."""
        for flow, standing in standings.items():
            self._weights[flow] = standing.weight
            unwritten = self._charges.get(flow)
            self._times[flow] = standing.time + (unwritten.advance if unwritten else 0.0)
            present = self._present.get(flow.priority, 0.0)
            self._present[flow.priority] = max(present, standing.last_start)

    def enter(self, flow: Flow, weight: int) -> None:
        """Note that a department has work at this priority; it begins at the present or later."""
        self._weights[flow] = weight
        self._times[flow] = max(self._times.get(flow, 0.0), self._present.get(flow.priority, 0.0))

    def pick(self, waiting: Collection[Flow]) -> Flow:
        """Who comes next of those (at least one) that have something to hand off now."""
        priorities = {flow.priority for flow in waiting}
        top = min(priorities)
        owed = {p: self._owed.get(p, 0.0) for p in priorities if p != top}
        chosen = max(owed, key=lambda p: (owed[p], -p), default=top)
        if chosen != top and owed[chosen] < 1:
            chosen = top
        return min(
            (flow for flow in waiting if flow.priority == chosen),
            key=lambda flow: (self._time(flow), flow.department),
        )

    def charge(self, flow: Flow, parts: int, waiting: Collection[Flow]) -> None:
        """Note that `flow` has handed off so many parts, while those in `waiting` could have."""
        if parts < 1:
            return
        self._owe(flow.priority, parts, {other.priority for other in waiting} | {flow.priority})
        start = self._time(flow)
        weight = self._weights[flow]
        note = self._charges.setdefault(flow, Charge(0, start, start, weight))
        note.parts += parts
        note.last_start = start
        self._times[flow] = start + parts / weight
        self._present[flow.priority] = max(self._present.get(flow.priority, 0.0), start)

    def unwritten(self) -> dict[Flow, Charge]:
        """The charges that are not in the database yet, where the other connections read them."""
        return dict(self._charges)

    def mark_written(self, charges: Mapping[Flow, Charge]) -> None:
        """Forget charges that are in the database. None may have been added since `unwritten`."""
        for flow in charges:
            self._charges.pop(flow, None)

    def _time(self, flow: Flow) -> float:
        """The virtual time of a department, at most MAX_LAG behind the present."""
        present = self._present.get(flow.priority, 0.0)
        return max(self._times.get(flow, present), present - MAX_LAG)

    def _owe(self, served: int, parts: int, priorities: Collection[int]) -> None:
        """Count what each lower priority with work is owed; without work it loses that."""
        top = min(priorities)
        self._owed = {p: self._owed.get(p, 0.0) for p in priorities if p != top}
        for priority in self._owed:
            self._owed[priority] += FLOOR * parts - (parts if priority == served else 0)
