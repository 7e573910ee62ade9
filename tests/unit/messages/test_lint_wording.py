"""What the wording of a whole text excuses, and what it never does.

A text that is firmly worded like honest notices has what lint reads in its words sent to a person
(docs/lint.md). Whoever dresses a request in such words must still be stopped, and a fact that no
honest text has stays blocked.
"""

import pytest

from service.ledger.message_class import MessageClass
from service.messages.lint.lint import lint, of_level
from service.messages.policy import TextSender, policy_from

NAME = "旌德县公安局"
POLICE = TextSender(NAME, "police", frozenset({NAME}), frozenset({"05630600110"}))
WARNING = (
    "近期冒充客服的诈骗多发，请勿轻信陌生来电，不要点击短信里的链接，也不要共享屏幕。{}"
    "疑问到就近派出所窗口咨询，请互相转告家里老人。"
)
NOTICE = (
    "各位家长您好，本周五下午2点在学校报告厅召开家长会，请准时参加，车辆停在校外停车场。{}"
    "会上班主任会说明下学期的收费项目和公示地点。"
)
FACTS = [
    ("R04", "核实请打值班民警手机19790311204。"),
    ("R04", "核实请打4000056789。"),
    ("R03", "核实请打0563-0600999。"),
    ("R05", "核实请登录 jd-fz.example-cheng.cn 查询。"),
    ("R06", "咨询请加民警微信 jd_fanzha8。"),
    ("R06", "咨询请加民警微信fanzha88。"),
    ("R06", "咨询请进 QQ群 79021。"),
    ("R06", "咨询请用QQ联系客服登记。"),
    ("R06", "押金请扫墙上的二维码缴纳给代办员。"),
    ("R07", "为核对情况，请将手机收到的验证码发给民警。"),
    ("R07", "为核对情况，请把银行卡号和密码告诉工作人员。"),
    ("R08", "存款请转到我局设立的安全账户保管。"),
    ("R16", "咨询请加 微 信 群。"),
]
"""The rule, and a sentence with something that no honest text has."""
ASKED = [
    "会前请打开应用商店下载“家校安心”软件，以便签到。",
    "请家长进群后扫码登记孩子的情况。",
    "请配合工作人员刷脸核对身份。",
    "请按提示操作关闭百万保障，不关闭的每月扣费。",
    "请提供身份证照片给协办员登记。",
    "补贴领取请与专员对接，不要告诉家里老人。",
]
"""Sentences that ask for what may be asked for, or not: a person knows."""


def levels(text: str, message_class: MessageClass = "service") -> dict[str, set[str]]:
    """The levels of what each rule found."""
    found: dict[str, set[str]] = {}
    for one in lint(f"【{NAME}】{text}", {}, message_class=message_class, sender=POLICE):
        found.setdefault(one["rule"], set()).add(one["level"])
    return found


@pytest.mark.attack
@pytest.mark.parametrize("around", [WARNING, NOTICE], ids=["warning", "notice"])
@pytest.mark.parametrize(("rule", "said"), FACTS)
def test_honest_words_around_a_fact_do_not_excuse_it(around: str, rule: str, said: str) -> None:
    assert "block" in levels(around.format(said))[rule]


@pytest.mark.attack
@pytest.mark.parametrize("around", [WARNING, NOTICE], ids=["warning", "notice"])
@pytest.mark.parametrize("said", ASKED)
def test_a_request_in_honest_words_is_still_stopped(around: str, said: str) -> None:
    found = lint(f"【{NAME}】{around.format(said)}", {}, message_class="service", sender=POLICE)
    assert of_level(found, "block", "review")


@pytest.mark.attack
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "R03",
            "如有疑问请到就近派出所窗口咨询或打0563-0600999核实，请互相转告，不要轻信陌生来电。",
        ),
        (
            "R07",
            "请将验证码发给派出所民警核对，不要告诉陌生人，不要点击短信里的链接，拨96110咨询。",
        ),
        ("R06", "咨询请加民警微信fanzha88，也可到就近派出所窗口，不要轻信陌生来电，拨96110核实。"),
    ],
)
def test_a_fact_within_an_honest_sentence_stays_blocked(rule: str, said: str) -> None:
    assert "block" in levels(WARNING.format(said))[rule]


@pytest.mark.attack
@pytest.mark.parametrize("fact", ["jd-fz.example-cheng.cn", "19790311204", "加 微 信"])
def test_a_fact_takes_the_benefit_from_the_whole_text(fact: str) -> None:
    request = "会前请打开应用商店下载“家校安心”软件，以便签到。"
    assert levels(NOTICE.format(request))["R09"] == {"review"}
    assert levels(NOTICE.format(f"{request}见 {fact} 。"))["R09"] == {"block"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "积分兑换请在营业厅办理，我公司不会用短信索要银行卡号。可疑短信请勿理会，咨询10086。",
            "R11",
        ),
        ("电动车不进楼，充电请到楼下车棚，按表计费，请邻居互相提醒。发现隐患请拨96119。", "R03"),
        ("您案中冻结款项经审核可返还，请本人持身份证到经侦大队领取返还决定书，不收费用。", "R10"),
    ],
)
def test_what_an_honest_text_tells_its_reader_goes_to_a_person(text: str, rule: str) -> None:
    assert levels(text)[rule] == {"review"}


def test_a_hotline_that_the_county_took_off_its_list_stays_blocked() -> None:
    policy = policy_from({"hotlines": ["110"]})
    text = f"【{NAME}】" + WARNING.format("咨询拨{}。")
    found = {
        number: {one["level"] for one in lint(text.format(number), {}, policy=policy)}
        for number in ("96110", "96119")
    }
    assert ("block" in found["96110"], "block" in found["96119"]) == (True, False)


def test_the_same_request_is_blocked_in_a_text_of_a_few_words() -> None:
    request = "会前请打开应用商店下载“家校安心”软件，以便签到。"
    assert levels(NOTICE.format(request))["R09"] == {"review"}
    assert "block" in levels(request)["R09"]


@pytest.mark.parametrize("text", ["请到302教室集合。", "Please come to Room 203 by Friday."])
def test_the_number_of_a_room_is_none_to_call(text: str) -> None:
    assert "R03" not in levels(text)
