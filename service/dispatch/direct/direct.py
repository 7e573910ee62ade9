"""Direct runs: a text to people who are named, without a campaign, a rule or an approval.

Such a run is written in one transaction together with its whole ledger, and is running from the
beginning; from there on it takes the way of every run: slices, marks under the same locks, hours,
suppressions, pace, receipts, report. Who may start one, to whom and with what text, is for the
caller to bound. It cannot be paused, but cancelled; what holds a channel holds it, too.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.accounts.keys.key import Mode
from service.dispatch.direct import direct_store
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expand import SLICE_ROWS
from service.ledger.reasons import Reason
from service.ledger.states import OPEN, MessageState
from service.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class Started:
    """What a direct run came to: people in the target, how many were left out, channels to wake;
    by the hash of the phone, the number in the ledger or the reason why there is none.
    """

    run_id: uuid.UUID
    target: int
    excluded: int
    channels: Collection[int]
    numbers: Mapping[bytes, int] = field(default_factory=dict)
    left_out: Mapping[bytes, str] = field(default_factory=dict)


async def start(
    conn: Connection, new: NewRun, recipients: Sequence[Recipient], now: datetime
) -> Started:
    """Write a run to these people, each once: a row of its ledger, or an exclusion with its reason.

    Must run in a transaction, together with whatever must not happen twice (invariant I1).
    """
    tested = new.key_mode is Mode.TEST
    few = len(recipients) <= expand_store.FEWEST_ROWS  # then there is nothing to cut
    run, numbers, left_out, channels = await direct_store.write_run(
        conn, new, recipients, now, one_slice=few and not tested
    )
    if tested:
        await expand_store.stop_tested(conn, run["id"], now)
    elif not few:
        channels = await expand_store.write_slices(
            conn, run, SLICE_ROWS, range(1, len(numbers) + 1)
        )
    return Started(run["id"], len(numbers), len(left_out), channels, numbers, left_out)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of the texts of a direct run that was cancelled; together they are its target.

    cancelled: those that will not leave. stopped: those that were stopped before, for a reason of
    their own. left: those that the carrier has, or had. leaving: those on their way to it in this
    moment; the ones that turn out not to have been written are cancelled, too.
    """

    cancelled: int
    stopped: int
    left: int
    leaving: int


async def cancel(
    conn: Connection,
    run_id: uuid.UUID,
    now: datetime,
    reason: Reason = Reason.CANCELLED_BY_SENDER,
) -> Cancelled:
    """End a direct run; must run in a transaction. Doing it again changes nothing.

    Nothing is marked any more once this has answered (invariant I7), nor tried again. A run of
    which nothing could be called back, because all of it has ended, stays what it is.
    """
    await direct_store.lock_direct_run(conn, run_id)
    called_back = await direct_store.cancel_queued(conn, run_id, now, reason)
    states = Counter(await direct_store.count_states(conn, run_id))
    if called_back or any(states[state] for state in OPEN):
        await direct_store.cancel_run(conn, run_id, now, reason)
    cancelled, stopped = states[MessageState.CANCELLED], states[MessageState.SUPPRESSED]
    leaving = states[MessageState.SUBMITTING]
    return Cancelled(cancelled, stopped, states.total() - cancelled - stopped - leaving, leaving)
