"""What a carrier writes into a list that it gives back, line by line (pure).

Files, headers and numbers are read as contact files are, and the words of the status as those of a
carrier's statement. A line names its text by the reference, else by the number.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from service.audience.numbers.number import REASONS, read_cell, to_e164
from service.audience.numbers.prefix import Prefixes
from service.audience.tables.files import Chunks
from service.audience.vocabulary.cells import squeeze, text_form
from service.channels.contract.outcome import ReceiptState
from service.delivery.uncertain.statement import (
    MAX_CODE,
    STATE_OF,
    STATUS_HEADERS,
    TIME_HEADERS,
    carrier_tables,
    find_column,
    need_column,
    read_instant,
)
from service.ledger.reasons import Place, Reason
from service.words.phrase import Sentence

_REFERENCE_HEADERS = "编号 参考号 reference ref id"
_REASON_HEADERS = "原因 失败原因 错误原因 错误码 reason error errorcode error_code"
_REFERENCE = re.compile("[A-Z]{12}")

_NO_STATUS = Sentence(
    "状态无法识别，请写 成功 或 失败",
    "the status is not known; write 成功 (delivered) or 失败 (failed)",
)
_NO_TIME = Sentence(
    "时间无法识别，请写成 2027-01-12 09:30:05",
    "the time is not one; write it like 2027-01-12 09:30:05",
)

_OTHER_WORDS = {
    "携号转网": Reason.PORTED,
    "异网": Reason.PORTED,
    "不在服务区": Reason.POWERED_OFF,
    "内存满": Reason.MEMORY_FULL,
    "已停机": Reason.SUSPENDED,
    "欠费停机": Reason.SUSPENDED,
    "号码不存在": Reason.EMPTY_NUMBER,
}
_REASON_OF = {
    **{word: reason for reason in Reason.at(Place.CARRIER) for word in (reason, reason.label)},
    **_OTHER_WORDS,
}
"""The reason that a cell names, by our code, by its label, or by another word of carriers."""

_RECEIPTS = {
    "delivered": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.UNDELIVERED,
    "expired": ReceiptState.EXPIRED,
    "rejected": ReceiptState.REJECTED,
}


class LineResult(StrEnum):
    """What became of a line."""

    RECORDED = "recorded"
    OPEN = "open"  # it says no result, or that there is none yet
    ALREADY = "already"  # the ledger or an earlier line says the same
    UNKNOWN = "unknown"  # no text of this list
    AMBIGUOUS = "ambiguous"  # several texts may be meant, or two lines say different things of one
    UNREADABLE = "unreadable"


class ResultLine(NamedTuple):
    """A line that can be read. ref: "" if it has none; phone: in E.164, "" if its cell is none.

    state: None: it has no result. code: the status as it is written.
    """

    row: int
    ref: str
    phone: str
    state: ReceiptState | None
    reason: Reason
    code: str
    done_at: datetime | None


class UnreadLine(NamedTuple):
    """A line that gives nothing: its place in the file from 1, what it is, and why."""

    row: int
    result: LineResult
    why: Sentence


class _Places(NamedTuple):
    """In which column each cell stands; None: there is no such column."""

    phone: int | None
    status: int | None
    ref: int | None
    reason: int | None
    time: int | None


def read_results(
    chunks: Chunks, prefixes: Prefixes, *, encoding: str | None = None
) -> Iterator[ResultLine | UnreadLine]:
    """The lines of a list that came back, one by one, but blank ones; memory holds one at a time.

    Raises:
        FileRefused: it cannot be read as a whole, lacks a column, or has more than a million lines.
        Invalid: the encoding named is not one that is read.
    """
    for header, records in carrier_tables(chunks, encoding):
        places = _Places(
            header.columns["phone"],
            need_column(header, STATUS_HEADERS, "status", "状态"),
            find_column(header, _REFERENCE_HEADERS),
            find_column(header, _REASON_HEADERS),
            find_column(header, TIME_HEADERS),
        )
        for row, record in records:
            yield _read(row, _Cells(record, places), prefixes)


class _Cells:
    """The cells of a line by what they are; "" where there is none."""

    def __init__(self, record: list[str], places: _Places) -> None:
        self._record = record
        self._places = places

    def __getitem__(self, name: str) -> str:
        at: int | None = getattr(self._places, name)
        return text_form(self._record[at]) if at is not None and at < len(self._record) else ""


def _read(row: int, cells: _Cells, prefixes: Prefixes) -> ResultLine | UnreadLine:
    ref = squeeze(cells["ref"]).upper()
    ref = ref if _REFERENCE.fullmatch(ref) else ""
    cell = read_cell(cells["phone"], prefixes)
    phone = to_e164(cell.numbers[0]) if len(cell.numbers) == 1 and cell.code is None else ""
    if not ref and not phone:
        why = REASONS[cell.code] if cell.code else "more than one number stands in the line"
        return UnreadLine(row, LineResult.UNREADABLE, Sentence("编号和手机号码都无法识别", why))
    code = squeeze(cells["status"])
    word = STATE_OF.get(code.lower()) if code else ""
    reason = _REASON_OF.get(squeeze(cells["reason"]).lower())
    if not code and reason is not None:
        word = "undelivered"
    if word is None and code.lower() in _REASON_OF:
        word, reason = "undelivered", _REASON_OF[code.lower()]
    if word is None:
        return UnreadLine(row, LineResult.UNREADABLE, _NO_STATUS)
    time = cells["time"]
    done_at = read_instant(time) if time.strip() else None
    if time.strip() and done_at is None:
        return UnreadLine(row, LineResult.UNREADABLE, _NO_TIME)
    state = _RECEIPTS.get(word)
    said = Reason.NONE if state in {None, ReceiptState.DELIVERED} else reason or Reason.OTHER
    return ResultLine(row, ref, phone, state, said, code[:MAX_CODE], done_at)
