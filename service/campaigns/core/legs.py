"""A joint plan and its legs: one text on the lists of several departments (pure).

The plan is a campaign of the county or the police that has legs in place of an audience, and makes
no run itself. Each leg is asked of one department, above all of a carrier for its own base
(docs/joint-plans.md). Once somebody of that department has taken it, it is a campaign of the
department, with the text, the schedule and the approvals of the plan.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from service.audience.segments.segment import canonical, parse
from service.errors import Conflict
from service.words.phrase import phrase

MOST_LEGS = 50
"""How many departments a joint plan may ask."""

_FIRES = UUID("0b6b3a64-2c36-5f0e-9d1b-6f1f5a0f4c11")
"""The name space of joint fires; any constant would do, and it must never change."""


class LegState(StrEnum):
    """Where a leg stands; the same word in SQL, Python and JSON."""

    PLANNED = "planned"
    ASKED = "asked"
    TAKEN = "taken"
    RETURNED = "returned"
    LEFT_OUT = "left_out"
    CANCELLED = "cancelled"


LEG_MOVES: dict[LegState, frozenset[LegState]] = {
    LegState.ASKED: frozenset({LegState.PLANNED, LegState.RETURNED, LegState.LEFT_OUT}),
    LegState.TAKEN: frozenset({LegState.ASKED}),
    LegState.RETURNED: frozenset({LegState.ASKED}),
    LegState.LEFT_OUT: frozenset({LegState.ASKED, LegState.RETURNED}),
    LegState.CANCELLED: frozenset({LegState.ASKED, LegState.RETURNED}),
    LegState.PLANNED: frozenset({LegState.ASKED, LegState.RETURNED}),
}
"""Each state of a leg, and from which it comes. A taken leg is steered as a campaign. A planned one
stays so when its plan is cancelled or rejected: its department was not asked, and sees no draft.
"""


class WrongLegState(Conflict):
    """The leg's state does not allow the act."""

    code = "wrong_state"

    def __init__(self, to: LegState, state: LegState) -> None:
        super().__init__(
            phrase("the leg cannot be {done}: {why}", done=_ACTS[to], why=_STANDS[state])
        )


_ACTS: dict[LegState, str] = {
    LegState.PLANNED: phrase("withdrawn"),
    LegState.ASKED: phrase("asked for again"),
    LegState.TAKEN: phrase("taken"),
    LegState.RETURNED: phrase("returned"),
    LegState.LEFT_OUT: phrase("left out"),
    LegState.CANCELLED: phrase("cancelled"),
}
_STANDS: dict[LegState, str] = {
    LegState.PLANNED: phrase("its plan is not approved, so its department was not asked"),
    LegState.ASKED: phrase("its department was asked, and has not answered yet"),
    LegState.TAKEN: phrase(
        "its department has taken it; pause or cancel its campaign, or the whole plan"
    ),
    LegState.RETURNED: phrase("its department has returned it; whoever planned it may ask again"),
    LegState.LEFT_OUT: phrase("its plan is over, and its department had not taken it"),
    LegState.CANCELLED: phrase("its plan was cancelled"),
}


@dataclass(frozen=True, slots=True)
class LegAsk:
    """What a plan asks of a department. areas: codes of the area tree; empty: all its people."""

    department_id: UUID
    areas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakenAs:
    """How a department has taken its leg: as it was asked, or narrower. people: of how many, as its
    campaign stands; areas: empty for all its people; channels: None for the router's choice.
    """

    people: int
    areas: tuple[str, ...]
    send_hours: tuple[tuple[str, str], ...]
    channels: tuple[int, ...] | None
    max_tps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A leg as it stands. department: its name; carrier: whose network it runs, if any.

    plan, planned_by: the name of the joint plan, and of the department that planned it. areas: what
    is asked of it, which may be less than approved_areas once it was asked for again.
    own_campaign_id, own_state, taken_as: its campaign, once it was taken. paused_by: somebody of
    its own department who paused it.
    """

    id: UUID
    campaign_id: UUID
    plan: str
    planned_by: str
    department_id: UUID
    department: str
    carrier: str | None
    areas: tuple[str, ...]
    approved_areas: tuple[str, ...]
    state: LegState
    taken_by: UUID | None
    taken_at: datetime | None
    own_campaign_id: UUID | None
    own_state: str | None
    taken_as: TakenAs | None
    paused_by: UUID | None
    paused_at: datetime | None


def leg_rule(department: str, areas: Sequence[str]) -> str:
    """Whom a leg means: the people whom a department's lists hold, of these areas."""
    held = f"department = {_quoted(department)}"
    if not areas:
        return canonical(parse(held))
    listed = ", ".join(_quoted(code) for code in sorted(areas))
    return canonical(parse(f"{held} and area in ({listed})"))


def joint_rule(legs: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Whom a joint plan means in all, for those who approve it: each department and its areas."""
    parts = [f"({leg_rule(department, areas)})" for department, areas in sorted(legs)]
    rule = " or ".join(parts)
    return canonical(parse(rule, max_characters=len(rule)))


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def fire_of_plan(plan_id: UUID, planned_at: datetime) -> UUID:
    """What the runs of all legs for one fire of a joint plan have in common."""
    return uuid.uuid5(_FIRES, f"{plan_id} {planned_at.astimezone(UTC).isoformat()}")


def fire_of_step(fire: UUID, text_no: int) -> UUID:
    """The same for a later text of a sequence that began with a joint fire."""
    return uuid.uuid5(_FIRES, f"{fire} {text_no}")
