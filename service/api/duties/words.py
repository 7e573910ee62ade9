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
    "custom": phrase("another report"),
}
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
