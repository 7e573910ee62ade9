"""A contact file, row by row: what each row is, and at the end the report of the whole.

The rules are those of `docs/import-rules.md`. Nothing is dropped silently:
each row read gives exactly one result, and the report's figures add up to the rows read. Whether a
row repeats an earlier one is not known here: memory does not grow with the file. That is found in
the staged rows, `Repeats` says it, and the report takes it into account.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from service.audience.imports.model import ListedRow, Rejected, ReportTable, RowResult, Skipped
from service.audience.imports.report import (
    RULES_VERSION,
    Kinds,
    Repeats,
    RowCount,
    Spellings,
    TableCount,
)
from service.audience.imports.rows import (
    PersonRecord,
    RefusedRecord,
    RowReader,
    Rules,
    SkippedRecord,
)
from service.audience.numbers.prefix import Prefix
from service.audience.tables.files import Chunks, Sheet, TableFile, no_table, open_source
from service.audience.tables.header import SEARCHED_RECORDS, Vocabulary, find_header, header_form
from service.audience.vocabulary.cells import text_form
from service.errors import Invalid
from service.words.phrase import listing, phrase

_KEPT_KINDS = 65_536


def read_contacts(
    chunks: Chunks,
    *,
    rules: Rules,
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> "ContactReading":
    """Open a contact file for reading; the caller closes it.

    Args:
        chunks: opens the file anew at each call; it is read several times, never held.
        rules: the area tree and the prefix table.
        encoding: the file's encoding, where the uploader knows better than the rules.
        columns: headers named by the uploader, as column → header or header → column.

    Raises:
        FileRefused: the file cannot be read as a whole.
        Invalid: `encoding` or `columns` make no sense.
    """
    words = Vocabulary(columns)
    source = open_source(chunks, words, encoding=encoding)
    try:
        return ContactReading(source, words, rules)
    except BaseException:
        source.close()
        raise


class ContactReading:
    """A source being read: iterate over it once, then ask for the report."""

    def __init__(self, source: TableFile, words: Vocabulary, rules: Rules) -> None:
        self._source = source
        self._words = words
        self._rules = rules
        self._rows = RowCount()
        self._kinds = Kinds()
        self._kinds_found: dict[tuple[Prefix | None, str, str, str], tuple[str, int]] = {}
        self._spellings = Spellings()
        self._skipped_sheets: list[dict[str, str]] = []
        self._tables = list(self._find_tables())
        if not self._tables:
            raise no_table(source)
        self._check_named_headers()

    def close(self) -> None:
        """Delete what was unpacked for reading."""
        self._source.close()

    def __enter__(self) -> "ContactReading":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sheets(self) -> list[str]:
        """The names of the tables, in the order in which they are read."""
        return [sheet.name for sheet, _ in self._tables]

    def _find_tables(self) -> Iterator[tuple[Sheet, TableCount]]:
        for sheet in self._source.sheets:
            if sheet.hidden:
                self._skipped_sheets.append({"sheet": sheet.name, "reason": "hidden"})
                continue
            first = list(islice(sheet.records(), SEARCHED_RECORDS + 1))
            header = find_header(first, self._words)
            if header:
                yield sheet, TableCount(sheet.name, header)
            else:
                self._skipped_sheets.append({"sheet": sheet.name, "reason": "no_phone_column"})

    def _check_named_headers(self) -> None:
        titles = {title for _, table in self._tables for title in table.header.titles}
        missing = self._words.named.keys() - set(map(header_form, titles))
        if missing:
            problem = phrase(
                "no table of the file has the header {missing}", missing=listing(sorted(missing))
            )
            raise Invalid(
                phrase("columns: {problem}", problem=problem),
                fields={"columns": problem},
                code="no_such_column",
            )

    def __iter__(self) -> Iterator[RowResult]:
        for number, (sheet, table) in enumerate(self._tables):
            reader = RowReader(table.header, self._words, self._rules)
            yield from self._read_table(number, sheet, table, reader)

    def _read_table(
        self, number: int, sheet: Sheet, table: TableCount, reader: RowReader
    ) -> Iterator[RowResult]:
        """The rows below the header; blank ones after the last that is not blank are not read."""
        refused = [column.index for column in table.header.refused]
        blank = 0  # they stand next to each other, and there may be a file full of them
        for row, record in table.header.below(sheet.records()):
            cells = reader.cells(record)
            verdict = reader.read(cells)
            if isinstance(verdict, PersonRecord):
                result: RowResult = self._listed(number, row, verdict)
            elif isinstance(verdict, SkippedRecord):
                if verdict.code == "blank":
                    blank += 1
                    continue
                self._rows.skipped[verdict.code] += 1
                result = Skipped(sheet.name, row, verdict.code)
            else:
                self._rows.rejected[verdict.code] += 1
                result = _rejected(sheet.name, row, verdict)
            if refused and not isinstance(verdict, SkippedRecord):
                _count_refused_cells(table, refused, cells)
            table.rows_read += blank + 1
            self._rows.skipped["blank"] += blank
            yield from (Skipped(sheet.name, at, "blank") for at in range(row - blank, row))
            blank = 0
            yield result

    def _listed(self, table: int, row: int, person: PersonRecord) -> ListedRow:
        numbers, link, place, synthetic, fixes, warnings = person
        said = link.carrier if len(numbers) == 1 else ""
        carriers: tuple[str, ...] = ()
        kinds: tuple[int, ...] = ()
        for number in numbers:
            carrier, kind = self._kind(number, place.town, link.age_band, said)
            self._kinds.count(kind, link.roles)
            carriers += (carrier,)
            kinds += (kind,)
        self._rows.listed[fixes, warnings] += 1
        if place.fixes or place.warnings:
            self._spellings.add(place)
        return ListedRow(table, row, numbers, carriers, kinds, link, synthetic, fixes, warnings)

    def _kind(self, number: str, town: str, age_band: str, said: str) -> tuple[str, int]:
        """The carrier that serves a number, and the index of its kind."""
        prefix = self._rules.prefixes.find(number)
        key = (prefix, town, age_band, said)
        found = self._kinds_found.get(key)
        if found is None:
            allotted = prefix.carrier if prefix else ""
            carrier = said or allotted
            is_virtual = prefix is not None and prefix.kind == "mvno"
            kind = (town or "none", age_band, carrier, carrier != allotted, is_virtual)
            if len(self._kinds_found) > _KEPT_KINDS:
                self._kinds_found.clear()
            found = self._kinds_found[key] = (carrier, self._kinds.index(kind))
        return found

    def report(self, repeats: Repeats) -> ReportTable:
        """The report of §12, complete once all rows have been read and staged."""
        source = self._source
        return {
            "rules_version": RULES_VERSION,
            "file": {
                "format": source.format,
                "encoding": source.encoding,
                "delimiter": source.delimiter,
            },
            "tables": [table.report() for _, table in self._tables],
            "tables_skipped": self._skipped_sheets,
            **self._rows.report(repeats),
            "recipients": self._kinds.report(repeats),
        }

    @property
    def spellings(self) -> ReportTable:
        """What a real import's report adds: the spellings of areas, for confirmation."""
        return self._spellings.report()


def _rejected(sheet: str, row: int, refusal: RefusedRecord) -> Rejected:
    return Rejected(sheet, row, *refusal)


def _count_refused_cells(table: TableCount, columns: Sequence[int], cells: Sequence[str]) -> None:
    for at, column in enumerate(columns):
        cell = cells[column]
        if cell and text_form(cell):
            table.refused[at] += 1
