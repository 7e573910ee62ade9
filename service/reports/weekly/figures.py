"""The figures of a report, taken from facts and frozen when it is handed in.

Each section is one function of `SECTIONS`: what of the period is known there, as JSON. What is
frozen is one canonical text, so whoever has it can compute its hash anew.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple, get_args
from uuid import UUID

from service.accounts.departments.department_store import get_department
from service.audience.areas.area_store import area_names, read_area_tree
from service.cases.week import parse_week, quarter_of, week_of, weeks_between
from service.ledger.message_class import MessageClass
from service.reports.coverage.coverage import AreaCoverage, Coverage, View, percent
from service.reports.coverage.coverage_document import missing
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.report import CoverageReport, coverage_report
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.reports.weekly import figures_store
from service.reports.weekly.relay_figures import relays_of
from service.storage.postgres import Connection

MOST_GAPS = 10
"""So many areas where most people are missing are named."""
_WIDE = frozenset({"province", "city", "county", "town"})
"""Levels of areas of which a total tells nothing of single people on other departments' lists."""


class FiguresOf(NamedTuple):
    """Of which department and days figures are, and when they are taken."""

    department_id: UUID
    period: str
    first: date
    last: date
    now: datetime


class FrozenFigures(NamedTuple):
    """Figures as they were at an instant: the canonical text, and its SHA-256."""

    text: str
    sha256: bytes


async def take_figures(conn: Connection, of: FiguresOf) -> dict[str, Any]:
    """What is known of a department's period now, by section.

    Everything is read by the department and the days: the facts of coverage, and rows of these
    days alone.
    """
    return {
        "department": str(of.department_id),
        "period": of.period,
        "first": of.first.isoformat(),
        "last": of.last.isoformat(),
        "as_of": of.now.isoformat(),
        "sections": {name: await take(conn, of) for name, take in SECTIONS.items()},
    }


def canonical(figures: Mapping[str, Any]) -> str:
    """Figures as one text: JSON with sorted keys and no white space."""
    return json.dumps(figures, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def freeze(figures: Mapping[str, Any] | None) -> FrozenFigures:
    """Figures as one text with its hash; None: the report has none."""
    text = "" if figures is None else canonical(figures)
    return FrozenFigures(text, hashlib.sha256(text.encode()).digest())


async def take_campaigns(conn: Connection, of: FiguresOf) -> list[dict[str, Any]]:
    """The campaigns that fired: whom each was for, and whom it has reached by now."""
    department = await get_department(conn, of.department_id, None)
    view = View(department.settings.area_code, "village")
    runs = await figures_store.fired_runs(conn, of.department_id, of.first, of.last)
    parts = await figures_store.parts_by_channel(conn, [run.id for run in runs])
    return [
        {
            "run": str(run.id),
            "campaign": run.campaign,
            "class": run.message_class,
            "text": run.text,
            "fired_at": run.fired_at.isoformat(),
            "target": run.target,
            "settled": run.settled,
            "parts": parts.get(run.id, {}),
            **await _reached(conn, run.id, view, of.now),
        }
        for run in runs
    ]


async def _reached(conn: Connection, run_id: UUID, view: View, now: datetime) -> dict[str, Any]:
    """Whom a run has reached, as it was last counted; all null where that was not yet."""
    scope = CoverageScope(ScopeKind.RUN, run_id=run_id)
    found = await coverage_report(conn, scope, view, None, now)
    if found is None:
        names = ("counted_at", "on_file", "reached", "denominator", "coverage_pct", "of_target_pct")
        return dict.fromkeys(names)
    total = found.coverage.total
    return {
        "counted_at": found.as_of.isoformat(),
        "on_file": total.on_file,
        "reached": total.outcomes[PersonOutcome.REACHED],
        "denominator": total.denominator.people,
        "coverage_pct": _number(total.coverage_pct),
        "of_target_pct": _number(total.of_target_pct),
    }


async def _coverage(conn: Connection, of: FiguresOf) -> list[dict[str, Any]]:
    """Whom the texts of the quarter have reached by now, by class: of the department's own people,
    with the areas where most are missing; and of all who live in its area, by the texts of all
    departments, as one total, since those people are on others' lists.
    """
    area = (await get_department(conn, of.department_id, None)).settings.area_code
    level = None if area is None else (await read_area_tree(conn)).areas[area].level
    quarter = quarter_begin(of.period, of.first)
    found = []
    for message_class in get_args(MessageClass):
        scope = CoverageScope(
            ScopeKind.QUARTER,
            department_id=of.department_id,
            quarter=quarter,
            message_class=message_class,
        )
        own = await coverage_report(conn, scope, View(area, "village"), None, of.now)
        if own is not None:
            gaps = largest_gaps(own.coverage, MOST_GAPS)
            found.append(covered("own", message_class, quarter, own) | {"gaps": gaps})
        if level in _WIDE:
            everybody = scope._replace(department_id=None)
            total = await coverage_report(conn, everybody, View(area, "town"), None, of.now)
            if total is not None:
                found.append(covered("area", message_class, quarter, total) | {"gaps": []})
    return found


def quarter_begin(period: str, first: date) -> date:
    """The first day of the calendar quarter whose coverage stands in a report of a period. A week
    has that with the name of its own quarter, as on the score sheet (2026-W14, which begins on 30
    March, has the second); another period has that of its first day.
    """
    week = parse_week(period)
    if week is not None and str(week) == period:
        return quarter_of(week).first_day
    return date(first.year, first.month - (first.month - 1) % 3, 1)


def covered(of: str, message_class: str, quarter: date, found: CoverageReport) -> dict[str, Any]:
    """What a report says of coverage. of: whose it is."""
    total = found.coverage.total
    return {
        "of": of,
        "class": message_class,
        "quarter": f"{quarter.year}-Q{(quarter.month + 2) // 3}",
        "counted_at": found.as_of.isoformat(),
        "denominator": total.denominator.people,
        "on_file": total.on_file,
        **{outcome.value: total.outcomes[outcome] for outcome in PersonOutcome},
        "no_phone": total.no_phone,
        "coverage_pct": _number(total.coverage_pct),
        "with_told_pct": _number(total.with_told_pct),
    }


def largest_gaps(coverage: Coverage, most: int) -> list[dict[str, Any]]:
    """The areas where most people are missing, those with the most first."""
    rows = [row for row in coverage.areas if missing(row)]
    rows.sort(key=lambda row: (-missing(row), row.area))
    return [_gap(row) for row in rows[:most]]


def _gap(row: AreaCoverage) -> dict[str, Any]:
    return {
        "area": row.area,
        "name": row.name,
        "denominator": row.denominator.people,
        "on_file": row.on_file,
        "reached": row.outcomes[PersonOutcome.REACHED],
        "missing": missing(row),
        "no_phone": row.no_phone,
    }


async def _visits(conn: Connection, of: FiguresOf) -> dict[str, Any]:
    """Where people of the department went on these days, and what came of it: to people whom texts
    had missed, and to households.
    """
    return {
        "people": await figures_store.visits_by_result(conn, of.department_id, of.first, of.last),
        "households": await figures_store.households_by_result(
            conn, of.department_id, of.first, of.last
        ),
        "spoken_to": await figures_store.heads_spoken_to(conn, of.department_id, of.first, of.last),
        "rounds_closed": await figures_store.rounds_closed(
            conn, of.department_id, of.first, of.last
        ),
    }


async def _answers(conn: Connection, of: FiguresOf) -> dict[str, Any]:
    """What came back from handsets on these days. acknowledged: of clues, somebody has taken it."""
    answers: dict[str, int] = {}
    counts = {"opt_outs": 0, "clues": 0, "clues_acknowledged": 0, "others": 0}
    for row in await figures_store.inbound_by_kind(conn, of.department_id, of.first, of.last):
        match row.kind:
            case "answer":
                answers[str(row.answer)] = row.texts
            case "opt_out":
                counts["opt_outs"] += row.texts
            case "clue":
                counts["clues"] += row.texts
                counts["clues_acknowledged"] += row.acknowledged
            case _:
                counts["others"] += row.texts
    return {"answers": answers, **counts}


async def _relays(conn: Connection, of: FiguresOf) -> list[dict[str, Any]]:
    """The department's relays for weeks that begin on these days: active groups when each was
    begun, and those that were confirmed by its deadline so far.
    """
    weeks = weeks_between(week_of(of.first), week_of(of.last))
    begun = [str(week) for week in weeks if of.first <= week.monday <= of.last]
    found = await relays_of(conn, [of.department_id], begun)
    names = await area_names(conn, {one.area_code for one in found})
    return [
        {
            "relay": str(one.relay_id),
            "week": one.week,
            "text": one.text,
            "area": one.area_code,
            "area_name": names.get(one.area_code or ""),
            "due_at": one.due_at.isoformat(),
            "groups": one.groups,
            "confirmed": one.confirmed,
            "confirmed_pct": _number(percent(one.confirmed, one.groups)),
        }
        for one in found
    ]


async def _places(conn: Connection, of: FiguresOf) -> list[dict[str, Any]]:
    """Where the words of texts stand, by kind of place: places of the department, those where words
    were put up on these days, and those where they stood on the last one.
    """
    found = await figures_store.places_by_kind(conn, of.department_id, of.first, of.last)
    return [one._asdict() for one in found]


def _number(share: object) -> str | None:
    """A share as it is written, so that no program rounds it."""
    return None if share is None else str(share)


SECTIONS: Mapping[str, Callable[[Connection, FiguresOf], Awaitable[Any]]] = {
    "campaigns": take_campaigns,
    "coverage": _coverage,
    "visits": _visits,
    "answers": _answers,
    "relays": _relays,
    "places": _places,
}
"""What a report shows, in this order; a further kind of fact is one more."""
