"""The rejects file that an uploader gets back to mend (import rules §15)."""

from collections.abc import Awaitable, Callable

import pytest

from service.audience.imports.model import Import
from service.audience.imports.rejects import Reject, list_rejects, rejects_csv
from service.crypto import Keyring
from service.storage.postgres import Connection

ROWS = "手机,身份证\n1979O001234,999999190001010000\n=1+1,\n19790001234,\n12000001234,\n"


@pytest.fixture
async def finished(upload: Callable[..., Awaitable[Import]]) -> Import:
    return await upload(ROWS)


@pytest.mark.parametrize(("reveal", "suggestion"), [(False, "197****1234"), (True, "19790001234")])
async def test_rejected_rows_with_reason_and_suggestion(
    reveal: bool, suggestion: str, conn: Connection, keyring: Keyring, finished: Import
) -> None:
    rejects = [r async for r in list_rejects(conn, keyring, finished.id, reveal=reveal)]
    letters = "it contains something other than digits"
    prefix = "no carrier has mobile numbers with these first digits"
    assert rejects == [
        Reject("", 2, "letters", letters, "197****1234", suggestion),
        Reject("", 3, "letters", letters, "=***", ""),
        Reject("", 5, "prefix", prefix, "120****1234", ""),
    ]


async def test_csv_holds_no_formula_and_no_refused_column(
    conn: Connection, keyring: Keyring, finished: Import
) -> None:
    lines = [line async for line in rejects_csv(list_rejects(conn, keyring, finished.id))]
    assert lines[0] == "\ufeffsheet,row,code,reason,value,suggestion,原因,怎么改,手机号\r\n"
    why = "it contains something other than digits,'=***,,含有数字以外的内容,只保留 11 位数字"
    assert lines[2] == f",3,letters,{why},\r\n"
    assert "999999" not in "".join(lines)


async def test_the_file_is_mended_in_its_last_column_and_imported(
    conn: Connection,
    keyring: Keyring,
    finished: Import,
    upload: Callable[..., Awaitable[Import]],
) -> None:
    lines = [line async for line in rejects_csv(list_rejects(conn, keyring, finished.id))]
    lines[1] = lines[1].rstrip("\r\n") + "19790001234\r\n"
    again = await upload("".join(lines).removeprefix("\ufeff"))
    assert again.report is not None
    assert again.report["rows"]["accepted"] == 1
    assert again.report["rejected"] == {"phone_empty": 2}
    assert again.report["stored"]["members"]["added"] == 0, "who was on the list stays one person"
