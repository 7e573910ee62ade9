"""The states of the ledger and the moves between them (docs/architecture.md, invariant I1).

The packages `dispatch` (expansion, hand-off) and `delivery` (receipts) write the ledger. A
statement that changes the state of messages or runs calls `state_move`, which gives it the source
states that the tables here allow. A move that the tables do not allow raises an error when its
module is imported. A statement that only reads names its states with `sql_list`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


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

NOT_HANDED_OFF = frozenset({MessageState.QUEUED, MessageState.SUBMITTING})
"""The messages that a slice still has to hand off. A slice without any of them is done."""

FINAL_AFTER_HANDOFF = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.UNDELIVERED,
        MessageState.EXPIRED,
        MessageState.REJECTED,
        MessageState.UNKNOWN,
    }
)
"""The final states that a hand-off can lead to."""

FAILED = frozenset({MessageState.UNDELIVERED, MessageState.EXPIRED, MessageState.REJECTED})
"""The text certainly did not arrive. `unknown` is not among these: that text may have arrived."""

AWAIT_RESULT = frozenset({MessageState.SUBMITTED, MessageState.UNKNOWN})
"""A carrier accepted the text, and has not said what became of it."""

NEVER_SENT = frozenset({MessageState.SUPPRESSED, MessageState.CANCELLED})
"""The text never left, because this service stopped it."""

HANDED_OFF = FINAL_AFTER_HANDOFF - {MessageState.REJECTED} | {
    MessageState.SUBMITTED,
    MessageState.UNCERTAIN,
}
"""A carrier accepted the text, or may have accepted it."""

MAY_ARRIVE = frozenset(
    {
        MessageState.SUBMITTING,
        MessageState.SUBMITTED,
        MessageState.DELIVERED,
        MessageState.UNKNOWN,
        MessageState.UNCERTAIN,
    }
)
"""The text has arrived, or may still arrive by a hand-off that has begun."""

PART_MAY_HAVE_ARRIVED = frozenset({MessageState.DELIVERED, MessageState.UNKNOWN})
"""The receipt of a part says that it arrived, or that its outcome cannot be found out. A text with
such a part is not sent again: the person could get the part twice.
"""


MOVES: Mapping[MessageState, frozenset[MessageState]] = {
    MessageState.QUEUED: frozenset(
        {
            MessageState.SUBMITTING,
            MessageState.SUPPRESSED,
            MessageState.CANCELLED,
            MessageState.UNCERTAIN,  # it may have left, and a restored database has lost its mark
            # A late receipt says that an earlier hand-off arrived. All parts: `delivered`. Some
            # parts: the state in which that hand-off ended, or `unknown` if it was `uncertain`.
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
    MessageState.SUBMITTED: FINAL_AFTER_HANDOFF,
    MessageState.UNCERTAIN: FINAL_AFTER_HANDOFF
    | {MessageState.SUBMITTED, MessageState.QUEUED, MessageState.CANCELLED},
    MessageState.UNKNOWN: FINAL_AFTER_HANDOFF
    - {MessageState.UNKNOWN},  # a later receipt replaces it
    MessageState.DELIVERED: frozenset(),
    # A failed text may be queued again: once on another channel, if another network serves the
    # number, and once for a later time, if the reason is a passing one.
    MessageState.UNDELIVERED: frozenset({MessageState.QUEUED}),
    MessageState.EXPIRED: frozenset({MessageState.QUEUED}),
    MessageState.REJECTED: frozenset({MessageState.QUEUED}),  # the same: refused at the submit
    MessageState.SUPPRESSED: frozenset(),
    MessageState.CANCELLED: frozenset(),
}


class RunState(StrEnum):
    """Where a run stands: its ledger is being written, it is handed off, or it has ended."""

    EXPANDING = "expanding"
    RUNNING = "running"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"


OPEN_RUNS = frozenset({RunState.EXPANDING, RunState.RUNNING, RunState.PAUSED})
OPEN_RUNS_WITH_LEDGER = frozenset({RunState.RUNNING, RunState.PAUSED})
"""Open runs whose ledger is written."""

RUNS_THAT_MAY_SEND = OPEN_RUNS_WITH_LEDGER | {RunState.SENT}
"""Runs whose ledger is written and from which a message may still leave: it is queued, or it may be
queued again."""

ENDED_RUNS = frozenset({RunState.SENT, RunState.CANCELLED})

RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.EXPANDING: frozenset({RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.PAUSED, RunState.SENT, RunState.CANCELLED}),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    # A sent run opens again when one of its messages is queued again. A direct run that is sent
    # may still be cancelled.
    RunState.SENT: frozenset({RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED}),
    RunState.CANCELLED: frozenset(),
}


FREE_SLICE = "{0}.done_at IS NULL AND {0}.epoch IS NULL"
"""SQL: the slice {0} is open, and no connection holds it (`slot` and `epoch` are set together)."""

IDLE_SLICE = "{0}.epoch IS NULL AND ({0}.done_at IS NOT NULL OR {0}.not_before > {1})"
"""SQL: no connection holds the slice {0}, and none would take it at the instant {1}, since it is
done or must wait. A held slice does not match: its connection looks for queued messages when it
lets go of the slice."""

REOPENED_SLICE = "done_at = NULL, not_before = NULL"
"""SQL, after SET: an idle slice is open again, and may be taken at once."""


class IllegalMove(ValueError):
    """A statement would make a move that the table of its states does not allow."""


@dataclass(frozen=True, slots=True)
class StateMove:
    """A change of state that a statement makes: from one of `sources` to one of `to`."""

    to: frozenset[StrEnum]
    sources: frozenset[StrEnum]

    @property
    def sources_sql(self) -> str:
        """The states that are moved, as a list in SQL: `('queued', 'submitting')`."""
        return sql_list(self.sources)


_TABLES: Mapping[type[StrEnum], Mapping[Any, frozenset[Any]]] = {
    MessageState: MOVES,
    RunState: RUN_MOVES,
}


def state_move(*to: StrEnum, only: Collection[StrEnum] = ()) -> StateMove:
    """A statement's move to one of these states, of messages or of runs.

    only: the states that the rows come from; empty: every state from which the table allows all of
    `to`. A state may be in both `only` and `to`: such a row may keep its state.

    Raises:
        IllegalMove: the table does not allow a move from `only` to `to`, or no state allows all of
            `to`.
    """
    table = _TABLES[type(to[0])]
    sources = frozenset(only) or frozenset(s for s, after in table.items() if after.issuperset(to))
    wrong = sorted(f"{s} → {t}" for s in sources for t in to if t != s and t not in table[s])
    if wrong or not sources:
        raise IllegalMove(f"no move of the table: {', '.join(wrong) or ' or '.join(to)}")
    return StateMove(frozenset(to), sources)


def sql_list(states: Collection[StrEnum]) -> str:
    """These states as a list in SQL, in the order of their type: `('queued', 'submitting')`."""
    order = list(type(next(iter(states))))
    words = [f"'{state.value}'" for state in sorted(states, key=order.index)]
    return f"({', '.join(words)})"
