"""Visits over HTTP: who is to be visited, the list to take along, and what came of it."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.api.audience.people import need_people
from service.api.documents import DocumentLanguage, downloaded
from service.api.followups.followups import NOWHERE, village_of
from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Day, Instant, Line, OptionalLine, Out, Page
from service.audience.areas.area_store import area_names
from service.audience.numbers.number import parse_phone
from service.errors import NotFound
from service.followups import followups, result_store, visit_document, visits
from service.followups.followups import NOTE
from service.followups.ladder import PersonState, VisitResult
from service.followups.visits import GivenResult, ListedVisit
from service.reports.coverage import report
from service.reports.coverage.coverage import View
from service.reports.coverage.scope_store import CoverageScope, ScopeKind
from service.words.phrase import phrase, translated

VisitNote = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class VisitQuery(PageQuery):
    """Which people of a follow-up."""

    area: Line | None = Field(
        default=None, description="Only of this village, by its code; `none`: of none."
    )
    state: PersonState | None = None


class VisitListBody(Body):
    """Of which village, and why the names have to be seen."""

    area: Line = Field(description="Its code; `none`: the people of whom no area is known.")
    reason: Line = Field(description="Kept encrypted, with who saw whom.")


class VisitDocumentBody(VisitListBody):
    """The same, and in which form and language."""

    format: Literal["docx", "html"] = Field(
        default="docx", description="html: a page of its own, to print or to save as PDF."
    )
    language: DocumentLanguage = Field(default="zh", description="Of the words in the file.")


class ResultBody(Body):
    """What came of a visit."""

    key: UUID = Field(
        description="Made by whoever sends it, the same each time the same result is sent: however"
        " often that is, and however late, it is written down once."
    )
    result: VisitResult
    on: Day | None = Field(default=None, description="The day of the visit; default: today.")
    by: UUID | None = Field(
        default=None, description="Who was there: somebody of your department; default: you."
    )
    note: VisitNote = Field(default="", description="Kept encrypted. An excuse needs one.")
    phone: OptionalLine = Field(
        default="",
        description="The person's new mobile number, in any usual form. It is kept encrypted, and"
        " nothing is sent to it until somebody else confirms it.",
    )


class VisitOut(Out):
    """Somebody whom the run missed; names and numbers masked."""

    id: UUID
    area: str
    area_name: str | None
    name: str | None
    phone: str | None
    roles: list[str]
    reason: str = Field(description="Why the run missed the person.")
    state: PersonState
    not_home: int = Field(description="How often nobody was at home.")
    tries: int
    last_on: date | None
    disputed: bool = Field(description="Two results contradict each other.")


class VisitListOut(Out):
    """A list to take along, with names, numbers masked."""

    area: str
    area_name: str | None
    campaign: str
    due_on: date | None
    no_phone: int | None = Field(
        description="How many more people live there than are on file; null: nobody has said."
    )
    items: list[VisitOut]


class VisitTryOut(Out):
    """What came of going there once."""

    no: int
    result: VisitResult
    on_day: date
    by_id: UUID
    written_by: UUID
    note: str
    at: Instant
    disputed: bool
    correction_id: UUID | None = Field(description="The new number that was given there.")


class VisitDetail(Out):
    """All that was written down of visits to a person."""

    id: UUID
    followup_id: UUID
    state: PersonState
    tries: list[VisitTryOut]


class WrittenResultOut(Out):
    """What was written down, and where the person stands now.

    repeated: it was there already, under the same key, and nothing was done.
    """

    no: int
    state: PersonState
    not_home: int
    disputed: bool
    repeated: bool
    correction_id: UUID | None = Field(
        description="The new number that waits to be confirmed; null: none was given, or it is the"
        " one on file."
    )


async def list_visits(call: Call, followup_id: UUID, query: VisitQuery) -> Page[VisitOut]:
    """List the people of a follow-up by village, names and numbers masked."""
    sight = await followups.find(call.conn, call.user, followup_id)
    await need_people(call, sight.followup.department_id)
    found = await visits.list_visits(
        call.conn,
        call.runtime.keyring,
        sight,
        (query.before, query.wanted),
        call.now,
        village=village_of(query.area),
        state=query.state,
    )
    page = cut(Page[ListedVisit], found, query, key=lambda one: one.id)
    return Page[VisitOut](items=await _shown(call, page.items), next_cursor=page.next_cursor)


async def take_visit_list(call: Call, followup_id: UUID, body: VisitListBody) -> VisitListOut:
    """Take a village's list of visits along, with names.

    That you did, and why, is noted for each person on it.
    """
    sight = await followups.find(call.conn, call.user, followup_id)
    await need_people(call, sight.followup.department_id)
    village = village_of(body.area) or ""
    found = await visits.take_list(
        call.conn, call.runtime.keyring, call.user, sight, village, call.by(body.reason)
    )
    call.note("followup", followup_id, area=body.area, people=len(found))
    items = await _shown(call, found)
    return VisitListOut(
        area=body.area,
        area_name=(await area_names(call.conn, [village])).get(village),
        campaign=sight.followup.campaign,
        due_on=sight.followup.due_on,
        no_phone=await _no_phone(call, sight.followup.root_run_id, village),
        items=items,
    )


async def take_visit_document(call: Call, followup_id: UUID, body: VisitDocumentBody) -> Download:
    """Take a village's list of visits along on paper: names in full, boxes to tick, A4.

    That you did, and why, is noted for each person on it.
    """
    sight = await followups.find(call.conn, call.user, followup_id)
    await need_people(call, sight.followup.department_id)
    village = village_of(body.area) or ""
    found = await visits.take_list(
        call.conn, call.runtime.keyring, call.user, sight, village, call.by(body.reason)
    )
    call.note("followup", followup_id, area=body.area, people=len(found))
    names = await area_names(call.conn, {village, *(one.area_code for one in found)})
    at = call.now.astimezone(call.runtime.settings.zone).strftime("%Y-%m-%d %H:%M")
    facts = {
        "village": names.get(village) or translated(phrase("place not known"), body.language),
        "campaign": sight.followup.campaign,
        "taken": translated(
            phrase("taken by {name}, {at}", name=call.user.name, at=at), body.language
        ),
    }
    no_phone = await _no_phone(call, sight.followup.root_run_id, village)
    made = visit_document.list_document(
        found, names, facts, no_phone, sight.followup.due_on, body.language
    )
    return await downloaded(call, made, body.format, "visits")


async def get_visit(call: Call, visit_id: UUID) -> VisitDetail:
    """Show all that was written down of visits to a person, in order."""
    visit, sight = await visits.find(call.conn, call.user, visit_id)
    await need_people(call, sight.followup.department_id)
    keyring = call.runtime.keyring
    return VisitDetail(
        id=visit.id,
        followup_id=visit.followup_id,
        state=visit.state,
        tries=[
            VisitTryOut.model_validate(
                dict(row)
                | {"note": keyring.decrypt(NOTE, cipher) if (cipher := row["note_cipher"]) else ""}
            )
            for row in await result_store.list_tries(call.conn, visit_id)
        ],
    )


async def write_visit_result(call: Call, visit_id: UUID, body: ResultBody) -> WrittenResultOut:
    """Write down what came of a visit: once, however often it is sent.

    The first result that ends a visit counts; one that says something else is kept, and the visit
    is marked.
    """
    phone = parse_phone(body.phone) if body.phone else ""
    given = GivenResult(body.key, body.result, body.on, body.by, body.note, phone)
    written = await visits.write_result(
        call.conn, call.runtime.keyring, call.user, visit_id, given, call.now
    )
    call.note(result=body.result.value, repeated=written.repeated)
    return WrittenResultOut.model_validate(written)


async def _shown(call: Call, found: list[ListedVisit]) -> list[VisitOut]:
    names = await area_names(call.conn, {one.area_code for one in found})
    return [
        VisitOut(
            id=one.id,
            area=one.area_code or NOWHERE,
            area_name=names.get(one.area_code),
            name=one.name,
            phone=one.phone,
            roles=list(one.roles),
            reason=one.reason,
            state=one.state,
            not_home=one.not_home,
            tries=one.tries,
            last_on=one.last_on,
            disputed=one.disputed,
        )
        for one in found
    ]


async def _no_phone(call: Call, run_id: UUID, village: str) -> int | None:
    """How many more people there should be in a village than are on file, by the run's coverage."""
    if not village:
        return None
    scope = CoverageScope(ScopeKind.RUN, run_id=run_id)
    try:
        found = await report.coverage_report(
            call.conn, scope, View(village, "village"), None, call.now
        )
    except NotFound:  # the area is gone meanwhile
        return None
    return None if found is None else found.coverage.total.no_phone
