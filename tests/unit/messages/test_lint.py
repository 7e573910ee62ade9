"""Lint: every official text passes, every scam text of these rules is caught, each rule alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.messages.lint import RULES, Finding, lint
from service.messages.template import SAMPLE_VALUES, Starter, load_library

DATA = Path(__file__).parents[2] / "data" / "texts" / "lint-cases.json"
CASES: list[dict[str, Any]] = json.loads(DATA.read_text("utf-8"))["cases"]
OURS = [case for case in CASES if RULES.keys() & set(case["must_include"])]
PASSING = [case for case in CASES if case["verdict"] == "pass"]
STARTERS = load_library()
SIGNED = "【旌德县公安局】"


def rules_of(findings: list[Finding], *levels: str) -> set[str]:
    return {f["rule"] for f in findings if not levels or f["level"] in levels}


@pytest.mark.parametrize("starter", STARTERS, ids=[starter.id for starter in STARTERS])
@pytest.mark.parametrize("values", [None, SAMPLE_VALUES], ids=["template", "filled"])
def test_library_text_has_no_block(starter: Starter, values: dict[str, str] | None) -> None:
    assert not rules_of(lint(starter.text, values), "block", "review")


@pytest.mark.parametrize("case", OURS, ids=[case["id"] for case in OURS])
def test_case_of_our_rules_is_found(case: dict[str, Any]) -> None:
    found = rules_of(lint(case["text"], case["values"]))
    assert RULES.keys() & set(case["must_include"]) <= found


@pytest.mark.parametrize("case", PASSING, ids=[case["id"] for case in PASSING])
def test_case_that_passes_has_no_block(case: dict[str, Any]) -> None:
    assert not rules_of(lint(case["text"], case["values"]), "block", "review")


# text, the character (from 1) of the only R01 finding
SIGNATURES = [
    ("请拨96110。", 1),
    (" 【旌德县公安局】请拨96110。", 1),
    ("[旌德县公安局]请拨96110。", 1),
    ("【】请拨96110。", 1),
    ("【局】请拨96110。", 1),
    ("【旌德县公安局反电信网络诈骗】请拨96110。", 1),
    ("【Police】请拨96110。", 1),
    ("【温馨提示】请拨96110。", 1),
    ("【反诈提醒】请拨96110。", 1),
    ("【客服中心】请拨96110。", 1),
    ("【测试单位】请拨96110。", 1),
    ("【单位TEST】请拨96110。", 1),
    ("【{单位}】请拨96110。", 1),
    ("【旌德县公安局】请拨【96110】。", 11),
    ("【旌德县公安局】请拨96110】。", 16),
]


@pytest.mark.parametrize(("text", "at"), SIGNATURES, ids=[text for text, _ in SIGNATURES])
def test_signature(text: str, at: int) -> None:
    found = [f for f in lint(text, {"单位": "县公安局"}) if f["rule"] == "R01"]
    assert {(f["level"], f["at"]) for f in found} == {("block", at)}


@pytest.mark.parametrize(
    "name", ["公安", "旌德县反诈中心", "旌德县公安局反诈中心宣传", "110指挥中心"]
)
def test_good_signature(name: str) -> None:
    assert "R01" not in rules_of(lint(f"【{name}】请拨96110。"))


@pytest.mark.parametrize(
    "link",
    [
        "http://a.top/x", "HTTPS://EXAMPLE.COM", "weixin://dl", "www.example", "t.cn/abc",
        "example.top", "10086.cn", "rlsb-gov.top", "a.gov.cn.example.top", "ｔ．ｃｎ", "t。cn",
        "t .cn", "t点cn", "t[.]cn", "example(dot)com", "jingdе.top", "旌德.中国", "xn--a.xn--p1ai",
        "t\u200b.c\u200bn", "𝐭.𝐜𝐧", "police@example", "192.168.1.1", "8.8.8.8:80",
        "2001:db8:0:0:1:2:3:4", "fe80::1", "app.apk",
    ],
)  # fmt: skip
def test_link_glued_to_chinese_is_found(link: str) -> None:
    found = [f for f in lint(f"{SIGNED}请看，{link}办理") if f["rule"] == "R05"]
    assert [(f["level"], f["at"]) for f in found] == [("block", 12)]


@pytest.mark.parametrize(
    "text",
    [
        "损失35.6万元，其中1.5km外一起。", "今日16:00前，或16:00:30。", "Stop. Call 96110.",
        "于2027.1.10起，版本1.2.3。", "3.15晚会，No.12，e.g. a scam.", "请回复R。QQ群里的勿信。",
        "At 9 a.m. we call.", "ETC、QQ、App。",
    ],
)  # fmt: skip
def test_what_is_no_link(text: str) -> None:
    assert "R05" not in rules_of(lint(SIGNED + text))


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ("字" * 62, None),
        ("字" * 63, "warn"),
        ("字" * 193, "warn"),
        ("字" * 194, "block"),
        ("字" * 493, "block"),
        ("字" * 50_000, "block"),
        ("𬭎" * 31, None),
        ("𬭎" * 32, "warn"),
        ("{姓名}" + "字" * 42, None),
        ("{姓名}" + "字" * 43, "warn"),
    ],
)
def test_length_at_the_worst_case(body: str, level: str | None) -> None:
    found = [f["level"] for f in lint(SIGNED + body) if f["rule"] == "R15"]
    assert found == ([level] if level else [])


def test_length_with_the_given_values() -> None:
    text = f"{SIGNED}{{姓名}}{'字' * 43}"
    assert "R15" not in rules_of(lint(text, {"姓名": "王安"}))
    assert "R15" in rules_of(lint(text, {}))


@pytest.mark.parametrize(
    "disguise",
    [
        "９６１１０", "9 6 1 1 0", "9　6　1　1　0", "9-6-1-1-0", "1.9.7.9", "①⑨⑦⑨", "٩٦١", "ＡＢ",
        "微\u200b信", "微\u00ad信", "\u2028", "\ufe0f", "\u3164", "\ue000", "е", "Α", "ѕ", "𝐀",
        "★", "√", "¥", "￥", "😀", "☎", "→", "※", "a\u0301", "❤️", "€",
    ],
)  # fmt: skip
def test_disguise(disguise: str) -> None:
    found = [f for f in lint(f"{SIGNED}请看{disguise}处") if f["rule"] == "R16"]
    assert {f["level"] for f in found} == {"block"}
    assert min(f["at"] for f in found) in {11, 12}


@pytest.mark.parametrize(
    "text",
    [
        "买买提江·吾买尔您好", "气温35℃，±2°", "①先核实②再付款", "1月10日 16:00", "第Ⅷ条",
        "拨96110、12338或110", "2027-1-10至2027-1-16", "（全角标点）：“引号”——；！？～＋＝％",
        "𬭎同学", "第一行\n第二行", "回复1、2、3", "24 hours, 7 days",
    ],
)  # fmt: skip
def test_what_is_no_disguise(text: str) -> None:
    assert "R16" not in rules_of(lint(SIGNED + text + "。"))


@pytest.mark.parametrize(
    ("text", "values", "at"),
    [
        ("{姓名}您好", {}, 9),
        ("{姓名}您好", {"姓名": " "}, 9),
        ("{姓名}您好", {"姓名": "王" * 21}, 9),
        ("您好，{姓名}同学", {"姓名": "请看t.cn"}, 12),
        ("{姓名}您好", {"姓名": "9 6 1 1 0"}, 9),
        ("{姓名}您好", {"姓名": "李某加QQ012345678"}, 9),
        ("{姓名}您好", {"姓名": "加微信"}, 9),
        ("{姓名}您好", {"姓名": "0563-0600110"}, 9),
        ("{姓名}您好", {"姓名": "197 9000 4321"}, 9),
        ("{姓名}您好", {"姓名": "{社区}"}, 9),
        ("{姓名}您好", {"姓名": "【银行】"}, 9),
        ("您好{姓名", None, 11),
        ("您好{}。", None, 11),
        ("您好｛姓名｝。", None, 11),
        ("您好{姓名}", None, 11),
        ("{a}{b}{c}{d}{e}{f}{g}。", None, 27),
    ],
)
def test_variables(text: str, values: dict[str, str] | None, at: int) -> None:
    found = [f for f in lint(SIGNED + text, values) if f["rule"] == "R17"]
    assert found
    assert {(f["level"], f["at"]) for f in found} == {("block", at)}


def test_text_that_begins_with_a_variable() -> None:
    assert rules_of(lint("{姓名}【旌德县公安局】请拨96110。"), "block") == {"R01", "R17"}


@pytest.mark.parametrize(
    "value", ["王安", "Wang Jianguo", "12000", "1月10日至16日", "新桥小区3幢群"]
)
def test_good_value(value: str) -> None:
    assert not rules_of(lint(f"{SIGNED}{{甲}}，请拨96110。", {"甲": value}))


def test_a_link_across_text_and_value_is_found_at_the_variable() -> None:
    found = lint(f"{SIGNED}请看jingde.{{甲}}。", {"甲": "top"})
    assert [(f["rule"], f["at"]) for f in found] == [("R05", 11)]


def test_a_place_after_a_filled_variable_is_of_the_text_as_given() -> None:
    found = lint(f"{SIGNED}{{姓名}}看★。", {"姓名": "买买提江·吾买尔"})
    assert [(f["rule"], f["at"]) for f in found] == [("R16", 14)]


def test_message_is_in_both_languages() -> None:
    (finding,) = lint(f"{SIGNED}请看t.cn。")
    assert finding["message"].startswith("含链接")
    assert "name an official number" in finding["message"]
    assert "t.cn" in finding["message"]


@given(
    st.text() | st.lists(st.sampled_from("【】{}姓名1 9.cn★\u200b９")).map("".join),
    st.none() | st.dictionaries(st.sampled_from(["姓名", "", "9"]), st.text(max_size=30)),
)
@settings(max_examples=300)
def test_lint_never_raises_and_points_into_the_text(
    text: str, values: dict[str, str] | None
) -> None:
    for finding in lint(text, values):
        assert 1 <= finding["at"] <= len(text) + 1
