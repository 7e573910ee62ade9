"""Sheets of an Excel workbook as records of text: import rules §2.5 to §2.7.

The library opens a sheet whole and gives an empty text for an error value, so this module says
what may be opened at all, and reads the error values itself. It runs in a process of its own, see
`workbook_process`: what a hostile file can do ends with that process.
"""

import datetime
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import IO, BinaryIO, NamedTuple
from xml.parsers import expat

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum
from python_calamine import SheetVisibleEnum as Visible

from service.errors import FileRefused
from service.words.phrase import phrase

MOST_MEMBERS = 1_000
MOST_UNPACKED_OCTETS = 256 * 1024 * 1024
MOST_SHEETS = 100
LONGEST_CELL = 32_767
LONGEST_RECORD = 1_000_000
"""Characters in a cell: the limit of Excel itself."""

_READ_OCTETS = 1024 * 1024
_ERROR_TYPE = re.compile(rb"""\st\s*=\s*["']e["']""")
_OVERLAP = 64  # a match may lie across two pieces
_REFERENCE = re.compile("([A-Z]+)([0-9]+)")

Cell = str | int | float | bool | datetime.date | datetime.time | datetime.timedelta
CellPlace = tuple[int, int]
"""A 0-based row and column."""


class WorkbookSheet(NamedTuple):
    """A worksheet: its name, whether it is hidden, and its records from the first row on."""

    name: str
    hidden: bool
    records: Iterator[list[str]]


def read_workbook(
    file: BinaryIO, most_octets: int = MOST_UNPACKED_OCTETS
) -> Iterator[WorkbookSheet]:
    """The worksheets in the workbook's order; of a hidden one, no record is read.

    most_octets: what the file may unpack to.

    Raises:
        FileRefused: the file is no workbook, is damaged or protected, or passes a limit.
    """
    try:
        with zipfile.ZipFile(file) as package:
            _check_members(package, most_octets)
            paths = _sheet_paths(package)
            file.seek(0)
            with CalamineWorkbook.from_filelike(file) as workbook:
                yield from _sheets(workbook, package, paths)
    except (zipfile.BadZipFile, expat.ExpatError, CalamineError, NotImplementedError) as error:
        raise _damaged() from error
    except (KeyError, RuntimeError, EOFError, ValueError, UnicodeError) as error:
        # A part that is missing or encrypted, a header that contradicts itself.
        raise _damaged() from error


def _damaged() -> FileRefused:
    return FileRefused(
        phrase(
            "the workbook is damaged or protected by a password; open it in a spreadsheet"
            " program, save it anew as .xlsx without a password, and send that"
        ),
        code="unsupported_format",
    )


def _check_members(package: zipfile.ZipFile, most_octets: int) -> None:
    """Unpack everything once, piece by piece, since a directory may lie about sizes."""
    members = package.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > MOST_MEMBERS or total > most_octets:
        raise FileRefused(
            phrase(
                "the workbook unpacks to {total:,} octets in {count:,} parts; at most"
                " {most_octets:,} in {most_members:,} are read; save the sheets as CSV"
                " UTF-8 and send those",
                total=total,
                count=len(members),
                most_octets=most_octets,
                most_members=MOST_MEMBERS,
            ),
            code="file_too_large",
        )
    for member in members:
        with package.open(member) as part:  # yields no more than it declares, or fails
            while part.read(_READ_OCTETS):
                pass


def _sheets(
    workbook: CalamineWorkbook, package: zipfile.ZipFile, paths: Mapping[str, str]
) -> Iterator[WorkbookSheet]:
    found = workbook.sheets_metadata
    if len(found) > MOST_SHEETS:
        raise FileRefused(
            phrase(
                "the workbook has {count:,} sheets, at most {most_sheets} are read; delete"
                " those that hold no list",
                count=len(found),
                most_sheets=MOST_SHEETS,
            ),
            code="file_too_large",
        )
    for at, sheet in enumerate(found):
        hidden = sheet.visible is not Visible.Visible
        records: Iterator[list[str]] = iter(())
        if not hidden and sheet.typ is SheetTypeEnum.WorkSheet:
            errors = _error_values(package, paths[sheet.name])
            records = _records(workbook.get_sheet_by_index(at), errors)
        yield WorkbookSheet(sheet.name, hidden, records)


def _records(sheet: CalamineSheet, errors: Mapping[CellPlace, str]) -> Iterator[list[str]]:
    if sheet.start is None or sheet.end is None:
        return
    merges = _Merges(sheet.merged_cell_ranges or (), width=sheet.end[1] + 1)
    before = [""] * sheet.start[1]
    rows_with_errors = {row for row, _ in errors}
    for row, cells in enumerate(sheet.iter_rows()):
        record = before + list(map(cell_text, cells))
        if row in rows_with_errors:
            _put_errors(record, row, errors)
        merges.fill(row, record)
        _check_cells(sheet.name, row, record)
        if sum(map(len, record)) > LONGEST_RECORD:
            raise FileRefused(
                phrase(
                    "row {row} of sheet {sheet_name} has more than {longest_record:,}"
                    " characters once merged cells are filled; take the merge apart",
                    row=row + 1,
                    sheet_name=sheet.name,
                    longest_record=LONGEST_RECORD,
                ),
                code="unsupported_format",
            )
        yield record


def _put_errors(record: list[str], row: int, errors: Mapping[CellPlace, str]) -> None:
    for column in range(len(record)):
        record[column] = errors.get((row, column), record[column])


def _check_cells(sheet: str, row: int, record: Sequence[str]) -> None:
    for text in record:
        if len(text) > LONGEST_CELL or "\0" in text:
            what = (
                phrase("a NUL character")
                if "\0" in text
                else phrase("more than {longest_cell:,} characters", longest_cell=LONGEST_CELL)
            )
            raise FileRefused(
                phrase(
                    "row {row} of sheet {sheet} has a cell with {what}; clear it",
                    row=row + 1,
                    sheet=sheet,
                    what=what,
                ),
                code="unsupported_format",
            )


def cell_text(cell: Cell) -> str:
    """A cell as text (§2.6): whole numbers as digits, dates as YYYY-MM-DD, no exponent."""
    match cell:
        case str():
            return cell
        case bool():
            return "TRUE" if cell else "FALSE"
        case float():
            return str(int(cell)) if cell.is_integer() else format(Decimal(repr(cell)), "f")
        case datetime.datetime():
            midnight = cell.time() == datetime.time()
            return cell.date().isoformat() if midnight else cell.isoformat(" ", "seconds")
        case datetime.date() | datetime.time():
            return cell.isoformat()
        case _:
            return str(cell)


class _Merges:
    """Puts the value of a merged range's first cell into all its cells, row after row (§2.7).

    A range ends where the sheet's cells end, whatever it says.
    """

    def __init__(self, ranges: Sequence[tuple[CellPlace, CellPlace]], *, width: int) -> None:
        self._waiting = sorted(ranges, reverse=True)
        self._width = width
        self._open: list[tuple[int, int, int, str]] = []

    def fill(self, row: int, record: list[str]) -> None:
        """Fill the record of the next row."""
        while self._waiting and self._waiting[-1][0][0] <= row:
            (_, left), (bottom, right) = self._waiting.pop()
            right = min(right, self._width - 1)
            if left <= right:
                self._open.append((bottom, left, right, record[left]))
        if self._open:
            for _, left, right, value in self._open:
                record[left : right + 1] = [value] * (right - left + 1)
            self._open = [merge for merge in self._open if merge[0] > row]


def _sheet_paths(package: zipfile.ZipFile) -> dict[str, str]:
    """Each sheet's name and the part of the package that holds it."""
    targets: dict[str, str] = {}
    for name, attributes in _elements(package, "xl/_rels/workbook.xml.rels"):
        if name == "Relationship":
            targets[attributes["Id"]] = attributes["Target"]
    paths = {}
    for name, attributes in _elements(package, "xl/workbook.xml"):
        if name == "sheet":
            if attributes["name"] in paths:
                raise FileRefused(
                    phrase(
                        "two sheets are named {name}; rename one of them",
                        name=attributes["name"],
                    ),
                    code="unsupported_format",
                )
            target = targets[next(v for key, v in attributes.items() if key.endswith(":id"))]
            paths[attributes["name"]] = target[1:] if target.startswith("/") else f"xl/{target}"
    return paths


def _elements(package: zipfile.ZipFile, path: str) -> list[tuple[str, dict[str, str]]]:
    """The elements of a small part without their prefixes, each with its attributes."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser()
    parser.StartElementHandler = lambda name, attributes: found.append((_local(name), attributes))
    with package.open(path) as part:
        parser.ParseFile(part)
    return found


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    return parser


def _refuse_doctype(*_: object) -> None:
    raise _damaged()  # no spreadsheet program writes one, and entities may grow without end


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _error_values(package: zipfile.ZipFile, path: str) -> dict[CellPlace, str]:
    """The cells of a sheet that hold an error, such as #N/A, with its text.

    Looks at the whole sheet, since the library takes one that breaks off for one that ends.
    """
    with package.open(path) as part:
        if not _scan(part):
            return {}
    reader = _ErrorReader()
    with package.open(path) as part:
        reader.parser.ParseFile(part)
    return reader.found


def _scan(part: IO[bytes]) -> bool:
    """Whether a sheet has error values; its XML must be whole."""
    parser = _parser()
    found, end = False, b""
    while piece := part.read(_READ_OCTETS):
        parser.Parse(piece)
        found = found or _ERROR_TYPE.search(end + piece) is not None
        end = piece[-_OVERLAP:]
    parser.Parse(b"", True)
    return found


class _ErrorReader:
    """Collects the error values of a sheet's XML."""

    def __init__(self) -> None:
        self.found: dict[CellPlace, str] = {}
        self._row, self._column = -1, -1
        self._is_error = False
        self._text: list[str] | None = None
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match _local(name):
            case "row":
                self._row = int(attributes.get("r", self._row + 2)) - 1
                self._column = -1
            case "c":
                self._place(attributes.get("r"))
                self._is_error = attributes.get("t") == "e"
            case "v" if self._is_error:
                self._text = []

    def _place(self, reference: str | None) -> None:
        """Where the cell stands; without a reference it is the next one."""
        self._column += 1
        named = _REFERENCE.fullmatch(reference or "")
        if named:
            self._column = column_number(named[1])
            self._row = int(named[2]) - 1

    def _end(self, name: str) -> None:
        if self._text is not None and _local(name) == "v":
            self.found[self._row, self._column] = "".join(self._text)
            self._text = None

    def _take(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def column_number(letters: str) -> int:
    """The 0-based number of a column: A is 0, Z is 25, AA is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
