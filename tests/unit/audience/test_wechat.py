"""WeChat IDs of lists: what is one, whose may be kept, and how it is shown."""

from dataclasses import replace
from typing import Any

import pytest

from service.audience.imports.importing import read_contacts
from service.audience.imports.model import ListedRow, Rejected
from service.audience.imports.rejects import REJECTED_COLUMNS
from service.audience.imports.rows import Rules
from service.audience.numbers.prefix import packaged_prefixes
from service.audience.numbers.wechat import masked_wechat, read_wechat
from service.audience.vocabulary.roles import ROLES, WECHAT_ROLES
from tests.unit.audience.workbooks import sheet, text_row, workbook

HEAD = "手机号,姓名,身份,微信号\n"


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("wx_jia01", "wx_jia01"),
        ("  wx_jia01\u3000", "wx_jia01"),
        ("ＷＸ－ｊｉａ０１", "WX-jia01"),
        ("abcdef", "abcdef"),
        ("a" * 20, "a" * 20),
        ("19790000001", "19790000001"),
        ("+86 197 9000 0001", "19790000001"),
        ("", ""),
        ("  ", ""),
        ("无", ""),
        ("-", ""),
        ("abcde", None),
        ("a" * 21, None),
        ("1bcdef", None),
        ("_abcdef", None),
        ("wx.jia01", None),
        ("wx jia01", None),
        ("微信同号", None),
        ("王小明wx01", None),
        ("1979000000", None),
        ("17409001234", None),
        ("19790000001/19790000002", None),
        ("0563-8601234", None),
    ],
)
def test_what_is_a_wechat_id(cell: str, kept: str | None) -> None:
    assert read_wechat(cell, packaged_prefixes()) == kept


@pytest.mark.parametrize(
    ("wechat", "shown"),
    [
        ("", ""),
        ("19790000001", "197****0001"),
        ("abcdef", "a***ef"),
        ("wx_jia01", "w*****01"),
        ("a" * 20, "a" + "*" * 17 + "aa"),
    ],
)
def test_it_is_shown_masked(wechat: str, shown: str) -> None:
    assert masked_wechat(wechat) == shown


@pytest.mark.parametrize("role", ROLES)
def test_only_posts_and_owners_of_groups_may_have_one(role: str, read_file: Any) -> None:
    ((row,), report) = read_file(f"{HEAD}19790001234,张三,{role},wx_jia01\n")
    if role in WECHAT_ROLES:
        assert isinstance(row, ListedRow)
        assert row.link.text("wechat") == "wx_jia01"
        assert report["warnings"] == {}
    else:
        assert row == Rejected("", 2, "wechat_role", "197****1234")


def test_one_of_several_roles_is_enough(read_file: Any) -> None:
    ((row,), _) = read_file(f"{HEAD}19790001234,张三,财务人员、联络员,wx_jia01\n")
    assert isinstance(row, ListedRow)


def test_a_role_that_the_department_may_not_hold_does_not_count(rules: Rules) -> None:
    ours = replace(rules, refused_roles=frozenset({"counsellor"}))
    file = f"{HEAD}19790001234,张三,辅导员,wx_jia01\n".encode()
    with read_contacts(lambda: [file], rules=ours) as reading:
        assert list(reading) == [Rejected("", 2, "wechat_role", "197****1234")]


def test_an_empty_cell_needs_no_role_and_a_wrong_one_rejects_its_row_only(read_file: Any) -> None:
    rows, report = read_file(
        f"{HEAD}19790001234,张三,群众,\n19790001235,李四,群众,无\n"
        "19790001236,王五,班长,微信同号\n19790001237,赵六,班长,wx_zhao06\n"
        "19790001238,钱七,群众,微信同号\n"
    )
    assert [getattr(row, "code", None) for row in rows] == [
        None, None, "wechat_invalid", None, "wechat_role",
    ]  # fmt: skip
    assert rows[2] == Rejected("", 4, "wechat_invalid", "197****1236")
    assert report["rejected"] == {"wechat_invalid": 1, "wechat_role": 1}
    assert report["tables"][0]["mapped"]["wechat"] == "微信号"


@pytest.mark.parametrize("header", ["微信号", "微信号 *", "WeChat", "微信号（必填）"])
def test_it_is_found_by_its_header(header: str, read_file: Any) -> None:
    ((row,), _) = read_file(f"手机号,姓名,身份,{header}\n19790001234,张三,班长,wx_jia01\n")
    assert row.link.text("wechat") == "wx_jia01"


def test_a_workbook_says_it_as_a_text_file_does(read_file: Any) -> None:
    head, first, second = HEAD.strip().split(","), ["19790001234", "张三", "班长"], ["19790001235"]
    rows = [head, [*first, " wx_jia01 "], [*second, "李四", "群众", "wx_jia02"]]
    xml = sheet(*(text_row(*row) for row in rows))
    listed, refused = read_file(workbook({"名单": xml}))[0]
    assert listed.link.text("wechat") == "wx_jia01"
    assert refused == Rejected("名单", 3, "wechat_role", "197****1235")


def test_the_column_at_fault_is_named() -> None:
    assert {code for code, column in REJECTED_COLUMNS.items() if column == "wechat"} == {
        "wechat_role", "wechat_invalid",
    }  # fmt: skip
