"""Parts of statements about what is kept of settled runs (decision 0615).

No text of a settled run is open, so only two kinds of statement change its ledger. One queues a
failed text again, which opens the run, so that it is settled at another instant. The other is a
receipt for a text that was `unknown`: it notes that with `note_late`.
"""

from service.ledger.states import MessageState, RunState

CHANGES_OF = (
    "SELECT coalesce(sum(changes), 0)::bigint AS changes FROM run_changes WHERE run_id = {}"
)
"""SQL: how often the ledger of the run {} was changed by late receipts. Rows are only ever added,
so two snapshots with the same sum have seen the same receipts."""


def note_late(rows: str) -> str:
    """A sub-statement: notes the campaigns' runs of those `rows` that were `unknown` before. `rows`
    has the columns `run_id` and `before`, the state before.
    """
    return f"""
        INSERT INTO run_changes (run_id, changes)
        SELECT run_id, 1 FROM {rows}
        WHERE before = '{MessageState.UNKNOWN}'
          AND (SELECT campaign_id FROM runs WHERE id = run_id) IS NOT NULL
        GROUP BY run_id
    """  # noqa: S608  # constants


def facts_hold(facts: str, run: str) -> str:
    """SQL: the row `facts` of `run_facts` is of the state that the ledger of the row `run` of runs
    has in this snapshot.
    """
    return f"""({facts}.run_id = {run}.id AND {run}.state = '{RunState.SENT}'
        AND {facts}.settled_at = {run}.settled_at
        AND {facts}.changes = ({CHANGES_OF.format(f"{run}.id")}))"""
