"""Whether what is past its term may go by the present clock; asked before anything is let go."""

import logging
from datetime import datetime

from service.accounts.people.model import User
from service.clock import day_in_china
from service.errors import Conflict, Forbidden
from service.liveness.process_store import read_offset
from service.privacy import clock_watch_store as store
from service.privacy.clock_watch import JUMP, DeletionHold, DueCounts, Watch, is_little
from service.privacy.clock_watch_store import Befores, Stand
from service.privacy.retention import RetentionTerms, terms_of
from service.runtime import Runtime
from service.settings import Settings
from service.storage.postgres import COUNT_SECONDS, Connection, transaction
from service.words.phrase import phrase

log = logging.getLogger(__name__)


async def may_let_go(runtime: Runtime) -> bool:
    """Note that the service lives, and say whether anything may be deleted for its age.

    Harmless to ask often, and by several at once.
    """
    clock, settings = runtime.clock, runtime.settings
    async with transaction(runtime.pool, seconds=COUNT_SECONDS) as conn:
        stand = await store.read_stand(conn, lock=True)
        _, database_now = await read_offset(conn, clock)
        now = clock.now()
        apart = None if clock.simulated else database_now
        if held := Watch().held(now, apart):
            await store.write_stand(conn, stand.watch, held, stand.due)
        else:
            watch = stand.watch.beat(now, JUMP * max(1.0, clock.speed))
            held, due = watch.held(now, apart), stand.due
            if held is None and watch.jumped_at is not None:
                held, due = await _judge(conn, stand, watch, now, settings)
            if held is None:
                watch, due = Watch(now), {}
            await store.write_stand(conn, watch, held, due)
    _tell(stand.held_for, held, now, database_now)
    return held is None


async def _judge(
    conn: Connection, stand: Stand, watch: Watch, now: datetime, settings: Settings
) -> tuple[DeletionHold | None, DueCounts]:
    """A jump has lasted: whether so little is due that it goes, or a person has agreed. What is
    due is counted once.
    """
    if watch.agreed:
        return None, {}
    due = stand.due
    if stand.held_for != "needs_agreement":
        due = await store.count_due(conn, befores(terms_of(settings), now))
    return (None if is_little(due, settings.retention_share) else "needs_agreement"), due


def befores(terms: RetentionTerms, now: datetime) -> Befores:
    """Before when each kind of thing is past its term."""
    lists = now - terms.lists
    return Befores(
        now - terms.numbers,
        now - terms.rejects,
        lists,
        day_in_china(lists),
        now - terms.guests,
        now - terms.logins,
        now - terms.passwords,
        now - terms.records,
    )


def _tell(
    was: DeletionHold | None, held: DeletionHold | None, now: datetime, database_now: datetime
) -> None:
    if held == was:
        return
    facts = {"why": held or was, "clock": str(now), "postgresql": str(database_now)}
    if held is None:
        log.warning("what is past its term is deleted again", extra=facts)
    else:
        log.error("nothing is deleted for its age: the clock is not trusted", extra=facts)


async def agree(conn: Connection, user: User, jumped_at: datetime, now: datetime) -> Stand:
    """Let go what is due after the jump at this instant; returns what was known before.

    Raises:
        Forbidden: the user does not run the county.
        Conflict: nothing waits for an agreement, or it is another jump.
    """
    if not user.runs_the_county:
        raise Forbidden(
            phrase("it concerns all departments: only the county's administrator may agree")
        )
    stand = await store.read_stand(conn, lock=True)
    if stand.held_for != "needs_agreement":
        raise Conflict(phrase("no deletion waits for an agreement"), code="nothing_to_agree_to")
    if stand.watch.jumped_at != jumped_at:
        raise Conflict(
            phrase(
                "the clock has jumped since, and what is due may be other: look at it"
                " again, and agree to that"
            ),
            code="changed_meanwhile",
        )
    await store.write_agreement(conn, user.id, now)
    return stand
