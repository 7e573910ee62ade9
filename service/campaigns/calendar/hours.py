"""At which hours texts may leave: the plan's hours, within those that the county allows (pure).

Hours are spans of times of day, [["08:00", "20:00"]]; the end is outside, and "24:00" is the end of
the day. The plan's are in its own time zone, the county's in Beijing's, where the people are: what
leaves must lie in both. A plan can so only narrow what its class may, unless an administrator let
it go beyond, to the limit. Warnings may leave at any hour.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from service.audience.segments.segment import And, Comparison, Rule, parse
from service.campaigns.calendar.holidays import Holidays
from service.clock import CHINA
from service.errors import Invalid
from service.ledger.message_class import NOTICE, PUBLICITY, WARNING
from service.words.phrase import listing, phrase

DayHours = Sequence[Sequence[str]]
Spans = tuple[tuple[str, str], ...]
Minutes = list[tuple[int, int]]

HORIZON = timedelta(days=62)
"""Further ahead nobody looks for the next opening."""

DAYTIME = (("07:00", "22:00"),)
"""The utmost that a county can set for anything but warnings: nobody is woken by a wrong entry. No
carrier or vendor whose rules are known takes publicity before 8:00 or after 22:00.
"""

_MINUTE = timedelta(minutes=1)
_SEARCH_DAYS = 4
_ELDERLY_FROM = 60


@dataclass(frozen=True, slots=True)
class ClassHours:
    """What texts of a class may. allowed: without further ado; limit: the utmost that an
    administrator can allow; preferred: when people read best, advice only.
    """

    allowed: Spans
    limit: Spans
    preferred: Spans = ()


@dataclass(frozen=True)
class HourRules:
    """The county's hours by class of text and by audience; the defaults are those of practice.

    Sources: the hours that carriers and cloud vendors keep for publicity, 8:00 to 20:00, and
    21:30 as the latest that any of them takes.
    """

    classes: Mapping[str, ClassHours] = field(
        default_factory=lambda: {
            PUBLICITY: ClassHours(
                (("08:00", "20:00"),),
                (("08:00", "21:30"),),
                (("09:00", "11:30"), ("14:30", "19:00")),
            ),
            NOTICE: ClassHours((("08:00", "21:30"),), (("08:00", "21:30"),)),
        }
    )
    audiences: Mapping[str, Spans] = field(
        default_factory=lambda: {
            "elderly": (("09:00", "18:00"),),
            "parents": (("17:00", "19:30"),),
        }
    )

    def as_json(self) -> dict[str, Any]:
        """The rules as stored."""
        return {
            "classes": {
                name: {
                    "allowed": _lists(hours.allowed),
                    "limit": _lists(hours.limit),
                    "preferred": _lists(hours.preferred),
                }
                for name, hours in self.classes.items()
            },
            "audiences": {name: _lists(hours) for name, hours in self.audiences.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "HourRules":
        """The inverse of `as_json`."""
        classes = {
            name: ClassHours(*(_tuples(hours[key]) for key in ("allowed", "limit", "preferred")))
            for name, hours in stored["classes"].items()
        }
        return cls(classes, {name: _tuples(h) for name, h in stored["audiences"].items()})


def check_rules(rules: HourRules) -> None:
    """Refuse rules that cannot be followed, or that let nothing leave at all.

    Raises:
        Invalid: names the field.
    """
    if set(rules.classes) != set(HourRules().classes):
        raise Invalid.at(
            "classes",
            phrase("give the hours of each of {classes}", classes=listing(HourRules().classes)),
        )
    spans = [(f"audiences.{name}", hours) for name, hours in rules.audiences.items()]
    for name, hours in rules.classes.items():
        spans += [
            (f"classes.{name}.allowed", hours.allowed),
            (f"classes.{name}.limit", hours.limit),
        ]
        spans += [(f"classes.{name}.preferred", hours.preferred)] if hours.preferred else []
    for where, given in spans:
        for fault in hour_problems(given):
            raise _wrong(where, fault)
    for name, hours in rules.classes.items():
        if not _is_within(hours.limit, DAYTIME):
            raise _wrong(f"classes.{name}.limit", phrase("must lie within 07:00 and 22:00, by day"))
        if not _is_within(hours.allowed, hours.limit):
            raise _wrong(f"classes.{name}.allowed", phrase("must lie within the limit"))
        for audience, theirs in rules.audiences.items():
            if not intersect(minutes_of(hours.allowed), minutes_of(theirs)):
                problem = phrase("leaves nothing of what {name} may", name=name)
                raise _wrong(f"audiences.{audience}", problem)


def _wrong(where: str, problem: str) -> Invalid:
    return Invalid(
        phrase("{where}: {problem}", where=where, problem=problem), fields={where: problem}
    )


def _is_within(inner: Spans, outer: Spans) -> bool:
    minutes = minutes_of(inner)
    return intersect(minutes, minutes_of(outer)) == sorted(minutes)


class Row(Protocol):
    """A row of a table, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class HourTerms:
    """What a plan or a run says of its hours.

    audience: whose hours of the county apply. beyond: to the limit rather than as allowed.
    on_quiet_days: whether it sends on quiet days that are not binding.
    """

    hours: Spans
    zone: ZoneInfo
    message_class: str
    audience: str | None = None
    beyond: bool = False
    on_quiet_days: bool = False

    @classmethod
    def of_run(cls, run: Row) -> "HourTerms":
        """Those of a row of the table of runs."""
        return cls(
            _tuples(run["send_hours"]),
            ZoneInfo(run["timezone"]),
            run["class"],
            run["audience"],
            run["beyond_hours"],
            run["on_quiet_days"],
        )


@dataclass(frozen=True)
class County:
    """The county's hours and calendar, as they are now."""

    rules: HourRules = field(default_factory=HourRules)
    holidays: Holidays = field(default_factory=Holidays)
    _spans: dict[tuple[date, str, str | None, bool, bool], Minutes] = field(
        default_factory=dict, repr=False, compare=False
    )

    def spans(self, day: date, terms: HourTerms) -> Minutes:
        """What the county leaves of a day in Beijing for texts of such a plan, from minute to
        minute.
        """
        key = (day, terms.message_class, terms.audience, terms.beyond, terms.on_quiet_days)
        found = self._spans.get(key)
        if found is None:
            if len(self._spans) > 10_000:
                self._spans.clear()
            found = self._spans[key] = self._find_spans(day, terms)
        return found

    def _find_spans(self, day: date, terms: HourTerms) -> Minutes:
        hours = self.rules.classes.get(terms.message_class)
        if hours is None or terms.message_class == WARNING:
            return [(0, 24 * 60)]
        spans = sorted(minutes_of(hours.limit if terms.beyond else hours.allowed))
        theirs = self.rules.audiences.get(terms.audience or "")
        if theirs is not None and not terms.beyond:
            spans = intersect(spans, sorted(minutes_of(theirs)))
        for quiet in self.holidays.quiet_on(day):
            if terms.message_class in quiet.classes and (quiet.binding or not terms.on_quiet_days):
                spans = _without(spans, minutes_of(quiet.hours))
        return spans

    def quiet_names(self, day: date, terms: HourTerms) -> list[str]:
        """The quiet days that take all of a day from such a plan; empty if they do not."""
        if self.spans(day, terms):
            return []
        return [q.name for q in self.holidays.quiet_on(day) if terms.message_class in q.classes]

    def is_open(self, now: datetime, terms: HourTerms) -> bool:
        """Whether texts may leave now."""
        return terms.message_class == WARNING or (
            is_open(now, terms.hours, terms.zone) and self._allows(now, terms)
        )

    def open_on(self, day: date, terms: HourTerms) -> list[tuple[str, str]]:
        """When on a day in Beijing texts may leave, as times of day; of a plan with another zone,
        what the county leaves alone.
        """
        spans = self.spans(day, terms)
        if terms.message_class != WARNING and terms.zone.key == CHINA.key:
            spans = intersect(spans, sorted(minutes_of(terms.hours)))
        return [(_written(start), _written(end)) for start, end in spans]

    def next_opening(self, now: datetime, terms: HourTerms) -> datetime:
        """The first instant from now on at which texts may leave; `now` itself if they may now.

        If there is none for as long as anybody looks, the end of that time.
        """
        at = now
        while not self.is_open(at, terms):
            if at - now > HORIZON or not terms.hours:
                return now + HORIZON
            if is_open(at, terms.hours, terms.zone):
                at = self._next_allowed(at, terms)
            else:
                at = next_opening(at, terms.hours, terms.zone)
        return at

    def changes(self, now: datetime, terms: HourTerms) -> Iterator[datetime]:
        """Instants, some of them past, at which that may become otherwise."""
        yield self.next_opening(now, terms)
        yield from times_of_day(now, terms.hours, terms.zone)
        today = now.astimezone(CHINA).date()
        for span in self.spans(today, terms):
            yield from (_instant(today, minute) for minute in span)

    def _allows(self, now: datetime, terms: HourTerms) -> bool:
        local = now.astimezone(CHINA)
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.spans(local.date(), terms))

    def _next_allowed(self, now: datetime, terms: HourTerms) -> datetime:
        today = now.astimezone(CHINA).date()
        for days in range(HORIZON.days + 2):
            day = today + timedelta(days=days)
            for start, _ in self.spans(day, terms):
                if (instant := _instant(day, start)) >= now:
                    return instant
        return now + HORIZON + _MINUTE


def audience_of(rule: str) -> str | None:
    """Whose hours apply to a plan by its rule: those of the elderly or of parents, if everybody
    whom it means must be one by a condition of its own.
    """
    tree = parse(rule, max_characters=len(rule))
    conditions: Sequence[Rule] = tree.operands if isinstance(tree, And) else (tree,)
    for condition in conditions:
        match condition:
            case Comparison("role", "=", ("elderly",)):
                return "elderly"
            case Comparison("age", ">=" | ">" | "=", (int(age),)) if age >= _ELDERLY_FROM:
                return "elderly"
            case Comparison("role", "=", ("parent",)):
                return "parents"
    return None


def hour_problems(hours: DayHours) -> Iterator[str]:
    """What is wrong with spans of hours, as sentences."""
    if not hours:
        yield phrase("at least one span of hours is needed")
    try:
        spans = sorted(minutes_of(hours))
    except ValueError:
        yield phrase('write spans of hours like [["08:00", "20:00"]]')
        return
    if any(start >= end for start, end in spans):
        yield phrase("each span must end after it starts, on the same day")
    if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)):
        yield phrase("the spans must not overlap")


def is_open(now: datetime, hours: DayHours, zone: tzinfo) -> bool:
    """Whether these hours are now, whatever the county says."""
    local = now.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return any(_minutes(start) <= minute < _minutes(end) for start, end in hours)


def next_opening(now: datetime, hours: DayHours, zone: tzinfo) -> datetime:
    """The first instant from now on in these hours; `now` itself if it is."""
    if is_open(now, hours, zone):
        return now
    instants = (i for i in _openings(now, hours, zone) if i > now and is_open(i, hours, zone))
    return min(instants)


def times_of_day(now: datetime, hours: DayHours, zone: tzinfo) -> Iterator[datetime]:
    """The instants of today and tomorrow at which spans begin or end, some of them past."""
    today = now.astimezone(zone).date()
    for days in range(2):
        for text in itertools.chain.from_iterable(hours):
            midnight = datetime.combine(today + timedelta(days=days), time(), zone)
            yield (midnight + timedelta(minutes=_minutes(text))).astimezone(UTC)


def intersect(first: Minutes, second: Minutes) -> Minutes:
    """What lies in both."""
    pairs = itertools.product(first, second)
    cut = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in pairs)
    return sorted((start, end) for start, end in cut if start < end)


def minutes_of(hours: DayHours) -> Minutes:
    """Spans in minutes since midnight.

    Raises:
        ValueError: something is not a time of day.
    """
    return [(_minutes(start), _minutes(end)) for start, end in hours]


def _without(spans: Minutes, closed: Minutes) -> Minutes:
    edges = [0, *itertools.chain.from_iterable(sorted(closed)), 24 * 60]
    return intersect(spans, list(zip(edges[::2], edges[1::2], strict=True)))


def _openings(now: datetime, hours: DayHours, zone: tzinfo) -> Iterator[datetime]:
    """Where spans may begin in the coming days, in no order, some of them imaginary."""
    today = now.astimezone(zone).date()
    for days in range(_SEARCH_DAYS):
        for start, _ in hours:
            minutes = _minutes(start)
            local = datetime.combine(
                today + timedelta(days=days), time(minutes // 60, minutes % 60), zone
            )
            yield from _instants(local)


def _instants(local: datetime) -> Iterator[datetime]:
    """The instants of a local time: one, two when clocks go back, or all of a gap's minutes."""
    first, second = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    yield second
    while first < second:
        yield first
        first += _MINUTE


def _instant(day: date, minute: int) -> datetime:
    midnight = datetime.combine(day, time(), CHINA)
    return (midnight + timedelta(minutes=minute)).astimezone(UTC)


def _minutes(text: str) -> int:
    """Minutes since midnight of a time of day such as 08:00.

    Raises:
        ValueError: not a time of day.
    """
    if text == "24:00":
        return 24 * 60
    if len(text) != 5 or text[2] != ":":
        raise ValueError(text)
    parsed = time.fromisoformat(text)
    return parsed.hour * 60 + parsed.minute


def _lists(hours: DayHours) -> list[list[str]]:
    return [list(span) for span in hours]


def _tuples(hours: DayHours) -> Spans:
    return tuple((start, end) for start, end in hours)


def _written(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
