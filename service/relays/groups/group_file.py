"""A file of groups: which groups there are and whose each is, row by row (pure but for the file's
own octets).

An owner is named by number, and is a person of the department's lists; nothing else of persons is
read.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service.audience.areas.area import AreaTree
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
from service.audience.numbers.number import parse_phone
from service.audience.tables.files import Chunks
from service.audience.tables.header import SEARCHED_RECORDS, Header
from service.audience.vocabulary.cells import is_blank, squeeze, text_form
from service.errors import FileRefused, Invalid
from service.relays.groups.group import (
    LONGEST_NAME,
    LONGEST_UNIT,
    MOST_MEMBERS,
    NewGroup,
    UnitKind,
)
from service.words.phrase import phrase

MOST_ROWS = 10_000

_PLACE = ("area_code", "town", "village", "area")
_COLUMNS = {
    # `phone` is what tables call the column that has to be there.
    "phone": "群名 群名称 微信群 微信群名 微信群名称 群 group group_name name",
    "area_code": "村编码 行政区划代码 区划代码 村居代码 区划编码 village_code area_code code",
    "town": "乡镇 所属乡镇 所在乡镇 镇 乡镇街道 town",
    "village": "村 社区 村社区 村居 行政村 所属村 所在村 village",
    "area": "区域 辖区 区划 area",
    "unit_kind": "类型 群类型 单位类型 类别 kind unit_kind",
    "unit": "单位 单位名称 学校 学院 企业 unit",
    "members": "人数 群人数 成员数 members",
    "owner": """群主电话 群主手机 群主手机号 群主号码 群主联系电话 群主联系方式 负责人电话
        负责人手机 负责人联系电话 电话 手机 手机号 手机号码 联系电话 owner owner_phone phone""",
}
_PERSONS = {
    "name": "姓名 群主 负责人 owner_name",
    "id_number": "身份证 证件 id_card idcard",
    "wechat": "微信号 qq wechat",
    "home_address": "地址 住址 address",
}
"""Parts of headers of what is known of persons; such columns are named and not read."""

_WORDS = EntryWords(_COLUMNS, _PERSONS)
_KINDS = {
    UnitKind.BUILDING: "building 楼栋 小区 楼 物业",
    UnitKind.VILLAGERS: "villagers 村民组 村民 村组 村 组",
    UnitKind.OFFICE: "office 机关 单位 事业单位 机关单位",
    UnitKind.FIRM: "firm 企业 公司 企事业单位 厂",
    UnitKind.CLASS: "class 班级 班 学院 学校",
    UnitKind.OTHER: "other 其他 其它",
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words.split()}
_HEADS = re.compile(r"([0-9]{1,6})(?:\.0+)?人?")

REJECTED = {
    "name_invalid": phrase(
        "write the name of the group in one line of at most {most} characters", most=LONGEST_NAME
    ),
    "kind_unknown": phrase("no kind: write 楼栋, 村民组, 机关, 企业, 班级 or 其他"),
    "area_unknown": phrase(
        "no area of the tree has this name or code: write the code, or town and village"
    ),
    "unit_invalid": phrase("the unit has more than {most} characters", most=LONGEST_UNIT),
    "members_invalid": phrase("write how many people are in the group, as a number"),
    "owner_missing": phrase("each group has one owner: write the owner's mobile number"),
    "owner_unknown": phrase(
        "nobody on a list of the department that holds has this number: put the owner on a list"
        " first"
    ),
    "named_twice": phrase("a row above has a group of this name at this place"),
}
"""Why a row is rejected, and what to do."""


class GroupTable(NamedTuple):
    """A table of a file: its header in the form of a report, and what its columns are called."""

    told: dict[str, Any]
    titles: Mapping[str, str]


GroupFile = EntryFile[GroupTable]
"""What a file holds that is used at all."""


class RejectedGroup(NamedTuple):
    """A row that is not taken: where, why, and the cell that is at fault."""

    sheet: str
    row: int
    code: str
    column: str
    header: str
    value: str


class ReadGroup(NamedTuple):
    """A row that was read; phone: of its owner."""

    row: EntryRow
    group: NewGroup
    phone: str


@dataclass(slots=True)
class GroupRows:
    """What became of the rows of a file."""

    read: list[ReadGroup] = field(default_factory=list)
    rejected: list[RejectedGroup] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def read_group_file(chunks: Chunks, encoding: str | None = None) -> GroupFile:
    """The rows of a file of groups, with no cell of a column that is not used.

    Raises:
        FileRefused: it cannot be read as a whole, has no table of groups, or too many rows.
        Invalid: the encoding named is not one that is read.
    """
    form = EntryForm(_WORDS, "name", _table_of, _no_groups, MOST_ROWS, _too_many)
    return read_entries(chunks, form, encoding)


def _no_groups() -> FileRefused:
    return FileRefused(
        phrase(
            "none of the first {searched_records} rows has the header of a group, such as 群名 or"
            " group; add one",
            searched_records=SEARCHED_RECORDS,
        ),
        code="no_group_column",
    )


def _too_many() -> FileRefused:
    return FileRefused(
        phrase("the file has more than {most:,} rows; split it, by village", most=MOST_ROWS),
        code="too_many_rows",
    )


def _table_of(sheet: str, header: Header) -> GroupTable:
    named = columns_of(header, "name")
    if "owner" not in named:
        raise FileRefused(
            phrase("the table has no column {title}; add it", title="群主电话"),
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
    return GroupTable(told, titles)


def judge_rows(file: GroupFile, tree: AreaTree) -> GroupRows:
    """What each row says, as far as that can be told without the register."""
    found = GroupRows()
    seen: set[tuple[str | None, str]] = set()
    for row in file.rows:
        if why := skipped_as(row, has_key=not is_blank(row.cells.get("owner", ""))):
            found.skipped[why] += 1
            continue
        try:
            read = _read(row, tree)
        except RowFault as fault:
            found.rejected.append(rejected(file, row, fault.code, fault.column))
            continue
        key = read.group.area_code, read.group.name
        if key in seen:
            found.rejected.append(rejected(file, row, "named_twice", "name"))
            continue
        seen.add(key)
        found.read.append(read)
    return found


def rejected(file: GroupFile, row: EntryRow, code: str, column: str) -> RejectedGroup:
    """A row that is not taken, with the cell at fault."""
    titles = file.tables[row.table].titles
    value = shown_value(row.cells.get(column, ""))
    return RejectedGroup(row.sheet, row.row, code, column, titles.get(column, column), value)


def _read(row: EntryRow, tree: AreaTree) -> ReadGroup:
    cells = {column: text_form(cell) for column, cell in row.cells.items()}
    cells = {column: "" if is_blank(cell) else cell for column, cell in cells.items()}
    name = cells["name"]
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise RowFault("name_invalid", "name")
    kind = UnitKind.OTHER
    if written := squeeze(cells.get("unit_kind", "")).casefold():
        if written not in _KIND_OF:
            raise RowFault("kind_unknown", "unit_kind")
        kind = _KIND_OF[written]
    unit = cells.get("unit", "")
    if len(unit) > LONGEST_UNIT or not unit.isprintable():
        raise RowFault("unit_invalid", "unit")
    if not cells.get("owner"):
        raise RowFault("owner_missing", "owner")
    try:
        phone = parse_phone(cells["owner"])
    except Invalid as error:
        raise RowFault("owner_unknown", "owner") from error
    group = NewGroup(name, kind, _area(row, tree), unit, _members(cells.get("members", "")))
    return ReadGroup(row, group, phone)


def _area(row: EntryRow, tree: AreaTree) -> str | None:
    written = [column for column in _PLACE if not is_blank(row.cells.get(column, ""))]
    if not written:
        return None
    place = tree.resolve(*(row.cells.get(column, "") for column in _PLACE))
    if not place.code or place.warnings:
        raise RowFault("area_unknown", written[0])
    return place.code


def _members(cell: str) -> int | None:
    if not cell:
        return None
    found = _HEADS.fullmatch(squeeze(cell))
    if found is None or int(found[1]) > MOST_MEMBERS:
        raise RowFault("members_invalid", "members")
    return int(found[1])
