"""When a text that failed for a passing reason is tried again: once, later, or never.

Pure: the reason, the run's terms and the time come in, an instant goes out. Nothing here is for
what provably never left (it goes back at once), for a number of another network (`reroute`), or for
what may have left without an answer (never by itself).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from service.campaigns.calendar.hours import County, HourTerms
from service.ledger.reasons import Reason
from service.ledger.states import FAILED

DELAYS: Mapping[Reason, timedelta] = MappingProxyType(
    {
        # Congested or broken for a moment. Five minutes is what other senders wait.
        Reason.NETWORK: timedelta(minutes=5),
        # The handset is full: carriers say to try once more. Somebody has to delete something
        # first; how long that takes nobody has measured, so this is a choice: well behind the
        # network's, and soon enough that a warning is still one.
        Reason.MEMORY_FULL: timedelta(minutes=30),
        # Too many texts to that number: carriers say to try later. Their limits that end within a
        # day are counted by the minute and by the hour, so after an hour.
        Reason.FREQUENCY_LIMIT: timedelta(hours=1),
    }
)
"""How long after a failure its text is tried again, by reason; all other reasons: never.

Never: a dead or suspended number, a refusal of number, content or form; what is
our account's fault, and a code that nobody has explained. Nor a handset that was switched off for
as long as the carrier itself tried: a run would be open for another day.
"""


@dataclass(frozen=True, slots=True)
class RetryTerms:
    """What a run allows. valid_until: None if nobody has said when its texts are of no use."""

    hours: HourTerms
    county: County
    valid_until: datetime | None


def is_passing(state: str, reason: str | None) -> bool:
    """Whether this outcome is a failure that may be gone when the text is tried again."""
    return state in FAILED and reason in DELAYS


def due_at(reason: str | None, terms: RetryTerms, now: datetime) -> datetime | None:
    """When a text that fails for this reason now may leave again; None: it stays failed.

    Only within the send hours, which warnings have not, and before the validity is over; without
    an end of the validity never, since nobody has said until when it may be tried.
    """
    if reason is None or reason not in DELAYS or terms.valid_until is None:
        return None
    at = terms.county.next_opening(now + DELAYS[Reason(reason)], terms.hours)
    return at if at < terms.valid_until else None
