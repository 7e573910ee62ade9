"""Watching runs while they go out: pausing them when something is wrong, and letting canaries pass.

A pause of the guard is one like any other (I7): the reason stands in the campaign's record, and a
person resumes it or cancels it. What was known at that moment is then not held against it again.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.calendar.fires import Why
from service.campaigns.core import run_store, store
from service.campaigns.core.model import MOVES, Act, State
from service.campaigns.core.safety import SafetyLimits, alarm, is_over
from service.campaigns.stops import guard_store
from service.campaigns.stops.guard_store import Guarded
from service.settings import Settings
from service.storage.postgres import Connection, Pool, transaction

log = logging.getLogger(__name__)


def limits_of(settings: Settings) -> SafetyLimits:
    """The limits of a deployment."""
    return SafetyLimits(
        settings.safety_failed_share,
        settings.safety_filtered_share,
        settings.safety_opted_out_share,
        timedelta(minutes=settings.safety_silence_minutes),
        settings.safety_least,
    )


async def guard_runs(pool: Pool, limits: SafetyLimits, now: datetime) -> list[int]:
    """Judge every run that is handing off; returns the channels of those whose canary passed.

    Each run is one transaction, and its trouble holds up no other.
    """
    async with pool.acquire() as conn:
        runs = await guard_store.guarded_runs(conn)
    channels: list[int] = []
    for run in runs:
        try:
            async with transaction(pool) as conn:
                channels += await _judge(conn, run, limits.of(run.safety), now)
        except Exception:
            log.exception("run not judged", extra={"run_id": str(run.id)})
    return channels


async def _judge(conn: Connection, run: Guarded, limits: SafetyLimits, now: datetime) -> list[int]:
    if run.canary == "sending":
        return await _judge_canary(conn, run, limits, now)
    why = alarm(await guard_store.figures(conn, run.id, limits.silence, now), limits)
    if why is not None:
        await _pause(conn, run.campaign_id, why, now)
    return []


async def _judge_canary(
    conn: Connection, run: Guarded, limits: SafetyLimits, now: datetime
) -> list[int]:
    """Whether the rest of a run may follow its canary; any of a canary's texts counts."""
    stand = await guard_store.canary_stand(conn, run.id)
    if not is_over(stand, run.safety, now):
        return []
    wait = timedelta(minutes=run.safety.canary_wait_minutes)
    found = await guard_store.figures(conn, run.id, min(limits.silence, wait), now, canary=True)
    strict = SafetyLimits(
        limits.failed_share,
        limits.filtered_share,
        limits.opted_out_share,
        min(limits.silence, wait),
        least=1,
    )
    why = alarm(found, strict)
    if why is None and stand.unheard and not found.judged:
        why = f"nothing was heard of any of {stand.unheard} texts"
    if why is None:
        await guard_store.set_canary(conn, run.id, "passed")
        return await guard_store.channels_of(conn, run.id)
    if await _pause(conn, run.campaign_id, f"the first people: {why}", now):
        await guard_store.set_canary(conn, run.id, "failed")
    return []


async def _pause(conn: Connection, campaign_id: UUID, why: str, now: datetime) -> bool:
    """Pause a campaign that sends, or waits for its next fire while a run of it does; False if
    somebody moved it meanwhile.
    """
    if await store.lock_state(conn, campaign_id) not in MOVES[Act.PAUSE][0]:
        return False
    runs = await run_store.lock_open_runs(conn, campaign_id)
    await run_store.set_runs(conn, runs, ["running"], "paused", now)
    await store.move(conn, campaign_id, Act.PAUSE, State.PAUSED, By(None, why, now, Why.GUARD))
    log.error("campaign paused", extra={"campaign_id": str(campaign_id), "why": why})
    return True
