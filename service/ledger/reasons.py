"""Every reason why a text was left out, stopped, failed or waits: code, words, where, and passing.

A code is the same word in SQL, Python and JSON. Whoever adds a reason adds a member here and the
branch that gives it; reports, answers, retries and the command line read the rest from here. In a
statement a code stands as `'{Reason.NO_ROUTE}'`; a test refuses one that is not a member.
"""

from enum import Flag, StrEnum, auto
from typing import Self

from service.words.phrase import Sentence


class Place(Flag):
    """Where a reason can arise. At the first two the person has no row in the ledger, so it counts
    outside a run's target (`OUTSIDE_TARGET`); at all others it is the reason of a row, inside.
    """

    EXPANSION = auto()  # left out when the ledger of a run was written
    DIRECT = auto()  # named in a direct send or a reply, and left out
    HANDOFF = auto()  # stopped before it left: suppressed, or cancelled
    CANCEL = auto()  # cancelled because somebody said so
    CARRIER = auto()  # the answer to a submit, or a receipt
    SILENCE = auto()  # no answer or no receipt came
    DECISION = auto()  # what became of an uncertain hand-off was decided here
    FOLLOW_UP = auto()  # why a text is not sent again


OUTSIDE_TARGET = Place.EXPANSION | Place.DIRECT

_SUPPRESSED = Place.EXPANSION | Place.DIRECT | Place.HANDOFF
_NAMED = Place.EXPANSION | Place.DIRECT
_PASSES = True


class Reason(StrEnum):
    """Why a text did not leave, or did not arrive.

    words: a clause that may follow a colon. label: a few characters beside a count. places: where
    it can arise. passing: it may be gone later without anybody changing the person, so the text is
    tried again, or the person at the next fire; all others are final.
    """

    words: Sentence
    label: str
    places: Place
    passing: bool

    def __new__(
        cls,
        code: str,
        label: str = "",
        zh: str = "",
        en: str = "",
        places: Place = Place.CARRIER,
        passing: bool = False,
    ) -> Self:
        """A row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.label, member.words = label, Sentence(zh, en)
        member.places, member.passing = places, passing
        return member

    @classmethod
    def at(cls, places: Place) -> list["Reason"]:
        """The reasons that can arise at one of these places, in order; never `NONE`."""
        return [reason for reason in cls if reason and reason.places & places]

    # fmt: off
    NONE = ""  # nothing went wrong

    # What carriers say; each protocol's table of codes leads here.
    EMPTY_NUMBER = "empty_number", "空号", "号码是空号", "the number does not exist"
    SUSPENDED = "suspended", "停机", "号码已停机", "the number is out of service"
    POWERED_OFF = (
        "powered_off", "关机", "手机关机或不在服务区", "the handset is off or out of reach"
    )
    BLACKLISTED = (
        "blacklisted", "黑名单", "号码在运营商的黑名单里",
        "the number is on the carrier's blacklist"
    )
    MEMORY_FULL = (
        "memory_full", "收件箱满", "手机短信存储已满", "the handset's memory is full",
        Place.CARRIER, _PASSES
    )
    PORTED = (
        "ported", "已携号转网", "号码已携转到其他运营商", "the number has moved to another carrier"
    )
    CONTENT_FILTER = (
        "content_filter", "内容被过滤", "内容被运营商过滤", "the carrier's filter stopped the text"
    )
    FREQUENCY_LIMIT = (
        "frequency_limit", "频次限制", "超过运营商的频次限制",
        "the carrier limits how often a number is written to", Place.CARRIER, _PASSES
    )
    REJECTED = (  # for no reason that it names, so it says nothing of the text
        "rejected", "被拒", "运营商拒收，没有说明原因",
        "the carrier refused it and did not say why"
    )
    NETWORK = (  # busy, down, no answer; that there is no route is another reason
        "network", "网络不通", "网络一时不通", "the network did not work for the moment",
        Place.CARRIER, _PASSES
    )
    ACCOUNT = (  # our account or its configuration
        "account", "通道账号问题", "我方通道账号有问题", "our account with the carrier has a fault"
    )
    FORMAT = (  # what we wrote does not suit the carrier
        "format", "格式不符", "格式不被运营商接受",
        "the carrier does not take the form of the text"
    )
    OTHER = "other", "其他", "运营商给出的其他原因", "another reason, by the carrier's code"

    # What nobody has said.
    NO_RECEIPT = (
        "no_receipt", "没有回执", "72 小时内没有回执", "no receipt came in 72 hours", Place.SILENCE
    )
    NO_ANSWER = "no_answer", "无应答", "运营商没有应答", "the carrier did not answer", Place.SILENCE

    RESTORED = (
        "restored", "数据库恢复", "数据库恢复后不知是否已发出",
        "the database was restored, and does not know whether it left", Place.SILENCE
    )

    LIST_LAPSED = (
        "list_lapsed", "名单作废", "所在的名单没有移交，短信没有发出",
        "the list that it stood on was never handed over, so it never left", Place.SILENCE
    )

    # Suppressions (`SUPPRESSIONS`): a number that is not written to.
    OPTED_OUT = "opted_out", "已退订", "本人已退订", "the person refuses such texts", _SUPPRESSED
    PROTECTED = (
        "protected", "受保护", "号码受保护，不予发送", "the number is protected", _SUPPRESSED
    )
    DEAD_NUMBER = (
        "dead_number", "空号停发", "号码已确认是空号", "the number is known not to exist",
        _SUPPRESSED
    )
    COMPLAINT = "complaint", "投诉", "本人投诉过", "the person has complained", _SUPPRESSED

    # Left out: who has no row in the ledger.
    AGE_UNCLEAR = (
        "age_unclear", "年龄不明", "年龄不详，无法判断是否属于对象",
        "it is not known whether the age fits", Place.EXPANSION
    )
    NO_NAME = (
        "no_name", "缺姓名", "名单里没有姓名", "the list has no name, and the text greets by name",
        Place.EXPANSION
    )
    NO_AREA = (
        "no_area", "缺区划", "名单里没有所需的区域", "the list has no area, and the text names it",
        Place.EXPANSION
    )
    NO_VALUE = (
        "no_value", "缺所填内容", "名单里没有文中要填的单位、学校、班级等内容",
        "the list lacks what fills the text, such as the organisation or the class",
        Place.EXPANSION
    )
    NOT_A_GUEST = (
        "not_a_guest", "不在试用名单", "试用密钥只发给试用名单上的人",
        "a trial key writes only to the department's guests", _NAMED
    )
    OUTSIDE_AREA = (
        "outside_area", "不在本区域", "不在本部门的区域内",
        "the person lives outside the department's area", _NAMED
    )
    OUTSIDE_KEY = (
        "outside_key", "密钥不可发", "不在这把密钥可发的区域或名单内",
        "the person is not of the areas or rosters that this key may send to", Place.DIRECT
    )
    NO_LONGER_LISTED = (
        "no_longer_listed", "已不在名单", "已不在名单上", "the person is on the list no longer",
        Place.EXPANSION
    )
    NOT_KEPT = (
        "not_kept", "号码已清除", "号码已按期清除", "the number is not kept any more",
        Place.EXPANSION
    )
    NO_ROUTE = (
        "no_route", "无可用通道", "没有可用的通道", "no channel takes numbers of this carrier",
        _NAMED, _PASSES
    )
    SYNTHETIC_RANGE = (
        "synthetic_range", "测试号段", "号码是测试号段",
        "the number is nobody's, and the channels are real", _NAMED | Place.HANDOFF
    )
    NOT_SYNTHETIC = (
        "not_synthetic", "非测试号段", "模拟通道只发测试号段",
        "the channels are simulated and take nobody's numbers only", _NAMED | Place.HANDOFF
    )
    CLASS_NOT_ALLOWED = (
        "class_not_allowed", "无权发此类", "本部门不再有权发送这类短信",
        "the department may not send texts of this class any more", Place.EXPANSION, _PASSES
    )
    SIGNATURE_OF_ANOTHER = (
        "signature_of_another", "签名属他部门", "签名属于其他部门",
        "the text begins with the signature of another department", Place.EXPANSION, _PASSES
    )
    CAPPED = (
        "capped", "达上限", "已达到收信次数上限",
        "the person has had as many texts as are allowed", Place.EXPANSION | Place.HANDOFF, _PASSES
    )
    SAME_TEXT = (
        "same_text", "近期收过同文", "近期已收到同样内容",
        "the person has had the same text lately", Place.EXPANSION | Place.HANDOFF, _PASSES
    )

    # Stopped: who has a row, and whose text has not left.
    OTHER_LEG = (  # of the same joint plan; nobody is told which
        "other_leg", "已由他方发送", "同一联合任务已由其他单位的名单发送",
        "another leg of the joint plan has sent it to the person",
        Place.EXPANSION | Place.HANDOFF
    )
    VALIDITY_OVER = (
        "validity_over", "有效期已过", "有效期已过", "its validity was over", Place.HANDOFF
    )
    ARRIVED = (  # a receipt has said meanwhile that it arrived, whole or in part
        "arrived", "首次已送达", "第一次发送后来已送达", "the first sending had arrived after all",
        Place.HANDOFF
    )
    CANNOT_BE_COMPOSED = (
        "cannot_be_composed", "内容无法生成", "内容无法生成", "the text could not be made",
        Place.HANDOFF
    )
    VALUE_REFUSED = (
        "value_refused", "填入内容不可用", "填入的姓名、地名等内容不能用于短信",
        "a name, place or other value may not stand in a text", Place.HANDOFF
    )
    ERASED = (
        "erased", "资料已删除", "本人资料已删除", "the person's data were erased",
        Place.EXPANSION | Place.HANDOFF | Place.CANCEL
    )
    CAMPAIGN_CANCELLED = (
        "campaign_cancelled", "任务已取消", "这次发送被取消", "its broadcast was cancelled",
        Place.CANCEL
    )
    CANCELLED_BY_SENDER = (
        "cancelled_by_sender", "发送方取消", "发送单位取消", "the sender cancelled it",
        Place.CANCEL
    )
    TEXT_WITHDRAWN = (
        "text_withdrawn", "文字已收回", "提供单位收回了这段文字",
        "whoever offered the words has withdrawn them", Place.CANCEL
    )
    TEST_KEY = (
        "test_key", "测试密钥", "测试密钥，不会发出",
        "it came from a test key, which sends nothing", Place.CANCEL
    )

    # Decided here: what became of an uncertain hand-off.
    DECIDED = "decided", "人工认定", "由人工认定", "somebody here has decided so", Place.DECISION
    STATEMENT = (
        "statement", "按对账单认定", "按运营商对账单认定", "the carrier's statement says so",
        Place.DECISION
    )
    IN_DOUBT = "in_doubt", "去向不明", "可能已收到", "the person may have got it", Place.FOLLOW_UP
    # fmt: on


def words_of(code: str) -> Sentence:
    """The words of a reason; a code that another version has stored stands for itself."""
    try:
        return Reason(code).words
    except ValueError:
        return Sentence(code, code)


SUPPRESSIONS = {
    Reason.OPTED_OUT: Sentence(
        "本人于 {since} 退订", "The person has refused such texts since {since}"
    ),
    Reason.PROTECTED: Sentence(
        "号码自 {since} 起受保护，不予发送",
        "The number is protected and not written to since {since}",
    ),
    Reason.DEAD_NUMBER: Sentence(
        "号码自 {since} 起按空号停发",
        "The number is taken for one that does not exist since {since}",
    ),
    Reason.COMPLAINT: Sentence(
        "本人投诉过，自 {since} 起停发", "The person has complained; nothing is sent since {since}"
    ),
}
"""The reasons of a suppression, with what each stops; {since} is a day in China."""


class Wait(StrEnum):
    """What a queued text waits for, the first that the hand-off meets; `words` may have {until}, an
    instant in China.
    """

    words: Sentence

    def __new__(cls, code: str, zh: str = "", en: str = "") -> Self:
        """A row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.words = Sentence(zh, en)
        return member

    # fmt: off
    STOPPED = "stopped", "全部停发中", "all sending is stopped"
    EXPANDING = "expanding", "名单还在生成", "its broadcast is still being written"
    CANCELLED = (
        "cancelled", "这次发送已取消，不会发出",
        "its broadcast was cancelled, and it does not leave"
    )
    PAUSED = "paused", "这次发送已暂停", "its broadcast is paused"
    DEPARTMENT = (
        "department", "本单位额度用完，{until} 起再发",
        "the department's quota is used up until {until}"
    )
    CAPPED = (
        "capped", "本人收信次数已满，{until} 起可发",
        "the person has had enough texts until {until}"
    )
    RETRY = (
        "retry", "上次没有成功，{until} 再试", "the last try failed; it is tried again at {until}"
    )
    CANARY = (
        "canary", "先看头一批人的结果",
        "it waits for what becomes of the texts to the first people"
    )
    HOURS = "hours", "发送时段 {until} 才开始", "the send hours begin at {until}"
    DISABLED = "disabled", "通道停用", "its channel is switched off"
    DOWN = "down", "通道中断，连接不上", "its channel is shut: there is no connection"
    FAULTS = "faults", "通道中断，提交大量失败", "its channel is shut: too many submits go wrong"
    SLOW = "slow", "通道中断，运营商应答太慢", "its channel is shut: the carrier answers too slowly"
    SILENT = "silent", "通道中断，收不到回执", "its channel is shut: no receipts come"
    LIST = "list", "等候生成名单，由运营商自行发送", "it waits until its carrier draws a list"
    NO_CONNECTION = "no_connection", "通道没有连接", "its channel has no connection"
    CARRIER = (
        "carrier", "运营商要求暂停，{until} 再试", "the carrier has the channel wait until {until}"
    )
    QUOTA = "quota", "通道额度用完，{until} 起再发", "the channel's quota is used up until {until}"
    MAINTENANCE = "maintenance", "通道维护至 {until}", "its channel is in maintenance until {until}"
    CARRIER_SLOW = (
        "carrier_slow", "运营商现在接收得慢，按次序等候",
        "the carrier takes texts slowly now; it waits for its turn"
    )
    TURN = "turn", "按次序等候", "it waits for its turn"
    # fmt: on
