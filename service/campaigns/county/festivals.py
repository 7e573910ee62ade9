"""Which day a festival or a day of school is, and what plans are usual around it (pure).

A plan says "20 days before the Spring Festival"; what it is approved with is dates. Festivals are
of the sun's calendar or the moon's, or, as Qingming, a term of the sun's course, and so certain for
each computed year. Days of school are the
province's to set: until somebody enters them (`PUT /holidays`) they are guessed by custom, and
whoever shows them says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from service.campaigns.calendar.holidays import COMPUTED_UNTIL, Holidays, lunar_days
from service.campaigns.calendar.schedule import Schedule
from service.errors import Invalid
from service.words.phrase import listing, phrase

FestivalBasis = Literal["fixed", "lunar", "solar_term", "entered", "custom"]
FIRST_YEAR = 2025
FARTHEST = 180
"""How many days from a festival a day may lie that is named by it."""


@dataclass(frozen=True, slots=True)
class Festival:
    """A festival of a year. basis: what says the day; `custom`: nobody has entered it yet."""

    name: str
    title: str
    day: date
    basis: FestivalBasis


@dataclass(frozen=True, slots=True)
class Preset:
    """A usual plan: from which to which day around a festival, on which days texts go, to whom.

    Days are counted from the festival's. topics: of the shipped texts, one a day. texts: for each
    day two of the starter library by their ids, the second in other words, for nobody gets the same
    text again within 30 days.
    """

    name: str
    title: str
    festival: str
    first: int
    last: int
    days: tuple[int, ...]
    rule: str
    topics: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]


def _nth(place: int, days: int = 0) -> Callable[[int], date]:
    """A computed day of a year (`lunar_days`), or so many days after it."""

    def find(year: int) -> date:
        lunar = lunar_days(year)
        if lunar is None:
            raise Invalid(
                phrase(
                    "lunar dates are known from {first_year} to {computed_until}",
                    first_year=FIRST_YEAR,
                    computed_until=COMPUTED_UNTIL,
                ),
                fields={
                    "year": phrase(
                        "from {first_year} to {computed_until}",
                        first_year=FIRST_YEAR,
                        computed_until=COMPUTED_UNTIL,
                    )
                },
            )
        return lunar[place] + timedelta(days)

    return find


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


_DAYS: Mapping[str, tuple[str, FestivalBasis, Callable[[int], date]]] = {
    "new_year": ("元旦", "fixed", _fixed(1, 1)),
    "winter_holiday": ("寒假", "custom", _nth(0, -14)),
    "spring_festival": ("春节", "lunar", _nth(0)),
    "lantern_festival": ("元宵节", "lunar", _nth(0, 14)),
    "spring_term": ("春季开学", "custom", _nth(0, 15)),
    "qingming": ("清明节", "solar_term", _nth(1)),
    "labour_day": ("劳动节", "fixed", _fixed(5, 1)),
    "dragon_boat": ("端午节", "lunar", _nth(2)),
    "summer_holiday": ("暑假", "custom", _fixed(7, 5)),
    "autumn_term": ("秋季开学", "custom", _fixed(9, 1)),
    "mid_autumn": ("中秋节", "lunar", _nth(3)),
    "national_day": ("国庆节", "fixed", _fixed(10, 1)),
}
FESTIVALS = tuple(_DAYS)
_KEYS = {title: key for key, (title, _, _) in _DAYS.items()}

PRESETS = (
    # Tickets before the journey, bookings on the way, jobs before people leave again.
    Preset(
        "returnees",
        "春节返乡人员",
        "spring_festival",
        -20,
        15,
        (-20, -6, 8),
        "role = returnee",
        ("T11", "T17", "T01"),
        (("S21", "S33"), ("S34", "S35"), ("S01", "S36")),
    ),
    Preset(
        "winter_holiday_students",
        "寒假学生",
        "winter_holiday",
        -3,
        21,
        (0, 10),
        "role = student",
        ("T06", "T10"),
        (("S17", "S38"), ("S32", "S40")),
    ),
    Preset(
        "spring_term_parents",
        "春季开学家长",
        "spring_term",
        -7,
        14,
        (-3, 5),
        "role = parent",
        ("T12", "T10"),
        (("S14", "S41"), ("S15", "S42")),
    ),
    Preset(
        "summer_holiday_students",
        "暑假学生",
        "summer_holiday",
        -3,
        50,
        (0, 21, 42),
        "role = student",
        ("T01", "T06", "T14"),
        (("S16", "S37"), ("S17", "S38"), ("S18", "S39")),
    ),
    Preset(
        "autumn_term_parents",
        "秋季开学家长",
        "autumn_term",
        -7,
        14,
        (-3, 5),
        "role = parent",
        ("T12", "T10"),
        (("S14", "S41"), ("S15", "S42")),
    ),
)
"""What counties' plans ask for around festivals; the audience and the topics are suggestions."""


def find_festival(name: str, year: int, holidays: Holidays) -> Festival:
    """The day of a festival, in a year; `name`: its key, or what it is called in Chinese.

    Raises:
        Invalid: there is no such festival, or the year is not computed.
    """
    name = _KEYS.get(name, name)
    if name not in _DAYS:
        known = listing(FESTIVALS)
        raise Invalid(
            phrase(
                "there is no festival {name}; known are {known}, also in Chinese",
                name=name[:40],
                known=known,
            ),
            fields={"festival": known},
        )
    title, basis, find = _DAYS[name]
    entered = [d for n, d in holidays.changes.school_days if n == name and d.year == year]
    if entered:
        return Festival(name, title, entered[0], "entered")
    return Festival(name, title, find(year), basis)


def list_festivals_of(year: int, holidays: Holidays) -> list[Festival]:
    """The festivals of a year by day; of years that are not computed, those that are known."""
    found = []
    for name in _DAYS:
        try:
            found.append(find_festival(name, year, holidays))
        except Invalid:
            continue
    return sorted(found, key=lambda festival: festival.day)


def find_preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        Invalid: there is none.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    known = listing(preset.name for preset in PRESETS)
    raise Invalid(
        phrase("there is no preset {name}; known are {known}", name=name[:40], known=known),
        fields={"preset": known},
    )


def schedule_around(
    festival: Festival,
    days: Iterable[int],
    time_of_day: time,
    zone: ZoneInfo,
    quiet_days: Literal["keep", "send"] = "keep",
) -> Schedule:
    """The schedule that fires so many days from a festival, before it where less than none."""
    dates = tuple(festival.day + timedelta(n) for n in sorted(set(days)))
    start = datetime.combine(dates[0], time_of_day, zone)
    return Schedule(
        "recurring", start.astimezone(UTC), timezone=zone.key, dates=dates, quiet_days=quiet_days
    )


def period_around(
    festival: Festival, first: int, last: int, zone: ZoneInfo
) -> tuple[datetime, datetime]:
    """From the beginning of one day to the end of another, counted from a festival."""
    start = datetime.combine(festival.day + timedelta(first), time(), zone)
    return start, datetime.combine(festival.day + timedelta(last + 1), time(), zone)
