"""The states of the ledger and the moves between them (docs/architecture.md, invariant I1).

Writing it belongs to `dispatch` (expansion, hand-off) and `delivery` (receipts). A statement that
moves messages or runs takes the states it moves them from out of the tables here, with `moving`:
one that the table does not allow fails when its module is imported. Statements that only read name
a group of states with `listed`.
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
"""What a slice still has to hand off; one that has none of these is done."""

RESULTS = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.UNDELIVERED,
        MessageState.EXPIRED,
        MessageState.REJECTED,
        MessageState.UNKNOWN,
    }
)
"""What a hand-off ends in."""

FAILED = frozenset({MessageState.UNDELIVERED, MessageState.EXPIRED, MessageState.REJECTED})
"""It certainly did not arrive. `unknown` is none of these: it may have."""

STOPPED = frozenset({MessageState.SUPPRESSED, MessageState.CANCELLED})
"""It never left, by a decision of ours."""

HANDED_OFF = RESULTS - {MessageState.REJECTED} | {MessageState.SUBMITTED, MessageState.UNCERTAIN}
"""A carrier took it, or may have."""

MAY_ARRIVE = frozenset(
    {
        MessageState.SUBMITTING,
        MessageState.SUBMITTED,
        MessageState.DELIVERED,
        MessageState.UNKNOWN,
        MessageState.UNCERTAIN,
    }
)
"""It has arrived, or still may by what was done so far."""


MOVES: Mapping[MessageState, frozenset[MessageState]] = {
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
    MessageState.SUBMITTED: RESULTS,
    MessageState.UNCERTAIN: RESULTS
    | {MessageState.SUBMITTED, MessageState.QUEUED, MessageState.CANCELLED},
    MessageState.UNKNOWN: RESULTS - {MessageState.UNKNOWN},  # 72 h of silence yields to a receipt
    MessageState.DELIVERED: frozenset(),
    # A failure may be followed by another hand-off: once on another lane, if another network serves
    # the number, and once later, if its reason may have passed by then.
    MessageState.UNDELIVERED: frozenset({MessageState.QUEUED}),
    MessageState.EXPIRED: frozenset({MessageState.QUEUED}),
    MessageState.REJECTED: frozenset({MessageState.QUEUED}),  # the same, refused at the submit
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
WRITTEN_RUNS = frozenset({RunState.RUNNING, RunState.PAUSED})
"""Open, with a ledger."""

UNCANCELLED_RUNS = WRITTEN_RUNS | {RunState.SENT}
"""With a ledger of which a message may still leave, by itself or once it is put back."""

ENDED_RUNS = frozenset({RunState.SENT, RunState.CANCELLED})

RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.EXPANDING: frozenset({RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.PAUSED, RunState.SENT, RunState.CANCELLED}),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    # Open again when a message comes back into its queue; a direct one may be cancelled even so.
    RunState.SENT: frozenset({RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED}),
    RunState.CANCELLED: frozenset(),
}


FREE_SLICE = "{0}.done_at IS NULL AND {0}.epoch IS NULL"
"""SQL: the slice {0} is open, and no connection holds it (`slot` and `epoch` are set together)."""

IDLE_SLICE = "{0}.epoch IS NULL AND ({0}.done_at IS NOT NULL OR {0}.not_before > {1})"
"""SQL: no connection holds the slice {0}, and none would take it at the instant {1}: it is done, or
waits for later. One that is held is left alone: whoever lets go of it finds what is in it."""

REOPENED_SLICE = "done_at = NULL, not_before = NULL"
"""SQL, after SET: an idle slice is open again, and may be taken at once."""


class IllegalMove(ValueError):
    """A statement would move rows along no arrow of their table."""


@dataclass(frozen=True, slots=True)
class StateMove:
    """What a statement does to the rows that it finds in one of `sources`: they get one of `to`."""

    to: frozenset[StrEnum]
    sources: frozenset[StrEnum]

    @property
    def earlier(self) -> str:
        """The states that are moved, as a list in SQL: `('queued', 'submitting')`."""
        return listed(self.sources)


_TABLES: Mapping[type[StrEnum], Mapping[Any, frozenset[Any]]] = {
    MessageState: MOVES,
    RunState: RUN_MOVES,
}


def moving(*to: StrEnum, only: Collection[StrEnum] = ()) -> StateMove:
    """A statement's move to one of these states, of messages or of runs.

    It moves rows from every state that the table lets go to all of `to`; with `only`, from these.
    A row may also keep a state that is among `to`.

    Raises:
        IllegalMove: one of `only` may not go to one of `to`, or nothing may.
    """
    table = _TABLES[type(to[0])]
    sources = frozenset(only) or frozenset(s for s, after in table.items() if after.issuperset(to))
    wrong = sorted(f"{s} → {t}" for s in sources for t in to if t != s and t not in table[s])
    if wrong or not sources:
        raise IllegalMove(f"no move of the table: {', '.join(wrong) or ' or '.join(to)}")
    return StateMove(frozenset(to), sources)


def listed(states: Collection[StrEnum]) -> str:
    """These states as a list in SQL, in the order of their type: `('queued', 'submitting')`."""
    order = list(type(next(iter(states))))
    words = [f"'{state.value}'" for state in sorted(states, key=order.index)]
    return f"({', '.join(words)})"
