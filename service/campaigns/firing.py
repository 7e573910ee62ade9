"""Firing: what is due makes its run, once; what comes too late follows the plan.

Each fire is recorded under its planned instant, fired or skipped, in the transaction that moves the
campaign on; so an outage, a clock that jumps and any number of schedulers lose none and repeat
none. Of several that an outage made late, the last stands for all.
"""

import logging
from datetime import datetime
from uuid import UUID

from service.campaigns import fire_store, run_store, store
from service.campaigns.approval import reopen_if_drifted
from service.campaigns.clearance import frozen_content
from service.campaigns.county_store import load_county
from service.campaigns.fires import Fire, Turn, candidates, opens, turn
from service.campaigns.holding import hold, obstacle
from service.campaigns.hours import County
from service.campaigns.joining import look
from service.campaigns.model import Act, By, Campaign, Content, State
from service.campaigns.run_store import NO_FOLLOW, Follow
from service.campaigns.schedule import LATE, validity_end
from service.campaigns.sequence import finish_if_over, fire_due_steps, plan_steps
from service.campaigns.texts import next_in_turn
from service.storage.postgres import Connection, Pool, transaction

DRIFT = 0.2
"""By what share the number of people may differ at the fire, unless it is set otherwise."""
DRIFTED = "the rule means another number of people than was approved"

log = logging.getLogger(__name__)


async def fire_due(pool: Pool, now: datetime, *, drift: float = DRIFT) -> list[UUID]:
    """Fire every campaign and every step of a sequence whose time has come; returns the runs, which
    are to be expanded.

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
    return runs + await fire_due_steps(pool, now)


async def _fire(
    conn: Connection, campaign_id: UUID, now: datetime, drift: float = DRIFT
) -> UUID | None:
    campaign = await store.lock_due_campaign(conn, campaign_id, now)
    if campaign is None:
        return None
    content = frozen_content(campaign)
    if (why := await obstacle(conn, campaign, content, now)) is not None:
        await hold(conn, campaign, By(None, why, now))
        return None
    county = await load_county(conn)
    if campaign.plan.schedule.kind == "joining":
        return await look(conn, campaign, content, county, drift, now)
    return await _fire_planned(conn, campaign, content, county, drift, now)


async def _fire_planned(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    county: County,
    drift: float,
    now: datetime,
) -> UUID | None:
    campaign_id = campaign.id
    what = await _turn(conn, campaign, content, county, now)
    await fire_store.insert_skipped(conn, campaign_id, what.passed, now)
    if what.fire is None:  # the calendar has changed, or somebody released it before its time
        await _skip(conn, campaign, what, By(None, "no fire is to come", now))
        return None
    # A person who released it made a new time of it.
    fire_at = max(what.fire.at, campaign.next_fire_at or now)
    if now - fire_at > LATE and await _too_late(conn, campaign, what, what.fire, now):
        return None
    if await reopen_if_drifted(conn, campaign, content, drift, now):
        if campaign.plan.schedule.kind == "recurring":  # any other waits for its approval
            missed = what.fire._replace(note=DRIFTED)
            await fire_store.insert_skipped(conn, campaign_id, [missed], now)
        return None
    valid_until = validity_end(campaign.plan.schedule, content.terms, county, now)
    text_no = await _text_no(conn, campaign)
    corrects = campaign.plan.corrects
    follow = Follow(corrects, "correction") if corrects is not None else NO_FOLLOW
    run_id = await run_store.insert_run(
        conn, campaign, content, fire_at, valid_until, now, text_no, follow
    )
    if run_id is not None:
        await fire_store.insert_fired(conn, campaign_id, what.fire, run_id, now)
        await plan_steps(conn, campaign, content, run_id, fire_at)
    await _wait_for(conn, campaign_id, what.following)
    note = f"fired; {what.fire.note}" if what.fire.note else "fired"
    await store.move(conn, campaign_id, Act.FIRE, State.RUNNING, By(None, note, now))
    return run_id


async def _text_no(conn: Connection, campaign: Campaign) -> int:
    """The text whose turn it is; a sequence begins with its first."""
    if not campaign.plan.more_texts or campaign.plan.is_sequence:
        return 1
    last = await run_store.last_text(conn, campaign.id)
    return next_in_turn(last, len(campaign.plan.more_texts) + 1)


async def _too_late(
    conn: Connection, campaign: Campaign, what: Turn, fire: Fire, now: datetime
) -> bool:
    """Do with a late fire as the plan says; False: it takes place all the same."""
    by = By(None, "too late to fire", now)
    if campaign.plan.schedule.late == "hold":
        await hold(conn, campaign, by)
    elif campaign.plan.schedule.late == "skip":
        await fire_store.insert_skipped(conn, campaign.id, [fire._replace(note=by.reason)], now)
        await _skip(conn, campaign, what, by)
    else:
        return False
    return True


async def _turn(
    conn: Connection, campaign: Campaign, content: Content, county: County, now: datetime
) -> Turn:
    schedule = campaign.plan.schedule
    after = await fire_store.last_planned(conn, campaign.id)
    approved = campaign.approved_at or now
    since = opens(schedule, approved, campaign.plan.period_start)
    if schedule.kind == "joining":
        since = max(since, now)
    return turn(candidates(schedule, content.terms, county, since, after), now)


async def _wait_for(conn: Connection, campaign_id: UUID, fire: Fire | None) -> None:
    await store.set_next_fire(conn, campaign_id, fire.at if fire else None)


async def _skip(conn: Connection, campaign: Campaign, what: Turn, by: By) -> None:
    """Wait for the next fire; if there is none, be done, unless something still goes on."""
    await _wait_for(conn, campaign.id, what.following)
    if what.following is None:
        await finish_if_over(conn, campaign, by)


async def arm_again(conn: Connection, now: datetime) -> int:
    """Wait for each campaign's next fire by the calendar as it is now; returns how many moved.

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
        what = await _turn(conn, campaign, frozen_content(campaign), county, now)
        fire = what.fire or what.following
        at = fire.at if fire else now
        if at != campaign.next_fire_at:
            await store.set_next_fire(conn, campaign_id, at)
            moved += 1
    return moved
