"""Lint on what a text asks people to pay (R08)."""

import re
from collections.abc import Iterator

from service.messages.lint.draft import Draft, Hit, TextSentence
from service.messages.lint.stance import demanded, described, excused

_TO_READERS = (
    "[^,]{0,8}?(?:群(?!主|里|内)|朋友圈|小组|网格员|联络员|住户|村民)(?![^,]{0,6}?(?:账|卡|钱|款))"
)
"""Where a text is passed on to, and no money goes."""
_PAY = (
    "转账|转帐|转款|代付(?!款)|转钱|汇款|汇钱|打款|打钱|付款|付钱|(?<!给)(?<!管好)(?<!管好手机)(?<!看好手机)支付(?!密码|锁|宝|账户|设|功能|限额|工具|方式|安全|平台)|充值|垫付|垫资|垫钱|"
    "缴纳|缴费|补缴|"
    "(?:转移|划转|归集|归并|集中|移入|移至|转存|存入)[^,]{0,6}?(?:账户|账号|一张卡|卡)|"
    "(?:准备|取出|提取|备好)[^,]{0,4}?(?:现金|黄金|存款|钱)|(?:钱|现金|存款|黄金)[^,]{0,2}?(?:取出|交给|寄给|寄到)|"
    "(?:购?买)[^,]{0,3}?(?:黄金|金条|点卡|充值卡|购物卡|礼品卡|加油卡|e卡|虚拟币)|"
    "(?:到|去|前往)[^,]{0,6}?(?:atm|柜员机)|(?:开通|注册)[^,]{0,2}?(?:数字人民币|钱包)|"
    "(?:缴|交)清[^,]{0,4}?(?:罚|款|费|金)|补足[^,]{0,4}?(?:金|款|费)|"
    "(?:钱|存款|养老金|资金|余额|积蓄)[^,]{0,6}?(?:转出|存进|存放)|"
    "交(?:[^,]{0,6}?费|保证金|定金|押金|解冻金|钱|罚款)|(?:转|汇|存)(?:入|到|至|给)(?!"
    + _TO_READERS
    + ")|打(?:入|到|至)|"
    "(?<=[钱款元万费0-9])打给|充入|补齐|先(?:刷|存|转(?!发|告)|充(?!电)|付|垫|交(?!警|通|代)|缴|放[^,]{0,2}[万千百元])|"
    "先打(?=[^,]{0,6}(?:款|钱|金|[0-9一二三四五六七八九十百千万两]|给|到|彩))"
    "(?![^,]{0,18}(?:电话|号码|热线|110|本人|班主任|老师|问))|"
    "垫(?:上|一下|付)"
)
_MONEY_ASKED = re.compile(_PAY)
_NO_DEMAND = re.compile(
    "(?:后|前|时|之前|之后|方式|环节|密码|记录|凭证|指令|通知书?|标准|期|困难|成功|失败|截图)"
)
OFFICIAL_PLACE = re.compile(
    "营业厅|营业网点|银行(?:柜台|网点|代扣|代收)|柜台|柜面|窗口|网点|办税厅|服务厅|服务大厅|代收点|便民服务|财务(?:处|系统)|"
    "平台内|官方(?:平台|渠道|app|网站)|(?:通知[书单]|缴款书)[^,]{0,2}?(?:所载|上|载明|指定)|平台担保|担保交易|(?:缴费|收费|财务)系统|票据|开票|收据|收费窗口|村部|村委|居委|总务|公示|电子税务局|财政系统|对公账户"
)
"""Where people pay what they owe: then a person has to know whether they owe it."""
NEVER_DUE = re.compile(
    "保全|托管|代管|(?:中心|我[局院们校行]|本[局院校行])[^,]{0,4}?(?:账户|账号|户头)|清查|核查账户|"
    "提供的(?:收款码|二维码|账户|账号)|收费员(?:账户|账号|微信)|代办员|凭截图|安全账户|指定账户|监管|专案|民警|警官|专员|存款|积蓄|验资|解冻|核验|认证金"
)
"""What no counter is asked for, whatever place is named beside it."""
_OFFICIAL_WAY = re.compile(
    "(?<!不用)(?<!无需)(?<!不必)(?:到|在|至|去|前往|通过|从|由|用|经|凭|按|登录|向)[^,]{0,16}?"
    f"(?:{OFFICIAL_PLACE.pattern})(?![^,]{{0,6}}(?:停办|停用|暂停|关闭|已满))"
)
_OTHER_WAY = re.compile(
    "客服(?!电话|热线|中心)|专员|中介|收款码|付款码|二维码|扫|代办|代缴|收费员|卡号|链接|点击|口令|验证码|密码|"
    "微信|qq|(?<!工作)群(?![众体])|会议|截图|红包|(?:个人|私人)[^,]{0,2}(?:账户|户头|卡)|转[账给到]|汇款|汇[入到]|"
    "打[到给]|回拨|来电(?!预警)|代为|代理人|经理|花钱|消分|找[^,]{0,6}?(?:姐|哥|师傅|主任|人员)|"
    "联系[^,]{0,6}?(?:人|员)|(?:存|缴|交|充|付)(?:入|进|到|至)[^,]{0,10}?(?:账户|户头|卡|席位)|按提示|上门(?:收|取|代|缴|办)|立减|优惠|充[0-9]+送|返现"
)
"""Whoever is named besides may be paid instead."""
_FEE = (
    "(?:会员|服务|手续|工本|建档|体检|签证|服装|报名|资料|培训|讲课|激活|认证|保密|加急|代办|材料|公证|邮|运|中介|名额)费|保证金|押金|定金|"
    "订金|诚意金|解冻金|认证金|意向金|占位金|首付|滞纳金"
)
_SUM = "[0-9一二三四五六七八九十百千万两半]{1,20}(?:\\.[0-9]+)?(?:元|块|万|千|百|%|成|$|,|[0-9]|u)"
_FEE_NAMED = re.compile(
    f"(?<![不免无需加支])(?:交|缴|支?付|收|垫|补|备)(?:纳|清|取)?[^,]{{0,6}}?(?:{_FEE}|关税|个人所得税|税款)"
    f"|(?<![不免无])(?:{_FEE})[^,]{{0,4}}?{_SUM}|{_SUM}(?:的)?(?:{_FEE})"
)
"""A fee that nobody pays to an authority: `认证金`, or one with its sum."""
_TO_A_PERSON = re.compile(
    "(?:到|给|汇|转|进|至|入)[^,]{0,8}?(?:个人(?:账户|卡|户头)|私户|来人)|"
    "(?:打|汇|转|存|付|交|发)(?:到|给|至)[^,]{0,6}?(?:经理|会计|来人|群主|楼长|站务员|中介|领队)|上门(?:收取|取款|取钱|收钱)|"
    "(?:有人|专人)上门(?:取|收)|备(?:好)?(?:现金|零钱)|付现金|钱直接给我|转给我|发红包给|用红包发"
)
_TO_ITS_OWNER = re.compile(
    "(?:打|汇|转|存)(?:入|到|至|给)[^,]{0,6}?(?:本人|参保人|老人|学生|受助人|农户|[您你]的?(?:签约|缴费|原|绑定|社保|工资|医保)+(?:账户|卡))"
)
_PAYEE = re.compile(
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

_STOPPED_IN_ENGLISH = re.compile(r"\b(?:stop|avoid|never|(?:do not|don't)(?! hesitate| wait))\b")


def money(draft: Draft) -> Iterator[Hit]:
    """R08: nobody is asked to pay, unless the text has it verified first.

    What is due at a counter, or inside the platform where something was bought, is advice if the
    text names no other way (`lint.py` asks whether it is worded so), and else needs a person who
    knows whether it is due.
    """
    for sentence in draft.sentences:
        for match in _MONEY_ASKED.finditer(sentence.text):
            if _is_asked_to_pay(sentence, match):
                yield _pay_hit(draft, sentence, match)
                break
        else:
            fee = _FEE_NAMED.search(sentence.text) or _TO_A_PERSON.search(sentence.text)
            if fee and not (excused(sentence, *fee.span()) or described(sentence, fee.start())):
                yield _pay_hit(draft, sentence, fee)
        asked = _REQUESTED_IN_ENGLISH.search(sentence.text)
        stopped = asked and _STOPPED_IN_ENGLISH.search(asked[0])
        if asked and not stopped and not excused(sentence, *asked.span()):
            yield _pay_hit(draft, sentence, asked)


def official_alone(draft: Draft, sentence: TextSentence) -> bool:
    """Whether a sentence has something paid by an official way, and the text names no other."""
    if not _OFFICIAL_WAY.search(sentence.text) or NEVER_DUE.search(draft.words):
        return False
    return all(
        excused(other, *match.span()) or described(other, match.start())
        for other in draft.sentences
        for match in _OTHER_WAY.finditer(other.text)
    )


def _pay_hit(draft: Draft, sentence: TextSentence, match: re.Match[str]) -> Hit:
    if OFFICIAL_PLACE.search(sentence.text) and not NEVER_DUE.search(sentence.text):
        return Hit(
            "warn" if official_alone(draft, sentence) else "review",
            sentence.places[match.start()],
            f"请人缴费“{match[0]}”，请核对确有应缴款项，且只在窗口、网点或官方平台缴纳",
            f"asks for a payment ({match[0]}); make sure that it is due, and is paid at a counter"
            " or on the official platform only",
        )
    return Hit(
        "block",
        sentence.places[match.start()],
        f"像在要求付钱“{match[0]}”，请删除；若是提醒，请写成“请勿转账”或“先核实再付款”",
        f"seems to ask for money ({match[0]}); take it out, or write that nothing is to be paid"
        " before it is verified",
    )


def _is_asked_to_pay(sentence: TextSentence, match: re.Match[str]) -> bool:
    text, (start, end) = sentence.text, match.span()
    begin, clause_end = sentence.clause(start)
    if excused(sentence, start, end) or described(sentence, start):
        return False
    after = text[end:clause_end]
    if _VERIFIED.match(after) or _NO_DEMAND.match(after):
        return False
    before = text[begin:start]
    if _VERIFY_FIRST.search(before) and not re.search("请配合|已核实", before):
        return False
    if _TO_ITS_OWNER.match(text[start:clause_end]) and not demanded(sentence, start):
        return False
    first = match[0].startswith(("先", "补齐", "充入")) or _FIRST.search(before)
    if first or demanded(sentence, start) or _ONLY_WE.search(before):
        return True
    return bool(_PAYEE.search(text[start : min(clause_end, end + 14)]))
