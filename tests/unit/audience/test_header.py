"""Which row is the header, and what its columns mean (import rules §3)."""

import pytest

from service.audience.tables.header import Header, Vocabulary, find_header, header_form
from service.errors import Invalid


def _find(*records: list[str], columns: dict[str, str] | None = None) -> Header | None:
    return find_header(records, Vocabulary(columns))


@pytest.mark.parametrize(
    "cell", ["*手机号（必填）：", " 手 机 号 ", "手机号:#", "手机号(a)(b)", "＊手机号＊"]
)
def test_header_form(cell: str) -> None:
    assert header_form(cell) == "手机号"


def test_one_header_row_below_a_title() -> None:
    header = _find(["名单"], ["序号", "手机号", "姓名 ", "身份证", ""], ["1", "19790001234"])
    assert header is not None
    assert header.rows == (2,)
    assert header.mapped == {"phone": "手机号", "name": "姓名"}
    assert [(c.title, c.kind) for c in header.refused] == [("身份证", "id_number")]
    assert header.ignored == ["序号"]


def test_phone_header_in_both_rows_makes_two_header_rows() -> None:
    header = _find(["姓名", "联系方式", ""], ["", "手机号", "备注"], ["张", "19790001234"])
    assert header is not None
    assert header.rows == (1, 2)
    assert header.mapped == {"name": "姓名", "phone": "手机号", "note": "备注"}


def test_recognised_header_above_makes_two_header_rows() -> None:
    header = _find(["姓名", "联系"], ["", "手机号", "备注"])
    assert header is not None
    assert header.rows == (1, 2)
    assert header.titles == ("姓名", "手机号", "备注")


def test_unrecognised_row_above_is_preamble() -> None:
    header = _find(["标题", "x"], ["姓名", "手机号"])
    assert header is not None
    assert header.rows == (2,)


def test_lowest_rank_then_leftmost_phone_column_wins() -> None:
    header = _find(["电话", "手机", "手机号", "家长电话", "姓名", "联系人"])
    assert header is not None
    assert header.mapped == {"phone": "家长电话", "name": "姓名"}
    assert header.ignored == ["电话", "手机", "手机号", "联系人"]


def test_header_must_stand_in_the_first_twenty_records() -> None:
    assert _find(*[["说明"]] * 20, ["手机号"]) is None
    assert _find(*[["说明"]] * 19, ["手机号"]) is not None


@pytest.mark.parametrize(
    "columns", [{"phone": "号 码（主）", "org": "部门"}, {"号码": "phone", "部门": "org"}]
)
def test_uploader_names_columns_either_way_round(columns: dict[str, str]) -> None:
    header = _find(["手机号", "号码", "部门", "单位"], columns=columns)
    assert header is not None
    assert header.mapped == {"phone": "号码", "org": "部门"}
    assert header.ignored == ["手机号", "单位"]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"身份证号": "note"}, "never imported"),
        ({"甲": "乙"}, "one side must be one of phone"),
        ({"phone": ""}, "must be a header"),
        ({"phone": "a\0"}, "must be a header"),
    ],
)
def test_columns_that_make_no_sense(columns: dict[str, str], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        Vocabulary(columns)
