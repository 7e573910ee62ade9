"""Lint on what a text asks for or holds out: secrets, money, installs, threats, lures.

The words themselves are allowed: official texts warn of them. What is not forbidden, condemned or
quoted to be disowned (`stance.py`) is found.
"""

import re
from collections.abc import Iterator

from service.messages import disguise
from service.messages.draft import Draft, Hit, Sentence
from service.messages.stance import condemned, demanded, excused, forbidden

_ASKED_FOR = (
    "(?:短信|手机)?(?:验证码|校验码|动态码|动态口令|动态密码|授权码|识别码)|密码|口令|卡号|"
    "银行账号|银行卡(?:信息|密码|号|后四位|尾号)|卡密|付款码|"
    "身份证(?:号码?|信息|照片|正反面)?|证件号码?|人脸|刷脸|cvv|安全码|"
    "(?:收到|短信|手机)[^,]{0,3}?(?:[四五六46]位)?数字|[四五六46]位数字|预留(?:手机)?号|支付宝账号|"
    "(?:亲友|家人|朋友)[^,]{0,3}?(?:联系方式|电话|号码)|yzm|银行流水|流水明细|串号"
)
_GIVE = (
    "提供|回复|告知|告诉|发送|发给|发来|发到|填写?|输入|录入|上传|出示|报(?!警|名|案|销|送|道|告|"
    "备)|念|说出|转发|提交|交出|给我|给民警|"
    "转告|报出|截图|拍照|回传|反馈给|传给"
)
_CARD = "银行卡|存折|u盾|手机卡|电话卡|身份证"
_SECRET_ASKED = re.compile(
    rf"(?P<verb>{_GIVE})[^,]{{0,14}}?(?:{_ASKED_FOR})"
    rf"|(?:{_ASKED_FOR})[^,]{{0,8}}?(?P<verb2>{_GIVE})"
    rf"|(?:{_ASKED_FOR}),(?:然后)?(?P<verb3>{_GIVE})"
    rf"|(?:{_ASKED_FOR})[^,]{{0,12}},[^,]{{0,4}}?(?P<verb4>提供|告知|回复|发送|报上|回传)(?=$|[,。])"
    r"|(?P<verb5>登记|核对)[^,]{0,6}?(?:住址|收入|存款|积蓄)"
    r"|(?P<verb6>上交|交出)[^,]{0,6}?(?:手机|存折|银行卡|密码)"
    r"|\b(?P<verb7>verify)\b[^,]{0,10}?\b(?:account|identity|card)\b"
    rf"|(?:{_CARD})[^,]{{0,6}}?(?P<verb8>交给|交由|寄给|寄到|寄往|邮寄|借给|租给|卖给)"
    r"|(?P<verb9>进行|完成|配合|做)[^,]{0,4}?(?:人脸|刷脸)"
    r"|(?P<verb10>同意|允许|授权)[^,]{0,4}?(?:屏幕控制|远程控制|控制请求|操作您的手机)"
    r"|(?P<verb11>开启|开通|办理|设置|打开|启用)[^,]{0,4}?(?:呼叫转移|来电转接|呼转)"
    r"|(?P<verb12>打开|开启|启用|进行|使用|配合|开)[^,]{0,6}?(?:共享屏幕|屏幕共享|远程(?:控制|协助))"
    r"|(?P<verb13>共享)(?:您的|你的|手机)*屏幕"
    r"|\b(?P<verb14>send|text|read|give|enter|tell|provide|share|reply with|confirm|submit)\b"
    r"[^,]{0,24}?\b(?:codes?|passwords?|pin|otp|card numbers?|id numbers?)\b"
)

_PAY = (
    "转账|转帐|转款|转钱|汇款|汇钱|打款|打钱|付款|付钱|支付(?!密码|宝|账户)|充值|垫付|垫资|垫钱|"
    "缴纳|缴费|补缴|"
    "(?:转移|划转|归集|移入|移至|转存|存入)[^,]{0,6}?(?:账户|账号|卡)|"
    "(?:准备|取出|提取|备好)[^,]{0,4}?(?:现金|黄金|存款|钱)|(?:钱|现金|存款|黄金)[^,]{0,2}?(?:取出|交给|寄给|寄到)|"
    "(?:购?买)[^,]{0,3}?(?:黄金|金条|点卡|充值卡|购物卡|礼品卡|加油卡|e卡|虚拟币)|"
    "(?:到|去|前往)[^,]{0,6}?(?:atm|柜员机)|(?:开通|注册)[^,]{0,2}?(?:数字人民币|钱包)|"
    "(?:缴|交)清[^,]{0,4}?(?:罚|款|费|金)|补足[^,]{0,4}?(?:金|款|费)|"
    "(?:钱|存款|养老金|资金|余额|积蓄)[^,]{0,6}?(?:转出|存进|存放)|"
    "交(?:[^,]{0,6}?费|保证金|定金|押金|解冻金|钱|罚款)|(?:转|汇|存|打)(?:入|到|至|给)"
)
_MONEY_ASKED = re.compile(_PAY)
_TO_WHOM = re.compile(
    "(?:到|至|给|入)[^,]{0,8}?(?:账户|账号|帐户|卡号|卡上|卡内|卡里|指定|民警|警官|法院|我|老师|"
    "班主任|专员|客服|平台)"
)
_FIRST = re.compile("(?:先|需|须|要(?!求)|得|应)(?:行|先|要)?$")
_ONLY_WE = re.compile("只有[^,]{0,10}?(?:可以|能够?|有权|才)")
_VERIFIED = re.compile(
    "[^,]{0,8}?(?:指令|消息|要求|款项|前|的)?[^,]{0,6}?(?:必须?|一律|务必|请|先|要|须)*(?:当面|"
    "回拨|核实|双人|复核|审批|确认|打原)"
)
_VERIFY_FIRST = re.compile(
    "(?:先[^,]{0,12}?)?(?:核实|确认|回拨|当面)[^,]{0,6}?(?:再|后|才|之后)[^,]{0,4}$"
)
_REQUESTED_IN_ENGLISH = re.compile(
    r"\b(?:please|must|now|immediately|at once)\b[^,]{0,24}?\b(?:transfer|pay|remit|deposit)\b"
    r"|\b(?:transfer|remit|deposit)\b[^,]{0,24}?\bto (?:the|this|our|a|safe|account)\b"
    r"|\b(?:move|put|send)\b[^,]{0,12}?\bmoney\b[^,]{0,8}?\b(?:to|into)\b"
    r"|\bbuy\b[^,]{0,12}?\bgift cards?\b|\bpay (?:the|a|this|your) (?:fee|fine|deposit|tax)\b"
)

_INSTALL = re.compile(r"下载|安装|\b(?:download|install)\b")
_THE_APP = re.compile(
    "(?:下载|安装)[^,。]{0,4}“?国家反诈中心|国家反诈中心”?(?:(?:app|官方版)[^,。:]{0,12}|[^,。:]{0,6})(?:下载|安装)"
)
_NOTHING_ELSE = re.compile("(?:和|并|后|安装|使用|注册|开启|即可|[,])|$")
_THREAT = re.compile(
    "冻结|停用|停机|注销|失效|失信|异常|逾期|涉嫌|立案|通缉|洗钱|封停|封禁|限制出境|传唤|逮捕|"
    "拘留|拘捕|批捕|追究[^,]{0,6}?责任|涉[毒案诈]|起诉|强制执行|列入黑名单|"
    "将被?关停|扣分|过期"
)
_READER = re.compile(
    "(?:您|你|贵)(?:们|家)?(?:的|名下|本人|户|账|银|卡|社|医|公司|单位|已|将|被|因|尾号|办理|手机|"
    "电话|etc|养老|征信)?"
)
_NOT_OF_READER = re.compile("来电|对方|接到|收到|短信|链接|可能正?(?:遇|接触)|骗子|有人|网站|陌生")
_OR_ELSE = re.compile(
    "(?:不配合|拒不|逾期不|否则)[^,]{0,6}?,?(?:将|会|就|依法)[^,]{0,6}?(?:拘|捕|抓|追究|冻结|停[用机卡]|起诉|强制)"
    "|否则[^,]{0,6}?(?:停用|冻结|注销|停机)|后果自负"
    "|(?:将|会)影响[^,]{0,4}?(?:子女|孩子|上学|入学|就业|征信)"
)
"""Aimed at the reader, whether or not it says 您."""
_THREAT_IN_ENGLISH = re.compile(
    r"\byour\b[^,]{0,30}?\b(?:frozen|suspended|blocked|expired|overdue|cancelled|arrest(?:ed)?|"
    r"deactivated)\b"
)
_ISOLATING = re.compile(
    "(?:本案|案情|案件|此案)[^,]{0,4}?保密"
    "|(?:不要|勿|不得|不能|别|严禁)[^,]{0,4}?(?:告诉|告知|惊动|通知|透露给)[^,]{0,2}?(?:家人|家属|亲友|子女|"
    "儿女|老伴|父母|亲戚)"
    "|(?:不要|勿|不得|别)[^,]{0,2}?(?:挂断|挂机)[^,]{0,4}?(?:民警|警官|客服|专员|专案|电话|通话)"
    "|保持通话|全程通话|(?:关机|关闭手机)[^,]{0,2}?(?:等待|等候)"
    r"|\bstay on the line\b|\bkeep (?:this|it) (?:a )?secret\b"
)
"""Who is to tell nobody and to stay on the line is kept from those who would stop it."""
_LURE = re.compile(
    "中奖|恭喜|领取|领奖|领红包|红包|返现|补贴到账|补助到账|积分(?:兑换|即将|清零)|免费(?:送|领|"
    "赠)|限时|优惠|秒到账|"
    "高额(?:返利|回报|收益)|日入[百千万0-9]|日赚|稳赚不赔|稳赚|退税到账|奖金|赚[^,]{0,4}佣金|每单[^,]{0,3}元|"
    "待领|恭贺您|返[0-9]+元|(?:额度|贷款)[^,]{0,4}?(?:已批|获批|已通过|可提现)|"
    "(?:征信|逾期|不良记录)[^,]{0,4}?(?:可以?|能|代为?|帮您?)[^,]{0,4}?(?:消除|修复|洗白|清除)|"
    r"\b(?:you (?:have )?won|prize|free gift|claim your|cash back)\b"
)


def secrets(draft: Draft) -> Iterator[Hit]:
    """R07: nobody is asked for a code, a password, a card or document number."""
    for sentence in draft.sentences:
        for match in _SECRET_ASKED.finditer(sentence.text):
            verb = next(name for name, value in match.groupdict().items() if value)
            if excused(sentence, match.start(verb), match.end()):
                continue
            yield Hit(
                "block",
                sentence.places[match.start()],
                f"像在索要信息“{match[0]}”，请删除；若是提醒，请把“不要”“请勿”紧接在动词前",
                f"seems to ask for a secret ({match[0]}); take it out, or put the negation right"
                " before its verb",
            )


def money(draft: Draft) -> Iterator[Hit]:
    """R08: nobody is asked to pay, unless the text has it verified first."""
    for sentence in draft.sentences:
        for match in _MONEY_ASKED.finditer(sentence.text):
            if _is_asked_to_pay(sentence, match):
                yield _pay_hit(sentence, match)
                break
        asked = _REQUESTED_IN_ENGLISH.search(sentence.text)
        if asked and not excused(sentence, *asked.span()):
            yield _pay_hit(sentence, asked)


def _pay_hit(sentence: Sentence, match: re.Match[str]) -> Hit:
    return Hit(
        "block",
        sentence.places[match.start()],
        f"像在要求付钱“{match[0]}”，请删除；若是提醒，请写成“请勿转账”或“先核实再付款”",
        f"seems to ask for money ({match[0]}); take it out, or write that nothing is to be paid"
        " before it is verified",
    )


def _is_asked_to_pay(sentence: Sentence, match: re.Match[str]) -> bool:
    text, (start, end) = sentence.text, match.span()
    begin, clause_end = sentence.clause(start)
    if excused(sentence, start, end) or _VERIFIED.match(text[end:clause_end]):
        return False
    before = text[begin:start]
    if _VERIFY_FIRST.search(before) and not re.search("请配合|已核实", before):
        return False
    if demanded(sentence, start) or _FIRST.search(before) or _ONLY_WE.search(before):
        return True
    return bool(_TO_WHOM.search(text[start : min(clause_end, end + 14)]))


def installs(draft: Draft) -> Iterator[Hit]:
    """R09: the only install is the national anti-fraud app, from an official store."""
    plain, places = draft.plain
    linked = any(disguise.links(draft.body))
    named = re.search("国家反诈中心”?app", plain)
    the_app = {place for m in _THE_APP.finditer(plain) for place in places[m.start() : m.end()]}
    for sentence in draft.sentences:
        stored = re.search("应用商店|应用市场", sentence.text) and not linked
        for match in _INSTALL.finditer(sentence.text):
            bare = named and _NOTHING_ELSE.match(sentence.text, match.end())
            official = stored and (bare or sentence.places[match.start()] in the_app)
            if official or excused(sentence, *match.span()):
                continue
            yield Hit(
                "block",
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
                yield _threat_hit(sentence, match)
                break
        threat = _THREAT_IN_ENGLISH.search(sentence.text)
        if threat and not forbidden(sentence, threat.end() - 1):
            yield _threat_hit(sentence, threat)
        threat = _OR_ELSE.search(sentence.text)
        if threat and not _threat_excused(sentence, threat):
            yield _threat_hit(sentence, threat)
        isolating = _ISOLATING.search(sentence.text)
        if isolating and "96110" not in sentence.text and not excused(sentence, *isolating.span()):
            yield Hit(
                "block",
                sentence.places[isolating.start()],
                f"像在要人瞒着家人、不许挂断“{isolating[0]}”，请删除；若是提醒，请加引号并写明是骗局",
                f"seems to keep the reader from others ({isolating[0]}); take it out, or quote it"
                " and call it a fraud",
            )


def _threat_hit(sentence: Sentence, match: re.Match[str]) -> Hit:
    return Hit(
        "block",
        sentence.places[match.start()],
        f"像在指控或威胁收信人“{match[0]}”，请删除；引用骗子的话请加引号并写明是骗局",
        f"seems to accuse or threaten the reader ({match[0]}); take it out, or quote it and call it"
        " a fraud",
    )


def _is_aimed(sentence: Sentence, match: re.Match[str]) -> bool:
    reach = sentence.text[max(0, match.start() - 30) : match.start()]
    readers = list(_READER.finditer(reach))
    if not readers:
        return False
    return not _NOT_OF_READER.search(reach[readers[-1].start() :])


def _threat_excused(sentence: Sentence, match: re.Match[str]) -> bool:
    if (
        forbidden(sentence, match.start())
        or "不会" in sentence.text[max(0, match.start() - 6) : match.start()]
    ):
        return True
    if sentence.quoted:
        return excused(sentence, *match.span())
    return condemned(sentence, *match.span())


def lures(draft: Draft) -> Iterator[Hit]:
    """R11: nothing is held out to the reader."""
    for sentence in draft.sentences:
        for match in _LURE.finditer(sentence.text):
            if not excused(sentence, *match.span()):
                yield Hit(
                    "block",
                    sentence.places[match.start()],
                    f"像利诱“{match[0]}”，请删除；若是提醒，请加引号并写明是骗局",
                    f"seems a lure ({match[0]}); take it out, or quote it and call it a fraud",
                )
