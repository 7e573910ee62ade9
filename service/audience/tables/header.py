"""Which row of a table is its header, and what its columns mean: import rules §3.

Columns with more than a warning service needs (identity cards, health, income, …) are refused:
their values are never stored, logged or shown; the report names the column and counts its cells.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from service.audience.vocabulary.cells import WHITE, squeeze, text_form
from service.audience.vocabulary.fields import PERSON_FIELDS
from service.errors import Invalid
from service.words.phrase import listing, phrase

SEARCHED_RECORDS = 20
"""The header must stand among the first so many records."""

_REFUSED = {
    "id_number": "身份证号 身份证号码 身份证 证件号 证件号码 id_card idcard id_number idnumber",
    "bank_account": """银行卡 银行卡号 银行账号 银行账户 账号 开户行
        bank_card bankcard bank_account""",
    "marital_status": "婚姻状况 婚姻 婚否 marital_status",
    "health": "健康状况 健康 病史 疾病 残疾类别 health",
    "income": "收入 年收入 工资 月工资 income salary",
    "religion": "宗教信仰 宗教 religion",
    "ethnicity": "民族 ethnicity",
    "home_address": "家庭住址 家庭地址 住址 详细地址 address home_address",
    "welfare_status": "低保 是否低保 贫困户 是否贫困户 建档立卡 welfare",
    "child_phone": "学生手机号 学生手机 学生电话 孩子手机号 孩子电话 child_phone",
    "biometric": "人脸 照片 指纹 photo face",
}
COLUMNS = tuple(field.code for field in PERSON_FIELDS)
"""The columns that an import can use."""

_PARENTHESES = re.compile(r"\([^)]*\)")


class ColumnMeaning(NamedTuple):
    """What a header cell means: a wanted column, or a kind of refused one. The lowest rank wins."""

    column: str
    rank: int = 1
    refused: bool = False


def _vocabulary() -> dict[str, ColumnMeaning]:
    words: dict[str, ColumnMeaning] = {}
    for field in PERSON_FIELDS:
        for rank, headers in enumerate(field.headers, 1):
            words.update((header, ColumnMeaning(field.code, rank)) for header in headers.split())
    for kind, headers in _REFUSED.items():
        words.update((header, ColumnMeaning(kind, refused=True)) for header in headers.split())
    return words


_VOCABULARY = _vocabulary()


def header_form(cell: str) -> str:
    """A header cell without white space, remarks in parentheses, stars, colons and hashes."""
    return _PARENTHESES.sub("", squeeze(text_form(cell))).strip("*:#").lower()


class Vocabulary:
    """The recognised headers, with those that the uploader has named for this file.

    `known`: the headers of files that are no contact files, by their form; the column that has to
    be there is called phone also in these.
    """

    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        known: Mapping[str, ColumnMeaning] = _VOCABULARY,
    ) -> None:
        self.named = dict(map(_named, (columns or {}).items()))
        """The forms of the headers that the uploader has named, each with its column."""
        self._words = dict(known) | {
            form: ColumnMeaning(column, 0) for form, column in self.named.items()
        }

    def meaning(self, cell: str) -> ColumnMeaning | None:
        """What a header cell means, or None if it is not recognised."""
        return self._words.get(header_form(cell))

    def is_phone(self, cell: str) -> bool:
        """Whether the cell is a header of the phone column."""
        meaning = self.meaning(cell)
        return meaning is not None and meaning.column == "phone"


def _named(pair: tuple[str, str]) -> tuple[str, str]:
    """A header's form and its column, whichever way round the uploader has written them."""
    key, value = pair
    header, column = (value, key) if key in COLUMNS else (key, value)
    form = header_form(header)
    if column not in COLUMNS:
        problem = phrase("one side must be one of {columns}", columns=listing(COLUMNS))
    elif not form or not form.isprintable():
        problem = phrase("the other side must be a header of the file")
    elif form in _VOCABULARY and _VOCABULARY[form].refused:
        problem = phrase(
            "{header} holds personal data that is never imported; leave it out", header=header
        )
    else:
        return form, column
    raise Invalid(phrase("columns: {problem}", problem=problem), fields={"columns": problem})


@dataclass(frozen=True, slots=True)
class RefusedColumn:
    """A column whose values are never stored."""

    index: int
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one table: 1-based rows, and the 0-based index of each column."""

    rows: tuple[int, ...]
    titles: tuple[str, ...]
    columns: Mapping[str, int]
    refused: tuple[RefusedColumn, ...]

    def below(self, records: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
        """The records of the table under its header, each with its 1-based row."""
        last = self.rows[-1]
        return enumerate(islice(records, last, None), last + 1)

    @property
    def width(self) -> int:
        """How many cells of a record belong to the table."""
        return len(self.titles)

    @property
    def mapped(self) -> dict[str, str]:
        """Each used column with its header as it stands in the file."""
        return {column: self.titles[index] for column, index in self.columns.items()}

    @property
    def ignored(self) -> list[str]:
        """The headers of what is neither used nor refused, in column order."""
        known = {*self.columns.values(), *(column.index for column in self.refused)}
        return [title for at, title in enumerate(self.titles) if title and at not in known]


def find_header(records: Sequence[Sequence[str]], words: Vocabulary) -> Header | None:
    """The header among a table's first records (one more than are searched), if it has one."""
    searched = enumerate(records[:SEARCHED_RECORDS])
    at = next((at for at, record in searched if any(map(words.is_phone, record))), None)
    if at is None:
        return None
    if at + 1 < len(records) and any(map(words.is_phone, records[at + 1])):
        return _header((at + 1, at + 2), _merge(records[at], records[at + 1]), words)
    if at > 0 and any(map(words.meaning, records[at - 1])):
        return _header((at, at + 1), _merge(records[at - 1], records[at]), words)
    return _header((at + 1,), records[at], words)


def _merge(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """The headers of two header rows: the lower cell, or the upper one where that is empty."""
    width = max(len(upper), len(lower))
    uppers, lowers = ([*row, *[""] * (width - len(row))] for row in (upper, lower))
    return [low if text_form(low) else up for up, low in zip(uppers, lowers, strict=True)]


def _header(rows: tuple[int, ...], cells: Sequence[str], words: Vocabulary) -> Header:
    best: dict[str, tuple[int, int]] = {}
    refused = []
    for index, cell in enumerate(cells):
        meaning = words.meaning(cell)
        if meaning is None:
            continue
        if meaning.refused:
            refused.append(RefusedColumn(index, cell.strip(WHITE), meaning.column))
        else:
            place = (meaning.rank, index)
            best[meaning.column] = min(best.get(meaning.column, place), place)
    columns = {column: index for column, (_, index) in sorted(best.items(), key=lambda i: i[1][1])}
    return Header(rows, tuple(cell.strip(WHITE) for cell in cells), columns, tuple(refused))
