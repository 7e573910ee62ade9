"""A channel's queue: what waits by priority and department, what holds it, and for how long."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import County, HourTerms
from service.channels.contract.maintenance import maintenance_end, next_day, next_month
from service.channels.contract.model import Channel, Hold
from service.dispatch.fair_queue import Flow
from service.dispatch.forecast.forecast import ForecastChannel, Load, forecast
from service.dispatch.handoff import queue_store
from service.dispatch.limits import quota_store
from service.dispatch.limits.pace import channel_limit, lot_size
from service.ledger.priority import PRIORITIES
from service.messages.template import variables
from service.storage.postgres import Connection, Record

Count = Callable[[str], int]
"""How many parts the channel makes of a text."""


@dataclass(frozen=True, slots=True)
class WaitReason:
    """Why something waits other than for its turn. until: None where nobody knows.

    name: disabled, no_connection, breaker, carrier, quota, maintenance, paused, hours, later.
    """

    name: str
    until: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WaitingTexts:
    """What waits of one priority, or of one department in it.

    messages: with those of paused campaigns, which are `paused`. parts: None where a text has
    variables. wait: until the last of it that is not paused has been handed off; None: not
    foreseeable.
    """

    messages: int
    paused: int
    parts: int | None
    wait: timedelta | None
    reasons: list[WaitReason]


@dataclass(frozen=True, slots=True)
class DepartmentWaiting(WaitingTexts):
    """What waits of one department in a priority."""

    department_id: UUID
    department: str
    weight: int


@dataclass(frozen=True, slots=True)
class PriorityWaiting(WaitingTexts):
    """What waits of a priority, over all departments."""

    priority: str
    departments: list[DepartmentWaiting]


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """A quota, None where there is none, and the parts that were counted for it."""

    quota: int | None
    used: int


@dataclass(frozen=True, slots=True)
class ChannelQueue:
    """The queue of a channel. rate: parts a second that are reckoned with, None if unknown."""

    rate: float | None
    reasons: list[WaitReason]
    day: QuotaUse
    month: QuotaUse
    classes: list[PriorityWaiting]


@dataclass(frozen=True, slots=True)
class _WaitingRun:
    """What waits of one run."""

    row: Record
    parts: int | None
    load: Load
    wait: timedelta | None
    reasons: list[WaitReason]

    @property
    def paused(self) -> bool:
        return bool(self.row["state"] == "paused")


async def read_queue(
    conn: Connection, channel: Channel, hold: Hold | None, count: Count, now: datetime
) -> ChannelQueue:
    """The queue of a channel as it is now."""
    state = await queue_store.channel_state(conn, channel.id)
    day, month = await quota_store.used_parts(conn, channel.id, now)
    rate = await rate_of(conn, channel, now)
    works = channel.enabled and state["up"] and state["breaker"] is None
    known = None
    if rate is not None and works:
        known = forecast_channel_of(channel, rate, hold, (day, month))
    items = await _waiting(conn, channel.id, known, count, now)
    return ChannelQueue(
        rate,
        [
            *_reasons_of_channel(channel, state, hold, now),
            *_reasons_of_quota(channel, day, month, now),
        ],
        QuotaUse(channel.daily_quota, day),
        QuotaUse(channel.monthly_quota, month),
        [
            _of_priority(priority, [i for i in items if i.load.flow.priority == priority])
            for priority in sorted({item.load.flow.priority for item in items})
        ],
    )


async def _waiting(
    conn: Connection, channel_id: int, known: ForecastChannel | None, count: Count, now: datetime
) -> list[_WaitingRun]:
    """What waits on a channel by run, and how long. known: None: nothing can be foretold of it."""
    rows = await queue_store.waiting_runs(conn, channel_id, now)
    county = await load_county(conn)
    loads = [load_of(row, count, county) for row in rows]
    running = [x for x, row in zip(loads, rows, strict=True) if row["state"] == "running"]
    waits = {} if known is None else forecast(known, running, now)
    return [
        _WaitingRun(
            row, _parts(row, count), load, waits.get(load), list(_reasons_of(row, county, now))
        )
        for row, load in zip(rows, loads, strict=True)
    ]


async def wait_of_run(
    conn: Connection,
    channel: Channel,
    hold: Hold | None,
    count: Count,
    run_id: UUID,
    now: datetime,
) -> timedelta | None:
    """How long until a channel has handed off what of a run has its first turn there; None: nobody
    knows. What waits for an instant of its own, as a second try does, is not in it.
    """
    rate = await rate_of(conn, channel, now)
    state = await queue_store.channel_state(conn, channel.id)
    if rate is None or not (channel.enabled and state["up"] and state["breaker"] is None):
        return None
    used = await quota_store.used_parts(conn, channel.id, now)
    known = forecast_channel_of(channel, rate, hold, used)
    items = await _waiting(conn, channel.id, known, count, now)
    return next(
        (item.wait for item in items if item.row["run_id"] == run_id and not item.row["later"]),
        None,
    )


async def rate_of(conn: Connection, channel: Channel, now: datetime) -> float | None:
    """What the contract allows, else what was measured of late."""
    if channel.tps is None:
        return await queue_store.measured_rate(conn, channel.id, now)
    lot = lot_size(channel.destinations, channel.tps)
    return 1_000_000 / channel_limit(channel.id, channel.tps, lot).interval


def forecast_channel_of(
    channel: Channel, rate: float, hold: Hold | None, used: tuple[int, int]
) -> ForecastChannel:
    """The channel for a forecast. used: parts counted for the quotas of the day and the month."""
    quotas = {"day": channel.daily_quota, "month": channel.monthly_quota}
    return ForecastChannel(
        rate,
        hold.until if hold else None,
        channel.maintenance,
        channel.daily_quota,
        channel.monthly_quota,
        {
            span: float(quota - parts)
            for (span, quota), parts in zip(quotas.items(), used, strict=True)
            if quota is not None
        },
    )


def _parts(row: Record, count: Count) -> int | None:
    return None if variables(row["text"]) else count(row["text"]) * row["messages"]


def load_of(row: Record, count: Count, county: County) -> Load:
    """What waits of a run, for a forecast: a row of `waiting_runs`."""
    # A text with variables is reckoned as long as it is written.
    return Load(
        Flow(row["priority"], row["department_id"]),
        row["weight"],
        float(count(row["text"]) * row["messages"]),
        HourTerms.of_run(row),
        county,
        row["not_before"] if row["later"] else None,
        row["valid_until"],
        row["max_tps"],
    )


def _reasons_of(row: Record, county: County, now: datetime) -> Iterable[WaitReason]:
    if row["state"] == "paused":
        yield WaitReason("paused")
    opening = county.next_opening(now, HourTerms.of_run(row))
    if opening > now:
        yield WaitReason("hours", opening)
        return
    if row["later"]:
        yield WaitReason("later", row["not_before"])


def _reasons_of_channel(
    channel: Channel, state: Record, hold: Hold | None, now: datetime
) -> Iterable[WaitReason]:
    if not channel.enabled:
        yield WaitReason("disabled")
    elif not state["up"]:
        yield WaitReason("no_connection")
    if state["breaker"] is not None:
        yield WaitReason("breaker", None, state["breaker"])
    if hold is not None:
        yield WaitReason(hold.by, hold.until, hold.why)
    if end := maintenance_end(now, channel.maintenance):
        yield WaitReason("maintenance", end)


def _reasons_of_quota(
    channel: Channel, day: int, month: int, now: datetime
) -> Iterable[WaitReason]:
    """A quota that is used up and has held nothing yet, since nobody asked for more."""
    if channel.daily_quota is not None and day >= channel.daily_quota:
        yield WaitReason("quota", next_day(now), "the day's quota is used up")
    if channel.monthly_quota is not None and month >= channel.monthly_quota:
        yield WaitReason("quota", next_month(now), "the month's quota is used up")


def _of_priority(priority: int, items: Sequence[_WaitingRun]) -> PriorityWaiting:
    by_department: dict[UUID, list[_WaitingRun]] = defaultdict(list)
    for item in items:
        by_department[item.load.flow.department].append(item)
    return PriorityWaiting(
        *_summed(items),
        PRIORITIES[priority],
        [
            DepartmentWaiting(
                *_summed(of_one), department, of_one[0].row["department"], of_one[0].load.weight
            )
            for department, of_one in by_department.items()
        ],
    )


def _summed(
    items: Sequence[_WaitingRun],
) -> tuple[int, int, int | None, timedelta | None, list[WaitReason]]:
    parts = [item.parts for item in items]
    waits = [item.wait for item in items if not item.paused]
    known = [wait for wait in waits if wait is not None]
    reasons = dict.fromkeys(reason for item in items for reason in item.reasons)
    return (
        sum(item.row["messages"] for item in items),
        sum(item.row["messages"] for item in items if item.paused),
        None if None in parts else sum(part for part in parts if part is not None),
        max(known) if known and len(known) == len(waits) else None,
        list(reasons),
    )
