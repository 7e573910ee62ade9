"""Files of case figures: taken, listed, and taken back."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.problems import TooLarge
from service.api.http.schema import Body, Instant, Line, Out, Page, Text, TranslatedText
from service.api.http.upload import Upload
from service.cases import imports, store
from service.cases.case_file import REJECTED, CaseFile, read_case_file, repaired
from service.cases.imports import CaseRequest
from service.cases.week import need_week, parse_cover
from service.reports.suggestions import suggestions
from service.words.phrase import phrase

FILE_OCTETS = 16 * 1024 * 1024
Cover = Annotated[
    Text,
    Field(
        description="What the file covers: `2027-W03`, a list with commas, or"
        " `2027-W01..2027-W13`. A covered week without a row has no case."
    ),
]


def _typed(value: object) -> object:
    """A form holds texts only, so repairs come as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(
            phrase('write a JSON object like {{"3": {{"fraud_type": "T01"}}}}')
        ) from error


class CaseImportForm(Body):
    """What is said of a file of case figures."""

    weeks: Cover
    dry_run: bool = Field(default=False, description="Read and report, but store nothing.")
    accept_partial: bool = Field(
        default=False, description="Store the rest where rows are rejected; else nothing (422)."
    )
    repairs: Annotated[dict[Text, dict[Text, Text]], BeforeValidator(_typed)] = Field(
        default={},
        description="A JSON object of cells that are typed anew, by row and column:"
        ' `{"3": {"fraud_type": "T01"}}`.',
    )
    encoding: Line | None = Field(default=None, description="Of a text file; default: found out.")


class CaseRowsOut(Out):
    """read = accepted + rejected + skipped, always."""

    read: int
    accepted: int
    rejected: int
    skipped: int


class CaseSumOut(Out):
    """Cases and loss."""

    cases: int
    loss_yuan: int


class CaseColumnRefusedOut(Out):
    """A column that says something of persons; nothing of it is stored."""

    header: str
    kind: str


class CaseTableOut(Out):
    """A table of the file, and what its columns were taken for."""

    sheet: str
    header_rows: list[int]
    mapped: dict[str, str]
    refused: list[CaseColumnRefusedOut]
    ignored: list[str]
    loss_unit: Literal["yuan", "wan"]
    one_case_a_row: bool = Field(description="There is no column of cases: rows add up.")


class CaseFileOut(Out):
    """How the file was read."""

    format: str
    encoding: str | None


class CaseRejectOut(Out):
    """A row that is not taken, and why. header, value: the cell at fault, where the answer is to
    whoever has just sent it; it is not stored.
    """

    sheet: str
    row: int
    code: str
    why: TranslatedText
    column: str | None = Field(default=None, description="As `repairs` calls it.")
    header: str | None = None
    value: str | None = Field(default=None, description="Shortened; long numbers are masked.")


class CaseReportOut(Out):
    """What became of a file."""

    file: CaseFileOut
    tables: list[CaseTableOut]
    rows: CaseRowsOut
    rejected: dict[str, int]
    skipped: dict[str, int]
    figures: CaseSumOut
    by_week: dict[str, CaseSumOut] = Field(description="Each week that the file covers.")
    rejects: list[CaseRejectOut] = Field(
        description=f"The first {imports.MOST_TOLD:,} rejected rows."
    )


class CaseImportOut(Out):
    """A file of figures. id: null after a dry run, of which nothing is kept."""

    id: UUID | None
    state: Literal["done", "undone", "read"]
    weeks: list[str]
    in_force: int = Field(description="Of how many of its weeks it says what was.")
    replaced: int | None = Field(
        default=None, description="Of how many weeks it took over from earlier files."
    )
    created_by: UUID | None
    created_at: Instant
    undone_at: Instant | None
    report: CaseReportOut


class CaseUndoOut(Out):
    """What was taken back. restored: weeks that have their earlier figures again."""

    id: UUID
    weeks: list[str]
    restored: int


class CaseRejectsOut(Out):
    """The rejected rows of an import, by their place in the file."""

    items: list[CaseRejectOut]


async def read_file(body: CaseImportForm, file: Upload) -> CaseFile:
    """The rows of a file.

    Raises:
        TooLarge, FileRefused, Invalid: it is larger than is read while a request waits, or cannot
            be read; or the weeks are none.
    """
    parse_cover(body.weeks)
    if file.size > FILE_OCTETS:
        raise TooLarge(
            phrase(
                "the file is larger than {octets:,} octets; split it, by year for instance",
                octets=FILE_OCTETS,
            )
        )
    pieces = [piece async for piece in file.chunks()]
    found = await asyncio.to_thread(read_case_file, lambda: pieces, body.encoding)
    return repaired(found, body.repairs)


async def import_cases(
    call: Call, body: CaseImportForm, file: Upload, listed: CaseFile
) -> CaseImportOut:
    """Take the figures of weeks from a file; it says then, whole, what these weeks were."""
    weeks = parse_cover(body.weeks)
    this_week = imports.check_cover(weeks, call.now, call.runtime.settings.zone)
    request = CaseRequest(
        weeks,
        this_week,
        file.sha256,
        body.accept_partial,
        body.dry_run,
        call.user.id,
        call.now,
    )
    taken = await imports.take_file(call.conn, listed, request)
    if taken.import_id is not None:
        await suggestions.renew(call.conn, weeks, call.now, call.runtime.settings.zone)
        call.note("case_imports", taken.import_id)
    rows = taken.report["rows"]
    call.note(
        file_sha256=file.sha256,
        weeks=len(weeks),
        accepted=rows["accepted"],
        rejected=rows["rejected"],
        dry_run=body.dry_run,
    )
    return CaseImportOut(
        id=taken.import_id,
        state="done" if taken.import_id else "read",
        weeks=list(map(str, weeks)),
        in_force=len(weeks) if taken.import_id else 0,
        replaced=taken.replaced,
        created_by=call.user.id,
        created_at=call.now,
        undone_at=None,
        report=report_out(taken.report),
    )


async def list_case_imports(call: Call, query: PageQuery) -> Page[CaseImportOut]:
    """List the files of case figures that were taken, from new to old."""
    found = await store.list_imports(call.conn, query.before, query.wanted)
    return cut(Page[CaseImportOut], [_out(one) for one in found], query)


async def get_case_import(call: Call, case_import_id: UUID) -> CaseImportOut:
    """Show a file of case figures and its report."""
    return _out(await store.get_import(call.conn, case_import_id))


async def list_case_rejects(call: Call, case_import_id: UUID) -> CaseRejectsOut:
    """List the rows of a file that were not taken, by their place; their cells are not stored."""
    found = await store.get_import(call.conn, case_import_id)
    return CaseRejectsOut(items=report_out(found.report, most=None).rejects)


async def undo_case_import(call: Call, case_import_id: UUID) -> CaseUndoOut:
    """Take a file back: its weeks have the figures again that they had before it."""
    restored = await imports.undo(call.conn, case_import_id, call.user.id, call.now)
    found = await store.get_import(call.conn, case_import_id)
    weeks = [need_week(week, "weeks") for week in found.weeks]
    await suggestions.renew(call.conn, weeks, call.now, call.runtime.settings.zone)
    return CaseUndoOut(id=case_import_id, weeks=list(found.weeks), restored=restored)


def report_out(report: Mapping[str, Any], most: int | None = imports.MOST_TOLD) -> CaseReportOut:
    """A report with each rejected row's reason in words."""
    rows = [row if isinstance(row, dict) else _place(row) for row in report["rejects"][:most]]
    rejects = [{**row, "why": REJECTED[row["code"]]} for row in rows]
    return CaseReportOut.model_validate({**report, "rejects": rejects})


def _place(stored: Sequence[Any]) -> dict[str, Any]:
    sheet, row, code = stored
    return {"sheet": sheet, "row": row, "code": code}


def _out(found: store.CaseImport) -> CaseImportOut:
    return CaseImportOut(
        id=found.id,
        state="undone" if found.undone_at else "done",
        weeks=list(found.weeks),
        in_force=found.in_force,
        created_by=found.created_by,
        created_at=found.created_at,
        undone_at=found.undone_at,
        report=report_out(found.report),
    )
