"""Values that may not stand in a text: names, places, and what a direct send brings."""

import csv
from pathlib import Path
from typing import Any

import pytest

from service.audience.areas.area import packaged_areas
from service.audience.vocabulary.names import REQUEST_WORDS, read_name
from service.dispatch import value_check as module
from service.dispatch.direct import own_phone
from service.dispatch.value_check import ValueCheck, ValueRefused
from service.messages.lint.lint import Finding
from service.messages.lint.lint_values import value_findings
from service.messages.policy import SHIPPED
from service.messages.template import MAX_VALUE, SAMPLE_VALUES, allowed_values, variables

CONTACTS = Path(__file__).parents[2] / "data" / "contacts"


def refused(kind: str, value: str, check: ValueCheck | None = None) -> bool:
    """Whether a text is refused for a value of this kind."""
    variable = {"name": "姓名", "place": "村", "listed": "单位", "given": "事项"}[kind]
    try:
        (check or ValueCheck()).check([variable], {variable: value}, given=kind == "given")
    except ValueRefused:
        return True
    return False


@pytest.mark.attack
@pytest.mark.parametrize(
    "value",
    [
        "请转账",
        "把验证码发给我",
        "您的账户已冻结",
        "验·证·码",
        "速 转 账",
        "点击领取",
        "派出所找你快接",
        "转钱给我",
        "汇钱来",
        "匯錢來",
        "押金5千",
        "被抓了",
        "加微信abc",
        "微信王",
        "扣扣李",
        "http://a.cn",
        "19790000001",
        "Send Code Now",
        "send password",
        "国务院总理",
    ],
)
def test_what_is_no_name_leaves_in_no_text(value: str) -> None:
    assert refused("name", value)


@pytest.mark.attack
def test_no_word_of_a_request_is_a_name_however_short() -> None:
    """Short names without any character of such a word are looked at no further."""
    never = [word for words in SHIPPED.never_words.values() for word in words]
    check = ValueCheck()
    for word in (*REQUEST_WORDS, *never):
        assert len(word) == 1 or refused("name", word, check), word
        assert refused("name", f"王{word}", check), word
        assert refused("name", f"{word}啊", check), word
        assert refused("place", f"{word}村", check), word


@pytest.mark.attack
@pytest.mark.parametrize(
    "value",
    [
        "点t.cn/a报验证码镇",
        "请把验证码发给民警村",
        "打开链接认证村",
        "打開鏈接認證村",
        "登录网址认证街道",
        "立即转账到安全账户村",
        "加微信abc123村",
        "拨19790000001村",
        "扫码领补贴镇",
        "全国第一村",
        "村" * (MAX_VALUE + 1),
    ],
)
def test_a_place_that_asks_for_something_leaves_in_no_text(value: str) -> None:
    assert refused("place", value)


@pytest.mark.attack
@pytest.mark.parametrize(
    "value",
    [
        "请速到银行汇款",
        "回复验证码",
        "详见t.cn/a",
        "加微信abc123",
        "【银行】",
        "您涉嫌洗钱",
        "宗教",
    ],
)
def test_a_given_value_that_asks_for_something_leaves_in_no_text(value: str) -> None:
    assert refused("given", value)


@pytest.mark.attack
@pytest.mark.parametrize(
    "value",
    [
        "请把验证码发给我",
        "请速到银行汇款的单位",
        "加微信abc123公司",
        "点t.cn/a报验证码学校",
        "您涉嫌洗钱局",
        "三年级(请转账)班",
        "三班，请家长加群",
        "投资翻倍联系我公司",
        "中奖名单一班",
        "转账到安全账户中心",
        "致电19790000001公司",
        "零五六三零六零零一一二局",
        "【公安局】",
        "扫码领补贴学校",
        "你被抓了快接电话",
        "宗教",
    ],
)
@pytest.mark.parametrize("variable", ["单位", "学校", "班级", "科室", "村民组"])
def test_a_sentence_on_a_list_leaves_in_no_text(variable: str, value: str) -> None:
    """Whoever writes a list writes into texts that others approved."""
    with pytest.raises(ValueRefused, match=variable):
        ValueCheck().check([variable], {variable: value}, given=False)


@pytest.mark.attack
@pytest.mark.parametrize(("one", "other"), [("小王微", "信同号班"), ("钱转", "账事宜")])
def test_no_two_values_of_a_list_ask_together(one: str, other: str) -> None:
    check, names = ValueCheck(), ("姓名", "单位", "班级")
    check.check(names, {"姓名": "王建国", "单位": one, "班级": "三班"}, given=False)
    check.check(names, {"姓名": "王建国", "单位": "县局", "班级": other}, given=False)
    with pytest.raises(ValueRefused, match="班级"):
        check.check(names, {"姓名": "王建国", "单位": one, "班级": other}, given=False)


@pytest.mark.parametrize(
    "value",
    [
        "县市场监管局",
        "旌德县人民法院",
        "旌德县人民检察院",
        "国家税务总局旌德县税务局",
        "中国农业银行旌德县支行",
        "旌德农村商业银行",
        "安徽某某投资管理有限公司",
        "旌德县某某小额贷款有限公司",
        "旌德县福利彩票销售中心",
        "某某养生馆",
        "中国移动旌德分公司",
        "旌德县第一中学",
        "旌德县三溪镇中心小学",
        "安徽某某物流有限责任公司旌德县分公司(三溪)",
        "旌德县公安局三溪派出所",
        "城关便民超市(三店)",
        "三年级",
        "三年级（2）班",
        "高一(3)班",
        "2023级计算机1班",
        "21电商2班",
        "经济管理学院",
        "综合办公室",
        "财务科",
        "反诈中心",
        "第3村民组",
        "东山组",
        "霞光花苑3幢",
        "财务人员",
    ],
)
def test_organisations_schools_and_classes_pass(value: str) -> None:
    assert not refused("listed", value)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "王",
            "王乙",
            "张3",
            "汪𬭎",
            "欧阳建国",
            "欧阳安(父)",
            "王小明家长",
            "李老师",
            "欧阳建国老师",
        ),
        *(
            "买买提·艾力",
            "阿卜杜热合曼·阿卜杜热依木",
            "古丽巴哈尔·吐尔逊",
            "扎西次仁",
            "乌云毕力格",
        ),
        *("爱新觉罗启星", "沙马阿木", "Wang Jianguo", "Zoë O'Neil-Wu", "马上峰", "钱付新", "扎西"),
    ],
)
def test_names_of_persons_pass(value: str) -> None:
    assert not refused("name", value)
    assert read_name(value).value == value


def test_no_honest_name_of_the_county_roster_is_refused() -> None:
    check, seen = ValueCheck(), set()
    with (CONTACTS / "county-20000-dirty-gb18030.csv").open(encoding="gb18030", newline="") as file:
        rows = list(csv.reader(file))
    at = next(row.index("姓名") for row in rows if "姓名" in row)
    for row in rows:
        if len(row) > at and (name := read_name(row[at]).value):
            seen.add(name)
            assert not refused("name", name, check), name
    assert len(seen) > 15_000


def test_no_place_that_the_program_knows_is_refused() -> None:
    areas = packaged_areas()
    assert len(areas) > 90
    assert [area.name for area in areas if refused("place", area.name)] == []


@pytest.mark.parametrize(
    "value",
    [
        *(
            "转水村",
            "付村",
            "金库村",
            "银行街社区",
            "公安社区",
            "钱家村",
            "账房村",
            "白果乡",
            "阿克苏木",
        ),
        *("巴彦嘎查", "国营林场", "城西街道", "微山村", "信义社区", "网山村", "领头村", "联系村"),
    ],
)
def test_places_with_suspicious_characters_pass(value: str) -> None:
    assert not refused("place", value)


@pytest.mark.parametrize(
    "value",
    [
        *(value for name, value in SAMPLE_VALUES.items() if name != "类型"),  # a kind of its own
        *(
            "108.50元",
            "9:30",
            "2026年11月",
            "高三(2)班",
            "三楼会议室",
            "社保缴费",
            "已缴清",
            "家长1",
        ),
    ],
)
def test_honest_values_of_direct_sends_pass(value: str) -> None:
    assert not refused("given", value)


@pytest.mark.parametrize("code", ["482913", "000000", "100000"])
def test_the_code_for_ones_own_phone_leaves(code: str) -> None:
    """Its text says that it is a number; six digits in a free value are a number to call."""
    values, said = {"验证码": code}, allowed_values(own_phone.TEXT)
    ValueCheck().check(variables(own_phone.TEXT), values, given=True, allowed=said)
    assert refused("given", code)


def test_the_error_names_the_variable_and_not_the_value() -> None:
    with pytest.raises(ValueRefused, match="姓名") as caught:
        ValueCheck().check(["姓名"], {"姓名": "请转账"}, given=False)
    assert "转账" not in str(caught.value)


def test_a_blank_value_is_not_judged() -> None:
    assert not refused("name", "")
    assert not refused("given", " ")


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["name", "place", "listed", "given"])
def test_the_never_words_of_the_county_hold_for_values(kind: str) -> None:
    """From the moment on in which they are known, also for what was judged before."""
    check = ValueCheck()
    assert not refused(kind, "锦鲤村", check)
    check.follow({**SHIPPED.never_words, "china_unicom": ["锦 鲤"]})
    assert refused(kind, "锦鲤村", check)
    check.follow(SHIPPED.never_words)
    assert not refused(kind, "锦鲤村", check)


def test_a_verdict_is_kept_and_not_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    monkeypatch.setattr(module, "MOST_KEPT", 3)

    def judge(value: str, *more: Any) -> list[Finding]:
        judged.append(value)
        return value_findings(value, *more)

    monkeypatch.setattr(module, "value_findings", judge)
    check = ValueCheck()
    for _ in range(3):
        refused("given", "甲", check)
    assert judged == ["甲"]
    for value in ("乙", "丙", "丁", "甲"):
        refused("given", value, check)
    assert judged == ["甲", "乙", "丙", "丁", "甲"]
