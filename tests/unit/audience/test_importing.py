"""Rows in their order: skipped, rejected, new, merged, duplicate, and the report (§4, §10, §12)."""

from typing import Any

import pytest

from service.audience.areas.area import AreaPlace
from service.audience.imports.importing import read_contacts
from service.audience.imports.model import ListedRow, Rejected, Skipped
from service.audience.imports.report import LISTED_SPELLINGS, Repeats, Spellings
from service.audience.imports.rows import Rules
from service.audience.numbers.number import Repair
from service.audience.numbers.prefix import Prefix, Prefixes
from service.errors import Invalid

HEAD = "phone,name,role,org,age,town\n"


def test_blank_rows_at_the_end_are_not_read(read_file: Any) -> None:
    rows, report = read_file(HEAD + "\n,,\n19790001234,张三\n\n , \n")
    assert [type(row) for row in rows] == [Skipped, Skipped, ListedRow]
    assert [row.row for row in rows] == [2, 3, 4]
    assert report["rows"] == {
        "read": 3,
        "accepted": 1,
        "rejected": 0,
        "duplicate": 0,
        "skipped": 2,
    }
    assert report["tables"][0]["rows_read"] == 3


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("# 备注", "comment"),
        ("# 备注,# 备注,,# 备注", "comment"),
        ("# 备注,别的", None),
        ("#备注", None),
        ("手机,姓名", "repeated_header"),
        ("手机,别的", None),
        ("合 计：12人", "total"),
        ("TOTAL", "total"),
        ("合计12个月", None),
    ],
)
def test_rows_that_are_no_person(row: str, code: str | None, read_file: Any) -> None:
    rows, _ = read_file(f"{HEAD}19790001234\n{row}\n")
    assert (rows[1].code if isinstance(rows[1], Skipped) else None) == code


def test_total_beside_a_number_is_a_person(read_file: Any) -> None:
    rows, _ = read_file("no,phone\n合计,19790001234\n小计,12\n")
    assert [type(row) for row in rows] == [ListedRow, Skipped]


def test_header_of_a_one_column_table_is_repeated(read_file: Any) -> None:
    rows, _ = read_file("phone\n19790001234\n电话\n")
    assert rows[1] == Skipped("", 3, "repeated_header")


def test_cells_beyond_the_header_are_ignored(read_file: Any) -> None:
    rows, _ = read_file("phone,name\n19790001234,张三,李四\n,,王五\n19790001235\n")
    assert [type(row) for row in rows] == [ListedRow, Skipped, ListedRow]
    assert rows[2].warnings == ("name_missing",)


def test_file_carrier_counts_for_a_single_number_only(read_file: Any) -> None:
    rows, report = read_file(
        "phone,carrier\n19790001234,电信\n19790001235/19790001236,电信\n19790001237,铁通\n"
    )
    carriers = [carrier for row in rows for carrier in row.carriers]
    assert carriers == ["china_telecom", "china_mobile", "china_mobile", "china_mobile"]
    assert report["recipients"]["ported"] == 1


def test_numbers_of_virtual_operators_are_counted(rules: Rules) -> None:
    virtual = Rules(rules.areas, Prefixes({"197": Prefix("china_mobile", "mvno")}))
    reading = read_contacts(lambda: [b"phone\n19790001234\n"], rules=virtual)
    list(reading)
    recipients = reading.report(Repeats())["recipients"]
    assert recipients["mvno"] == 1
    assert recipients["by_carrier"] == {"china_mobile": 1}


def test_children_are_rejected_and_leave_nothing(read_file: Any) -> None:
    rows, report = read_file(
        "phone,name,age,role,grade,child\n"
        "19790001234,张三,9\n"
        "19790001235,李四,,学生,三年级\n"
        "19790001236,王五,,学生、家长,三年级\n"
    )
    assert rows[:2] == [
        Rejected("", 2, "minor", "197****1234"),
        Rejected("", 3, "minor", "197****1235"),
    ]
    assert report["recipients"]["total"] == 1


def test_rejected_values_are_masked(read_file: Any) -> None:
    rows, _ = read_file("phone,org\n微信19790001234,x\n12345,y\n" + "9" * 50 + ",z\n")
    assert rows[0] == Rejected(
        "", 2, "letters", "微信1******1234", "19790001234", Repair.DIGITS_ONLY
    )
    assert rows[1].masked == "1****"
    assert rows[2].masked == "999" + "*" * 33 + "9999"


def test_refused_columns_are_counted_and_nowhere_else(read_file: Any) -> None:
    rows, report = read_file(
        "phone,身份证,收入\n19790001234,999999190001010000,\n12,999999190001010000,7\n合计,1,1\n"
    )
    assert report["tables"][0]["refused"] == [
        {"header": "身份证", "kind": "id_number", "non_empty": 2},
        {"header": "收入", "kind": "income", "non_empty": 1},
    ]
    assert "99999919" not in repr(rows)


def test_columns_named_by_the_uploader(read_file: Any) -> None:
    rows, report = read_file("甲,乙\n19790001234,张三\n", columns={"phone": "甲", "乙": "name"})
    assert rows[0].link.name == "张三"
    assert report["tables"][0]["mapped"] == {"phone": "甲", "name": "乙"}
    with pytest.raises(Invalid, match="no table of the file has the header 丙") as refused:
        read_file("phone,乙\n19790001234,张三\n", columns={"丙": "name"})
    assert refused.value.code == "no_such_column"


def test_spellings_of_areas_are_listed_for_confirmation(rules: Rules) -> None:
    text = "phone,town\n19790001234,三溪\n19790001235,三溪\n19790001236,城关\n19790001237,三溪镇\n"
    reading = read_contacts(lambda: [text.encode()], rules=rules)
    list(reading)
    assert reading.spellings == {
        "area_spellings": [
            {"written": "三溪", "area": "341825102000", "rows": 2},
            {"written": "城关", "area": "", "rows": 1},
        ],
        "area_spellings_left_out": 0,
    }


def test_listed_spellings_are_bounded() -> None:
    spellings = Spellings()
    for number in range(LISTED_SPELLINGS + 5):
        spellings.add(AreaPlace("", str(number), alias=False, warnings=("area_unknown",)))
    spellings.add(AreaPlace("", "0", alias=False, warnings=("area_unknown",)))
    report = spellings.report()
    assert len(report["area_spellings"]) == LISTED_SPELLINGS
    assert report["area_spellings"][0]["rows"] == 2
    assert report["area_spellings_left_out"] == 5
