"""The score sheet of a quarter: what is known of each unit, its points, and the funnel of towns.

A quarter is one of ISO weeks for reports, relays, visits and cases. Coverage is that of the
calendar quarter of the same name, as everywhere.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.cases import bulletin_store, store
from service.cases.goals import Goal
from service.cases.week import IsoWeek, Period, weeks_between
from service.clock import day_in_china
from service.duties.assessment import fact_store, rules_store
from service.duties.assessment.fact_store import DueReports, Unit
from service.duties.assessment.rules_store import OwnStaffStatement, RulesVersion
from service.duties.assessment.score import (
    CasesBeside,
    PartOf,
    Score,
    ScoreGap,
    UnitFacts,
    score_of,
)
from service.ledger.message_class import PUBLICITY
from service.reports.coverage import denominator_store
from service.reports.coverage.coverage import LEVELS, AreaLevel, View
from service.reports.coverage.denominators import HOUSEHOLDS, Denominators, added_up
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.report import coverage_report
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.reports.effect.effect import FunnelPlace, RateChange, books_by, change_of, funnel_of
from service.reports.weekly.relay_figures import relays_of
from service.storage.postgres import Connection

TOWN = "town"
MOST_STATEMENTS = 20_000


class UnitScore(NamedTuple):
    """A unit with its points. rank: by score, equal ones share it; None: it has no score.

    missed_twice: reports missed after the one before was. statement: what was said last of cases
    of its own staff.
    """

    unit: Unit
    score: Score
    rank: int | None
    missed_twice: int
    statement: OwnStaffStatement | None


@dataclass(frozen=True)
class ScoreSheet:
    """The points of all units in a quarter.

    as_of: the last covered week of it; None: there is none. final: the quarter is over and its last
    week is covered. goal: by which cases are measured; None: there is none.
    """

    quarter: Period
    rules: RulesVersion
    as_of: IsoWeek | None
    final: bool
    goal: Goal | None
    units: Sequence[UnitScore]
    funnel: Sequence[FunnelPlace]
    tree: AreaTree


async def score_sheet(
    conn: Connection, quarter: Period, now: datetime, zone: ZoneInfo
) -> ScoreSheet:
    """The points of all units in a quarter, by their rank."""
    first, end = span_of(quarter, zone)
    rules = await rules_store.rules_at(conn, first)
    tree = await read_area_tree(conn)
    units = await fact_store.list_units(conn, end)
    reports = await fact_store.count_reports(conn, first, min(end, now))
    coverage = await _coverage(conn, units, tree, quarter, now)
    households = await _households(conn, units, tree, quarter, now)
    relays = await _relays(conn, units, quarter, now)
    cases = await _cases(conn, units, tree, quarter)
    statements: dict[UUID, OwnStaffStatement] = {}
    for said in await rules_store.list_statements(conn, str(quarter), None, MOST_STATEMENTS):
        statements.setdefault(said.department_id, said)
    scored: list[UnitScore] = []
    for unit in units:
        count = reports.get(unit.id, DueReports(0, 0, 0))
        said_last = statements.get(unit.id)
        facts = UnitFacts(
            reports=PartOf(count.on_time, count.due) if count.due else ScoreGap.NONE_DUE,
            coverage=coverage[unit.id],
            relays=relays.get(unit.id, ScoreGap.NO_RELAYS),
            households=households[unit.id],
            cases=cases.of_units[unit.id],
            own_staff=ScoreGap.NOT_STATED if said_last is None else said_last.cases,
        )
        score = score_of(facts, rules.rules)
        scored.append(UnitScore(unit, score, None, count.missed_twice, said_last))
    return ScoreSheet(
        quarter,
        rules,
        cases.as_of,
        now >= end and cases.as_of == quarter.last,
        cases.goal,
        _ranked(scored),
        cases.funnel,
        tree,
    )


def span_of(quarter: Period, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when a quarter of weeks is."""
    first = datetime.combine(quarter.first.monday, time(), zone)
    return first, datetime.combine(quarter.last.sunday + timedelta(days=1), time(), zone)


def _ranked(units: Sequence[UnitScore]) -> list[UnitScore]:
    """By score, the highest first; those without one last, by name."""
    known = sorted(
        (one for one in units if one.score.score is not None),
        key=lambda one: (-(one.score.score or 0), one.unit.name),
    )
    found: list[UnitScore] = []
    for at, one in enumerate(known):
        same = bool(found) and found[-1].score.score == one.score.score
        found.append(one._replace(rank=found[-1].rank if same else at + 1))
    return [*found, *(one for one in units if one.score.score is None)]


async def _coverage(
    conn: Connection, units: Sequence[Unit], tree: AreaTree, quarter: Period, now: datetime
) -> dict[UUID, PartOf | ScoreGap]:
    """Of a unit with an area the people there whom texts of all departments reached; of another one
    those whom its own texts reached, of all who should be on its lists.
    """
    scope = CoverageScope(ScopeKind.QUARTER, quarter=quarter.first_day, message_class=PUBLICITY)
    of_area: dict[str, PartOf | ScoreGap] = {}
    for level in LEVELS:
        wanted = {
            unit.area_code
            for unit in units
            if unit.area_code and _level(tree, unit.area_code) == level
        }
        if wanted:
            of_area |= await _of_level(conn, scope, level, wanted, now)
    of_lists = await _of_lists(conn, units, tree, quarter.first_day, now)
    return {
        unit.id: of_lists.get(unit.id, ScoreGap.NO_AREA_OR_LIST)
        if unit.area_code is None
        else of_area.get(unit.area_code, ScoreGap.NO_AREA_OR_LIST)
        for unit in units
    }


def _level(tree: AreaTree, code: str) -> AreaLevel | None:
    area = tree.areas.get(code)
    if area is None:
        return None
    if area.level == "community":
        return "village"
    return next((level for level in LEVELS if level == area.level), None)


async def _of_level(
    conn: Connection,
    scope: CoverageScope,
    level: AreaLevel,
    wanted: set[str],
    now: datetime,
) -> dict[str, PartOf | ScoreGap]:
    found = await coverage_report(conn, scope, View(None, level), None, now)
    if found is None:
        return dict.fromkeys(wanted, ScoreGap.NOT_COUNTED)
    rows = {row.area: row for row in found.coverage.areas if row.finer}
    shares: dict[str, PartOf | ScoreGap] = {}
    for code in wanted:
        row = rows.get(code)
        people = None if row is None else row.denominator.people
        shares[code] = (
            PartOf(row.outcomes[PersonOutcome.REACHED], people)
            if row is not None and people
            else ScoreGap.NO_DENOMINATOR
        )
    return shares


async def _of_lists(
    conn: Connection, units: Sequence[Unit], tree: AreaTree, first_day: date, now: datetime
) -> dict[UUID, PartOf | ScoreGap]:
    without = {unit.id for unit in units if unit.area_code is None}
    lists = {
        kind: owner for kind, owner in (await fact_store.lists_of(conn)).items() if owner in without
    }
    day = min(day_in_china(now), _last_day(first_day))
    people: dict[UUID, int] = defaultdict(int)
    for kind, owner in sorted(lists.items()):
        entries = await denominator_store.entries_until(conn, kind, day)
        known = Denominators(tree, entries, kind, day)
        people[owner] += added_up(known.of(code) for code in tree.roots).people or 0
    reached = await fact_store.reached_by(conn, first_day, sorted(people))
    return {
        owner: (PartOf(reached[owner], whole) if owner in reached else ScoreGap.NOT_COUNTED)
        if whole
        else ScoreGap.NO_DENOMINATOR
        for owner, whole in people.items()
    }


def _last_day(first_day: date) -> date:
    return (first_day + timedelta(days=93)).replace(day=1) - timedelta(days=1)


async def _relays(
    conn: Connection, units: Sequence[Unit], quarter: Period, now: datetime
) -> dict[UUID, PartOf]:
    """By unit: groups of all its relays for weeks of the quarter that were confirmed in time, of
    those that were active. A relay whose deadline is still to come stands on neither side.
    """
    weeks = [str(week) for week in quarter.weeks]
    found: dict[UUID, PartOf] = {}
    for one in await relays_of(conn, [unit.id for unit in units], weeks):
        if one.due_at <= now:
            part, whole = found.get(one.department_id, (0, 0))
            found[one.department_id] = PartOf(part + one.confirmed, whole + one.groups)
    return found


async def _households(
    conn: Connection, units: Sequence[Unit], tree: AreaTree, quarter: Period, now: datetime
) -> dict[UUID, PartOf | ScoreGap]:
    """Households told in all rounds that were due in the quarter: in the unit's area, whoever began
    the round; of a unit without one, in its own rounds. A village of which nobody has said how many
    households there are stands on neither side.
    """
    first, last = quarter.first.monday, quarter.last.sunday
    counts = await fact_store.count_told(conn, first, last)
    day = min(day_in_china(now), last)
    villages = sorted({count.village for count in counts})
    entries = (
        await denominator_store.entries_until(conn, HOUSEHOLDS, day, villages) if villages else []
    )
    known = Denominators(tree, entries, HOUSEHOLDS, day)
    told: dict[UUID | str, int] = defaultdict(int)
    whole: dict[UUID | str, int] = defaultdict(int)
    for count in counts:
        there = known.of(count.village).people
        keys: list[UUID | str] = [count.department_id]
        keys += (area.code for area in tree.above(count.village))
        for key in keys:
            whole[key] += there or 0
            told[key] += count.told if there else 0

    def share(unit: Unit) -> PartOf | ScoreGap:
        key = unit.area_code or unit.id
        if key not in whole:
            return ScoreGap.NO_ROUND
        return PartOf(told[key], whole[key]) if whole[key] else ScoreGap.NO_DENOMINATOR

    return {unit.id: share(unit) for unit in units}


class _CaseFacts(NamedTuple):
    as_of: IsoWeek | None
    goal: Goal | None
    of_units: Mapping[UUID, CasesBeside | ScoreGap]
    funnel: Sequence[FunnelPlace]


async def _cases(
    conn: Connection, units: Sequence[Unit], tree: AreaTree, quarter: Period
) -> _CaseFacts:
    """Cases of each town beside its goal, up to the last covered week of the quarter."""
    covered = await store.covered_weeks(conn)
    inside = [week for week in covered if quarter.first <= week <= quarter.last]
    as_of = inside[-1] if inside else None
    goal = goal_of((await bulletin_store.read_goals(conn)).goals, quarter)
    weeks = weeks_between(quarter.first, as_of) if as_of else []
    base = [before for week in weeks if (before := week.year_before)]
    book = await store.read_book(conn, {*weeks, *base})

    def town_of(area: str) -> str:
        return tree.town_of(area) if area in tree.areas else ""

    towns = books_by(tree.at(tree.roots, {TOWN}), book, town_of)
    changes = {code: change_of(own, weeks) for code, own in towns.items()} if weeks else {}
    of_units = {unit.id: _beside(unit, changes, goal) for unit in units}
    counts = {code: change.now for code, change in changes.items() if change.now is not None}
    people = {code: tree.areas[code].population or 0 for code in counts}
    return _CaseFacts(as_of, goal, of_units, funnel_of(counts, people, sum(counts.values())))


def goal_of(goals: Sequence[Goal], quarter: Period) -> Goal | None:
    """By which goal the cases of a quarter are measured: that of all kinds of fraud for the
    quarter, else that for its year.
    """
    fitting = [
        goal
        for goal in goals
        if goal.fraud_types is None and "cases" in goal.measures and goal.year == quarter.year
    ]
    for name in (quarter.name, "YEAR"):
        for goal in fitting:
            if goal.period == name:
                return goal
    return None


def _beside(
    unit: Unit, changes: Mapping[str, RateChange], goal: Goal | None
) -> CasesBeside | ScoreGap:
    if unit.kind != TOWN or not unit.area_code:
        return ScoreGap.NO_TOWN
    if goal is None:
        return ScoreGap.NO_GOAL
    change = changes.get(unit.area_code)
    if change is None:
        return ScoreGap.WEEKS_MISSING if not changes else ScoreGap.NO_TOWN
    if change.now is None:
        return ScoreGap.WEEKS_MISSING
    if not change.before:
        return ScoreGap.BASE_MISSING if change.before is None else ScoreGap.BASE_ZERO
    return CasesBeside(change.now, change.before, Fraction(str(goal.target_change_pct)))
