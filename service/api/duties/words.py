"""What states, kinds and steps of duties are called."""

from collections.abc import Mapping
from typing import Final

from service.words.phrase import Phrase, phrase

STATES: Final[Mapping[str, Phrase]] = {
    "open": phrase("to be handed in"),
    "submitted": phrase("handed in"),
    "accepted": phrase("accepted as handed in"),
    "returned": phrase("returned to the unit"),
    "excused": phrase("excused from handing in"),
    "missed": phrase("missed"),
}
KINDS: Final[Mapping[str, Phrase]] = {
    "weekly_report": phrase("weekly report"),
    "send": phrase("a text sent"),
    "visits": phrase("a household round"),
    "relay": phrase("a text passed on"),
    "roster": phrase("a list kept up to date"),
    "custom": phrase("another report"),
}
TICKED_BY: Final[Mapping[str, Phrase]] = {
    "send": phrase("It is ticked once the unit has sent what is asked for and the run is settled."),
    "visits": phrase(
        "It is ticked once a household round of the unit is closed: each village is signed."
    ),
    "relay": phrase(
        "It is ticked once everybody of the first level who could be reached"
        " has passed the text on."
    ),
    "roster": phrase("It is ticked once the unit has imported its list again, or confirmed it."),
}
"""Of the kinds that facts fulfil: which."""
STEPS: Final[Mapping[str, Phrase]] = {
    "workday_before": phrase("reminder on the working day before"),
    "two_hours_before": phrase("reminder two hours before"),
    "late": phrase("late: the liaison"),
    "leader": phrase("late: the leader in charge"),
    "office": phrase("late: whoever asks for it"),
    "missed_leader": phrase("missed twice: the leader in charge"),
    "missed_above": phrase("missed twice: the leader above"),
}
SKIPPED: Final[Mapping[str, Phrase]] = {
    "overtaken": phrase("the deadline was over by then"),
    "too_late": phrase("three days had passed"),
    "handed_in": phrase("it was in"),
    "nobody": phrase("nobody is named"),
    "no_text": phrase("no approved text is chosen"),
    "no_such_class": phrase("the department may not send service texts"),
    "bad_values": phrase("its name does not go into the text"),
}
"""Why nobody was told; other codes are reasons of the ledger."""
