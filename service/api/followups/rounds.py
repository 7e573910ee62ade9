"""Household rounds over HTTP: begun, read, signed off, and on paper."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.cases.documents import DocumentQuery
from service.api.documents import DocumentLanguage, downloaded
from service.api.followups.followups import EndBody, SignedOut
from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    Body,
    Day,
    Instant,
    Int,
    Line,
    OptionalLine,
    Out,
    Page,
    QueryString,
)
from service.audience.areas.area_store import area_names
from service.clock import day_in_china
from service.errors import NotFound
from service.followups import followups
from service.followups.rounds import round_document, round_report, round_store, rounds
from service.followups.rounds.progress import AreaProgress, ProgressLevel, RoundProgress
from service.followups.rounds.round_store import DueDays, NewRound, RoundState, VisitRound
from service.followups.rounds.rounds import AskedText
from service.words.phrase import phrase

ROWS, MOST_ROWS = 30, 200


class RoundTextBody(Body):
    """A version of a template that somebody approved."""

    template_id: UUID
    version: Annotated[Int, Field(ge=1)]


class RoundBody(Body):
    """Through the households of which area, until when, and what is read out there."""

    name: Annotated[Line, Field(max_length=60)]
    area: Line = Field(description="The code of a village, a town or a county.")
    due_on: Day = Field(description="Until when all households should be told.")
    starts_on: Day | None = Field(
        default=None, description="The first day of a visit, which may be past; default: today."
    )
    texts: Annotated[list[RoundTextBody], Field(max_length=rounds.MOST_TEXTS)] = Field(
        default_factory=list,
        description="Approved texts without variables, which the visitors read out.",
    )
    with_towns: bool = Field(
        default=False,
        description="Departments that have an area visit the households there, and see their"
        " labels.",
    )


class RoundQuery(PageQuery):
    """Which rounds."""

    state: RoundState | None = None
    due_from: Day | None = Field(default=None, description="Due on this day or later.")
    due_until: Day | None = Field(default=None, description="Due on this day or before.")


class ProgressQuery(QueryString):
    """By which areas."""

    level: ProgressLevel = "village"


class ProgressDocumentQuery(DocumentQuery):
    """In which form, and by which areas."""

    level: ProgressLevel = "village"


class FormQuery(QueryString):
    """Of which village, in which form."""

    area: Line = Field(description="The code of a village of the round.")
    format: Literal["docx", "html"] = Field(
        default="docx", description="html: a page of its own, to print or to save as PDF."
    )
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = ROWS
    language: DocumentLanguage = Field(default="zh", description="Of the words in the file.")


class RoundSignOffBody(Body):
    """For which village, and what is to be said of it."""

    area: Line = Field(description="The code of a village.")
    note: OptionalLine = ""


class RoundTextOut(Out):
    """A text that is read out."""

    no: int
    template_id: UUID
    template: str
    version: int
    text: str


class RoundOut(Out):
    """A round through households."""

    id: UUID
    department_id: UUID
    name: str
    area: str
    area_name: str | None
    starts_on: date
    due_on: date
    with_towns: bool
    state: RoundState = Field(
        description="expired: nobody ended it for 90 days after its last day, and the labels of its"
        " households have gone."
    )
    started_by: UUID
    started_at: Instant
    ended_at: Instant | None
    ended_why: str = Field(description="Why somebody ended it before its end.")


class RoundDetail(RoundOut):
    """A round with the texts that are read out."""

    whole: bool = Field(description="false: you see only the villages that lie in your area.")
    labels_dropped: bool = Field(description="Labels and notes have gone; counts and tries stay.")
    texts: list[RoundTextOut]


class ProgressFiguresOut(Out):
    """Households, and what came of going there.

    visited = told + not_home + refused + moved + excused, always.
    """

    households: int | None = Field(
        description="How many there are, as `PUT /denominators` says; null: nobody has said."
    )
    visited: int
    told: int
    not_home: int = Field(description="Nobody was at home so far: somebody goes there again.")
    refused: int
    moved: int = Field(description="Nobody lives there any more.")
    excused: int
    spoken_to: int = Field(description="Heads that were told, of each household once.")
    disputed: int = Field(description="Of how many households two results contradict each other.")
    pct: Decimal | None = Field(
        description="told of households in percent; null: nobody has said how many there are. More"
        " than 100 is shown as it is, and flagged."
    )
    flags: list[str] = Field(
        description="denominator_suspect: somebody went to more; denominator_old: older than 400"
        " days; denominator_jump: a tenth off the one before; children_missing: of areas below"
        " nobody has said, and they stand in neither side of the share."
    )
    villages: int
    signed: int = Field(description="How many of these villages are signed off.")


class AreaProgressOut(ProgressFiguresOut):
    """The households of an area."""

    area: str
    name: str | None
    signed_by: UUID | None = Field(description="Of a village alone.")
    signed_at: Instant | None


class RoundProgressOut(Out):
    """How far a round is."""

    level: ProgressLevel
    areas: list[AreaProgressOut]
    total: ProgressFiguresOut


async def start_round(call: Call, body: RoundBody) -> RoundDetail:
    """Begin a round through the households of an area; its villages are those of this moment."""
    new = NewRound(
        department_id=call.user.department_id,
        name=body.name,
        area_code=body.area,
        starts_on=body.starts_on or day_in_china(call.now),
        due_on=body.due_on,
        with_towns=body.with_towns,
        version_ids=(),
    )
    texts = [AskedText(text.template_id, text.version) for text in body.texts]
    made = await rounds.start(call.conn, call.user, new, texts, call.by(""))
    call.note("visit_round", made, area=body.area, texts=len(texts))
    return await get_round(call, made)


async def list_rounds(call: Call, query: RoundQuery) -> Page[RoundOut]:
    """List rounds, the latest first: your department's, and those that ask yours to visit."""
    near = call.user.department_id, await followups.area_of(call.conn, call.user)
    found = await round_store.list_rounds(
        call.conn,
        call.user.scope,
        near,
        state=query.state,
        due=DueDays(query.due_from, query.due_until),
        before=query.before,
        limit=query.wanted,
    )
    page = cut(Page[VisitRound], found, query, key=lambda one: one.id)
    names = await area_names(call.conn, {one.area_code for one in page.items})
    items = [RoundOut.model_validate(_shown(one, names)) for one in page.items]
    return Page[RoundOut](items=items, next_cursor=page.next_cursor)


async def get_round(call: Call, round_id: UUID) -> RoundDetail:
    """Show a round and the texts that are read out."""
    sight = await rounds.find(call.conn, call.user, round_id)
    names = await area_names(call.conn, {sight.round.area_code})
    return RoundDetail.model_validate(
        _shown(sight.round, names)
        | {
            "whole": not sight.bounded,
            "texts": [text._asdict() for text in await round_store.list_texts(call.conn, round_id)],
        }
    )


async def get_round_progress(call: Call, round_id: UUID, query: ProgressQuery) -> RoundProgressOut:
    """Show how far a round is, by village or town."""
    progress = await _progress(call, round_id, query.level)
    return RoundProgressOut(
        level=progress.level,
        areas=[AreaProgressOut.model_validate(_figures(row)) for row in progress.areas],
        total=ProgressFiguresOut.model_validate(_figures(progress.total)),
    )


async def get_round_document(call: Call, round_id: UUID, query: ProgressDocumentQuery) -> Download:
    """Download how far a round is, as a Word file, a workbook or a page to print."""
    sight = await rounds.find(call.conn, call.user, round_id)
    progress = await round_report.round_progress(call.conn, sight, query.level, call.now)
    made = round_document.progress_document(
        sight.round, progress, query.language, call.now, day_in_china(call.now)
    )
    return await downloaded(call, made, query.format, "household-progress")


async def get_round_form(call: Call, round_id: UUID, query: FormQuery) -> Download:
    """Download the blank form of a village: what is read out, and rows to fill in at the doors."""
    sight = await rounds.find(call.conn, call.user, round_id)
    if query.area not in sight.codes:
        raise NotFound(phrase("this area is no village of the round that you may see"))
    texts = await round_store.list_texts(call.conn, round_id)
    names = await area_names(call.conn, {query.area})
    made = round_document.form_document(
        sight.round, names.get(query.area, query.area), texts, query.rows, query.language
    )
    return await downloaded(call, made, query.format, f"household-form-{query.area}")


async def sign_off_round(call: Call, round_id: UUID, body: RoundSignOffBody) -> SignedOut:
    """Answer for a village in which no household is to be visited any more; you went to none."""
    closed = await rounds.sign_off(
        call.conn, call.runtime.keyring, call.user, round_id, body.area, call.by(body.note)
    )
    call.note(area=body.area, closed=closed)
    return SignedOut(closed=closed)


async def cancel_round(call: Call, round_id: UUID, body: EndBody) -> RoundDetail:
    """End a round before all of its villages are signed off; what was written down stays."""
    await rounds.cancel(call.conn, call.user, round_id, call.by(body.reason))
    return await get_round(call, round_id)


async def _progress(call: Call, round_id: UUID, level: ProgressLevel) -> RoundProgress:
    sight = await rounds.find(call.conn, call.user, round_id)
    return await round_report.round_progress(call.conn, sight, level, call.now)


def _shown(found: VisitRound, names: dict[str, str]) -> dict[str, object]:
    return found._asdict() | {"area": found.area_code, "area_name": names.get(found.area_code)}


def _figures(row: AreaProgress) -> dict[str, object]:
    names = ("visited", "told", "not_home", "refused", "moved", "excused", "spoken_to")
    others = ("disputed", "pct", "flags", "villages", "signed", "area", "name", "signed_by")
    return {name: getattr(row, name) for name in (*names, *others)} | {
        "households": row.denominator.people,
        "signed_at": row.signed_at,
    }
