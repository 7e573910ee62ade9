"""Obligations over HTTP: what departments owe again and again, its dates, and texts about it."""

from datetime import date, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.calendar.schedules import Hour
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    Body,
    Day,
    Instant,
    Int,
    Line,
    Out,
    Page,
    QueryString,
    SpanDay,
    TranslatedText,
)
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.holidays import Holidays
from service.clock import day_in_china
from service.duties import obligation_store, obligations
from service.duties.deadline import Deadline, DueRule, DueShift, PeriodKind, Remind
from service.duties.ladder import Rung
from service.duties.obligation_store import NewObligation, ObligationKind, ObligationRow
from service.duties.obligations import MOST_DAYS, Changes, ShownDate
from service.errors import Invalid
from service.ledger.message_class import MessageClass
from service.pictures.pictures import MOST_OF_A_REPORT
from service.words.phrase import phrase

Weekday = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
WEEKDAYS: tuple[Weekday, ...] = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

SHIFTED = phrase("not on its usual day: that is no working day")
HOLIDAY_WEEK = phrase("the period has no working day before it: the first one after it")
BY_LAW = phrase("not announced yet: by the holidays of the law")

THIRTEEN_WEEKS = timedelta(weeks=13)
NEARLY, AHEAD = timedelta(days=40), timedelta(days=100)
"""In this span around today the next deadline of whatever is owed is looked for."""
MOST_IN_CALENDAR = 500
"""Of so many obligations a calendar is made."""


class DueRuleBody(Body):
    """On which day, at which hour."""

    weekday: Weekday | None = None
    day: Annotated[Int, Field(ge=1, le=31)] | None = Field(
        default=None, description="Of a month; in a shorter one its last day."
    )
    on: Day | None = None
    time: Hour


class NeedsBody(Body):
    """What has to be there. narrative, photos: of a report. All else: of what a run ticks."""

    narrative: bool = False
    photos: Annotated[Int, Field(ge=0, le=MOST_OF_A_REPORT)] | None = Field(
        default=None, description="At least so many pictures."
    )
    message_class: MessageClass | None = Field(default=None, alias="class")
    topic: Line | None = Field(default=None, description="Of the campaign's template.")
    role: Line | None = Field(default=None, description="Only people of this role count.")
    area: Line | None = Field(default=None, description="Only people of this area count.")
    target: Annotated[Int, Field(ge=1)] | None = Field(
        default=None, description="At least so many people; default: 1."
    )
    roster: Line | None = Field(
        default=None, description="Of roster, which needs it: what the list is called at each unit."
    )


class ObligationBody(Body):
    """What departments are to owe, and when."""

    departments: Annotated[list[UUID], Field(max_length=500)] = Field(default=[])
    kinds: Annotated[list[Line], Field(max_length=20)] = Field(
        default=[], description="In place of departments: all of these kinds, later ones as well."
    )
    kind: ObligationKind = Field(
        description="send is ticked by a run of the unit that fits `needs`; the others are reports."
        " visits is ticked by a household round of the unit that was closed in the period."
        " relay is ticked by a relay for a week of the period once its first level has passed it"
        " on, roster by an import into the list `needs.roster` of the unit, or by a confirmation."
    )
    title: Line
    period: PeriodKind
    due: DueRuleBody
    shift: DueShift = Field(
        default=DueShift.PREVIOUS_WORKDAY,
        description="Where it goes if no office works on that day.",
    )
    first: SpanDay | None = Field(default=None, alias="from", description="Default: today.")
    until: SpanDay | None = None
    needs: NeedsBody = NeedsBody()
    remind: Annotated[list[Remind], Field(max_length=2)] = Field(
        default=list(Remind),
        description="The same hour on the working day before; two hours before.",
    )
    ladder: Annotated[list[Rung], Field(max_length=4)] = Field(
        default=list(Rung), description="Who is told once it is late, or missed twice."
    )


class ObligationEdit(Body):
    """What of an obligation changes. Who owes it and when does not: end it, and set another."""

    title: Line | None = None
    until: SpanDay | None = None
    needs: NeedsBody | None = None
    remind: Annotated[list[Remind], Field(max_length=2)] | None = None
    ladder: Annotated[list[Rung], Field(max_length=4)] | None = None


class ObligationQuery(PageQuery):
    """Which obligations."""

    ended: bool = Field(default=False, description="Also those that are over.")


class DatesQuery(QueryString):
    """Of which days."""

    first: SpanDay | None = Field(default=None, alias="from", description="Default: today.")
    last: SpanDay | None = Field(default=None, alias="to", description="Default: 13 weeks later.")


class DueRuleOut(Out):
    """On which day, at which hour."""

    weekday: Weekday | None
    day: int | None
    on: date | None
    time: str


class NeedsOut(Out):
    """What has to be there."""

    narrative: bool = False
    photos: int | None = None
    message_class: str | None = Field(default=None, alias="class")
    topic: str | None = None
    role: str | None = None
    area: str | None = None
    target: int | None = None
    roster: str | None = None


class ObligationOut(Out):
    """What departments owe."""

    BY_THE_CLOCK = frozenset({"next_due_at", "may_change"})

    id: UUID
    setter_id: UUID = Field(description="The department that asks for it.")
    departments: list[UUID]
    kinds: list[str]
    kind: ObligationKind
    title: str
    period: PeriodKind
    due: DueRuleOut
    shift: DueShift
    from_on: date = Field(alias="from")
    until_on: date | None = Field(alias="until")
    needs: NeedsOut
    remind: list[Remind]
    ladder: list[Rung]
    set_by: UUID
    set_at: Instant
    ended_at: Instant | None
    next_due_at: Instant | None = Field(description="The next deadline; null: there is none.")
    may_change: bool = Field(description="Whether you may change or end it.")


class DutyDateOut(Out):
    """A period, and when it is due."""

    obligation_id: UUID
    title: str
    period: str
    first: date
    last: date
    due_at: Instant
    on: date = Field(description="The day by the rule, wherever it went from there.")
    shifted: bool
    holiday_week: bool
    official: bool = Field(description="false: a day that decides was not announced yet.")
    notes: list[TranslatedText]


class DatesOut(Out):
    """The dates of an obligation in a span of days."""

    items: list[DutyDateOut]


async def set_obligation(call: Call, body: ObligationBody) -> ObligationOut:
    """Let departments owe something each week, each month, or once.

    The county asks any; another department those below it. Of a period that goes on already they
    owe it, too, unless its deadline is over.
    """
    due = body.due
    rule = DueRule(
        body.period,
        _time(due.time),
        body.shift,
        None if due.weekday is None else WEEKDAYS.index(due.weekday) + 1,
        due.day,
        due.on,
    )
    new = NewObligation(
        list(dict.fromkeys(body.departments)),
        list(dict.fromkeys(body.kinds)),
        body.kind,
        body.title,
        rule,
        body.first or day_in_china(call.now),
        body.until,
        _needs(body.needs),
        list(dict.fromkeys(body.remind)),
        list(dict.fromkeys(body.ladder)),
    )
    made = await obligations.set_obligation(call.conn, call.user, new, call.by(""))
    call.note("obligation", made, kind=body.kind, title=body.title)
    return await get_obligation(call, made)


async def list_obligations(call: Call, query: ObligationQuery) -> Page[ObligationOut]:
    """List what your department asks for, and what it or those below it owe, the latest first."""
    found = await obligation_store.list_obligations(
        call.conn,
        (call.user.count_scope, call.user.department_id),
        ended=query.ended,
        before=query.before,
        limit=query.wanted,
    )
    page = cut(Page[ObligationRow], found, query, key=lambda one: one.id)
    calendar = (await load_county(call.conn)).holidays
    items = [_shown(call, one, calendar) for one in page.items]
    return Page[ObligationOut](items=items, next_cursor=page.next_cursor)


async def get_obligation(call: Call, obligation_id: UUID) -> ObligationOut:
    """Show what is owed, and when the next one is due."""
    found = await obligations.find(call.conn, call.user, obligation_id)
    return _shown(call, found, (await load_county(call.conn)).holidays)


async def edit_obligation(call: Call, obligation_id: UUID, body: ObligationEdit) -> ObligationOut:
    """Change its title, end, needs, reminders or ladder; duties that there are follow it."""
    changes = Changes(
        body.title,
        body.until,
        "until" in body.model_fields_set,
        None if body.needs is None else _needs(body.needs),
        None if body.remind is None else list(dict.fromkeys(body.remind)),
        None if body.ladder is None else list(dict.fromkeys(body.ladder)),
    )
    await obligations.change(call.conn, call.user, obligation_id, changes, call.by(""))
    call.note(changed=",".join(sorted(body.model_fields_set)))
    return await get_obligation(call, obligation_id)


async def end_obligation(call: Call, obligation_id: UUID) -> ObligationOut:
    """Make no further duties of it; those that there are stay owed until they are in or excused."""
    await obligations.end(call.conn, call.user, obligation_id, call.by(""))
    return await get_obligation(call, obligation_id)


async def list_obligation_dates(call: Call, obligation_id: UUID, query: DatesQuery) -> DatesOut:
    """List when each of its periods that begin in a span of days is due, and why not as usual."""
    found = await obligations.find(call.conn, call.user, obligation_id)
    return DatesOut(items=await _dates(call, [found], query))


async def list_duty_calendar(call: Call, query: DatesQuery) -> DatesOut:
    """List the dates of all obligations that you see and that are not over, in the order of time.

    Of the first 500 of them, the latest set first.
    """
    found = await obligation_store.list_obligations(
        call.conn,
        (call.user.count_scope, call.user.department_id),
        ended=False,
        before=None,
        limit=MOST_IN_CALENDAR,
    )
    items = await _dates(call, found, query)
    return DatesOut(items=sorted(items, key=lambda one: (one.due_at, one.title)))


def notes_on(due: Deadline) -> list[str]:
    """Why a deadline is not on its usual day, or may still move."""
    notes: list[str] = []
    if due.holiday_week:
        notes.append(HOLIDAY_WEEK)
    elif due.shifted:
        notes.append(SHIFTED)
    if not due.official:
        notes.append(BY_LAW)
    return notes


async def _dates(call: Call, found: list[ObligationRow], query: DatesQuery) -> list[DutyDateOut]:
    first = query.first or day_in_china(call.now)
    last = query.last or first + THIRTEEN_WEEKS
    calendar = (await load_county(call.conn)).holidays
    return [
        _date(one)
        for obligation in found
        for one in obligations.dates_of(obligation, first, last, calendar)
    ]


def _date(one: ShownDate) -> DutyDateOut:
    return DutyDateOut(
        obligation_id=one.obligation.id,
        title=one.obligation.new.title,
        period=one.period.key,
        first=one.period.first,
        last=one.period.last,
        due_at=one.due.at,
        on=one.due.on,
        shifted=one.due.shifted,
        holiday_week=one.due.holiday_week,
        official=one.due.official,
        notes=notes_on(one.due),
    )


def _shown(call: Call, found: ObligationRow, calendar: Holidays) -> ObligationOut:
    new, rule = found.new, found.new.rule
    today = day_in_china(call.now)
    first = today - NEARLY
    last = min(max(today + AHEAD, rule.on or today), first + MOST_DAYS)
    ahead = obligations.dates_of(found, first, last, calendar)
    to_come = [one.due.at for one in ahead if one.due.at > call.now]
    told = {
        "id": found.id,
        "setter_id": found.setter_id,
        "departments": list(new.departments),
        "kinds": list(new.kinds),
        "kind": new.kind,
        "title": new.title,
        "period": rule.period,
        "due": DueRuleOut(
            weekday=None if rule.weekday is None else WEEKDAYS[rule.weekday - 1],
            day=rule.day,
            on=rule.on,
            time=f"{rule.at:%H:%M}",
        ),
        "shift": rule.shift,
        "from_on": new.from_on,
        "until_on": new.until_on,
        "needs": NeedsOut.model_validate(new.needs),
        "remind": list(new.remind),
        "ladder": list(new.rungs),
        "set_by": found.set_by,
        "set_at": found.set_at,
        "ended_at": found.ended_at,
        "next_due_at": min(to_come, default=None) if found.ended_at is None else None,
        "may_change": obligations.may_change(call.user, found),
    }
    return ObligationOut.model_validate(told)


def _needs(body: NeedsBody) -> dict[str, Any]:
    """What was given, as it is stored."""
    return {
        name: value
        for name, value in body.model_dump(by_alias=True, exclude_none=True).items()
        if value is not False
    }


def _time(written: str) -> time:
    try:
        return time.fromisoformat(written)
    except ValueError as error:
        raise Invalid.at("due.time", phrase("write an hour like 16:00")) from error
