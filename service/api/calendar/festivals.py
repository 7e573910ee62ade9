"""Plans around a festival: "20 days before the Spring Festival", answered with dates."""

from datetime import date, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from service.api.calendar.holidays import Year, YearQuery, warning_of
from service.api.calendar.schedules import FireOut, Hour, fires_out
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Int, Line, Out, TranslatedText
from service.audience.segments.segment import canonical
from service.campaigns.audience.preview import check_rule, read_rule
from service.campaigns.calendar import schedule
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.fires import fires
from service.campaigns.calendar.holidays import Holidays
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.plan_warnings import notes_of
from service.campaigns.county.festivals import (
    FARTHEST,
    PRESETS,
    Festival,
    find_festival,
    find_preset,
    list_festivals_of,
    period_around,
    schedule_around,
)
from service.clock import CHINA
from service.errors import Invalid
from service.ledger.message_class import PUBLICITY, MessageClass
from service.words.phrase import listing, phrase

DayNumber = Annotated[Int, Field(ge=-FARTHEST, le=FARTHEST)]
MOST_DAYS = 60


class FestivalOut(Out):
    """A festival, or a day of school, of a year."""

    name: str
    title: str
    day: date
    basis: Literal["fixed", "lunar", "solar_term", "entered", "custom"] = Field(
        description="What says the day. custom: a guess; the county enters the day that the"
        " province set with `school_days` of PUT /holidays."
    )


class PresetOut(Out):
    """A usual plan around a festival; rule and topics are suggestions."""

    name: str
    title: str
    festival: str
    first: int = Field(description="Days from the festival.")
    last: int
    days: list[int] = Field(description="Days from the festival on which a text goes.")
    dates: list[date] = Field(description="Those days of this year.")
    rule: str
    topics: list[str] = Field(description="Of the shipped texts, one for each day.")
    texts: list[list[str]] = Field(
        description="For each day two texts of GET /templates/library by their ids, the second in"
        " other words: for a second plan, or where the forecast says that the first was had."
    )


class FestivalsOut(Out):
    """The festivals of a year, and the usual plans around them."""

    year: int
    official: bool = Field(
        description="The State Council's notice of the year's days off is known."
    )
    official_until: date
    warning: TranslatedText | None
    festivals: list[FestivalOut]
    presets: list[PresetOut]


class AroundBody(Body):
    """Days counted from a festival; or a preset, which says them."""

    preset: Line | None = None
    festival: Line | None = None
    days: list[DayNumber] = Field(
        default=[],
        max_length=MOST_DAYS,
        description="On which days from the festival it fires: -20 is 20 days before it.",
    )
    year: Year
    time: Hour = Field(default="09:30", description="The time of day of all fires.")
    timezone: Line = schedule.DEFAULT_TIMEZONE
    quiet_days: Literal["keep", "send"] = Field(
        default="keep",
        description="keep: no publicity on the eve and the first day of the Spring Festival; such"
        " a fire moves to the next day.",
    )
    message_class: MessageClass = Field(default=PUBLICITY, alias="class")
    rule: Line | None = Field(default=None, description="The segment's, if there is one.")

    @model_validator(mode="after")
    def _one_of(self) -> "AroundBody":
        if (self.preset is None) == (self.festival is None):
            raise ValueError(phrase("give a preset, or a festival with days"))
        if self.festival is not None and not self.days:
            raise ValueError(
                phrase("say on which days from the festival it fires, such as [-20, -6, 8]")
            )
        return self


class PeriodAroundOut(Out):
    """From when to when."""

    start: Instant
    end: Instant


class ScheduleAroundOut(Out):
    """The schedule for a campaign; what it leaves out is as usual."""

    kind: Literal["recurring"]
    start_at: Instant
    dates: list[date]
    timezone: str
    quiet_days: str


class AroundOut(Out):
    """A schedule, ready for a campaign, with its fires by the calendar."""

    festival: FestivalOut
    schedule: ScheduleAroundOut
    period: PeriodAroundOut
    fires: list[FireOut]
    notes: list[TranslatedText]
    official: bool = Field(description="All fires lie in years of which the notice is known.")
    official_until: date
    warning: TranslatedText | None = Field(description="What is computed or guessed here.")


async def list_festivals(call: Call, query: YearQuery) -> FestivalsOut:
    """List the festivals of a year with the usual plans around them, and whether it is official."""
    holidays = (await load_county(call.conn)).holidays
    year = query.year or call.now.astimezone(CHINA).year
    found = {festival.name: festival for festival in list_festivals_of(year, holidays)}
    return FestivalsOut(
        year=year,
        official=holidays.source(year) is not None,
        official_until=holidays.official_until,
        warning=_warning(holidays, {year}, None),
        festivals=[FestivalOut.model_validate(festival) for festival in found.values()],
        presets=[
            PresetOut.model_validate(
                {name: getattr(preset, name) for name in preset.__slots__}
                | {
                    "dates": schedule_around(
                        found[preset.festival], preset.days, time(), CHINA
                    ).dates
                }
            )
            for preset in PRESETS
            if preset.festival in found
        ],
    )


async def plan_around(call: Call, body: AroundBody) -> AroundOut:
    """Find the dates around a festival, what moves them, and whether they are official."""
    county = await load_county(call.conn)
    preset = find_preset(body.preset) if body.preset is not None else None
    name = preset.festival if preset else str(body.festival)
    festival = find_festival(name, body.year, county.holidays)
    days = body.days or (list(preset.days) if preset else [])
    plan = _schedule(body, festival, days)
    first, last = (preset.first, preset.last) if preset else (min(days), max(days))
    start, end = period_around(festival, min(first, *days), max(last, *days), plan.zone)
    terms = plan.terms(body.message_class, await _rule(call, body.rule))
    ahead = list(fires(plan, terms, county))
    years = {fire.at.astimezone(CHINA).year for fire in ahead}
    return AroundOut(
        festival=FestivalOut.model_validate(festival),
        schedule=ScheduleAroundOut.model_validate(plan),
        period=PeriodAroundOut(start=start, end=end),
        fires=fires_out(ahead, terms, county),
        notes=notes_of(ahead, terms, county),
        official=all(county.holidays.source(year) for year in years),
        official_until=county.holidays.official_until,
        warning=_warning(county.holidays, years, festival),
    )


def _schedule(body: AroundBody, festival: Festival, days: list[int]) -> Schedule:
    """The schedule of a body.

    Raises:
        Invalid: the time of day or the time zone is none.
    """
    try:
        time_of_day, zone = time.fromisoformat(body.time), ZoneInfo(body.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid.at(
            "time", phrase("write the time of day like 09:30 and the zone like Asia/Shanghai")
        ) from error
    plan = schedule_around(festival, days, time_of_day, zone, body.quiet_days)
    schedule.check(plan)
    return plan


async def _rule(call: Call, text: str | None) -> str | None:
    if text is None:
        return None
    written = await read_rule(call.conn, call.user.department_id, text)
    await check_rule(call.conn, written)
    return canonical(written.rule)


def _warning(holidays: Holidays, years: set[int], festival: Festival | None) -> str | None:
    """What of these years, or of this festival, is no fact."""
    said = [warning_of(holidays, year) for year in sorted(years) if not holidays.source(year)]
    if festival is not None and festival.basis == "custom":
        said.append(
            phrase(
                "The day of {festival} is a guess, {day}; enter the one that was set with"
                " school_days of PUT /holidays.",
                festival=festival.title,
                day=festival.day,
            )
        )
    return listing(said, " ") or None
