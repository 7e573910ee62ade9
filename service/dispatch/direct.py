"""Direct runs: a text to people who are named, without a campaign, a rule or an approval.

Such a run is written in one transaction together with its whole ledger, and is running from the
beginning; from there on it takes the way of every run: slices, marks under the same locks, hours,
suppressions, pace, receipts, report. Who may start one, to whom and with what text, is for the
caller to bound (design §6). It cannot be paused; what holds a channel holds it, too.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.accounts.key import Mode
from service.dispatch import direct_store, expand_store
from service.dispatch.direct_store import NewRun, Recipient
from service.dispatch.expand import SLICE_ROWS
from service.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class Started:
    """What a direct run came to: people in the target, people left out, channels to wake."""

    run_id: uuid.UUID
    target: int
    excluded: int
    channels: Collection[int]


async def start(
    conn: Connection, new: NewRun, recipients: Sequence[Recipient], now: datetime
) -> Started:
    """Write a run to these people, each once: a row of its ledger, or an exclusion with its reason.

    Must run in a transaction, together with whatever must not happen twice (invariant I1).
    """
    run = await direct_store.insert_run(conn, new, now)
    target, excluded = await direct_store.write_ledger(conn, run, recipients, now)
    channels: Collection[int] = ()
    if new.key_mode is Mode.TEST:
        await expand_store.stop_tested(conn, run["id"], now)
    else:
        channels = await expand_store.write_slices(conn, run, SLICE_ROWS)
    await expand_store.finish_expansion(conn, run["id"], "running", target, now)
    return Started(run["id"], target, excluded, channels)
