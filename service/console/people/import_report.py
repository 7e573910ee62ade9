"""What an import's page says of its report: sums, rows to mend by rule, what to look at (pure)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.api.audience.imports import ImportOut
from service.console.people import words
from service.words.phrase import Phrase

MOST_SPELLINGS = 50
"""Spellings of places that the page shows; the rest is counted."""


@dataclass(frozen=True, slots=True)
class ReportCount:
    """Something that was counted."""

    label: Phrase | str
    count: int


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a file writes an area, and which one was understood; "": none."""

    written: str
    area: str
    rows: int


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column of ours, and what the file calls it."""

    code: str
    header: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """A report that is complete.

    changes: how many people joined, changed and left the list; None: nothing was stored.
    unread: columns that may not be collected, with how many cells. ignored: other columns.
    """

    rows: Mapping[str, int]
    people: int
    changes: Mapping[str, int] | None
    refused: Sequence[ReportCount]
    fixed: Sequence[ReportCount]
    warned: Sequence[ReportCount]
    skipped: Sequence[ReportCount]
    carriers: Sequence[ReportCount]
    towns: Sequence[ReportCount]
    columns: Sequence[ReadColumn]
    unread: Sequence[ReportCount]
    ignored: Sequence[str]
    spellings: Sequence[Spelling] = field(default=())
    spellings_left_out: int = 0


def report_of(shown: ImportOut) -> ImportReport | None:
    """The report of an import; None: there is none, since it is being read, or failed."""
    report = shown.report
    if report is None or "rows" not in report:
        return None
    tables: Sequence[Mapping[str, Any]] = report["tables"]
    people = report["recipients"]
    spellings, left_out = _spellings(shown, report)
    return ImportReport(
        rows=report["rows"],
        people=people["total"],
        changes=(report.get("stored") or {}).get("members"),
        refused=_counts(report["rejected"], words.REJECTED),
        fixed=_counts(report["fixed"], words.FIXED),
        warned=_counts(report["warnings"], words.WARNED),
        skipped=_counts(report["skipped"], words.SKIPPED),
        carriers=_counts(people["by_carrier"], words.CARRIERS),
        towns=_counts(people["by_town"], dict(shown.area_names)),
        columns=[ReadColumn(*pair) for table in tables for pair in table["mapped"].items()],
        unread=_unread(tables),
        ignored=list(dict.fromkeys(header for table in tables for header in table["ignored"])),
        spellings=spellings,
        spellings_left_out=left_out,
    )


def _counts(counted: Mapping[str, int], called: Mapping[str, Any]) -> list[ReportCount]:
    return [
        ReportCount(words.UNKNOWN if code in {"", "none"} else called.get(code, code), count)
        for code, count in Counter(counted).most_common()
    ]


def _unread(tables: Sequence[Mapping[str, Any]]) -> list[ReportCount]:
    cells: Counter[str] = Counter()
    for table in tables:
        for column in table["refused"]:
            cells[column["header"]] += column["non_empty"]
    return [ReportCount(header, count) for header, count in cells.items()]


def _spellings(shown: ImportOut, report: Mapping[str, Any]) -> tuple[list[Spelling], int]:
    listed = report.get("area_spellings") or []
    found = [
        Spelling(one["written"], shown.area_names.get(one["area"], ""), one["rows"])
        for one in listed[:MOST_SPELLINGS]
    ]
    left_out = sum(one["rows"] for one in listed[MOST_SPELLINGS:])
    return found, left_out + report.get("area_spellings_left_out", 0)
