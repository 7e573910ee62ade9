"""Runs that follow from a run: its correction, its text once more to whom it missed, a top-up."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.api.calendar.schedules import ScheduleBody
from service.api.campaigns.campaigns import (
    ChannelId,
    Channels,
    ReasonBody,
    StartedOut,
    chosen,
)
from service.api.campaigns.details import CampaignDetail, detail_out
from service.api.campaigns.figures_from import with_figures
from service.api.campaigns.safety_forms import FiguresFrom, GivenValues
from service.api.http.call import Call
from service.api.http.schema import Body, Line, OptionalLine, Out, TranslatedText
from service.campaigns.core.model import Plan
from service.campaigns.plans.corrections import correct
from service.campaigns.runs import follow_up_runs
from service.ledger.priority import Priority
from service.messages.plan_values import plan_values
from service.queue import Job


class MissedOut(Out):
    """Whom a run has not reached, by reason."""

    again: dict[str, int] = Field(description="To whom the text may be sent again.")
    not_again: dict[str, int] = Field(
        description="To whom not: who may have got it (`in_doubt`), who must not be written to,"
        " whose number does not exist, and whose text was stopped or cancelled."
    )


class ResendBody(Body):
    """Over which channels, if not the campaign's, and why."""

    channels: Annotated[list[ChannelId], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="Beyond the approved ones it takes an approver who had no hand in it.",
    )
    reason: OptionalLine = ""


class JoinedOut(Out):
    """Who joined since the last fire."""

    people: int | None = Field(
        description="Whom the rule means by now and no run of the campaign had."
    )
    why: TranslatedText | None = Field(description="Why it is not topped up, if it is not.")


class CorrectionBody(Body):
    """What to send to those who got the run, or may have."""

    name: Line
    template_id: UUID
    channels: Channels = "auto"
    priority: Priority = "urgent"
    schedule: ScheduleBody = ScheduleBody()
    values: GivenValues = Field(default={})
    figures_from: FiguresFrom = None


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
        values=plan_values(
            await with_figures(call, body.template_id, body.values, body.figures_from)
        ),
        figures_from=body.figures_from,
    )
    made = await correct(call.conn, call.user, run_id, plan, call.now, call.mode)
    return await detail_out(call, made)


async def get_missed(call: Call, run_id: UUID) -> MissedOut:
    """Count whom a run has missed, by reason, before its text is sent again."""
    return MissedOut.model_validate(
        await follow_up_runs.missed(call.conn, call.user, run_id, call.now)
    )


async def resend_missed(call: Call, run_id: UUID, body: ResendBody) -> StartedOut:
    """Send the text again to those whom a run has certainly missed, as a run of its own."""
    channels = None if body.channels is None else chosen(body.channels)
    made = await follow_up_runs.resend_missed(
        call.conn, call.user, run_id, channels, call.by(body.reason)
    )
    call.after_commit(Job.EXPAND_RUN, made)
    return StartedOut(run_id=made)


async def get_top_up(call: Call, campaign_id: UUID) -> JoinedOut:
    """Count who joined a campaign's segment since its last fire."""
    people, why = await follow_up_runs.who_joined(call.conn, call.user, campaign_id, call.now)
    return JoinedOut(people=people, why=why)


async def top_up(call: Call, campaign_id: UUID, body: ReasonBody) -> StartedOut:
    """Send the last fire's text to those who joined since, as a run of its own."""
    share = call.runtime.settings.drift_share
    made = await follow_up_runs.top_up(
        call.conn, call.user, campaign_id, share, call.by(body.reason)
    )
    call.after_commit(Job.EXPAND_RUN, made)
    return StartedOut(run_id=made)
