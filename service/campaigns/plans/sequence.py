"""Sequences: the texts after the first go to the people of the fire, each some days later.

A fire plans the steps that follow it, in its transaction; each step is a run of its own, which is
unique on that fire's run and the text's number, so any number of schedulers make one. Its people
are those in the ledger of the fire's run, however the rule reads them by now; who has left all
lists since is left out by name. A step that comes late follows the plan's policy as a fire does,
and moves the steps after it, so that nobody gets two texts of a sequence closer than was planned.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import LATE_AFTER, validity_end
from service.campaigns.core import fire_store, run_store, store
from service.campaigns.core.model import Act, Campaign, Content, State
from service.campaigns.core.run_store import Follow
from service.campaigns.core.texts import step_instants
from service.campaigns.plans import sequence_store
from service.campaigns.plans.sequence_store import Step
from service.campaigns.stops.hold import TOO_LATE, find_obstacle, hold
from service.storage.postgres import Connection, Pool, transaction

log = logging.getLogger(__name__)


def step_note(text_no: int) -> str:
    """What a step is called beside a fire."""
    return f"text {text_no} of the sequence"


async def plan_steps(
    conn: Connection, campaign: Campaign, content: Content, origin_id: UUID, fire_at: datetime
) -> None:
    """Plan what is to follow the run of a fire, if anything is."""
    planned = _instants(content, fire_at)
    await sequence_store.insert_steps(conn, campaign.id, origin_id, planned)


def _instants(content: Content, fire_at: datetime) -> Mapping[int, datetime]:
    days = [words.after_days for words in content.further]
    return step_instants(days, fire_at, content.plan.schedule.zone)


async def plan_anew(conn: Connection, campaign_id: UUID, content: Content) -> None:
    """Let the sequences that are not over go on as they were approved anew."""
    for origin_id, fire_at in await sequence_store.open_origins(conn, campaign_id):
        planned = _instants(content, fire_at)
        await sequence_store.drop_steps(conn, origin_id, max(planned, default=0))
        await sequence_store.insert_steps(conn, campaign_id, origin_id, planned)


async def has_fired_for_good(conn: Connection, campaign: Campaign) -> bool:
    """Whether a plan has had its one fire, so that only the steps after it are to come."""
    if campaign.plan.schedule.kind not in {"now", "once"}:
        return False
    return await sequence_store.has_begun(conn, campaign.id)


async def steps_remain(conn: Connection, campaign_id: UUID, texts: int) -> bool:
    """Whether some sequence of a campaign is not over, if the campaign has so many texts."""
    steps = await sequence_store.open_steps(conn, campaign_id)
    return any(step.text_no <= texts for step in steps)


async def fire_due_steps(pool: Pool, now: datetime) -> list[UUID]:
    """Make the runs of all steps whose time has come; returns them, to be expanded.

    Each step is one transaction. An error in one does not stop the others; it raises an alarm.
    """
    async with pool.acquire() as conn:
        due = await sequence_store.due_steps(conn, now)
    runs = []
    for campaign_id, origin_id, text_no in due:
        try:
            async with transaction(pool) as conn:
                run_id = await _fire_step(conn, campaign_id, origin_id, text_no, now)
        except Exception:
            log.exception("step not fired", extra={"campaign_id": str(campaign_id)})
            await mark_silent(pool, campaign_id, now)
            continue
        if run_id is not None:
            runs.append(run_id)
    return runs


async def mark_silent(pool: Pool, campaign_id: UUID, now: datetime) -> None:
    """Note that a campaign does not fire although it should, which raises an alarm."""
    async with transaction(pool) as conn:
        await fire_store.set_silent(conn, campaign_id, now)


async def _fire_step(
    conn: Connection, campaign_id: UUID, origin_id: UUID, text_no: int, now: datetime
) -> UUID | None:
    campaign = await store.lock_sending_campaign(conn, campaign_id)
    step = await sequence_store.due_step(conn, origin_id, text_no, now)
    if campaign is None or step is None:
        return None
    content = frozen_content(campaign)
    if (obstacle := await find_obstacle(conn, campaign, content, now)) is not None:
        await hold(conn, campaign, obstacle.by(now))
        return None
    if now - step.due_at > LATE_AFTER and await _too_late(conn, campaign, step, now):
        return None
    county = await load_county(conn)
    valid_until = validity_end(campaign.plan.schedule, content.terms, county, now)
    follow = Follow(origin_id, "step")
    run_id = await run_store.insert_run(
        conn, campaign, content, now, valid_until, now, text_no, follow
    )
    if run_id is None:
        return None
    await sequence_store.record(conn, step, "fired", "", run_id, now)
    await fire_store.clear_silent(conn, campaign_id, now)
    if now - step.planned_at > LATE_AFTER:
        await sequence_store.keep_distance(conn, step, now)
    await store.move(
        conn, campaign_id, Act.FIRE, State.RUNNING, By(None, f"fired; {step_note(text_no)}", now)
    )
    return run_id


async def _too_late(conn: Connection, campaign: Campaign, step: Step, now: datetime) -> bool:
    """Do with a late step as the plan says; False: it takes place all the same."""
    why = TOO_LATE.sentence
    if campaign.plan.schedule.late == "hold":
        by = By(None, f"{why}: {step_note(step.text_no)}", now, TOO_LATE.code)
        await hold(conn, campaign, by)
    elif campaign.plan.schedule.late == "skip":
        await sequence_store.record(conn, step, "skipped", why, None, now)
        await fire_store.clear_silent(conn, campaign.id, now)
        await finish_if_over(conn, campaign, By(None, why, now))
    else:
        return False
    return True


async def finish_if_over(conn: Connection, campaign: Campaign, by: By) -> None:
    """A campaign that waits for nothing any more is done, with its last run: while one goes on,
    somebody may want to pause or cancel it.
    """
    if campaign.state is not State.SCHEDULED or await run_store.goes_on(conn, campaign.id):
        return
    waits = await fire_store.fire_waits(conn, campaign.id)
    if not waits and not await sequence_store.open_steps(conn, campaign.id, 1):
        await store.move(conn, campaign.id, Act.SKIP, State.DONE, by)
