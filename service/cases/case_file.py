"""A file of case figures, row by row: what is accepted, rejected, skipped, and never taken.

Files, encodings and headers are read as contact files are (import rules §2, §3). A row names a
week, an area and a kind of fraud; without a column of cases each row is one case. Columns with what
is known of persons are named in the report, and their values go no further than this module.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

from service.audience.areas.area import CACHED_PLACES, AreaTree
from service.audience.imports.entry_rows import (
    EntryFile,
    EntryForm,
    EntryRow,
    RowFault,
    read_entries,
    shown_value,
    skipped_as,
)
from service.audience.tables.files import Chunks
from service.audience.tables.header import SEARCHED_RECORDS
from service.audience.vocabulary.cells import is_blank, squeeze, text_form
from service.cases.case_columns import CASE_WORDS, WAN, CaseTable, table_of
from service.cases.figures import CaseFigure
from service.cases.fraud_types import FraudTypes
from service.cases.week import IsoWeek, parse_week
from service.errors import FileRefused
from service.words.phrase import phrase

MOST_ROWS = 50_000
MOST_CASES = 100_000
MOST_LOSS = 10**13
"""Of a row, in yuan."""

_LOSS = re.compile(r"([0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(\.[0-9]+)?(万?)元?")
_COUNT = re.compile(r"([0-9]{1,6})(?:\.0+)?[起件]?")

REJECTED = {
    "week_invalid": phrase("no week: write 2027-W03, 2027年第3周 or a day of it"),
    "week_in_future": phrase("the week has not begun yet"),
    "week_not_covered": phrase(
        "the week is none of those that the file covers: name it in the weeks, or take the row out"
    ),
    "area_unknown": phrase(
        "no town or village of the tree has this name or code: write the code, or town and village"
    ),
    "type_unknown": phrase("no kind of fraud has this name: write its key, as T01, or its name"),
    "count_invalid": phrase("no whole number of cases"),
    "loss_invalid": phrase("no whole number of yuan: write 0 where nothing was lost"),
    "loss_without_case": phrase("a loss without a case"),
    "duplicate_key": phrase("week, area and kind stand in an earlier row already: add them up"),
}
"""Why a row is rejected, and what to do."""


class RejectedCaseRow(NamedTuple):
    """A row that is not taken: where, why, and the cell that is at fault, for whoever mends it."""

    sheet: str
    row: int
    code: str
    column: str
    header: str
    value: str


CaseFile = EntryFile[CaseTable]
"""What a file holds that is used at all."""


@dataclass(slots=True)
class CaseReport:
    """What became of the rows: read = accepted + rejected + skipped."""

    figures: dict[tuple[IsoWeek, str, str], CaseFigure] = field(default_factory=dict)
    rejected: list[RejectedCaseRow] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    accepted: int = 0

    @property
    def read(self) -> int:
        """How many rows there were."""
        return self.accepted + len(self.rejected) + self.skipped.total()


def read_case_file(chunks: Chunks, encoding: str | None = None) -> CaseFile:
    """The rows of a file of cases, with no cell of a column that is not used.

    Raises:
        FileRefused: it cannot be read as a whole, has no table of cases, or too many rows.
        Invalid: the encoding named is not one that is read.
    """
    form = EntryForm(CASE_WORDS, "week", table_of, _no_cases, MOST_ROWS, _too_many)
    return read_entries(chunks, form, encoding)


def _no_cases() -> FileRefused:
    return FileRefused(
        phrase(
            "none of the first {searched_records} rows has the header of a week or day, such as"
            " 周次, 发案日期 or week; add one",
            searched_records=SEARCHED_RECORDS,
        ),
        code="no_week_column",
    )


def _too_many() -> FileRefused:
    return FileRefused(
        phrase(
            "the file has more than {most:,} rows; split it, by year for instance", most=MOST_ROWS
        ),
        code="too_many_rows",
    )


Repairs = Mapping[str, Mapping[str, str]]
"""What a person typed in place of cells: by row, as text, then by column."""


def repaired(file: CaseFile, repairs: Repairs) -> CaseFile:
    """A file with what a person typed in place of cells. A place may be typed whole: then it stands
    for all cells of the place.
    """
    rows = []
    for row in file.rows:
        typed = {c: value for c, value in repairs.get(str(row.row), {}).items() if c in _REPAIRED}
        if typed.keys() & _PLACE:
            value = next(typed[column] for column in typed if column in _PLACE)
            kept = dict.fromkeys(_PLACE, "")
            typed = {c: v for c, v in typed.items() if c not in _PLACE} | kept | {"area": value}
        rows.append(row._replace(cells={**row.cells, **typed}) if typed else row)
    return CaseFile(file.format, file.encoding, file.tables, rows)


_PLACE = frozenset({"area_code", "town", "village", "area"})
_REPAIRED = _PLACE | {"week", "fraud_type", "cases", "loss"}


def judge(
    file: CaseFile,
    tree: AreaTree,
    types: FraudTypes,
    weeks: Collection[IsoWeek],
    this_week: IsoWeek,
) -> CaseReport:
    """What becomes of each row. weeks: those that the file covers; this_week: the present one."""
    judge_row = _Judge(file.tables, tree, types, frozenset(weeks), this_week)
    for row in file.rows:
        judge_row(row)
    return judge_row.report


class _Judge:
    """Reads rows one after another into a report."""

    def __init__(
        self,
        tables: Sequence[CaseTable],
        tree: AreaTree,
        types: FraudTypes,
        weeks: frozenset[IsoWeek],
        this_week: IsoWeek,
    ) -> None:
        self.report = CaseReport()
        self._tables = tables
        self._tree = tree
        self._place = lru_cache(CACHED_PLACES)(tree.resolve)
        self._types = types
        self._weeks = weeks
        self._this_week = this_week
        self._seen: set[tuple[IsoWeek, str, str]] = set()

    def __call__(self, row: EntryRow) -> None:
        if why := skipped_as(row, has_key=_week(row) is not None):
            self.report.skipped[why] += 1
            return
        table = self._tables[row.table]
        try:
            figure = self._read(row, table)
        except RowFault as fault:
            self.report.rejected.append(_rejected(row, table, fault))
            return
        self.report.accepted += 1
        key = (figure.week, figure.area, figure.fraud_type)
        known = self.report.figures.get(key)
        self.report.figures[key] = _added(known, figure) if known else figure

    def _read(self, row: EntryRow, table: CaseTable) -> CaseFigure:
        week = self._week(row)
        area = self._area(row)
        kind = self._types.find(text_form(row.cells["fraud_type"]))
        if kind is None:
            raise RowFault("type_unknown", "fraud_type")
        cases = 1 if table.one_case_a_row else _cases(row.cells["cases"])
        loss = _loss(row.cells["loss"], table.factor)
        if loss and not cases:
            raise RowFault("loss_without_case", "cases")
        key = (week, area, kind.key)
        if not table.one_case_a_row:
            if key in self._seen:
                raise RowFault("duplicate_key", "week")
            self._seen.add(key)
        return CaseFigure(*key, cases, loss, loss if cases == 1 else None)

    def _week(self, row: EntryRow) -> IsoWeek:
        week = _week(row)
        if week is None:
            raise RowFault("week_invalid", "week")
        if week > self._this_week:
            raise RowFault("week_in_future", "week")
        if week not in self._weeks:
            raise RowFault("week_not_covered", "week")
        return week

    def _area(self, row: EntryRow) -> str:
        columns = ("area_code", "town", "village", "area")
        place = self._place(*(row.cells.get(column, "") for column in columns))
        area = self._tree.areas.get(place.code)
        while area is not None and area.level == "group":
            area = self._tree.areas.get(area.parent)
        # A town with a village that it has not is no row of the town's: nobody guesses.
        if area is None or place.warnings or area.level not in {"town", "village", "community"}:
            at = next((c for c in columns if not is_blank(row.cells.get(c, ""))), "")
            raise RowFault("area_unknown", at or next(c for c in columns if c in row.cells))
        return area.code


def _rejected(row: EntryRow, table: CaseTable, fault: RowFault) -> RejectedCaseRow:
    return RejectedCaseRow(
        row.sheet,
        row.row,
        fault.code,
        fault.column,
        table.titles.get(fault.column, fault.column),
        shown_value(row.cells.get(fault.column, "")),
    )


def _added(known: CaseFigure, figure: CaseFigure) -> CaseFigure:
    """Two rows of one key, each of which is one case."""
    return known._replace(
        cases=known.cases + figure.cases,
        loss_yuan=known.loss_yuan + figure.loss_yuan,
        largest_case_yuan=max(known.largest_row_yuan, figure.largest_row_yuan),
    )


def _week(row: EntryRow) -> IsoWeek | None:
    return parse_week(text_form(row.cells["week"]))


def _cases(cell: str) -> int:
    found = _COUNT.fullmatch(squeeze(text_form(cell)))
    if found is None or int(found[1]) > MOST_CASES:
        raise RowFault("count_invalid", "cases")
    return int(found[1])


def _loss(cell: str, factor: Decimal) -> int:
    """A loss in yuan; a cell that says 万 itself is not multiplied twice."""
    found = _LOSS.fullmatch(squeeze(text_form(cell)))
    if found is None:
        raise RowFault("loss_invalid", "loss")
    try:
        number = Decimal(found[1].replace(",", "") + (found[2] or ""))
    except InvalidOperation as error:
        raise RowFault("loss_invalid", "loss") from error
    yuan = number * (WAN if found[3] else factor)
    if yuan != yuan.to_integral_value() or yuan > MOST_LOSS:
        raise RowFault("loss_invalid", "loss")
    return int(yuan)
