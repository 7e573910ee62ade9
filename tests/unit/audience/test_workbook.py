"""Cells, merges, sheets and limits of workbooks (import rules §2.5 to §2.7)."""

import datetime
import io
import struct
import zipfile
from typing import Any

import pytest

from service.audience.tables import workbook_process
from service.audience.tables.files import open_source
from service.audience.tables.header import Vocabulary
from service.audience.tables.workbook import (
    LONGEST_CELL,
    MOST_MEMBERS,
    MOST_SHEETS,
    MOST_UNPACKED_OCTETS,
    cell_text,
    column_number,
    read_workbook,
)
from service.errors import FileRefused
from tests.unit.audience.workbooks import sheet, text_row, workbook

HEAD = text_row("手机", "姓名")
PERSON = text_row("19790001234", "张三")


def records(data: bytes) -> list[list[str]]:
    (only,) = read_workbook(io.BytesIO(data))
    return list(only.records)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("文字", "文字"),
        (True, "TRUE"),
        (19790001234.0, "19790001234"),
        (7, "7"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (1.5e20, "150000000000000000000"),
        (datetime.date(2027, 6, 30), "2027-06-30"),
        (datetime.datetime(2027, 6, 30), "2027-06-30"),  # noqa: DTZ001  # a cell knows no zone
        (datetime.datetime(2027, 6, 30, 8, 5), "2027-06-30 08:05:00"),  # noqa: DTZ001
        (datetime.time(8, 5), "08:05:00"),
        (datetime.timedelta(hours=30), "1 day, 6:00:00"),
    ],
)
def test_cells_as_text(cell: Any, text: str) -> None:
    assert cell_text(cell) == text


@pytest.mark.parametrize(("letters", "number"), [("A", 0), ("Z", 25), ("AA", 26), ("XFD", 16383)])
def test_column_numbers(letters: str, number: int) -> None:
    assert column_number(letters) == number


def test_values_of_every_kind_stand_where_they_stood() -> None:
    row = (
        '<row r="3"><c r="B3" t="str"><f>"a"</f><v>abc</v></c><c r="C3" t="e"><v>#N/A</v></c>'
        '<c r="D3"><v>1.9790001234E10</v></c><c r="E3" t="b"><v>0</v></c><c r="F3"><f>1+1</f></c>'
        "<c r='G3' t = 'e'><f>1/0</f><v>#DIV/0!</v></c></row>"
    )
    nothing = [""] * 7
    assert records(workbook({"S": sheet(row)})) == [
        nothing,
        nothing,
        ["", "abc", "#N/A", "19790001234", "FALSE", "", "#DIV/0!"],
    ]


def test_an_error_is_found_where_cells_have_no_reference() -> None:
    rows = "<row><c><v>1</v></c></row><row><c><v>2</v></c><c t='e'><v>#REF!</v></c></row>"
    assert records(workbook({"S": sheet(rows)})) == [["1", ""], ["2", "#REF!"]]


def test_an_error_is_found_at_the_end_of_a_large_sheet() -> None:
    rows = [text_row("文" * 1_000)] * 2_000
    last = '<row><c t="e"><v>#NAME?</v></c></row>'
    assert records(workbook({"S": sheet(*rows, last)}))[-1] == ["#NAME?"]


def test_a_placeholder_in_place_of_a_number_is_rejected_as_such(read_file: Any) -> None:
    data = workbook({"S": sheet(HEAD, '<row><c t="e"><v>#N/A</v></c></row>', PERSON)})
    rows, report = read_file(data)
    assert report["rejected"] == {"placeholder": 1}
    assert rows[0].row == 2


def test_merged_cells_all_have_the_value_of_the_first() -> None:
    rows = [text_row(*cells) for cells in (("a", "", "c"), ("", "", "d"), "efg", ("", "", "h"))]
    ranges = ("A1:B2", "A3:A4", "C4:XFD1048576")
    merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in ranges)
    assert records(workbook({"S": sheet(*rows, after=f"<mergeCells>{merges}</mergeCells>")})) == [
        ["a", "a", "c"],
        ["a", "a", "d"],
        ["e", "f", "g"],
        ["e", "", "h"],
    ]


def test_sheets_in_their_order_and_those_that_are_skipped(read_file: Any) -> None:
    data = workbook(
        {
            "说明": sheet(text_row("请填写")),
            "乙": sheet(HEAD, PERSON),
            "旧": sheet(HEAD, PERSON),
            "甲": sheet(HEAD, text_row("19790001235", "李四")),
            "空": sheet(),
        },
        hidden=["旧"],
    )
    rows, report = read_file(data)
    assert [(row.table, row.numbers) for row in rows] == [
        (0, ("19790001234",)),
        (1, ("19790001235",)),
    ]
    assert [table["sheet"] for table in report["tables"]] == ["乙", "甲"]
    assert report["tables_skipped"] == [
        {"sheet": "说明", "reason": "no_phone_column"},
        {"sheet": "旧", "reason": "hidden"},
        {"sheet": "空", "reason": "no_phone_column"},
    ]
    assert report["file"] == {"format": "xlsx", "encoding": None, "delimiter": None}


def test_cells_with_line_breaks_and_quotes_arrive_whole(read_file: Any) -> None:
    rows, _ = read_file(workbook({"S": sheet(HEAD, text_row("19790001234\n19790001235", 'a"b'))}))
    assert rows[0].numbers == ("19790001234", "19790001235")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (workbook({"S": sheet()}), "empty_file"),
        (workbook({"S": sheet(text_row(" ", "\u3000"))}), "empty_file"),
        (workbook({"S": sheet(text_row("备注"))}), "no_phone_column"),
        (workbook({"S": sheet(HEAD, PERSON)}, hidden=["S"]), "no_phone_column"),
        (workbook({"S": sheet(HEAD, PERSON)})[:-40], "unsupported_format"),
        (workbook({"S": sheet(HEAD, PERSON)}, without=["xl/workbook.xml"]), "unsupported_format"),
        (
            workbook({"S": sheet(HEAD, PERSON)}, without=["xl/worksheets/sheet1.xml"]),
            "unsupported_format",
        ),
        (workbook({"S": "<worksheet><sheetData><row></sheetData>"}), "unsupported_format"),
        (workbook({"S": sheet(HEAD, PERSON).removesuffix("</worksheet>")}), "unsupported_format"),
        (workbook({"S": f"<!DOCTYPE worksheet>{sheet(HEAD, PERSON)}"}), "unsupported_format"),
        (workbook({"S": sheet(HEAD, text_row("_x0000_"))}), "unsupported_format"),
        (workbook({"S": sheet(HEAD, text_row("1" * (LONGEST_CELL + 1)))}), "unsupported_format"),
        (workbook({"S": sheet(HEAD, text_row("1" * 10_000_000))}), "unsupported_format"),
        (b"PK\x03\x04" + b"\xff" * 10_000, "unsupported_format"),
        (workbook({f"S{n}": sheet() for n in range(MOST_SHEETS + 1)}), "file_too_large"),
        (
            workbook({"S": sheet()}, more={f"x{n}": b"" for n in range(MOST_MEMBERS)}),
            "file_too_large",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused(data: bytes, code: str, read_file: Any) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file(data)
    assert refused.value.code == code


def _bomb(octets: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", b"<workbook/>")
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(octets // 1_048_576):
                part.write(bytes(1_048_576))
    return buffer.getvalue()


def test_a_zip_bomb_is_refused_by_its_directory(read_file: Any) -> None:
    bomb = _bomb(MOST_UNPACKED_OCTETS + 2 * 1_048_576)
    assert len(bomb) < 1_000_000
    with pytest.raises(FileRefused, match="unpacks to") as refused:
        read_file(bomb)
    assert refused.value.code == "file_too_large"


def test_a_zip_bomb_that_lies_about_its_size_is_found_out(read_file: Any) -> None:
    honest = 32 * 1_048_576
    lying = _bomb(honest).replace(struct.pack("<I", honest), struct.pack("<I", 1_000))
    with pytest.raises(FileRefused) as refused:
        read_file(lying)
    assert refused.value.code == "unsupported_format"


def _merged(text: str, last: str, ref: str) -> bytes:
    """A small workbook in which a merged range repeats a text many times."""
    after = f'<mergeCells><mergeCell ref="{ref}"/></mergeCells>'
    end = f'<row r="{last}"><c r="A{last}" t="inlineStr"><is><t>x</t></is></c></row>'
    return workbook({"S": sheet(HEAD, PERSON, text_row(text), end, after=after)})


def test_merged_cells_are_no_bomb_down_the_rows(
    read_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = workbook_process.OF_IMPORTS._replace(unpacked_octets=10_000_000)
    monkeypatch.setattr(workbook_process, "OF_IMPORTS", small)
    bomb = _merged("长" * LONGEST_CELL, "9000", "A3:A9000")
    assert len(bomb) < 10_000
    with pytest.raises(FileRefused, match="merged cells") as refused:
        read_file(bomb)
    assert refused.value.code == "file_too_large"


def test_merged_cells_are_no_bomb_along_a_row() -> None:
    wide = text_row("1" * LONGEST_CELL, *([""] * 40), "x")
    after = '<mergeCells><mergeCell ref="A1:AO1"/></mergeCells>'
    with pytest.raises(FileRefused, match="row 1 of sheet S has more than") as refused:
        records(workbook({"S": sheet(wide, after=after)}))
    assert refused.value.code == "unsupported_format"


@pytest.mark.parametrize("act", ["kept.append(bytearray(10_000_000))", "pass"])
def test_a_process_that_passes_its_limits_is_ended(
    act: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Instead of the workbook's reader, one that takes memory, or time, without end."""
    lines = [
        "from service.audience import workbook_process as wanted",
        "def spin(*_):",
        "    kept = []",
        f"    while True: {act}",
        "wanted.read_workbook = spin",
        "wanted.main()",
    ]
    (tmp_path / "limited.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(workbook_process, "_MODULE", "limited")
    short = workbook_process.OF_IMPORTS._replace(processor_seconds=1)
    with pytest.raises(FileRefused, match="cannot be read within 1,536 MiB of memory and 1 s") as (
        refused
    ):
        workbook_process.unpack_workbook(lambda: [workbook({"S": sheet(HEAD, PERSON)})], short)
    assert refused.value.code == "file_too_large"


def test_unpacked_records_lie_on_the_disk_as_ciphers_only() -> None:
    (unpacked,) = workbook_process.unpack_workbook(lambda: [workbook({"S": sheet(HEAD, PERSON)})])
    unpacked.records._file.seek(0)
    stored = unpacked.records._file.read()
    assert b"19790001234" not in stored
    assert b"19790001234" in b"".join(unpacked.records.chunks())
    unpacked.records.close()


def test_a_closed_source_has_closed_its_files() -> None:
    data = workbook({"S": sheet(HEAD, PERSON)})
    source = open_source(lambda: [data], Vocabulary())
    assert list(source.sheets[0].records())[1] == ["19790001234", "张三"]
    source.close()
    with pytest.raises(ValueError, match="closed"):
        list(source.sheets[0].records())
