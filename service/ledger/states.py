"""The states of the ledger and the moves between them (docs/architecture.md, invariant I1).

Writing it belongs to `dispatch` (expansion, hand-off) and `delivery` (receipts); each statement
there moves rows only along MOVES, and a test holds the two against each other.
"""

from enum import StrEnum


class MessageState(StrEnum):
    """Where one recipient's text stands; the same word in SQL, Python and JSON."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    UNCERTAIN = "uncertain"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


OPEN = frozenset(
    {
        MessageState.QUEUED,
        MessageState.SUBMITTING,
        MessageState.SUBMITTED,
        MessageState.UNCERTAIN,
    }
)
FINAL = frozenset(MessageState) - OPEN

_RESULTS = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.UNDELIVERED,
        MessageState.EXPIRED,
        MessageState.REJECTED,
        MessageState.UNKNOWN,
    }
)

MOVES: dict[MessageState, frozenset[MessageState]] = {
    MessageState.QUEUED: frozenset(
        {
            MessageState.SUBMITTING,
            MessageState.SUPPRESSED,
            MessageState.CANCELLED,
            # An earlier hand-off has arrived after all: whole, or in part and then it stays failed,
            # or unknown if it was in doubt.
            MessageState.DELIVERED,
            MessageState.UNDELIVERED,
            MessageState.EXPIRED,
            MessageState.REJECTED,
            MessageState.UNKNOWN,
        }
    ),
    MessageState.SUBMITTING: frozenset(
        {
            MessageState.QUEUED,  # marked, but provably never written
            MessageState.CANCELLED,  # the same, after a cancel
            MessageState.SUBMITTED,
            MessageState.REJECTED,
            MessageState.UNCERTAIN,
        }
    ),
    MessageState.SUBMITTED: _RESULTS,
    MessageState.UNCERTAIN: _RESULTS
    | {MessageState.SUBMITTED, MessageState.QUEUED, MessageState.CANCELLED},
    MessageState.UNKNOWN: _RESULTS - {MessageState.UNKNOWN},  # 72 h of silence yields to a receipt
    MessageState.DELIVERED: frozenset(),
    # A failure may be followed by another hand-off: once on another lane, if another network serves
    # the number, and once later, if its reason may have passed by then.
    MessageState.UNDELIVERED: frozenset({MessageState.QUEUED}),
    MessageState.EXPIRED: frozenset({MessageState.QUEUED}),
    MessageState.REJECTED: frozenset({MessageState.QUEUED}),  # the same, refused at the submit
    MessageState.SUPPRESSED: frozenset(),
    MessageState.CANCELLED: frozenset(),
}
