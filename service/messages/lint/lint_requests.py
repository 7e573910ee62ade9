"""Lint on what a text asks for or holds out: secrets, installs, threats, lures.

The words themselves are allowed: official texts warn of them. What is not forbidden, condemned or
quoted to be disowned (`stance.py`) is found.
"""

import re
from collections.abc import Iterator

from service.messages.lint.draft import Draft, Hit, TextSentence
from service.messages.lint.lint_money import OFFICIAL_PLACE, official_alone
from service.messages.lint.negation import forbidden
from service.messages.lint.stance import (
    condemned,
    demanded,
    described,
    excused,
    said_by_others,
)
from service.messages.policy import Level

_ASKED_FOR = (
    "(?:短信|手机)?(?:验证码|校验码|动态码|动态口令|动态密码|授权码|识别码)|密码|口令|卡号|"
    "银行账号|银行卡(?:信息|密码|号|后四位|尾号)|卡密|付款码|"
    "身份证(?:号码?|信息|照片|正反面)?|证件号码?|人脸|刷脸|cvv|安全码|"
    "(?:收到|短信|手机)[^,]{0,3}?(?:[四五六46]位)?数字|[四五六46]位数字|预留(?:手机)?号|支付宝账号|"
    "(?:亲友|家人|朋友)[^,]{0,3}?(?:联系方式|电话|号码)|yzm|银行流水|流水明细|串号|"
    "短信(?:里|中|上)?的?码|(?:收到|手机上?|短信)[^,]{0,4}?(?:数字?|码)(?!据|量|字)|登[录陆]码|校验(?:数字|内容|信息)|[三四五六]位码|"
    "[三四五六36]个数|卡(?:的|上)?(?:最后|后|末)[三四五六]位|卡照|手持照|面部视频|卡密|护照(?:照片|信息)|"
    "(?:账户|可用|资金)余额|u盾|付款码|(?:收款|收钱|退款)的?(?:那张)?卡|银行卡|取件码|房产证|户主卡号|生物信息|指纹|声纹"
)
_GIVE = (
    "提供|回复|告知|告诉|发送|发给|发来|发到|填写?|输入|录入|上传|出示|报(?!警|名|案|销|送|道|告|得出|"
    "备)|念|说出|转发|提交|交出|给我|给民警|"
    "转告|报出|截图|拍照|回传|反馈给|传给|发我|拍(?:下|给|来|照)|朗?读(?:出|给|一下)?|念出来?|说(?:一下|给)|补全|填好|录(?:入|一段|制)|"
    "快递(?:过来|给)|寄(?:过?来|给|到)|报(?:到|给|至)"
)
_CARD = "银行卡|存折|u盾|手机卡|电话卡|身份证"
_SECRET_ASKED = re.compile(
    rf"(?P<verb>{_GIVE})[^,]{{0,14}}?(?:{_ASKED_FOR})"
    rf"|(?:{_ASKED_FOR})[^,]{{0,8}}?(?P<verb2>{_GIVE})"
    rf"|(?:{_ASKED_FOR}),(?:然后)?(?P<verb3>{_GIVE})"
    rf"|(?:{_ASKED_FOR})[^,]{{0,12}},[^,]{{0,10}}?(?P<verb4>提供|告知|回复|发送|报上|回传|(?:念|读|说|报)(?:出来|给[^,]{{0,6}})|发(?:过来|来))(?=$|[,。])"
    r"|(?P<verb5>登记|核对)[^,]{0,6}?(?:住址|收入|存款|积蓄)"
    r"|(?P<verb6>上交|交出)[^,]{0,6}?(?:手机|存折|银行卡|密码)"
    r"|\b(?P<verb7>verify)\b[^,]{0,10}?\b(?:account|identity|card)\b"
    rf"|(?:{_CARD})[^,]{{0,6}}?(?P<verb8>交给|交由|寄给|寄到|寄往|邮寄|借给|租给|卖给)"
    r"|(?P<verb9>进行|完成|配合|做)[^,]{0,4}?(?:人脸|刷脸)"
    r"|(?P<verb10>同意|允许|授权)[^,]{0,4}?(?:屏幕控制|远程控制|控制请求|操作您的手机)"
    r"|(?P<verb11>开启|开通|办理|设置|打开|启用)[^,]{0,4}?(?:呼叫转移|来电转接|呼转)"
    r"|(?P<verb12>打开|开启|启用|进行|使用|配合|开)[^,]{0,6}?(?:共享屏幕|屏幕共享|远程(?:控制|协助))"
    r"|(?P<verb15>打开|开启|开|进入?|接)[^,]{0,4}?(?:会议号|会议软件|视频笔录)"
    r"|(?P<verb16>跟着|(?<![0-9])按照?|听从?)[^,]{0,8}?(?:一步步|(?:指引|指导|提示|语音)[^,]{0,8}?)操作"
    r"|(?P<verb17>带|教|替|帮|代|为)[^,]{0,4}?(?:一步步|拿手机)[^,]{0,4}?(?:操作|办理|认证|取消|关)"
    r"|(?P<verb18>做|录|进行|配合|打开|开)[^,]{0,4}?(?:视频|线上|网上)[^,]{0,4}?(?:笔录|询问|做笔录)"
    r"|(?P<verb19>把|将)[^,]{0,6}?(?:屏幕|画面)[^,]{0,4}?(?:共享|投屏)"
    r"|(?P<verb20>共享)(?:一下|下)?[^,]{0,3}?(?:画面|桌面)"
    r"|(?P<verb21>发送?|回复|报|提供|上传|转发|编辑短信|短信)[^,]{0,16}?(?:到|至|给|往)[^,]{0,4}?(?:96110|12381)"
    r"|(?:(?:向|给|对)[^,]{0,2}?(?:96110|12381))[^,]{0,6}?(?P<verb22>提供|报(?!警|告|案)|发送|说明|出示|上传)"
    r"|\bshare\b[^,]{0,8}?\b(?P<verb23>screen)\b"
    r"|(?P<verb13>共享)(?:您的|你的|手机)*屏幕"
    r"|\b(?P<verb14>send|text|read|give|enter|tell|provide|share|reply|confirm|submit|forward|type|"
    r"key in|disclose|email|show|claim)\b"
    r"[^,]{0,24}?\b(?:codes?|passwords?|pin|otp|cvv|card numbers?|id numbers?|passports?|"
    r"bank details?)\b"
)

_INSTALL = re.compile(r"下载(?!类|骗|的|了|过)|安装(?!师傅|工人|费|的)|\b(?:download|install)\b")
_STORE = re.compile(r"(?:应用商店|应用市场)(?![以之]?外)|\bapp (?:store|market)\b")
_FREE = re.compile("(?:全程|过程|本身)?(?:都|也|均)?(?:不用|无需|不需要?|不收|免费)")
"""`安装全程免费`: of the install that was told before."""
_THE_APP = re.compile(
    r"\b(?:download|install)\b (?:the )?(?:official )?“?国家反诈中心|"
    "(?:下载|安装)[^,。]{0,4}“?国家反诈中心|国家反诈中心”?(?:(?:app|官方版)[^,。:]{0,12}|[^,。:]{0,6})(?:下载|安装)"
)
_STATE_APP = re.compile(
    "官方应用商店[^。]{0,8}“?(?:个人所得税|国家医保服务平台|交管12123|电子社保卡|掌上12333|皖事通|铁路12306|中国政务|国家政务)"
)
"""Apps of the state: a person has to know that the notice is the department's."""
_NOTHING_ELSE = re.compile("(?:和|并|后|安装|使用|注册|开启|即可|[,])|$")
_THREAT = re.compile(
    "冻结|停用|停机(?!保号|检修|维护)|停发|停保|注销(?!(?:清税|登记)?(?:申请|证明|公告)(?!恢复|保留))|失效|失灵|失信|异常|逾期|涉嫌|立案|通缉|"
    "(?:涉嫌|涉及|参与|用于|从事)[^,]{0,8}?洗钱|洗钱案|封停|封禁|限制出境|传唤|逮捕|"
    "拘留|拘捕|批捕|追究[^,]{0,6}?责任|涉[毒案诈](?!账户[^,]{0,3}(?:止付|解冻)|app|软件|电话|号码|网站|短信|链接|资金|预警|风险)|起诉|强制执行|列入黑名单|"
    "将被?关停|扣分|过期"
)
_READER = re.compile(
    "(?:您|你|贵)(?:们|家)?(?:的|名下|本人|户|账|银|卡|社|医|公司|单位|已|将|被|因|尾号|办理|手机|"
    "电话|etc|养老|征信)?"
)
_NOT_OF_READER = re.compile(
    "来电|对方|接到|收到|短信|链接|可能(?:正|已|装|遇|接触|遭)|骗子|有人|网站|陌生|下载|软件|app"
)
_OR_ELSE = re.compile(
    "(?:不配合|拒不|逾期不|否则)[^,]{0,6}?,?(?:将|会|就|依法)[^,]{0,6}?(?:拘|捕|抓|追究|冻结|停[用机卡]|起诉|强制)"
    "|否则[^,]{0,6}?(?:停用|冻结|注销|停机)|后果自负"
    "|(?:视为|按|依)(?:违约|逃犯)[^,]{0,4}?(?:处理|论处|起诉)?|依法起诉|违者从重"
    "|(?:发给|群发|发到)[^,]{0,6}?(?:亲友|通讯录|单位|家人|同事)[^,]{0,6}?$"
    "|(?:将|会)影响[^,]{0,4}?(?:子女|孩子|上学|入学|就业|征信)"
)
"""Aimed at the reader, whether or not it says 您."""
_THREAT_IN_ENGLISH = re.compile(
    r"\byour\b[^,]{0,30}?\b(?:frozen|suspended|blocked|expired|overdue|cancelled|arrest(?:ed)?|"
    r"deactivated)\b"
)
_TOLD_IN_ENGLISH = re.compile(
    r"\b(?:sms|texts?|messages?|callers?|somebody|strangers?) (?:says?|claims?)\b"
)
_ISOLATING = re.compile(
    "(?:本案|案情|案件|此案)[^,]{0,4}?保密"
    "|(?:不要|勿|不得|不能|别|严禁)[^,]{0,4}?(?:告诉|告知|惊动|通知|透露给)[^,]{0,2}?(?:家人|家属|亲友|子女|"
    "儿女|老伴|父母|亲戚)"
    "|(?:不要|勿|不得|别)[^,]{0,2}?(?:挂断|挂机)[^,]{0,4}?(?:民警|警官|客服|专员|专案|电话|通话)"
    "|(?:勿|别|莫|不要)声张|(?:不要|切勿|勿|别|不得|不许|不能)(?:外传|外泄|对外|向外)(?=$|,)"
    "|(?:别|勿|不要|不许|不得|先别|千万别)[^,]{0,2}?(?:(?P<let>让)|和|跟|与|对|告诉)[^,]{0,4}?"
    "(?:爸|妈|爹|娘|大人|家里|家人|孩子|儿女|子女|老伴|任何人|别人|他人|同事)[^,]{0,4}?"
    "(?:讲|说|知道|晓得|发现|提|透露|(?(let)(?!)|$))"
    "|(?:别|勿|不要|无需|不用|不必|不需)(?:再)?(?:打电话|回拨|核实|商量|问)(?!.{0,6}(?:陌生|短信|对方|不明|里的|中的))"
    "|先别告诉|家人不必|(?:找|在|到)[^,]{0,4}?(?:没人|无人)的?[^,]{0,2}?(?:房间|地方|宾馆)"
    "|\\btell no ?(?:one|body)\\b|\\bkeep (?:this|it|everything) secret\\b"
    "|保持通话|全程通话|(?:关机|关闭手机)[^,]{0,2}?(?:等待|等候)"
    r"|\bstay on the line\b|\bkeep (?:this|it) (?:a )?secret\b"
)
"""Who is to tell nobody and to stay on the line is kept from those who would stop it."""
_FROM_A_CHILD = re.compile("密码[^。]{0,8}(?:别|勿|不要)让(?:小?孩子?|未成年人)知道$")
"""A password that a child must not know keeps nobody from those who would stop a fraud."""
_LURE = re.compile(
    "中奖|恭喜|花钱消分|(?:领取|申领)(?:(?=[^,]{0,8}?(?:奖|红包|礼|补|现金|福利|补偿|退|赔|款|金|牛股|资料|皮肤|额度|手机|$))|(?=,))|领奖|领红包|红包|返现|补贴到账|补助到账|积分(?:兑换|即将|清零)|免费(?:送|领|"
    "赠)|限时|优惠|秒到账|"
    "高额(?:返利|回报|收益)|日入[百千万0-9]|日赚|稳赚不赔|稳赚|退税到账|奖金|赚[^,]{0,4}佣金|每单[^,]{0,3}元|"
    "待领|恭贺您|返[0-9]+元|(?:额度|贷款)[^,]{0,4}?(?:已批|获批|已通过|可提现)|"
    "(?:征信|逾期|不良记录)[^,]{0,4}?(?:可以?|能|代为?|帮您?)[^,]{0,4}?(?:消除|修复|洗白|清除)|"
    r"\b(?:you (?:have )?won|prize|free gift|claim your|cash back)\b"
)


_HANDED_OUT = {"领取", "申领"}
_PAPER = re.compile("(?:书|证|证件|档案|裁定|材料)[》”]?$")
_AT_A_PLACE = re.compile(
    "窗口|网点|厅|柜台|服务台|营业部|到[^,]{0,8}(?:工会|学校|中心|局|所|站|馆|室|处|大队|医院)|村委|村部|社区|本人(?:存折|证件)|携|不收费|免费|凭"
)
"""Where a person comes for what is theirs, and nothing is promised."""


def secrets(draft: Draft) -> Iterator[Hit]:
    """R07: nobody is asked for a code, a password, a card or document number."""
    for sentence in draft.sentences:
        for match in _SECRET_ASKED.finditer(sentence.text):
            verb = next(name for name, value in match.groupdict().items() if value)
            if excused(sentence, match.start(verb), match.end()):
                continue
            if described(sentence, match.start(verb)) or _is_a_clue(sentence, match[0]):
                continue
            carried = match["verb4"] == "告知" and _CARRIED.search(sentence.text, 0, match.start())
            if carried or _is_shown_in_person(sentence, match):
                continue
            yield Hit(
                "block",
                sentence.places[match.start()],
                f"像在索要信息“{match[0]}”，请删除；若是提醒，请把“不要”“请勿”紧接在动词前",
                f"seems to ask for a secret ({match[0]}); take it out, or put the negation right"
                " before its verb",
                certain=_is_handed_over(sentence, match),
            )


_CODE = re.compile(
    "验证码|校验码|动态码|口令|密码|卡号|cvv|安全码|[四五六46]位数字|付款码|银行卡(?:照片|信息|号|正反面)"
)
_TO_SOMEBODY = re.compile(
    "提供|回复|告知|告诉|发[送给来到]|报[给出到来]|念|说出|转发|提交|交出|给我|给民警|传给|发我|读给"
)


def _is_handed_over(sentence: TextSentence, match: re.Match[str]) -> bool:
    """Whether the reader is told to give somebody a code or a card: nothing honest does."""
    told = demanded(sentence, match.start())
    return told and bool(_CODE.search(match[0]) and _TO_SOMEBODY.search(match[0]))


_SHOWN = re.compile(
    "出示[^,]{0,10}?(?:身份证件?|证件|护照)|(?:身份证件?|证件|护照)[^,]{0,10}?(?:报到|报名|出示)"
)
_CARRIED = re.compile("(?:持|凭|携带?|带上?)[^,]{0,4}$")
"""What the reader carries is not what somebody tells some clauses later."""
_ONE_IS_THERE = re.compile(
    "[进入出][校园院场馆门站村]|门口|门卫|门岗|保安|现场|窗口|柜台|前台|大厅|服务厅|自助机|导诊台|"
    "检票|安检|考场|考点|登记处|服务台"
)
_FROM_AFAR = re.compile(
    "电话|视频|镜头|会议|微信|qq|群|链接|线上|网上|屏幕|拍|照片|复印|正反面|信息|发[给送到来]|上传|"
    "录|念|读|号码|验证码|密码|银行卡|客服|专员|民警|警官|上门"
)


def _is_shown_in_person(sentence: TextSentence, match: re.Match[str]) -> bool:
    """Whether a document is only to be shown, where the reader comes: `进校请出示身份证登记`."""
    return bool(
        _SHOWN.fullmatch(sentence.text, match.start(), match.end() + 1)
        or _SHOWN.fullmatch(match[0])
    ) and bool(_ONE_IS_THERE.search(sentence.text) and not _FROM_AFAR.search(sentence.text))


def _is_a_clue(sentence: TextSentence, asked: str) -> bool:
    """Whether it is a report on frauds that people are to send: `线索发送至12381`."""
    clue = re.search("线索|举报|可疑|诈骗(?:号码|短信|电话)", sentence.text)
    return bool(clue and not re.search(_ASKED_FOR, asked))


def installs(draft: Draft) -> Iterator[Hit]:
    """R09: the only install is the national anti-fraud app, from an official store."""
    plain, places = draft.plain
    linked = bool(draft.links)
    in_store = _STORE.search(plain)
    named = re.search("“国家反诈中心”|国家反诈中心”?app", plain)
    the_app = {place for m in _THE_APP.finditer(plain) for place in places[m.start() : m.end()]}
    for sentence in draft.sentences:
        stored = not linked and _STORE.search(sentence.text)
        for match in _INSTALL.finditer(sentence.text):
            bare = named and _NOTHING_ELSE.match(sentence.text, match.end())
            free = named and in_store and not linked and _FREE.match(sentence.text, match.end())
            official = free or (stored and (bare or sentence.places[match.start()] in the_app))
            of_the_state = stored and _STATE_APP.search(plain)
            if official or excused(sentence, *match.span()) or described(sentence, match.start()):
                continue
            yield Hit(
                "review" if of_the_state else "block",
                sentence.places[match.start()],
                "请人下载或安装，只可写“到官方应用商店下载国家反诈中心App”，且不带链接",
                "asks for an install; only the national anti-fraud app may be named, from an "
                "official"
                " app store and without a link",
            )


def threats(draft: Draft) -> Iterator[Hit]:
    """R10: the reader is neither accused nor threatened, nor kept from others."""
    for sentence in draft.sentences:
        for match in _THREAT.finditer(sentence.text):
            if _is_aimed(sentence, match) and not _threat_excused(sentence, match):
                yield _threat_hit(draft, sentence, match)
                break
        threat = _THREAT_IN_ENGLISH.search(sentence.text)
        told = threat and _TOLD_IN_ENGLISH.search(sentence.text, 0, threat.start())
        if threat and not told and not forbidden(sentence, threat.end() - 1):
            yield _threat_hit(draft, sentence, threat)
        threat = _OR_ELSE.search(sentence.text)
        if threat and not _threat_excused(sentence, threat):
            yield _threat_hit(draft, sentence, threat)
        isolating = _ISOLATING.search(sentence.text)
        if isolating and _FROM_A_CHILD.search(sentence.text, 0, isolating.end()):
            continue
        if isolating and "96110" not in sentence.text and not excused(sentence, *isolating.span()):
            yield Hit(
                "block",
                sentence.places[isolating.start()],
                f"像在要人瞒着家人、不许挂断“{isolating[0]}”，请删除；若是提醒，请加引号并写明是骗局",
                f"seems to keep the reader from others ({isolating[0]}); take it out, or quote it"
                " and call it a fraud",
            )


_DUE = re.compile("逾期|过期|到期|失效|扣分|停发|停保|停机|停用|注销|异常")
"""What an office tells people who can set it right at its counter; an accusation is none."""


def _threat_hit(draft: Draft, sentence: TextSentence, match: re.Match[str]) -> Hit:
    due = _DUE.fullmatch(match[0]) and OFFICIAL_PLACE.search(sentence.text)
    level: Level = "block"
    if due:
        level = "warn" if official_alone(draft, sentence) else "review"
    return Hit(
        level,
        sentence.places[match.start()],
        f"像在指控或威胁收信人“{match[0]}”，请删除；引用骗子的话请加引号并写明是骗局",
        f"seems to accuse or threaten the reader ({match[0]}); take it out, or quote it and call it"
        " a fraud",
    )


def _is_aimed(sentence: TextSentence, match: re.Match[str]) -> bool:
    reach = sentence.text[max(0, match.start() - 30) : match.start()]
    readers = list(_READER.finditer(reach))
    if not readers:
        return False
    return not _NOT_OF_READER.search(reach[readers[-1].start() :])


def _threat_excused(sentence: TextSentence, match: re.Match[str]) -> bool:
    if (
        forbidden(sentence, match.start())
        or "不会" in sentence.text[max(0, match.start() - 6) : match.start()]
    ):
        return True
    if sentence.quoted:
        return excused(sentence, *match.span())
    if said_by_others(sentence, match.start()):
        return True
    return condemned(sentence, *match.span())


def lures(draft: Draft) -> Iterator[Hit]:
    """R11: nothing is held out to the reader."""
    at_a_place = bool(_AT_A_PLACE.search(draft.plain[0]))
    for sentence in draft.sentences:
        for match in _LURE.finditer(sentence.text):
            begin, _ = sentence.clause(match.start())
            address = re.search(
                "恭[喜贺]|(?<![说称让叫要哄催骗逼])[您你]", sentence.text[begin : match.end()]
            )
            told = described(sentence, match.start()) and not address
            paper = match[0] == "待领" and _PAPER.search(sentence.text[begin : match.start()])
            handed = at_a_place and (paper or match[0] in _HANDED_OUT)
            if not (told or handed or excused(sentence, *match.span())):
                yield Hit(
                    "block",
                    sentence.places[match.start()],
                    f"像利诱“{match[0]}”，请删除；若是提醒，请加引号并写明是骗局",
                    f"seems a lure ({match[0]}); take it out, or quote it and call it a fraud",
                )
