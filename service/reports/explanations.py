"""What a message's state and reason mean, in a sentence that anybody understands (pure).

For whoever is asked "did my text arrive?"; the words promise nothing that the ledger does not know:
only a receipt says that a text has arrived. Every code that can be stored has its words here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from service.audience.rosters.rosters import day_in_china
from service.ledger.states import MessageState as S


class Sentence(NamedTuple):
    """The same said in Chinese and in English."""

    zh: str
    en: str


STATES: Mapping[S, Sentence] = {
    S.QUEUED: Sentence("还在排队，尚未发出", "It waits and has not left yet"),
    S.SUBMITTING: Sentence("正在交给运营商", "It is being handed to the carrier"),
    S.SUBMITTED: Sentence(
        "运营商已接收，还没有回执", "The carrier has taken it; whether it arrived is not known yet"
    ),
    S.DELIVERED: Sentence("已送达手机", "It has arrived on the handset"),
    S.UNDELIVERED: Sentence("未送达", "It did not arrive"),
    S.EXPIRED: Sentence("在有效期内未能送达", "It could not be delivered while it was valid"),
    S.REJECTED: Sentence("运营商拒收", "The carrier refused it"),
    S.UNKNOWN: Sentence(
        "72 小时内没有回执，是否送达不明",
        "No receipt came in 72 hours; whether it arrived is unknown",
    ),
    S.UNCERTAIN: Sentence(
        "可能已发出，但运营商没有应答，正在核对；不会自动重发",
        "It may have left, but the carrier did not answer; it is being checked, and not sent again",
    ),
    S.SUPPRESSED: Sentence("发出前被拦下", "It was stopped before it left"),
    S.CANCELLED: Sentence("发出前已取消", "It was cancelled before it left"),
}

REASONS: Mapping[str, Sentence] = {
    "empty_number": Sentence("号码是空号", "the number does not exist"),
    "suspended": Sentence("号码已停机", "the number is out of service"),
    "powered_off": Sentence("手机关机或不在服务区", "the handset is off or out of reach"),
    "blacklisted": Sentence("号码在运营商的黑名单里", "the number is on the carrier's blacklist"),
    "memory_full": Sentence("手机短信存储已满", "the handset's memory is full"),
    "ported": Sentence("号码已携转到其他运营商", "the number has moved to another carrier"),
    "content_filter": Sentence("内容被运营商过滤", "the carrier's filter stopped the text"),
    "frequency_limit": Sentence(
        "超过运营商的频次限制", "the carrier limits how often a number is written to"
    ),
    "rejected": Sentence("运营商拒收，没有说明原因", "the carrier refused it and did not say why"),
    "network": Sentence("网络一时不通", "the network did not work for the moment"),
    "account": Sentence("我方通道账号有问题", "our account with the carrier has a fault"),
    "format": Sentence("格式不被运营商接受", "the carrier does not take the form of the text"),
    "other": Sentence("运营商给出的其他原因", "another reason, by the carrier's code"),
    "opted_out": Sentence("本人已退订", "the person refuses such texts"),
    "protected": Sentence("号码受保护，不予发送", "the number is protected"),
    "dead_number": Sentence("号码已确认是空号", "the number is known not to exist"),
    "complaint": Sentence("本人投诉过", "the person has complained"),
    "capped": Sentence("已达到收信次数上限", "the person has had as many texts as are allowed"),
    "same_text": Sentence("近期已收到同样内容", "the person has had the same text lately"),
    "validity_over": Sentence("有效期已过", "its validity was over"),
    "arrived": Sentence("第一次发送后来已送达", "the first sending had arrived after all"),
    "cannot_be_composed": Sentence("内容无法生成", "the text could not be made"),
    "value_refused": Sentence(
        "填入的姓名、地名等内容不能用于短信",
        "a name, place or other value may not stand in a text",
    ),
    "campaign_cancelled": Sentence("这次发送被取消", "its broadcast was cancelled"),
    "test_key": Sentence("测试密钥，不会发出", "it came from a test key, which sends nothing"),
    "cancelled_by_sender": Sentence("发送单位取消", "the sender cancelled it"),
    "erased": Sentence("本人资料已删除", "the person's data were erased"),
    "decided": Sentence("由人工认定", "somebody here has decided so"),
    "statement": Sentence("按运营商对账单认定", "the carrier's statement says so"),
    "age_unclear": Sentence(
        "年龄不详，无法判断是否属于对象", "it is not known whether the age fits"
    ),
    "no_name": Sentence("名单里没有姓名", "the list has no name, and the text greets by name"),
    "no_area": Sentence("名单里没有所需的区域", "the list has no area, and the text names it"),
    "not_a_guest": Sentence(
        "试用密钥只发给试用名单上的人", "a trial key writes only to the department's guests"
    ),
    "outside_area": Sentence(
        "不在本部门的区域内", "the person lives outside the department's area"
    ),
    "no_longer_listed": Sentence("已不在名单上", "the person is on the list no longer"),
    "not_kept": Sentence("号码已按期清除", "the number is not kept any more"),
    "no_route": Sentence("没有可用的通道", "no channel takes numbers of this carrier"),
    "synthetic_range": Sentence(
        "号码是测试号段", "the number is nobody's, and the channels are real"
    ),
    "not_synthetic": Sentence(
        "模拟通道只发测试号段", "the channels are simulated and take nobody's numbers only"
    ),
    "class_not_allowed": Sentence(
        "本部门不再有权发送这类短信", "the department may not send texts of this class any more"
    ),
    "signature_of_another": Sentence(
        "签名属于其他部门", "the text begins with the signature of another department"
    ),
}

SAID_BY_STATE = frozenset({"no_receipt", "no_answer"})
"""Reasons that add nothing to their state's sentence."""

LEFT_OUT = "left_out"
"""Instead of a state: whom a broadcast meant, and who has no row in its ledger."""

_LEFT_OUT = Sentence("没有列入这次发送", "The person was left out of this broadcast")

STOPS: Mapping[str, Sentence] = {
    "opted_out": Sentence("本人于 {since} 退订", "The person has refused such texts since {since}"),
    "protected": Sentence(
        "号码自 {since} 起受保护，不予发送",
        "The number is protected and not written to since {since}",
    ),
    "dead_number": Sentence(
        "号码自 {since} 起按空号停发",
        "The number is taken for one that does not exist since {since}",
    ),
    "complaint": Sentence(
        "本人投诉过，自 {since} 起停发", "The person has complained; nothing is sent since {since}"
    ),
}
"""What a suppression stops, by its reason; {since} is a day in China."""


def explain(state: str, reason: str | None, waits: Sentence | None = None) -> Sentence:
    """What became of a text, or that there is none (`LEFT_OUT`), and why.

    waits: of one that is queued, what it waits for.
    """
    said = _LEFT_OUT if state == LEFT_OUT else STATES[S(state)]
    if waits is not None:
        return Sentence(f"{said.zh}：{waits.zh}。", f"{said.en}: {waits.en}.")
    if not reason or reason in SAID_BY_STATE:
        return Sentence(f"{said.zh}。", f"{said.en}.")
    why = REASONS.get(reason, Sentence(reason, reason))
    return Sentence(f"{said.zh}：{why.zh}。", f"{said.en}: {why.en}.")


def explain_stop(reason: str, since: datetime, until: datetime | None) -> Sentence:
    """Why nothing is sent to a number, since when, and until when if that is known."""
    zh, en = (words.format(since=day_in_china(since)) for words in STOPS[reason])
    if until is None:
        return Sentence(f"{zh}。", f"{en}.")
    day = day_in_china(until)
    return Sentence(f"{zh}，至 {day} 止。", f"{en}, until {day}.")
