"""What fills a campaign's variables: one table, which fields of a person and samples know."""

import pytest

from service.audience.vocabulary.fields import PERSON_FIELDS
from service.audience.vocabulary.roles import ROLE_TITLES, ROLES
from service.messages.template import SAMPLE_VALUES, fills, longest_value, unfilled_problem
from service.messages.value_sources import (
    CONTACT_VARIABLES,
    LIST_FACTS,
    LIST_VARIABLES,
    LONGEST_LISTED,
    PERSON_VARIABLES,
    PLAN_VARIABLES,
    POLICE_VARIABLES,
    facts_of,
    listed_of,
)


def test_each_fact_of_lists_is_a_field_of_a_person_in_clear() -> None:
    texts = {f.code for f in PERSON_FIELDS if f.is_text and f.sql_type == "text" and f.column}
    assert {*LIST_FACTS} - {"role"} <= texts
    assert {*LIST_VARIABLES.values()} == {*LIST_FACTS} == {*LONGEST_LISTED}
    assert {*ROLE_TITLES} == {*ROLES}


def test_no_variable_is_filled_twice() -> None:
    assert not CONTACT_VARIABLES.keys() & LIST_VARIABLES.keys()
    assert len(PERSON_VARIABLES) == len(CONTACT_VARIABLES) + len(LIST_VARIABLES)
    assert not PERSON_VARIABLES.keys() & PLAN_VARIABLES.keys()
    assert {*PLAN_VARIABLES} >= POLICE_VARIABLES


def test_each_chinese_variable_has_an_ordinary_value_that_fits() -> None:
    chinese = [name for name in PERSON_VARIABLES if not name.isascii()]
    assert len(chinese) > 10
    for name in chinese:
        assert 0 < len(SAMPLE_VALUES[name]) <= longest_value(name)


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        ([], []),
        (["姓名", "社区"], []),
        (["班级", "姓名", "学校"], ["school", "class"]),
        (["身份", "职务", "单位"], ["org", "role"]),
        (["起数"], []),
    ],
)
def test_what_a_text_takes_of_lists_is_in_the_order_of_the_table(
    names: list[str], listed: list[str]
) -> None:
    assert list(listed_of(facts_of(names))) == listed


def test_a_text_is_filled_by_what_lists_hold() -> None:
    text = "【某校】{学校}{年级}{班级}{姓名}家长您好。"
    assert unfilled_problem(text) is None
    assert fills(text) == {"学校": "school", "年级": "grade", "班级": "class", "姓名": "name"}
    assert "{学费}" in str(unfilled_problem("【某校】{学费}。"))
    assert fills("【某校】{起数}{学费:金额}{学费:金额}{姓名:人名}。") == {
        "起数": "plan",
        "学费": "plan",
        "姓名": "name",
    }
