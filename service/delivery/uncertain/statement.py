"""A carrier's statement: a file that says, line by line, what became of texts (pure).

Files, headers and numbers are read as contact files are; a time without an offset is Chinese time.
A line settles an uncertain hand-off only if it is the one hand-off to that phone at that time that
there was. One that fits several, or says something else than another line, is left to a person.
"""

import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from service.audience.numbers.number import REASONS, read_cell, to_e164
from service.audience.numbers.prefix import Prefixes
from service.audience.tables.files import Chunks, Sheet, no_phone_column, open_source
from service.audience.tables.header import (
    SEARCHED_RECORDS,
    Header,
    Vocabulary,
    find_header,
    header_form,
)
from service.audience.vocabulary.cells import squeeze, text_form
from service.clock import CHINA
from service.errors import FileRefused
from service.words.phrase import phrase
from service.words.terms import term

EARLY = timedelta(minutes=5)
"""How far a carrier's clock, or a time cut to the minute, may lie before our own mark."""

MAX_LINES = 1_000_000
MAX_CODE = 32

TIME_HEADERS = """提交时间 下发时间 发送时间 发送日期 日期时间 时间 submittime submit_time sendtime
    send_time sent_at senttime datetime timestamp time"""
STATUS_HEADERS = """状态报告 报告状态 短信状态 发送状态 送达状态 发送结果 结果 状态 report
    receipt result status state stat"""
_STATES = {
    "delivered": "delivrd delivered 成功 发送成功 接收成功 送达 已送达 已接收 到达 0 00 000",
    "undelivered": "undeliv undelivered deleted failed failure 失败 发送失败 接收失败 未送达",
    "expired": "expired 过期 已过期 超时",
    "rejected": "rejectd rejected 拒绝 被拒绝 拒收 提交失败",
    "submitted": "acceptd accepted submitted 已提交 提交成功 已受理",
    "": "unknown enroute 未知 无状态 未返回 待返回 等待回执 发送中",
}
STATE_OF = {word: state for state, words in _STATES.items() for word in words.split()}
"""The state that a carrier's word for a status means, in lower case; "": it says nothing."""
_INSTANT = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[T ]*(\d{1,2})[:时](\d{1,2})"
    r"(?:[:分](\d{1,2})(?:\.\d+)?秒?|分)?(?: ?(Z|[+-]\d{2}:?\d{2}))?",
    re.ASCII,
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?", re.ASCII)


class StatementLine(NamedTuple):
    """A line that can be read. state: "" if its status says nothing. code: the status, as it is."""

    row: int
    phone: str
    at: datetime
    state: str
    code: str


class Unreadable(NamedTuple):
    """A line that says nothing usable: its place in the file from 1, and why, never its number."""

    row: int
    reason: str


def read_lines(
    chunks: Chunks, prefixes: Prefixes, *, encoding: str | None = None
) -> Iterator[StatementLine | Unreadable]:
    """The lines of a statement that are not blank, one by one; memory holds one at a time.

    Raises:
        FileRefused: it cannot be read as a whole, lacks a column, or has more than a million lines.
        Invalid: the encoding named is not one that is read.
    """
    for header, records in carrier_tables(chunks, encoding):
        places = (
            header.columns["phone"],
            need_column(header, TIME_HEADERS, "time", "提交时间"),
            need_column(header, STATUS_HEADERS, "status", "状态"),
        )
        for row, record in records:
            cells = (record[at] if at < len(record) else "" for at in places)
            yield _read(row, *cells, prefixes=prefixes)


def carrier_tables(
    chunks: Chunks, encoding: str | None
) -> Iterator[tuple[Header, Iterator[tuple[int, list[str]]]]]:
    """The tables with numbers in a file that a carrier gave: each header, and the rows below it
    that are not blank. Sheets without numbers are passed over; hidden ones are read as empty.

    Raises:
        FileRefused: it cannot be read as a whole, has no table with numbers, or one of more than a
            million lines.
        Invalid: the encoding named is not one that is read.
    """
    words, found = Vocabulary(), False
    with closing(open_source(chunks, words, encoding=encoding)) as source:
        for sheet in source.sheets:
            header = find_header(list(islice(sheet.records(), SEARCHED_RECORDS + 1)), words)
            if header is not None:
                found = True
                yield header, _rows_below(header, sheet)
    if not found:
        raise no_phone_column()


def _rows_below(header: Header, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    for row, record in header.below(sheet.records()):
        if row - header.rows[-1] > MAX_LINES:
            raise FileRefused(
                phrase(
                    "the file has more than {max_lines:,} lines; split it, by day for instance",
                    max_lines=MAX_LINES,
                ),
                code="too_many_rows",
            )
        if any(cell.strip() for cell in record):
            yield row, record


def find_column(header: Header, words: str) -> int | None:
    """Where a column stands; of several that may be meant, the one named first in `words`."""
    forms = [header_form(title) for title in header.titles]
    return next((forms.index(word) for word in words.split() if word in forms), None)


def need_column(header: Header, words: str, what: str, example: str) -> int:
    """The same of a column that has to be there.

    Raises:
        FileRefused: it is not.
    """
    found = find_column(header, words)
    if found is None:
        raise FileRefused(
            phrase(
                "the header has no column for the {what} of each text; name it {example} or"
                " {column}",
                what=term(what),
                example=example,
                column=what,
            ),
            code=f"no_{what}_column",
        )
    return found


def _read(
    row: int, phone: str, time: str, status: str, *, prefixes: Prefixes
) -> StatementLine | Unreadable:
    cell = read_cell(phone, prefixes)
    if cell.code is not None:
        return Unreadable(row, REASONS[cell.code])
    if len(cell.numbers) != 1 or cell.part_rejected:
        return Unreadable(row, phrase("more than one number stands in the line"))
    at = read_instant(time)
    if at is None:
        return Unreadable(row, phrase("the time is not one; write it like 2027-01-12 09:30:05"))
    code = squeeze(text_form(status))
    state = STATE_OF.get(code.lower())
    if state is None:
        return Unreadable(
            row, phrase("the status is not known; write delivered, failed or 成功, 失败")
        )
    return StatementLine(row, to_e164(cell.numbers[0]), at, state, code[:MAX_CODE])


def read_instant(cell: str) -> datetime | None:
    """The instant in a cell, with its offset, else in Chinese time; None: it is none."""
    text = text_form(cell)
    match = _INSTANT.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    offset = match[7] if match.re is _INSTANT else None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=_zone(offset))
    except ValueError:
        return None


def _zone(offset: str | None) -> timezone | ZoneInfo:
    if offset is None:
        return CHINA
    if offset == "Z":
        return timezone(timedelta(0))
    span = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-span if offset[0] == "-" else span)


@dataclass(frozen=True, slots=True)
class HandOff:
    """A hand-off that a line may speak of.

    kind: `open` (uncertain), `decided`, or `other`.
    state: what it was decided to be.
    marked_at: None: it may have been at any time.
    until: nobody knows when it was, between `marked_at` and this; None: it was then.
    """

    run_id: uuid.UUID
    no: int
    attempt: int
    kind: str
    marked_at: datetime | None
    state: str | None = None
    until: datetime | None = None

    def fits(self, at: datetime, window: timedelta) -> bool:
        """Whether a carrier may give it this time."""
        if self.marked_at is None:
            return True
        return self.marked_at - EARLY <= at <= (self.until or self.marked_at) + window


class Result(StrEnum):
    """What became of a line."""

    SETTLED = "settled"
    ALREADY = "already"  # what it says was decided before
    AMBIGUOUS = "ambiguous"  # a person decides
    UNKNOWN = "unknown"  # it says nothing of an uncertain hand-off
    UNREADABLE = "unreadable"


class Judged(NamedTuple):
    """What a line comes to; `hand_off` is what it settles."""

    line: StatementLine
    result: Result
    why: str = ""
    hand_off: HandOff | None = None


def judge(
    lines: Iterable[StatementLine], hand_offs: Mapping[str, Sequence[HandOff]], window: timedelta
) -> list[Judged]:
    """What each line comes to, by the hand-offs to its phone; all lines of a file at once."""
    judged = [_alone(line, hand_offs.get(line.phone, ()), window) for line in lines]
    says: dict[HandOff, set[str]] = defaultdict(set)
    for one in judged:
        if one.hand_off is not None:
            says[one.hand_off].add(one.line.state)
    return [
        Judged(one.line, Result.AMBIGUOUS, phrase("two lines say different things of this text"))
        if one.hand_off is not None and len(says[one.hand_off]) > 1
        else one
        for one in judged
    ]


def _alone(line: StatementLine, hand_offs: Sequence[HandOff], window: timedelta) -> Judged:
    fitting = [h for h in hand_offs if h.fits(line.at, window)]
    if not fitting:
        return Judged(
            line, Result.UNKNOWN, phrase("no text to this phone at this time is uncertain")
        )
    if len(fitting) > 1:
        return Judged(
            line,
            Result.AMBIGUOUS,
            phrase("{count} texts to this phone fit the time", count=len(fitting)),
        )
    return _of_one(line, fitting[0])


def _of_one(line: StatementLine, only: HandOff) -> Judged:
    """What a line comes to that can speak of one hand-off only."""
    if only.kind == "other":
        return Judged(line, Result.UNKNOWN, phrase("the text that fits is not uncertain"))
    if not line.state:
        return Judged(line, Result.UNKNOWN, phrase("the status says nothing of the text"))
    if only.kind == "open":
        return Judged(line, Result.SETTLED, hand_off=only)
    if only.state == line.state:
        return Judged(line, Result.ALREADY)
    return Judged(
        line,
        Result.AMBIGUOUS,
        phrase("the text was decided to be {only_state}", only_state=only.state),
    )
