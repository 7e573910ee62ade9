"""Parts of statements that move messages, runs and slices, where several statements share them.

Each is SQL, to be put into a statement. A store composes its one statement from them: what has to
happen together costs no further round trip. `rows` is the name of a sub-statement of messages, with
`run_id` and `no`.
"""

from service.ledger.states import MessageState, RunState, moving

CANCEL = moving(MessageState.CANCELLED, only=[MessageState.QUEUED])
"""Cancelling what is queued. What is being submitted has left, or comes back first."""

SUPPRESS = moving(MessageState.SUPPRESSED)

CLOSE_RUN = moving(RunState.SENT)
REOPEN_RUN = moving(RunState.RUNNING, RunState.PAUSED, only=[RunState.SENT])


def end(state: MessageState, reason: str, at: str) -> str:
    """After SET: the message ends in this state, for this reason, at this instant."""
    return f"state = '{state}', reason = {reason}, final_at = {at}"


QUEUED_AGAIN = f"""
    state = '{MessageState.QUEUED}', reason = NULL, code = NULL, marked_at = NULL,
    submitted_at = NULL, final_at = NULL
"""
"""After SET: the message is to be handed off again, as if it had not been yet."""


def run_sent(at: str) -> str:
    """After SET: nothing is left to hand off of the run, since this instant. It is looked at for
    its results at once.
    """
    return f"state = '{RunState.SENT}', finished_at = {at}, settle_at = NULL"


def reopen_runs(rows: str) -> str:
    """A sub-statement: the runs of `rows` that were taken for finished are open again, and paused
    if their campaign is.
    """
    return f"""
        UPDATE runs r SET
            state = CASE (SELECT c.state FROM campaigns c WHERE c.id = r.campaign_id)
                    WHEN 'paused' THEN 'paused' ELSE 'running' END,
            finished_at = NULL, settled_at = NULL
        WHERE r.state IN {REOPEN_RUN.earlier} AND r.id IN (SELECT run_id FROM {rows})
    """  # noqa: S608  # constants


def slices_of(rows: str) -> str:
    """A sub-statement: all slices of the runs of `rows`, run by run. `rows` may have a condition
    behind it.
    """
    return f"SELECT s.* FROM (SELECT DISTINCT run_id FROM {rows}) r, slices_of(r.run_id) s"  # noqa: S608  # constants
