"""Taking a file of case figures, and taking it back."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.audience.areas.area_store import read_area_tree
from service.cases import store
from service.cases.case_file import REJECTED, CaseFile, CaseReport, judge
from service.cases.week import IsoWeek, week_of
from service.errors import Conflict, Invalid
from service.storage.locks import lock_cases
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_TOLD = 1_000
"""Rejected rows that a report names; all are counted."""


class TakenFile(NamedTuple):
    """What became of a file. import_id: None: nothing was stored."""

    import_id: UUID | None
    report: dict[str, Any]
    replaced: int


class RowsRejected(Invalid):
    """Rows of a file are wrong, and nothing of it is stored; the report says which."""

    code = "rows_rejected"

    def __init__(self, report: Mapping[str, Any]) -> None:
        rejected = report["rows"]["rejected"]
        super().__init__(
            phrase(
                "{rejected:,} of the rows cannot be taken, so nothing was stored: mend them, or"
                " have the rest taken without them",
                rejected=rejected,
            )
        )
        self.report = report

    def details(self) -> Mapping[str, object]:
        """The whole report, with each rejected row's reason in words."""
        rejects = [{**row, "why": REJECTED[row["code"]]} for row in self.report["rejects"]]
        return {"report": {**self.report, "rejects": rejects}}


def check_cover(weeks: Sequence[IsoWeek], now: datetime, zone: ZoneInfo) -> IsoWeek:
    """The present week; what a file covers may not lie after it.

    Raises:
        Invalid: a week has not begun, and would count as one without a case.
    """
    this_week = week_of(now.astimezone(zone).date())
    if weeks[-1] > this_week:
        problem = phrase("{week} has not begun yet", week=str(weeks[-1]))
        raise Invalid.at("weeks", problem, code="week_in_future")
    return this_week


class CaseRequest(NamedTuple):
    """What is to be done with a file. weeks: that it covers; this_week: the present one."""

    weeks: Sequence[IsoWeek]
    this_week: IsoWeek
    file_sha256: str
    accept_partial: bool
    dry_run: bool
    user_id: UUID
    now: datetime


async def take_file(conn: Connection, file: CaseFile, request: CaseRequest) -> TakenFile:
    """Store the figures of a file, which then say what its weeks were.

    Raises:
        RowsRejected: rows are wrong, and it was not said that the rest is to be taken.
    """
    tree = await read_area_tree(conn)
    types = await store.read_fraud_types(conn)
    judged = await asyncio.to_thread(judge, file, tree, types, request.weeks, request.this_week)
    report = report_of(file, judged, request.weeks)
    if request.dry_run:
        return TakenFile(None, report, 0)
    if judged.rejected and not request.accept_partial:
        raise RowsRejected(report)
    await lock_cases(conn)
    kept = {**report, "rejects": [[r.sheet, r.row, r.code] for r in judged.rejected]}
    import_id = await store.insert_import(
        conn, request.weeks, request.file_sha256, kept, request.user_id, request.now
    )
    await store.insert_figures(conn, import_id, judged.figures.values())
    replaced = await store.take_over(conn, import_id, request.weeks, request.now)
    return TakenFile(import_id, report, replaced)


async def undo(conn: Connection, import_id: UUID, user_id: UUID, now: datetime) -> int:
    """Take an import back; returns how many of its weeks have earlier figures again.

    Raises:
        NotFound: there is no such import.
        Conflict: it was taken back before, or another import has taken over one of its weeks.
    """
    await lock_cases(conn)
    found = await store.get_import(conn, import_id)
    if found.undone_at is not None:
        raise Conflict(phrase("this import was taken back before"), code="already_undone")
    if found.in_force < len(found.weeks):
        raise Conflict(
            phrase(
                "a later import has taken over {count} of its weeks: take that one back first",
                count=len(found.weeks) - found.in_force,
            ),
            code="replaced_since",
        )
    restored = await store.give_back(conn, import_id, now)
    await store.note_undone(conn, import_id, user_id, now)
    return restored


def report_of(file: CaseFile, judged: CaseReport, weeks: Sequence[IsoWeek]) -> dict[str, Any]:
    """What became of a file, in the form of an answer: counts, and rejected rows with their cell.

    Stored is the same without the cells.
    """
    by_week = {str(week): {"cases": 0, "loss_yuan": 0} for week in weeks}
    for figure in judged.figures.values():
        by_week[str(figure.week)]["cases"] += figure.cases
        by_week[str(figure.week)]["loss_yuan"] += figure.loss_yuan
    return {
        "file": {"format": file.format, "encoding": file.encoding},
        "tables": [table.told for table in file.tables],
        "rows": {
            "read": judged.read,
            "accepted": judged.accepted,
            "rejected": len(judged.rejected),
            "skipped": judged.skipped.total(),
        },
        "rejected": dict(Counter(row.code for row in judged.rejected)),
        "skipped": dict(judged.skipped),
        "figures": {
            "cases": sum(figure.cases for figure in judged.figures.values()),
            "loss_yuan": sum(figure.loss_yuan for figure in judged.figures.values()),
        },
        "by_week": by_week,
        "rejects": [row._asdict() for row in judged.rejected[:MOST_TOLD]],
    }
