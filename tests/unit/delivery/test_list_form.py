"""The form of a list, and what a carrier may write into one."""

from datetime import datetime

import pytest

from service.audience.numbers.prefix import packaged_prefixes
from service.channels.contract.outcome import ReceiptState
from service.clock import CHINA
from service.delivery.list_files.form import HandedText, form
from service.delivery.list_files.result_lines import ResultLine, UnreadLine, read_results
from service.errors import FileRefused
from service.ledger.reasons import Reason
from tests.harness.list_form import AT, a_list
from tests.unit.audience.workbooks import sheet, text_row, workbook


def handed(text: str) -> HandedText:
    return HandedText(
        plan="全县反诈",
        text=text,
        sha256="0" * 64,
        approved_sha256=None,
        message_class="public_interest",
        rule_zh="移动的人",
        rule_en="its people",
        hours={"2027-01-12": [("08:00", "12:00"), ("14:30", "20:00")], "2027-01-13": []},
        valid_until=AT,
        lines=2,
    )


def test_a_form_says_what_whom_and_when() -> None:
    page = form(a_list(), [handed("【某局】请注意。")], CHINA)
    for words in (
        "中国移动",
        "【某局】请注意。",
        "移动的人",
        "2027-01-12 08:00–12:00, 14:30–20:00",
    ):
        assert words in page
    assert "2027-01-13 不发送 none" in page


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "</td><td>", '" onload="x'])
def test_a_form_has_no_markup_of_others(text: str) -> None:
    page = form(a_list(channel=text), [handed(text)], CHINA)
    assert text not in page
    assert "&lt;" in page or "&quot;" in page


def lines(*rows: str) -> list[ResultLine | UnreadLine]:
    text = "\n".join(["编号,手机号码,状态,原因,时间", *rows]).encode("gb18030")
    return list(read_results(lambda: [text], packaged_prefixes()))


@pytest.mark.parametrize(
    ("status", "reason", "state", "found"),
    [
        ("成功", "", ReceiptState.DELIVERED, Reason.NONE),
        ("DELIVRD", "空号", ReceiptState.DELIVERED, Reason.NONE),
        ("失败", "空号", ReceiptState.UNDELIVERED, Reason.EMPTY_NUMBER),
        ("失败", "携号转网", ReceiptState.UNDELIVERED, Reason.PORTED),
        ("失败", "memory_full", ReceiptState.UNDELIVERED, Reason.MEMORY_FULL),
        ("失败", "随便什么", ReceiptState.UNDELIVERED, Reason.OTHER),
        ("停机", "", ReceiptState.UNDELIVERED, Reason.SUSPENDED),
        ("过期", "", ReceiptState.EXPIRED, Reason.OTHER),
        ("", "", None, Reason.NONE),
        ("已提交", "", None, Reason.NONE),
    ],
)
def test_what_a_carrier_writes(
    status: str, reason: str, state: ReceiptState | None, found: Reason
) -> None:
    (line,) = lines(f"BCDFGHJKLMNP,19790001234,{status},{reason},")
    assert isinstance(line, ResultLine)
    assert (line.ref, line.phone) == ("BCDFGHJKLMNP", "+8619790001234")
    assert (line.state, line.reason) == (state, found)


def test_a_number_that_a_spreadsheet_has_spoilt_is_known_by_its_reference() -> None:
    (line,) = lines("bcdfghjklmnp,1.979E+10,成功,,2027/1/12 9:31")
    assert isinstance(line, ResultLine)
    assert (line.ref, line.phone) == ("BCDFGHJKLMNP", "")
    assert line.done_at == datetime(2027, 1, 12, 9, 31, tzinfo=CHINA)


@pytest.mark.parametrize(
    "row", ["x,1.979E+10,成功,,", "BCDFGHJKLMNP,,成了,,", "BCDFGHJKLMNP,,成功,,昨天"]
)
def test_what_cannot_be_read_says_why_in_both_languages(row: str) -> None:
    (line,) = lines(row)
    assert isinstance(line, UnreadLine)
    assert line.row == 2
    assert line.why.zh
    assert line.why.en


def test_a_workbook_is_read_whatever_sheets_stand_beside_the_list() -> None:
    head = text_row("编号", "手机号码", "状态")
    lines = sheet(head, text_row("BCDFGHJKLMNP", "19790001234", "成功"))
    data = workbook(
        {"说明": sheet(text_row("请勿改动")), "名单": lines, "旧": lines}, hidden=["旧"]
    )
    (line,) = read_results(lambda: [data], packaged_prefixes())
    assert isinstance(line, ResultLine)
    assert (line.row, line.ref, line.state) == (2, "BCDFGHJKLMNP", ReceiptState.DELIVERED)


def test_a_file_without_numbers_is_refused() -> None:
    with pytest.raises(FileRefused):
        list(read_results(lambda: ["状态\n成功\n".encode()], packaged_prefixes()))
