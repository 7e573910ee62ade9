"""Contact files in, and what became of each."""

import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import PurePath
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from service.accounts.long_acts.long_act import LongProgress
from service.api.audience.consent import FIELDS, EvidenceBody, EvidenceOut
from service.api.audience.people import need_people
from service.api.http.call import Call, Download
from service.api.http.schema import Day, Instant, Line, Out, Text
from service.api.http.upload import Upload
from service.audience.areas.area_store import area_names
from service.audience.imports.loading import create_import as store_file
from service.audience.imports.model import Import, ImportRequest
from service.audience.imports.rejects import list_rejects, rejects_csv
from service.audience.imports.store import get_import as find_import
from service.audience.imports.store import lock_import
from service.audience.rosters.rosters import ask_undo
from service.errors import Conflict, NotFound
from service.queue import Job
from service.words.phrase import phrase

MOST_COLUMNS = 100


def _mapping(value: object) -> object:
    """A form holds texts only, so a mapping comes as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(phrase('write a JSON object like {{"phone": "联系方式"}}')) from error


class ImportForm(EvidenceBody):
    """What the uploader says of a contact file."""

    roster: Line = Field(description="The name of the list that the people come onto.")
    basis: Literal["duty", "contract_hr", "consent", "emergency"] = Field(
        default="duty", description="Why the department may write to them; a row's own value wins."
    )
    expires_on: Day | None = Field(
        default=None, description="The list's last day; default: a year on."
    )
    encoding: Line | None = Field(default=None, description="Of a text file; default: found out.")
    columns: Annotated[dict[Text, Text] | None, BeforeValidator(_mapping)] = Field(
        default=None,
        max_length=MOST_COLUMNS,
        description="A JSON object from our column names to the file's headers.",
    )
    dry_run: bool = Field(default=False, description="Read and report, but store nobody.")
    mode: Literal["add", "replace"] = Field(
        default="add", description="replace: who is not in the file leaves the list."
    )


class ImportAccepted(Out):
    """An import that waits to be read."""

    id: UUID
    state: str


class UndoOut(Out):
    """What became of taking an import back: what it has changed, or why it was refused."""

    state: Literal["waiting", "done", "refused"]
    links: int | None = Field(default=None, description="Entries it had made, which are gone.")
    restored: int | None = Field(
        default=None, description="Entries it had ended, which hold again."
    )
    contacts: int | None = Field(default=None, description="People only it knew, who are gone.")
    code: str | None = None
    message: str | None = None


class UndoAccepted(Out):
    """An import that a worker takes back."""

    id: UUID
    undo: UndoOut


class ImportOut(ImportAccepted, EvidenceOut):
    """An import, with its report once it has been read."""

    department_id: UUID
    roster: str
    basis: str
    expires_on: date
    file_name: str
    file_bytes: int
    dry_run: bool
    mode: str
    rows_read: int = Field(description="How many rows have been read; grows while it is reading.")
    report: dict[str, Any] | None
    area_names: dict[str, str] = Field(
        description="The names of the areas in the report's `recipients.by_town` and"
        " `area_spellings`."
    )
    created_at: Instant
    finished_at: Instant | None
    undone_at: Instant | None
    undo: UndoOut | None


async def create_import(call: Call, body: ImportForm, file: Upload) -> ImportAccepted:
    """Take a contact file; a worker reads it."""
    call.need_roster(body.roster)
    request = ImportRequest(
        department_id=call.user.department_id,
        user_id=call.user.id,
        file_name=file.file_name,
        evidence=body.shown,
        **body.model_dump(exclude={*FIELDS}),
    )
    made = await store_file(
        call.conn,
        call.runtime.keyring,
        request,
        file.chunks(),
        limit=call.runtime.settings.import_max_bytes,
        now=call.now,
    )
    call.after_commit(Job.READ_IMPORT, made.id)
    return ImportAccepted(id=made.id, state=made.state)


async def get_import(call: Call, import_id: UUID) -> ImportOut:
    """Show an import and its report."""
    found = await visible_import(call, import_id)
    report = found.report or {}
    named = {*(report.get("recipients") or {}).get("by_town", ())}
    named |= {spelling["area"] for spelling in report.get("area_spellings", ())}
    shown = {name: getattr(found, name) for name in ImportOut.model_fields if hasattr(found, name)}
    return ImportOut(**shown, area_names=await area_names(call.conn, named))


async def undo_import(call: Call, import_id: UUID) -> UndoAccepted:
    """Have an import taken back: the list will be as if it had never come."""
    seen = await visible_import(call, import_id)
    if seen.state == "reading":  # whoever reads it holds it for as long as that takes
        raise Conflict(phrase("this import has not been read yet; try again when it has"))
    found = await lock_import(call.conn, import_id)
    await ask_undo(call.conn, found, call.user.id, call.now)
    call.after_commit(Job.UNDO_IMPORT, found.id)
    return UndoAccepted(id=found.id, undo=UndoOut(state="waiting"))


async def get_rejects(call: Call, import_id: UUID) -> Download:
    """Download the rejected rows with their reasons."""
    found = await visible_import(call, import_id)
    await need_people(call, found.department_id)
    named = f"rejects-{PurePath(found.file_name).stem}.csv" if found.file_name else ""
    plain = f"rejects-{import_id}.csv"
    rejected = ((found.report or {}).get("rows") or {}).get("rejected")
    return Download(
        "text/csv",
        named or plain,
        _lines(call, import_id),
        plain if named else "",
        LongProgress(total=None if rejected is None else rejected + 1),
    )


def _lines(call: Call, import_id: UUID) -> AsyncIterator[str]:
    return rejects_csv(list_rejects(call.conn, call.runtime.keyring, import_id))


async def visible_import(call: Call, import_id: UUID) -> Import:
    """An import that the caller sees; raises NotFound."""
    found = await find_import(call.conn, import_id)
    _checkvisible_import(call, found)
    return found


def _checkvisible_import(call: Call, found: Import) -> None:
    if not call.user.sees(found.department_id):
        raise NotFound(phrase("there is no import of this id"))
