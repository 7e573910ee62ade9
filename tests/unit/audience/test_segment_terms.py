"""Rules as conditions and back: what is clicked is what the text says, and nothing is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.audience.segments.segment import canonical, parse
from service.audience.segments.segment_terms import (
    EQUALITIES,
    ORDERS,
    SIGNS,
    TITLES,
    Term,
    compose,
    operators_of,
    terms_of,
    text_of,
)
from service.audience.segments.segment_words import FIELDS, Field, fold
from service.audience.vocabulary.fields import Kind
from service.errors import Invalid

RUN = "0199b3c0-0000-7000-8000-000000000000"
SIGNED = "三溪镇财务 abAB\"'“”（）()、，,=<>!且或非not in属于"
texts = st.text(SIGNED, min_size=1, max_size=12).filter(fold)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    if field.kind is Kind.AGE:
        return st.integers(0, 120)
    if field.kind is Kind.DAYS:
        return st.integers(0, 3_650)
    if field.kind is Kind.RUN:
        return st.just(RUN)
    if field.kind is Kind.CODE:
        return st.sampled_from(sorted(field.codes))
    return st.one_of(texts, st.sampled_from(['"', "张或小学", "a and b", "not", "（）", "三溪镇"]))


@st.composite
def terms(draw: st.DrawFn) -> Term:
    field = draw(st.sampled_from(list(FIELDS.values())))
    operator = draw(st.sampled_from(operators_of(field)))
    several = operator in {"in", "not in"}
    size = draw(st.integers(1, 4)) if several else 1
    values = draw(st.lists(values_of(field), min_size=size, max_size=size))
    return Term(field.name, operator, tuple(values))


@given(st.lists(terms(), min_size=1, max_size=6))
def test_conditions_make_a_rule_that_is_read_back_as_the_same_conditions(given: list[Term]) -> None:
    rule = compose(given)
    text = text_of(given)
    assert parse(text, max_characters=100_000) == rule, "the text means what was clicked"
    found = terms_of(rule)
    assert found is not None
    assert compose(found) == rule, "and is edited without being typed"
    assert terms_of(parse(text, max_characters=100_000)) == found
    assert len(found) == len(given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("身份 = 财务人员 且 年龄 >= 60", [("role", "=", ("finance",)), ("age", ">=", (60,))]),
        ("身份 属于 (家长, 教师)", [("role", "in", ("parent", "teacher"))]),
        ("身份 不属于 (家长, 教师)", [("role", "not in", ("parent", "teacher"))]),
        ("非 运营商 = 联通", [("carrier", "not in", ("china_unicom",))]),
        ("运营商 != 联通", [("carrier", "!=", ("china_unicom",))]),
        ("身份 = 家长 或 年龄 >= 60", None),
        ("身份 = 家长 且 (年龄 >= 60 或 性别 = 女)", None),
        ("非 年龄 >= 60", None),
        ("非 (身份 = 家长 且 性别 = 女)", None),
    ],
)
def test_which_rules_can_be_clicked(text: str, expected: Any) -> None:
    found = terms_of(parse(text))
    assert found == (None if expected is None else [Term(*term) for term in expected])
    if found is not None:
        assert text_of(found) == canonical(parse(text))


@pytest.mark.parametrize(
    ("term", "said"),
    [
        (Term("shoe", "=", ("1",)), "a field"),
        (Term("role", ">=", ("finance",)), "one of"),
        (Term("role", "=", ("finance", "owner")), "one value"),
        (Term("role", "in", ("财物",)), "role"),
        (Term("age", "=", ("many",)), "whole years"),
        (Term("org", "=", ("  ",)), "not empty"),
        (Term("received", "=", ("x",)), "id of a run"),
    ],
)
def test_a_condition_that_is_wrong_is_named_by_its_place(term: Term, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        compose([Term("gender", "=", ("f",)), term])
    assert list(refused.value.fields) == ["terms.1"]
    assert said in refused.value.fields["terms.1"]


def test_no_conditions_are_no_rule() -> None:
    with pytest.raises(Invalid):
        compose([])


def test_each_field_and_operator_has_its_words() -> None:
    assert TITLES.keys() == FIELDS.keys()
    assert SIGNS.keys() == {*EQUALITIES, *ORDERS}
