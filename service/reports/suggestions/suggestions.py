"""Suggestions of weeks: kept when figures change, and shown to a department beside its own lists.

A list is made when a week becomes covered, and again whenever a file changes figures that it rests
on (decision 0520). What a department made of one stays, with the figures that it rested on then.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.audience.segments.facts_store import facts_may_be_read
from service.audience.segments.segment import parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_sql import compile_together
from service.audience.segments.terms_store import read_lists_state
from service.cases import store
from service.cases.figures import CaseBook
from service.cases.fraud_types import FraudTypes
from service.cases.suggest import (
    LOOKS_BACK,
    CaseHistory,
    Reasons,
    Suggested,
    chance_rises_a_year,
    usual_rates,
)
from service.cases.suggested_audiences import audiences_of, rule_of
from service.cases.week import IsoWeek, need_week
from service.clock import day_in_china
from service.reports.suggestions import standing_store, suggestion_store
from service.reports.suggestions.standing_store import AudienceCount, TopicRun, TopicTemplate
from service.reports.suggestions.suggestion_store import (
    NewSuggestion,
    Suggestion,
    SuggestionAct,
)
from service.shared_counts import SharedCounts
from service.storage.postgres import Connection

OPEN_FOR = timedelta(days=7)
"""So long after it is made, a suggestion can be taken up."""

RECENT = timedelta(days=28)
"""What is found of a week that ended longer ago is kept for the record, and was never open."""

REACHED_WITHIN = timedelta(days=28)
"""A text of the topic that reached somebody in these days counts."""

HAD_WITHIN = timedelta(days=30)
"""A text that was sent in these days is not offered again."""

RATE_WEEKS = 52
"""From so many covered weeks it is worked out what chance alone would bring."""

COUNTED_SECONDS = 600.0
"""How long the people of audiences stay counted while nothing is on its way and no list changes."""

_COUNTS: SharedCounts[Mapping[str, AudienceCount]] = SharedCounts(64)
"""To go through 120,000 people takes a second; a page of suggestions is looked at several times."""

SuggestionState = Literal["open", "drafted", "dismissed", "withdrawn", "expired"]


def state_of(found: Suggestion, act: SuggestionAct | None, now: datetime) -> SuggestionState:
    """Where a suggestion stands for a department that made this of it."""
    if act is not None:
        return "drafted" if act.act == "draft" else "dismissed"
    if found.withdrawn_at is not None:
        return "withdrawn"
    return "open" if now < found.expires_at else "expired"


async def renew(
    conn: Connection, changed: Collection[IsoWeek], now: datetime, zone: ZoneInfo
) -> None:
    """Bring the lists of all weeks up to date whose figures, or those before them, have changed.

    Nobody else changes figures meanwhile: the caller holds the lock of cases.
    """
    covered = await store.covered_weeks(conn)
    first = bisect_left(covered, min(changed))
    after = min(len(covered), bisect_left(covered, max(changed)) + LOOKS_BACK)
    weeks = covered[first:after]
    tree = await read_area_tree(conn)
    book = await store.read_book(conn, covered[max(0, first - LOOKS_BACK) : after])
    table = (await suggestion_store.read_table(conn)).audiences
    found = []
    for week, suggested in await asyncio.to_thread(_suggested, book, weeks, tree):
        recent = now.astimezone(zone).date() - week.sunday <= RECENT
        kept = [one for one in suggested if recent or one.kind == "rise"]
        expires_at = now + OPEN_FOR if recent else now
        found += [
            NewSuggestion(
                str(week),
                one.kind,
                one.area,
                one.fraud_type,
                place,
                _stored(one.reasons),
                audiences_of(one.fraud_type, table),
                expires_at,
            )
            for place, one in enumerate(kept)
        ]
    lists = {*map(str, weeks), *map(str, changed)}
    await suggestion_store.keep_lists(conn, lists, found, now)


def _suggested(
    book: CaseBook, weeks: Iterable[IsoWeek], tree: AreaTree
) -> list[tuple[IsoWeek, list[Suggested]]]:
    history = CaseHistory(book, tree.town_of)
    return [(week, history.suggested(week)) for week in weeks]


def _stored(reasons: Reasons) -> dict[str, Any]:
    return {**reasons._asdict(), "first": str(reasons.first), "last": str(reasons.last)}


class AudienceStanding(NamedTuple):
    """An audience of a suggestion, as a department has it.

    reached, reached_on: by a text of the topic in the last 28 days. due: less than half were.
    """

    audience: str
    rule: str
    on_file: int
    reached: int
    reached_on: date | None

    @property
    def due(self) -> bool:
        """Whether there is somebody, and less than half were reached."""
        return self.reached * 2 < self.on_file


class SuggestionStanding(NamedTuple):
    """A suggestion beside the lists and texts of a department. act: what the department made of it.

    templates: approved texts of the topic that were not sent in the last 30 days.
    """

    suggestion: Suggestion
    act: SuggestionAct | None
    audiences: Sequence[AudienceStanding]
    templates: Sequence[TopicTemplate]

    def is_for(self, *, sees_all: bool) -> bool:
        """Whether the department is shown it: whoever sees all figures sees what rises, and what is
        usual unless all whom the department has on file were reached; others what is for theirs.
        """
        on_file = [one for one in self.audiences if one.on_file]
        if self.act is not None:
            return True
        if self.suggestion.kind == "rise":
            return sees_all or bool(on_file)
        return any(one.due for one in on_file) or (sees_all and not on_file)


async def stand_of(
    conn: Connection,
    department_id: UUID,
    found: Sequence[Suggestion],
    types: FraudTypes,
    now: datetime,
) -> list[SuggestionStanding]:
    """Suggestions beside the lists and texts of a department."""
    if not found:
        return []
    runs = await standing_store.runs_since(conn, department_id, now - HAD_WITHIN)
    topics = list(dict.fromkeys(one.fraud_type for one in found))
    days = _days(runs, topics, types, now)
    settled = all(run.settled for run in runs if run.id in days)
    counted = await _kept_counts(conn, department_id, found, topics, days, now, settled=settled)
    had = {run.text for run in runs}
    texts = [
        text
        for text in await standing_store.approved_templates(conn, department_id)
        if text.text not in had
    ]
    acts = {
        act.suggestion_id: act
        for act in await suggestion_store.acts_on(conn, [one.id for one in found], department_id)
    }
    return [
        SuggestionStanding(
            one,
            acts.get(one.id),
            _audiences(one, counted, topics.index(one.fraud_type)),
            [text for text in texts if one.fraud_type in kinds_of(text.topic, types)],
        )
        for one in found
    ]


def _days(
    runs: Sequence[TopicRun], topics: Sequence[str], types: FraudTypes, now: datetime
) -> dict[UUID, list[date | None]]:
    """Of each run that counts, its day under each topic that its text is of."""
    since = day_in_china(now - REACHED_WITHIN)
    found = {}
    for run in runs:
        kinds = kinds_of(run.topic, types) if run.day >= since else set()
        if kinds.intersection(topics):
            found[run.id] = [run.day if topic in kinds else None for topic in topics]
    return found


async def _kept_counts(
    conn: Connection,
    department_id: UUID,
    found: Sequence[Suggestion],
    topics: Sequence[str],
    days: Mapping[UUID, Sequence[date | None]],
    now: datetime,
    *,
    settled: bool,
) -> Mapping[str, AudienceCount]:
    """As `_counted`; the last count, unless texts are on their way or something changed."""

    async def count() -> Mapping[str, AudienceCount]:
        return await _counted(conn, department_id, found, topics, days, now)

    if not settled:
        return await count()
    lists = await read_lists_state(conn, department_id, day_in_china(now))
    shown = tuple((one.id, tuple(one.audiences)) for one in found)
    key = (lists, day_in_china(now), shown, tuple(days))
    return await _COUNTS.get(key, count, at_least=COUNTED_SECONDS)


async def _counted(
    conn: Connection,
    department_id: UUID,
    found: Sequence[Suggestion],
    topics: Sequence[str],
    days: Mapping[UUID, Sequence[date | None]],
    now: datetime,
) -> Mapping[str, AudienceCount]:
    """The people of each audience, by its rule."""
    rules = list(
        dict.fromkeys(rule_of([name], one.area_code) for one in found for name in one.audiences)
    )
    compiled = compile_together(
        [parse(rule) for rule in rules],
        areas=RuleAreas(await read_area_tree(conn)),
        department_id=department_id,
        today=day_in_china(now),
        of_facts=await facts_may_be_read(conn, department_id),
    )
    by_topic = [[of_run[at] for of_run in days.values()] for at in range(len(topics))]
    counts = await standing_store.count_audiences(
        conn, department_id, compiled, list(days), by_topic
    )
    return dict(zip(rules, counts, strict=True))


def _audiences(
    found: Suggestion, counted: Mapping[str, AudienceCount], topic: int
) -> list[AudienceStanding]:
    standings = []
    for name in found.audiences:
        rule = rule_of([name], found.area_code)
        count = counted[rule]
        standings.append(
            AudienceStanding(
                name, rule, count.on_file, count.reached[topic], count.reached_on[topic]
            )
        )
    return standings


def kinds_of(topic: str, types: FraudTypes) -> set[str]:
    """The kinds of fraud that the topic of a text names, by key, slug or name."""
    words = [topic, *topic.replace("、", " ").replace(",", " ").replace("，", " ").split()]
    return {kind.key for word in words if (kind := types.find(word))}


async def rises_by_chance(conn: Connection, week: str) -> float:
    """How many rises a year chance alone would bring, at the rates of the year up to a week."""
    covered = [one for one in await store.covered_weeks(conn) if one <= need_week(week, "week")]
    weeks = covered[-RATE_WEEKS:]
    if not weeks:
        return 0.0
    tree = await read_area_tree(conn)
    book = await store.read_book(conn, weeks)
    return await asyncio.to_thread(chance_rises_a_year, usual_rates(book, weeks, tree.town_of))
