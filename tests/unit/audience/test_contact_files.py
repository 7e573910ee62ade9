"""Format, encoding, delimiter and records of a file (import rules §2)."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.audience.tables.files import LONGEST_LINE
from service.errors import FileRefused, Invalid

LIST = "手机号,姓名\r\n19790001234,张三\r\n19790001235,李四\r\n"


@pytest.mark.parametrize(
    ("octets", "encoding"),
    [
        (LIST.encode(), "utf-8"),
        (LIST.encode("utf-8-sig"), "utf-8-bom"),
        (b"\xff\xfe" + LIST.encode("utf-16-le"), "utf-16-le"),
        (b"\xfe\xff" + LIST.encode("utf-16-be"), "utf-16-be"),
        (LIST.encode("gb18030"), "gb18030"),
        (LIST.encode("gbk"), "gb18030"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 65_536])
def test_encodings_whatever_the_pieces(
    octets: bytes, encoding: str, size: int, read_file: Any
) -> None:
    rows, report = read_file(octets, size=size)
    assert report["file"] == {"format": "csv", "encoding": encoding, "delimiter": ","}
    assert [row.link.name for row in rows] == ["张三", "李四"]
    assert report["tables"][0]["mapped"] == {"phone": "手机号", "name": "姓名"}


def test_uploader_names_the_encoding(read_file: Any) -> None:
    text = "手機號,姓名,phone\r\n1,張三,19790001234\r\n"
    rows, report = read_file(text.encode("big5"), encoding="BIG5")
    assert rows[0].link.name == "張三"
    assert report["file"]["encoding"] == "big5"
    with pytest.raises(Invalid, match="unknown; write one of utf-8"):
        read_file(LIST, encoding="latin-1")
    with pytest.raises(FileRefused, match="not valid gbk"):
        read_file(b"\xff\xff", encoding="gbk")


@pytest.mark.parametrize(
    "octets", [b"\xff\xfe1", b"\xff\xfe\x00\x00", b"a\0b", b"\xef\xbb\xbf\xff"]
)
def test_undecidable_encodings(octets: bytes, read_file: Any) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file(octets)
    assert refused.value.code == "encoding_undecidable"


@pytest.mark.parametrize("octets", [b"", b"\xef\xbb\xbf", b";;;\n", b"\xff\xfe", b'""\n , \n'])
def test_empty_files(octets: bytes, read_file: Any) -> None:
    with pytest.raises(FileRefused) as refused:
        read_file(octets)
    assert refused.value.code == "empty_file"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, end: str, read_file: Any) -> None:
    lines = ["手机号,姓名,备注", "19790001234,张三,", '19790001235,李四,"甲,乙"', ""]
    text = end.join(line.replace(",", delimiter) for line in lines)
    rows, report = read_file(text, size=1)
    assert report["file"]["delimiter"] == delimiter
    assert [row.row for row in rows] == [2, 3]
    assert rows[1].link.text("note") == f"甲{delimiter}乙".strip()


def test_highest_score_wins_and_a_tie_goes_to_the_comma(read_file: Any) -> None:
    _, report = read_file("phone;name;org,note\n19790001234;a;b,c\n")
    assert report["file"]["delimiter"] == ";"
    _, report = read_file("phone\n19790001234\n")
    assert report["file"]["delimiter"] == ","


def test_separator_line_names_any_delimiter(read_file: Any) -> None:
    rows, report = read_file("SEP=^\nphone^name,note\n19790001234^张三\n")
    assert report["file"]["delimiter"] == "^"
    assert report["tables"][0]["preamble_rows"] == 1
    assert rows[0].row == 3
    with pytest.raises(FileRefused, match="phone column"):
        read_file("sep=^\nphone,name\n19790001234,张三\n")


def test_quotes(read_file: Any) -> None:
    text = 'phone,note,org\n19790001234,"a ""b""\r\nc",d "e" f\n'
    rows, report = read_file(text)
    assert rows[0].link.text("note") == 'a "b"\r\nc'
    assert rows[0].link.text("org") == 'd "e" f'
    assert report["rows"]["read"] == 1


def test_line_breaks_of_unicode_end_no_record(read_file: Any) -> None:
    rows, _ = read_file("phone,note\n19790001234,a\u2028b\x0bc\x85d\n")
    assert rows[0].link.text("note") == "a\u2028b\x0bc\x85d"


def test_a_quote_never_closed_is_found_out(read_file: Any) -> None:
    text = "phone,name\n" + '19790001234,"张三\n' + "19790001235,李四\n" * 9_000
    with pytest.raises(FileRefused, match="line .* never closed"):
        read_file(text)


def test_a_line_without_end_is_no_table(read_file: Any) -> None:
    with pytest.raises(FileRefused, match="not a table"):
        read_file("a" * (LONGEST_LINE + 1))
    read_file("phone,note\n" + "a" * 1_000 + "\n" + "b" * 1_000)


def test_a_row_over_many_lines_has_an_end_too(read_file: Any) -> None:
    """Each field is quoted and holds a line break: short lines, one row."""
    with pytest.raises(FileRefused, match="a row is longer than"):
        read_file("phone,note\n19790001234" + ',"\n"' * (LONGEST_LINE // 4))
    rows, _ = read_file("phone,note\n" + '19790001234,"a\nb"\n' * (LONGEST_LINE // 15))
    assert len(rows) == LONGEST_LINE // 15, "that is a row's limit, not the file's"


@settings(max_examples=100)
@given(data=st.binary(max_size=60), text=st.text(max_size=60), headed=st.booleans())
def test_any_octets_are_read_or_refused(
    data: bytes, text: str, headed: bool, read_file: Any
) -> None:
    content = b"phone,name,\xe6\x9d\x91\n" + text.encode("utf-8", "replace") if headed else data
    with contextlib.suppress(FileRefused):
        rows, report = read_file(content)
        figures = report["rows"]
        assert figures["read"] == len(rows) == sum(figures.values()) - figures["read"]
