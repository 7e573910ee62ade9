"""When a campaign would be finished, as shown before anybody approves it."""

from collections.abc import Mapping

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out
from service.api.sending.queue import part_counter
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.schedule import validity_end
from service.campaigns.core.model import Campaign
from service.campaigns.plans import planning
from service.channels.config.store import readable_channels
from service.dispatch.forecast.estimate import Estimator


class LaneEstimateOut(Out):
    """One channel's share of a campaign."""

    channel_id: int
    channel: str
    messages: int
    parts: int
    rate: float | None = Field(description="Parts a second; null: unknown.")
    finishes_at: Instant | None


class EstimateOut(Out):
    """When the next fire's texts would be handed off, without faults and what is yet to come."""

    fires_at: Instant
    sends_from: Instant
    finishes_at: Instant | None = Field(description="Null: not foreseeable.")
    days: int | None = Field(description="On how many days anything leaves.")
    valid_until: Instant
    in_time: bool | None = Field(description="Whether all leave while they are of use.")
    lanes: list[LaneEstimateOut]


async def estimate_out(
    call: Call, campaign: Campaign, by_carrier: Mapping[str, int]
) -> EstimateOut | None:
    """The estimate for a campaign's next fire to so many people; None: it has no fire to come."""
    county = await load_county(call.conn)
    ahead = await planning.fires_ahead(call.conn, campaign, county, call.now, 1)
    if not ahead or ahead[-1].skipped:
        return None
    runtime = call.runtime
    channels = {c.id: c for c in await readable_channels(call.conn, runtime.keyring)}
    estimator = Estimator(channels, lambda c: part_counter(c, runtime.clock), county, call.now)
    terms = await planning.hour_terms(call.conn, campaign)
    found = await estimator.of(call.conn, campaign, terms, by_carrier, ahead[-1].at)
    valid_until = validity_end(campaign.plan.schedule, terms, county, found.fires_at)
    return EstimateOut(
        **{name: getattr(found, name) for name in found.__slots__ if name != "channels"},
        valid_until=valid_until,
        in_time=found.finishes_at <= valid_until if found.finishes_at else None,
        lanes=[LaneEstimateOut.model_validate(share) for share in found.channels],
    )
