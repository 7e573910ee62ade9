"""A contact file, row by row: what each row is, and at the end the report of the whole.

The rules are those of `tests/data/contacts/import-rules.md`. Nothing is dropped silently:
each row read gives exactly one result, and the report's figures add up to the rows read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from service.audience.cells import text_form
from service.audience.files import Chunks, Sheet, Source, no_phone_column, open_source
from service.audience.header import SEARCHED_RECORDS, Vocabulary, find_header, header_form
from service.audience.model import (
    Accepted,
    Duplicate,
    Origin,
    Recipient,
    Rejected,
    Report,
    RowResult,
    Skipped,
)
from service.audience.recipients import Addition, Recipients
from service.audience.report import (
    RULES_VERSION,
    RecipientCount,
    RowCount,
    Spellings,
    TableCount,
)
from service.audience.rows import Person, Refusal, RowReader, Skip
from service.audience.rows import Rules as Rules
from service.audience.traits import roles_of
from service.errors import Invalid

MINORS = "14-17"


def read_contacts(
    chunks: Chunks,
    *,
    rules: Rules,
    opted_out: Callable[[str], bool],
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> "ContactReading":
    """Open a contact file for reading.

    Args:
        chunks: opens the file anew at each call; it is read several times, never held.
        rules: the area tree and the prefix table.
        opted_out: whether an 11-digit number is on the opt-out list.
        encoding: the file's encoding, where the uploader knows better than the rules.
        columns: headers named by the uploader, as column → header or header → column.

    Raises:
        FileRefused: the file cannot be read as a whole.
        Invalid: `encoding` or `columns` make no sense.
    """
    words = Vocabulary(columns)
    return ContactReading(open_source(chunks, words, encoding=encoding), words, rules, opted_out)


class ContactReading:
    """A file being read: iterate over it once, then ask for the report."""

    def __init__(
        self,
        source: Source,
        words: Vocabulary,
        rules: Rules,
        opted_out: Callable[[str], bool],
    ) -> None:
        self._source = source
        self._words = words
        self._rules = rules
        self._opted_out = opted_out
        self._recipients = Recipients()
        self._rows = RowCount()
        self._count = RecipientCount()
        self._spellings = Spellings()
        self._skipped_sheets: list[dict[str, str]] = []
        self._tables = list(self._find_tables())
        if not self._tables:
            raise no_phone_column()
        self._check_named_headers()

    def _find_tables(self) -> Iterator[tuple[Sheet, TableCount]]:
        for sheet in self._source.sheets:
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
            problem = f"no table of the file has the header {', '.join(sorted(missing))}"
            raise Invalid(f"columns: {problem}", fields={"columns": problem}, code="no_such_column")

    def __iter__(self) -> Iterator[RowResult]:
        for sheet, table in self._tables:
            reader = RowReader(table.header, self._words, self._rules)
            for result in self._read_table(sheet, table, reader):
                self._rows.add(result)
                yield result

    def _read_table(
        self, sheet: Sheet, table: TableCount, reader: RowReader
    ) -> Iterator[RowResult]:
        """The rows below the header; blank ones after the last that is not blank are not read."""
        below = table.header.rows[-1]
        blank: list[Skipped] = []
        for row, record in enumerate(islice(sheet.records(), below, None), below + 1):
            cells = reader.cells(record)
            verdict = reader.read(cells)
            if isinstance(verdict, Skip):
                skipped = Skipped(sheet.name, row, verdict.code)
                if verdict.code == "blank":
                    blank.append(skipped)
                    continue
                result: RowResult = skipped
            else:
                _count_refused_cells(table, cells)
                result = self._settle(verdict, Origin(sheet.name, row))
            table.rows_read += len(blank) + 1
            yield from blank
            blank.clear()
            yield result

    def _settle(self, verdict: Person | Refusal, origin: Origin) -> RowResult:
        if isinstance(verdict, Refusal):
            return Rejected(*origin, verdict.code, verdict.masked, verdict.suggestion)
        additions = [
            self._recipients.add(number, verdict.link, origin) for number in verdict.numbers
        ]
        if not any(addition.new or addition.linked for addition in additions):
            return Duplicate(*origin, verdict.numbers, additions[0].origin)
        return self._accept(verdict, origin, additions)

    def _accept(self, person: Person, origin: Origin, additions: Sequence[Addition]) -> Accepted:
        new, linked = [], []
        for number, addition in zip(person.numbers, additions, strict=True):
            self._count_roles(addition)
            if addition.new:
                new.append(self._count_recipient(number, person))
            elif addition.linked:
                linked.append(number)
        suppressed = tuple(r.number for r in new if self._opted_out(r.number))
        self._count.suppressed += len(suppressed)
        self._spellings.add(person.place)
        merging = None if new else next(a for a in additions if a.linked)
        return Accepted(
            *origin,
            person.numbers,
            person.link,
            person.synthetic,
            person.fixes,
            person.warnings,
            tuple(new),
            tuple(linked),
            suppressed,
            merging and ("two_names" if merging.new_name else "same_name"),
            merging and merging.origin,
        )

    def _count_roles(self, addition: Addition) -> None:
        if addition.new_roles:
            self._count.by_role.update(roles_of(addition.new_roles))
            if not addition.new and not addition.had_roles:
                self._count.by_role["none"] -= 1
        elif addition.new:
            self._count.by_role["none"] += 1

    def _count_recipient(self, number: str, person: Person) -> Recipient:
        count, link = self._count, person.link
        prefix = self._rules.prefixes.find(number)
        allotted = prefix.carrier if prefix else ""
        carrier = link.carrier if link.carrier and len(person.numbers) == 1 else allotted
        count.total += 1
        count.ported += carrier != allotted
        count.mvno += prefix is not None and prefix.kind == "mvno"
        count.minors_14_17 += link.age_band == MINORS
        count.by_carrier[carrier] += 1
        count.by_age_band[link.age_band] += 1
        count.by_town[self._rules.areas.town_of(link.area) if link.area else "none"] += 1
        return Recipient(number, carrier)

    @property
    def report(self) -> Report:
        """The report of §12, complete once all rows have been read."""
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
            **self._rows.report(),
            "recipients": self._count.report(),
        }

    @property
    def spellings(self) -> Report:
        """What a real import's report adds: the spellings of areas, for confirmation."""
        return self._spellings.report()


def _count_refused_cells(table: TableCount, cells: Sequence[str]) -> None:
    for at, column in enumerate(table.header.refused):
        cell = cells[column.index]
        if cell and text_form(cell):
            table.refused[at] += 1
