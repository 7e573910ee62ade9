"""A list of numbers with the carriers that serve them, as carriers and look-up services make.

Headers, encodings and numbers are read as in contact files; other columns do not matter (pure).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from service.audience.numbers.number import REASONS, read_cell, to_e164
from service.audience.numbers.prefix import Prefixes
from service.audience.tables.files import Chunks, Sheet, no_phone_column, open_source
from service.audience.tables.header import SEARCHED_RECORDS, Vocabulary, find_header
from service.audience.tables.workbook_process import OF_LISTS
from service.audience.vocabulary.choices import CARRIERS, read_carrier
from service.errors import FileRefused
from service.words.phrase import listing, phrase

_UNKNOWN = phrase("the carrier is not known; write one of {carriers}", carriers=listing(CARRIERS))
_EMPTY = phrase("no carrier is named")
_CONTRADICTS = phrase("an earlier row names another carrier for this number")


class RejectedRow(NamedTuple):
    """A row that says nothing usable: its place in the file from 1, and why, without its number."""

    row: int
    reason: str


@dataclass(slots=True)
class CarrierList:
    """The carrier of each number, in E.164, and the rows that gave none."""

    carriers: dict[str, str] = field(default_factory=dict)
    rejected: list[RejectedRow] = field(default_factory=list)


def read_carrier_list(
    chunks: Chunks, prefixes: Prefixes, *, encoding: str | None = None
) -> CarrierList:
    """Read a file with a column of numbers and one of carriers.

    Raises:
        FileRefused: it cannot be read as a whole, or lacks one of the columns.
        Invalid: the encoding named is not one that is read.
    """
    words = Vocabulary()
    found = CarrierList()
    source = open_source(chunks, words, encoding=encoding, limits=OF_LISTS)
    try:
        for sheet in source.sheets:
            for row, phone, carrier in _rows(sheet, words):
                reason = _take(found.carriers, phone, carrier, prefixes)
                if reason is not None:
                    found.rejected.append(RejectedRow(row, reason))
    finally:
        source.close()
    return found


def _rows(sheet: Sheet, words: Vocabulary) -> Iterator[tuple[int, str, str]]:
    """Each row below the header that is not blank: its place, its number's cell, its carrier's."""
    header = find_header(list(islice(sheet.records(), SEARCHED_RECORDS + 1)), words)
    if header is None:
        raise no_phone_column()
    if "carrier" not in header.columns:
        raise FileRefused(
            phrase("the header has no column of carriers; add one named 运营商 or carrier"),
            code="no_carrier_column",
        )
    places = header.columns["phone"], header.columns["carrier"]
    for row, record in header.below(sheet.records()):
        if any(cell.strip() for cell in record):
            phone, carrier = (record[at] if at < len(record) else "" for at in places)
            yield row, phone, carrier


def _take(carriers: dict[str, str], phone: str, carrier: str, prefixes: Prefixes) -> str | None:
    """Add a row's numbers to `carriers`; or say why not."""
    cell, choice = read_cell(phone, prefixes), read_carrier(carrier)
    if cell.code is not None:
        return REASONS[cell.code]
    if not choice.value:
        return _UNKNOWN if choice.unknown else _EMPTY
    numbers = [to_e164(number) for number in cell.numbers]
    if any(carriers.get(number, choice.value) != choice.value for number in numbers):
        return _CONTRADICTS
    carriers.update(dict.fromkeys(numbers, choice.value))
    return None
