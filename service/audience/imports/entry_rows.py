"""Files that are read while a request waits: the rows of their tables, reduced to what is used.

Files, encodings and headers are read as contact files are (import rules §2, §3). The column that a
table must have is called phone in its words (`Vocabulary`), and by its own name in the rows.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from service.audience.imports.rows import TOTAL_ROW
from service.audience.tables.files import Chunks, open_source
from service.audience.tables.header import (
    SEARCHED_RECORDS,
    ColumnMeaning,
    Header,
    Vocabulary,
    find_header,
    header_form,
)
from service.audience.tables.workbook_process import OF_LISTS
from service.audience.vocabulary.cells import squeeze, text_form
from service.errors import FileRefused

TableT = TypeVar("TableT")

LONGEST_VALUE = 30
_NUMBERS = re.compile(r"[0-9]{13,14}|[0-9]{16,}[xX]?|(?<![0-9])1[0-9]{10}(?![0-9])")


class EntryRow(NamedTuple):
    """A row under its header, reduced to the cells that are used; `first` is its first cell."""

    sheet: str
    row: int
    table: int
    cells: Mapping[str, str]
    first: str
    repeats_header: bool


@dataclass(frozen=True, slots=True)
class EntryFile(Generic[TableT]):
    """What a file holds that is used at all."""

    format: str
    encoding: str | None
    tables: Sequence[TableT]
    rows: Sequence[EntryRow]


class RowFault(Exception):
    """A row cannot be taken: why, as a code, and the column at fault."""

    def __init__(self, code: str, column: str) -> None:
        super().__init__(code)
        self.code = code
        self.column = column


class EntryWords(Vocabulary):
    """The headers of a file of a kind; what names a person is refused, however it is written.

    columns: the headers of each column that is used, with spaces between them; the one that has to
    be there is called phone. persons: in the same way, parts of the headers of each that is not.
    """

    def __init__(self, columns: Mapping[str, str], persons: Mapping[str, str]) -> None:
        super().__init__(
            known={
                header: ColumnMeaning(column)
                for column, headers in columns.items()
                for header in headers.split()
            }
        )
        self._persons = persons
        self._contacts = Vocabulary()

    def meaning(self, cell: str) -> ColumnMeaning | None:
        """What a header cell means, or None if it is not recognised."""
        if known := super().meaning(cell):
            return known
        form = header_form(cell)
        for kind, parts in self._persons.items():
            if any(part in form for part in parts.split()):
                return ColumnMeaning(kind, refused=True)
        named = self._contacts.meaning(cell)
        return named if named and named.refused else None


class EntryForm(NamedTuple, Generic[TableT]):
    """What a file of a kind looks like. key: the column that a table must have. missing: the
    refusal of a file without one. most: rows; too_many: the refusal of a file with more.
    """

    words: Vocabulary
    key: str
    table_of: Callable[[str, Header], TableT]
    missing: Callable[[], FileRefused]
    most: int
    too_many: Callable[[], FileRefused]


def read_entries(
    chunks: Chunks, form: EntryForm[TableT], encoding: str | None = None
) -> EntryFile[TableT]:
    """The rows of a file, with no cell of a column that is not used.

    Raises:
        FileRefused: it cannot be read as a whole, has no table of this form, or too many rows.
        Invalid: the encoding named is not one that is read.
    """
    tables: list[TableT] = []
    rows: list[EntryRow] = []
    try:
        source = open_source(chunks, form.words, encoding=encoding, limits=OF_LISTS)
    except FileRefused as refused:
        raise (form.missing() if refused.code == "no_phone_column" else refused) from refused
    with closing(source):
        for sheet in source.sheets:
            header = find_header(list(islice(sheet.records(), SEARCHED_RECORDS + 1)), form.words)
            if sheet.hidden or header is None:
                continue
            tables.append(form.table_of(sheet.name, header))
            for row in _rows(sheet.name, header, sheet.records(), len(tables) - 1, form):
                if len(rows) == form.most:
                    raise form.too_many()
                rows.append(row)
        if not tables:
            raise form.missing()
        return EntryFile(source.format, source.encoding, tables, rows)


def columns_of(header: Header, key: str) -> dict[str, int]:
    """The used columns of a table by their names, and where each stands."""
    return {key if column == "phone" else column: at for column, at in header.columns.items()}


def _rows(
    sheet: str, header: Header, records: Iterator[list[str]], table: int, form: EntryForm[TableT]
) -> Iterator[EntryRow]:
    """The rows under a header up to the last that is not blank."""
    blank: list[EntryRow] = []
    names = columns_of(header, form.key)
    for row, record in header.below(records):
        first = next((text for cell in record if (text := text_form(cell))), "")
        cells = {name: record[at] if at < len(record) else "" for name, at in names.items()}
        found = EntryRow(
            sheet,
            row,
            table,
            cells,
            first if TOTAL_ROW.fullmatch(squeeze(first)) else ("x" if first else ""),
            form.words.is_phone(cells[form.key]),
        )
        if not first:
            blank.append(found)
            continue
        yield from blank
        blank.clear()
        yield found


def skipped_as(row: EntryRow, *, has_key: bool) -> str | None:
    """Why a row is passed over: blank, repeated_header or total; None: it is not. has_key: whether
    the cell that a row must have says something, so that it sums up no others.
    """
    if not row.first:
        return "blank"
    if row.repeats_header:
        return "repeated_header"
    is_total = TOTAL_ROW.fullmatch(squeeze(row.first))
    return "total" if is_total and not has_key else None


def shown_value(cell: str) -> str:
    """A cell that is at fault, for whoever mends it: shortened, long numbers masked."""
    value = text_form(cell)[:LONGEST_VALUE]
    return _NUMBERS.sub(lambda found: found[0][:3] + "*" * (len(found[0]) - 3), value)
