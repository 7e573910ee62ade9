"""The weekly report of a unit: its figures at any moment, what it has handed in, and the file."""

import json
from uuid import UUID

from pydantic import Field

from service.accounts.departments.department import COUNTY
from service.accounts.departments.department_store import get_department
from service.api.documents import downloaded
from service.api.duties.duties import DutyOut, HandedInOut, handed_in, shown
from service.api.duties.figures import DutyFiguresOut
from service.api.duties.pictures import PictureOut, pictures_of_reports
from service.api.http.call import Call, Download
from service.api.http.schema import Line, Out, QueryString
from service.cases.week import IsoWeek, need_week, week_of
from service.clock import day_in_china
from service.documents.document import DocumentFormat
from service.duties import duties, duty_list_store, duty_store
from service.duties.duty_list_store import DutyFilter
from service.duties.duty_store import HandedIn, UnitDuty
from service.duties.obligation_store import ObligationKind
from service.errors import NotFound
from service.reports.weekly.figures import FiguresOf, take_figures
from service.reports.weekly.unit_document import UnitReport, unit_document
from service.words.phrase import phrase

MOST_DUTIES = 20
"""So many obligations for a weekly report a unit has at most in one week."""


class WeeklyQuery(QueryString):
    """Of which week and unit."""

    week: Line | None = Field(default=None, description="As 2027-W03; default: this week.")
    department: UUID | None = Field(default=None, description="Default: your own.")


class WeeklyDocumentQuery(WeeklyQuery):
    """… in which form and language."""

    format: DocumentFormat = Field(
        default="docx", description="html: a page of its own, to print or to save as PDF."
    )
    language: Line = Field(default="zh", pattern="^(zh|en)$", description="Of the words in it.")


class WeeklyOut(Out):
    """A unit's week: the figures as they are now, beside what it has handed in of it."""

    BY_THE_CLOCK = frozenset({"figures"})

    department: UUID
    name: str
    week: str
    figures: DutyFiguresOut = Field(description="As they are now.")
    duties: list[DutyOut] = Field(description="What the unit owes for the week.")
    handed_in: HandedInOut | None = Field(
        description="The last report of the week, which does not change; what came since is the"
        " difference to `figures`. null: nothing was handed in."
    )


async def get_weekly_report(call: Call, query: WeeklyQuery) -> WeeklyOut:
    """Show the weekly report of a unit as the facts have it, at any moment.

    It builds itself: nobody types figures. Handing in its duty freezes them.
    """
    found = await _find(call, query)
    latest = found.latest
    return WeeklyOut(
        department=found.report.department_id,
        name=found.report.name,
        week=str(found.week),
        figures=DutyFiguresOut.model_validate(found.report.figures),
        duties=[DutyOut.model_validate(shown(call, one)) for one in found.duties],
        handed_in=None if latest is None else handed_in(latest, found.pictures),
    )


async def get_weekly_document(call: Call, query: WeeklyDocumentQuery) -> Download:
    """Download the weekly report of a unit: what was handed in, and what came since."""
    found = await _find(call, query)
    made = unit_document(found.report, query.language, call.runtime.settings.zone)
    return await downloaded(call, made, query.format, f"weekly-{found.week}")


class _Found:
    """A unit's week, and what was handed in of it, with its pictures."""

    def __init__(
        self,
        week: IsoWeek,
        report: UnitReport,
        duties: list[UnitDuty],
        latest: HandedIn | None,
        pictures: list[PictureOut],
    ) -> None:
        self.week, self.report, self.duties = week, report, duties
        self.latest, self.pictures = latest, pictures


async def _find(call: Call, query: WeeklyQuery) -> _Found:
    week = week_of(day_in_china(call.now))
    if query.week is not None:
        week = need_week(query.week, "week")
    department_id = query.department or call.user.department_id
    asks = call.user.department_kind == COUNTY
    if not asks and not call.user.sees_counts(department_id):
        raise NotFound(phrase("there is no such department"))
    department = await get_department(call.conn, department_id, None)
    of = FiguresOf(department_id, str(week), week.monday, week.sunday, call.now)
    figures = await take_figures(call.conn, of)
    wanted = DutyFilter(department_id, None, str(week), None)
    seen = await duty_list_store.list_duties(
        call.conn, duties.seen_by(call.user), wanted, None, MOST_DUTIES
    )
    own = [one for one in seen if one.kind == ObligationKind.WEEKLY_REPORT]
    reports = [
        (report, one.id)
        for one in own
        for report in await duty_store.list_reports(call.conn, one.id)
    ]
    latest, of_duty = max(reports, key=lambda one: one[0].submitted_at, default=(None, None))
    pictures: list[PictureOut] = []
    if latest is not None and of_duty is not None:
        of_reports = await pictures_of_reports(call.conn, of_duty, call.now)
        pictures = of_reports.get(latest.no, [])
    report = UnitReport(
        department_id,
        department.settings.name,
        str(week),
        figures,
        None if latest is None or not latest.figures else json.loads(latest.figures),
        None if latest is None else latest.narrative,
        None if latest is None else latest.submitted_at,
        None if latest is None else latest.sha256.hex(),
    )
    return _Found(week, report, own, latest, pictures)
