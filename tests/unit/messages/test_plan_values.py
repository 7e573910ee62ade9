"""What a plan gives its texts: of the kind that is asked for, bounded, and filled in once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.messages.lint.lint import lint
from service.messages.plan_values import TYPED_FIGURE, plan_values, value_problems
from service.messages.template import (
    MAX_VALUE,
    SAMPLE_VALUES,
    characters,
    fill,
    measure,
    variables,
    worst_values,
)
from service.messages.value_kinds import FRAUDS, KIND_WORDS, KINDS, ValueKind, fits, longest_of
from service.messages.value_sources import PLAN_VARIABLES, POLICE_VARIABLES
from service.words.phrase import translated

DAYS = st.builds("{}月{}日".format, st.integers(1, 12), st.integers(1, 28))
COUNTS = st.builds(str, st.integers(0, 999_999))
VALUES: dict[ValueKind, st.SearchStrategy[str]] = {
    "date": DAYS,
    "time": st.builds("{}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    "period": DAYS
    | st.builds("{}至{}".format, DAYS, DAYS)
    | st.sampled_from(["本周", "上周", "上个月", "近7天", "第3周", "2027年第3周", "1-3月"]),
    "number": COUNTS | st.builds("{}.{}".format, COUNTS, st.integers(0, 999)),
    "amount": COUNTS
    | st.builds("{:,}元".format, st.integers(0, 999_999_999))
    | st.builds("{}{}".format, COUNTS, st.sampled_from(["万", "万元", "亿", "亿元"]))
    | st.builds("{:,}.{:02}万元".format, st.integers(0, 999_999_999), st.integers(0, 99))
    | st.builds("{}.{:02}".format, COUNTS, st.integers(0, 99)),
    "frauds": st.lists(st.sampled_from(FRAUDS), min_size=1, max_size=3).map("、".join),
    "name": st.sampled_from(["王建国", "欧阳建国", "买买提·艾力"]),
    "place": st.sampled_from(["新桥小区3幢群", "三溪镇东山组", "旌阳镇政府大院"]),
}
KIND = {kind: word for word, kind in KINDS.items() if not word.isascii()}
TYPED = st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind]))


def text_of(kind: ValueKind) -> str:
    return f"【旌德县公安局】近期情况：{{甲:{KIND[kind]}}}，请注意防范，疑问拨96110。"


def test_every_kind_has_its_words_and_is_tried() -> None:
    assert {*KIND_WORDS} == {*KINDS.values()} == {*VALUES}
    assert {*PLAN_VARIABLES.values()} <= {*VALUES}


@given(TYPED)
def test_a_value_of_its_kind_is_taken_if_it_is_short_and_read_as_it_was_judged(
    typed: tuple[ValueKind, str],
) -> None:
    kind, value = typed
    text, values = text_of(kind), plan_values({"甲": value})
    problems = value_problems(text, values, "department")
    assert (problems == {}) == (len(value) <= MAX_VALUE), (kind, value)
    if problems:
        return
    filled = fill(text, values)
    assert value in filled
    assert variables(filled) == ()
    longest = worst_values(text)
    assert len(value) <= longest_of(kind, MAX_VALUE) == len(longest["甲"])
    size, worst = measure(filled, {}), measure(text, longest)
    assert (size.characters, size.parts) <= (worst.characters, worst.parts)
    assert not {"R15", "R17"} & {finding["rule"] for finding in lint(filled)}


@pytest.mark.parametrize("value", ["86万元", "86万", "1.2亿元", "3亿", "1,280.50万元", "35.6"])
def test_an_amount_is_written_as_counties_write_it(value: str) -> None:
    values = plan_values({"费用": value})
    assert value_problems("【县局】每户须付{费用:金额}，请注意。", values, "town") == {}
    twice = value_problems("【县局】每户须付{费用:金额}万元，请注意。", values, "town")
    assert (twice == {}) == (value == "35.6")
    assert all("单位" in translated(said, "zh") for said in twice.values())
    assert all("unit" in said for said in twice.values())


@pytest.mark.parametrize(
    "value", ["86万亿元", "万元", "86元万", "八十六万元", "86 万元", "86百万元"]
)
def test_what_is_no_amount_is_refused(value: str) -> None:
    values = plan_values({"费用": value})
    assert value_problems("【县局】须付{费用:金额}，请注意。", values, "town").keys() == {"费用"}


@given(st.sampled_from(sorted(VALUES)), st.text(min_size=1, max_size=30))
def test_whatever_is_typed_is_of_the_kind_or_refused(kind: ValueKind, value: str) -> None:
    text = text_of(kind)
    if value_problems(text, plan_values({"甲": value}), "police"):
        return
    assert fits(value, kind)
    assert len(value) <= MAX_VALUE
    assert value.isprintable()
    assert variables(fill(text, [("甲", value)])) == ()


@pytest.mark.parametrize("name", sorted(PLAN_VARIABLES))
def test_the_known_variables_need_no_kind_in_the_text(name: str) -> None:
    text = f"【旌德县公安局】{{{name}}}情况如上。"
    good = plan_values({name: SAMPLE_VALUES[name]})
    released = name in POLICE_VARIABLES
    for kind in ("police", "county"):
        assert value_problems(text, good, kind, from_bulletin=released) == {}
    wrong = plan_values({name: "请您转账"})
    assert value_problems(text, wrong, "police", from_bulletin=released).keys() == {name}
    other = value_problems(text, good, "town", from_bulletin=released)
    assert (name in other) == released


@pytest.mark.attack
@pytest.mark.parametrize("name", sorted(POLICE_VARIABLES))
def test_a_figure_on_cases_is_typed_by_nobody(name: str) -> None:
    """Also where the text says of which kind it is, or has no such variable."""
    for text in (
        f"【旌德县公安局】{{{name}}}情况如上。",
        f"【旌德县公安局】{{{name}:数量}}情况如上。",
        "【旌德县公安局】情况如上。",
    ):
        found = value_problems(text, plan_values({name: SAMPLE_VALUES[name]}), "police")
        assert found == {name: TYPED_FIGURE}


@pytest.mark.attack
@pytest.mark.parametrize(
    "value",
    [
        "请加微信abc",
        "点t.cn/a报验证码群",
        "19790000001群",
        "零五六三零六零零一一二",
        "{姓名}",
        "【公安局】",
        "您涉嫌洗钱",
        "转账到安全账户",
        " 三幢群",
        "三幢\n群",
        "群" * (MAX_VALUE + 1),
        " ",
    ],
)
def test_a_name_that_a_plan_gives_asks_for_nothing(value: str) -> None:
    problems = value_problems("【县局】请转发到{群名}。", plan_values({"群名": value}), "police")
    assert problems.keys() == {"群名"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, {"件数": ("请在 values 中填写", "give it in values")}),
        ({"件数": "很多"}, {"件数": ("须为数量", "must be a number")}),
        ({"件数": "3", "楼名": "5"}, {"楼名": ("文中没有这个变量", "no such variable")}),
        ({"件数": "3", "姓名": "王安"}, {"姓名": ("由名单逐人填入", "list fills it")}),
        ({"件数": "3", "学费": "5"}, {"学费": ("不知道它的类型", "of which kind")}),
        ({"件数": "3", "起数": "5"}, {"起数": ("案件数字取自通报", "from a bulletin")}),
        ({"件数": "3"}, {}),
    ],
)
def test_each_problem_is_said_in_chinese_and_in_english(
    values: dict[str, str], said: dict[str, tuple[str, str]]
) -> None:
    found = value_problems("【县局】{姓名}：{件数:数量}件，{学费}。", plan_values(values), "police")
    assert found.keys() == said.keys()
    for name, (chinese, english) in said.items():
        assert chinese in translated(found[name], "zh")
        assert english in found[name]


def test_choices_that_the_text_names_are_the_only_values() -> None:
    text = "【县局】{事项:低保申请|高龄补贴}已开始办理。"
    assert value_problems(text, plan_values({"事项": "高龄补贴"}), "town") == {}
    refused = value_problems(text, plan_values({"事项": "汇款"}), "town")
    assert "低保申请、高龄补贴" in translated(refused["事项"], "zh")
    assert characters(worst_values(text)["事项"]) == 4
