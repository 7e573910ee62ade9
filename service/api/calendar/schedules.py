"""Schedules: what a plan says of its time, when it would fire, and what became of its fires."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut, unknown_cursor
from service.api.http.schema import (
    Body,
    Day,
    Instant,
    Int,
    Line,
    Out,
    Page,
    PlainOut,
    Text,
    TranslatedText,
)
from service.audience.segments.segment import canonical
from service.campaigns.audience.preview import check_rule, read_rule
from service.campaigns.calendar import schedule
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import Fire, first_of, next_look, upcoming
from service.campaigns.calendar.hours import County, HourTerms
from service.campaigns.calendar.schedule import (
    DEFAULT_HOURS,
    DEFAULT_TIMEZONE,
    DEFAULT_VALIDITY_MINUTES,
    MOST_DATES,
    LatePolicy,
    Schedule,
    ScheduleKind,
)
from service.campaigns.core import fire_store, leg_store
from service.campaigns.core.fire_store import FireRecord
from service.campaigns.core.model import Campaign
from service.campaigns.core.plan_warnings import notes_of, repeat_notes
from service.campaigns.plans import planning, sequence_store
from service.dispatch.limits.caps import list_caps
from service.ledger.message_class import PUBLICITY, MessageClass
from service.reports.interruptions import Others, explain_fire, explain_shared
from service.words.phrase import phrase

Hour = Annotated[str, Field(pattern=r"^\d\d:\d\d$")]
HourSpans = Annotated[list[tuple[Hour, Hour]], Field(min_length=1, max_length=24)]
MAX_VALIDITY_MINUTES = 31 * 24 * 60
SHOWN = 5
MOST_TOLD = 400
"""Fires to come that are counted to say how many there are: those of a year and a month."""
"""How many fires to come are shown."""


class ScheduleBody(Body):
    """When the campaign fires, and what limits its texts afterwards."""

    kind: ScheduleKind = "now"
    start_at: Instant | None = Field(
        default=None,
        description="For once: the instant. For recurring: from when on; its time of day is that"
        " of all fires.",
    )
    rrule: Annotated[Text, Field(max_length=500)] | None = Field(
        default=None,
        description="For recurring: an RRULE of RFC 5545 with FREQ=DAILY, WEEKLY or MONTHLY,"
        " INTERVAL, BYDAY, BYMONTHDAY, COUNT or UNTIL. Any other part is refused.",
    )
    dates: Annotated[list[Day], Field(max_length=MOST_DATES)] = Field(
        default=[],
        description="For recurring, in place of a rule: on these days, in order. `POST"
        " /schedules/festival` finds those around a festival.",
    )
    until: Instant | None = Field(
        default=None, description="For recurring and joining: no fire is planned later than this."
    )
    roles: Annotated[list[Line], Field(max_length=20)] = Field(
        default=[],
        description="For joining: it fires for whoever newly has one of these roles after the"
        " approval, such as finance or owner; once a person.",
    )
    days: Literal["all", "workdays"] = Field(
        default="all",
        description="For recurring with FREQ=DAILY: on working days of the Chinese calendar only,"
        " working weekends among them.",
    )
    holidays: Literal["send", "skip", "next_workday", "previous_workday"] = Field(
        default="send", description="For recurring: what becomes of a fire on a public holiday."
    )
    quiet_days: Literal["keep", "send"] = Field(
        default="keep", description="Whether texts leave on quiet days that are not binding."
    )
    timezone: Line = DEFAULT_TIMEZONE
    send_hours: HourSpans = Field(
        default=list(DEFAULT_HOURS),
        description='The end may be "24:00". They narrow the hours of the county. Left out: what'
        " the class may, and what suits the audience if the rule means parents or elderly alone.",
    )
    beyond_hours: bool = Field(
        default=False,
        description="To the limit of the class rather than what is allowed to it; takes an"
        " administrator of the county.",
    )
    late: LatePolicy = Field(
        default="run", description="What to do if it can only fire more than 15 minutes late."
    )
    hold_following: bool = Field(
        default=False,
        description="For recurring with late: hold: a fire that is held holds those after it, too.",
    )
    validity_minutes: Annotated[Int, Field(ge=1, le=MAX_VALIDITY_MINUTES)] = (
        DEFAULT_VALIDITY_MINUTES
    )

    @model_validator(mode="after")
    def _recurrence(self) -> "ScheduleBody":
        if self.kind != "recurring" and (self.rrule or (self.until and self.kind != "joining")):
            raise ValueError(phrase("rrule and until belong to recurring schedules"))
        return self

    def schedule(self) -> Schedule:
        """The schedule that the rules know."""
        return Schedule(
            **self.model_dump()
            | {
                "send_hours": tuple(self.send_hours),
                "roles": tuple(sorted(set(self.roles))),
                "dates": tuple(self.dates),
                "own_hours": "send_hours" in self.model_fields_set,
            }
        )


class ScheduleOut(Out):
    """When the campaign fires, and what limits its texts afterwards."""

    kind: str
    start_at: Instant | None
    rrule: str | None
    dates: list[date]
    until: Instant | None
    roles: list[str]
    days: str
    holidays: str
    quiet_days: str
    timezone: str
    send_hours: list[tuple[str, str]]
    own_hours: bool = Field(description="The plan said its hours itself.")
    beyond_hours: bool
    late: str
    hold_following: bool
    validity_minutes: int


class FireOut(Out):
    """One fire to come."""

    planned_at: Instant = Field(description="By the rule.")
    at: Instant = Field(description="By the calendar.")
    sends_from: Instant | None = Field(
        description="The first instant at which its texts may leave; null: it is left out."
    )
    skipped: bool
    note: TranslatedText


class FireRecordOut(Out):
    """What became of a fire."""

    planned_at: Instant
    outcome: Literal["fired", "skipped", "held", "missed", "shared"] = Field(
        description="held: it waits for a person's release. missed: its time passed while its"
        " campaign was paused, held or not approved."
    )
    code: str = Field(
        description="Why it did not take place by itself in time, as one word. Of one that fired:"
        " late, if it came more than 15 minutes late; else what it was held for before a person"
        " released it, such as stopped."
    )
    note: TranslatedText
    plain: PlainOut
    run_id: UUID | None
    released_at: Instant | None = Field(description="When a person let go what was held.")
    at: Instant
    others: int | None = Field(
        description="Of one that was held as `exchanged`: so many of its `people` were not in the"
        " target that was approved."
    )
    people: int | None = Field(description="So many people it had when it was held for that.")


class StepOut(Out):
    """A text of a sequence after its first, to the people of one fire."""

    id: int
    origin_id: UUID = Field(description="The run of the fire.")
    text_no: int
    planned_at: Instant = Field(description="By the days of the plan.")
    due_at: Instant = Field(description="As things are: a late step moves those after it.")
    outcome: Literal["fired", "skipped"] | None = Field(description="Null: it is to come.")
    note: TranslatedText
    run_id: UUID | None
    at: Instant | None


class SchedulePreviewBody(Body):
    """A schedule to be tried; the class and the rule decide which hours of the county apply."""

    schedule: ScheduleBody
    message_class: MessageClass = Field(default=PUBLICITY, alias="class")
    rule: Text | None = Field(default=None, description="The segment's, if there is one.")
    count: Annotated[Int, Field(ge=1, le=100)] = SHOWN


class ToComeOut(Out):
    """All fires to come that are not left out: how many, and when the last begins."""

    count: int
    last_at: Instant | None = Field(description="Null: there is none.")


TO_COME = f"All its fires to come; null: they have no end, or are more than {MOST_TOLD}."
"""What both say of them."""


class SchedulePreviewOut(Out):
    """When a schedule would fire if it were approved now."""

    fires: list[FireOut]
    to_come: ToComeOut | None = Field(description=TO_COME)
    notes: list[TranslatedText]
    official_until: str = Field(description="The last day of which the holidays are official.")


class FireQuery(PageQuery):
    """Which part of the fires."""

    @property
    def before_instant(self) -> datetime | None:
        """The planned instant before which the page begins; raises as `text`."""
        text = self.text
        try:
            return None if text is None else datetime.fromisoformat(text)
        except ValueError as error:
            raise unknown_cursor() from error


async def repeats(call: Call, campaign: Campaign, county: County) -> list[str]:
    """What the planner of a recurring campaign should know of its texts that come again."""
    if campaign.plan.schedule.kind != "recurring":
        return []
    in_force = await list_caps(call.conn, history=False)
    if all(
        caps.limits.same_text for caps in in_force if caps.message_class == campaign.message_class
    ):
        return []
    texts = 1 if campaign.plan.is_sequence else len(campaign.further) + 1
    ahead = await planning.fires_ahead(call.conn, campaign, county, call.now, texts + SHOWN)
    return list(repeat_notes(ahead, texts))


async def preview_schedule(call: Call, body: SchedulePreviewBody) -> SchedulePreviewOut:
    """Try a schedule: its next fires, with what moves or leaves out each."""
    plan = body.schedule.schedule()
    schedule.check(plan)
    rule = None
    if body.rule is not None:
        written = await read_rule(call.conn, call.user.department_id, body.rule)
        await check_rule(call.conn, written)
        rule = canonical(written.rule)
    county = await load_county(call.conn)
    terms = plan.terms(body.message_class, rule)
    if plan.kind == "recurring":
        most = MOST_TOLD + 1 if plan.has_end else body.count
        ahead = upcoming(plan, terms, county, call.now, most)
    elif plan.kind == "joining":
        look = next_look(plan, terms, county, call.now)
        ahead = [] if look is None else [Fire(look, look)]
    else:
        at = plan.start_at or call.now
        ahead = [Fire(at, at)] if at >= call.now else []
    shown = first_of(ahead, body.count)
    return SchedulePreviewOut(
        fires=fires_out(shown, terms, county),
        to_come=to_come(ahead) if plan.has_end else None,
        notes=notes_of(shown, terms, county),
        official_until=county.holidays.official_until.isoformat(),
    )


async def list_fires(call: Call, campaign_id: UUID, query: FireQuery) -> Page[FireRecordOut]:
    """List what became of each fire of a campaign, from new to old."""
    await planning.load(call.conn, campaign_id, call.user.scope)
    found = await fire_store.list_fires(call.conn, campaign_id, query.before_instant, query.wanted)
    shown = [record_out(fire) for fire in found]
    if any(fire.outcome == "shared" for fire in found):
        shown = await _with_legs(call, campaign_id, shown)
    return cut(Page[FireRecordOut], shown, query, lambda fire: fire.planned_at.isoformat())


async def _with_legs(
    call: Call, campaign_id: UUID, fires: Sequence[FireRecordOut]
) -> list[FireRecordOut]:
    """Fires of a joint plan, which say without whose legs they went."""
    names = {leg.id: leg.department for leg in await leg_store.list_legs(call.conn, campaign_id)}
    left_out: dict[datetime, list[leg_store.LegLeftOut]] = {}
    for one in await leg_store.list_left_out(call.conn, campaign_id):
        left_out.setdefault(one.planned_at, []).append(one)
    said = []
    for fire in fires:
        missing = left_out.get(fire.planned_at, []) if fire.outcome == "shared" else []
        plain = explain_shared(
            [names[one.leg_id] for one in missing if one.made_up_at is None],
            [names[one.leg_id] for one in missing if one.made_up_at is not None],
        )
        said.append(
            fire.model_copy(update={"plain": PlainOut.model_validate(plain)}) if missing else fire
        )
    return said


def record_out(fire: FireRecord) -> FireRecordOut:
    """What became of a fire, as it is shown."""
    released = fire.outcome == "held" and fire.released_at is not None
    change = Others(fire.others, fire.people)
    plain = explain_fire(fire.outcome, fire.code, released=released, change=change)
    return FireRecordOut.model_validate({**fire._asdict(), "plain": plain})


async def list_steps(call: Call, campaign_id: UUID, query: PageQuery) -> Page[StepOut]:
    """List the steps of a campaign's sequences, what became of each and what is to come."""
    await planning.load(call.conn, campaign_id, call.user.scope)
    found = await sequence_store.list_steps(call.conn, campaign_id, query.number, query.wanted)
    return cut(Page[StepOut], found, query)


def to_come(ahead: Sequence[Fire]) -> ToComeOut | None:
    """How many of these take place, which were asked for up to one more than are counted."""
    taking_place = [fire.at for fire in ahead if not fire.skipped]
    if len(taking_place) > MOST_TOLD:
        return None
    return ToComeOut(count=len(taking_place), last_at=max(taking_place, default=None))


def fires_out(fires: Sequence[Fire], terms: HourTerms, county: County) -> list[FireOut]:
    """Fires as they are shown."""
    return [
        FireOut(
            planned_at=fire.planned_at,
            at=fire.at,
            skipped=fire.skipped,
            note=fire.note,
            sends_from=None if fire.skipped else county.next_opening(fire.at, terms),
        )
        for fire in fires
    ]
