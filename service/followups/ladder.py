"""The ladder for those whom a run missed, and how a visit ends (pure).

    again  ->  other_channels  ->  visit

A step begins when nothing that was sent before it is on its way any more. Who turns out to have got
a text leaves the ladder; whose number does not exist goes to the visits at once.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from service.errors import Invalid
from service.ledger.reasons import Reason
from service.words.phrase import listing, phrase


class FollowupStep(StrEnum):
    """What is tried for those whom a run missed, in this order."""

    AGAIN = "again"
    OTHER_CHANNELS = "other_channels"
    VISIT = "visit"


SENT = frozenset({FollowupStep.AGAIN, FollowupStep.OTHER_CHANNELS})
"""The steps that send a text."""


class StepState(StrEnum):
    """Where a step stands. asks: for the channels that were named, somebody has to approve."""

    WAITING = "waiting"
    ASKS = "asks"
    UNDER_WAY = "under_way"
    DONE = "done"
    SKIPPED = "skipped"


class FollowupState(StrEnum):
    """Where a follow-up stands."""

    GOING = "going"
    VISITING = "visiting"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class PersonState(StrEnum):
    """Where a person whom the run missed stands; everybody is in exactly one of these."""

    WAITING = "waiting"
    OPEN = "open"
    TOLD = "told"
    REFUSED = "refused"
    MOVED = "moved"
    NO_SUCH_PERSON = "no_such_person"
    EXCUSED = "excused"
    REACHED = "reached"
    OPTED_OUT = "opted_out"
    ERASED = "erased"
    LEFT = "left"


class VisitResult(StrEnum):
    """What came of going there."""

    TOLD = "told"
    NOT_HOME = "not_home"
    REFUSED = "refused"
    MOVED = "moved"
    NO_SUCH_PERSON = "no_such_person"
    EXCUSED = "excused"


ENDED_BY_VISIT = frozenset(
    PersonState(result.value) for result in VisitResult if result is not VisitResult.NOT_HOME
)
"""How a visit ends a person's follow-up; somebody signs off for these."""

TRIES = 3
"""So often nobody was at home before a person may be excused."""

NO_NUMBER = frozenset({Reason.EMPTY_NUMBER, Reason.DEAD_NUMBER})
"""Of whom no text can arrive: they are visited without being written to again."""

REFUSALS = frozenset({Reason.OPTED_OUT, Reason.COMPLAINT})
"""Of whom want no texts: they are visited only if the follow-up says so."""

NEVER_LEFT = frozenset({Reason.VALIDITY_OVER})
"""Of whose text was stopped although nobody decided against the person."""

TRANSIENT = frozenset({"may_not_send", "in_progress", "conflict", "wrong_state"})
"""Codes of refusals to send again that may pass: the step waits, until the run is too old."""


class StepNow(NamedTuple):
    """A step and where it stands."""

    step: FollowupStep
    state: StepState


class Moved(NamedTuple):
    """Where a person stands after a result. disputed: the result contradicts the one that ended
    the visit before.
    """

    state: PersonState
    not_home: int
    disputed: bool


def read_steps(steps: Sequence[FollowupStep]) -> list[FollowupStep]:
    """The steps of a follow-up, each once and in the order of the ladder.

    Raises:
        Invalid: there are none, or their order is another one.
    """
    if list(steps) != [step for step in FollowupStep if step in set(steps)] or not steps:
        raise Invalid.at(
            "steps",
            phrase(
                "name each step once, in this order: {steps}",
                steps=listing([step.value for step in FollowupStep]),
            ),
        )
    return list(steps)


def current_step(steps: Sequence[StepNow]) -> StepNow | None:
    """The step at which a ladder is; None: it is at its end."""
    over = {StepState.DONE, StepState.SKIPPED}
    return next((one for one in steps if one.state not in over), None)


def after_refusal(code: str, *, needs_approval: bool, age: timedelta, most: timedelta) -> StepState:
    """What becomes of a step whose text was refused to be sent, for the reason `code`.

    needs_approval: somebody could approve it. age: of the run; most: how old it may be.
    """
    if age > most:
        return StepState.SKIPPED
    if needs_approval:
        return StepState.ASKS
    return StepState.WAITING if code in TRANSIENT else StepState.SKIPPED


def after_result(state: PersonState, not_home: int, result: VisitResult) -> Moved:
    """Where a person stands after somebody went there.

    The first result that ends a visit counts. What comes later is kept, and the visit is marked if
    it says something else: nobody who was told is asked for again because two people went there.
    """
    if state is not PersonState.OPEN:
        differs = state in ENDED_BY_VISIT and result.value != state.value
        return Moved(state, not_home, disputed=differs)
    if result is VisitResult.NOT_HOME:
        return Moved(state, not_home + 1, disputed=False)
    return Moved(PersonState(result.value), not_home, disputed=False)


def check_result(
    result: VisitResult, not_home: int, *, note: str, on: date, today: date, since: date
) -> None:
    """Refuse a result that cannot be.

    not_home: how often nobody was at home before. since: the day of the run.

    Raises:
        Invalid: names the field.
    """
    if result is VisitResult.EXCUSED and not_home < TRIES:
        raise Invalid.at(
            "result",
            phrase(
                "nobody is excused before {tries} visits at which nobody was at home; there were"
                " {not_home}",
                tries=TRIES,
                not_home=not_home,
            ),
            code="too_few_tries",
        )
    if result is VisitResult.EXCUSED and not note:
        raise Invalid.at("note", phrase("say why nobody needs to go there any more"))
    if not since <= on <= today:
        raise Invalid.at("on", phrase("give a day from {since} to today", since=since.isoformat()))
