"""Duties over HTTP: whose they are, handed in, returned, accepted, excused; and who is late."""

import json
from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from service.accounts.departments.duty_people_store import DUTIES
from service.api.duties.figures import DutyFiguresOut
from service.api.duties.pictures import PictureOut, pictures_of_reports
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import AnyText, Body, Day, Instant, Line, OptionalLine, Out, Page
from service.duties import duties, duty_list_store, duty_store
from service.duties.duties import MOST_NARRATIVE, Handing
from service.duties.duty_list_store import DutyFilter
from service.duties.duty_store import HandedIn, UnitDuty
from service.duties.ladder import OWED, DutyState
from service.duties.obligation_store import ObligationKind
from service.pictures.pictures import MOST_OF_A_REPORT
from service.reports.weekly.figures import FiguresOf, take_figures

MOST_LATE = 5_000
"""So many are on one late list."""


class DutyQuery(PageQuery):
    """Which duties."""

    department: UUID | None = None
    obligation: UUID | None = None
    period: Line | None = Field(default=None, description="As 2027-W03, 2027-01 or 2027-01-31.")
    state: DutyState | None = None
    mine: bool = Field(default=False, description="Only those of your own department.")
    reports: bool = Field(default=False, description="Only those that a report in words fulfils.")
    due_from: Day | None = Field(default=None, description="Due on this day or later.")
    due_until: Day | None = Field(default=None, description="Due on this day or before.")


class HandInBody(Body):
    """The report in words, and its pictures; the figures are taken from what is known here."""

    narrative: Annotated[AnyText, Field(max_length=MOST_NARRATIVE), AfterValidator(str.strip)] = (
        Field(default="", description="Names and numbers of persons do not belong here.")
    )
    pictures: Annotated[list[UUID], Field(max_length=MOST_OF_A_REPORT)] = Field(
        default=[], description="Ids of pictures of your department (`POST /evidence`), in order."
    )
    pictures_checked: bool = Field(
        default=False,
        description="You have looked at each picture: no minor's face and no person's number can"
        " be seen. Needed where there are pictures.",
    )


class ReturnBody(Body):
    """Why a report is given back, and until when it is to be handed in again."""

    reason: Line
    due_at: Instant


class AcceptBody(Body):
    """What is to be said of it."""

    note: OptionalLine = ""


class ExcuseBody(Body):
    """Why it is asked for no more."""

    reason: Line


class DutyOut(Out):
    """One period of what a department owes."""

    BY_THE_CLOCK = frozenset({"overdue_minutes"})

    id: UUID
    obligation_id: UUID
    department_id: UUID
    department: str
    setter_id: UUID
    kind: ObligationKind
    title: str
    period: str
    first_on: date
    last_on: date
    due_at: Instant
    holiday_week: bool = Field(
        description="The period had no working day before it, so it is due on the first after it."
    )
    official: bool = Field(description="false: a day that decides was not announced yet.")
    moved_from: Instant | None = Field(description="A later notice moved it, from then.")
    moved_at: Instant | None
    state: DutyState
    submitted_at: Instant | None = Field(description="The first time that it was handed in.")
    late_minutes: int | None = Field(
        description="Of the first time; 0: in time; null: not in. It stays, whatever is returned."
    )
    overdue_minutes: int | None = Field(
        description="How long it has been owed beyond its time by now; null: it is not."
    )
    evidence_run_id: UUID | None = Field(description="The run that ticked it.")
    evidence_round_id: UUID | None = Field(description="The household round that ticked it.")
    evidence_relay_id: UUID | None = Field(description="The relay that ticked it.")
    evidence_roster_id: UUID | None = Field(description="The list that ticked it.")
    evidence_import_id: UUID | None = Field(
        description="The import into this list; null: it was confirmed."
    )
    owed_at: Instant = Field(description="Until when; what was returned has a time of its own.")
    decided_by: UUID | None
    decided_at: Instant | None
    reason: str = Field(description="Why it was returned or excused, or a note.")


class HandedInOut(Out):
    """What was handed in once; it does not change any more."""

    no: int
    narrative: str
    figures: DutyFiguresOut | None = Field(description="null: this kind of report has none.")
    canonical: str = Field(description="The figures as the text of which sha256 is the hash.")
    sha256: str
    as_of: Instant
    submitted_by: UUID
    submitted_at: Instant
    pictures: list[PictureOut]


class DutyStepOut(Out):
    """A step of the ladder. skipped: why nobody was told, as a code; run_id: what told somebody."""

    step: str
    planned_at: Instant
    taken_at: Instant
    run_id: UUID | None
    skipped: str


class DutyDetail(DutyOut):
    """A duty with all that was handed in, and who was told of it."""

    BY_THE_CLOCK = DutyOut.BY_THE_CLOCK | {"may_hand_in", "may_decide"}

    reports: list[HandedInOut]
    steps: list[DutyStepOut]
    needs_narrative: bool
    needs_photos: int = Field(description="So many pictures belong to it at least.")
    may_hand_in: bool
    may_decide: bool


class UnitWithoutPeopleOut(Out):
    """A department that owes something, of which a duty is nobody's."""

    department_id: UUID
    department: str
    missing: list[str] = Field(description="liaison, leader.")


class LateOut(Out):
    """Who is late now. First those who cannot be told: they have no liaison, or no leader."""

    BY_THE_CLOCK = frozenset({"as_of"})

    as_of: Instant
    without_people: list[UnitWithoutPeopleOut]
    items: list[DutyOut] = Field(description="The longest overdue first.")
    more: bool = Field(description="There are more than these.")


async def list_duties(call: Call, query: DutyQuery) -> Page[DutyOut]:
    """List what departments owe, period by period, the latest first.

    Yours, those below it, and those that your department asks.
    """
    department = call.user.department_id if query.mine else query.department
    zone = call.runtime.settings.zone
    first, last = query.due_from, query.due_until
    wanted = DutyFilter(
        department,
        query.obligation,
        query.period,
        query.state,
        query.reports,
        None if first is None else datetime.combine(first, time(), zone),
        None if last is None else datetime.combine(last + timedelta(days=1), time(), zone),
    )
    found = await duty_list_store.list_duties(
        call.conn, duties.seen_by(call.user), wanted, query.before, query.wanted
    )
    page = cut(Page[UnitDuty], found, query, key=lambda one: one.id)
    items = [DutyOut.model_validate(shown(call, one)) for one in page.items]
    return Page[DutyOut](items=items, next_cursor=page.next_cursor)


async def list_late(call: Call) -> LateOut:
    """List who is late now, and who owes something without anybody to be told of it."""
    seen_by = duties.seen_by(call.user)
    found = await duty_list_store.list_late(call.conn, seen_by, call.now, MOST_LATE + 1)
    without = await duty_list_store.owing_without_people(call.conn, seen_by, DUTIES)
    return LateOut(
        as_of=call.now,
        without_people=[UnitWithoutPeopleOut.model_validate(one) for one in without],
        items=[DutyOut.model_validate(shown(call, one)) for one in found[:MOST_LATE]],
        more=len(found) > MOST_LATE,
    )


async def get_duty(call: Call, duty_id: UUID) -> DutyDetail:
    """Show a duty: what was handed in, each time, and who was told of it when."""
    return await _detail(call, await duties.find(call.conn, call.user, duty_id))


async def get_duty_figures(call: Call, duty_id: UUID) -> DutyFiguresOut:
    """Show the figures of a duty's period as they are now, whatever was handed in.

    Beside a report they say what has come since.
    """
    duty = await duties.find(call.conn, call.user, duty_id)
    of = FiguresOf(duty.department_id, duty.period, duty.first_on, duty.last_on, call.now)
    return DutyFiguresOut.model_validate(await take_figures(call.conn, of))


async def submit_duty(call: Call, duty_id: UUID, body: HandInBody) -> DutyDetail:
    """Hand in a report. Its figures are frozen as they are now, with their hash.

    Reminders of it that have not left are called back.
    """
    handing = Handing(body.narrative, body.pictures, body.pictures_checked)
    duty = await duties.submit(call.conn, call.user, duty_id, handing, call.now)
    call.note(
        "duty",
        duty_id,
        period=duty.period,
        late_minutes=duty.late_minutes,
        pictures=len(body.pictures),
    )
    return await _detail(call, duty)


async def return_duty(call: Call, duty_id: UUID, body: ReturnBody) -> DutyDetail:
    """Give a report back, to be handed in again; that it was in time, or late, stays."""
    duty = await duties.return_it(call.conn, call.user, duty_id, body.due_at, call.by(body.reason))
    call.note("duty", duty_id, period=duty.period)
    return await _detail(call, duty)


async def accept_duty(call: Call, duty_id: UUID, body: AcceptBody) -> DutyDetail:
    """Take a report as it is; somebody else than who handed it in."""
    duty = await duties.accept(call.conn, call.user, duty_id, call.by(body.note))
    call.note("duty", duty_id, period=duty.period)
    return await _detail(call, duty)


async def excuse_duty(call: Call, duty_id: UUID, body: ExcuseBody) -> DutyDetail:
    """Ask for it no more: it is not counted, and nobody is told of it any more."""
    duty = await duties.excuse(call.conn, call.user, duty_id, call.by(body.reason))
    call.note("duty", duty_id, period=duty.period)
    return await _detail(call, duty)


def shown(call: Call, duty: UnitDuty) -> dict[str, object]:
    """A duty as `DutyOut` takes it."""
    overdue = None
    if duty.state in OWED and call.now > duty.owed_at:
        overdue = int((call.now - duty.owed_at).total_seconds() // 60)
    return duty._asdict() | {"overdue_minutes": overdue}


async def _detail(call: Call, duty: UnitDuty) -> DutyDetail:
    needs = await duties.needs_of(call.conn, duty)
    pictures = await pictures_of_reports(call.conn, duty.id, call.now)
    return DutyDetail.model_validate(
        shown(call, duty)
        | {
            "reports": [
                handed_in(one, pictures.get(one.no, []))
                for one in await duty_store.list_reports(call.conn, duty.id)
            ],
            "steps": await duty_store.list_steps(call.conn, duty.id),
            "needs_narrative": needs.get("narrative", False) or duty.kind == ObligationKind.CUSTOM,
            "needs_photos": needs.get("photos") or 0,
            "may_hand_in": duties.may_hand_in(call.user, duty),
            "may_decide": duties.may_decide(call.user, duty),
        }
    )


def handed_in(one: HandedIn, pictures: list[PictureOut]) -> HandedInOut:
    """What was handed in, as it is shown."""
    figures = DutyFiguresOut.model_validate(json.loads(one.figures)) if one.figures else None
    return HandedInOut(
        no=one.no,
        narrative=one.narrative,
        figures=figures,
        canonical=one.figures,
        sha256=one.sha256.hex(),
        as_of=one.as_of,
        submitted_by=one.submitted_by,
        submitted_at=one.submitted_at,
        pictures=pictures,
    )
