"""Campaigns: plan, submit, approve; `lifecycle` has what comes after."""

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.accounts.keys.key import Mode
from service.api.calendar.schedules import (
    ScheduleBody,
)
from service.api.campaigns.details import CampaignDetail, CampaignOut, detail_out, facts
from service.api.campaigns.figures_from import (
    check_figures,
    first_text,
    more_texts,
    with_figures,
)
from service.api.campaigns.forecasts import keep_forecast
from service.api.campaigns.legs import Legs
from service.api.campaigns.safety_forms import (
    FiguresFrom,
    GivenValues,
    MoreTexts,
    PeriodBody,
    SafetyBody,
)
from service.api.content.templates import Acknowledged
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Int, Line, OptionalLine, Out, Page
from service.campaigns.approval import approval, sources
from service.campaigns.calendar.schedule import LatePolicy
from service.campaigns.core import fire_store, store
from service.campaigns.core.model import Plan, State
from service.campaigns.core.texts import MOST_TEXTS
from service.campaigns.plans import missed, planning
from service.dispatch.direct.test_send import test_send
from service.errors import Forbidden
from service.ledger.priority import Priority
from service.messages.plan_values import plan_values
from service.queue import Job
from service.words.phrase import phrase
from service.words.terms import term

ChannelId = Annotated[Int, Field(ge=0, le=2**15 - 1)]
Channels = Literal["auto"] | Annotated[list[ChannelId], Field(min_length=1, max_length=100)]
OverCap = Literal["defer", "stop"]
MaxTPS = Annotated[Int, Field(ge=1)]


class CampaignBody(Body):
    """A campaign to be planned."""

    name: Line
    template_id: UUID
    segment_id: UUID | None = None
    legs: Legs | None = Field(default=None, description="A joint plan, in place of a segment.")
    channels: Channels = "auto"
    priority: Priority = "normal"
    schedule: ScheduleBody = ScheduleBody()
    max_tps: MaxTPS | None = None
    over_cap: OverCap = Field(
        default="defer",
        description="What becomes of a text to somebody who has had enough: it waits for its turn "
        "while its validity allows, or is stopped.",
    )
    period: PeriodBody = PeriodBody()
    drill: bool = Field(default=False, description="All real but the channel and the numbers.")
    safety: SafetyBody = SafetyBody()
    more_texts: MoreTexts = Field(default=[])
    values: GivenValues = Field(default={})
    figures_from: FiguresFrom = None


class CampaignPatch(Body):
    """What is to change; the rest stays. A schedule is given whole."""

    name: Line | None = None
    template_id: UUID | None = None
    segment_id: UUID | None = Field(default=None, description="In place of legs, if it has any.")
    legs: Legs | None = Field(default=None, description="In place of its segment, if it has one.")
    channels: Channels | None = None
    priority: Priority | None = None
    schedule: ScheduleBody | None = None
    max_tps: MaxTPS | None = Field(default=None, description="null: no limit of its own.")
    over_cap: OverCap | None = None
    period: PeriodBody | None = None
    drill: bool | None = None
    safety: SafetyBody | None = None
    more_texts: MoreTexts | None = None
    values: GivenValues | None = None
    figures_from: FiguresFrom = None


class CloneBody(Body):
    """The name of the copy; without it, the same."""

    name: Line | None = None


class ReasonBody(Body):
    """Why."""

    reason: OptionalLine = ""


class ApprovalBody(ReasonBody):
    """Why, and which doubts of lint were read."""

    acknowledged: Acknowledged = Field(default=[])
    missed: LatePolicy | None = Field(
        default=None,
        description="What becomes of its fire if that is more than 15 minutes late by now. Needed"
        " if it is and the plan says `late: hold`.",
    )
    content_hash: Line | None = Field(
        default=None,
        description="That of the campaign as you have seen it: if it was changed and submitted"
        " again since, the approval is refused. Null: whatever waits now.",
    )


class TestBody(Body):
    """Which of the campaign's texts, counted from 1."""

    text_no: Annotated[Int, Field(ge=1, le=MOST_TEXTS)] = 1


class RefusalBody(Body):
    """Why not; the planners are told."""

    reason: Line


class StartedOut(Out):
    """A run that was begun."""

    run_id: UUID


class CampaignQuery(PageQuery):
    """Which campaigns: all, or those in one state."""

    state: State | None = None


async def list_campaigns(call: Call, query: CampaignQuery) -> Page[CampaignOut]:
    """List the campaigns that you see."""
    found = await store.list_campaigns(
        call.conn, call.user.scope, query.before, query.wanted, query.state
    )
    return cut(Page[CampaignOut], [CampaignOut(**facts(campaign)) for campaign in found], query)


async def create_campaign(call: Call, body: CampaignBody) -> CampaignDetail:
    """Plan a campaign; it is a draft."""
    plan = Plan(
        name=body.name,
        template_id=body.template_id,
        segment_id=body.segment_id,
        channels=chosen(body.channels),
        priority=body.priority,
        schedule=body.schedule.schedule(),
        max_tps=body.max_tps,
        over_cap=body.over_cap,
        period_start=body.period.start,
        period_end=body.period.end,
        drill=body.drill,
        safety=body.safety.safety(),
        more_texts=await more_texts(call, body.more_texts),
        legs=tuple(leg.ask() for leg in body.legs or ()),
        values=plan_values(
            await with_figures(call, body.template_id, body.values, body.figures_from)
        ),
        figures_from=body.figures_from,
    )
    made = await planning.create(call.conn, call.user, plan, call.now, call.mode)
    return await detail_out(call, made)


async def get_campaign(call: Call, campaign_id: UUID) -> CampaignDetail:
    """Show a campaign with everything that happened to it."""
    return await detail_out(call, await planning.load(call.conn, campaign_id, call.user.scope))


async def edit_campaign(call: Call, campaign_id: UUID, body: CampaignPatch) -> CampaignDetail:
    """Change a campaign that has not begun to send; it becomes a draft and its approval is void."""
    changes = {
        name: getattr(body, name)
        for name in body.model_fields_set
        if name == "max_tps" or getattr(body, name) is not None
    }
    if body.channels is not None:
        changes["channels"] = chosen(body.channels)
    if body.schedule is not None:
        changes["schedule"] = body.schedule.schedule()
    if body.safety is not None:
        changes["safety"] = body.safety.safety()
    if body.more_texts is not None:
        changes["more_texts"] = await more_texts(call, body.more_texts)
    if body.legs is not None:
        changes["legs"] = tuple(leg.ask() for leg in body.legs)
        changes.setdefault("segment_id", None)  # what is given of the two is in the other's place
    elif body.segment_id is not None:
        changes["legs"] = ()
    if body.model_fields_set & {"template_id", "values", "figures_from"}:
        plan = (await planning.load(call.conn, campaign_id, call.user.scope, lock=True)).plan
        asks = "figures_from" in body.model_fields_set
        week = body.figures_from if asks else plan.figures_from
        made = await first_text(call, plan, body.template_id, body.values, week)
        changes |= {"values": made.values, "figures_from": made.figures_from}
    if (period := changes.pop("period", None)) is not None:
        changes |= {"period_start": period.start, "period_end": period.end}
    edited = await planning.edit(
        call.conn, call.user, campaign_id, lambda plan: replace(plan, **changes), call.now
    )
    return await detail_out(call, edited)


async def clone_campaign(call: Call, campaign_id: UUID, body: CloneBody) -> CampaignDetail:
    """Make a draft of the same plan; nothing of the first one's life goes along."""
    made = await planning.clone(call.conn, call.user, campaign_id, body.name, call.now, call.mode)
    return await detail_out(call, made)


async def submit_campaign(call: Call, campaign_id: UUID) -> CampaignDetail:
    """Put a draft before an approver; freezes text and rule."""
    await check_figures(call, await planning.load(call.conn, campaign_id, call.user.scope))
    submitted = await approval.submit(
        call.conn, call.user, campaign_id, call.now, keyring=call.runtime.keyring
    )
    await keep_forecast(call, submitted)
    return await detail_out(call, submitted)


async def approve_campaign(call: Call, campaign_id: UUID, body: ApprovalBody) -> CampaignDetail:
    """Approve what somebody else submitted; it fires at its time."""
    await check_figures(call, await planning.load(call.conn, campaign_id, call.user.scope))
    if body.content_hash is not None:
        await sources.check_seen(call.conn, call.user, campaign_id, body.content_hash)
    approved = await approval.approve(
        call.conn,
        call.user,
        campaign_id,
        body.reason,
        call.now,
        test_above=call.runtime.settings.test_send_above,
        acknowledged=body.acknowledged,
        keyring=call.runtime.keyring,
    )
    if approved.state is State.SCHEDULED:
        await missed.decide_late(
            call.conn, approved, body.missed, call.by(body.reason or "approved")
        )
        approved = await planning.load(call.conn, campaign_id, None)
    decided = await fire_store.decided_at(call.conn, campaign_id, call.now)
    return await detail_out(call, approved, decided)


async def test_campaign(call: Call, campaign_id: UUID, body: TestBody) -> StartedOut:
    """Send what was submitted to your own phone, before you approve it."""
    if call.mode is not Mode.LIVE:
        problem = phrase(
            "a {mode} key reaches no phone of an approver; take a live one", mode=term(call.mode)
        )
        raise Forbidden(problem, code="out_of_scope")
    started = await test_send(
        call.conn, call.runtime.keyring, call.user, campaign_id, call.now, body.text_no
    )
    for channel_id in started.channels:
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    return StartedOut(run_id=started.run_id)


async def return_campaign(call: Call, campaign_id: UUID, body: RefusalBody) -> CampaignDetail:
    """Return a submitted campaign to its planners, to be mended."""
    returned = await approval.send_back(call.conn, call.user, campaign_id, body.reason, call.now)
    return await detail_out(call, returned)


async def reject_campaign(call: Call, campaign_id: UUID, body: RefusalBody) -> CampaignDetail:
    """Refuse a submitted campaign for good."""
    rejected = await approval.reject(call.conn, call.user, campaign_id, body.reason, call.now)
    return await detail_out(call, rejected)


def chosen(channels: Channels) -> tuple[int, ...] | None:
    """The channels as a plan has them, each once."""
    return None if channels == "auto" else tuple(dict.fromkeys(channels))
