"""The calendar of all plans: every fire of a span of days, its audience, channels and finish.

What has fired is read as it was recorded; what is to come follows from the plans as they stand, so
nothing is stored and a moved holiday moves it at once. Audiences are those that were counted in the
background (`plan_counts`). Plans for newcomers, which fire whenever somebody joins, are there once
they have fired. Another department's drafts are nobody else's business: they count nowhere.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.campaigns.audience.available_channels import available_routes, sender_of
from service.campaigns.audience.recipients import rule_of
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import Fire, fires_since
from service.campaigns.calendar.hours import County, HourTerms
from service.campaigns.calendar.schedule import validity_end
from service.campaigns.core import store as campaign_store
from service.campaigns.core.model import Campaign, State
from service.campaigns.core.turns import in_turn, takes_turns
from service.channels.contract.model import Channel
from service.channels.routing.route import Route
from service.channels.routing.route_store import list_routable_channels
from service.clock import CHINA
from service.dispatch.forecast.channel_queue import Count, rate_of
from service.reports import audience_store, calendar_store
from service.reports.audience import PlanAudience
from service.reports.calendar_store import CalendarDepartment
from service.storage.postgres import Connection, Record

MOST_DAYS = 100
_MOVED_AT_MOST = timedelta(days=62)
_UNSUBMITTED = frozenset({State.DRAFT, State.RETURNED})
_DAY = timedelta(days=1)


class FireKey(NamedTuple):
    """The place of a fire in the calendar; a plan has one fire at an instant."""

    at: datetime
    campaign_id: UUID


@dataclass(frozen=True, slots=True, eq=False)
class CalendarFire:
    """One fire. state: of its run once it has one, before that of its campaign, or what became of
    it: `skipped`, `held`, `missed`; then code says why (`fires.Why`), and outcome which.

    audience: whom it means, as counted; target: how many it had once it fired. terms: None once it
    has fired. by_channel: messages by channel. joint: of a joint plan, whose people are those of
    its legs, which have fires of their own.
    """

    key: FireKey
    name: str
    department_id: UUID
    message_class: str
    text: str
    priority: str
    state: str
    planned_at: datetime
    note: str
    sends_from: datetime | None
    valid_until: datetime | None
    run_id: UUID | None = None
    target: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    terms: HourTerms | None = None
    max_tps: int | None = None
    audience: PlanAudience | None = None
    by_channel: Mapping[int, int] = field(default_factory=dict)
    outcome: str | None = None
    code: str = ""
    joint: bool = False

    @property
    def day(self) -> date:
        """The day in Beijing on which its texts begin to leave, or would have."""
        return (self.sends_from or self.key.at).astimezone(CHINA).date()

    @property
    def to_come(self) -> bool:
        """Whether it has still to fire."""
        return self.terms is not None

    @property
    def takes_place(self) -> bool:
        """Whether its texts leave, or have."""
        return self.state not in {"skipped", "cancelled", "missed"} and self.outcome != "held"


@dataclass(frozen=True, slots=True)
class Calendar:
    """All fires of a span of days, in order, and what their channels can do.

    channels: those that can be read. rates: parts a second, where known. counters: how many parts
    each channel makes of a text.
    """

    first: date
    last: date
    now: datetime
    county: County
    entries: Sequence[CalendarFire]
    channels: Mapping[int, Channel]
    rates: Mapping[int, float]
    counters: Mapping[int, Count]
    departments: Mapping[UUID, CalendarDepartment]

    def parts(self, entry: CalendarFire, channel_id: int) -> int:
        """The parts that a fire has for a channel."""
        if channel_id not in self.counters:
            return 0
        return entry.by_channel.get(channel_id, 0) * self.counters[channel_id](entry.text)

    def by_day(self) -> dict[date, list[CalendarFire]]:
        """The fires that take place, by the day on which they begin."""
        days: dict[date, list[CalendarFire]] = {}
        for entry in self.entries:
            if entry.takes_place:
                days.setdefault(entry.day, []).append(entry)
        return days


async def read_calendar(
    conn: Connection,
    actor: User,
    span: tuple[date, date],
    channels: Collection[Channel],
    counters: Mapping[int, Count],
    now: datetime,
) -> Calendar:
    """The calendar from one day in Beijing to another, both with it, as one user may know it: with
    the fires of other departments, which only count.
    """
    first, last = span
    county = await load_county(conn)
    past = await _past(conn, first, last)
    ahead = await _ahead(conn, actor, county, first, last, now)
    rates = {c.id: await rate_of(conn, c, now) for c in channels}
    return Calendar(
        first,
        last,
        now,
        county,
        sorted([*past, *ahead], key=lambda entry: entry.key),
        {channel.id: channel for channel in channels},
        {channel_id: rate for channel_id, rate in rates.items() if rate is not None},
        counters,
        await calendar_store.departments(conn),
    )


async def _past(conn: Connection, first: date, last: date) -> list[CalendarFire]:
    rows = await calendar_store.past_fires(conn, None, begin(first), begin(last + _DAY))
    by_run: dict[UUID, dict[int, int]] = {}
    for row in await calendar_store.run_channels(conn, [r["run_id"] for r in rows if r["run_id"]]):
        by_run.setdefault(row["run_id"], {})[row["channel_id"]] = row["messages"]
    return [_fired(row, by_run.get(row["run_id"], {})) for row in rows]


def _fired(row: Record, by_channel: Mapping[int, int]) -> CalendarFire:
    return CalendarFire(
        FireKey(row["at"], row["campaign_id"]),
        row["name"],
        row["department_id"],
        row["class"],
        row["text"],
        row["priority"],
        row["status"],
        row["planned_at"],
        row["note"],
        row["started_at"],
        row["valid_until"],
        row["run_id"],
        row["target"],
        row["started_at"],
        row["finished_at"],
        by_channel=by_channel,
        outcome=row["outcome"],
        code=row["code"],
        joint=row["outcome"] == "shared",
    )


def _rule(campaign: Campaign, rules: Mapping[UUID, str]) -> str | None:
    """The rule of a plan that nobody has submitted; a correction's stands for its run. None: of a
    joint plan, whose hours are not those of an audience.
    """
    if campaign.plan.corrects is not None:
        return rule_of(campaign.plan.corrects)
    return rules[campaign.plan.segment_id] if campaign.plan.segment_id else None


async def _ahead(
    conn: Connection, actor: User, county: County, first: date, last: date, now: datetime
) -> list[CalendarFire]:
    start, end = max(begin(first), now), begin(last + _DAY)
    if start >= end:
        return []
    plans = await campaign_store.campaigns_ahead(conn, end)
    plans = [c for c in plans if c.state not in _UNSUBMITTED or actor.sees(c.department_id)]
    rules = await calendar_store.segment_rules(
        conn, {c.plan.segment_id for c in plans if c.frozen_rule is None and c.plan.segment_id}
    )
    audiences = await audience_store.saved_audiences(conn, [c.id for c in plans])
    channels = await list_routable_channels(conn, now)
    senders = {whose: await sender_of(conn, whose) for whose in {c.department_id for c in plans}}
    for joint in (c for c in plans if c.plan.is_joint):
        legs = [audiences[c.id] for c in plans if c.plan.leg_of == joint.id and c.id in audiences]
        audiences[joint.id] = PlanAudience(sum(leg.target for leg in legs), {}, ())
    last_texts = await calendar_store.last_texts(conn, [c.id for c in plans if takes_turns(c)])
    entries: list[CalendarFire] = []
    for campaign in plans:
        rule = campaign.frozen_rule or _rule(campaign, rules)
        terms = campaign.plan.schedule.terms(campaign.message_class, rule)
        audience = audiences.get(campaign.id)
        sender, plan = senders[campaign.department_id], campaign.plan
        available = available_routes(sender, channels, plan.channels, drill=plan.drill)
        messages = _by_channel(available.routes, audience)
        entries += [
            _planned(campaign, terms, county, fire, text, audience, messages)
            for fire, text in _with_texts(
                campaign, _fires_of(campaign, terms, county, start, end), county, last_texts, now
            )
            if fire.at >= start
        ]
    return entries


def _fires_of(
    campaign: Campaign, terms: HourTerms, county: County, start: datetime, end: datetime
) -> Iterator[Fire]:
    """The fires of a plan from start to end, those that the calendar leaves out too; of one whose
    texts take turns from the next one on.
    """
    schedule, next_fire_at = campaign.plan.schedule, campaign.next_fire_at
    waiting = campaign.state in {State.SCHEDULED, State.RUNNING, State.PAUSED}
    if (waiting and next_fire_at is None) or schedule.kind == "joining":
        return
    begin = max(filter(None, (start, next_fire_at, campaign.plan.period_start)))
    if next_fire_at is not None and takes_turns(campaign):
        begin = next_fire_at
    stop = min(filter(None, (end, campaign.plan.period_end)))
    if schedule.kind != "recurring":
        at = next_fire_at or schedule.start_at
        if at is not None and start <= at < stop:
            yield Fire(schedule.start_at or at, at)
        return
    ahead = fires_since(schedule, terms, county, begin - _MOVED_AT_MOST)
    ahead = itertools.takewhile(lambda fire: fire.planned_at < stop + _MOVED_AT_MOST, ahead)
    yield from (fire for fire in ahead if begin <= fire.at < stop)


def _with_texts(
    campaign: Campaign,
    fires: Iterable[Fire],
    county: County,
    last_texts: Mapping[UUID, int],
    now: datetime,
) -> Iterator[tuple[Fire, str]]:
    """Each fire with the text that it sends, if all before it take place."""
    texts = [campaign.text, *(further.text for further in campaign.further)]
    turns = in_turn(campaign, list(fires), county, last_texts.get(campaign.id), now)
    return ((fire, texts[no - 1]) for fire, no in turns)


def _planned(
    campaign: Campaign,
    terms: HourTerms,
    county: County,
    fire: Fire,
    text: str,
    audience: PlanAudience | None,
    messages: Mapping[int, int],
) -> CalendarFire:
    state = State.SCHEDULED if campaign.state is State.RUNNING else campaign.state
    sends_from = valid_until = None
    if not fire.skipped:
        sends_from = county.next_opening(fire.at, terms)
        valid_until = validity_end(campaign.plan.schedule, terms, county, fire.at)
    return CalendarFire(
        FireKey(fire.at, campaign.id),
        campaign.plan.name,
        campaign.department_id,
        campaign.message_class,
        text,
        campaign.plan.priority,
        "skipped" if fire.skipped else state.value,
        fire.planned_at,
        fire.note,
        sends_from,
        valid_until,
        terms=terms,
        max_tps=campaign.plan.max_tps,
        audience=audience,
        by_channel={} if fire.skipped else messages,
        joint=campaign.plan.is_joint,
    )


def _by_channel(routes: Sequence[Route], audience: PlanAudience | None) -> Mapping[int, int]:
    """How many of an audience each channel would have; a real one comes before a simulated one."""
    if audience is None:
        return {}
    found = sorted(routes, key=lambda route: not route.simulated)
    channel = {route.carrier: route.channel_id for route in found}
    messages: Counter[int] = Counter()
    for carrier, people in audience.by_carrier.items():
        if carrier in channel:
            messages[channel[carrier]] += people
    return messages


def begin(day: date) -> datetime:
    """The first instant of a day in Beijing."""
    return datetime.combine(day, time(), CHINA)
