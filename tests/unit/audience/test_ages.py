"""Ages, bands, grades, and who is a minor (import rules §7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audience.vocabulary.ages import (
    BANDS,
    UNDER_14,
    UNKNOWN,
    is_minor,
    read_age,
    read_grade,
)


@pytest.mark.parametrize(
    ("age", "band", "expected"),
    [
        ("13", "", (UNDER_14, False)),
        ("14", "", ("14-17", False)),
        ("17周岁", "", ("14-17", False)),
        ("18岁", "", ("18-25", False)),
        ("25", "", ("18-25", False)),
        ("26.0", "", ("26-40", False)),
        ("41.00", "", ("41-59", False)),
        ("59", "", ("41-59", False)),
        ("６０", "", ("60-69", False)),
        ("70", "14-17", ("70+", False)),
        ("120", "", ("70+", False)),
        ("121", "", (UNKNOWN, True)),
        ("1000", "26-40", ("26-40", True)),
        ("十五", "", (UNKNOWN, True)),
        ("-5", "", (UNKNOWN, True)),
        ("0", "", (UNKNOWN, False)),
        ("不详", "70以上", ("70+", False)),
        ("", "70及以上", ("70+", False)),
        ("", "14 – 17岁", ("14-17", False)),
        ("", "26至40", ("26-40", False)),
        ("", "41到59岁", ("41-59", False)),
        ("", "6-13", (UNDER_14, False)),
        ("", "14岁以下", (UNDER_14, False)),
        ("", "<14", (UNDER_14, False)),
        ("", "<15", (UNKNOWN, True)),
        ("", "15以下", (UNKNOWN, True)),
        ("", "10-14", (UNKNOWN, True)),
        ("", "30-40", (UNKNOWN, True)),
        ("", "无", (UNKNOWN, False)),
        ("", "1-" + "9" * 5_000, (UNKNOWN, True)),
    ],
)
def test_band_of_a_row(age: str, band: str, expected: tuple[str, bool]) -> None:
    assert read_age(age, band) == expected


@pytest.mark.parametrize(
    ("cell", "grade"),
    [
        ("幼儿园大班", 0),
        ("学前班", 0),
        ("小学三年级", 3),
        ("七年级(2)班", 7),
        ("9年级", 9),
        ("初 二", 8),
        ("初中三年级", 9),
        ("高一", 10),
        ("高中3班", 12),
        ("中专二年级", 10),
        ("大四", 16),
        ("大班", 0),
        ("研一", 17),
        ("博士", 17),
        ("2024级", None),
        ("", None),
    ],
)
def test_school_year_of_a_grade(cell: str, grade: int | None) -> None:
    assert read_grade(cell) == grade


@pytest.mark.parametrize(
    ("band", "grade", "minor"),
    [
        (UNDER_14, None, True),
        (UNDER_14, 12, True),
        ("14-17", 3, False),
        (UNKNOWN, 8, True),
        (UNKNOWN, 9, False),
        (UNKNOWN, 0, True),
        (UNKNOWN, None, False),
    ],
)
def test_who_is_a_minor(band: str, grade: int | None, minor: bool) -> None:
    assert is_minor(band, grade) is minor


@given(st.text(max_size=10), st.text(max_size=10))
def test_any_text_gives_a_band(age: str, band: str) -> None:
    assert read_age(age, band).band in {*BANDS, UNDER_14, UNKNOWN}
