"""Case figures on pages: what is known by week, a file that comes in, and goals."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from service.accounts.people.model import Right
from service.api.cases import bulletins, case_imports, cases, documents, goals
from service.api.cases.case_imports import CaseImportForm
from service.api.cases.cases import CasesQuery
from service.api.cases.documents import GAPS, GoalsDocumentQuery
from service.api.cases.goals import GoalsQuery
from service.api.http.downloads import MadeFile
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

CASES = "/reports/cases"
IMPORT = f"{CASES}/import"
WEEK = timedelta(days=7)
WEEKS_SHOWN = 14
REPAIR = "repair."
"""A field with a cell that is typed anew: its row and column follow."""

COLOURS = {
    "green": ("done", phrase("met")),
    "grey": ("idle", phrase("met, but chance cannot be ruled out")),
    "red": ("bad", phrase("not met")),
    "unknown": ("warn", phrase("unknown")),
}


async def show_cases(desk: Desk) -> Shown:
    """The last weeks, or those that are asked for, of the county or an area; their bulletins, and
    the files that they came from.
    """
    last = desk.now.date().isocalendar()
    first = (desk.now.date() - WEEK * (WEEKS_SHOWN - 1)).isocalendar()
    weeks = {"from": f"{first.year}-W{first.week:02}", "to": f"{last.year}-W{last.week:02}"}
    asked = {name: desk.request.query.get(name) for name in ("from", "to", "area")}
    query = made_of(CasesQuery, weeks | {name: one for name, one in asked.items() if one})
    found = await desk.get(cases.list_cases, query=query)
    issued = await desk.get(bulletins.list_bulletins, query=PageQuery(limit=WEEKS_SHOWN))
    enters = desk.may(Right.CASES)
    files = (
        await desk.get(case_imports.list_case_imports, query=PageQuery(limit=10))
        if enters
        else None
    )
    return Shown("cases/cases.html", {
        "weeks": list(reversed(found.items)),
        "uncovered": found.uncovered,
        "issued": {line.week: line for line in issued.items},
        "files": files.items if files else [],
        "enters": enters,
        "area": await _town_name(desk, query),
        **_tabs(desk),
    })  # fmt: skip


async def _town_name(desk: Desk, query: CasesQuery) -> str:
    """What the town is called of which figures are asked for; its code, if it is none."""
    if query.area is None:
        return ""
    towns = query.model_copy(update={"by": "town", "area": None})
    found = await desk.get(cases.list_cases, query=towns)
    return next((str(one.name) for one in found.items if one.area == query.area), query.area)


def _tabs(desk: Desk) -> dict[str, bool]:
    """Which other tabs of the reports there are."""
    return {"audits": desk.may(Right.AUDIT), "reads": desk.may(Right.READ)}


async def show_import(desk: Desk) -> Shown:
    """The form for a file; once rows of it were rejected, what is to be typed in their place."""
    week = (desk.now.date() - WEEK).isocalendar()
    report: Any = desk.refusal.details().get("report") if desk.refusal else None
    return Shown("cases/import_new.html", {
        "week": f"{week.year}-W{week.week:02}",
        "report": report,
        "repair": REPAIR,
    })  # fmt: skip


async def send_file(desk: Desk) -> Gone:
    """Take a file of case figures."""
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    typed = [name for name in desk.form if name.startswith(REPAIR)]
    body = body_of(
        CaseImportForm,
        desk.form,
        but=("file", *typed),
        given={"repairs": json.dumps(_repairs(desk, typed))},
    )
    listed = await case_imports.read_file(body, desk.upload)
    made = await desk.act(case_imports.import_cases, body=body, file=desk.upload, listed=listed)
    return Gone(f"{CASES}/imports/{made.id}", phrase("The figures are taken."))


def _repairs(desk: Desk, names: list[str]) -> Mapping[str, Mapping[str, str]]:
    """What was typed in place of cells, by row and column."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        row, _, column = name.removeprefix(REPAIR).partition(".")
        if value := desk.typed(name).strip():
            found.setdefault(row, {})[column] = value
    return found


async def show_file(desk: Desk) -> Shown:
    """What became of a file."""
    found = await desk.get(case_imports.get_case_import, case_import_id=desk.uuid("case_import_id"))
    rejects = await desk.get(
        case_imports.list_case_rejects, case_import_id=desk.uuid("case_import_id")
    )
    return Shown("cases/import.html", {"taken": found, "rejects": rejects.items})


async def undo_file(desk: Desk) -> Gone:
    """Take a file back."""
    await desk.act(case_imports.undo_case_import, case_import_id=desk.uuid("case_import_id"))
    return Gone(CASES, phrase("The file is taken back; its weeks have their earlier figures."))


async def show_goals(desk: Desk) -> Shown:
    """How the goals stand, in red, green, and grey where chance cannot be ruled out."""
    as_of = desk.request.query.get("as_of") or None
    found = await desk.get(goals.get_goals, query=made_of(GoalsQuery, {"as_of": as_of}))
    return Shown("cases/goals.html", {
        "goals": found,
        "gaps": GAPS,
        "colours": COLOURS,
        **_tabs(desk),
    })  # fmt: skip


async def export_goals(desk: Desk) -> MadeFile:
    """The board of goals as a document."""
    query = body_of(GoalsDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(documents.get_goals_document, query=query)
