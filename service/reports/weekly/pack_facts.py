"""The facts of the county's pack: all units of a week, who is late, the county itself, the
bulletin, goals and gaps.

All of them are of one moment, and one canonical text; documents are made of nothing else. A unit
that has handed nothing in stands with the figures of now.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, get_args
from uuid import UUID

from service.audience.areas.area_store import read_area_tree
from service.cases import bulletin_store
from service.cases import store as cases
from service.cases.goals import goal_weeks, stand
from service.cases.week import IsoWeek
from service.ledger.message_class import PUBLICITY, MessageClass
from service.pictures import picture_store
from service.pictures.picture_store import KeptPicture
from service.reports.coverage.coverage import AreaCoverage, View
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.report import coverage_report
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.reports.weekly import pack_units_store
from service.reports.weekly.figures import (
    FiguresOf,
    covered,
    freeze,
    largest_gaps,
    quarter_begin,
    take_campaigns,
    take_figures,
)
from service.reports.weekly.pack_store import Gathered, PackClaim, count_reports
from service.reports.weekly.pack_units_store import LastReport, OwedReport
from service.storage.postgres import Connection

MOST_GAPS = 30
"""So many areas of the county where most people are missing are named."""

UnitsDone = Callable[[int, int], Awaitable[None]]
"""Called with how many units are done, of how many."""


async def gather(
    conn: Connection, held: PackClaim, week: IsoWeek, now: datetime, progress: UnitsDone
) -> Gathered:
    """The facts of a pack as they are now. Must be read in a transaction that sees one moment."""
    owed = await pack_units_store.owed_reports(conn, held.week)
    reports = await pack_units_store.last_reports(conn, [one.duty_id for one in owed])
    lacking = await pack_units_store.missing_people(conn, list({one.department_id for one in owed}))
    units = []
    by_unit = [(unit, list(of)) for unit, of in groupby(owed, lambda one: one.department_id)]
    for done, (unit, of) in enumerate(by_unit):
        await progress(done, len(by_unit))
        figures = FiguresOf(unit, held.week, week.monday, week.sunday, now)
        taken = _unit(of, reports, lacking, await take_figures(conn, figures))
        pictures = await picture_store.list_of_week(conn, unit, held.week)
        units.append(taken | {"pictures": [_picture(one) for one in pictures]})
    facts: dict[str, Any] = {
        "week": held.week,
        "version": held.version,
        "first": week.monday.isoformat(),
        "last": week.sunday.isoformat(),
        "as_of": now.isoformat(),
        "units": units,
        "unit_count": len(units),
        "handed_in": sum(one["report"] is not None for one in units),
        "county": await _county(conn, {one.department_id for one in owed}, week, now),
        "bulletin": await _bulletin(conn, week),
        "goals": await _goals(conn),
        "gaps": await _gaps(conn, week, now),
    }
    frozen = freeze(facts)
    return Gathered(
        now,
        frozen.text,
        frozen.sha256,
        facts["unit_count"],
        facts["handed_in"],
        await count_reports(conn, held.week),
    )


def _unit(
    owed: Sequence[OwedReport],
    reports: Mapping[UUID, LastReport],
    lacking: Mapping[UUID, list[str]],
    figures: dict[str, Any],
) -> dict[str, Any]:
    unit = owed[0]
    of_unit = [reports[one.duty_id] for one in owed if one.duty_id in reports]
    latest = max(of_unit, key=lambda one: one.submitted_at, default=None)
    return {
        "department": str(unit.department_id),
        "name": unit.department,
        "kind": unit.kind,
        "lacking": lacking.get(unit.department_id, []),
        "duties": [
            {
                "title": one.title,
                "due_at": one.due_at.isoformat(),
                "state": one.state,
                "submitted_at": one.submitted_at and one.submitted_at.isoformat(),
                "late_minutes": one.late_minutes,
            }
            for one in owed
        ],
        "report": None if latest is None else _report(latest),
        "now": figures,
    }


def _picture(found: KeptPicture) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "sha256": found.sha256.hex(),
        "width": found.width,
        "height": found.height,
        "taken_in_week": found.taken_in_week,
    }


def _report(latest: LastReport) -> dict[str, Any]:
    """The text whose hash it is stays as it was handed in, letter by letter."""
    return {
        "no": latest.no,
        "submitted_at": latest.submitted_at.isoformat(),
        "narrative": latest.narrative,
        "canonical": latest.figures,
        "sha256": latest.sha256.hex(),
    }


def figures_of(unit: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a pack shows of a unit: as handed in, else those of the pack's moment."""
    report = unit["report"]
    found: dict[str, Any] = unit["now"]
    if report is not None and report["canonical"]:
        found = json.loads(report["canonical"])
    return found


async def _county(
    conn: Connection, units: Collection[UUID], week: IsoWeek, now: datetime
) -> dict[str, Any]:
    """What is of no unit: the campaigns that the county's own offices have fired in the week, and
    whom the texts of all departments have reached in its quarter, by class; by towns for publicity.
    units: those that stand among the units already.
    """
    campaigns = []
    for office, name in await pack_units_store.county_offices(conn):
        if office not in units:
            figures = FiguresOf(office, str(week), week.monday, week.sunday, now)
            taken = await take_campaigns(conn, figures)
            campaigns += [{"department": name} | one for one in taken]
    quarter, coverage, towns = quarter_begin(str(week), week.monday), [], []
    for message_class in get_args(MessageClass):
        scope = CoverageScope(ScopeKind.QUARTER, quarter=quarter, message_class=message_class)
        found = await coverage_report(conn, scope, View(None, "town"), None, now)
        if found is None:
            continue
        coverage.append(covered("county", message_class, quarter, found))
        if message_class == PUBLICITY:
            towns = [_town(row) for row in found.coverage.areas]
    return {"campaigns": campaigns, "coverage": coverage, "towns": towns}


def _town(row: AreaCoverage) -> dict[str, Any]:
    return {
        "area": row.area,
        "name": row.name,
        "denominator": row.denominator.people,
        "on_file": row.on_file,
        "reached": row.outcomes[PersonOutcome.REACHED],
        "told": row.outcomes[PersonOutcome.TOLD],
        "coverage_pct": None if row.coverage_pct is None else str(row.coverage_pct),
    }


async def _bulletin(conn: Connection, week: IsoWeek) -> dict[str, Any] | None:
    """The latest bulletin that was issued of the week or of one before."""
    found = await bulletin_store.latest_bulletins(conn, str(week.next), 1)
    if not found:
        return None
    (bulletin,) = found
    tree = await read_area_tree(conn)
    kinds = {kind.key: kind.name for kind in (await cases.read_fraud_types(conn)).kinds}
    figures = bulletin.figures
    sums = ("cases", "loss_yuan", "cases_last_year", "loss_last_year")

    def named(found: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = [{"name": names.get(key, key), **one} for key, one in found.items()]
        return sorted(rows, key=lambda row: (-row["cases"], row["name"]))

    return {
        "week": bulletin.week,
        "number": bulletin.number,
        "version": bulletin.version,
        "sha256": bulletin.sha256,
        **{name: figures[name] for name in sums},
        "towns": named(figures["towns"], {code: area.name for code, area in tree.areas.items()}),
        "types": named(figures["types"], kinds),
    }


async def _goals(conn: Connection) -> list[dict[str, Any]]:
    """How the goals stand as of the last covered week; none where nothing is covered."""
    covered = await cases.covered_weeks(conn)
    goals = (await bulletin_store.read_goals(conn)).goals
    if not covered or not goals:
        return []
    as_of = covered[-1]
    weeks = {week for goal in goals for week in goal_weeks(goal, as_of)}
    book = await cases.read_book(
        conn, weeks | {found for week in weeks if (found := week.year_before)}
    )
    items: list[dict[str, Any]] = []
    for standing in (stand(goal, book, as_of) for goal in goals):
        now_sum, before = standing.figures
        items.append(
            {
                "key": standing.goal.key,
                "title": standing.goal.title,
                "period": str(standing.goal.span),
                "as_of": str(as_of),
                "target_change_pct": standing.goal.target_change_pct,
                "cases": now_sum.cases if now_sum else None,
                "cases_last_year": before.cases if before else None,
                "cases_change_pct": standing.figures.cases_change_pct,
                "loss_yuan": now_sum.loss_yuan if now_sum else None,
                "loss_change_pct": standing.figures.loss_change_pct,
                "colour": standing.colour,
                "final": standing.final,
            }
        )
    return items


async def _gaps(conn: Connection, week: IsoWeek, now: datetime) -> list[dict[str, Any]]:
    """The villages of the county where most people are missing, by all publicity of the quarter."""
    scope = CoverageScope(
        ScopeKind.QUARTER, quarter=quarter_begin(str(week), week.monday), message_class=PUBLICITY
    )
    found = await coverage_report(conn, scope, View(None, "village"), None, now)
    return [] if found is None else largest_gaps(found.coverage, MOST_GAPS)
