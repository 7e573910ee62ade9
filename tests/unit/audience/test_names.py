"""Names that are mended, kept with a warning, or refused (import rules §6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audience.vocabulary.names import LONGEST, read_name


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("张三", "张三"),
        (" 张三 ", "张三"),
        ("Zoë O'Neil-Wu", "Zoë O'Neil-Wu"),
        ("𬭎䶮", "𬭎䶮"),
        ("张", "张"),
        ("张3", "张3"),
    ],
)
def test_good_names_are_stored_as_they_are(cell: str, name: str) -> None:
    assert read_name(cell) == (name, (), ())


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("张 三", "张三"),
        ("张\u200b三", "张三"),
        ("买买提•艾力", "买买提·艾力"),
        ("买买提.艾力", "买买提·艾力"),
        ("Wang   Jian", "Wang Jian"),
        ("张三（父）", "张三(父)"),
    ],
)
def test_typing_is_mended(cell: str, name: str) -> None:
    assert read_name(cell) == (name, ("name_cleaned",), ())


@pytest.mark.parametrize("cell", ["", " ", "无", "测试", "TEST", "匿名", "-", "不详"])
def test_no_name(cell: str) -> None:
    assert read_name(cell) == ("", (), ("name_missing",))


@pytest.mark.parametrize(
    "cell",
    [
        "张三138",
        "http://x",
        "www.a",
        "a.cn",
        "张三@qq",
        "加微信",
        "薇信a",
        "v信a",
        "qq号",
        "扣扣",
        "加v",
        "vx",
        "★张三",
        "张三_",
        "【中心】",
        "甲" * (LONGEST + 1),
    ],
)
def test_what_is_no_name_is_refused(cell: str) -> None:
    assert read_name(cell)[:3] == ("", (), ("name_refused",))


@pytest.mark.attack
@pytest.mark.parametrize(
    "cell",
    [
        "请转账",
        "验证码",
        "验·证·码",
        "速转账 款",
        "把验证码发给我",
        "您的账户已冻结",
        "派出所找你快接",
        "甲乙丙丁戊",
        "send code now",
        "Pay the bank",
        "旌德县教育局",
    ],
)
def test_what_asks_for_something_is_no_name(cell: str) -> None:
    """Or is longer than a name, and writes no sounds of another language."""
    assert read_name(cell) == ("", (), ("name_refused",))


@pytest.mark.parametrize("cell", ["王主任", "李镇长", "赵老板"])
def test_titles_are_kept_with_a_warning(cell: str) -> None:
    assert read_name(cell) == (cell, (), ("name_title",))


@pytest.mark.parametrize("cell", ["=张三", "@a", "\t张三", "-张三"])
def test_a_formula_is_told(cell: str) -> None:
    assert "csv_injection" in read_name(cell).warnings


@given(st.text(alphabet=st.characters(), max_size=30))
def test_a_stored_name_is_short_and_stays_as_it_is(cell: str) -> None:
    name = read_name(cell)
    assert len(name.value) <= LONGEST
    assert bool(name.value) == (not {"name_missing", "name_refused"} & set(name.warnings))
