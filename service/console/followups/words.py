"""What the steps, states and results of follow-ups are called."""

from collections.abc import Mapping
from typing import Final

from service.reports.weekly import weekly_words
from service.words.phrase import Phrase, phrase

STEPS: Final[Mapping[str, Phrase]] = {
    "again": phrase("Sent again"),
    "other_channels": phrase("Over other channels"),
    "visit": phrase("Visits"),
}
STEP_STATES: Final[Mapping[str, tuple[str, Phrase]]] = {
    "waiting": ("idle", phrase("not yet")),
    "asks": ("warn", phrase("waits for an approver")),
    "under_way": ("run", phrase("under way")),
    "done": ("done", phrase("done")),
    "skipped": ("idle", phrase("left out")),
}
"""By step state: the tone of its tag, and its word."""

STATES: Final[Mapping[str, tuple[str, Phrase]]] = {
    "going": ("run", phrase("being sent again")),
    "visiting": ("warn", phrase("being visited")),
    "closed": ("done", phrase("closed")),
    "cancelled": ("idle", phrase("ended early")),
}
PEOPLE: Final[Mapping[str, Phrase]] = {
    "waiting": phrase("texts tried"),
    "open": phrase("to be visited"),
    "told": phrase("told at the door"),
    "refused": phrase("did not want to hear it"),
    "moved": phrase("moved away"),
    "no_such_person": phrase("no such person"),
    "excused": phrase("excused"),
    "reached": phrase("reached after all"),
    "opted_out": phrase("wants no texts"),
    "erased": phrase("erased"),
    "left": phrase("not visited"),
}
"""Where somebody stands, in the order of the ladder; together they are all who were missed."""

RESULTS: Final[Mapping[str, Phrase]] = weekly_words.RESULTS
CORRECTIONS: Final[Mapping[str, tuple[str, Phrase]]] = {
    "proposed": ("warn", phrase("waits to be confirmed")),
    "confirmed": ("done", phrase("on a list")),
    "dropped": ("idle", phrase("dropped")),
    "superseded": ("idle", phrase("another number was confirmed")),
    "lapsed": ("idle", phrase("forgotten before anybody decided")),
}
ROUND_STATES: Final[Mapping[str, tuple[str, Phrase]]] = {
    "open": ("run", phrase("under way")),
    "closed": ("done", phrase("closed")),
    "cancelled": ("idle", phrase("ended early")),
    "expired": ("idle", phrase("over; nobody ended it")),
}
HOUSEHOLDS: Final[Mapping[str, Phrase]] = {
    "told": phrase("Told"),
    "open": phrase("Not at home"),
    "refused": phrase("Did not want to hear it"),
    "moved": phrase("Moved away"),
    "excused": phrase("Excused"),
}
"""Where a household stands to which somebody went; together they are all visited."""

ROUND_FLAGS: Final[Mapping[str, Phrase]] = {
    "denominator_suspect": phrase("more households visited than there are"),
    "denominator_old": phrase("the number is older than 400 days"),
    "denominator_jump": phrase("the number is a tenth off the one before"),
    "children_missing": phrase("areas below without a number"),
}
WHY: Final[Mapping[str, Phrase]] = {
    "nobody_missed": phrase("nobody could be written to again"),
    "too_old": phrase("the run is older than 7 days"),
    "corrected": phrase("the text was corrected"),
    "no_other_channel": phrase("no other channels were named"),
    "forbidden": phrase("these channels were not approved"),
    "second_person_needed": phrase("these channels were not approved"),
    "may_not_send": phrase("nothing may be sent now"),
    "in_progress": phrase("another list is being written"),
    "conflict": phrase("another run began at that moment"),
    "wrong_state": phrase("the campaign is paused, held or over"),
    "needs_campaign": phrase("a warning over other channels takes a campaign of its own"),
    "changed_since_submission": phrase("the campaign has another text by now"),
    "run_not_sent": phrase("the run was ended before it was sent"),
    "cancelled": phrase("the follow-up was ended"),
    "person": phrase("somebody decided so"),
}
"""Why a step was left out or waits, by the codes that most often say so."""


def why(code: str) -> Phrase:
    """Why a step was left out or waits."""
    return WHY.get(code) or phrase("it was refused ({code})", code=code)
