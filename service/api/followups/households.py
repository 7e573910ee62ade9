"""Households of a round over HTTP: written down one by one or from a file, and listed."""

import asyncio
from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.cases.case_imports import CaseColumnRefusedOut, CaseFileOut, CaseRowsOut
from service.api.followups.visits import VisitNote
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.problems import TooLarge
from service.api.http.schema import Body, Day, Instant, Int, Line, Out, Page, TranslatedText
from service.api.http.upload import Upload
from service.audience.areas.area_store import get_area
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Invalid, NotFound
from service.followups.followups import NOTE
from service.followups.ladder import VisitResult
from service.followups.rounds import household_imports, household_store, registering, rounds
from service.followups.rounds.household import LONGEST_LABEL, MOST_SPOKEN_TO
from service.followups.rounds.household_file import HouseholdFile, read_household_file
from service.followups.rounds.household_imports import MOST_TOLD, HouseholdRequest
from service.followups.rounds.registering import LABEL, HouseholdEntry
from service.followups.visits import need_visitor
from service.words.phrase import phrase

FILE_OCTETS = 16 * 1024 * 1024

HouseholdResult = Literal["told", "not_home", "refused", "moved", "excused"]
HouseholdState = Literal["told", "open", "refused", "moved", "excused"]


class HouseholdBody(Body):
    """What came of going to a household."""

    key: UUID = Field(
        description="Made by whoever sends it, the same each time the same result is sent: however"
        " often that is, and however late, it is written down once."
    )
    area: Line = Field(description="The code of its village, or of a group of it.")
    household: Annotated[Line, Field(max_length=LONGEST_LABEL)] = Field(
        description="Where it is, such as 三组12号: no name, no phone number. Kept encrypted."
    )
    result: HouseholdResult
    spoken_to: Annotated[Int, Field(ge=0, le=MOST_SPOKEN_TO)] = Field(
        default=0, description="How many people were told there: heads. Of told, at least 1."
    )
    text: Annotated[Int, Field(ge=1)] | None = Field(
        default=None,
        description="Which text was read out: its number in the round. Default: the only one.",
    )
    on: Day | None = Field(default=None, description="The day of the visit; default: today.")
    by: UUID | None = Field(
        default=None, description="Who was there: somebody of your department; default: you."
    )
    note: VisitNote = Field(default="", description="Kept encrypted. An excuse needs one.")


class HouseholdQuery(PageQuery):
    """Which households."""

    area: Line = Field(description="Those of this village, by its code.")
    state: HouseholdState | None = None


class HouseholdImportForm(Body):
    """What is said of a file of households."""

    dry_run: bool = Field(default=False, description="Read and report, but write nothing down.")
    accept_partial: bool = Field(
        default=False, description="Write the rest where rows are rejected; else nothing (422)."
    )
    encoding: Line | None = Field(default=None, description="Of a text file; default: found out.")


class WrittenHouseholdOut(Out):
    """What was written down, and where the household stands now.

    repeated: it was there already, under the same key, and nothing was done.
    """

    household_id: UUID
    no: int
    state: HouseholdState
    not_home: int
    disputed: bool
    repeated: bool


class HouseholdOut(Out):
    """A household that somebody went to. household: its label; null: it has gone."""

    id: UUID
    household: str | None
    state: HouseholdState
    not_home: int = Field(description="How often nobody was at home.")
    spoken_to: int
    tries: int
    last_on: date
    disputed: bool = Field(description="Two results contradict each other.")


class HouseholdTryOut(Out):
    """What came of going there once. text: which was read out; null: nobody has said."""

    no: int
    result: HouseholdResult
    spoken_to: int
    text: int | None
    on_day: date
    by_id: UUID
    written_by: UUID
    note: str
    at: Instant
    disputed: bool


class HouseholdDetail(Out):
    """All that was written down of visits to a household."""

    id: UUID
    round_id: UUID
    area: str
    household: str | None
    state: HouseholdState
    tries: list[HouseholdTryOut]


class HouseholdTableOut(Out):
    """A table of the file, and what its columns were taken for."""

    sheet: str
    header_rows: list[int]
    mapped: dict[str, str]
    refused: list[CaseColumnRefusedOut]
    ignored: list[str]


class HouseholdRejectOut(Out):
    """A row that is not taken, and why. header, value: the cell at fault; it is not stored."""

    sheet: str
    row: int
    code: str
    why: TranslatedText
    column: str
    header: str
    value: str = Field(description="Shortened; long numbers are masked.")


class HouseholdReportOut(Out):
    """What became of a file: read = accepted + rejected + skipped, always."""

    file: CaseFileOut
    tables: list[HouseholdTableOut]
    rows: CaseRowsOut
    rejected: dict[str, int]
    skipped: dict[str, int] = Field(
        description="written_before: rows of an earlier file, which stand here again."
    )
    results: dict[HouseholdResult, int] = Field(description="Of the rows that are accepted.")
    rejects: list[HouseholdRejectOut] = Field(description=f"The first {MOST_TOLD:,} rejected rows.")


async def write_household(call: Call, round_id: UUID, body: HouseholdBody) -> WrittenHouseholdOut:
    """Write down what came of going to a household: once, however often it is sent.

    The first visit registers the household, a later one adds a try. The first result that ends it
    counts; one that says something else is kept, and the household is marked.
    """
    entry = HouseholdEntry(
        await _village(call, body.area),
        body.household,
        body.key,
        VisitResult(body.result),
        body.spoken_to,
        body.text,
        body.on or day_in_china(call.now),
        await need_visitor(call.conn, call.user, body.by),
        body.note,
    )
    written = await registering.register_one(
        call.conn, call.runtime.keyring, call.user, round_id, entry, call.now
    )
    call.note("household", written.household_id, result=body.result, repeated=written.repeated)
    return WrittenHouseholdOut.model_validate(written)


async def _village(call: Call, code: str) -> str:
    """The village of an area: itself, or the one in which a group lies."""
    area = await get_area(call.conn, code)
    if area is None:
        raise Invalid.at("area", phrase("there is no area of this code"))
    return area.parent if area.level == "group" else area.code


async def list_households(call: Call, round_id: UUID, query: HouseholdQuery) -> Page[HouseholdOut]:
    """List the households of a village to which somebody went."""
    sight = await rounds.find(call.conn, call.user, round_id)
    if query.area not in sight.codes:
        raise NotFound(phrase("this area is no village of the round that you may see"))
    found = await household_store.list_households(
        call.conn, round_id, query.area, query.state, (query.before, query.wanted)
    )
    keyring = call.runtime.keyring
    shown = [
        HouseholdOut.model_validate(dict(row) | {"household": _label(keyring, row["label_cipher"])})
        for row in found
    ]
    return cut(Page[HouseholdOut], shown, query)


async def get_household(call: Call, household_id: UUID) -> HouseholdDetail:
    """Show all that was written down of visits to a household, in order."""
    none = NotFound(phrase("there is no household {household_id}", household_id=household_id))
    row = await household_store.find_household(call.conn, household_id)
    if row is None:
        raise none
    try:
        sight = await rounds.find(call.conn, call.user, row["round_id"])
    except NotFound:
        raise none from None
    if row["village"] not in sight.codes:
        raise none
    keyring = call.runtime.keyring
    tries = [
        HouseholdTryOut.model_validate(
            dict(one)
            | {
                "text": one["text_no"],
                "note": keyring.decrypt(NOTE, cipher) if (cipher := one["note_cipher"]) else "",
            }
        )
        for one in await household_store.list_tries(call.conn, household_id)
    ]
    return HouseholdDetail(
        id=household_id,
        round_id=row["round_id"],
        area=row["village"],
        household=_label(keyring, row["label_cipher"]),
        state=row["state"],
        tries=tries,
    )


def _label(keyring: Keyring, cipher: bytes | None) -> str | None:
    return None if cipher is None else keyring.decrypt(LABEL, cipher)


async def read_file(body: HouseholdImportForm, file: Upload) -> HouseholdFile:
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
    return await asyncio.to_thread(read_household_file, lambda: pieces, body.encoding)


async def import_households(
    call: Call, round_id: UUID, body: HouseholdImportForm, file: Upload, listed: HouseholdFile
) -> HouseholdReportOut:
    """Write down visits to households from a file: all of its rows, or none.

    A row that stood in an earlier file is not written again, so a form that grows may be sent each
    day.
    """
    report = await household_imports.take_file(
        call.conn,
        call.runtime.keyring,
        call.user,
        round_id,
        listed,
        HouseholdRequest(body.accept_partial, body.dry_run),
        call.by(""),
    )
    rows = report["rows"]
    call.note(
        "visit_round",
        round_id,
        file_sha256=file.sha256,
        accepted=rows["accepted"],
        rejected=rows["rejected"],
        dry_run=body.dry_run,
    )
    return HouseholdReportOut.model_validate(report)
