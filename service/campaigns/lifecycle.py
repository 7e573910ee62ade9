"""From approval to the end: fire when due, pause, resume, cancel, release, finish, expire.

Pause and cancel wait for the hand-offs that are being marked; after they have answered, nothing
that was not marked before goes out (invariant I7).
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.model import User
from service.campaigns import run_store, store
from service.campaigns.approval import frozen_content, reopen_if_drifted
from service.campaigns.model import Act, By, Campaign, State, check_move
from service.campaigns.planning import load
from service.campaigns.schedule import LATE, validity_end
from service.campaigns.stop_all import refuse_while_stopped
from service.campaigns.stop_store import stop_in_force
from service.storage.postgres import Connection, Pool, transaction

DRIFT = 0.2
"""By what share the number of people may differ at the fire, unless it is set otherwise."""

log = logging.getLogger(__name__)


async def pause(conn: Connection, actor: User, campaign_id: UUID, by: By) -> Campaign:
    """Stop handing off until somebody resumes.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is neither scheduled nor running.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    check_move(Act.PAUSE, campaign.state)
    runs = await run_store.lock_open_runs(conn, campaign_id)
    await run_store.set_runs(conn, runs, ["running"], "paused", by.at)
    await store.move(conn, campaign_id, Act.PAUSE, State.PAUSED, by)
    return await load(conn, campaign_id, None)


async def resume(conn: Connection, actor: User, campaign_id: UUID, by: By) -> Campaign:
    """Go on where it was paused; one that had not fired yet waits for its time again.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is not paused.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    check_move(Act.RESUME, campaign.state)
    runs = await run_store.lock_open_runs(conn, campaign_id)
    await run_store.set_runs(conn, runs, ["paused"], "running", by.at)
    to = State.RUNNING if campaign.next_fire_at is None else State.SCHEDULED
    await store.move(conn, campaign_id, Act.RESUME, to, by)
    await finish_campaigns(conn, [campaign_id], by.at)
    return await load(conn, campaign_id, None)


async def cancel(conn: Connection, actor: User, campaign_id: UUID, by: By) -> Campaign:
    """End it: what is still queued is cancelled, what has left has left.

    Nothing is marked any more once this has answered. Of a large run, some rows are still `queued`
    then, and are cancelled by the sweep.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it has ended already.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    check_move(Act.CANCEL, campaign.state)
    runs = await run_store.lock_open_runs(conn, campaign_id)
    await run_store.set_runs(conn, runs, run_store.OPEN, "cancelled", by.at)
    await run_store.cancel_messages(conn, runs, by.at)
    await store.set_next_fire(conn, campaign_id, None)
    await store.move(conn, campaign_id, Act.CANCEL, State.CANCELLED, by)
    return await load(conn, campaign_id, None)


async def release(conn: Connection, actor: User, campaign_id: UUID, by: By) -> Campaign:
    """Let a campaign on hold fire now.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is not on hold.
        Stopped: everything is stopped.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    check_move(Act.RELEASE, campaign.state)
    await refuse_while_stopped(conn)
    await store.set_next_fire(conn, campaign_id, by.at)
    await store.move(conn, campaign_id, Act.RELEASE, State.SCHEDULED, by)
    return await load(conn, campaign_id, None)


async def fire_due(pool: Pool, now: datetime, *, drift: float = DRIFT) -> list[UUID]:
    """Fire every campaign whose time has come; returns the runs, which are to be expanded.

    drift: one whose rule now means another number of people, by more than this share of the
    number that was approved, waits for a new approval instead.

    Each campaign is one transaction, and its trouble holds up no other. Any number of schedulers
    may do this at once: a fire has one run.
    """
    async with pool.acquire() as conn:
        due = await store.due_campaigns(conn, now)
    runs = []
    for campaign_id in due:
        try:
            async with transaction(pool) as conn:
                run_id = await _fire(conn, campaign_id, now, drift)
        except Exception:
            log.exception("campaign not fired", extra={"campaign_id": str(campaign_id)})
            continue
        if run_id is not None:
            runs.append(run_id)
    return runs


async def _fire(
    conn: Connection, campaign_id: UUID, now: datetime, drift: float = DRIFT
) -> UUID | None:
    campaign = await store.lock_due_campaign(conn, campaign_id, now)
    if campaign is None or campaign.next_fire_at is None:
        return None
    if (stop := await stop_in_force(conn)) is not None:
        await _stop(
            conn, campaign, Act.HOLD, By(None, f"everything is stopped: {stop.reason}", now)
        )
        return None
    content = frozen_content(campaign)
    if content.hash != campaign.approved_hash:
        await _stop(conn, campaign, Act.HOLD, By(None, "not what was approved", now))
        return None
    late = campaign.plan.schedule.late
    if late != "run" and now - campaign.next_fire_at > LATE:
        act = Act.HOLD if late == "hold" else Act.SKIP
        await _stop(conn, campaign, act, By(None, "too late to fire", now))
        return None
    if await reopen_if_drifted(conn, campaign, content, drift, now):
        return None
    valid_until = validity_end(campaign.plan.schedule, now)
    run_id = await run_store.insert_run(conn, campaign, content, valid_until, now)
    await store.set_next_fire(conn, campaign_id, None)
    await store.move(conn, campaign_id, Act.FIRE, State.RUNNING, By(None, "fired", now))
    return run_id


async def _stop(conn: Connection, campaign: Campaign, act: Act, by: By) -> None:
    """Do not fire: wait for a person, or be done without a run."""
    await store.set_next_fire(conn, campaign.id, None)
    await store.move(conn, campaign.id, act, State.HELD if act is Act.HOLD else State.DONE, by)


async def finish_campaigns(
    conn: Connection, campaign_ids: Sequence[UUID], now: datetime
) -> list[UUID]:
    """Those of these campaigns that have no open run are done; returns them."""
    finished = await run_store.finished_campaigns(conn, campaign_ids)
    by = By(None, "everything is handed off", now)
    return [c for c in finished if await store.move(conn, c, Act.FINISH, State.DONE, by)]


async def reopen_campaigns(
    conn: Connection, runs: Sequence[UUID], reason: str, now: datetime
) -> None:
    """Campaigns that were done, and of which these runs are open again, can be steered again."""
    by = By(None, reason, now)
    for campaign_id in await run_store.campaigns_of(conn, runs):
        await store.move(conn, campaign_id, Act.REOPEN, State.RUNNING, by)


async def expire_pending(pool: Pool, now: datetime) -> list[UUID]:
    """Return every campaign that waited too long for its approval; returns them."""
    async with transaction(pool) as conn:
        by = By(None, "the approval did not come in time", now)
        expired = []
        for campaign_id in await store.overdue_approvals(conn, now):
            if await store.move(conn, campaign_id, Act.EXPIRE, State.RETURNED, by):
                await store.void_submission(conn, campaign_id)
                expired.append(campaign_id)
    return expired
