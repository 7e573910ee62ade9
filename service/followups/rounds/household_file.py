"""A registration form as a file: which households somebody went to, row by row (pure but for the
file's own octets).

A row names a village, a household and a result. Columns with what is known of persons are named in
the report, and their values go no further than this module.
"""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.audience.areas.area import CACHED_PLACES, AreaTree
from service.audience.imports.entry_rows import (
    EntryFile,
    EntryForm,
    EntryRow,
    EntryWords,
    RowFault,
    columns_of,
    read_entries,
    shown_value,
    skipped_as,
)
from service.audience.tables.files import Chunks
from service.audience.tables.header import (
    SEARCHED_RECORDS,
    Header,
)
from service.audience.vocabulary.cells import is_blank, squeeze, text_form
from service.audience.vocabulary.texts import read_day
from service.errors import FileRefused
from service.followups.ladder import VisitResult
from service.followups.rounds.household import label_form, label_problem
from service.followups.rounds.registering import HouseholdEntry
from service.words.phrase import phrase

MOST_ROWS = 20_000

_COLUMNS = {
    # `phone` is what tables call the column that has to be there.
    "phone": "户 户号 户别 住户 门牌 门牌号 门牌号码 户编号 household house",
    "area_code": """村编码 行政区划代码 区划代码 村居代码 地区代码 区划编码 village_code area_code
        areacode code""",
    "town": "乡镇 所属乡镇 所在乡镇 镇 乡镇街道 town",
    "village": "村 社区 村社区 村居 行政村 所属村 所在村 village",
    "area": "区域 辖区 区划 area",
    "result": "结果 走访结果 入户结果 入户情况 走访情况 result",
    "spoken_to": "告知人数 宣传人数 人数 受教育人数 spoken_to people",
    "on": "日期 入户日期 走访日期 时间 入户时间 走访时间 on date day",
    "by": "入户人 入户人员 走访人 走访人员 宣传员 登记人 by visitor",
    "text": "文本 文本号 宣传文本 text",
    "note": "备注 说明 note",
}
_PERSONS = {
    "name": "姓名 名字 户主 name householder",
    "phone_number": "电话 手机 号码 联系方式 微信 qq phone mobile tel",
    "id_number": "身份证 证件 id_card idcard",
    "bank_account": "账号 账户 银行卡 卡号 bank account",
    "home_address": "地址 住址 address",
    "person": "性别 年龄 职业 民族 老人 儿童 未成年 gender age occupation",
}
"""Parts of headers of what is known of persons; whatever else such a column is called."""

_WORDS = EntryWords(_COLUMNS, _PERSONS)
_RESULTS = {
    VisitResult.TOLD: "told 已告知 告知 已宣传 已入户 已走访 见面 已当面告知 是 √ ✓ 1",
    VisitResult.NOT_HOME: "not_home 不在家 家中无人 无人 外出 没人 未见",
    VisitResult.REFUSED: "refused 拒绝 不愿听 拒听 拒访",
    VisitResult.MOVED: "moved 搬走 已搬走 搬迁 已搬迁 迁走 空户 空房 无人居住",
    VisitResult.EXCUSED: "excused 免访 不再走访",
}
_RESULT_OF = {word: result for result, words in _RESULTS.items() for word in words.split()}
_HEADS = re.compile(r"([0-9]{1,2})(?:\.0+)?[人名口]?")
_TEXT = re.compile(r"(?:文本|第)?([0-9]{1,2})(?:\.0+)?(?:号|条)?")
LONGEST_NOTE = 200

REJECTED = {
    "area_unknown": phrase(
        "no village of the tree has this name or code: write the code, or town and village"
    ),
    "area_outside": phrase("the village is none of this round, or none that you may visit"),
    "household_invalid": phrase(
        "say where the household is, such as 三组12号, in at most 40 characters, without phone"
        " number and identity card"
    ),
    "result_invalid": phrase("no result: write 已告知, 不在家, 拒绝, 搬走 or 免访"),
    "spoken_to_invalid": phrase(
        "write how many people were told, 1 to 99, where somebody was; leave it out elsewhere"
    ),
    "on_invalid": phrase("no day of the round up to today: write it as 2027-01-12"),
    "by_unknown": phrase(
        "nobody of your department who may visit has this login or name, or two have the name:"
        " write the login, or leave it out: then it is you"
    ),
    "text_unknown": phrase("the round has no text of this number"),
    "too_few_tries": phrase(
        "nobody is excused before three visits at which nobody was at home: write these first"
    ),
    "note_invalid": phrase("an excuse needs a note, of at most 200 characters"),
    "signed_off": phrase("this area is signed off, and nothing is written down for it any more"),
}
"""Why a row is rejected, and what to do."""


class HouseholdTable(NamedTuple):
    """A table of a file: its header in the form of a report, and what its columns are called."""

    told: dict[str, Any]
    titles: Mapping[str, str]


HouseholdFile = EntryFile[HouseholdTable]
"""What a file holds that is used at all."""


class RejectedHousehold(NamedTuple):
    """A row that is not taken: where, why, and the cell that is at fault, for whoever mends it."""

    sheet: str
    row: int
    code: str
    column: str
    header: str
    value: str


def read_household_file(chunks: Chunks, encoding: str | None = None) -> HouseholdFile:
    """The rows of a registration form, with no cell of a column that is not used.

    Raises:
        FileRefused: it cannot be read as a whole, has no table of households, or too many rows.
        Invalid: the encoding named is not one that is read.
    """
    form = EntryForm(_WORDS, "household", _table_of, _no_households, MOST_ROWS, _too_many)
    return read_entries(chunks, form, encoding)


def _no_households() -> FileRefused:
    return FileRefused(
        phrase(
            "none of the first {searched_records} rows has the header of a household, such as 户号,"
            " 门牌号 or household; add one",
            searched_records=SEARCHED_RECORDS,
        ),
        code="no_household_column",
    )


def _too_many() -> FileRefused:
    return FileRefused(
        phrase("the file has more than {most:,} rows; split it, by village", most=MOST_ROWS),
        code="too_many_rows",
    )


def _table_of(sheet: str, header: Header) -> HouseholdTable:
    named = columns_of(header, "household")
    missing = [] if "result" in named else ["入户结果"]
    if not {*_PLACE} & {*named}:
        missing.append("村")
    if missing:
        raise FileRefused(
            phrase("the table has no column {title}; add it", title=missing[0]),
            code="column_missing",
        )
    titles = {column: header.titles[at] for column, at in named.items()}
    told = {
        "sheet": sheet,
        "header_rows": list(header.rows),
        "mapped": titles,
        "refused": [{"header": c.title, "kind": c.kind} for c in header.refused],
        "ignored": header.ignored,
    }
    return HouseholdTable(told, titles)


_PLACE = ("area_code", "town", "village", "area")


class HouseholdFacts(NamedTuple):
    """What rows are read by. villages: those of the round that the reader may write in. visitors:
    of the department; reader: who sends the file. key_of: the key of what a row says, which is the
    same each time: of village, label and what makes it this row.
    """

    tree: AreaTree
    villages: frozenset[str]
    visitors: Sequence[User]
    reader: UUID
    today: date
    key_of: Callable[[str, str, str], UUID]


class ReadHousehold(NamedTuple):
    """A row that was read."""

    row: EntryRow
    entry: HouseholdEntry


@dataclass(slots=True)
class HouseholdRows:
    """What became of the rows of a file: those that were read, that are rejected, and skipped."""

    read: list[ReadHousehold] = field(default_factory=list)
    rejected: list[RejectedHousehold] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def judge_rows(file: HouseholdFile, facts: HouseholdFacts) -> HouseholdRows:
    """What each row says, as far as that can be told without what was written down before."""
    found = HouseholdRows()
    reader = _Reader(facts)
    for row in file.rows:
        if why := skipped_as(row, has_key=not is_blank(row.cells.get("result", ""))):
            found.skipped[why] += 1
            continue
        try:
            found.read.append(ReadHousehold(row, reader.entry_of(row)))
        except RowFault as fault:
            found.rejected.append(rejected(file, row, fault.code, fault.column))
    return found


def rejected(file: HouseholdFile, row: EntryRow, code: str, column: str) -> RejectedHousehold:
    """A row that is not taken, with the cell at fault."""
    titles = file.tables[row.table].titles
    return RejectedHousehold(
        row.sheet,
        row.row,
        code,
        column,
        titles.get(column, column),
        shown_value(row.cells.get(column, "")),
    )


class _Reader:
    """Reads one row after another; two rows that say the same are two visits."""

    def __init__(self, facts: HouseholdFacts) -> None:
        self._facts = facts
        self._place = lru_cache(CACHED_PLACES)(facts.tree.resolve)
        self._said: Counter[tuple[str, str, str]] = Counter()
        self._visitors: dict[str, list[UUID]] = {}
        for user in facts.visitors:
            for word in {user.login, squeeze(user.name)}:
                self._visitors.setdefault(word, []).append(user.id)

    def entry_of(self, row: EntryRow) -> HouseholdEntry:
        cells = {column: text_form(cell) for column, cell in row.cells.items()}
        cells = {column: "" if is_blank(cell) else cell for column, cell in cells.items()}
        village = self._village(row)
        label = cells["household"]
        if label_problem(label) is not None:
            raise RowFault("household_invalid", "household")
        result = _RESULT_OF.get(squeeze(cells["result"]).casefold())
        if result is None:
            raise RowFault("result_invalid", "result")
        day = cells.get("on", "")
        on = read_day(day.partition(" ")[0]) if day else self._facts.today
        if on is None:
            raise RowFault("on_invalid", "on")
        note = cells.get("note", "")
        if len(note) > LONGEST_NOTE:
            raise RowFault("note_invalid", "note")
        spoken_to = _heads(cells.get("spoken_to", ""))
        by_id = self._by(cells.get("by", ""))
        # The day as it is written: one that is left out is not another one tomorrow.
        what = "|".join([result.value, day, str(spoken_to), cells.get("by", "")])
        said = (village, label_form(label), what)
        self._said[said] += 1
        return HouseholdEntry(
            village,
            label,
            self._facts.key_of(village, label, f"{what}|{self._said[said]}"),
            result,
            spoken_to,
            _text_no(cells.get("text", "")),
            on,
            by_id,
            note,
        )

    def _village(self, row: EntryRow) -> str:
        place = self._place(*(row.cells.get(column, "") for column in _PLACE))
        area = self._facts.tree.areas.get(place.code)
        if area is not None and area.level == "group":
            area = self._facts.tree.areas.get(area.parent)
        at = next((c for c in _PLACE if not is_blank(row.cells.get(c, ""))), "village")
        if area is None or place.warnings or area.level not in {"village", "community"}:
            raise RowFault("area_unknown", at)
        if area.code not in self._facts.villages:
            raise RowFault("area_outside", at)
        return area.code

    def _by(self, cell: str) -> UUID:
        if not cell:
            return self._facts.reader
        found = self._visitors.get(cell) or self._visitors.get(squeeze(cell)) or []
        if len(found) != 1:
            raise RowFault("by_unknown", "by")
        return found[0]


def _heads(cell: str) -> int:
    found = _HEADS.fullmatch(squeeze(cell)) if cell else None
    if cell and found is None:
        raise RowFault("spoken_to_invalid", "spoken_to")
    return int(found[1]) if found else 0


def _text_no(cell: str) -> int | None:
    found = _TEXT.fullmatch(squeeze(cell)) if cell else None
    if cell and found is None:
        raise RowFault("text_unknown", "text")
    return int(found[1]) if found else None


def key_from(namespace: UUID, village: str, label_hash: bytes, what: str) -> UUID:
    """The key of a row: the same for the same row of a round, and of no use to find its label."""
    return uuid.uuid5(namespace, f"{village}|{label_hash.hex()}|{what}")
