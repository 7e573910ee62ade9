"""Stopping everything: one switch for all campaigns and direct runs of the installation (I7).

Once the stop has answered, nothing is marked as leaving until somebody lifts it; what was marked
before may still leave. Campaigns stay what they are and go on when it is lifted; each fire whose
time comes meanwhile is held, to be released by a person.

A database that was restored from a backup does not know what left after the backup was taken. So
it is stopped as well, and more: what was scheduled is held, what was running is paused, and each
goes on only when a person has looked at it (invariant I6).
"""

from datetime import datetime

from service.accounts.people.model import By, User
from service.campaigns.calendar.fires import Why
from service.campaigns.core import run_store, store
from service.campaigns.core.model import Act, State
from service.campaigns.stops import stop_store
from service.campaigns.stops.stop_store import StopOfAll
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


async def lift(
    conn: Connection, actor: User, reason: str, *, direct_runs: str, now: datetime
) -> StopOfAll:
    """Let sending go on; after a restored backup, `direct_runs` (resume, cancel) says what becomes
    of the direct runs that were open in it. Campaigns that were held or paused stay so.

    Raises:
        Conflict: nothing is stopped.
    """
    await lock_all_marks(conn)
    stop = await stop_store.stop_in_force(conn)
    if stop is None:
        raise Conflict(phrase("nothing is stopped"), code="not_stopped")
    await stop_store.lift_stop(conn, stop.id, actor.id, reason, now)
    to = "running" if direct_runs == "resume" else "cancelled"
    await stop_store.set_direct_runs(conn, "paused", to, now)
    return stop._replace(lifted_by=actor.id, lifted_at=now, lift_reason=reason)


async def hold_all(conn: Connection, reason: str, now: datetime) -> StopOfAll:
    """Stop everything in a database that was restored, and hold or pause every campaign in it."""
    campaigns = await stop_store.open_campaigns(conn)
    await lock_all_marks(conn)
    await stop_store.insert_stop(conn, "restored", reason, None, now)
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
