"""What a campaign would amount to now: whom it reaches, what they read, when all have it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from service.api.audience.segments import PreviewOut, preview_out
from service.api.campaigns.estimates import EstimateOut, estimate_out
from service.api.campaigns.forecasts import ForecastOut, forecast_out
from service.api.content.templates import TextOut, text_out
from service.api.http.call import Call
from service.api.http.schema import Instant, Out
from service.audience.segments.segment_store import AudienceCounts
from service.campaigns.audience.preview import Preview, read_rule, sample_text, with_sample
from service.campaigns.audience.reach import count_ledger
from service.campaigns.audience.recipients import parts_of, rule_text
from service.campaigns.audience.text_preview import audiences_of
from service.campaigns.core.model import Campaign, State
from service.campaigns.core.store import department_of
from service.campaigns.plans import planning
from service.cases.tables import publish
from service.dispatch.forecast.cap_conflicts import find_cap_conflicts
from service.messages.lint.draft import DraftAudience
from service.messages.lint.lint_store import policy_get
from service.messages.lint.verdict import judge


class ClashOut(Out):
    """Another plan of the same days: how many people have room for one of the two texts only."""

    campaign_id: UUID | None = Field(description="null: another department's.")
    name: str | None
    department: str
    fires_at: Instant
    people: int = Field(description="Of another department's plan in tens.")


class CapsForecastOut(Out):
    """What the caps will cost the campaign, if it fires when it is planned to, or now."""

    fires_at: Instant
    capped: int = Field(description="Those it means who have had enough then.")
    others: list[ClashOut]


class FurtherTextOut(TextOut):
    """A text after the first, as one of them would read it."""

    text: str
    after_days: int | None


class CampaignPreviewOut(PreviewOut, TextOut):
    """Whom a campaign would reach now, what one of them would read, and when all would have it."""

    text: str
    more_texts: list[FurtherTextOut]
    estimate: EstimateOut | None = Field(
        description="Null: it has no fire to come, or is a joint plan, whose legs have one each."
    )
    caps: CapsForecastOut
    forecast: ForecastOut = Field(description="What each fire to come will amount to, as of now.")


async def is_unsigned(call: Call, arguments: Mapping[str, Any]) -> bool:
    """Whether nobody signs the campaign now: an approver's figures come from the primary."""
    campaign = await planning.load(call.conn, arguments["campaign_id"], call.user.scope)
    return campaign.state in {State.DRAFT, State.RETURNED}


async def preview_campaign(call: Call, campaign_id: UUID) -> CampaignPreviewOut:
    """Count whom a campaign would reach now, and show what one of them would read."""
    campaign = await planning.load(call.conn, campaign_id, call.user.scope)
    rule = campaign.frozen_rule or await rule_text(call.conn, campaign.plan, None)
    people = await _people(call, campaign, rule)
    audience, *audiences = await _audiences(call, campaign, rule)
    text = await _judged(call, campaign, campaign.text, audience)
    return CampaignPreviewOut(
        **(await preview_out(call, people)).model_dump(),
        **text.model_dump(),
        text=sample_text(campaign.text),
        more_texts=[
            FurtherTextOut(
                **(await _judged(call, campaign, more.text, others)).model_dump(),
                text=sample_text(more.text),
                after_days=more.after_days,
            )
            for more, others in zip(campaign.further, audiences, strict=True)
        ],
        estimate=None
        if campaign.plan.is_joint
        else await estimate_out(call, campaign, people.counts.by_carrier),
        caps=await _caps(call, campaign, rule),
        forecast=await forecast_out(call, campaign, rule),
    )


async def _people(call: Call, campaign: Campaign, rule: str) -> Preview:
    """Whom a campaign would reach, with a few of them. Of a joint plan the people of its legs are
    counted, nobody is shown, and towns only where no small count can be found out.
    """
    if not campaign.plan.is_joint:
        counts = await count_ledger(call.conn, campaign, rule, call.now)
        return await with_sample(call.conn, call.runtime.keyring, campaign.department_id, counts)
    small = (await policy_get(call.conn)).small_count
    whole = AudienceCounts()
    for own, own_rule in await parts_of(call.conn, campaign, rule):
        counts = await count_ledger(call.conn, own, own_rule, call.now)
        whole.target += counts.target
        whole.by_carrier.update(counts.by_carrier)
        whole.excluded.update(counts.excluded)
        whole.by_area.update(publish(counts.by_area, small).shown)
    return Preview(whole, [])


async def _audiences(call: Call, campaign: Campaign, rule: str) -> Sequence[DraftAudience | None]:
    """Whose values each text is judged with; a leg of a joint plan is judged when it is taken."""
    texts = [campaign.text, *(more.text for more in campaign.further)]
    if campaign.plan.is_joint:
        return [None] * len(texts)
    return await audiences_of(
        call.conn,
        call.runtime.keyring,
        campaign.department_id,
        await read_rule(call.conn, campaign.department_id, rule),
        (texts, campaign.message_class),
        call.now,
    )


async def _caps(call: Call, campaign: Campaign, rule: str) -> CapsForecastOut:
    """What the caps will cost it, in all legs together."""
    found = [
        await find_cap_conflicts(call.conn, call.user, own, own_rule, call.now)
        for own, own_rule in await parts_of(call.conn, campaign, rule)
    ]
    whole = [CapsForecastOut.model_validate(one) for one in found]
    return CapsForecastOut(
        fires_at=whole[0].fires_at,
        capped=sum(one.capped for one in whole),
        others=[other for one in whole for other in one.others],
    )


async def _judged(
    call: Call, campaign: Campaign, text: str, audience: DraftAudience | None
) -> TextOut:
    """A text with its length, and what lint says of it now; the words of a leg are its plan's."""
    author = await department_of(call.conn, campaign.plan.leg_of)
    found = await judge(
        call.conn,
        author or campaign.department_id,
        text,
        campaign.message_class,
        audience=audience,
        remember_at=call.now,
    )
    return text_out(text, found)
