"""What meets what in the calendar: the same people, the same hour of a channel, a channel that is
too full.

People meet where two plans of a class, for each class has caps of its own, begin on the same day.
What another department plans is counted and not named, and people only in tens: fewer than ten
are not told, so that nobody finds out whether somebody is on another department's list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from service.accounts.people.model import User
from service.campaigns.calendar.hours import intersect, minutes_of
from service.clock import CHINA
from service.dispatch.fair_queue import Flow
from service.dispatch.forecast.cap_losses import TENS
from service.dispatch.forecast.channel_queue import forecast_channel_of, load_of
from service.dispatch.forecast.forecast import Load, forecast
from service.dispatch.handoff import queue_store
from service.dispatch.limits import quota_store
from service.ledger.priority import number_of
from service.reports.calendar import Calendar, CalendarFire, FireKey
from service.storage.postgres import Connection

MOST = 20
"""How many fires are named that meet one, those with the most people first."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Another fire of the day. people: about how many both mean; None: not known, or not of a
    class. same_hour: channels over which both begin within an hour.
    """

    other: CalendarFire
    people: int | None
    same_hour: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OtherDepartments:
    """What of other departments meets a fire. people: in tens, of the one with the most."""

    plans: int
    people: int


@dataclass(frozen=True, slots=True)
class ChannelWorkload:
    """What a channel has to do on a day. capacity: parts it can hand off while the hours of that
    day's plans are open, None if its rate is not known.
    """

    channel_id: int
    channel: str
    messages: int
    parts: int
    capacity: int | None

    @property
    def exceeded(self) -> bool:
        """Whether not all of it can leave that day."""
        return self.capacity is not None and self.parts > self.capacity


def meetings(
    actor: User, entry: CalendarFire, same_day: Sequence[CalendarFire]
) -> tuple[list[Meeting], OtherDepartments]:
    """Which fires of the same day meet this one, those the actor may know of by name."""
    known, plans, most = [], 0, 0
    for other in same_day:
        if other.key.campaign_id == entry.key.campaign_id or not entry.takes_place:
            continue
        people = None
        if other.message_class == entry.message_class and entry.audience and other.audience:
            people = entry.audience.shared(other.audience)
        hours = tuple(sorted(entry.by_channel.keys() & other.by_channel.keys()))
        hours = hours if _hour(entry) == _hour(other) else ()
        if actor.sees(other.department_id):
            if people or hours:
                known.append(Meeting(other, people, hours))
        elif hours or (people or 0) >= TENS:
            plans, most = plans + 1, max(most, people or 0)
    known.sort(key=lambda meeting: (-(meeting.people or 0), meeting.other.key))
    return known[:MOST], OtherDepartments(plans, most - most % TENS)


def _hour(entry: CalendarFire) -> datetime | None:
    begins = entry.sends_from
    return begins.replace(minute=0, second=0, microsecond=0) if begins else None


def channel_workloads(calendar: Calendar, entries: Sequence[CalendarFire]) -> list[ChannelWorkload]:
    """What each channel has to do of the fires of one day."""
    days = []
    for channel_id in sorted({channel_id for entry in entries for channel_id in entry.by_channel}):
        channel = calendar.channels.get(channel_id)
        if channel is None:
            continue
        on_it = [entry for entry in entries if channel_id in entry.by_channel]
        rate = calendar.rates.get(channel_id)
        capacity = None
        if rate is not None:
            capacity = int(rate * 60 * max(_open_minutes(calendar, entry) for entry in on_it))
            if channel.daily_quota is not None:
                capacity = min(capacity, channel.daily_quota)
        days.append(
            ChannelWorkload(
                channel_id,
                channel.name,
                sum(entry.by_channel[channel_id] for entry in on_it),
                sum(calendar.parts(entry, channel_id) for entry in on_it),
                capacity,
            )
        )
    return days


def _open_minutes(calendar: Calendar, entry: CalendarFire) -> int:
    """For how many minutes of its day, from its begin on, texts of a fire may leave."""
    if entry.sends_from is None:
        return 0
    local = entry.sends_from.astimezone(CHINA)
    begin = local.hour * 60 + local.minute
    if entry.terms is None:  # it has fired; its hours were those of the county, as they are now
        return 24 * 60 - begin
    spans = calendar.county.spans(local.date(), entry.terms)
    if entry.terms.zone.key == CHINA.key:
        spans = intersect(spans, sorted(minutes_of(entry.terms.hours)))
    return sum(end - max(start, begin) for start, end in spans if end > begin)


async def finishes(
    conn: Connection, calendar: Calendar, day: date, entries: Sequence[CalendarFire]
) -> Mapping[FireKey, datetime | None]:
    """When each fire of a day that has not ended will have been handed off, beside the others of
    that day and, today, what waits already; None: not foreseeable.
    """
    ends: dict[FireKey, list[datetime | None]] = {}
    for channel_id in sorted({channel_id for entry in entries for channel_id in entry.by_channel}):
        rate, channel = calendar.rates.get(channel_id), calendar.channels.get(channel_id)
        waiting: dict[FireKey, list[Load]] = {}
        used = (0, 0)
        if channel is None:
            continue
        if day == calendar.now.astimezone(CHINA).date():
            used = await quota_store.used_parts(conn, channel_id, calendar.now)
            waiting = await _waiting(conn, calendar, channel_id, entries)
        loads = {key: list(found) for key, found in waiting.items()}
        for entry in entries:
            if entry.to_come and channel_id in entry.by_channel:
                loads[entry.key] = [_load(calendar, entry, channel_id)]
        every = [load for found in loads.values() for load in found]
        begin = min((load.not_before or calendar.now for load in every), default=calendar.now)
        begin = max(begin, calendar.now)
        waits = (
            forecast(forecast_channel_of(channel, rate, None, used), every, begin) if rate else {}
        )
        for key, found in loads.items():
            parts = [waits.get(load) for load in found]
            known = [begin + wait for wait in parts if wait is not None]
            ends.setdefault(key, []).append(max(known) if len(known) == len(parts) else None)
    return {
        key: None if None in found else max(end for end in found if end is not None)
        for key, found in ends.items()
    }


async def _waiting(
    conn: Connection, calendar: Calendar, channel_id: int, entries: Sequence[CalendarFire]
) -> dict[FireKey, list[Load]]:
    """What waits on a channel now, by the fire that it is of; direct sends count under no fire."""
    keys = {entry.run_id: entry.key for entry in entries if entry.run_id is not None}
    waiting: dict[FireKey, list[Load]] = {}
    for row in await queue_store.waiting_runs(conn, channel_id, calendar.now):
        if row["state"] == "running":
            key = keys.get(row["run_id"], FireKey(calendar.now, row["run_id"]))
            load = load_of(row, calendar.counters[channel_id], calendar.county)
            waiting.setdefault(key, []).append(load)
    return waiting


def _load(calendar: Calendar, entry: CalendarFire, channel_id: int) -> Load:
    if entry.terms is None:
        raise ValueError("it has fired")
    return Load(
        Flow(number_of(entry.priority), entry.department_id),
        calendar.departments[entry.department_id].weight,
        float(calendar.parts(entry, channel_id)),
        entry.terms,
        calendar.county,
        entry.sends_from,
        entry.valid_until,
        entry.max_tps,
    )
