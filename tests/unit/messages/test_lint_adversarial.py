"""Texts written to get past lint, and honest ones that look as if they should not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.messages.lint import lint, of_level
from service.messages.policy import Sender

SIGNED = "【旌德县公安局】"
POLICE = Sender("旌德县公安局", "police", frozenset({"旌德县公安局"}), frozenset({"05630600110"}))

# what stands behind the signature, the rule that must block it
SCAMS = [
    ("R03", "请拨打021-00886655咨询。"),
    ("R03", "请拨9999核实。"),
    ("R03", "请致电88888888元咨询。"),
    ("R03", "咨询热线：０２１００８８６６５５。"),
    ("R03", "Call 60606 now."),
    ("R04", "联系民警1979-0004-321。"),
    ("R04", "请联系+852 00886655。"),
    ("R04", "请拨008520088665。"),
    ("R04", "请拨95000123。"),
    ("R04", "请拨96110转3接专员。"),
    ("R05", "详见gov.top办理。"),
    ("R05", "详见police。top。"),
    ("R05", "登录gov-cn点top核验。"),
    ("R06", "请加V信jd_example_9登记。"),
    ("R06", "请扫一扫下方图案登记。"),
    ("R06", "为防诈骗，请扫码进群。"),
    ("R06", "专员威信：example_77。"),
    ("R06", "请入群听民警讲课。"),
    ("R06", "Please add us on WhatsApp for help."),
    ("R07", "不得不提供验证码，请谅解。"),
    ("R07", "您不能不提供验证码。"),
    ("R07", "请别忘了回复验证码。"),
    ("R07", "请不要错过，马上提供验证码。"),
    ("R07", "请不要犹豫提供验证码。"),
    ("R07", "请提供验证码，不提供的都是骗子。"),
    ("R07", "请提供验 证 码。"),
    ("R07", "请提供验\u200b证\u200b码。"),
    ("R07", "请提供驗證碼。"),
    ("R07", "请把验证码告诉民警。"),
    ("R07", "请把“验证码”发给民警。"),
    ("R07", "如不提供验证码，账户就会冻结。"),
    ("R07", "请输入ＣＶＶ核验。"),
    ("R07", "Please send the code you received."),
    ("R08", "请勿犹豫，尽快汇款至指定账户。"),
    ("R08", "请立即转.账到安全账户。"),
    ("R08", "请把钱“转账到安全账户”。"),
    ("R08", "请配合核实并转账至指定账户。"),
    ("R08", "先交保证金才能解冻。"),
    ("R08", "您需缴纳押金380元。"),
    ("R08", "民警要求您立即转账，有疑问请拨110核实。"),
    ("R08", "请立即转账，不转的都是骗子。"),
    ("R08", "“请立即转账到安全账户”，这是民警的要求，不是诈骗。"),
    ("R08", "Please transfer the money now."),
    ("R09", "请下载安全防护软件。"),
    ("R09", "国家反诈中心提醒：请到应用商店下载安全卫士。"),
    ("R10", "您名下的银行卡即将冻结。"),
    ("R10", "您的账户，已被立案侦查。"),
    ("R10", "Your card has been suspended. Call 96110."),
    ("R11", "恭 喜您，请领取反诈奖品。"),
    ("R11", "防诈问答红包限时派送。"),
    ("R12", "反诈从我做起，办理5G套餐送好礼。"),
    ("R13", "请回复本人住址和手机号。"),
    ("R13", "请回复“同意”。"),
    ("R13", "请回复88登记。"),
    ("R16", "反诈热线9·6·1·1·0。"),
    ("R16", "反诈热线九六一一〇。"),
    ("R16", "反诈热线⑨⑥①①⓪。"),
    ("R16", "请勿转\u200d账。"),
    ("R16", "谨防w e c h a t骗局。"),
    ("R18", "嫌疑人证件号11010119900307001X。"),
    ("R18", "卡号6222020000000000000涉案。"),
    ("R20", "新桥社区张女士被骗8万元，请警惕。"),
    ("R20", "霍家桥村上周发生刷单诈骗案1起。"),
    ("R23", "县反诈中心招聘话务员，日结。"),
]

HONEST = [
    "请勿提供验证码，民警不会索要。拿不准拨96110。",
    "任何时候都不要向陌生人提供短信验证码和银行卡密码。疑问拨96110。",
    "切勿轻信“客服”，切勿转账。疑问拨96110。",
    "不要把验证码告诉任何人，拿不准拨96110。",
    "绝不向陌生账户转账，疑问拨96110。",
    "拒绝向陌生人提供卡号、密码，疑问拨96110。",
    "凡是叫您把钱转到安全账户的，都是诈骗。请拨110。",
    "要您垫付的兼职都是骗局，疑问拨96110。",
    "骗子常让您下载会议软件、共享屏幕，再转走存款。疑问拨96110。",
    "接到“您的医保卡已停用”之类短信，别点链接，请到窗口核实。",
    "“恭喜您中奖，请点击领取”是骗子的老套路，请拨96110。",
    "谨防扫码领红包骗局，疑问拨96110。",
    "警惕“加微信领补贴”，民政部门不会这样通知，当面核实。",
    "大额付款请当面核实、双人复核，疑问拨96110。",
    "转账前先核实身份，疑问拨96110。",
    "您的账户不会因未点链接而冻结，疑问到网点核实。",
    "没有“安全账户”，公检法不会要求转账，请拨110核实。",
    "本周全县接报电诈12起，损失35.6万元，疑问拨96110。",
    "2027年1月15日14:30在县文化馆举办反诈讲座，可向网格员报名。",
    "旌德县公安局电话0563-0600110，报警110。",
    "外地拨打0563-96110同样有效。",
    "96110来电一定要接，那是劝阻电话。",
    "公检法不会电话办案，请挂断后拨110。",
    "刷单本身违法，不垫资、不转账。疑问拨96110。",
    "不扫陌生二维码，不进陌生群，不点不明链接，疑问拨96110。",
    "别加陌生微信，别点陌生链接，疑问拨96110。",
    "请不要下载来历不明的软件，疑问拨96110。",
    "退订请回复TD不收费用，疑问拨96110。",
    "请回复1确认参加，2不参加，疑问拨96110。",
    "电话里要验证码的，一律挂断，再拨96110。",
    "自称领导让您先垫钱的，先打原来的号码问清楚。",
    "对方催您尽快付款的，先停一停，当面核实。",
    "旌阳镇本周发生刷单案2起，疑问拨96110。",
    "No police officer will ask you for a code. Call 96110.",
    "Never transfer money to a safe account. Call 96110.",
    "Do not add strangers on WeChat. Call 96110.",
]


def blocked(text: str) -> set[str]:
    findings = lint(text, {}, sender=POLICE)
    return {finding["rule"] for finding in of_level(findings, "block")}


@pytest.mark.parametrize(("rule", "text"), SCAMS, ids=[text for _, text in SCAMS])
def test_what_tries_to_pass_is_blocked(rule: str, text: str) -> None:
    assert rule in blocked(SIGNED + text)


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_passes(text: str) -> None:
    assert not of_level(lint(SIGNED + text, {}, sender=POLICE), "block", "review")


# Ways to write the same, which the eye does not tell apart from it.
_WIDE = {ord(c): chr(ord(c) + 0xFEE0) for c in map(chr, range(0x30, 0x7B)) if c.isalnum()}
_INSERTED = ("\u200b", "\u200c", "\u2060", "\ufeff", "\u00ad", "\u180e")
_TWINS = {
    "金": "\uf90a",
    "一": "\u2f00",
    "人": "\u2f08",
    "手": "\u2f3f",
    "车": "\uf902",
    "不": "\uf967",
}


def _disguised(text: str, places: list[tuple[int, str]]) -> str:
    characters = list(text)
    for place, how in places:
        at = place % len(characters)
        if how == "wide":
            characters[at] = characters[at].translate(_WIDE)
        elif how == "twin":
            characters[at] = _TWINS.get(characters[at], characters[at])
        else:
            characters[at] += how
    return "".join(characters)


@given(
    st.sampled_from(SCAMS),
    st.lists(
        st.tuples(st.integers(0, 500), st.sampled_from((*_INSERTED, "wide", "twin"))), max_size=8
    ),
)
@settings(max_examples=300, deadline=None)
def test_no_disguise_turns_a_block_into_a_pass(
    scam: tuple[str, str], places: list[tuple[int, str]]
) -> None:
    rule, text = scam
    disguised = SIGNED + _disguised(text, places)
    found = blocked(disguised)
    assert rule in found
    if disguised != SIGNED + text:
        assert found & {"R16", "R05"}
