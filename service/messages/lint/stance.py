"""How a sentence stands to what it mentions: does it ask for it, forbid it, or call it a fraud?

Official texts are full of the words of fraud, and forbid or condemn them. What excuses a word must
be bound to it: a negation to its verb (`请勿提供验证码`, not `机会不多，请提供验证码` nor
`不得不提供验证码`; see `negation.py`), a verdict to what it is about (`要您转账的，都是诈骗`).
What is not understood is reported, and its author may write it plainer.
"""

import re

from service.messages.lint.draft import QUOTED, TextSentence
from service.messages.lint.negation import NOT_NOT, REACH, forbidden

_IMPERATIVE = re.compile(
    "请(?!人(?!民|员|[您你]))|立即|立刻|马上|尽快|务必|必须|赶快|赶紧|抓紧|速|(?<!不)[须需](?!要?求)|敬请|烦请|望|"
    "需要您|即可|"
    "(?<!不)应当?(?!用)"
)
_REPORTED = re.compile(
    "请人(?!民|员|[您你])|(?:自称|声称|谎称|假称|冒充|有人|对方|陌生人|骗子|来电)|(?:让|要|叫|催|逼|诱导|怂恿|"
    "要求)(?:着)?"
    "(?:您|你|人|大家|家长|孩子|客户|受害人|对方|先)"
)
_OURSELVES = re.compile(
    "我[局院们校行司]|本[局院校行]|民警|警方|警官|公安|法院|检察|专案|工作人员|客服"
)
_FRAUD = (
    "(?![^,。]{0,6}(?:防|反诈|反骗|打击|抓|查|止付|拦|破|避免|为了?|以便))"
    "[^,]{0,6}?(?:诈骗|骗局|骗子|骗术|骗人|行骗|陷阱|圈套|套路|钓鱼|钓饵|诱饵|冒充[^,。]{0,8}|假冒|"
    "假的|假话|谎话|谎言|吓唬[^,。]{0,4}|虚假[^,]{0,4}|违法[^,]{0,4}|非法[^,]{0,4}|伪造|"
    "(?:在|为了?|想)?(?:骗|偷|套)(?:取|走)?[^,。]{0,10}|(?:让|叫|替|帮)[^,。]{0,6}洗钱|"
    "犯罪[^,]{0,2}|木马|谣言|坏人|台词|话术|鬼话|黑(?:中介|平台|网贷|作坊)|传销|幌子|把戏|说辞|剧本|垫付大单)(?:行为|手段|手法|分子|团伙|的?老?套路|的?圈套|的?话术|短信|"
    "网站|链接|的[^,。]{0,8})?"
)
"""What a verdict says; not what somebody does against fraud, as in 这是为了防诈骗."""
_ENDS = f"(?=$|[,:—…{QUOTED}])"
_VERDICT = re.compile(
    "[^,]*?,?(?:后面|背后|其实|往往|这|那|说这话的|这样的|这种)*(?:都|均|全|皆|一律|必定?|就|"
    "多半?|多数|大多|肯定|"
    f"一定|往往|也|可能)*(?:(?<!不)(?<!并非)(?:是|属于?|系))(?:典型的?)?{_FRAUD}{_ENDS}"
    "|[^,]*?,?(?:根本|从来|就)?没有?(?:哪|任何|一)(?:个|家|位|种|样)?[^,]{0,10}?"
    f"(?:这[样么种](?:做|干|办|收费?|要求)?|如此|是真的?|是正规[^,]{{0,4}}|靠谱|可信)的?{_ENDS}"
    f"|[^,]{{0,8}}?的[^,]{{0,6}}?(?:都|均|可|根本)?(?:信不[过得]|靠不住|不靠谱|要不得|碰不得){_ENDS}"
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
_WHOEVER = re.compile("[^,]*的[^,]{0,8},")
"""先交钱的，…: of those who ask for it first."""
_WHEN_IT_COMES = re.compile("(?:[若凡]|如果|一)?(?:说|要|叫|让|逢|遇|听|提|见|有)")
_THEN_DO = re.compile(
    "[^,]{0,4},(?:先核[实对]|先问|先[停想]|不搭理|不[要理信睬听]|别[信理当上]|莫[信理]|勿[信理]|要警惕|要当心)"
)
"""Short lines of a rhyme: 要转账,先核实; 说中奖,不搭理."""
_NOT_TO_BE_TRUSTED = re.compile(
    "[^,]{0,10}?的,?(?:一律|都|就|请|千万)?(?:别|勿|不要|莫|切勿)(?:信|理|去|点|做|碰|给|付|转|当真)"
)
_TURNED_DOWN = re.compile(
    "[^,]*,(?:就|请|一律|务必|先|可|都|应|要|立即|马上|直接|按规定)*(?:停手|挂|拒|别|勿|不要|不理|不予|不给|"
    "不得办|删|报警|举报|报告)"
)
_ADVICE = re.compile(
    "[^,]*?的?(?:,(?:不管|无论|不论|哪怕|就算)[^,]{1,12})?,?(?:就|请|一律|务必|先|可|都|应|要|立即|马上)*(?:停|挂|拒|别|勿|不要|不理|不予|"
    "不给|问|打.{0,6}(?:电话|号码)|"
    "(?:当面|回拨|向.{0,8})?核实|报警|拨|当面|举报|告诉家|告诉孩子|告诉村|找)"
)


def demanded(sentence: TextSentence, at: int) -> bool:
    """Whether the word stands under an imperative to the reader, within its clause."""
    if sentence.is_overloaded:
        return True
    begin, _ = sentence.clause(at)
    return bool(_IMPERATIVE.search(sentence.text, begin, at))


def condemned(sentence: TextSentence, start: int, end: int) -> bool:
    """Whether the sentence calls what it mentions at [start, end) a fraud, or warns of it.

    What it asks the reader for itself it does not condemn, whatever follows.
    """
    begin, _ = sentence.clause(start)
    before, after = sentence.text[begin:start], sentence.text[end:]
    reported = _REPORTED.search(before)
    imperative = _IMPERATIVE.search(before)
    if imperative and not (reported and reported.start() < imperative.start()):
        theirs = _NAMED_BY_IT.match(after) and _THEIRS.search(sentence.text, 0, start)
        return bool(theirs or _watched(before[imperative.end() :]))
    if _OURSELVES.search(before) and not re.search("自称|冒充|不会|假[冒扮装称]", before):
        return False
    if _VERDICT.match(after) or _watched(sentence.text[:start]) or _FRAUDSTER_DOES.search(before):
        return True
    turned_down = _WHOEVER.match(after) and _TURNED_DOWN.match(after)
    rhymed = _WHEN_IT_COMES.fullmatch(before) and _THEN_DO.match(after)
    if _NOT_TO_BE_TRUSTED.match(after) or turned_down or rhymed:
        return True
    if reported and _called_fraud_later(after):
        return True
    named = reported or ("先" in before and _WHOEVER.match(after))
    return bool(named and _ADVICE.match(after))


_THEIRS = re.compile(
    "(?:自称|声称|谎称|假称|冒充|对方|陌生人|骗子|有人)[^。]{0,24}?请[您你人]"
    "(?!.*(?:请[^您你人]|立即|立刻|马上|尽快|务必|必须))"
)
_NAMED_BY_IT = re.compile(f"[^,]{{0,8}}的(?=,|[都均全皆是多没])(?:{_VERDICT.pattern})")
"""A clause with 的 names those who ask so; what follows is about them: `又请您代付的，是骗局`."""
_CUE = re.compile(
    "(?<![反防被遭络信惕])(?<!涉嫌)(?<!打击)(?<!不是)(?<!并非)(?:诈骗|骗子|骗局|骗术|骗取|骗走|骗[您你人钱孩他她]|骗了[0-9一二三四五六七八九十两几多]|行骗|陷阱|"
    "圈套|套路|钓饵|诱饵|为饵|钓鱼|冒充|冒用|盗用|假扮|伪造|伪装|谎称|假冒|虚假|假(?:的|话|身份|网站|平台|客服|警察|老师)|是假(?!一)|木马|敲诈|非法|违法|"
    "犯罪|判了?刑|拉黑|洗钱|偷走|会被[骗偷盗]|亏(?:了|掉|光|损|[0-9一二三四五六七八九十])|损失[0-9一二三四五六七八九十]|钱财|两空|上当|失联|联系不上|找不到人|跑路|被要求|被人|被哄|哄着|再没|没了|后悔|坐牢|打水漂|露馅|是骗(?!保)|不是[^,。]{1,8}发的|不会这样|不可信|没有一个是真|要不回|拿不回)"
)
"""What shows that a sentence tells of frauds; not that somebody was cheated or works against it."""
_AGAINST = re.compile(
    "(?:谨防|警惕|严防|防范|防止|预防|远离|打击|反|防|小心|当心|识破|识别)[^,。]{0,6}?(?:诈骗|骗子|骗局|骗术|诈)"
)


def _cued(text: str) -> bool:
    """Whether words tell of frauds: what is done against fraud is in the mouth of frauds, too."""
    return bool(_CUE.search(_AGAINST.sub("", text)))


_DOER = (
    "(?:骗子|诈骗分子|诈骗团伙|不法分子|犯罪分子|嫌疑人|以[^,。]{1,14}?为(?:由|名|幌子|借口|饵)|"
    "(?<![给到打与和向系])(?:对方|人家)|陌生人|生人|有人|不少人|谁|来电|"
    "自称|声称|谎称|假称|冒充|冒用|所谓)"
)
_SOMEBODY = (
    "(?:[\u4e00-\u9fff]某|(?:[一有某](?:位|名|个|些|的)?|案例[:,]?[^,。]{0,4})(?:居民|村民|群众|市民|老人|大爷|大妈|学生|同学|会计|出纳|财务|宝妈|女子|男子|"
    "职工|商户|店主|店家|家长|网友|员工|公司|企业|用户|客户|单位|网购买家|买家|卖家)|"
    "[我本][县市区镇乡村校院][^,。]{0,6}?(?:女士|先生|大妈|大爷|奶奶|爷爷|阿姨|老汉|老板))"
)
_IF_ASKED = (
    "(?:(?:是不是|会不会|凡是?|但凡|一旦|听到|看到|遇到|碰到|提到|如果|若|只要)[^,]{0,8}?(?:要[您你]|让|叫|催|劝|逼|索|骗)|"
    "(?:是不是|凡是|听到|一提)要?)"
)
_HABIT = (
    "(?:[扫点加填进]了[^,。]{0,2}就|常常?|往往|总是?|总会|经常|时常|动辄|动不动就?|转头就|接着就)(?:会)?"
    "(?:[让叫要哄催劝骗逼]|要求|引导)(?:着)?(?:[您你人]|老人|家长|孩子|大家)"
)
"""What somebody has people do again and again is told of, not asked for."""
_THEIR_DOING = re.compile(
    rf"(?:{_DOER}|{_SOMEBODY}|{_IF_ASKED}|{_HABIT}|还没[^,。]{{1,8}}就(?:要|让|叫|得))"
    "(?:(?!请(?!人[^民员您你])|立即|马上|尽快|务必)[^。])*$"
)
_WAS_DONE = re.compile("(?:已经?|曾经?|刚刚?)(?:(?!请|立即|马上)[^,。]){0,12}$")
_WHO_DID_SO = re.compile("[^,]{0,8}的,")
"""`已经按对方指引操作的，…`: of those who did so, whom the text then helps."""


def described(sentence: TextSentence, at: int) -> bool:
    """Whether what stands there is told of others: a sentence on frauds that asks nobody for it.

    An imperative before it in its clause, or our own people, make it a request again, unless it is
    somebody else's.
    """
    if sentence.quoted or not sentence.count_look():
        return False
    begin, _ = sentence.clause(at)
    before = sentence.text[begin:at]
    whole = sentence.text[:at]
    theirs = _THEIR_DOING.search(whole) and not _OURS_BY_HABIT.search(whole)
    if theirs and not _IMPERATIVE.search(before):
        return True
    if _WAS_DONE.search(before) and _WHO_DID_SO.match(sentence.text, at):
        return True
    if _IMPERATIVE.search(before) or _OUR_PEOPLE.search(before):
        return False
    return _cued(sentence.text) and not _PURPOSE.search(sentence.text)


_OURS_BY_HABIT = re.compile(
    f"(?:我[局院们校行司]|本[局院校行中]|民警|警方|警官|公安|法院|检察|专案)[^,。]{{0,8}}?{_HABIT}"
)
_OUR_PEOPLE = re.compile("我[局院们校行司]|本[局院校行]|民警|警方|警官|公安|法院|检察|专案")
"""Whoever asks in our name; a 客服 that a warning tells of is no one of ours."""
_PURPOSE = re.compile(
    "为(?:了|避免|防|保|确保|您|配合)|以[免防便]|避免|保护|保障|保全|确保|方可|即可|才能|才可"
)
"""How a request is justified; what is only told of needs no reason."""


def _watched(before: str) -> bool:
    match = _WATCH_OUT.search(before)
    return match is not None and not _IMPERATIVE.search(match[0])


def excused(sentence: TextSentence, start: int, end: int) -> bool:
    """Whether what stands at [start, end) is forbidden, condemned, or quoted and disowned."""
    if not sentence.count_look():
        return False
    if sentence.quoted and _disowned(sentence):
        return True
    return forbidden(sentence, start) or condemned(sentence, start, end)


_THEIR_WORDS = re.compile(
    "自称|声称|谎称|假称|佯称|冒充[^,]{1,8}[说称]|骗子(?:会|常|往往|先|最爱|有|还|说|发)"
)


def said_by_others(sentence: TextSentence, at: int) -> bool:
    """Whether it is what somebody is said to claim, who is not what they claim to be."""
    claim = _THEIR_WORDS.search(sentence.text, 0, at)
    return claim is not None and not _IMPERATIVE.search(sentence.text, claim.end(), at)


def warns(sentence: TextSentence) -> bool:
    """Whether a sentence tells of frauds in so many words."""
    return bool(
        _cued(sentence.text)
        or _WATCH_OUT.search(sentence.text)
        or _WARNS_IN_ENGLISH.search(sentence.text)
    )


_WARNS_IN_ENGLISH = re.compile(r"\b(?:never|do not|don't|no real|scams?|frauds?|anti-fraud|fake)\b")


def pressed(sentence: TextSentence, at: int) -> bool:
    """Whether the reader is told to do what stands there, or an authority says it."""
    if sentence.quoted:
        by = re.split("[,:—…]", sentence.around[: sentence.spoken_at].rstrip(",:—…"))[-1]
        return bool(_AUTHORITY.search(by)) or sentence.spoken_at == 0 or not _cued(sentence.around)
    begin, end = sentence.clause(at)
    end = min(end, at + REACH // 2)
    if NOT_NOT.search(sentence.text, begin, end):
        return True
    return bool(
        _IMPERATIVE.search(sentence.text, begin, end)
        or _OUR_PEOPLE.search(sentence.text, begin, end)
    )


_PAUSE = "[,。!?;:…—]*"
_SUCH_A = (
    "(?:(?:听到|收到|接到|看到|遇到|碰到|遇上|凡是?|有|如有)?(?:这样|这类|此类|这种|类似|这[一两二三几]?[句条个]|此)(?:的)?"
    "(?:短信|电话|来电|信息|消息|链接|邮件|要求|说法|话|人|群)?)?"
)
_KIND = (
    "(?:的|这样|这种|这些|之类|这类|此类|等|类似|话术?|说法|短信|电话|来电|信息|消息|链接|要求|通知|小?广告|卡片|传单|海报|帖子|弹窗|字样|套餐|"
    "兼职|压缩包|邮件)*"
)
_SWINDLER = re.compile(
    "^(?:有些?|有的|一些|很多|近期|当前|现在|最近|如今|常有|电话里|网上|群里|境外|凡是?|如|若|一旦|"
    "接到|收到|遇到|有人|对方|陌生人)*"
    "(?:(?:骗子|诈骗分子|诈骗团伙|不法分子|犯罪分子|嫌疑人|(?=冒充|谎称|自称|声称|假称|佯称|伪称|"
    "假冒|编造))"
    "(?:常|会|往往|多|经常|怎么|这样|先|再|通过|以|用|借|让|要|叫|说|称|讲|发|打|冒充|谎称|自称|声称|假称|佯称|"
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
_SUCH = re.compile(
    "之类|这类|此类|类似|[^,。]{0,8}的[,。]|[,。]?(?:听到|收到|接到|看到|遇到)(?:这|此|类似)"
)
_REFUSE = (
    "(?:请|正好|反而|更|应该|家长|大家|按规定|要|就|应|需|务必|一律|一定|千万|立即|马上|直接|都|全)*"
    "(?:挂断|挂掉|挂电话|挂机|拒绝|拒接|报警|删除|不予?理|不信|不可信|不接|不要?点|不转|不回|不给|"
    "(?:先|再)?(?:当面|回拨|打电话|打[^,。]{1,12}电话|问清|问一问|向[^,。]{1,10})[^,。]{0,4}?(?:核实|确认|核对|问)?|"
    "不得|不付|不交|停手|冷静|不要?慌|(?:立刻|赶快|赶紧)?(?:告诉|告知|通知)(?:家人|家属|孩子|子女|老师|村干部|民警|[他她])|"
    "(?:别|勿|莫|不要|切勿|请勿)[再轻相当]*(?:信|真|理|点|转|接|扫|回|加|给|汇|付|填|下载|安装))"
)
_REFUSED = re.compile(f"{_KIND}{_PAUSE}{_SUCH_A}{_PAUSE}{_REFUSE}")
_REFUSED_ITSELF = re.compile(
    f"{_KIND}{_PAUSE}{_SUCH_A}{_PAUSE}{_REFUSE}(?:它|会|睬)*(?=$|[,。!?;])"
)
_CALLED_FRAUD = re.compile(
    f"{_KIND}(?:[、和或及与]?[^,。!?;]{{0,24}}?(?=[都均全]))?{_PAUSE}(?:这|那|此|其实|说这话的|这样的|都|均|全|皆|一律|就|多半?|往往|肯定|一定|可能|"
    f"也)*(?:(?<!不)(?:是|属于?|系)|纯属|(?=诈骗|骗|假的|陷阱|圈套|谣言))(?:典型的?)?{_FRAUD}"
    "(?=$|[,。!?;:…—])"
    f"|{_KIND}{_PAUSE}[^,。]{{0,8}}?(?:一律|都|均|全)(?:不可信|不要信|别信|勿信|是?冲着[^,。]{{0,6}}钱)"
    r"|[^,.]*\b(?:is|are) (?:all |always |only |a |an )*(?:scams?|frauds?|fake|lies?)\b"
)
_NOT_OURS = re.compile(f"{_KIND}{_PAUSE}(?:都|均|全|就)?不是(?:我们|本[校局院行]|真的?|正规)")
_DENIED = re.compile("(?:不是|并非|绝非|不属于|不算)[^,]{0,6}$")


_CONTRAST = re.compile("(?:[不没未非除]|其他|别的|其余)[^,。]{0,8}(?:的|短信|电话|来电)")
_LATER_CALLED_FRAUD = re.compile(
    f"(?P<between>[^。!?;]*?,?)(?:这|那|此|这些|这种|都|均|全|一律|就|多半|大多|往往|十有八九)+(?:是|属于){_FRAUD}"
    "(?=$|[,。!?;:…—])"
)
"""A verdict some clauses later in the same sentence: `…，扫进群后叫您垫钱，这是诈骗`."""


def _called_fraud_later(after: str) -> bool:
    verdict = _LATER_CALLED_FRAUD.match(after)
    if verdict is None or _DENIED.search(verdict[0]):
        return False
    return _tells_on(verdict["between"])


def _tells_on(words: str) -> bool:
    """Whether words after a quotation go on about it: of nobody else, and ask for nothing."""
    return not (_CONTRAST.search(words) or _IMPERATIVE.search(words))


def _is_told_of_others(by: str, before: str) -> bool:
    """Whether a quotation is part of what befell somebody: `我县王女士被拉进“…”群`."""
    if _AUTHORITY.search(re.sub(_SOMEBODY, "", by)) or _OURS_BY_HABIT.search(before):
        return False
    return bool(_THEIR_DOING.search(before))


def _disowned(sentence: TextSentence) -> bool:
    """Whether the words around a quotation take it back.

    They forbid it, call it a fraud, give it as a swindler's, or tell whoever hears it to refuse.
    What is quoted as an authority's own, a verdict alone takes back: `反诈中心通知：“…”，别信骗子`
    asks for it.
    """
    quoting, at = TextSentence(sentence.around, ()), sentence.spoken_at
    # Several quotations in a row stand to what follows as one does.
    after = NOT_NOT.sub("必", quoting.text[at + 1 :]).lstrip(f"{QUOTED}、")
    verdict = _CALLED_FRAUD.match(after)
    if verdict and not _DENIED.search(verdict[0]):
        return True
    by = re.split("[,:—…]", quoting.text[:at].rstrip(",:—…"))[-1]
    if forbidden(quoting, at) or _watched(by) or _SWINDLER.search(by):
        return True
    if _NOT_OURS.match(after) or _is_told_of_others(by, quoting.text[:at]):
        return True
    rest = re.split("[。!?;]", after)[0]
    told = _cued(rest) or re.match(f"(?:的[^,]{{1,8}})?,?{_HABIT}", rest)
    if not _AUTHORITY.search(by) and (_called_fraud_later(after) or (told and _tells_on(rest))):
        return True
    if _HEARD.search(by) or _SUCH.match(after):
        return bool(_REFUSED.match(after))
    return not _AUTHORITY.search(by) and bool(_REFUSED_ITSELF.match(after))
