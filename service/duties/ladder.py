"""Who is told what of a duty, and when: reminders before it is due, and the ladder after (pure)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from service.campaigns.calendar.holidays import Holidays
from service.clock import CHINA
from service.delivery.notices.robot import RobotNotice
from service.duties.deadline import Remind, reminders, workday_after


class DutyState(StrEnum):
    """Where a duty stands; it is in exactly one of these. missed: not in when the next one was due.
    excused: the county asks for it no more, and it is not counted.
    """

    OPEN = "open"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    EXCUSED = "excused"
    MISSED = "missed"


OWED = frozenset({DutyState.OPEN, DutyState.RETURNED})
"""The states in which something is still to be handed in."""


class DutyStep(StrEnum):
    """A step of the ladder of one duty, in its order; each is taken once at most."""

    WORKDAY_BEFORE = "workday_before"
    TWO_HOURS_BEFORE = "two_hours_before"
    LATE = "late"
    LEADER = "leader"
    OFFICE = "office"
    MISSED_LEADER = "missed_leader"
    MISSED_ABOVE = "missed_above"


class Rung(StrEnum):
    """What of the ladder after the deadline an obligation uses; data, so that it can be changed."""

    LATE = "late"
    LEADER = "leader"
    OFFICE = "office"
    MISSED = "missed"


class TextKind(StrEnum):
    """For what a text is chosen; all duties of one kind that a person is told of are one text."""

    REMINDER = "reminder"
    LATE = "late"
    LEADER = "leader"
    OFFICE = "office"
    MISSED = "missed"


class Addressee(StrEnum):
    """Who is told: the unit's liaison, its leader in charge, the liaison of whoever set the
    obligation, or the leader of the department above.
    """

    LIAISON = "liaison"
    LEADER = "leader"
    OFFICE = "office"
    LEADER_ABOVE = "leader_above"


ADDRESSEES: Mapping[DutyStep, Addressee] = {
    DutyStep.WORKDAY_BEFORE: Addressee.LIAISON,
    DutyStep.TWO_HOURS_BEFORE: Addressee.LIAISON,
    DutyStep.LATE: Addressee.LIAISON,
    DutyStep.LEADER: Addressee.LEADER,
    DutyStep.OFFICE: Addressee.OFFICE,
    DutyStep.MISSED_LEADER: Addressee.LEADER,
    DutyStep.MISSED_ABOVE: Addressee.LEADER_ABOVE,
}
TEXTS: Mapping[DutyStep, TextKind] = {
    DutyStep.WORKDAY_BEFORE: TextKind.REMINDER,
    DutyStep.TWO_HOURS_BEFORE: TextKind.REMINDER,
    DutyStep.LATE: TextKind.LATE,
    DutyStep.LEADER: TextKind.LEADER,
    DutyStep.OFFICE: TextKind.OFFICE,
    DutyStep.MISSED_LEADER: TextKind.MISSED,
    DutyStep.MISSED_ABOVE: TextKind.MISSED,
}
GROUPS: Mapping[TextKind, RobotNotice] = {
    TextKind.REMINDER: RobotNotice.REMINDER,
    TextKind.LATE: RobotNotice.LATE,
    TextKind.LEADER: RobotNotice.LATE,
    TextKind.OFFICE: RobotNotice.LATE_LIST,
    TextKind.MISSED: RobotNotice.LATE,
}
"""As what the work groups of whoever is told are told of it, beside the person."""
_REMINDERS = {
    Remind.WORKDAY_BEFORE: DutyStep.WORKDAY_BEFORE,
    Remind.TWO_HOURS_BEFORE: DutyStep.TWO_HOURS_BEFORE,
}
BEFORE = frozenset(_REMINDERS.values())
"""The steps that make no sense any more once the deadline is over."""

MISSED_STEPS = (DutyStep.MISSED_LEADER, DutyStep.MISSED_ABOVE)

LATE_AFTER, LEADER_AFTER = timedelta(minutes=1), timedelta(hours=1)
OFFICE_AT = time(9)
TOLD_WITHIN = timedelta(days=3)
"""What could not be told by then is not told any more, such as after a long standstill."""


class StepSkip(StrEnum):
    """Why nobody was told. overtaken: the deadline was over before the reminder could be made."""

    OVERTAKEN = "overtaken"
    TOO_LATE = "too_late"
    HANDED_IN = "handed_in"
    NOBODY = "nobody"
    NO_TEXT = "no_text"
    NO_SUCH_CLASS = "no_such_class"
    BAD_VALUES = "bad_values"


class PlannedStep(NamedTuple):
    """A step and its moment."""

    step: DutyStep
    at: datetime


class TakenStep(NamedTuple):
    """A step whose moment has come. skipped: why nobody is told; None: somebody is to be."""

    step: DutyStep
    at: datetime
    skipped: StepSkip | None


def plan_steps(
    due_at: datetime, remind: Sequence[Remind], rungs: Collection[Rung], calendar: Holidays
) -> list[PlannedStep]:
    """The steps of a duty that is due then, in the order of their moments."""
    moments = reminders(due_at, list(remind), calendar)
    planned = [PlannedStep(_REMINDERS[one], at) for one, at in moments.items()]
    if Rung.LATE in rungs:
        planned.append(PlannedStep(DutyStep.LATE, due_at + LATE_AFTER))
    if Rung.LEADER in rungs:
        planned.append(PlannedStep(DutyStep.LEADER, due_at + LEADER_AFTER))
    if Rung.OFFICE in rungs:
        day = workday_after(due_at.astimezone(CHINA).date(), calendar)
        planned.append(PlannedStep(DutyStep.OFFICE, datetime.combine(day, OFFICE_AT, CHINA)))
    return sorted(planned, key=lambda one: one.at)


def steps_due(
    planned: Sequence[PlannedStep], taken: Collection[str], due_at: datetime, now: datetime
) -> list[TakenStep]:
    """The steps whose moment has come and that were not taken, with why nobody is told of one."""
    return [
        TakenStep(one.step, one.at, _skip(one, due_at, now))
        for one in planned
        if one.at <= now and one.step not in taken
    ]


def next_look(
    planned: Sequence[PlannedStep], missed_at: datetime | None, now: datetime
) -> datetime | None:
    """When something of a duty is to be done next; None: nothing any more."""
    moments = [one.at for one in planned if one.at > now]
    if missed_at is not None:
        moments.append(missed_at)
    return min(moments, default=None)


def _skip(one: PlannedStep, due_at: datetime, now: datetime) -> StepSkip | None:
    if one.step in BEFORE:
        return StepSkip.OVERTAKEN if now >= due_at else None
    return StepSkip.TOO_LATE if now - one.at > TOLD_WITHIN else None
