"""When a campaign will have handed off everything: persons × parts, by the pace of each channel.

It is the forecast of `forecast` for one run that begins at the fire: the county's hours, quiet
days, maintenance and quotas are in it. What waits on the channels now is in it too if the fire
comes within a day; what is yet to be planned, retries and faults are not. A carrier's people are
reckoned to go over its real channel if it has one, else over its simulated one.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from service.accounts.departments.department_store import get_department
from service.campaigns.audience.available_channels import available_routes, sender_of
from service.campaigns.audience.preview import sample_text
from service.campaigns.calendar.hours import County, HourTerms
from service.campaigns.core.model import Campaign
from service.campaigns.core.store import department_of
from service.channels.contract.model import Channel
from service.channels.routing.route_store import list_routable_channels
from service.clock import CHINA
from service.dispatch.fair_queue import Flow
from service.dispatch.forecast.channel_queue import Count, forecast_channel_of, load_of, rate_of
from service.dispatch.forecast.forecast import Load, forecast
from service.dispatch.handoff import queue_store
from service.dispatch.limits import quota_store
from service.ledger.priority import number_of
from service.storage.postgres import Connection

SOON = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ChannelEstimate:
    """One channel's share. rate: parts a second, None if unknown.

    finishes_at: None where that is not foreseeable.
    """

    channel_id: int
    channel: str
    messages: int
    parts: int
    rate: float | None
    finishes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """When the first text may leave and the last will have. days: on how many days anything leaves.

    finishes_at, days: None where that is not foreseeable.
    """

    fires_at: datetime
    sends_from: datetime
    finishes_at: datetime | None
    days: int | None
    channels: list[ChannelEstimate]


@dataclass(frozen=True, slots=True)
class Estimator:
    """What all estimates of a moment share. channels: those that can be read; counter: how many
    parts a channel makes of a text.
    """

    channels: Mapping[int, Channel]
    counter: Callable[[Channel], Count]
    county: County
    now: datetime

    async def of(
        self,
        conn: Connection,
        campaign: Campaign,
        terms: HourTerms,
        by_carrier: Mapping[str, int],
        fire_at: datetime,
    ) -> Estimate:
        """Foretell how long a campaign takes to so many people if everything goes as it should."""
        weight = (await get_department(conn, campaign.department_id, None)).settings.weight
        flow = Flow(number_of(campaign.plan.priority), campaign.department_id)
        max_tps = campaign.plan.max_tps
        messages = await self._by_channel(conn, campaign, by_carrier)
        shares = []
        for channel_id, count in sorted(messages.items()):
            channel = self.channels[channel_id]
            parts = float(count * self.counter(channel)(sample_text(campaign.text)))
            load = Load(flow, weight, parts, terms, self.county, max_tps=max_tps)
            shares.append(await self._share(conn, channel, count, load, fire_at))
        ends = [share.finishes_at for share in shares if share.finishes_at is not None]
        finishes_at = max(ends) if ends and len(ends) == len(shares) else None
        sends_from = self.county.next_opening(fire_at, terms)
        days = _days(self.county, terms, sends_from, finishes_at) if finishes_at else None
        return Estimate(fire_at, sends_from, finishes_at, days, shares)

    async def _by_channel(
        self, conn: Connection, campaign: Campaign, by_carrier: Mapping[str, int]
    ) -> Counter[int]:
        plan = campaign.plan
        whose = await department_of(conn, plan.leg_of)
        sender = await sender_of(conn, campaign.department_id, whose)
        channels = await list_routable_channels(conn, self.now)
        found = available_routes(sender, channels, plan.channels, drill=plan.drill).routes
        # A carrier's real channel comes after its simulated one, and so replaces it.
        channel = {r.carrier: r.channel_id for r in sorted(found, key=lambda r: not r.simulated)}
        messages: Counter[int] = Counter()
        for carrier, count in by_carrier.items():
            if channel.get(carrier) in self.channels:
                messages[channel[carrier]] += count
        return messages

    async def _share(
        self, conn: Connection, channel: Channel, messages: int, load: Load, fire_at: datetime
    ) -> ChannelEstimate:
        rate = await rate_of(conn, channel, self.now)
        wait = None
        if rate is not None:
            soon = fire_at - self.now < SOON
            used = await quota_store.used_parts(conn, channel.id, self.now) if soon else (0, 0)
            rows = await queue_store.waiting_runs(conn, channel.id, self.now) if soon else []
            count = self.counter(channel)
            others = [load_of(r, count, self.county) for r in rows if r["state"] == "running"]
            forecast_channel = forecast_channel_of(channel, rate, None, used)
            wait = forecast(forecast_channel, [load, *others], fire_at)[load]
        finishes_at = fire_at + wait if wait is not None else None
        return ChannelEstimate(
            channel.id, channel.name, messages, int(load.parts), rate, finishes_at
        )


def _days(county: County, terms: HourTerms, start: datetime, end: datetime) -> int:
    """On how many days in Beijing texts may leave from start to end."""
    days: set[date] = set()
    at = start
    while at < end or not days:
        day = at.astimezone(CHINA).date()
        days.add(day)
        midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), CHINA)
        at = county.next_opening(midnight, terms)
    return len(days)
