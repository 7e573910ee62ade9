"""Whose turn it is on a channel: priorities with a floor, departments by weight (pure).

Within a priority it is start-time fair queueing: each department has a virtual time, the parts
that it had divided by its weight, and the one that is furthest behind comes next. A department that
comes anew begins at the present of its priority, the start of the latest turn, so that it neither
waits for those who are ahead nor is given what it did not ask for while it was away.

Of the priorities the most urgent comes first, but each lower one that has work is owed a share of
whatever is handed off meanwhile, and is served as soon as that is a whole part.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

FLOOR = 0.05
"""The share of the hand-off that a priority with work gets however much there is of more urgent."""

LAG = 100.0
"""Parts a unit of weight that a department may be behind the present and still catch up: one that
could not use its share, for want of connections or by its own pace, does not save it up for ever.
"""


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """The texts of one department in one priority; 0 is the most urgent."""

    priority: int
    department: uuid.UUID


@dataclass(frozen=True, slots=True)
class FlowStanding:
    """How a department stands in a priority of a channel, as all its connections have told.

    time: virtual time. started: what it was before its last turn.
    """

    time: float
    started: float
    weight: int


@dataclass(slots=True)
class Charge:
    """What a connection has handed off and not told yet.

    began: the least virtual time from which it counts. started: that before the last turn.
    """

    parts: int
    began: float
    started: float
    weight: int

    @property
    def advance(self) -> float:
        """How far it moves the virtual time."""
        return self.parts / self.weight


class Turns:
    """The turns on one connection. What its peers handed off comes in by `learn`."""

    def __init__(self) -> None:
        self._weights: dict[Flow, int] = {}
        self._times: dict[Flow, float] = {}
        self._present: dict[int, float] = {}
        self._owed: dict[int, float] = {}
        self._charges: dict[Flow, Charge] = {}

    def learn(self, standings: Mapping[Flow, FlowStanding]) -> None:
        """How all departments stand now, with what this connection told and without what not."""
        for flow, standing in standings.items():
            self._weights[flow] = standing.weight
            untold = self._charges.get(flow)
            self._times[flow] = standing.time + (untold.advance if untold else 0.0)
            present = self._present.get(flow.priority, 0.0)
            self._present[flow.priority] = max(present, standing.started)

    def enter(self, flow: Flow, weight: int) -> None:
        """A department has work of this priority that it had not: it begins at the present."""
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
        began = self._time(flow)
        weight = self._weights[flow]
        note = self._charges.setdefault(flow, Charge(0, began, began, weight))
        note.parts += parts
        note.started = began
        self._times[flow] = began + parts / weight
        self._present[flow.priority] = max(self._present.get(flow.priority, 0.0), began)

    def untold(self) -> dict[Flow, Charge]:
        """What is to be told to the other connections."""
        return dict(self._charges)

    def told(self, charges: Mapping[Flow, Charge]) -> None:
        """These were told, and nothing was handed off meanwhile."""
        for flow in charges:
            self._charges.pop(flow, None)

    def _time(self, flow: Flow) -> float:
        """Its virtual time, no further behind the present than it may be."""
        present = self._present.get(flow.priority, 0.0)
        return max(self._times.get(flow, present), present - LAG)

    def _owe(self, served: int, parts: int, priorities: Collection[int]) -> None:
        """Count what the lower priorities are owed; one without work is owed nothing."""
        top = min(priorities)
        self._owed = {p: self._owed.get(p, 0.0) for p in priorities if p != top}
        for priority in self._owed:
            self._owed[priority] += FLOOR * parts - (parts if priority == served else 0)
