"""Values of direct sends, requests and honest ones, in approved texts: what is stopped of each."""

from collections.abc import Mapping
from uuid import UUID

import pytest

from service.dispatch.direct.direct_values import GivenText
from service.errors import Invalid
from service.messages.policy import SHIPPED, TextSender
from service.messages.template import problems
from tests.value_corpus import CORPUS, judge

NOBODY = UUID(int=0)
OFFICE = "05630600111"
SENDER = TextSender("某局", "school", frozenset({"某局"}), frozenset({OFFICE}))
FREE = "【某局】{姓名}您好，{事项}已办好。"


def said(text: str, values: Mapping[str, str], sender: TextSender = SENDER) -> str:
    """Why a direct send is refused for its values; "": it is not."""
    try:
        GivenText(text, NOBODY, sender, SHIPPED).check(values)
    except Invalid as error:
        return error.message
    return ""


@pytest.mark.attack
@pytest.mark.parametrize(
    ("name", "stopped", "refused"),
    [("first", 30, 1), ("second", 29, 0), ("third", 28, 5), ("fourth", 16, 1)],
)
def test_values_that_ask_for_something_are_told_from_honest_ones(
    name: str, stopped: int, refused: int
) -> None:
    """So many of 30 are stopped at least, and so many of 30 honest ones refused at most; the fourth
    file was written after the rules, and no rule was changed by it."""
    found = judge(CORPUS / f"{name}.json")
    assert (found.scams, found.honest) == (30, 30)
    assert found.scams - len(found.passed) >= stopped, found.passed
    assert len(found.refused) <= refused, found.refused


@pytest.mark.attack
@pytest.mark.parametrize(
    "number",
    [
        "0563-0600112",
        "零五六三零六零零一一二",
        "电话05630600112",
        "0563 0600 112",
        "李0563-060零112",
        "19790000001",
        "0600111",
        f"{OFFICE}0",
        "零五六三-零六零零-一一二",
        "零五六三、零六零、零一一二",
        "五六三零 六零零一 一二",
    ],
)
def test_no_value_has_a_number_that_is_not_registered(number: str) -> None:
    assert said(FREE, {"姓名": "王建国", "事项": number})


@pytest.mark.attack
@pytest.mark.parametrize(
    ("name", "matter"),
    [
        ("小王微", "信已开"),
        ("钱转", "账事宜"),
        ("密", "码单"),
        ("中", "奖名单"),
        ("李扣", "扣同号"),
    ],
)
def test_no_two_values_of_a_text_ask_together(name: str, matter: str) -> None:
    assert said(FREE, {"姓名": name, "事项": "低保申请"}) == ""
    assert said(FREE, {"姓名": "王建国", "事项": matter}) == ""
    assert said(FREE, {"姓名": name, "事项": matter})


@pytest.mark.parametrize("value", ["0563-0600111", OFFICE, "值班室0563-0600111"])
def test_a_value_has_the_number_that_is_registered_for_its_sender(value: str) -> None:
    text = "【某局】{姓名}您好，办事窗口：{窗口}。"
    assert said(text, {"姓名": "王建国", "窗口": value}) == ""
    other = TextSender("某校", "school", frozenset({"某校"}), frozenset({"05630600112"}))
    assert said(text, {"姓名": "王建国", "窗口": value}, other)


@pytest.mark.parametrize(
    "value",
    ["2026年11月30日", "2026-11-30 09:30", "12345.60元", "1,234,500元", "301室", "08:30至11:30"],
)
def test_days_times_and_amounts_are_no_numbers_to_call(value: str) -> None:
    assert (
        said("【某局】{姓名}您好，时间和金额见此：{事项}。", {"姓名": "王建国", "事项": value})
        == ""
    )


def test_what_the_text_itself_says_refuses_no_value() -> None:
    """A second person has read it, with what lint found in it."""
    text = "【某局】{姓名}您好，公安不会打电话给群众，{事项}已办好。"
    assert said(text, {"姓名": "王建国", "事项": "低保申请"}) == ""
    assert said(text, {"姓名": "王建国", "事项": "请把验证码发给我"})


TYPED = (
    "【某局】{姓名:人名}您好，{日期:日期}{时刻：时间}的{事项:低保申请|高龄 补贴}已办好，"
    "{件数:数量}，{金额:金额}。"
)
HONEST = {
    "姓名": "王建国",
    "日期": "11月30日",
    "时刻": "9:30",
    "事项": "低保申请",
    "件数": "3件",
    "金额": "1,280.50元",
}


@pytest.mark.attack
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("姓名", "带钱来找我吧"),
        ("姓名", "李叔叔带钱来"),
        ("日期", "明天带钱来"),
        ("日期", "11月30日找小李"),
        ("时刻", "9:30到店"),
        ("事项", "高龄补贴申领"),
        ("事项", "低保申请 "),
        ("件数", "3件礼品"),
        ("件数", "19790000001"),
        ("金额", "1280元交给门卫"),
        ("金额", "05630600112"),
    ],
)
def test_a_value_is_of_the_kind_that_its_approved_text_says(variable: str, value: str) -> None:
    assert problems(TYPED) == []
    assert said(TYPED, HONEST) == ""
    assert f"{{{variable}}}" in said(TYPED, {**HONEST, variable: value})


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("【某局】{事项:甲|}已办好。", 5),
        (f"【某局】{{事项:甲|{'乙' * 21}}}已办好。", 5),
        ("【某局】{事项:甲|乙}已办好，{事项}见附件。", 17),
    ],
)
def test_a_choice_that_cannot_be_kept_is_named_with_its_place(text: str, at: int) -> None:
    assert [problem.at for problem in problems(text)] == [at]


def test_a_colon_that_says_no_kind_is_part_of_the_name() -> None:
    text = "【某局】您好，{事项:见下}已办好。"
    assert said(text, {"事项:见下": "低保申请"}) == ""
