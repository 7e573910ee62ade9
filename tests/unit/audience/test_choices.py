"""Gender, roles, carrier and text columns (import rules §9)."""

from datetime import date

import pytest

from service.accounts.departments.department import KINDS
from service.audience.vocabulary.choices import (
    CARRIERS,
    read_carrier,
    read_flag,
    read_gender,
    read_roles,
    role_bits,
    roles_of,
)
from service.audience.vocabulary.roles import (
    KNOWN_ROLES,
    ROLE_TITLES,
    ROLES,
    ROLES_IN_ENGLISH,
    TOLD_ROLES,
    may_hold,
)
from service.audience.vocabulary.texts import read_day, read_text


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("男", ("m", False)),
        (" F ", ("f", False)),
        ("Male", ("m", False)),
        ("", ("", False)),
        ("不详", ("", False)),
        ("公", ("", True)),
    ],
)
def test_gender(cell: str, expected: tuple[str, bool]) -> None:
    assert read_gender(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("CMCC", ("china_mobile", False)),
        ("联通", ("china_unicom", False)),
        ("中国广电", ("china_broadnet", False)),
        ("china_telecom", ("china_telecom", False)),
        ("-", ("", False)),
        ("铁通", ("", True)),
    ],
)
def test_carrier(cell: str, expected: tuple[str, bool]) -> None:
    assert read_carrier(cell) == expected


@pytest.mark.parametrize(
    ("cell", "keys", "unknown"),
    [
        ("会计、群主", ("finance", "group_owner"), False),
        ("司机 村民", ("resident", "driver"), False),
        ("PARENT;家长/学生家长", ("parent",), False),
        ("教师|无", ("teacher",), False),
        ("教师，局长", ("teacher",), True),
        ("", (), False),
    ],
)
def test_roles(cell: str, keys: tuple[str, ...], unknown: bool) -> None:
    assert read_roles(cell) == (keys, unknown)


def test_every_role_and_carrier_word_means_its_key() -> None:
    assert len(ROLES) == 35
    for role, words in ROLES.items():
        assert all(read_roles(word) == ((role,), False) for word in (role, *words.split()))
    for carrier, words in CARRIERS.items():
        assert all(read_carrier(word).value == carrier for word in (carrier, *words.split()))


def test_no_two_roles_share_a_word_and_each_has_its_titles() -> None:
    words = [word for role in KNOWN_ROLES for word in (role.key, *role.words.split())]
    assert len(words) == len(set(words))
    assert len(set(ROLE_TITLES.values())) == len(set(ROLES_IN_ENGLISH.values())) == len(ROLES)
    for role in KNOWN_ROLES:
        assert read_roles(role.title).keys == (role.key,)
        assert role.english.isascii()
        assert not role.title.isascii()


def test_roles_are_added_at_the_end_for_their_order_counts_in_digests() -> None:
    assert list(ROLES)[:20] == [
        *("resident", "finance", "owner", "shop", "teacher", "student", "parent", "bank_staff"),
        *("grid_worker", "village_staff", "group_owner", "civil_servant", "elderly"),
        *("care_family", "site_worker", "driver", "returnee", "liaison", "counsellor"),
        "class_monitor",
    ]


@pytest.mark.parametrize("trait", ["离异", "低保", "贫困户", "建档立卡", "患者", "婚姻登记对象"])
def test_traits_that_no_list_may_say_are_no_role(trait: str) -> None:
    assert read_roles(trait) == ((), True)


def test_who_may_hold_a_role() -> None:
    assert all(holders <= {*KINDS} for role in KNOWN_ROLES if (holders := role.holders))
    assert all(may_hold(kind, role) for kind in KINDS for role in ("finance", "client", "leader"))
    held = {kind for kind in KINDS if may_hold(kind, "managed_person")}
    assert held == {"county", "police", "town"}
    assert not may_hold("school", "venue_staff")
    assert may_hold("culture", "venue_staff")
    assert "managed_person" not in TOLD_ROLES


def test_roles_as_bits_and_back() -> None:
    assert roles_of(role_bits(("finance", "driver"))) == ["finance", "driver"]
    assert roles_of(role_bits(tuple(ROLES))) == list(ROLES)


@pytest.mark.parametrize(
    ("cell", "value", "refused", "formula"),
    [
        (" 县妇联 ", "县妇联", False, False),
        ("证99999919000101000x（勿）", "", True, False),
        ("卡：0000000000000000", "", True, False),
        ("0000000000000000000", "", True, False),
        ("00000000000000000000", "00000000000000000000", False, False),
        ("=1", "=1", False, True),
        ("＝SUM(A1)", "=SUM(A1)", False, True),
        ("-", "-", False, False),
        ("\tx", "x", False, True),
        ("无", "无", False, False),
    ],
)
def test_text_columns(cell: str, value: str, refused: bool, formula: bool) -> None:
    assert read_text(cell) == (value, refused, formula)


@pytest.mark.parametrize(("cell", "flag"), [("1", True), ("是", True), ("0", False), ("", False)])
def test_flag(cell: str, flag: bool) -> None:
    assert read_flag(cell) is flag


@pytest.mark.parametrize(
    "text",
    [
        *("2027-06-03", "2027-6-3", "2027/06/03", "2027/6/3", "2027.6.3"),
        *("2027年6月3日", "2027年06月03", "20270603", "2027-06-03 00:00:00"),
    ],
)
def test_a_day_as_offices_and_workbooks_write_it(text: str) -> None:
    assert read_day(text) == date(2027, 6, 3)


@pytest.mark.parametrize(
    "text",
    ["", "长期", "2027", "2027-06", "2027-13-01", "2027-02-30", "27-06-03", "46541", "3-6-2027"],
)
def test_what_is_no_day_ends_nothing(text: str) -> None:
    assert read_day(text) is None
