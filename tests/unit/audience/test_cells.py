"""The text form of cells, placeholders, masking and neutral export (import rules §1 and §15)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audience.vocabulary.cells import (
    PLACEHOLDERS,
    WHITE,
    is_blank,
    masked,
    neutral,
    squeeze,
    text_form,
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  ａｂ　", "ab"),
        ("\u200b张\u00ad三\ufeff", "张三"),
        ("\x1c张三\x1c", "\x1c张三\x1c"),
        ("㈱\u2028", "(株)"),
        ("（父）", "(父)"),
        (" \u200b ", ""),
    ],
)
def test_text_form(cell: str, text: str) -> None:
    assert text_form(cell) == text


def test_white_is_the_unicode_property_white_space() -> None:
    others = {"\x1c", "\x1d", "\x1e", "\x1f"}  # white to Python, not to Unicode
    python = {chr(code) for code in range(0x110000) if chr(code).isspace()}
    assert set(WHITE) == python - others


@given(st.text(alphabet=st.characters(), max_size=20))
def test_short_cuts_agree_with_the_definition(cell: str) -> None:
    normal = unicodedata.normalize("NFKC", cell)
    visible = "".join(
        char
        for char in normal
        if not (
            char in "\u00ad\ufeff"
            or "\u200b" <= char <= "\u200f"
            or "\u202a" <= char <= "\u202e"
            or "\u2060" <= char <= "\u2064"
            or "\u2066" <= char <= "\u2069"
        )
    )
    assert text_form(cell) == visible.strip(WHITE)


@pytest.mark.parametrize("text", ["#N/A", "——", "\\", "无", "同上", "XXXX", "Null", ""])
def test_blank_cells(text: str) -> None:
    assert is_blank(text)


def test_placeholders_are_all_there() -> None:
    assert len(PLACEHOLDERS) == 50
    assert not is_blank("无锡")


def test_squeeze_removes_or_joins() -> None:
    assert squeeze("a \u3000\tb") == "ab"
    assert squeeze("a \u3000\tb", " ") == "a b"


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("1", "1"), ("12345", "1****"), ("12345678", "123*5678")]
)
def test_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "value", ["=1+1", " \u3000=1", "＝SUM(A1)", "+86", "-1", "@x", "＠x", "\tx", "\rx", "\nx"]
)
def test_formulas_are_neutralised(value: str) -> None:
    assert neutral(value) == "'" + value


@pytest.mark.parametrize("value", ["", "张三", "1-2", "a=b", "'=1"])
def test_other_values_are_exported_as_they_are(value: str) -> None:
    assert neutral(value) == value
