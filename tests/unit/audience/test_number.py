"""Single numbers: E.164, masking, carriers, synthetic ranges, and API input in any usual form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audience.numbers.number import (
    REASONS,
    CellResult,
    Repair,
    mask,
    parse_phone,
    read_cell,
    shape,
    to_e164,
)
from service.audience.numbers.prefix import is_synthetic, packaged_prefixes, read_prefixes
from service.errors import Invalid


@pytest.mark.parametrize(
    "text",
    [
        "19790001234",
        "+8619790001234",
        "008619790001234",
        "+86 197-9000-1234",
        "(+86)197 9000 1234",
        "１９７９０００１２３４",
        "电话：19790001234",
    ],
)
def test_any_usual_form_becomes_e164(text: str) -> None:
    assert parse_phone(text) == "+8619790001234"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no number (shape empty)"),
        ("1979000123", "11 digits (shape 9999999999)"),
        ("0563-0601234", "landline"),
        ("19790001234/19080331234", "more than one number"),
        ("19790001234/0563-0601234", "more than one number"),
        ("1979O001234", "other than digits (shape 9999a999999)"),
        ("+1 202 555 0143", "not a Chinese mobile"),
        ("12000001234", "first digits"),
        ("19790001234" * 9, "shape 99999999999999999999…"),
    ],
)
def test_bad_input_is_named_by_its_shape_and_never_echoed(text: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_phone(text, field="to[3]")
    assert problem in refused.value.fields["to[3]"]
    assert refused.value.message.startswith("to[3] ")
    for number in ("19790001234", "1979000123", "0601234", "12000001234", "5550143"):
        assert number not in refused.value.message


def test_shape_hides_letters_and_digits() -> None:
    assert shape("张三 ab\t197①") == "aa aa 9999"


@pytest.mark.parametrize("phone", ["19790001234", "+8619790001234"])
def test_mask_keeps_three_and_four_digits(phone: str) -> None:
    assert mask(phone) == "197****1234"


def test_mask_of_a_short_text_keeps_the_first_character() -> None:
    assert mask("1234567") == "1******"


def test_e164_stays_as_it_is() -> None:
    assert to_e164("+8619790001234") == to_e164("19790001234") == "+8619790001234"


@pytest.mark.parametrize(
    ("phone", "carrier"),
    [
        ("19790001234", "china_mobile"),
        ("+8619080331234", "china_telecom"),
        ("19685121234", "china_unicom"),
        ("19261521234", "china_broadnet"),
        ("12000001234", None),
        ("1349" + "0001234", None),
    ],
)
def test_carrier_is_the_prefix_tables(phone: str, carrier: str | None) -> None:
    assert packaged_prefixes().carrier_of(phone) == carrier


@pytest.mark.parametrize(
    ("phone", "synthetic"),
    [
        ("19790000001", True),
        ("+8619799999999", True),
        ("19776220001", True),
        ("1977621" + "9999", False),
        ("19086569999", True),
        ("1908" + "6570000", False),
        ("1926151" + "9999", False),
        ("1979000", False),
        ("1979000123４", True),
        ("", False),
    ],
)
def test_synthetic_ranges_end_where_the_rules_say(phone: str, synthetic: bool) -> None:
    assert is_synthetic(phone) is synthetic


def test_a_four_digit_prefix_beats_its_three_digits() -> None:
    table = read_prefixes(["prefix,carrier_key,kind", "170,china_mobile,mno", "1700,a,iot"])
    assert table.judge("1700" + "0001234") == "iot"
    assert table.judge("1701" + "0001234") is None
    assert table.find("1601" + "0001234") is None


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("9.9E+5", "excel_truncated"),
        ("+123", "letters"),
        ("00123456789", "foreign"),
        ("86 1979000123", "length"),
        ("8688888888888", "prefix"),
        ("''", "phone_empty"),
        ("16900000000", "prefix"),
        ("19790001234abc" * 3, "letters"),
    ],
)
def test_corners_of_the_phone_rules(cell: str, code: str) -> None:
    assert read_cell(cell, packaged_prefixes()).code == code


@pytest.mark.parametrize(
    ("cell", "suggestion", "repair"),
    [
        ("1979OO01234", "19790001234", Repair.LOOKALIKES),
        ("手机：+86 l9790001234", "19790001234", Repair.LOOKALIKES),
        ("19790001234（父）", "19790001234", Repair.DIGITS_ONLY),
        ("l9790001234转9", None, None),
    ],
)
def test_a_suggestion_says_what_it_makes_of_the_cell(
    cell: str, suggestion: str | None, repair: Repair | None
) -> None:
    result = read_cell(cell, packaged_prefixes())
    assert (result.code, result.suggestion, result.repair) == ("letters", suggestion, repair)


def test_two_numbers_run_together_keep_the_good_one() -> None:
    result = read_cell("1979000123412000001234", packaged_prefixes())
    assert result.numbers == ("19790001234",)
    assert result.fixes == ("two_numbers",)
    assert result.part_rejected


@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_gives_numbers_or_a_known_code(cell: str) -> None:
    result = read_cell(cell, packaged_prefixes())
    assert bool(result.numbers) != bool(result.code)
    assert result.code is None or result.code in REASONS


@given(st.text(alphabet="0123456789+-()./, 转eE'手机：\u200b\u3000lOo*x", max_size=30))
def test_a_number_read_once_reads_as_itself(cell: str) -> None:
    for number in read_cell(cell, packaged_prefixes()).numbers:
        assert read_cell(number, packaged_prefixes()) == CellResult((number,))
