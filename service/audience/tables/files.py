"""From the octets of a contact file to the records of its tables: import rules §2.

The format is known by content, never by the file's name; the encoding is what decodes strictly,
never a statistical guess. Everything streams: a file is read several times, never held.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from service.audience.tables.header import SEARCHED_RECORDS, Vocabulary
from service.audience.tables.workbook_process import UnpackedSheet, WorkbookLimits, unpack_workbook
from service.audience.vocabulary.cells import text_form
from service.errors import FileRefused, Invalid
from service.words.phrase import listing, phrase

Chunks = Callable[[], Iterable[bytes]]
"""Opens a file anew and yields its octets in pieces of any size."""

BOMS = (
    (codecs.BOM_UTF8, "utf-8-bom"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CODECS = {
    "utf-8": "utf-8",
    "utf-8-bom": "utf-8",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "big5": "big5",
}
"""The encodings that an uploader may name; left alone, a file is UTF-8, UTF-16 or GB18030."""

LONGEST_LINE = 1_000_000
_DELIMITERS = (",", "\t", ";", "|")
_SEPARATOR_LINE = re.compile(r'sep=([^"\r\n])(?:\r\n|\r|\n)?', re.IGNORECASE)
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a file: the worksheet's name ("" for text) and its records, read anew."""

    name: str
    records: Callable[[], Iterator[list[str]]]
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file whose format, encoding and delimiter are known; close it after reading."""

    format: str
    encoding: str | None
    delimiter: str | None
    sheets: tuple[Sheet, ...]
    close: Callable[[], None] = lambda: None


def open_source(
    chunks: Chunks,
    words: Vocabulary,
    *,
    encoding: str | None = None,
    limits: WorkbookLimits | None = None,
) -> TableFile:
    """Find out how to read a file; the caller closes the source. limits: of a workbook; else those
    of imports.

    Raises:
        FileRefused: it cannot be read as a whole; `code` is one of the file errors of §13.
        Invalid: the encoding named is not one of CODECS.
    """
    start = _first_octets(chunks)
    if not start:
        raise FileRefused(phrase("the file is empty"), code="empty_file")
    if start.startswith(_ZIP):
        return _workbook(unpack_workbook(chunks, limits))
    if start.startswith(_OLD_OFFICE):
        raise FileRefused(
            phrase(
                "this is an old .xls or a password-protected workbook; save it as CSV UTF-8"
                " without a password and send that"
            ),
            code="unsupported_format",
        )
    text = _Text(chunks, *_encoding(chunks, start, encoding))
    delimiter = _delimiter(text, words)
    sheet = Sheet("", lambda: text.records(delimiter))
    return TableFile("csv", text.encoding, delimiter, (sheet,))


def _workbook(unpacked: Sequence[UnpackedSheet]) -> TableFile:
    def close() -> None:
        for sheet in unpacked:
            sheet.records.close()

    sheets = tuple(_worksheet(sheet) for sheet in unpacked)
    return TableFile("xlsx", None, None, sheets, close)


def _worksheet(sheet: UnpackedSheet) -> Sheet:
    text = _Text(sheet.records.chunks, "utf-8", b"")
    return Sheet(sheet.name, lambda: text.records(","), sheet.hidden)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text file whose encoding is known."""

    chunks: Chunks
    encoding: str
    bom: bytes

    def lines(self) -> Iterator[str]:
        """The lines with their ends: CRLF, LF or CR."""
        last = ""
        for text in _decoded(self.chunks, CODECS[self.encoding], len(self.bom)):
            # The last line may go on, and a CR at its end may belong to a CRLF.
            *lines, last = io.StringIO(last + text, newline="").readlines() or [""]
            yield from lines
        if last:
            yield last

    def records(self, delimiter: str) -> Iterator[list[str]]:
        """The records in RFC 4180 quoting; an empty line is a record without cells."""
        taken = 0

        def lines() -> Iterator[str]:
            nonlocal taken
            for line in self.lines():
                taken += len(line)
                if taken > LONGEST_LINE:  # quoted fields may go on over any number of lines
                    raise FileRefused(
                        phrase(
                            "a row is longer than {longest_line:,} characters; look for a"
                            " quotation mark that is never closed",
                            longest_line=LONGEST_LINE,
                        ),
                        code="unsupported_format",
                    )
                yield line

        reader = csv.reader(lines(), delimiter=delimiter)
        try:
            for record in reader:
                taken = 0
                yield record
        except csv.Error as error:
            raise FileRefused(
                phrase(
                    "line {line}: a field is longer than {most:,}"
                    " characters; look for a quotation mark that is never closed",
                    line=reader.line_num,
                    most=csv.field_size_limit(),
                ),
                code="unsupported_format",
            ) from error


def _first_octets(chunks: Chunks) -> bytes:
    start = b""
    for chunk in chunks():
        start += chunk
        if len(start) >= 4:
            break
    return start


def _encoding(chunks: Chunks, start: bytes, named: str | None) -> tuple[str, bytes]:
    """The encoding's name and the BOM: what decodes strictly and holds no NUL."""
    bom, told = next(((bom, name) for bom, name in BOMS if start.startswith(bom)), (b"", None))
    candidates = [told] if told else ["utf-8", "gb18030"]
    for name in [check_encoding(named)] if named else candidates:
        if _decodes(chunks, CODECS[name], len(bom)):
            return name, bom
    raise FileRefused(
        phrase(
            "the text is not valid {named}; save the file as CSV UTF-8",
            named=named or listing(candidates, " or "),
        ),
        code="encoding_undecidable",
    )


def check_encoding(name: str) -> str:
    """The name of an encoding in the form of CODECS.

    Raises:
        Invalid: an encoding that is not offered.
    """
    plain = name.strip().lower().replace("_", "-")
    if plain not in CODECS:
        problem = phrase("unknown; write one of {known}, or leave it out", known=listing(CODECS))
        raise Invalid(phrase("encoding: {problem}", problem=problem), fields={"encoding": problem})
    return plain


def _decodes(chunks: Chunks, codec: str, skip: int) -> bool:
    line = 0
    try:
        for text in _decoded(chunks, codec, skip):
            if "\0" in text:
                return False
            line = _line_length(line, text)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(chunks: Chunks, codec: str, skip: int) -> Iterator[str]:
    """The text of a file without the octets of its BOM, piece by piece."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    for chunk in chunks():
        yield decoder.decode(chunk[skip:])
        skip = max(0, skip - len(chunk))
    yield decoder.decode(b"", final=True)


def _line_length(before: int, text: str) -> int:
    """The length of the line that goes on after this text; memory holds one line at a time."""
    last_break = max(text.rfind("\n"), text.rfind("\r"))
    length = len(text) - last_break - 1 if last_break >= 0 else before + len(text)
    if length > LONGEST_LINE:
        raise FileRefused(
            phrase(
                "a line is longer than {longest_line:,} characters; this is not a table",
                longest_line=LONGEST_LINE,
            ),
            code="unsupported_format",
        )
    return length


def _delimiter(text: _Text, words: Vocabulary) -> str:
    separator = _SEPARATOR_LINE.fullmatch(next(text.lines(), ""))
    if separator:
        return separator[1]
    best = max(_DELIMITERS, key=lambda delimiter: _score(text, delimiter, words))
    if _score(text, best, words):
        return best
    if any(_is_empty(text.records(delimiter)) for delimiter in _DELIMITERS):
        raise _nothing_in_it()
    raise no_phone_column()


def no_table(source: TableFile) -> FileRefused:
    """The refusal of a file of which no sheet is a table of phone numbers."""
    seen = [sheet for sheet in source.sheets if not sheet.hidden]
    if len(seen) == len(source.sheets) and all(_is_empty(sheet.records()) for sheet in seen):
        return _nothing_in_it()
    return no_phone_column()


def _nothing_in_it() -> FileRefused:
    return FileRefused(phrase("no cell of the file holds anything"), code="empty_file")


def no_phone_column() -> FileRefused:
    """The refusal of a file without a table of phone numbers."""
    return FileRefused(
        phrase(
            "none of the first {searched_records} rows has the header of a phone column,"
            " such as 手机号 or phone; add one, or name yours in `columns`",
            searched_records=SEARCHED_RECORDS,
        ),
        code="no_phone_column",
    )


def _score(text: _Text, delimiter: str, words: Vocabulary) -> int:
    """How many headers are recognised in the first record with a phone header (§2.3)."""
    try:
        for record in islice(text.records(delimiter), SEARCHED_RECORDS):
            if any(map(words.is_phone, record)):
                return sum(words.meaning(cell) is not None for cell in record)
    except FileRefused:  # by this delimiter it is no table
        return 0
    return 0


def _is_empty(records: Iterator[list[str]]) -> bool:
    return not any(text_form(cell) for record in records for cell in record)
