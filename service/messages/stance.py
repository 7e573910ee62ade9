"""How a sentence stands to what it mentions: does it ask for it, forbid it, or call it a fraud?

Official texts are full of the words of fraud, and forbid or condemn them. What excuses a word must
be bound to it: a negation to its verb (`请勿提供验证码`, not `机会不多，请提供验证码` nor
`不得不提供验证码`), a verdict to what it is about (`要您转账的，都是诈骗`). Between a negation and
its verb only words may stand that carry it on; anything unknown breaks the bond. So what is not
understood is reported, and its author may write it plainer: lint
gives no text the benefit of the doubt.
"""

import re

from service.messages.draft import QUOTED, Sentence

_NOT_NOT = re.compile("不得不|不能不|不可不|不应不|不会不|不要不|不由得不|无不|莫不|勿不|非得?")
"""Two negations that ask all the more."""

_NEGATION = re.compile(
    "(?:一定|千万|绝对|坚决)?(?:请勿|切勿|勿|不要|不得|不能|不可|不准|不许|不应该?|不该|不会|不用|"
    "不必|"
    "不需要?|无需|无须|从不|绝不|决不|永不|别(?!的)|莫|不轻信|不信|不听|不理|不再|不去|禁止|严禁|"
    "拒绝|停止|暂停|谨防|防止|避免|没有?(?!收到|完成)|未(?!成年)|不(?![同断久多少错过仅但只]))"
)
_CARRIES_ON = re.compile(
    "(?:轻易|轻信|随意|随便|擅自|盲目|私自|再|去|来|主动|直接|继续|会|要|能|可以|让|叫|使|要求|"
    "要你|"
    "您|你|我|他|她|别人|他人|任何人|陌生人|对方|大家|群众|客户|家长|当场|先|急于|急着|在线|网上|"
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
_ENGLISH_NOT = re.compile(
    r"\b(?:never|not|no one|nobody|no [a-z]+ (?:will|would|ever)|[a-z]+n't)\b[^,]{0,40}$"
)
_REACH, _BOND = 40, 20
"""How far back a negation is looked for, and how many characters may lie between."""

_IMPERATIVE = re.compile(
    "请|立即|立刻|马上|尽快|务必|必须|赶快|赶紧|抓紧|速|(?<!不)[须需](?!要?求)|敬请|烦请|望|"
    "需要您|即可|"
    "(?<!不)应当?(?!用)"
)
_REPORTED = re.compile(
    "(?:自称|声称|谎称|假称|冒充|有人|对方|陌生人|骗子|来电)|(?:让|要|叫|催|逼|诱导|怂恿|"
    "要求)(?:着)?"
    "(?:您|你|人|大家|家长|孩子|客户|受害人|对方|先)"
)
_OURSELVES = re.compile(
    "我[局院们校行司]|本[局院校行]|民警|警方|警官|公安|法院|检察|专案|工作人员|客服"
)
_FRAUD = (
    "(?![^,]{0,6}(?:防|反诈|反骗|打击|抓|查|止付|拦|破|避免|为了?|以便))"
    "[^,]{0,6}?(?:诈骗|骗局|骗子|骗术|骗人|行骗|陷阱|圈套|套路|钓鱼|冒充|假冒|假的|虚假[^,]{0,4}|"
    "违法[^,]{0,4}|"
    "犯罪[^,]{0,2}|木马|谣言|垫付大单)(?:行为|手段|手法|分子|团伙|的?老?套路|的?圈套|的?话术|短信|"
    "网站|链接)?"
)
"""What a verdict says; not what somebody does against fraud, as in 这是为了防诈骗."""
_ENDS = f"(?=$|[,:—…{QUOTED}])"
_VERDICT = re.compile(
    "[^,]*?,?(?:后面|背后|其实|往往|这|那|说这话的|这样的|这种)*(?:都|均|全|皆|一律|必定?|就|"
    "多半?|多数|大多|肯定|"
    f"一定|往往|也|可能)*(?:(?<!不)(?<!并非)(?:是|属于?|系))(?:典型的?)?{_FRAUD}{_ENDS}"
)
_WATCH_OUT = re.compile(
    "(?:当心|小心|警惕|谨防|提防|防范|严防|远离|识破|认清|抵制|勿信|别信|不信|莫信|不要相信|"
    "不轻信|勿轻信)"
    "[^,]{0,24}$"
)
_FRAUDSTER_DOES = re.compile(
    "^(?:有些?|很多|这些|一些|常有|近期|当前)?(?:骗子|诈骗分子|不法分子|犯罪分子|犯罪团伙|嫌疑人)"
    "(?:常|会|往往|多|经常|先|再|通过|以|用|让|要|冒充|谎称|诱导|利用)"
)
_WHOEVER = re.compile("[^,]*的,?")
"""先交钱的，…: of those who ask for it first."""
_ADVICE = re.compile(
    "[^,]*?的?,?(?:就|请|一律|务必|先|可|都|应|要|立即|马上)*(?:停|挂|拒|别|勿|不要|不理|不予|"
    "不给|问|打.{0,6}(?:电话|号码)|"
    "(?:当面|回拨|向.{0,8})?核实|报警|拨|当面|举报|告诉家|告诉孩子|告诉村|找)"
)


def forbidden(sentence: Sentence, at: int) -> bool:
    """Whether a negation is bound to the word at this place of the sentence, without exception."""
    begin, end = sentence.clause(at)
    if sentence.text[at : at + 1].isascii() and _ENGLISH_NOT.search(sentence.text, begin, at):
        return not _ENGLISH_EXCEPT.search(sentence.text, at, end)
    if _EXCEPT.search(sentence.text, 0, end):
        return False
    before = sentence.text[max(begin, at - _REACH) : at]
    before = _NOT_NOT.sub(lambda match: "必" * len(match[0]), before)
    for match in reversed(list(_NEGATION.finditer(before))):
        if len(before) - match.end() <= _BOND and _CARRIES_ON.fullmatch(before, match.end()):
            return not _is_condition(before[: match.start()], sentence.text[at:end])
    return False


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


def demanded(sentence: Sentence, at: int) -> bool:
    """Whether the word stands under an imperative to the reader, within its clause."""
    begin, _ = sentence.clause(at)
    return bool(_IMPERATIVE.search(sentence.text, begin, at))


def condemned(sentence: Sentence, start: int, end: int) -> bool:
    """Whether the sentence calls what it mentions at [start, end) a fraud, or warns of it.

    What it asks the reader for itself it does not condemn, whatever follows.
    """
    begin, _ = sentence.clause(start)
    before, after = sentence.text[begin:start], sentence.text[end:]
    reported = _REPORTED.search(before)
    imperative = _IMPERATIVE.search(before)
    if imperative and not (reported and reported.start() < imperative.start()):
        return bool(_watched(before[imperative.end() :]))
    if _OURSELVES.search(before) and not re.search("自称|冒充|不会|假[冒扮装称]", before):
        return False
    if _VERDICT.match(after) or _watched(sentence.text[:start]) or _FRAUDSTER_DOES.search(before):
        return True
    named = reported or ("先" in before and _WHOEVER.match(after))
    return bool(named and _ADVICE.match(after))


def _watched(before: str) -> bool:
    match = _WATCH_OUT.search(before)
    return match is not None and not _IMPERATIVE.search(match[0])


def excused(sentence: Sentence, start: int, end: int) -> bool:
    """Whether what stands at [start, end) is forbidden, condemned, or quoted and disowned."""
    if sentence.quoted and _disowned(sentence):
        return True
    return forbidden(sentence, start) or condemned(sentence, start, end)


_PAUSE = "[,。!?;:…—]*"
_KIND = (
    "(?:的|之类|这类|此类|等|类似|话术?|说法|短信|电话|来电|信息|消息|链接|要求|通知|广告|字样|套餐|"
    "兼职|压缩包|邮件)*"
)
_SWINDLER = re.compile(
    "^(?:有些?|有的|一些|很多|近期|当前|现在|最近|如今|常有|电话里|网上|群里|境外|凡是?|如|若|一旦|"
    "接到|收到|遇到|有人|对方|陌生人)*"
    "(?:(?:骗子|诈骗分子|诈骗团伙|不法分子|犯罪分子|嫌疑人|(?=冒充|谎称|自称|声称|假称|佯称|伪称|"
    "假冒|编造))"
    "(?:常|会|往往|多|经常|先|再|通过|以|用|借|让|要|叫|说|称|讲|发|打|冒充|谎称|自称|声称|假称|佯称|"
    "伪称|假冒|编造|诱导|利用|群发))"
)
"""Whose words they are, at the beginning of the clause that quotes them."""
_AUTHORITY = re.compile(
    "公安|警|法院|检察|中心|[我本][局院校行所镇村县]|政府|银行|客服|工作人员|专员|通知|通告|公告|"
    "告知|喜讯|提醒|要求"
)
_HEARD = re.compile(
    "接到|收到|遇到|碰到|看到|听到|有人|对方|陌生|来电|类似|所谓|凡是?|遇有|如有|诸如|比如"
)
_SUCH = re.compile("之类|这类|此类|类似")
_REFUSE = (
    "(?:请|要|就|应|需|务必|一律|一定|千万|立即|马上|直接|都|全)*"
    "(?:挂断|挂掉|挂电话|挂机|拒绝|拒接|报警|删除|不予?理|不信|不可信|不接|不要?点|不转|不回|不给|"
    "当面核实|"
    "(?:别|勿|莫|不要|切勿|请勿)[再轻相当]*(?:信|真|理|点|转|接|扫|回|加|给|汇|付|填|下载|安装))"
)
_REFUSED = re.compile(f"{_KIND}{_PAUSE}{_REFUSE}")
_REFUSED_ITSELF = re.compile(f"{_KIND}{_PAUSE}{_REFUSE}(?:它|会|睬)*(?=$|[,。!?;])")
_CALLED_FRAUD = re.compile(
    f"{_KIND}{_PAUSE}(?:这|那|此|其实|说这话的|这样的|都|均|全|皆|一律|就|多半?|往往|肯定|一定|可能|"
    f"也)*(?:(?<!不)(?:是|属于?|系)|纯属|(?=诈骗|骗|假的|陷阱|圈套|谣言))(?:典型的?)?{_FRAUD}"
    "(?=$|[,。!?;:…—])"
    r"|[^,.]*\b(?:is|are) (?:all |always |only |a |an )*(?:scams?|frauds?|fake|lies?)\b"
)
_DENIED = re.compile("(?:不是|并非|绝非|不属于|不算)[^,]{0,6}$")


def _disowned(sentence: Sentence) -> bool:
    """Whether the words around a quotation take it back.

    They forbid it, call it a fraud, give it as a swindler's, or tell whoever hears it to refuse.
    What is quoted as an authority's own, a verdict alone takes back: `反诈中心通知：“…”，别信骗子`
    asks for it.
    """
    quoting, at = Sentence(sentence.around, ()), sentence.spoken_at
    after = _NOT_NOT.sub("必", quoting.text[at + 1 :])
    verdict = _CALLED_FRAUD.match(after)
    if verdict and not _DENIED.search(verdict[0]):
        return True
    by = re.split("[,:—…]", quoting.text[:at].rstrip(",:—…"))[-1]
    if forbidden(quoting, at) or _watched(by) or _SWINDLER.search(by):
        return True
    if _HEARD.search(by) or _SUCH.match(after):
        return bool(_REFUSED.match(after))
    return not _AUTHORITY.search(by) and bool(_REFUSED_ITSELF.match(after))
