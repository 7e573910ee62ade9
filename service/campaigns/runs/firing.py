"""Firing: a fire that is due makes one run; the plan says what happens to a fire that is too late.

A held fire waits for a person, apart from the campaign's other fires (`hold`), and makes its run
when it is released.

Each fire is recorded under its planned instant, as fired or skipped, in the transaction that sets
the campaign's next fire. So an outage, a clock that jumps or several schedulers neither lose a fire
nor repeat one. Of several fires that an outage made late, only the last takes place.
"""

import logging
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.audience.recipients import compare_people, keeps_people
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import Fire, Turn, Why, calendar_instant
from service.campaigns.calendar.hours import County
from service.campaigns.calendar.schedule import LATE_AFTER, validity_end
from service.campaigns.core import fire_store, leg_store, run_store, store
from service.campaigns.core.legs import LegState
from service.campaigns.core.model import Act, Campaign, Content, State
from service.campaigns.core.run_store import Follow
from service.campaigns.core.turns import text_no_of_fire
from service.campaigns.plans.drift import drift_of, reopen_if_drifted
from service.campaigns.plans.missed import turn_of
from service.campaigns.plans.sequence import (
    finish_if_over,
    fire_due_steps,
    mark_silent,
    plan_steps,
)
from service.campaigns.runs.newcomers import fire_newcomers
from service.campaigns.stops.hold import TOO_LATE, Obstacle, find_obstacle, hold, hold_fire
from service.campaigns.stops.stop_store import is_accepted
from service.storage.postgres import COUNT_SECONDS, Connection, Pool, transaction

MAX_DRIFT = 0.2
"""By what share the number of people may differ at the fire, unless it is set otherwise."""
MAX_EXCHANGED = 0.1
"""The share of a fire's people who may be absent from the approved target, unless set otherwise."""
DRIFTED = "the rule means another number of people than was approved"

log = logging.getLogger(__name__)


class DriftLimits(NamedTuple):
    """How far a fire may differ from its approval, as shares. drift: in the number of people.
    exchanged: in people who were not in the approved target.
    """

    drift: float = MAX_DRIFT
    exchanged: float = MAX_EXCHANGED


LIMITS = DriftLimits()


async def fire_due(pool: Pool, now: datetime, *, limits: DriftLimits = LIMITS) -> list[UUID]:
    """Fire every campaign and every step of a sequence whose time has come, and every fire that a
    person let go; returns the runs, which are to be expanded.

    limits: if the number of people differs from the approved number by more than the share `drift`,
    the campaign waits for a new approval instead. If more than the share `exchanged` of the people
    were not in the approved target, the fire waits for a person who may approve.

    Each campaign has a transaction of its own, so an error in one does not stop the others; it
    raises an alarm. Any number of schedulers may do this at the same time: a fire has one run.
    Nothing fires while the database was promoted or restored and is not accepted: it may have lost
    that it has fired.
    """
    async with pool.acquire() as conn:
        if not await is_accepted(conn):
            return []
        due = await store.due_campaigns(conn, now)
    runs = []
    for campaign_id in due:
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                run_id = await _fire(conn, campaign_id, now, limits)
        except Exception:
            log.exception("firing a campaign failed", extra={"campaign_id": str(campaign_id)})
            await mark_silent(pool, campaign_id, now)
            continue
        if run_id is not None:
            runs.append(run_id)
    return runs + await _fire_released(pool, now, limits) + await fire_due_steps(pool, now)


async def _fire_released(pool: Pool, now: datetime, limits: DriftLimits) -> list[UUID]:
    async with pool.acquire() as conn:
        released = await fire_store.released_fires(conn)
    runs = []
    for campaign_id, planned_at in released:
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                run_id = await _fire_one_released(conn, campaign_id, planned_at, now, limits)
        except Exception:
            log.exception(
                "making the run of a released fire failed", extra={"campaign_id": str(campaign_id)}
            )
            await mark_silent(pool, campaign_id, now)
            continue
        if run_id is not None:
            runs.append(run_id)
    return runs


async def _fire_one_released(
    conn: Connection, campaign_id: UUID, planned_at: datetime, now: datetime, limits: DriftLimits
) -> UUID | None:
    """Make the run of a fire that a person released; it takes place now, not at its own time."""
    campaign = await store.lock_sending_campaign(conn, campaign_id)
    found = await fire_store.released_fire(conn, campaign_id, planned_at)
    if campaign is None or found is None:
        return None
    content, county = frozen_content(campaign), await load_county(conn)
    was_due = calendar_instant(campaign.plan.schedule, content.terms, county, planned_at)
    code = Why.LATE if now - was_due > LATE_AFTER else found.code
    fire = Fire(planned_at, now, found.note, code=code)
    following = None if campaign.next_fire_at is None else fire._replace(at=campaign.next_fire_at)
    turn = Turn([], None, following)
    if (obstacle := await find_obstacle(conn, campaign, content, now)) is not None:
        await hold_fire(conn, campaign, fire, turn, obstacle, now)
        return None
    if campaign.plan.is_joint:
        await _share(conn, campaign, fire, now)
        return None
    if await _has_other_people(conn, campaign, content, fire, turn, limits, now):
        return None
    return await _make_run(conn, campaign, content, county, fire, now, now)


async def _fire(
    conn: Connection, campaign_id: UUID, now: datetime, limits: DriftLimits = LIMITS
) -> UUID | None:
    campaign = await store.lock_due_campaign(conn, campaign_id, now)
    if campaign is None:
        return None
    content, county = frozen_content(campaign), await load_county(conn)
    obstacle = await find_obstacle(conn, campaign, content, now)
    if campaign.plan.schedule.kind != "joining":
        return await _fire_planned(conn, campaign, content, county, limits, obstacle, now)
    if obstacle is not None:
        await hold(conn, campaign, obstacle.by(now))
        return None
    return await fire_newcomers(conn, campaign, content, county, limits.drift, now)


async def _fire_planned(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    county: County,
    limits: DriftLimits,
    obstacle: Obstacle | None,
    now: datetime,
) -> UUID | None:
    turn = await turn_of(conn, campaign, content, county, now)
    await fire_store.insert_skipped(conn, campaign.id, turn.passed, now)
    if turn.fire is None:  # the calendar has changed, or somebody released it before its time
        await _skip(conn, campaign, turn, By(None, "no fire is to come", now))
        return None
    if obstacle is not None:
        await hold_fire(conn, campaign, turn.fire, turn, obstacle, now)
        return None
    if campaign.plan.is_joint:
        await _share(conn, campaign, turn.fire, now)
        await _set_next_fire(conn, campaign.id, turn.following)
        return None
    # A release sets `next_fire_at`; the fire is late only by the time that has passed since.
    fire, fire_at = turn.fire, max(turn.fire.at, campaign.next_fire_at or now)
    if now - fire_at > LATE_AFTER:
        if await _too_late(conn, campaign, turn, fire, now):
            return None
        fire = fire._replace(code=Why.LATE)
    if await _has_other_people(conn, campaign, content, fire, turn, limits, now):
        return None
    run_id = await _make_run(conn, campaign, content, county, fire, fire_at, now)
    await _set_next_fire(conn, campaign.id, turn.following)
    return run_id


async def _share(conn: Connection, campaign: Campaign, fire: Fire, now: datetime) -> None:
    """A fire of a joint plan takes place in its legs; record those that nobody has taken."""
    legs = await leg_store.list_legs(conn, campaign.id)
    missing = [leg for leg in legs if leg.state in {LegState.ASKED, LegState.RETURNED}]
    await leg_store.note_left_out(conn, missing, fire.planned_at, now)
    note = f"left out: {', '.join(leg.department for leg in missing)}" if missing else fire.note
    await fire_store.insert_shared(conn, campaign.id, fire._replace(note=note), now)
    await store.move(conn, campaign.id, Act.FIRE, State.RUNNING, By(None, "its legs fire", now))


async def _has_other_people(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    fire: Fire,
    turn: Turn,
    limits: DriftLimits,
    now: datetime,
) -> bool:
    """Whether the fire does not take place because its people differ too much from the approval. If
    their number differs, the campaign needs a new approval; if too many of them were not in the
    approved target, the fire is held.
    """
    if campaign.plan.leg_of is not None:
        if await _leg_has_drifted(conn, campaign, content, fire, turn, limits.drift, now):
            return True
    elif await reopen_if_drifted(conn, campaign, content, limits.drift, now):
        await _skip_drifted(conn, campaign, fire, now)
        return True
    if not keeps_people(campaign.plan):
        return False
    change = await compare_people(conn, campaign, content, fire.planned_at, limits.exchanged, now)
    if not change.is_held:
        return False
    obstacle = Obstacle(
        Why.EXCHANGED,
        f"{change.others} of {change.people} people were not in the target that was approved",
    )
    held = fire._replace(others=change.others, people=change.people)
    await hold_fire(conn, campaign, held, turn, obstacle, now)
    return True


async def _leg_has_drifted(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    fire: Fire,
    turn: Turn,
    share: float,
    now: datetime,
) -> bool:
    """Hold the fire of a leg whose rule means another number of people than when it was taken: the
    approval is the plan's, so somebody of the leg's department decides.
    """
    drifted = await drift_of(conn, campaign, content, share, now)
    if drifted is None:
        return False
    await hold_fire(conn, campaign, fire, turn, Obstacle(Why.DRIFTED, drifted.sentence), now)
    return True


async def _make_run(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    county: County,
    fire: Fire,
    fire_at: datetime,
    now: datetime,
) -> UUID | None:
    """Make the run of a fire, and plan its later texts; None: there is a run of this instant."""
    valid_until = validity_end(campaign.plan.schedule, content.terms, county, now)
    corrects = campaign.plan.corrects
    relation = "correction" if corrects is not None else None
    follow = Follow(corrects, relation, fire.planned_at)
    run_id = await run_store.insert_run(
        conn,
        campaign,
        content,
        fire_at,
        valid_until,
        now,
        await text_no_of_fire(conn, campaign, fire.planned_at, now),
        follow,
    )
    if run_id is not None:
        await fire_store.insert_fired(conn, campaign.id, fire, run_id, now)
        await plan_steps(conn, campaign, content, run_id, fire_at)
        if campaign.plan.leg_of is not None:
            await leg_store.note_made_up(conn, campaign.id, fire.planned_at, now)
    note = f"fired; {fire.note}" if fire.note else "fired"
    await store.move(conn, campaign.id, Act.FIRE, State.RUNNING, By(None, note, now))
    return run_id


async def _skip_drifted(conn: Connection, campaign: Campaign, fire: Fire, now: datetime) -> None:
    """Record the fire as skipped if its plan recurs; any other fire waits for the new approval."""
    if campaign.plan.schedule.kind == "recurring":
        missed = fire._replace(note=DRIFTED, code=Why.DRIFTED)
        await fire_store.insert_skipped(conn, campaign.id, [missed], now)


async def _too_late(
    conn: Connection, campaign: Campaign, turn: Turn, fire: Fire, now: datetime
) -> bool:
    """Hold or skip a late fire if the plan says so; False: the plan lets it take place late."""
    if campaign.plan.schedule.late == "hold":
        await hold_fire(conn, campaign, fire, turn, TOO_LATE, now)
    elif campaign.plan.schedule.late == "skip":
        late = fire._replace(note=TOO_LATE.sentence, code=TOO_LATE.code)
        await fire_store.insert_skipped(conn, campaign.id, [late], now)
        await _skip(conn, campaign, turn, TOO_LATE.by(now))
    else:
        return False
    return True


async def _set_next_fire(conn: Connection, campaign_id: UUID, fire: Fire | None) -> None:
    await store.set_next_fire(conn, campaign_id, fire.at if fire else None)


async def _skip(conn: Connection, campaign: Campaign, turn: Turn, by: By) -> None:
    """Wait for the next fire; if there is none, be done, unless something still goes on."""
    await _set_next_fire(conn, campaign.id, turn.following)
    if turn.following is None:
        await finish_if_over(conn, campaign, by)


async def reset_next_fires(conn: Connection, now: datetime) -> int:
    """Set each campaign's next fire by the calendar as it is now; returns how many changed.

    What is due already is left to `fire_due`, which looks at the calendar itself.
    """
    county = await load_county(conn)
    moved = 0
    for campaign_id in await fire_store.waiting_for_a_fire(conn):
        campaign = await store.get_campaign(conn, campaign_id, None, lock=True)
        if (
            campaign is None
            or campaign.next_fire_at is None
            or campaign.next_fire_at <= now
            or campaign.plan.schedule.kind not in ("recurring", "joining")
        ):
            continue
        turn = await turn_of(conn, campaign, frozen_content(campaign), county, now)
        fire = turn.fire or turn.following
        at = fire.at if fire else now
        if at != campaign.next_fire_at:
            await store.set_next_fire(conn, campaign_id, at)
            moved += 1
    return moved
