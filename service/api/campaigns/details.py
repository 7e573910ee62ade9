"""A campaign as it is shown: its plan, its state, and all that happened to it."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.acts import ActOut
from service.api.calendar.schedules import (
    MOST_TOLD,
    SHOWN,
    TO_COME,
    FireOut,
    FireRecordOut,
    ScheduleOut,
    ToComeOut,
    fires_out,
    record_out,
    repeats,
    to_come,
)
from service.api.campaigns.campaign_acts import campaign_acts
from service.api.campaigns.forecasts import ForecastOut, told_at_submission
from service.api.campaigns.legs import LegAskOut
from service.api.campaigns.safety_forms import MoreTextOut, PeriodOut, SafetyBody, safety_out
from service.api.content.taken_texts import TextNewsOut, text_news_out
from service.api.content.templates import FindingOut, findings_out
from service.api.http.call import Call
from service.api.http.schema import Instant, Out, TranslatedText
from service.campaigns.approval.approvers import list_approvers
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import first_of
from service.campaigns.core import fire_store, store
from service.campaigns.core.model import Campaign, State
from service.campaigns.core.plan_warnings import notes_of, passed_notes
from service.campaigns.plans import planning


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
    figures_from: str | None = Field(
        description="The week of the bulletin that the first text's figures on cases are from."
    )
    rollout: str | None = Field(
        description="SHA-256 of the order in which it goes to its villages, in waves; null: it has"
        " none."
    )
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


class ApproverOut(Out):
    """Somebody who could approve it."""

    id: UUID
    name: str
    stands_in_for: UUID | None = Field(description="The absent approver in whose seat.")


class CampaignDetail(CampaignOut):
    """A campaign with its text, its rule as frozen at submission, and everything that happened."""

    BY_THE_CLOCK = frozenset({"next_fires", "to_come", "schedule_notes", "acts", "approvers"})

    text: str = Field(description="With the plan's values in it.")
    frozen_rule: str | None
    next_fires: list[FireOut] = Field(description="The next five, and those left out among them.")
    to_come: ToComeOut | None = Field(description=TO_COME)
    schedule_notes: list[TranslatedText] = Field(
        description="What the planner should know of its time, and of whom the caps will take."
    )
    text_news: list[TextNewsOut] = Field(
        description="What there is to know of its texts that were taken over from others."
    )
    forecast: ForecastOut | None = Field(
        description="What each fire to come will amount to, as foretold at the submission."
    )
    findings: list[FindingOut] = Field(
        description="What lint said of all its texts at the submission. Who approves acknowledges"
        " the rules of level `review`."
    )
    approvers: list[ApproverOut] = Field(
        description="Who of its department could approve it now; empty unless it waits for that."
    )
    moves: list[MoveOut]
    held_fires: list[FireRecordOut] = Field(
        description="Fires that wait for a person's release; other fires go on beside them."
    )
    decided_fires: list[FireRecordOut] = Field(
        description="Of fires that were missed: what this request has decided, by itself or by the"
        " plan. Empty where nothing was."
    )
    acts: list[ActOut] = Field(
        description="What you could do with it now, each act of a person once, and why not. Worked"
        " out anew at each asking, so that the version (`ETag`) says nothing of it. What takes a"
        " count or a look at each person is found by the act itself: what a submission or an"
        " approval judges of texts and people, and whether anybody has joined."
    )


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
    schedule = campaign.plan.schedule
    ends = schedule.has_end or (
        schedule.kind == "recurring" and campaign.plan.period[1] is not None
    )
    most = MOST_TOLD + 1 if ends else SHOWN
    all_ahead = await planning.fires_ahead(call.conn, campaign, county, call.now, most)
    ahead = first_of(all_ahead, SHOWN)
    return CampaignDetail(
        **facts(campaign),
        next_fires=fires_out(ahead, terms, county),
        to_come=to_come(all_ahead) if ends else None,
        schedule_notes=[
            *passed_notes(campaign, ahead, call.now),
            *notes_of(ahead, terms, county),
            *await repeats(call, campaign, county),
            *losses,
        ],
        text_news=await text_news_out(call, campaign.id),
        forecast=forecast,
        findings=findings_out(campaign.findings),
        approvers=[
            ApproverOut(**approver._asdict())
            for approver in await list_approvers(call.conn, campaign, call.now)
        ],
        moves=[MoveOut.model_validate(move) for move in moves],
        held_fires=[record_out(f) for f in await fire_store.held_fires(call.conn, campaign.id)],
        decided_fires=[record_out(fire) for fire in decided],
        acts=await campaign_acts(call, campaign),
    )


def facts(campaign: Campaign) -> dict[str, Any]:
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
