"""The calendar of all plans: fire by fire, and day by day."""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.api.accounts.work import InterruptionOut, interruption_out
from service.api.calendar.holidays import warning_of
from service.api.campaigns.milestones import MilestoneOut
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut, unknown_cursor
from service.api.http.schema import (
    Instant,
    Out,
    Page,
    PlainOut,
    QueryString,
    SpanDay,
    TranslatedText,
)
from service.api.sending.queue import part_counter
from service.campaigns.plans.milestones import Milestone
from service.channels.config.store import readable_channels
from service.clock import CHINA
from service.dispatch.forecast.cap_losses import TENS
from service.reports import calendar_store
from service.reports.calendar import (
    MOST_DAYS,
    Calendar,
    CalendarFire,
    FireKey,
    begin,
    read_calendar,
)
from service.reports.interruption_store import list_interruptions
from service.reports.interruptions import explain_fire
from service.reports.overlaps import channel_workloads, finishes, meetings
from service.words.phrase import listing, phrase

DEFAULT_DAYS = 31
MAX_FIRES = 100
FireState = Literal[
    "draft",
    "returned",
    "pending_approval",
    "scheduled",
    "paused",
    "held",
    "expanding",
    "running",
    "sent",
    "cancelled",
    "skipped",
    "missed",
    "shared",
]


class SpanQuery(QueryString):
    """Which days in Beijing, both with it."""

    first: SpanDay | None = Field(default=None, alias="from", description="Default: today.")
    last: SpanDay | None = Field(
        default=None,
        alias="to",
        description=f"Default: {DEFAULT_DAYS} days in all; at most {MOST_DAYS}.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "SpanQuery":
        if self.first and self.last and not 0 <= (self.last - self.first).days < MOST_DAYS:
            raise ValueError(
                phrase(
                    "to lies on or after from, and within {most_days} days of it",
                    most_days=MOST_DAYS,
                )
            )
        return self

    def span(self, now: datetime) -> tuple[date, date]:
        """The first day and the last."""
        length = timedelta(DEFAULT_DAYS - 1)
        if self.first is None and self.last is not None:
            return self.last - length, self.last
        first = self.first or now.astimezone(CHINA).date()
        return first, self.last or first + length


class CalendarQuery(SpanQuery, PageQuery):
    """Which days, and which part of their fires."""

    limit: int = Field(default=50, ge=1, le=MAX_FIRES, description="Fires on a page.")

    @property
    def after(self) -> FireKey | None:
        """The fire after which the page begins; raises as `text`."""
        text = self.text
        if text is None:
            return None
        instant, _, campaign = text.partition(" ")
        try:
            at = datetime.fromisoformat(instant)
            key = FireKey(at, UUID(campaign))
        except ValueError as error:
            raise unknown_cursor() from error
        if at.tzinfo is None:
            raise unknown_cursor()
        return key


class FireLaneOut(Out):
    """A channel's share of a fire."""

    channel_id: int
    channel: str
    messages: int
    parts: int


class OverlapOut(Out):
    """Another fire of the same day, of a plan that you see."""

    campaign_id: UUID
    name: str
    at: Instant
    people: int | None = Field(
        description="About how many both mean, for plans of the same class; null: not counted."
    )
    same_hour: list[int] = Field(description="Channels over which both begin within an hour.")


class ElsewhereOut(Out):
    """Fires of other departments that meet this one on its day, as counts."""

    plans: int
    people: int = Field(description="Of the one that shares most, in tens; fewer are not told.")


class CalendarFireOut(Out):
    """One fire, to come or past."""

    campaign_id: UUID
    name: str
    department_id: UUID
    message_class: str = Field(alias="class")
    text: str
    state: FireState = Field(
        description="Of its run once it has fired; before that of its campaign, or skipped, held,"
        " missed; shared: its legs sent it."
    )
    planned_at: Instant = Field(description="By the rule.")
    at: Instant = Field(description="By the calendar, or when it fired.")
    note: str
    plain: PlainOut | None = Field(
        description="What became of it, and why, if it did not take place by itself in time."
    )
    sends_from: Instant | None = Field(description="The first instant of its send window.")
    valid_until: Instant | None = Field(description="After this nothing of it leaves.")
    people: int | None = Field(
        description="Whom it had when it fired, or would have as last counted, within a day; null:"
        " not counted yet."
    )
    run_id: UUID | None
    finishes_at: Instant | None = Field(
        description="When it was finished or will be, beside the other fires of its day; null: not"
        " foreseeable."
    )
    lanes: list[FireLaneOut]
    overlaps: list[OverlapOut]
    other_departments: ElsewhereOut


class LaneDayOut(FireLaneOut):
    """What a channel has to do on a day, of all departments."""

    capacity: int | None = Field(
        description="Parts that it can hand off in the hours of that day's plans, within its daily"
        " quota; null: its rate is not known."
    )
    exceeded: bool


class CalendarMilestoneOut(MilestoneOut):
    """What a plan is to reach by a day."""

    campaign: str


class CalendarDayOut(Out):
    """One day."""

    date: date
    kind: Literal["workday", "weekend", "holiday", "makeup"]
    name: str = Field(description="Of the holiday.")
    official: bool
    quiet: list[str] = Field(description="Quiet days and hours that it is or has.")
    fires: int = Field(description="That begin to send on it, of plans that you see.")
    people: int = Field(description="Whom those have, each plan's counted by itself.")
    other_fires: int = Field(description="Of other departments' plans.")
    other_people: int = Field(description="Whom those have, in tens.")
    lanes: list[LaneDayOut]
    milestones: list[CalendarMilestoneOut]
    interruptions: list[InterruptionOut] = Field(
        description="What stopped sending on it, or let it go on, of what you see."
    )


class CalendarDaysOut(Out):
    """The days of a span."""

    official_until: date
    warning: TranslatedText | None
    items: list[CalendarDayOut]


async def list_calendar(call: Call, query: CalendarQuery) -> Page[CalendarFireOut]:
    """List the fires of all plans that you see, past and to come, and what each meets."""
    calendar = await _calendar(call, query)
    after = query.after
    found = [
        entry
        for entry in calendar.entries
        if call.user.sees(entry.department_id) and (after is None or entry.key > after)
    ][: query.wanted]
    by_day = calendar.by_day()
    ends: dict[FireKey, datetime | None] = {}
    for day in sorted({entry.day for entry in found if entry.takes_place}):
        if day >= call.now.astimezone(CHINA).date():
            ends |= await finishes(call.conn, calendar, day, by_day.get(day, ()))
    shown = [
        _fire(call, calendar, entry, by_day.get(entry.day, []), ends.get(entry.key))
        for entry in found
    ]
    return cut(
        Page[CalendarFireOut],
        shown,
        query,
        lambda fire: f"{fire.at.isoformat()} {fire.campaign_id}",
    )


async def list_calendar_days(call: Call, query: SpanQuery) -> CalendarDaysOut:
    """Show each day of a span: how much fires on it, what its lanes can do, and its milestones."""
    calendar = await _calendar(call, query)
    holidays = calendar.county.holidays
    by_day = calendar.by_day()
    milestones: dict[date, list[CalendarMilestoneOut]] = {}
    rows = await calendar_store.milestones_due(
        call.conn, call.user.scope, calendar.first, calendar.last
    )
    for row in rows:
        milestone = Milestone(*(row[name] for name in Milestone._fields))
        milestones.setdefault(milestone.due_on, []).append(
            CalendarMilestoneOut(
                **milestone._asdict(), late=milestone.is_late(call.now), campaign=row["campaign"]
            )
        )
    kept_from: dict[date, list[InterruptionOut]] = {}
    for found in await list_interruptions(
        call.conn, call.user.scope, begin(calendar.first), begin(calendar.last + timedelta(days=1))
    ):
        day = found.at.astimezone(CHINA).date()
        kept_from.setdefault(day, []).append(interruption_out(found))
    days = [calendar.first + timedelta(n) for n in range((calendar.last - calendar.first).days + 1)]
    missing = [y for y in sorted({day.year for day in days}) if holidays.source(y) is None]
    return CalendarDaysOut(
        official_until=holidays.official_until,
        warning=listing((warning_of(holidays, year) for year in missing), " ") or None,
        items=[
            _day(
                call,
                calendar,
                day,
                by_day.get(day, []),
                milestones.get(day, []),
                kept_from.get(day, []),
            )
            for day in days
        ],
    )


async def _calendar(call: Call, query: SpanQuery) -> Calendar:
    runtime = call.runtime
    channels = await readable_channels(call.conn, runtime.keyring)
    return await read_calendar(
        call.conn,
        call.user,
        query.span(call.now),
        channels,
        {channel.id: part_counter(channel, runtime.clock) for channel in channels},
        call.now,
    )


def _people(entry: CalendarFire) -> int | None:
    if not entry.to_come:
        return entry.target
    return entry.audience.target if entry.audience is not None else None


def _fire(
    call: Call,
    calendar: Calendar,
    entry: CalendarFire,
    same_day: list[CalendarFire],
    finishes_at: datetime | None,
) -> CalendarFireOut:
    met, elsewhere = meetings(call.user, entry, same_day)
    shown = ("name", "department_id", "message_class", "text", "state", "planned_at", "note")
    instants = ("sends_from", "valid_until", "run_id")
    return CalendarFireOut.model_validate(
        {name: getattr(entry, name) for name in shown + instants}
        | {
            "campaign_id": entry.key.campaign_id,
            "at": entry.key.at,
            "plain": explain_fire(entry.outcome, entry.code)
            if entry.outcome is not None and entry.code
            else None,
            "people": _people(entry),
            "finishes_at": entry.finished_at or finishes_at,
            "lanes": channel_workloads(calendar, [entry]),
            "overlaps": [
                OverlapOut(
                    campaign_id=meeting.other.key.campaign_id,
                    name=meeting.other.name,
                    at=meeting.other.key.at,
                    people=meeting.people,
                    same_hour=list(meeting.same_hour),
                )
                for meeting in met
            ],
            "other_departments": elsewhere,
        }
    )


def _day(
    call: Call,
    calendar: Calendar,
    day: date,
    entries: list[CalendarFire],
    milestones: list[CalendarMilestoneOut],
    interruptions: list[InterruptionOut],
) -> CalendarDayOut:
    known = calendar.county.holidays.day(day)
    own = [entry for entry in entries if call.user.sees(entry.department_id)]
    others = [entry for entry in entries if not call.user.sees(entry.department_id)]
    people = sum(_people(entry) or 0 for entry in others if not entry.joint)
    return CalendarDayOut(
        date=day,
        kind=known.kind.value,
        name=known.name,
        official=known.official,
        quiet=[quiet.name for quiet in calendar.county.holidays.quiet_on(day)],
        fires=len(own),
        people=sum(_people(entry) or 0 for entry in own if not entry.joint),
        other_fires=len(others),
        other_people=people - people % TENS,
        lanes=[LaneDayOut.model_validate(load) for load in channel_workloads(calendar, entries)],
        milestones=milestones,
        interruptions=interruptions,
    )
