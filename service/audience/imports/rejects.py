"""The rejects file: one line a rejected row, for the uploader to mend (import rules §15).

The value is masked; the suggested number is, too, unless the caller may see numbers. No line says
anything of refused columns, and no value is a formula to a spreadsheet.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple
from uuid import UUID

from service.audience.imports import store
from service.audience.imports.staging import StagedReject
from service.audience.numbers.number import REASONS, mask
from service.audience.numbers.prefix import national
from service.audience.vocabulary.cells import neutral
from service.crypto import Keyring
from service.storage.postgres import Connection
from service.words.phrase import Sentence, translated

CHINESE = "zh"
BOM = "\ufeff"  # without it Excel takes UTF-8 for the system's code page

REMEDIES = {
    "phone_empty": Sentence("补上手机号，或删去这一行", "add the number, or delete the row"),
    "placeholder": Sentence("换成真实的手机号", "put the true number in its place"),
    "excel_truncated": Sentence(
        "末几位已丢失：向提供者要原号码，并把该列设为“文本”再填",
        "its last digits are lost: ask for the number again, and format the column as text first",
    ),
    "landline": Sentence("换成手机号", "give a mobile number in its place"),
    "length": Sentence("改成 11 位的手机号", "write a mobile number of 11 digits"),
    "prefix": Sentence(
        "核对前三位；没有运营商使用这个号段", "check the first digits; no carrier has them"
    ),
    "iot": Sentence("换成本人使用的手机号", "give the number of a person's phone"),
    "satellite": Sentence("换成普通手机号", "give an ordinary mobile number"),
    "letters": Sentence("只保留 11 位数字", "leave nothing but the 11 digits"),
    "masked": Sentence("换成没有打码的号码", "give the number with all its digits"),
    "foreign": Sentence("换成境内手机号", "give a mobile number of mainland China"),
    "minor": Sentence("改填监护人的手机号", "give a guardian's number in its place"),
    "wechat_role": Sentence(
        "清空这一行的微信号；此人若是联络员、辅导员、班长或群主，补上身份",
        "empty the WeChat ID of this row; if the person is a liaison, a counsellor, a class"
        " monitor or an owner of a group, add the role",
    ),
    "wechat_invalid": Sentence(
        "核对微信号，或清空这一格", "check the WeChat ID, or empty the cell"
    ),
}
"""How the rows of each code of `REASONS` are mended."""

REJECTED_COLUMNS = {"minor": "age", "wechat_role": "wechat", "wechat_invalid": "wechat"}
"""The column at fault, where it is not that of the number."""


class Reject(NamedTuple):
    """A rejected row as people see it."""

    sheet: str
    row: int
    code: str
    reason: str
    value: str
    suggestion: str


async def list_rejects(
    conn: Connection, keyring: Keyring, import_id: UUID, *, reveal: bool = False
) -> AsyncIterator[Reject]:
    """The rejected rows of an import; `reveal` shows suggested numbers in full."""
    async with conn.transaction():
        async for stored in store.list_rejects(conn, import_id):
            yield _shown(stored, keyring, reveal=reveal)


def _shown(stored: StagedReject, keyring: Keyring, *, reveal: bool) -> Reject:
    suggestion = ""
    if stored.suggestion_cipher:
        phone = keyring.decrypt("phone", stored.suggestion_cipher)
        suggestion = national(phone) if reveal else mask(phone)
    return Reject(
        sheet=stored.sheet,
        row=stored.row_no,
        code=stored.code,
        reason=REASONS[stored.code],
        value=stored.masked,
        suggestion=suggestion,
    )


async def rejects_csv(rejects: AsyncIterator[Reject]) -> AsyncIterator[str]:
    """The lines of the rejects file, as CSV for Excel.

    The last columns are for whoever mends it: why and how in Chinese, and an empty cell for the
    right number, headed so that the file can be imported. A row left as it is is rejected again.
    """
    yield BOM + csv_line((*Reject._fields, "原因", "怎么改", "手机号"))
    async for reject in rejects:
        why = (translated(reject.reason, CHINESE), REMEDIES[reject.code].zh)
        yield csv_line(neutral(str(value)) for value in (*reject, *why, ""))


def csv_line(values: Iterable[str]) -> str:
    """A line of CSV for Excel."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()
