"""What a carrier's code means, in words that all protocols share.

Each protocol's `status` module has the tables from its codes to these.
"""

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What a submit response says of one part."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    THROTTLED = "throttled"
    UNANSWERED = "unanswered"  # the carrier does not know either: it may have left


class State(StrEnum):
    """What a state report says of one part; all but buffered are final."""

    BUFFERED = "buffered"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a part was refused or not delivered."""

    NONE = ""
    EMPTY_NUMBER = "empty_number"
    SUSPENDED = "suspended"
    POWERED_OFF = "powered_off"
    BLACKLISTED = "blacklisted"
    MEMORY_FULL = "memory_full"
    PORTED = "ported"
    CONTENT_FILTER = "content_filter"
    FREQUENCY_LIMIT = "frequency_limit"
    NETWORK = "network"
    ACCOUNT = "account"  # our account or its configuration
    FORMAT = "format"  # what we wrote does not suit the carrier
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SubmitMeaning:
    """What a submit result means, with the carrier's words for a person."""

    answer: Answer
    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class ReportMeaning:
    """What the status of a state report means."""

    state: State
    reason: Reason


@dataclass(frozen=True, slots=True)
class LoginMeaning:
    """What a refused login means; retryable: may succeed later without anybody's doing."""

    retryable: bool
    text: str
