"""Steering a campaign that was approved: release, pause, resume, cancel.

Whoever lets a campaign go on is told in the answer what becomes of the fires that were missed
meanwhile, and is asked where the plan leaves it to a person.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.campaigns.campaigns import ReasonBody
from service.api.campaigns.details import CampaignDetail, detail_out
from service.api.http.call import Call
from service.api.http.schema import Instant
from service.campaigns.calendar.schedule import LatePolicy
from service.campaigns.core import fire_store
from service.campaigns.core.model import Campaign
from service.campaigns.plans import lifecycle, planning
from service.dispatch.handoff.sweep_store import channels_with_work
from service.queue import Job


class ResumeBody(ReasonBody):
    """Why, and what becomes of fires that were missed."""

    missed: LatePolicy | None = Field(
        default=None,
        description="What becomes of fires that are more than 15 minutes late by now: `run` sends"
        " the last one now, in place of all; `hold` lets it wait for a release; `skip` leaves them"
        " out. Needed if there are such and the plan says `late: hold`; else they follow the plan."
        " A newer fire that is still in time goes by itself, with `run` in place of those missed.",
    )


class ReleaseBody(ReasonBody):
    """Why; which fire, where several are held; and whether it is sent or left out."""

    planned_at: Instant | None = Field(
        default=None,
        description="Of the fire that is meant; needed where several of a campaign are held. Of a"
        " campaign that is held as a whole, its last fire goes, and only that may be named.",
    )
    missed: Literal["run", "skip"] | None = Field(
        default=None,
        description="`run` sends what is held, `skip` leaves it out. Needed if a campaign was held"
        " as a whole, missed further fires meanwhile, and says `late: hold`: `run` then sends the"
        " last one, in place of all.",
    )


async def release_campaign(call: Call, campaign_id: UUID, body: ReleaseBody) -> CampaignDetail:
    """Let a campaign on hold, or a fire of it that is held, go now; or leave it out."""
    by = call.by(body.reason or "released")
    act = lifecycle.release(call.conn, call.user, campaign_id, by, body.missed, body.planned_at)
    return await _steered(call, act)


async def pause_campaign(call: Call, campaign_id: UUID, body: ReasonBody) -> CampaignDetail:
    """Stop handing off; after the answer, nothing that was not already leaving goes out."""
    by = call.by(body.reason or "paused")
    return await _steered(call, lifecycle.pause(call.conn, call.user, campaign_id, by))


async def resume_campaign(call: Call, campaign_id: UUID, body: ResumeBody) -> CampaignDetail:
    """Go on where it was paused; `decided_fires` says what becomes of the fires it missed."""
    by = call.by(body.reason or "resumed")
    resumed = await _steered(
        call, lifecycle.resume(call.conn, call.user, campaign_id, by, body.missed)
    )
    for channel_id in await channels_with_work(call.conn, call.now):
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    return resumed


async def cancel_campaign(call: Call, campaign_id: UUID, body: ReasonBody) -> CampaignDetail:
    """End it; what is still queued is cancelled, what has left has left."""
    by = call.by(body.reason or "cancelled")
    return await _steered(call, lifecycle.cancel(call.conn, call.user, campaign_id, by))


async def _steered(call: Call, act: Awaitable[Campaign]) -> CampaignDetail:
    campaign = await act
    decided = await fire_store.decided_at(call.conn, campaign.id, call.now)
    return await detail_out(call, campaign, decided)


async def need_own_mode(call: Call, found: Mapping[str, Any]) -> None:
    """Refuse a key that is not live what was planned with a key of another kind (`Op.guard`).

    Raises:
        Forbidden: the campaign of the address is not one of those that the key may touch.
    """
    await planning.check_mode(call.conn, found["campaign_id"], call.mode)
