"""What the outcomes of people are called."""

from collections.abc import Mapping

from service.reports.coverage.outcomes import PersonOutcome
from service.words.phrase import Phrase, phrase

OUTCOMES: Mapping[PersonOutcome, Phrase] = {
    PersonOutcome.REACHED: phrase("Reached"),
    PersonOutcome.TOLD: phrase("Told at the door"),
    PersonOutcome.OPEN: phrase("On the way"),
    PersonOutcome.UNKNOWN: phrase("No word"),
    PersonOutcome.FAILED: phrase("Not reached"),
    PersonOutcome.STOPPED: phrase("Stopped"),
    PersonOutcome.EXCLUDED: phrase("Left out"),
}
