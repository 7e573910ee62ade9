"""The county's calendar and send hours: what is in force, what was, and setting them."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from service.api.calendar.schedules import Hour, HourSpans
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    AnyText,
    Body,
    Day,
    Instant,
    Int,
    Line,
    Out,
    Page,
    QueryString,
    TranslatedText,
)
from service.campaigns.calendar import county_store
from service.campaigns.calendar.county_store import SettingKind
from service.campaigns.calendar.holidays import (
    ALL_DAY,
    BUILT_IN_QUIET,
    COMPUTED_UNTIL,
    CalendarChanges,
    Holidays,
    Notice,
    Quiet,
)
from service.campaigns.calendar.hours import HourRules
from service.campaigns.calendar.notice import read_notice
from service.campaigns.county import county_settings
from service.clock import CHINA
from service.ledger.message_class import PUBLICITY, RefusableClass
from service.words.phrase import phrase

Year = Annotated[Int, Field(ge=2000, le=2199)]
VersionNumber = Annotated[
    Int | None, Field(ge=0, description="The one that was read: refused if it is old by now (409).")
]
MAX_NOTICE = 20_000


class NoticeBody(Body):
    """The holidays and working weekends that were announced for a year."""

    year: Year
    source: Line
    holidays: dict[Day, Line] = Field(max_length=100)
    workdays: list[Day] = Field(max_length=30)


class QuietBody(Body):
    """Days, or hours of them, in which texts of some classes do not leave."""

    name: Line
    first: Day
    last: Day
    hours: HourSpans = Field(default=list(ALL_DAY))
    classes: list[RefusableClass] = Field(default=[PUBLICITY], min_length=1)
    binding: bool = Field(default=True, description="Also for plans that send on quiet days.")


class SchoolDayBody(Body):
    """The day in its year of what can otherwise only be guessed, see `GET /festivals`."""

    festival: Literal["winter_holiday", "spring_term", "summer_holiday", "autumn_term"]
    date: Day


class CalendarBody(Body):
    """What the county says beyond the shipped facts, whole; and why it changes."""

    notices: list[NoticeBody] = Field(default=[], max_length=50)
    quiet: list[QuietBody] = Field(default=[], max_length=200)
    without: list[Line] = Field(
        default=[], max_length=20, description="Built-in quiet days that the county does not keep."
    )
    school_days: list[SchoolDayBody] = Field(default=[], max_length=200)
    reason: Line
    version: VersionNumber = None


class NoticeTextBody(Body):
    """The text of the State Council's notice, as it is published."""

    text: Annotated[AnyText, Field(max_length=MAX_NOTICE)]


class DayOut(Out):
    """A day that is not like its weekday."""

    date: date
    kind: Literal["holiday", "makeup"]
    name: str


class QuietOut(Out):
    """Days, or hours of them, in which texts of some classes do not leave."""

    name: str
    first: date
    last: date
    hours: list[tuple[str, str]]
    classes: list[str]
    binding: bool


class SchoolDayOut(Out):
    """The day of a school year that the county has entered."""

    festival: str
    date: date


class NoticeOut(Out):
    """The holidays and working weekends that were announced for a year."""

    year: int
    source: str
    holidays: dict[date, str]
    workdays: list[date]


class CalendarOut(Out):
    """A year's calendar, and what the county says beyond the shipped facts."""

    year: int
    official: bool
    source: str | None
    official_until: date
    warning: TranslatedText | None
    days: list[DayOut]
    quiet_days: list[QuietOut] = Field(description="All of the year, built in or the county's.")
    built_in_quiet: dict[str, TranslatedText]
    notices: list[NoticeOut] = Field(description="Those that the county has entered.")
    quiet: list[QuietOut] = Field(description="Those that the county has entered.")
    without: list[str]
    school_days: list[SchoolDayOut]
    version: int = Field(description="0: the county has set nothing.")


class ClassHoursBody(Body):
    """What texts of a class may."""

    allowed: HourSpans
    limit: HourSpans
    preferred: list[tuple[Hour, Hour]] = Field(default=[], max_length=24)


class HourRulesBody(Body):
    """The county's hours by class and by audience, whole; and why they change."""

    classes: dict[RefusableClass, ClassHoursBody]
    audiences: dict[Literal["elderly", "parents"], HourSpans]
    reason: Line
    version: VersionNumber = None


class ClassHoursOut(Out):
    """What texts of a class may."""

    allowed: list[tuple[str, str]]
    limit: list[tuple[str, str]]
    preferred: list[tuple[str, str]]


class HourRulesOut(Out):
    """The county's hours, in Beijing; warnings have none."""

    classes: dict[str, ClassHoursOut]
    audiences: dict[str, list[tuple[str, str]]]
    version: int = Field(description="0: the defaults.")


class VersionOut(Out):
    """What was set, by whom, when and why; without a user it was the command line."""

    id: int
    body: dict[str, Any]
    reason: str
    set_by: UUID | None
    set_at: Instant


class YearQuery(QueryString):
    """Which year."""

    year: int | None = Field(
        default=None, ge=2000, le=2199, description="Default: the present one."
    )


async def get_holidays(call: Call, query: YearQuery) -> CalendarOut:
    """Show a year's holidays, working weekends and quiet days, and until when they are official."""
    return await _calendar(call, query.year)


async def set_holidays(call: Call, body: CalendarBody) -> CalendarOut:
    """Set what the county says of the calendar; what is still to fire moves with it."""
    changes = CalendarChanges(
        tuple(
            Notice(notice.year, notice.source, notice.holidays, frozenset(notice.workdays))
            for notice in body.notices
        ),
        tuple(
            Quiet(q.name, q.first, q.last, tuple(q.hours), tuple(q.classes), q.binding)
            for q in body.quiet
        ),
        tuple(body.without),
        tuple((day.festival, day.date) for day in body.school_days),
    )
    await county_settings.set_calendar(
        call.conn, changes, body.reason, call.user.id, call.now, version=body.version
    )
    return await _calendar(call, body.notices[-1].year if body.notices else None)


async def import_notice(call: Call, body: NoticeTextBody) -> CalendarOut:
    """Make a year official from the text of the State Council's notice."""
    notice = read_notice(body.text)
    reason = f"imported: {notice.source}"
    await county_settings.add_notice(call.conn, notice, reason, call.user.id, call.now)
    return await _calendar(call, notice.year)


async def list_calendars(call: Call, query: PageQuery) -> Page[VersionOut]:
    """List what was set of the calendar, from new to old."""
    return await _history(call, "calendar", query)


async def get_send_hours(call: Call) -> HourRulesOut:
    """Show the county's hours by class and by audience."""
    county = await county_store.load_county(call.conn)
    version = await _version(call, "send_hours")
    return HourRulesOut(**county.rules.as_json(), version=version)


async def set_send_hours(call: Call, body: HourRulesBody) -> HourRulesOut:
    """Set the county's hours; texts on their way are held to them within seconds."""
    rules = HourRules.from_json(body.model_dump(include={"classes", "audiences"}))
    await county_settings.set_hours(
        call.conn, rules, body.reason, call.user.id, call.now, version=body.version
    )
    return await get_send_hours(call)


async def list_send_hours(call: Call, query: PageQuery) -> Page[VersionOut]:
    """List what was set of the hours, from new to old."""
    return await _history(call, "send_hours", query)


async def _history(call: Call, kind: SettingKind, query: PageQuery) -> Page[VersionOut]:
    found = await county_store.versions(call.conn, kind, query.number or None, query.wanted)
    return cut(Page[VersionOut], found, query)


async def _version(call: Call, kind: SettingKind) -> int:
    latest = await county_store.versions(call.conn, kind)
    return latest[0].id if latest else 0


async def _calendar(call: Call, year: int | None) -> CalendarOut:
    holidays = (await county_store.load_county(call.conn)).holidays
    wanted = holidays.year(year or call.now.astimezone(CHINA).year)
    changes = holidays.changes
    days = [DayOut(date=d, kind="holiday", name=name) for d, name in wanted.holidays.items()]
    days += [DayOut(date=day, kind="makeup", name="") for day in wanted.workdays]
    source = holidays.source(wanted.year)
    return CalendarOut(
        year=wanted.year,
        official=source is not None,
        source=source,
        official_until=holidays.official_until,
        warning=warning_of(holidays, wanted.year) if source is None else None,
        days=sorted(days, key=lambda day: day.date),
        quiet_days=[QuietOut.model_validate(q) for q in holidays.quiet_in(wanted.year)],
        built_in_quiet=dict(BUILT_IN_QUIET),
        notices=[NoticeOut.model_validate(notice) for notice in changes.notices],
        quiet=[QuietOut.model_validate(q) for q in changes.quiet],
        without=list(changes.without),
        school_days=[SchoolDayOut(festival=name, date=day) for name, day in changes.school_days],
        version=await _version(call, "calendar"),
    )


def warning_of(holidays: Holidays, year: int) -> str:
    """What is missing in a year of which no notice is known, as a sentence."""
    lunar = phrase(" Lunar dates are known until {year} only.", year=COMPUTED_UNTIL)
    return phrase(
        "No notice of {year} is known: these are the days off by law, computed, without working"
        " weekends. The calendar is official until {until}.{lunar}",
        year=year,
        until=holidays.official_until,
        lunar="" if year <= COMPUTED_UNTIL else lunar,
    )
