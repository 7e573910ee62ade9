"""What follows a failure: a hand-off on another channel, one at a later time, or nothing.

The answer to a submit or a final receipt makes a text fail first, as any other; then, in the same
transaction, it goes back into the queue if its reason and its run allow that. So target = Σ states
at any moment, and whoever dies in between leaves all as it was.

At most three hand-offs of a text follow from failures: the first, one on a second channel
(`reroute`), one for a passing reason (`retry`); the two do not depend on each other. Whoever
records failures calls `prepare` before the statement that records them and `follow` after it.
"""

import logging
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.plans.lifecycle import reopen_campaigns
from service.dispatch.retries import dead_numbers, reroute, retry, retry_store
from service.dispatch.retries.retry import RetryTerms
from service.dispatch.retries.retry_store import Again
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.storage.postgres import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a submit's answer or receipts make of one text: one of the ledger's FAILED.

    certain: whether no part of it may have left without an answer. If one may have, nothing
    follows, since the person could get that part twice.
    """

    run_id: uuid.UUID
    no: int
    state: str
    reason: str | None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class FailurePlan:
    """Which texts may take another channel, which may leave again and when, and which say that
    there is no such number.
    """

    strays: Sequence[MessageKey] = ()
    again: Sequence[Again] = ()
    dead: Sequence[MessageKey] = ()


async def prepare(conn: Connection, failures: Iterable[Failure], now: datetime) -> FailurePlan:
    """What may follow these failures; holds still the runs in which something may.

    Nothing is read or locked if nothing failed in a way that may be followed.
    """
    strays, passing, dead = [], [], []
    for failure in failures:
        if failure.certain and reroute.is_stray(failure.state, failure.reason):
            strays.append((failure.run_id, failure.no))
        elif failure.certain and retry.is_passing(failure.state, failure.reason):
            passing.append(failure)
        elif failure.reason == Reason.EMPTY_NUMBER:
            dead.append((failure.run_id, failure.no))
    again = await _times(conn, passing, now) if passing else []
    await reroute.lock(conn, {run_id for run_id, _ in strays} | {a.run_id for a in again})
    return FailurePlan(strays, again, dead)


async def _times(conn: Connection, passing: Sequence[Failure], now: datetime) -> list[Again]:
    rows = await retry_store.run_terms(conn, {failure.run_id for failure in passing})
    county = await load_county(conn)
    terms = {
        row["id"]: RetryTerms(HourTerms.of_run(row), county, row["valid_until"]) for row in rows
    }
    found = []
    for failure in passing:
        next_at = retry.due_at(failure.reason, terms[failure.run_id], now)
        if next_at is not None and failure.reason is not None:
            found.append(Again(failure.run_id, failure.no, failure.reason, next_at))
    return found


async def follow(
    conn: Connection, plan: FailurePlan, now: datetime, failed: Collection[MessageKey] | None = None
) -> list[int]:
    """Put back what may leave again, of those that `failed` (None: whichever did).

    Returns the channels that have work now; what waits is found when it is due.
    """
    strays = [key for key in plan.strays if failed is None or key in failed]
    await dead_numbers.note(conn, [k for k in plan.dead if failed is None or k in failed], now)
    again = [a for a in plan.again if failed is None or (a.run_id, a.no) in failed]
    if again:
        keys = await retry_store.queue_again(conn, again)
        if keys:
            runs = sorted({run_id for run_id, _ in keys})
            await reopen_campaigns(conn, runs, "a text is tried again", now)
            log.info("to be tried again", extra={"messages": len(keys)})
    return await reroute.reroute(conn, strays, now)
