"""Files of chat groups over HTTP: groups from a file, the register and hand-over forms as files."""

import asyncio
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.accounts.departments.department_store import get_department
from service.api.cases.case_imports import CaseColumnRefusedOut, CaseFileOut, CaseRowsOut
from service.api.documents import DocumentLanguage, downloaded
from service.api.http.call import Call, Download
from service.api.http.problems import TooLarge
from service.api.http.schema import Body, Line, Out, QueryString, TranslatedText
from service.api.http.upload import Upload
from service.audience.areas.area_store import area_names
from service.clock import day_in_china
from service.errors import Conflict
from service.relays.groups import group_documents, group_imports, group_store, groups
from service.relays.groups.group_file import GroupFile, read_group_file
from service.relays.groups.group_imports import MOST_TOLD, GroupRequest
from service.relays.groups.group_store import GroupsWanted
from service.words.phrase import phrase

FILE_OCTETS = 4 * 1024 * 1024
MOST_IN_REGISTER = 5_000


class GroupDocumentQuery(QueryString):
    """In which form."""

    format: Literal["xlsx", "docx", "html"] = "xlsx"
    language: DocumentLanguage = Field(default="zh", description="Of the words in the file.")


class HandOverFormBody(Body):
    """In which form."""

    format: Literal["docx", "html"] = Field(
        default="docx", description="html: a page of its own, to print or to save as PDF."
    )
    language: DocumentLanguage = Field(default="zh", description="Of the words in the file.")


class GroupImportForm(Body):
    """What is said of a file of groups."""

    dry_run: bool = Field(default=False, description="Read and report, but register nothing.")
    accept_partial: bool = Field(
        default=False, description="Register the rest where rows are rejected; else nothing (422)."
    )
    encoding: Line | None = Field(default=None, description="Of a text file; default: found out.")


class GroupTableOut(Out):
    """A table of the file, and what its columns were taken for."""

    sheet: str
    header_rows: list[int]
    mapped: dict[str, str]
    refused: list[CaseColumnRefusedOut]
    ignored: list[str]


class GroupRejectOut(Out):
    """A row that is not taken, and why. header, value: the cell at fault; it is not stored."""

    sheet: str
    row: int
    code: str
    why: TranslatedText
    column: str
    header: str
    value: str = Field(description="Shortened; long numbers are masked.")


class GroupReportOut(Out):
    """What became of a file: read = accepted + rejected + skipped, always."""

    file: CaseFileOut
    tables: list[GroupTableOut]
    rows: CaseRowsOut
    rejected: dict[str, int]
    skipped: dict[str, int] = Field(
        description="registered_before: a group of this name at this place is registered."
    )
    rejects: list[GroupRejectOut] = Field(description=f"The first {MOST_TOLD:,} rejected rows.")


async def take_hand_over_form(
    call: Call, group_id: UUID, no: int, body: HandOverFormBody
) -> Download:
    """Take the form of a hand-over: old and new owner in full, day, reason, two lines to sign on.

    no: of the new owner in the history. That you saw both is noted for each of them.
    """
    found, old, new = await groups.take_form(
        call.conn, call.runtime.keyring, call.user, group_id, no, call.by("")
    )
    call.note("group", group_id, no=no)
    place = (await area_names(call.conn, {found.area_code})).get(found.area_code or "", "")
    department = await get_department(call.conn, found.department_id, None)
    made = group_documents.hand_over_form(found, old, new, place, department.name, body.language)
    return await downloaded(call, made, body.format, "group-hand-over")


async def get_group_register(call: Call, query: GroupDocumentQuery) -> Download:
    """Download the register of your department's active groups, owners masked."""
    found = await group_store.list_groups(
        call.conn,
        call.runtime.keyring,
        GroupsWanted(call.user.department_id),
        None,
        MOST_IN_REGISTER + 1,
    )
    if len(found) > MOST_IN_REGISTER:
        raise Conflict(
            phrase("the register has more than {most:,} groups", most=MOST_IN_REGISTER),
            code="too_many_rows",
        )
    names = await area_names(call.conn, {one.area_code for one in found})
    day = day_in_china(call.now).isoformat()
    made = group_documents.register_document(found[::-1], names, day, query.language)
    return await downloaded(call, made, query.format, "groups")


async def read_file(body: GroupImportForm, file: Upload) -> GroupFile:
    """The rows of a file.

    Raises:
        TooLarge, FileRefused, Invalid: it is larger than is read while a request waits, or cannot
            be read.
    """
    if file.size > FILE_OCTETS:
        raise TooLarge(
            phrase(
                "the file is larger than {octets:,} octets; split it, by village",
                octets=FILE_OCTETS,
            )
        )
    pieces = [piece async for piece in file.chunks()]
    return await asyncio.to_thread(read_group_file, lambda: pieces, body.encoding)


async def import_groups(
    call: Call, body: GroupImportForm, file: Upload, listed: GroupFile
) -> GroupReportOut:
    """Register the groups of a file: all of its rows, or none.

    A group that is registered already is passed over, so a list that grows may be sent again.
    """
    report = await group_imports.take_file(
        call.conn,
        call.runtime.keyring,
        call.user,
        listed,
        GroupRequest(body.accept_partial, body.dry_run),
        call.by(""),
    )
    rows = report["rows"]
    call.note(
        "group_import",
        None,
        file_sha256=file.sha256,
        accepted=rows["accepted"],
        rejected=rows["rejected"],
        dry_run=body.dry_run,
    )
    return GroupReportOut.model_validate(report)
