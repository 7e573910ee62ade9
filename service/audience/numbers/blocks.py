"""A table of number blocks from a file: seven digits, their carrier, province and city (pure).

A table is taken whole or not at all. Encodings, delimiters and workbooks are read as in contact
files; whatever the size of the file, memory holds a few octets a block.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from re import compile as pattern
from typing import NamedTuple

from service.audience.numbers.prefix import BLOCKS, FIRST_BLOCK, Prefixes
from service.audience.tables.files import Chunks, Sheet, open_source
from service.audience.tables.header import SEARCHED_RECORDS, ColumnMeaning, Vocabulary, find_header
from service.audience.vocabulary.cells import squeeze, text_form
from service.audience.vocabulary.choices import CARRIERS, read_carrier
from service.errors import FileRefused
from service.words.phrase import listing, phrase
from service.words.terms import term

HEADERS = {
    "phone": "号段 手机号段 号码段 前七位 block prefix segment",
    "carrier": "运营商 运营商名称 carrier operator isp",
    "province": "省 省份 归属省 province",
    "city": "市 城市 地市 归属市 归属地 city",
}
"""What the columns may be called; province and city may be missing."""

MOST_ROWS = 2 * BLOCKS
MOST_PLACES = 65_535
LONGEST_PLACE = 50
MOST_SHOWN = 20
_KNOWN = {
    word: ColumnMeaning(column) for column, words in HEADERS.items() for word in words.split()
}
_BLOCK = pattern(r"(1[0-9]{6})(?:\.0+)?")
_VIRTUAL = pattern("虚拟(?:运营商)?$|/?mvno$")
_CARRIERS = tuple(CARRIERS)


class Block(NamedTuple):
    """Ten thousand numbers with the same first seven digits.

    virtual: they are a virtual operator's, on this carrier's network.
    """

    block: int
    carrier: str
    virtual: bool
    province: str
    city: str


@dataclass(slots=True)
class BlockTable:
    """The blocks of a file, and by reason how many are left out because they are no persons'."""

    left_out: Counter[str] = field(default_factory=Counter)
    count: int = 0
    _codes: bytearray = field(default_factory=lambda: bytearray(BLOCKS))
    _places_of: "array[int]" = field(default_factory=lambda: array("H", bytes(2 * BLOCKS)))
    _places: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, block: Block) -> str | None:
        """Add a block; or say why it cannot be."""
        at = block.block - FIRST_BLOCK
        code = 1 + 2 * _CARRIERS.index(block.carrier) + block.virtual
        place = self._places.setdefault((block.province, block.city), len(self._places))
        if place > MOST_PLACES:
            return phrase("there are more than {most_places:,} cities", most_places=MOST_PLACES)
        if self._codes[at]:
            if (self._codes[at], self._places_of[at]) != (code, place):
                return phrase("an earlier row says something else of {block}", block=block.block)
            return None
        self._codes[at], self._places_of[at] = code, place
        self.count += 1
        return None

    def __iter__(self) -> Iterator[Block]:
        places = list(self._places)
        for at, code in enumerate(self._codes):
            if code:
                carrier, virtual = divmod(code - 1, 2)
                place = places[self._places_of[at]]
                yield Block(FIRST_BLOCK + at, _CARRIERS[carrier], bool(virtual), *place)


def read_blocks(chunks: Chunks, prefixes: Prefixes, *, encoding: str | None = None) -> BlockTable:
    """Read a table of blocks.

    A block whose first digits are no person's (devices, satellites, digits that no carrier has) is
    left out and counted; one that these call a virtual operator's stays one.

    Raises:
        FileRefused: it cannot be read as a whole, lacks a column, or a row makes no sense: then
            the first such rows are named, and nothing of it counts.
        Invalid: the encoding named is not one that is read.
    """
    words = Vocabulary(known=_KNOWN)
    table, wrong = BlockTable(), list[str]()
    try:
        source = open_source(chunks, words, encoding=encoding)
    except FileRefused as refused:
        raise _no_column("phone") if refused.code == "no_phone_column" else refused from refused
    try:
        for sheet in source.sheets:
            for row, cells in _rows(sheet, words):
                reason = _take(table, cells, prefixes)
                if reason is not None:
                    wrong.append(phrase("row {row}: {reason}", row=row, reason=reason))
                    if len(wrong) == MOST_SHOWN:
                        break
    finally:
        source.close()
    if wrong:
        raise FileRefused(
            phrase("nothing of the table is taken: {wrong}", wrong=listing(wrong, "; ")),
            code="bad_rows",
        )
    if not table.count:
        raise FileRefused(
            phrase("no row of the table has a block of persons' numbers"), code="no_rows"
        )
    return table


def _rows(sheet: Sheet, words: Vocabulary) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each row that is not blank, with its place and its cells in the order of HEADERS."""
    header = find_header(list(islice(sheet.records(), SEARCHED_RECORDS + 1)), words)
    missing = (
        next((c for c in ("phone", "carrier") if c not in header.columns), None)
        if header
        else "phone"
    )
    if header is None or missing:
        raise _no_column(missing or "phone")
    places = [header.columns.get(column) for column in HEADERS]
    for row, record in header.below(sheet.records()):
        if row - header.rows[-1] > MOST_ROWS:
            raise FileRefused(
                phrase(
                    "the table has more than {most_rows:,} rows; there are {blocks:,}"
                    " blocks at most",
                    most_rows=MOST_ROWS,
                    blocks=BLOCKS,
                ),
                code="too_many_rows",
            )
        if any(cell.strip() for cell in record):
            yield (
                row,
                tuple(record[at] if at is not None and at < len(record) else "" for at in places),
            )


def _no_column(column: str) -> FileRefused:
    names = listing(HEADERS[column].split()[:: len(HEADERS[column].split()) - 1], " or ")
    what = phrase("first seven digits") if column == "phone" else term("carrier")
    code = "no_block_column" if column == "phone" else "no_carrier_column"
    return FileRefused(
        phrase(
            "no header says which column has the {what}; name it {names}", what=what, names=names
        ),
        code=code,
    )


def _take(table: BlockTable, cells: tuple[str, ...], prefixes: Prefixes) -> str | None:
    """Add what a row says; or say why it says nothing usable."""
    digits, carrier, province, city = cells
    match = _BLOCK.fullmatch(squeeze(text_form(digits)))
    if match is None:
        return phrase("a block is the first seven digits of a mobile number")
    name = squeeze(text_form(carrier)).lower()
    choice = read_carrier(_VIRTUAL.sub("", name))
    if not choice.value:
        return phrase(
            "the carrier is not known; write one of {carriers}, or its Chinese name",
            carriers=listing(CARRIERS),
        )
    places = [text_form(place) for place in (province, city)]
    if any(len(place) > LONGEST_PLACE or not place.isprintable() for place in places):
        return phrase(
            "a province or city has at most {longest_place} characters", longest_place=LONGEST_PLACE
        )
    number = match[1] + "0001"
    code = prefixes.judge(number)
    if code is not None:
        table.left_out[code] += 1
        return None
    known = prefixes.find(number)
    virtual = _VIRTUAL.search(name) is not None or (known is not None and known.kind == "mvno")
    return table.add(Block(int(match[1]), choice.value, virtual, *places))
