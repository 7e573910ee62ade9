"""The figures of a report, taken from facts and frozen when it is handed in.

Each section is one function of `SECTIONS`: what of the period is known there, as JSON. What is
frozen is one canonical text, so whoever has it can compute its hash anew.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.departments.department_store import get_department
from service.duties import figures_store
from service.reports.coverage.coverage import View
from service.reports.coverage.outcomes import PersonOutcome
from service.reports.coverage.report import coverage_report
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.storage.postgres import Connection


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
    """What is known of a department's period now, by section."""
    return {
        "department": str(of.department_id),
        "period": of.period,
        "first": of.first.isoformat(),
        "last": of.last.isoformat(),
        "as_of": of.now.isoformat(),
        "sections": {name: await take(conn, of) for name, take in SECTIONS.items()},
    }


def freeze(figures: Mapping[str, Any] | None) -> FrozenFigures:
    """Figures as one text with its hash; None: the report has none."""
    text = ""
    if figures is not None:
        text = json.dumps(figures, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return FrozenFigures(text, hashlib.sha256(text.encode()).digest())


async def _campaigns(conn: Connection, of: FiguresOf) -> list[dict[str, Any]]:
    """The campaigns that fired: whom each was for, and whom it has reached by now."""
    department = await get_department(conn, of.department_id, None)
    view = View(department.settings.area_code, "village")
    return [
        {
            "run": str(run.id),
            "campaign": run.campaign,
            "class": run.message_class,
            "text": run.text,
            "fired_at": run.fired_at.isoformat(),
            "target": run.target,
            "settled": run.settled,
            **await _reached(conn, run.id, view, of.now),
        }
        for run in await figures_store.fired_runs(conn, of.department_id, of.first, of.last)
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


def _number(share: object) -> str | None:
    """A share as it is written, so that no program rounds it."""
    return None if share is None else str(share)


SECTIONS: Mapping[str, Callable[[Connection, FiguresOf], Awaitable[Any]]] = {
    "campaigns": _campaigns,
}
"""What a report shows, in this order; a further kind of fact is one more."""
