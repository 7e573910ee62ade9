"""From approval to the end: pause, resume, cancel, release, finish, expire.

Pause and cancel wait for the hand-offs that are being marked; after they have answered, nothing
that was not marked before goes out (invariant I7).
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By, Right, User
from service.accounts.people.second_person import need_another_side, need_second_person
from service.campaigns.audience.target_store import list_changers
from service.campaigns.calendar.fires import Why
from service.campaigns.calendar.schedule import LatePolicy
from service.campaigns.core import fire_store, leg_store, run_store, store
from service.campaigns.core.fire_store import FireRecord
from service.campaigns.core.legs import LEG_MOVES, Leg, LegState
from service.campaigns.core.model import MOVES, Act, Campaign, State, check_move
from service.campaigns.plans import sequence_store
from service.campaigns.plans.drift import agree_to_drift
from service.campaigns.plans.missed import (
    decide_late,
    find_held,
    release_fire,
    release_steps,
    release_whole,
)
from service.campaigns.plans.planning import load
from service.campaigns.plans.sequence import has_fired_for_good
from service.campaigns.stops import guard_store
from service.campaigns.stops.stop_all import refuse_while_stopped
from service.errors import Conflict
from service.messages.offers.withdrawal_store import is_stopped
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import phrase

log = logging.getLogger(__name__)


async def pause(conn: Connection, actor: User, campaign_id: UUID, by: By) -> Campaign:
    """Stop handing off until somebody resumes; of a joint plan, in all its legs. A leg that its own
    department has paused waits for this department, also when the whole plan goes on.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is neither scheduled nor running.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    leg = await check_pause(conn, campaign)
    if leg is not None:
        await leg_store.set_paused(conn, leg, by)
        if campaign.state is State.PAUSED:
            return campaign  # the whole plan is paused; its resume must not let this leg go on
    await _pause(conn, campaign_id, by)
    for own in await leg_store.own_campaigns(conn, campaign_id) if campaign.plan.is_joint else ():
        if (await load(conn, own, None, lock=True)).state in MOVES[Act.PAUSE][0]:
            await _pause(conn, own, by)
    return await load(conn, campaign_id, None)


async def check_pause(conn: Connection, campaign: Campaign) -> Leg | None:
    """Refuse to pause what does not send; returns the leg that the campaign is. One that is paused
    with its whole plan may still be paused by its own side.

    Raises:
        WrongState: as for `pause`.
    """
    leg = await _own_leg(conn, campaign)
    if leg is None or leg.paused_by is not None or campaign.state is not State.PAUSED:
        check_move(Act.PAUSE, campaign.state)
    return leg


async def _pause(conn: Connection, campaign_id: UUID, by: By) -> None:
    runs = await run_store.lock_open_runs(conn, campaign_id)
    await run_store.set_runs(conn, runs, ["running"], "paused", by.at)
    await store.move(conn, campaign_id, Act.PAUSE, State.PAUSED, by)


async def _own_leg(conn: Connection, campaign: Campaign) -> Leg | None:
    """The leg that a campaign is; None: it is none."""
    if campaign.plan.leg_of is None:
        return None
    return await leg_store.leg_of_campaign(conn, campaign.id)


async def resume(
    conn: Connection, actor: User, campaign_id: UUID, by: By, missed: LatePolicy | None = None
) -> Campaign:
    """Go on where it was paused; one that had not fired yet waits for its time again.

    missed: what becomes of the fires that are late by now; without it they follow the plan.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is not paused.
        MissedFires: fires are late, the plan holds such, and `missed` does not say what to do.
        Conflict: the plan skips late fires, and `missed` says otherwise; or a run of it was stopped
            because its words were withdrawn.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    if (leg := await check_resume(conn, campaign)) is not None:
        await leg_store.set_paused(conn, leg, None)
    await _resume(conn, campaign, missed, by)
    if campaign.plan.is_joint:
        await _resume_legs(conn, campaign, missed, by)
    else:
        await finish_campaigns(conn, [campaign_id], by.at)
    return await load(conn, campaign_id, None)


async def check_resume(conn: Connection, campaign: Campaign) -> Leg | None:
    """Refuse to let go on what is not paused, or must not; returns the leg that the campaign is.

    Raises:
        WrongState, Conflict: as for `resume`, but for fires that were missed.
    """
    check_move(Act.RESUME, campaign.state)
    leg = await _own_leg(conn, campaign)
    if leg is not None and (await load(conn, leg.campaign_id, None)).state is State.PAUSED:
        raise Conflict(
            phrase(
                "the whole joint plan is paused: your leg goes on when its department resumes it"
            ),
            code="plan_is_paused",
        )
    legs = await leg_store.paused_with_plan(conn, campaign.id) if campaign.plan.is_joint else []
    for own_id in (campaign.id, *legs):
        await _check_not_stopped(conn, await run_store.open_runs(conn, own_id))
    return leg


async def _check_not_stopped(conn: Connection, runs: Sequence[UUID]) -> None:
    if await is_stopped(conn, runs):
        raise Conflict(
            phrase(
                "the words of a run that is under way were withdrawn, and it was stopped"
                " for that: it does not go on; cancel the campaign"
            ),
            code="text_withdrawn",
        )


async def _resume(conn: Connection, campaign: Campaign, missed: LatePolicy | None, by: By) -> None:
    runs = await run_store.lock_open_runs(conn, campaign.id)
    await _check_not_stopped(conn, runs)
    await guard_store.trust_runs(conn, runs, by.at)
    await run_store.set_runs(conn, runs, ["paused"], "running", by.at)
    to = State.RUNNING if runs or campaign.next_fire_at is None else State.SCHEDULED
    await store.move(conn, campaign.id, Act.RESUME, to, by)
    if not campaign.plan.is_joint:
        await decide_late(conn, campaign, missed, by)


async def _resume_legs(
    conn: Connection, campaign: Campaign, missed: LatePolicy | None, by: By
) -> None:
    """Let the legs of a joint plan go on that were paused with it."""
    for own_id in await leg_store.paused_with_plan(conn, campaign.id):
        await _resume(conn, await load(conn, own_id, None, lock=True), missed, by)
        await finish_campaigns(conn, [own_id], by.at)


async def cancel(conn: Connection, actor: User, campaign_id: UUID, by: By) -> Campaign:
    """End it, and all legs of a joint plan: what is queued is cancelled, what has left has left.

    Nothing is marked any more once this has answered. Of a large run, some rows are still `queued`
    then, and are cancelled by the sweep.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it has ended already.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    check_move(Act.CANCEL, campaign.state)
    await _cancel(conn, campaign_id, by)
    if campaign.plan.is_joint:
        for own in await leg_store.own_campaigns(conn, campaign_id):
            await load(conn, own, None, lock=True)
            await _cancel(conn, own, by)
        for leg in await leg_store.list_legs(conn, campaign_id):
            if leg.state in LEG_MOVES[LegState.CANCELLED]:
                await leg_store.move_leg(conn, leg, LegState.CANCELLED, by)
    return await load(conn, campaign_id, None)


async def _cancel(conn: Connection, campaign_id: UUID, by: By) -> None:
    runs = await run_store.lock_open_runs(conn, campaign_id)
    await run_store.set_runs(conn, runs, run_store.OPEN, "cancelled", by.at)
    await run_store.cancel_messages(conn, runs, by.at)
    await store.set_next_fire(conn, campaign_id, None)
    await fire_store.skip_held(conn, campaign_id, Why.PERSON, "cancelled", by.at)
    await sequence_store.skip_open(conn, campaign_id, "cancelled", by.at)
    await store.move(conn, campaign_id, Act.CANCEL, State.CANCELLED, by)


async def release(
    conn: Connection,
    actor: User,
    campaign_id: UUID,
    by: By,
    missed: LatePolicy | None = None,
    planned_at: datetime | None = None,
) -> Campaign:
    """Let a campaign on hold fire now, or a fire of it that is held while the campaign goes on.

    missed: `skip` leaves out what is held in place of sending it. planned_at: which fire, where
    several are held.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        WrongState: it is not on hold, and none of its fires is.
        Stopped: everything is stopped.
        Forbidden: it is held for who its people are, and the actor may not approve them.
        MissedFires, SeveralHeld, Conflict: as in `missed`.
    """
    campaign = await load(conn, campaign_id, actor.scope, lock=True)
    held = await fire_store.held_fires(conn, campaign_id)
    await _check_waits(conn, campaign, held)
    named = held if planned_at is None else [find_held(held, planned_at)]
    if missed != "skip":
        await _check_may_accept(conn, actor, campaign, named, by.at)
        if any(fire.code == Why.DRIFTED for fire in named):
            await agree_to_drift(conn, campaign, by.at)
    if campaign.state is State.HELD:
        only_steps = await has_fired_for_good(conn, campaign)
        await release_steps(conn, campaign, missed, by)
        await store.move(conn, campaign_id, Act.RELEASE, State.SCHEDULED, by)
        if not only_steps:
            await release_whole(conn, campaign, held, planned_at, missed, by)
        elif missed == "skip":
            await finish_campaigns(conn, [campaign_id], by.at)
    else:
        await release_fire(conn, campaign, named, missed, by)
    return await load(conn, campaign_id, None)


async def check_release(conn: Connection, actor: User, campaign: Campaign, now: datetime) -> None:
    """Refuse to let go, and not leave out, what a campaign holds.

    Raises:
        WrongState, Stopped, Forbidden: as for `release` that names no fire.
    """
    held = await fire_store.held_fires(conn, campaign.id)
    await _check_waits(conn, campaign, held)
    await _check_may_accept(conn, actor, campaign, held, now)


async def _check_waits(conn: Connection, campaign: Campaign, held: Sequence[FireRecord]) -> None:
    sends = campaign.state in {State.SCHEDULED, State.RUNNING}
    if not (sends and held):
        check_move(Act.RELEASE, campaign.state)
    await refuse_while_stopped(conn)


async def _check_may_accept(
    conn: Connection, actor: User, campaign: Campaign, held: Sequence[FireRecord], now: datetime
) -> None:
    """Refuse to let a fire go whose people, or whose number, are others than those of the approval,
    unless the actor may approve, and had a hand neither in the campaign nor in its lists since.
    """
    if all(fire.code not in {Why.DRIFTED, Why.EXCHANGED} for fire in held):
        return
    actor.need(Right.APPROVE)
    act = phrase("release this fire")
    changers: dict[UUID | None, str] = {}
    for person in await list_changers(conn, campaign.id):
        changers[person] = phrase("put in a list since it was approved")
    if campaign.plan.leg_of is None:
        await need_second_person(conn, actor, campaign.hands | changers, act, now)
    else:  # whoever planned it is of the other side, and changed none of these lists
        await need_another_side(conn, actor, campaign.hands, act, now)
        await need_second_person(conn, actor, changers, act, now)


async def finish_campaigns(
    conn: Connection, campaign_ids: Sequence[UUID], now: datetime
) -> list[UUID]:
    """Those of these campaigns that have no open run are done, or wait for their next fire; returns
    those that are done.
    """
    done = []
    by = By(None, "everything is handed off", now)
    for campaign_id, fires_again in await run_store.finished_campaigns(conn, campaign_ids):
        if fires_again:
            await store.move(conn, campaign_id, Act.WAIT, State.SCHEDULED, by)
        elif await store.move(conn, campaign_id, Act.FINISH, State.DONE, by) or await store.move(
            conn, campaign_id, Act.SKIP, State.DONE, by
        ):
            done.append(campaign_id)
    return done


async def finish_joint_plans(pool: Pool, now: datetime) -> list[UUID]:
    """Joint plans of which no fire is to come and no leg sends any more are done, and legs that
    nobody has taken are left out; returns the plans. An error in one does not stop the others; it
    raises an alarm.
    """
    async with pool.acquire() as conn:
        over = await leg_store.plans_that_are_over(conn, now)
    done = []
    for plan_id in over:
        try:
            async with transaction(pool) as conn:
                if await _finish_joint_plan(conn, plan_id, now):
                    done.append(plan_id)
        except Exception:
            log.exception("ending a joint plan failed", extra={"campaign_id": str(plan_id)})
    return done


async def _finish_joint_plan(conn: Connection, plan_id: UUID, now: datetime) -> bool:
    campaign = await load(conn, plan_id, None, lock=True)
    if not await leg_store.plans_that_are_over(conn, now, plan_id):
        return False
    by = By(None, "the plan is over", now)
    for leg in await leg_store.list_legs(conn, plan_id):
        if leg.state in LEG_MOVES[LegState.LEFT_OUT]:
            await leg_store.move_leg(conn, leg, LegState.LEFT_OUT, by)
    act = Act.FINISH if campaign.state is State.RUNNING else Act.SKIP
    return await store.move(conn, plan_id, act, State.DONE, by)


async def reopen_campaigns(
    conn: Connection, runs: Sequence[UUID], reason: str, now: datetime
) -> None:
    """Campaigns that were done, and of which these runs are open again, can be steered again; so
    can the joint plans whose legs they are.
    """
    by = By(None, reason, now)
    for campaign_id in await run_store.campaigns_of(conn, runs):
        await store.move(conn, campaign_id, Act.REOPEN, State.RUNNING, by)


async def expire_pending(pool: Pool, now: datetime) -> list[UUID]:
    """Return every campaign that waited too long for its approval; returns them."""
    async with transaction(pool) as conn:
        by = By(None, "the approval did not come in time", now, Why.APPROVAL_EXPIRED)
        expired = []
        for campaign_id in await store.overdue_approvals(conn, now):
            if await store.move(conn, campaign_id, Act.EXPIRE, State.RETURNED, by):
                await store.void_submission(conn, campaign_id)
                expired.append(campaign_id)
    return expired
