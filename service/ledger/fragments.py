"""Parts of statements that move messages, runs and slices, where several statements share them.

Each part is SQL. A store joins several parts into one statement, so that changes which belong
together take one round trip. `rows` is the name of a sub-statement (CTE) of messages that has the
columns `run_id` and `no`.
"""

from service.ledger.states import (
    FINAL_AFTER_HANDOFF,
    MessageState,
    RunState,
    sql_list,
    state_move,
)

CANCEL = state_move(MessageState.CANCELLED, only=[MessageState.QUEUED])
"""Cancels queued messages. A `submitting` one has left, or is cancelled if it comes back."""

SUPPRESS = state_move(MessageState.SUPPRESSED)

CLOSE_RUN = state_move(RunState.SENT)
REOPEN_RUN = state_move(RunState.RUNNING, RunState.PAUSED, only=[RunState.SENT])


def ended_as(state: MessageState, reason: str, at: str) -> str:
    """After SET: the message ends in this state, for this reason, at this instant."""
    return f"state = '{state}', reason = {reason}, final_at = {at}"


def count_ends(rows: str) -> str:
    """A sub-statement: adds to what /metrics counts the messages of `rows` that have ended after a
    hand-off. `rows` has the columns `channel_id`, `state`, and `before`: the state before.
    """
    return f"""
        INSERT INTO text_ends (channel_id, state, texts)
        SELECT channel_id, state, count(*) FROM {rows}
        WHERE state IN {sql_list(FINAL_AFTER_HANDOFF)} AND state <> before
        GROUP BY channel_id, state
    """  # noqa: S608  # constants


QUEUED_AGAIN = f"""
    state = '{MessageState.QUEUED}', reason = NULL, code = NULL, marked_at = NULL,
    submitted_at = NULL, final_at = NULL
"""
"""After SET: the message is queued again; reason, code and times of its hand-off are null."""


def run_sent(at: str) -> str:
    """After SET: since this instant the run has nothing left to hand off. `settle_runs` looks at it
    at its next turn.
    """
    return f"state = '{RunState.SENT}', finished_at = {at}, settle_at = NULL"


def reopen_runs(rows: str) -> str:
    """A sub-statement: opens those runs of `rows` again that are `sent`; they become `paused` if
    their campaign is paused, else `running`.
    """
    return f"""
        UPDATE runs r SET
            state = CASE (SELECT c.state FROM campaigns c WHERE c.id = r.campaign_id)
                    WHEN 'paused' THEN 'paused' ELSE 'running' END,
            finished_at = NULL, settled_at = NULL
        WHERE r.state IN {REOPEN_RUN.sources_sql} AND r.id IN (SELECT run_id FROM {rows})
    """  # noqa: S608  # constants


def slices_of(rows: str) -> str:
    """A sub-statement: all slices of the runs of `rows`, run by run. A WHERE condition may follow
    the name in `rows`.
    """
    return f"SELECT s.* FROM (SELECT DISTINCT run_id FROM {rows}) r, slices_of(r.run_id) s"  # noqa: S608  # constants
