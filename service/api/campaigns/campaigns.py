"""Campaigns: plan, submit, approve; `lifecycle` has what comes after."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.accounts.keys.key import Mode
from service.api.calendar.schedules import (
    SHOWN,
    FireOut,
    FireRecordOut,
    ScheduleBody,
    ScheduleOut,
    fires_out,
    record_out,
    repeats,
)
from service.api.campaigns.forecasts import ForecastOut, keep_forecast, told_at_submission
from service.api.campaigns.legs import LegAskOut, Legs
from service.api.campaigns.safety_forms import (
    GivenValues,
    MoreTextOut,
    MoreTexts,
    PeriodBody,
    PeriodOut,
    SafetyBody,
    safety_out,
)
from service.api.content.taken_texts import TextNewsOut, text_news_out
from service.api.content.templates import Acknowledged
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Int, Line, OptionalLine, Out, Page
from service.campaigns.approval import approval
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import LatePolicy
from service.campaigns.core import fire_store, store
from service.campaigns.core.model import Campaign, Plan, State
from service.campaigns.core.plan_warnings import notes_of, passed_notes
from service.campaigns.core.texts import MOST_TEXTS
from service.campaigns.plans import missed, planning
from service.dispatch.direct.test_send import test_send
from service.errors import Forbidden
from service.ledger.priority import Priority
from service.messages.plan_values import plan_values
from service.queue import Job

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


class CampaignPatch(Body):
    """What is to change; the rest stays. A schedule is given whole."""

    name: Line | None = None
    template_id: UUID | None = None
    segment_id: UUID | None = None
    legs: Legs | None = None
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


class TestBody(Body):
    """Which of the campaign's texts, counted from 1."""

    text_no: Annotated[Int, Field(ge=1, le=MOST_TEXTS)] = 1


class RefusalBody(Body):
    """Why not; the planners are told."""

    reason: Line


class CampaignOut(Out):
    """A campaign; `baseline` is how many people the rule meant at submission."""

    id: UUID
    department_id: UUID
    name: str
    template_id: UUID
    template_version_id: UUID
    segment_id: UUID | None = Field(description="Null: a correction goes to those who got a run.")
    corrects: UUID | None = Field(description="The run that it corrects.")
    legs: list[LegAskOut] = Field(description="What a joint plan asks of whom; else empty.")
    leg_of: UUID | None = Field(description="The joint plan whose leg it is.")
    channels: Literal["auto"] | list[int]
    priority: str
    schedule: ScheduleOut
    max_tps: int | None
    over_cap: str
    period: PeriodOut
    drill: bool
    safety: SafetyBody
    more_texts: list[MoreTextOut]
    values: dict[str, str] = Field(description="What fills the first text for all who get it.")
    cloned_from: UUID | None
    message_class: str = Field(alias="class")
    state: State
    next_fire_at: Instant | None
    created_by: UUID
    created_at: Instant
    edited_by: UUID
    submitted_by: UUID | None
    submitted_at: Instant | None
    pending_until: Instant | None
    baseline: int | None
    approved_by: UUID | None
    approved_at: Instant | None
    approved_for: UUID | None = Field(description="The absent approver it was approved for.")
    second_approved_by: UUID | None = Field(description="A warning takes two.")
    second_approved_for: UUID | None
    second_approved_at: Instant | None
    content_hash: str | None
    key_mode: str = Field(description="trial: reaches only guests; test: sends nothing, ever.")


class MoveOut(Out):
    """One step of a campaign's life; without a user it was the clock's."""

    from_state: str
    to_state: str
    user_id: UUID | None
    reason: str
    at: Instant
    code: str = Field(description="Why, as one word; empty: a person's act says it.")


class CampaignDetail(CampaignOut):
    """A campaign with its text, its rule as frozen at submission, and everything that happened."""

    BY_THE_CLOCK = frozenset({"next_fires", "schedule_notes"})

    text: str = Field(description="With the plan's values in it.")
    frozen_rule: str | None
    next_fires: list[FireOut] = Field(description="The next five, and those left out among them.")
    schedule_notes: list[str] = Field(
        description="What the planner should know of its time, and of whom the caps will take."
    )
    text_news: list[TextNewsOut] = Field(
        description="What there is to know of its texts that were taken over from others."
    )
    forecast: ForecastOut | None = Field(
        description="What each fire to come will amount to, as foretold at the submission."
    )
    moves: list[MoveOut]
    held_fires: list[FireRecordOut] = Field(
        description="Fires that wait for a person's release; other fires go on beside them."
    )
    decided_fires: list[FireRecordOut] = Field(
        description="Of fires that were missed: what this request has decided, by itself or by the"
        " plan. Empty where nothing was."
    )


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
    return cut(Page[CampaignOut], [CampaignOut(**_facts(campaign)) for campaign in found], query)


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
        more_texts=tuple(text.text() for text in body.more_texts),
        legs=tuple(leg.ask() for leg in body.legs or ()),
        values=plan_values(body.values),
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
        changes["more_texts"] = tuple(text.text() for text in body.more_texts)
    if body.legs is not None:
        changes["legs"] = tuple(leg.ask() for leg in body.legs)
    changes |= {"values": plan_values(body.values)} if body.values is not None else {}
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
    submitted = await approval.submit(
        call.conn, call.user, campaign_id, call.now, keyring=call.runtime.keyring
    )
    await keep_forecast(call, submitted)
    return await detail_out(call, submitted)


async def approve_campaign(call: Call, campaign_id: UUID, body: ApprovalBody) -> CampaignDetail:
    """Approve what somebody else submitted; it fires at its time."""
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
        raise Forbidden(
            f"a {call.mode.value} key reaches no phone of an approver; take a live one",
            code="out_of_scope",
        )
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


async def detail_out(
    call: Call, campaign: Campaign, decided: Sequence[fire_store.FireRecord] = ()
) -> CampaignDetail:
    """A campaign with its text, its rule, and everything that happened to it.

    decided: fires of which the request has decided something.
    """
    moves = await store.list_moves(call.conn, campaign.id)
    forecast, losses = await told_at_submission(call, campaign)
    county = await load_county(call.conn)
    terms = await planning.hour_terms(call.conn, campaign)
    ahead = await planning.fires_ahead(call.conn, campaign, county, call.now, SHOWN)
    return CampaignDetail(
        **_facts(campaign),
        next_fires=fires_out(ahead, terms, county),
        schedule_notes=[
            *passed_notes(campaign, ahead, call.now),
            *notes_of(ahead, terms, county),
            *await repeats(call, campaign, county),
            *losses,
        ],
        text_news=await text_news_out(call, campaign.id),
        forecast=forecast,
        moves=[MoveOut.model_validate(move) for move in moves],
        held_fires=[record_out(f) for f in await fire_store.held_fires(call.conn, campaign.id)],
        decided_fires=[record_out(fire) for fire in decided],
    )


def _facts(campaign: Campaign) -> dict[str, Any]:
    """Everything that a campaign's row and plan say."""
    row = {field.name: getattr(campaign, field.name) for field in fields(campaign)}
    plan = {field.name: getattr(campaign.plan, field.name) for field in fields(campaign.plan)}
    channels = campaign.plan.channels
    return {
        **row,
        **plan,
        "period": PeriodOut(start=campaign.plan.period_start, end=campaign.plan.period_end),
        "safety": safety_out(campaign.plan.safety),
        "more_texts": [asdict(text) | {"values": dict(text.values)} for text in campaign.further],
        "values": dict(campaign.plan.values),
        "channels": "auto" if channels is None else list(channels),
        "content_hash": campaign.content_hash.hex() if campaign.content_hash else None,
    }
