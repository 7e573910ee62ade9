"""Stopping everything: one switch for all campaigns and direct runs of the installation (I7).

Once the stop has answered, nothing is marked as leaving until somebody lifts it; what was marked
before may still leave. Campaigns stay what they are and go on when it is lifted; each fire whose
time comes meanwhile is held, to be released by a person.

A database that was restored from a backup does not know what left after the backup was taken. So
it is stopped as well, and more: what was scheduled is held, what was running is paused, and each
goes on only when a person has looked at it (invariant I6). Whoever lifts that stop says what
becomes of the texts that are queued in it: by default they are uncertain, and receipts, the
carrier's statement and decisions settle them (docs/uncertain.md).
"""

from datetime import datetime
from enum import StrEnum

from service.accounts.people.model import By, User
from service.campaigns.calendar.fires import Why
from service.campaigns.core import run_store, store
from service.campaigns.core.model import Act, State
from service.campaigns.stops import gap_store, stop_store
from service.campaigns.stops.stop_store import KnownGap, StopOfAll
from service.errors import Conflict
from service.storage.locks import lock_all_marks
from service.storage.postgres import Connection
from service.words.phrase import phrase


class EverythingStopped(Conflict):
    """Everything is stopped, and this would begin to send."""

    code = "everything_is_stopped"

    def __init__(self, stop: StopOfAll) -> None:
        super().__init__(
            phrase(
                "everything is stopped ({reason}); the stop must be lifted first",
                reason=stop.reason,
            )
        )


async def stop_all(conn: Connection, actor: User, reason: str, now: datetime) -> StopOfAll:
    """Stop everything. A second stop changes nothing, and answers with the one in force."""
    await lock_all_marks(conn)
    await stop_store.insert_stop(conn, "person", reason, actor.id, now)
    return await _in_force(conn)


class LiftAs(StrEnum):
    """What becomes of texts that are queued in a restored database, some of which may have left."""

    UNCERTAIN = "uncertain"  # those of all runs from before are uncertain, and none is sent again
    RESUME = "resume"  # direct sends go on, and campaigns as each is resumed: some people twice
    CANCEL = "cancel"  # direct sends end; campaigns wait to be resumed or cancelled


class StillExpanding(Conflict):
    """A run's ledger is being written, so its texts cannot become uncertain yet."""

    code = "still_expanding"

    def __init__(self) -> None:
        super().__init__(phrase("the list of a run is still being written; try again in a minute"))


async def lift(
    conn: Connection, actor: User, reason: str, *, how: LiftAs | None, now: datetime
) -> tuple[StopOfAll, int]:
    """Let sending go on. Campaigns that were held or paused since the database was restored stay
    so. how: what becomes of what was queued in it; None: it is uncertain. Returns the stop, and how
    many texts became uncertain.

    Raises:
        Conflict: nothing is stopped.
        StillExpanding: see there; nothing is lifted.
    """
    await lock_all_marks(conn)
    stop = await stop_store.stop_in_force(conn)
    if stop is None:
        raise Conflict(phrase("nothing is stopped"), code="not_stopped")
    count = 0
    if stop.cause == "restored" and how in (None, LiftAs.UNCERTAIN):
        count = await _lose_sight(conn, stop, now)
    await stop_store.lift_stop(conn, stop.id, actor.id, reason, now)
    to = "cancelled" if how is LiftAs.CANCEL else "running"
    await stop_store.set_direct_runs(conn, "paused", to, now)
    return stop._replace(lifted_by=actor.id, lifted_at=now, lift_reason=reason), count


async def _lose_sight(conn: Connection, stop: StopOfAll, now: datetime) -> int:
    """Make uncertain what is queued in runs from before the gap: nobody knows whether it left."""
    if await gap_store.is_expanding_before(conn):
        raise StillExpanding
    count = 0
    for run_id in await gap_store.runs_before(conn):
        count += await gap_store.make_uncertain(conn, run_id, stop.gap_from, now)
        await gap_store.fold_again(conn, run_id, now)
    return count


async def hold_all(conn: Connection, reason: str, now: datetime, gap: KnownGap) -> StopOfAll:
    """Stop everything in a database that was restored, and hold or pause every campaign in it."""
    campaigns = await stop_store.open_campaigns(conn)
    await lock_all_marks(conn)
    await stop_store.insert_restored_stop(conn, reason, gap, now)
    by = By(None, reason, now, Why.RESTORED)
    for campaign_id, state in campaigns:
        if state == State.SCHEDULED:
            await store.set_next_fire(conn, campaign_id, None)
            await store.move(conn, campaign_id, Act.HOLD, State.HELD, by)
        else:
            runs = await run_store.lock_open_runs(conn, campaign_id)
            await run_store.set_runs(conn, runs, ["running"], "paused", now)
            await store.move(conn, campaign_id, Act.PAUSE, State.PAUSED, by)
    await stop_store.set_direct_runs(conn, "running", "paused", now)
    return await _in_force(conn)


async def _in_force(conn: Connection) -> StopOfAll:
    stop = await stop_store.stop_in_force(conn)
    if stop is None:
        raise ValueError("a stop was written a moment ago, under its lock")
    return stop


async def refuse_while_stopped(conn: Connection) -> None:
    """Refuse what would begin to send.

    Raises:
        EverythingStopped: everything is stopped.
    """
    stop = await stop_store.stop_in_force(conn)
    if stop is not None:
        raise EverythingStopped(stop)
