"""What carriers answer, in words that all protocols share; each protocol's tables lead here.

Why a part was refused or not delivered is a `ledger.reasons.Reason` of `Place.CARRIER`.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one submit, as far as its own answer can tell.

    The first two are final. UNANSWERED may have left. All others provably have not: they are sent
    again later, and none of them uses a retry.
    """

    ACCEPTED = "accepted"  # the carrier took it and gave a reference
    REJECTED = "rejected"  # the carrier refused it for good
    UNANSWERED = "unanswered"  # written, and nobody knows: it may have left
    NOT_SENT = "not_sent"  # provably never written
    THROTTLED = "throttled"  # "too fast"
    REFUSED_LOT = "refused_lot"  # several recipients, none taken because of one: send each alone
    SUSPENDED = "suspended"  # the account may not send for now: no balance, barred, not set up
    DAILY_LIMIT = "daily_limit"  # the account's amount of the day is used up


class ReceiptState(StrEnum):
    """What a state report says of one part; all but `BUFFERED` are final."""

    BUFFERED = "buffered"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
