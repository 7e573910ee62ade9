"""Lint: every official text passes, every scam text of these rules is caught, each rule alone."""

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Invalid
from service.messages.lint.lint import RULES, Finding, lint
from service.messages.lint.similarity import most_alike
from service.messages.policy import (
    RULE_INFO,
    SHIPPED,
    TextSender,
    changes_to,
    loosened,
    policy_from,
    tightened,
    weakened,
)
from service.messages.template import SAMPLE_VALUES, Starter, load_library

CHINESE = re.compile(r"[\u4e00-\u9fff]")
DATA = json.loads(
    (Path(__file__).parents[2] / "data" / "texts" / "lint-cases.json").read_text("utf-8")
)
CASES: list[dict[str, Any]] = DATA["cases"]
STARTERS = load_library()
SIGNED = "【旌德县公安局】"


def rules_of(findings: list[Finding], *levels: str) -> set[str]:
    return {f["rule"] for f in findings if not levels or f["level"] in levels}


@pytest.mark.parametrize("starter", STARTERS, ids=[starter.id for starter in STARTERS])
@pytest.mark.parametrize("values", [None, SAMPLE_VALUES], ids=["template", "filled"])
def test_library_text_has_no_block(starter: Starter, values: dict[str, str] | None) -> None:
    assert not rules_of(lint(starter.text, values), "block", "review")


def sender(context: dict[str, Any]) -> TextSender:
    """Whom a case is linted for."""
    return TextSender(
        context["tenant"],
        context["tenant_type"],
        frozenset(context["signatures"]),
        frozenset(number.replace("-", "") for number in context["landlines"]),
        context["links_enabled"],
    )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case_has_its_verdict(case: dict[str, Any]) -> None:
    whose = sender(DATA["contexts"][case["context"]])
    found = lint(case["text"], case["values"], message_class=case["class"], sender=whose)
    blocked, to_review = rules_of(found, "block"), rules_of(found, "review")
    assert set(case["must_include"]) <= rules_of(found)
    assert case["verdict"] != "pass" or not blocked | to_review
    assert case["verdict"] != "block" or blocked
    assert case["verdict"] != "review" or blocked | to_review


def test_the_cases_name_every_rule_and_our_hotlines() -> None:
    assert set(DATA["rules"]) == set(RULE_INFO) == {*RULES, "R24", "R25"}
    assert frozenset(DATA["hotlines"]) == SHIPPED.hotlines
    for number, rule in DATA["rules"].items():
        assert RULE_INFO[number].level in rule["level"] or number == "R24"


@pytest.mark.parametrize("number", sorted(RULE_INFO))
def test_every_rule_says_what_it_asks_and_why(number: str) -> None:
    info = RULE_INFO[number]
    assert info.chinese
    assert info.english
    assert info.source.in_language("en")
    assert CHINESE.search(info.source.in_language("zh"))


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
    assert {f["at"] for f in found if f["level"] == "block"} == {at}


def test_a_variable_that_anything_may_fill_is_advised_against() -> None:
    text = SIGNED + "{姓名}您好，{日期:日期}的{事项}在{社区}办好，{事项}见附件。"
    advised = [f for f in lint(text) if f["rule"] == "R17"]
    assert [(f["level"], f["at"]) for f in advised] == [("warn", text.index("{事项}") + 1)]
    assert "事项" in advised[0]["message"]


def test_text_that_begins_with_a_variable() -> None:
    assert rules_of(lint("{姓名}【旌德县公安局】请拨96110。"), "block") == {"R01", "R17"}


@pytest.mark.parametrize(
    "value", ["王安", "Wang Jianguo", "12000元", "1月10日至16日", "新桥小区3幢群"]
)
def test_good_value(value: str) -> None:
    assert not rules_of(lint(f"{SIGNED}{{甲}}，请拨96110。", {"甲": value}))


def test_a_link_across_text_and_value_is_found_at_the_variable() -> None:
    found = lint(f"{SIGNED}请问网格员，看jingde.{{甲}}。", {"甲": "top"})
    assert [(f["rule"], f["at"]) for f in found] == [("R05", 16)]


def test_a_place_after_a_filled_variable_is_of_the_text_as_given() -> None:
    found = lint(f"{SIGNED}{{姓名}}★问网格员。", {"姓名": "买买提江·吾买尔"})
    assert [(f["rule"], f["at"]) for f in found] == [("R16", 13)]


def test_message_is_in_both_languages() -> None:
    (finding,) = lint(f"{SIGNED}问网格员，看t.cn。")
    assert finding["message"].startswith("含链接")
    assert "name an official number" in finding["message"]
    assert "t.cn" in finding["message"]


POLICE = TextSender(
    "旌德县公安局", "police", frozenset({"旌德县公安局"}), frozenset({"05630600110"})
)
LINKED = TextSender("旌德县公安局", "police", frozenset({"旌德县公安局"}), links=True)


@pytest.mark.parametrize(
    ("text", "whose", "rules"),
    [
        ("拨0563-0600110咨询。", POLICE, set()),
        ("拨0563-0600110咨询。", LINKED, {"R03"}),
        ("看https://www.jdga.gov.cn/fz 。", LINKED, set()),
        ("看https://www.jdga.gov.cn/fz 。", POLICE, {"R05"}),
        ("看https://jdga.gov.cn.a.top/fz 。", LINKED, {"R05"}),
        ("看https://xjdga.gov.cn/fz 。", LINKED, {"R05"}),
        ("看http://www.jdga.gov.cn/fz 。", LINKED, {"R05"}),
        ("看https://www.jdga.gov.cn:8443/ 。", LINKED, {"R03", "R05"}),
        ("看https://a@www.jdga.gov.cn/ 。", LINKED, {"R05"}),
        ("看https://www.jdga.gov.cn/?u=https://a.top 。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn/1 或https://jdga.gov.cn/2 。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn/fz，疑问拨110。", LINKED, set()),
        ("看https://jdga.gov.cn，疑问拨110。", LINKED, set()),
        ("看https://jdga.gov.cn。疑问拨110。", LINKED, set()),
        ("看https://jdga.gov.cn/fz查询。", LINKED, set()),
        ("看本局网站（https://jdga.gov.cn），拨110。", LINKED, set()),
        ("See https://jdga.gov.cn/fz.", LINKED, set()),
        ("看https://jdga.gov.cn/1，或https://a.top/2。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn/1,https://a.top/2。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn/1,a.top/2。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn/1；a.top/2。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn/1https://a.top/2。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn\\.a.top/2。", LINKED, {"R05"}),
        ("看https://jdga.gov.cn@a.top/2。", LINKED, {"R05"}),
    ],
)
def test_what_a_department_has_registered(text: str, whose: TextSender, rules: set[str]) -> None:
    policy = policy_from({"link_hosts": ["jdga.gov.cn"]})
    found = lint(f"{SIGNED}{text}", sender=whose, policy=policy)
    assert rules_of(found, "block") == rules


@pytest.mark.parametrize(
    ("tenant", "kind", "name", "blocked"),
    [
        ("旌德县公安局", "police", "旌德县公安局", False),
        ("旌德派出所", "police", "旌德公安", False),
        ("旌德县妇联", "department", "旌德县公安局", True),
        ("旌德县医保局", "department", "旌德县医保局", False),
        ("县反诈中心", "county", "旌德县公安局", False),
    ],
)
def test_names_of_authorities_are_theirs_even_if_registered(
    tenant: str, kind: str, name: str, *, blocked: bool
) -> None:
    whose = TextSender(tenant, kind, frozenset({name}))
    assert ("R02" in rules_of(lint(f"【{name}】请拨96110。", sender=whose))) is blocked


def test_a_county_moves_levels_and_lists() -> None:
    policy = policy_from(
        {
            "levels": {"R12": "review", "R15": "warn"},
            "hotlines": ["110", "9999"],
            "never_words": {"*": [], "china_unicom": ["锦鲤"]},
        }
    )
    found = lint(f"{SIGNED}锦鲤套餐，拨9999或96110。", policy=policy)
    assert {(f["rule"], f["level"]) for f in found} == {
        ("R03", "block"),
        ("R12", "review"),
        ("R19", "block"),
    }
    long = lint(f"{SIGNED}{'字' * 250}，拨110。", policy=policy)
    assert ("R15", "warn") in {(f["rule"], f["level"]) for f in long}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("锦鲤附体", "转发锦 鲤·附体。"),
        ("锦鲤附体", "转发锦\u200b鲤附体。"),
        ("总书记", "總書記。"),
        ("總書記", "总书记。"),
        ("锦鲤 附体", "转发锦鲤附体。"),
        ("ＶＩＰ专享", "转发vip专享。"),
        ("VIP专享", "转发ＶＩＰ专享。"),
        ("萬億補貼", "万亿补贴。"),
        ("歡樂豆", "欢乐豆。"),
    ],
)
def test_a_word_of_the_never_list_is_found_however_it_is_written(word: str, text: str) -> None:
    policy = policy_from({"never_words": {"*": [word]}})
    found = [f for f in lint(SIGNED + text, policy=policy) if f["rule"] == "R19"]
    assert [f["level"] for f in found] == ["block"]
    assert text[found[0]["at"] - 1 - len(SIGNED)] in "锦总總ｖＶv万欢"


def test_words_apart_are_no_word_of_the_never_list() -> None:
    policy = policy_from({"never_words": {"*": ["国旗"]}})
    assert "R19" not in rules_of(lint(f"{SIGNED}热爱祖国，旗帜鲜明，拨96110。", policy=policy))


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("拨9999。", True),
        ("拨0563-0600110。", True),
        ("拨0563-96110。", True),
        ("拨96110。", False),
        ("本周12起。", False),
    ],
)
def test_the_countys_own_numbers_are_a_way_to_verify(text: str, *, known: bool) -> None:
    policy = policy_from({"hotlines": ["110", "9999"]})
    found = lint(f"{SIGNED}刷单违法，{text}", sender=POLICE, policy=policy)
    assert ("R14" not in rules_of(found)) is known


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"levels": {"R26": "warn"}}, "levels.R26"),
        ({"levels": {"R01": "off"}}, "levels.R01"),
        ({"hotlines": ["110", "13x"]}, "hotlines.1"),
        ({"link_hosts": ["gov.cn"]}, "link_hosts.0"),
        ({"link_hosts": ["cn"]}, "link_hosts.0"),
        ({"link_hosts": ["jdga.gov.cn", "https://a.gov.cn"]}, "link_hosts.1"),
        ({"link_hosts": ["xn--a.cn"]}, "link_hosts.0"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        policy_from(changes)
    assert list(caught.value.fields) == [field]


def test_a_text_like_one_sent_before_is_named() -> None:
    before = f"{SIGNED}先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。"
    again = before.replace("【旌德县公安局】", "【旌德县反诈中心】").replace("拿不准", "有疑问")
    assert "R24" in rules_of(lint(before, sent_before=(before,)))
    assert "R24" not in rules_of(lint(again, sent_before=("别的文字，毫不相干。",)))
    assert "R24" in rules_of(lint(before.replace("96110", "110"), sent_before=(before,)))


@given(
    st.text("甲乙丙", max_size=8),
    st.lists(st.text("甲乙丙", max_size=8), max_size=4),
    st.sampled_from([0.5, 2 / 3, 0.7, 1.0]),
)
@settings(max_examples=300)
def test_of_texts_before_the_most_alike_is_found(
    text: str, others: list[str], at_least: float
) -> None:
    most = max((_alike(text, other) for other in others), default=0.0)
    assert most_alike(text, others, at_least) == (most if most >= at_least else 0.0)


def _alike(one: str, other: str) -> float:
    """The share of pairs of characters that two texts of letters have in common."""
    pairs = [Counter(map("".join, pairwise(text))) for text in (one, other)]
    total = sum(map(Counter.total, pairs))
    return 2 * (pairs[0] & pairs[1]).total() / total if total else 0.0


def test_what_is_like_a_scam_or_questionable_twice_needs_a_person() -> None:
    known = f"{SIGNED}您的快递丢失了，请添加客服微信来办理三倍理赔。"
    assert ("R25", "review") in {(f["rule"], f["level"]) for f in lint(known)}
    to_review = f"{SIGNED}公安不会打电话给群众，可拨打12381咨询。"
    assert rules_of(lint(to_review), "review") == {"R21", "R25"}


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


@contextmanager
def processor_seconds(most: float) -> Iterator[None]:
    """Fail what needs more of the processor, however busy the machine is."""

    def fail(*_: object) -> None:
        raise AssertionError(f"more than {most} s of the processor")

    before = signal.signal(signal.SIGVTALRM, fail)
    signal.setitimer(signal.ITIMER_VIRTUAL, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize(
    "part",
    [
        "不要在", "请加", "“请转账到我”", "1-2", "在,", "在", "用软件", "换到联系", "的", "先交",
        "不转账、", "a_", "@a", "a.", "加好", "骗子会", "谨防诈骗", "请不会让您在短信里输入",
        "please send ", "不", "a", "通过微信在QQ用", "如果要您", "您的卡", "元押金", "收到“",
        "”，这是", "不会因为", "。",
    ],
)  # fmt: skip
def test_a_long_text_of_the_same_words_is_soon_judged(part: str) -> None:
    with processor_seconds(10):  # about 0.02 s in fact
        lint(SIGNED + part * (2000 // len(part)), {})


@pytest.mark.parametrize(
    ("small_count", "written", "stops"),
    [(3, "2起", True), (3, "3起", False), (5, "4起", True), (5, "四起", True), (5, "5起", False),
     (20, "十九起", True), (20, "二十起", False)],
)  # fmt: skip
def test_a_villages_count_below_the_countys_least_is_not_shown(
    small_count: int, written: str, *, stops: bool
) -> None:
    policy = policy_from({"small_count": small_count})
    text = f"{SIGNED}霍家桥村上周发生刷单诈骗案{written}，疑问拨96110。"
    assert ("R20" in rules_of(lint(text, sender=POLICE, policy=policy))) is stops


def test_fewer_shown_is_stricter_and_more_takes_a_second_person() -> None:
    less, more = policy_from({"small_count": 3}), policy_from({"small_count": 10})
    assert weakened(more, less) == ["small_count"]
    assert weakened(less, more) == []
    assert tightened(less, more).small_count == 10
    assert loosened(less, more).small_count == 3
    assert changes_to(more) == {"levels": {}, "small_count": 10}
