"""Lint on what a text says: advertising, replies, personal data, words, cases, facts, purpose."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date

from service.ledger.message_class import NOTICE, PUBLICITY, WARNING
from service.messages import template
from service.messages.lint import lint_contacts
from service.messages.lint.draft import Draft, Hit, TextSentence, closed
from service.messages.lint.stance import described, excused
from service.messages.policy import ANY_CARRIER, Level

_ADVERTISING = re.compile(
    "套餐(?!资费)|(?<![验投出])资费(?!问题|疑问|查询|争议|纠纷|看不|说明|透明|公示|投诉)|首月|促销|特价|折扣|打折|会员价|充值送|流量包|预存话费|新品|抢购|秒杀|"
    "办理[^,]{0,8}?(?:套餐|业务|宽带|5g|号卡|会员|分期)|"
    "详询营业厅|下单立|扫码购|专享价|欢迎选购|大促"
)
_OFFERS = re.compile(
    "(?:招聘|招工)(?!线索|骗局|诈骗|陷阱|信息|广告|会|活动|公告)|诚聘|急聘|日结|拉票|为[^,]{0,8}投票|投票支持|竞选|选举[^,]{0,4}(?:请|投)|众筹|募捐|"
    "捐款到|购买[^,]{0,6}产品"
)
_REPLY = re.compile(
    "(?<!没)(?<!未)(?:回复|短信回复?|回短信|(?<![找收返撤取挽召退追带拿驳])回(?="
    "[“\"'「]?[a-z0-9]|“|数字|字母|姓名|身份|证件|卡号|银行卡|验证码|动态码|密码|住址|手机号|是|同意|确认))"
    "(?:数字|字母|短信)?[“\"'「]?(?P<what>[a-z0-9]+|[^,。;”]{0,12})|"
    "\\breply (?:with )?(?P<english>[a-z0-9]+)"
)
"""To reply; other words with 回 are not (回家, 收回, 找回密码)."""
_REPLIES = re.compile("(?:[1-9]|r|t|td|n|0000|00000|qx|stop|unsubscribe)(?![a-z0-9])")
_PERSONAL = re.compile(
    "姓名|身份证|证件|卡号|银行卡|验证码|动态码|密码|住址|手机号|电话号码|家庭情况|是$|^(?:确认|"
    "同意|是|y|yes)"
)
_ROUTES = re.compile(
    "当面|网点|窗口|营业厅|柜台|官方(?:渠道|客服|平台|页面|应用商店|网站|电话)|网格员|班长|班主任|"
    "辅导员|村干部|劳资员|"
    "派出所|居委会|村委会|办公室核实|原来的号码|原号码|先问家人|your tutor|in person|branch"
)
_LONG_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){14,18}[xX]?(?![0-9])")
_TRAIT = re.compile(
    "离异|离婚|低保|贫困|困难户|建档立卡|患者|患病|残疾|孤寡|受害|被骗者|吸毒|刑满|社矫|艾滋|"
    "精神病|单身|丧偶"
)
_NAME_VARIABLES = {"姓名", "name"}
_VICTIM = re.compile(
    "[\u4e00-\u9fff]某某?|(?:受害人|当事人|事主|受害者)(?!请|可|应|"
    "要)[\u4e00-\u9fff]{2,3}(?=[,:(]|在|于|被|上|本|日)|"
    "[\u4e00-\u9fff](?:先生|女士|大爷|大妈|大娘|阿姨|老汉|老太)"
)
_CHEATED = re.compile("被骗|受骗|骗走|骗取|损失|上当|转走")
_VILLAGE_PLACE = re.compile(
    "村(?!干部|民警|委会?请)|社区(?!民警|干部|网格)|居委会|村民组|小区|[0-9]+(?:号楼|栋|幢|单元)"
)
_CASES = re.compile(
    "(?<![0-9.])(?P<count>[0-9]{1,4}|[一二两三四五六七八九十]{1,3})(?:起|例|名|人|户)"
)
_PLACE = re.compile("(?P<village>村|社区|居委会)|镇|乡|全县|全市|县|市|街道")
_HAN_DIGITS = {han: value for value, han in enumerate("一二三四五六七八九", 1)} | {"两": 2}
_FALSE = (
    (
        re.compile(
            "(?:公安|警察|民警|公检法|警方|派出所)[^,]{0,8}?(?:不会|从不|绝不|"
            "不)[^,]{0,6}?(?:打电话|致电|来电|电话联系|打来)(?!办案)"
        ),
        "公安会来电劝阻（96110），请写“不会电话办案”",
        "the police do call to dissuade (96110); write that they settle no case by telephone",
    ),
    (
        re.compile(
            "12381[^,]{0,6}?(?:来电|打电话|致电|电话给)|(?:拨打?|致电|回拨|咨询|call )12381"
        ),
        "12381 只发短信，不打也不接电话",
        "12381 only sends texts; it neither calls nor answers",
    ),
    (
        re.compile(
            "(?<!冒用)(?<!冒充)(?<!假冒)(?<!自称)(?<!谎称)96110(?![^,]{0,8}不)[^,]{0,10}?(?:会要求|要求您|要您|会让|索要|收集)"
        ),
        "96110 不会索要任何信息或钱款",
        "96110 never asks for anything",
    ),
    (
        re.compile("刷单(?:是|属于)?[^,]{0,4}?(?<!不)(?:合法|正规|不违法)"),
        "刷单本身违法",
        "刷单 (paid fake orders) is against the law in itself",
    ),
    (
        re.compile("征信[^,]{0,6}?(?:可以|能够?|可)(?:修复|修改|洗白|消除|删除)"),
        "个人征信不可人为修改",
        "a credit record cannot be changed by anybody",
    ),
)


def advertising(draft: Draft) -> Iterator[Hit]:
    """R12: no advertising in what is sent for the public good."""
    if draft.message_class == NOTICE:
        return
    for sentence in draft.sentences:
        for match in _ADVERTISING.finditer(sentence.text):
            if not (excused(sentence, *match.span()) or described(sentence, match.start())):
                yield _said(
                    sentence,
                    match,
                    "block",
                    "像广告“{}”，公益短信不得含广告，请删除",
                    "reads as advertising ({}), which public-interest texts must not carry; take "
                    "it out",
                )


def replies(draft: Draft) -> Iterator[Hit]:
    """R13: only opt-out words and single digits are asked for in reply."""
    for sentence in draft.sentences:
        for match in _REPLY.finditer(sentence.text):
            end = _end_of_asked(match)
            if end and not excused(sentence, match.start(), end):
                yield _said(
                    sentence,
                    match,
                    "block",
                    "要求回复“{}”，只可请人回复一位数字或退订字样",
                    "asks for a reply ({}); only one digit or opt-out words may be asked for",
                )


def _end_of_asked(reply: re.Match[str]) -> int | None:
    """Where what must not be asked for in reply ends; None if nothing of the kind is."""
    group = "english" if reply["english"] else "what"
    what = reply[group]
    if what[:1].isascii() and what[:1].isalnum():
        return None if _REPLIES.match(what) else reply.end(group)
    personal = _PERSONAL.search(what)
    return reply.start(group) + personal.end() if personal else None


def verification(draft: Draft) -> Iterator[Hit]:
    """R14: the reader can verify the text with somebody known."""
    if _ROUTES.search(draft.plain[0]):
        return
    if any(lint_contacts.is_known(draft, one.digits) for one in lint_contacts.contacts(draft)):
        return
    yield Hit(
        "warn",
        0,
        "没有核实办法，建议写上 96110、当面或找网格员核实",
        "names no way to verify; add 96110, a counter or a person whom people know",
    )


def personal_data(draft: Draft) -> Iterator[Hit]:
    """R18: no document or card number, no phone; no sensitive trait beside a name."""
    plain, places = draft.plain
    for match in _LONG_DIGITS.finditer(plain):
        if _is_identity(re.sub("[ -]", "", match[0])):
            yield Hit(
                "block",
                places[match.start()],
                "含身份证号或银行卡号，请删除",
                "a document or card number; take it out",
            )
    for contact in lint_contacts.contacts(draft):
        if re.fullmatch("(?:86)?1[3-9][0-9]{9}", contact.digits):
            yield Hit(
                "block", contact.at, "含个人手机号，请删除", "somebody's phone number; take it out"
            )
    yield from _traits_beside_names(draft)


def _traits_beside_names(draft: Draft) -> Iterator[Hit]:
    for slot in template.slots(draft.text):
        if slot.variable not in _NAME_VARIABLES:
            continue
        begin = max(0, slot.start - 12)
        near = draft.text[begin : slot.end + 12]
        if match := _TRAIT.search(near):
            yield Hit(
                "block",
                begin + match.start(),
                f"姓名旁有敏感身份“{match[0]}”，请删去其一",
                f"a sensitive trait ({match[0]}) beside a name; leave one of them out",
            )


def _is_identity(digits: str) -> bool:
    """Whether digits are an identity number (a date inside) or a card number (Luhn)."""
    if len(digits) == 18:
        try:
            date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))
        except ValueError:
            pass
        else:
            return True
    if not (digits.isdecimal() and 16 <= len(digits) <= 19):
        return False
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def never_words(draft: Draft) -> Iterator[Hit]:
    """R19: no word of the county's or a carrier's never list."""
    text, places = draft.closed
    for carrier, words in draft.policy.never_words.items():
        whose = "" if carrier == ANY_CARRIER else f" ({carrier})"
        for word in words:
            if (at := text.find(closed(word))) >= 0:
                yield Hit(
                    "block",
                    places[at],
                    f"含禁用词“{word}”{whose}，请改写",
                    f"a word of the never list{whose}: {word}; say it otherwise",
                )


def case_facts(draft: Draft) -> Iterator[Hit]:
    """R20: no victim can be recognised; a small count of cases in a village is not shown."""
    for sentence in draft.sentences:
        victim = _VICTIM.search(sentence.text)
        if victim and _CHEATED.search(sentence.text):
            known = _VILLAGE_PLACE.search(sentence.text)
            yield _said(
                sentence,
                victim,
                "block" if known else "review",
                "受害人“{}”可能被认出，请删去姓名和村、社区",
                "a victim ({}) may be recognised; leave out the name and the place",
            )
        if draft.message_class != NOTICE:
            yield from _small_counts(sentence, draft.policy.small_count)


_CHEATED_OF = re.compile("骗|案|损失")


def _small_counts(sentence: TextSentence, least: int) -> Iterator[Hit]:
    if not _CHEATED_OF.search(sentence.text):
        return
    places = list(_PLACE.finditer(sentence.text))
    ends = [place.end() for place in places]
    for match in _CASES.finditer(sentence.text):
        count = _number(match["count"])
        before = bisect_right(ends, match.start())
        if 0 < count < least and before and places[before - 1]["village"]:
            yield _said(
                sentence,
                match,
                "block",
                f"村级不足 {least} 起（“{{}}”），请写“个别”或写到乡镇一级",
                f"fewer than {least} in a village ({{}}); write 个别, or give the town's count",
            )


def _number(written: str) -> int:
    """A number up to 99 in Han digits, or in others."""
    if written.isdecimal():
        return int(written)
    tens, ten, ones = written.rpartition("十")
    return (_HAN_DIGITS.get(tens, 1) * 10 if ten else 0) + _HAN_DIGITS.get(ones, 0)


def facts(draft: Draft) -> Iterator[Hit]:
    """R21: what the text says of the police, of hotlines and of the law is so."""
    for sentence in draft.sentences:
        if sentence.quoted:
            continue
        for pattern, chinese, english in _FALSE:
            if match := pattern.search(sentence.text):
                yield _said(
                    sentence,
                    match,
                    "review",
                    "“{}”与事实不符：" + chinese,
                    "not so ({}): " + english,
                )


def purpose(draft: Draft) -> Iterator[Hit]:
    """R23: warnings are the police's; public interest neither recruits, canvasses nor sells."""
    if draft.message_class == WARNING:
        if draft.sender is not None and draft.sender.kind != "police":
            yield Hit(
                "block",
                0,
                "预警类只能由公安（反诈中心）发送，请改为公益类",
                "only the police send warnings; make it a public-interest text",
            )
        return
    if draft.message_class != PUBLICITY:
        return
    for sentence in draft.sentences:
        for match in _OFFERS.finditer(sentence.text):
            if _is_by_the_labour_office(draft, match[0]) or described(sentence, match.start()):
                continue
            if not excused(sentence, *match.span()):
                yield _said(
                    sentence,
                    match,
                    "block",
                    "公益短信不得用于“{}”，请删除",
                    "not a purpose of public-interest texts ({}); take it out",
                )


_LABOUR_OFFICE = re.compile(
    "^【[^】]*(?:人社|人力资源|劳动|就业|公共服务|人才|[镇乡]政府|街道|[居村]委会|社区)"
)
_OPENLY = re.compile("窗口|登记|报名|免费|不收|现场|招聘会|面试")
_RECRUITING = {"招聘", "诚聘", "急聘", "招工"}


def _is_by_the_labour_office(draft: Draft, offer: str) -> bool:
    """Whether a vacancy is made known by those whose task it is, with a place or free of charge."""
    plain = draft.plain[0]
    return offer in _RECRUITING and bool(_LABOUR_OFFICE.match(plain) and _OPENLY.search(plain))


def _said(
    sentence: TextSentence, match: re.Match[str], level: Level, chinese: str, english: str
) -> Hit:
    what = match[0]
    return Hit(level, sentence.places[match.start()], chinese.format(what), english.format(what))
