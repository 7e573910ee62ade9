"""What a person came to in a scope: one of a few outcomes, the best of all their texts (pure)."""

from collections.abc import Mapping
from enum import StrEnum

from service.ledger.states import FAILED, NEVER_SENT, MessageState, sql_list


class PersonOutcome(StrEnum):
    """What a person came to; the first in this order counts where several texts say something.

    told: no text arrived, and somebody told them face to face (a visit of a follow-up). unknown: no
    receipt for 72 hours, or a hand-off without an answer. excluded: left out at the expansion,
    outside the target.
    """

    REACHED = "reached"
    TOLD = "told"
    OPEN = "open"
    UNKNOWN = "unknown"
    FAILED = "failed"
    STOPPED = "stopped"
    EXCLUDED = "excluded"


_OF_STATES: Mapping[PersonOutcome, frozenset[MessageState]] = {
    PersonOutcome.REACHED: frozenset({MessageState.DELIVERED}),
    PersonOutcome.OPEN: frozenset(
        {MessageState.QUEUED, MessageState.SUBMITTING, MessageState.SUBMITTED}
    ),
    PersonOutcome.UNKNOWN: frozenset({MessageState.UNKNOWN, MessageState.UNCERTAIN}),
    PersonOutcome.FAILED: FAILED,
    PersonOutcome.STOPPED: NEVER_SENT,
}

LEFT_OUT = "left_out"
"""The reason of those told whom a run had left out: they stay outside the target."""

RANK_SQL = " ".join(
    [
        "CASE",
        *(
            f"WHEN {{0}}.state IN {sql_list(states)} THEN {list(PersonOutcome).index(outcome)}"
            for outcome, states in _OF_STATES.items()
        ),
        "END",
    ]
)
"""SQL: the place in `PersonOutcome` of the state of message {0}."""
