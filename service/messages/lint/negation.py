"""Whether a negation is bound to a word: is what stands there forbidden, or denied?

Between a negation and its verb only words may stand that carry it on; anything unknown breaks the
bond (`请勿提供验证码`, not `机会不多，请提供验证码` nor `不得不提供验证码`). An exception or a
condition is no prohibition.
"""

import re

from service.messages.lint.draft import QUOTED, TextSentence

NOT_NOT = re.compile("不得不|不能不|不可不|不应不|不会不|不要不|不由得不|无不|莫不|勿不|非得?")
"""Two negations that ask all the more."""

_NEGATION = re.compile(
    "(?:一定|千万|绝对|坚决)?(?:请勿|切勿|勿|不接受|拒收|不要|不得|不能|不可|不准|不许|不应该?|不该|不会|不用|"
    "不必|用不着|"
    "不需要?|无需|无须|从不|绝不|决不|永不|别(?!的)|莫|不轻信|不信|不听|不理|不再|不去|禁止|严禁|"
    "拒绝|退出|关闭|结束|断开|卸载|停止|暂停|谨防|防止|避免|没有?(?!收到|完成)|未(?!成年)|不(?![同断久多少错过仅但只]))"
)
_CARRIES_ON = re.compile(
    "(?:轻易|轻信|随意|随便|擅自|盲目|私自|再|去|来|主动|直接|继续|会|要|能|可以|让|叫|使|要求|"
    "发送?|派|做|办理|加|卖家|买家|网友|老师|客服|好友|"
    "要你|"
    "您|你|我|他|她|别人|他人|任何人|陌生人|私人|对方|大家|群众|客户|家长|当场|先|急于|急着|在线|网上|"
    "线上|"
    "私下|在|的|因为|因|听信|相信|听|信|按照?|说|就|而|把|将|向|给|对|为|替|往|到|至|点击?|打开|"
    "扫|回|没|"
    "短信|链接|二维码|银行卡?|存折|电话卡|手机卡?|收到|数字|存款|钱款?|资金|一分|个人|信息|账户|账号|陌生|不明|来历|指定|收款|任何|"
    "一切|所谓|"
    "和|与|跟|及|或者?|、|以及|并|通话|验证码|动态码|密码|卡号|身份证号?|电话|微信|qq|群|软件|app|"
    "程序|屏幕|共享|"
    "(?:报|提供|填写?|输入?|泄露|透露|告知|转账|汇款|付款|扫码|回复)(?=[^,]{0,8}?[、和或])|"
    f"费用|手续费|保证金|定金|里|上|内|中|[{QUOTED}])*"
)
_ADJUNCT = re.compile(
    "(?:轻易|随意|随便|再|去|来|会|要|能|可以|让|叫|您|你|我|他){0,4}"
    "(?:在|通过|用|以|凭|按照?|向|对|给|跟|往|从|因为?|为|由|于|要求|让|叫|催|逼)"
    "(?:(?!请|务必|必须|立即|马上|尽快|赶)[^,]){1,12}"
)
"""Where, by what or to whom: `不会通过陌生电话让您下载`."""
_TAKEN = re.compile(
    "(?:再|去|来|轻易|随便|随意|您|你)*[把将](?:(?!请|务必|必须|立即|马上|尽快|赶)[^,]){1,12}"
)
"""What is not to be done with something: `不要把人脸视频发给生人`."""
_LISTED = re.compile("(?:(?!请|务必|必须|立即|马上|尽快|赶)[^,]){1,18}、")
"""What else is not to be done: `不会让您下载软件、共享屏幕`."""
_GOING_ON = r"(?:(?!\b(?:but|please|just|simply|instead)\b)[^,])"
"""What carries an English negation on: a request after it is none of it."""
_ENGLISH_NOT = re.compile(
    r"\b(?:never|not|no one|nobody|no [a-z]+ (?:will|would|ever)|[a-z]+n't|stop|avoid|refuse)\b"
    rf"{_GOING_ON}{{0,40}}$"
    r"|\b(?:never|not|[a-z]+n't) (?:ask|tell|request|require|want|make) (?:for|you|people)\b"
    rf"(?:{_GOING_ON}|,(?= (?:to|or|nor)\b))*$"
)
REACH, _BOND = 40, 20
"""How far back a negation is looked for, and how many characters may lie between."""


def forbidden(sentence: TextSentence, at: int) -> bool:
    """Whether a negation is bound to the word at this place of the sentence, without exception."""
    begin, end = sentence.clause(at)
    if sentence.text[at : at + 1].isascii() and _ENGLISH_NOT.search(sentence.text, 0, at):
        return not _ENGLISH_EXCEPT.search(sentence.text, at, end)
    if _EXCEPT.search(sentence.text, 0, end):
        return False
    if _DENIED.search(sentence.text, begin, at) and not _GOES_ON.search(sentence.text, at, end):
        return True
    if _RHETORICAL.search(sentence.text, begin, at) and _NO_REASON.match(sentence.text, at, end):
        return True
    before = sentence.text[max(begin, at - REACH) : at]
    before = NOT_NOT.sub(lambda match: "必" * len(match[0]), before)
    for match in reversed(list(_NEGATION.finditer(before))):
        if len(before) - match.end() <= _BOND and _carries_on(before[match.end() :]):
            # `不会因为没点链接就停用` denies the threat.
            denied = bool(re.search("不会(?:因为?)?[^,]{0,6}$", before[: match.end()]))
            return denied or not _is_condition(before[: match.start()], sentence.text[at:end])
    return False


def _carries_on(between: str) -> bool:
    return any(kind.fullmatch(between) for kind in (_CARRIES_ON, _ADJUNCT, _TAKEN, _LISTED))


_DENIED = re.compile(
    "(?:(?<!会)不会|从不|从来不|绝不|决不|永不|不需要?|不用|用不着|无需|没有哪[^,]{1,8}?[会能敢]|"
    "没有任何[^,]{1,8}?会)"
    "(?:再|主动|打电话|在电话里|上门|通过[^,]{1,8})?"
    "(?:要求|让|叫|请|要|催|教|带|指导|逼|劝)?"
    "(?:[您你人]|客户|大家|群众|老人|家长|居民|用户|储户)"
    "(?:(?!请|务必|必须|立即|马上|尽快|赶|而是|只[要需]|但|除)[^,。;]){0,20}$"
)
"""Others are not said to have the reader do it: `不需要您打开会议软件共享屏幕`, the whole clause.

A prohibition reaches to its verb; a denial covers all that the reader would be made to do.
"""
_GOES_ON = re.compile("即可|就[能可行会]|便[能可]|方可|才[能可]|[?]")
_RHETORICAL = re.compile("哪(?:有|会有|来的?)[^,]{0,8}$")
_NO_REASON = re.compile("[^,]{0,8}(?:道理|事情?|说法|规矩|规定)")
"""`哪有退款先交钱的道理` denies it; not `哪有不花钱的好事，请先交钱`."""
_EXCEPT = re.compile("除了?[^,]{1,12}?(?:以|之)?外(?!地|省|国|卖)")
_ENGLISH_EXCEPT = re.compile(r"\b(?:except|unless|but (?:with|to)|other than)\b")
"""`除民警外请勿提供验证码` asks for it."""
_IF = re.compile("(?:如果?|若|要是|假如|倘若?|一旦|凡|逾期)[^,]{0,4}$")
_OR_ELSE = re.compile(
    "[^,]*?(?:就|则|将|便|会)(?:要|会|被)?(?:抓|冻|停|罚|拘|失|影响|注销|追|起诉|视为)"
    "|[^,]*?(?:怎么|怎能|如何|岂能|哪能|无法|没法)"
)


def _is_condition(before: str, after: str) -> bool:
    """`如不转账`, `不转账就抓人`: a threat, not a prohibition."""
    return bool(_IF.search(before) or _OR_ELSE.match(after))
