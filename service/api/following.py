"""Runs that follow from a run: its correction."""

from uuid import UUID

from service.api.call import Call
from service.api.campaigns import CampaignDetail, Channels, Priority, chosen, detail_out
from service.api.schedules import ScheduleBody
from service.api.schema import Body, Line
from service.campaigns.corrections import correct
from service.campaigns.model import Plan


class CorrectionBody(Body):
    """What to send to those who got the run, or may have."""

    name: Line
    template_id: UUID
    channels: Channels = "auto"
    priority: Priority = "urgent"
    schedule: ScheduleBody = ScheduleBody()


async def correct_run(call: Call, run_id: UUID, body: CorrectionBody) -> CampaignDetail:
    """Draft a correction to exactly those who got a run, or may have, each once.

    It is submitted and approved as any campaign.
    """
    plan = Plan(
        name=body.name,
        template_id=body.template_id,
        segment_id=None,
        channels=chosen(body.channels),
        priority=body.priority,
        schedule=body.schedule.schedule(),
        max_tps=None,
        over_cap="send",
        corrects=run_id,
    )
    made = await correct(call.conn, call.user, run_id, plan, call.now, call.mode)
    return await detail_out(call, made)
