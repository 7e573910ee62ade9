"""Lint on where a text sends people: numbers (R03, R04), links (R05), other channels (R06)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urlsplit

from service.messages.lint import obfuscation
from service.messages.lint.draft import QUOTED, Draft, Hit, TextSentence
from service.messages.lint.stance import described, excused
from service.messages.policy import SHIPPED

MOST_CONTACTS = 2
MOST_LINKS = 1

_RUN = re.compile(r"(?<![0-9])[+]?[0-9](?:[0-9]|[ ()-]{1,2}(?=[0-9]))+")
_UNIT = re.compile(
    r"\s*(?:年|月|日|时|点|分|秒|天|周|岁|期|届|[千百十]?万|亿|元|块|角|起|人|次|个|条|名|户|件|"
    r"笔|套|家|位|字|份|张|"
    r"教室|会议室|办公室|考场|病房|病区|诊室|仓库|座(?!机)|间|台|辆|架|只|头|棵|株|组|批|册|本|盒|瓶|箱|袋|题|所|场|趟|"
    r"学时|课时|亩|平方|毫米|毫升|吨|度|伏|千?瓦|分贝|mm(?![a-z])|"
    r"栋|幢|楼|室|路|高速|国道|省道|县道|次|版|层|页|米|公里|里|克|斤|多|余|号(?!码)|%|‰|g(?![a-z])|km|kg|am|pm|people|"
    r"persons|cases|yuan|days|hours|minutes|mins|months|weeks|gb?(?![a-z])|mb|"
    r"(?:元|块)?(?:至|到|~|～|—|-)[0-9.]+(?:元|块|万|岁|名|人|天|日|时|分|点))"
)
_COUNTED_BEFORE = re.compile(
    r"(?:\b(?:room|floor|dorm|building|block|gate|hall|window|bus|flight|train|page|ward|class)\s+|"
    r"第|¥|￥|rmb|cny|nt?o\.|约|近|共|达|超过?|返|送|充|满|减|赚|扣款?|价|只[要收需]|仅|花|卖|亏|欠|骗|"
    r"交|付|赔|涨到|降到|日结|[日月时]薪|(?:卡号?|账户|账号)?(?:尾号|末[三四]位)为?)[了走掉]?\s*$"
)
_CALL = re.compile(
    r"(?:拨打?|致电|来电|去电|回电|电话|热线|专线|手机|号码|联系|短信至?|发送至?|call|dial|ring|"
    r"phone|tel\.?|text)"
    r"[:\s]*(?:警官|民警|客服|号码|是|为|on|at|us|to)?[:\s]*$"
)
_CALL_REACH = 20
_TIME = re.compile(r"(?<![0-9])[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?![0-9])")
_DATE = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}[-/.][0-9]{1,2}(?:[-/.][0-9]{1,2})?(?![0-9])")
_AMOUNT = re.compile(
    r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])|[0-9]+\.[0-9]+(?![.0-9])"
)
_SPAN = re.compile(r"(?<![0-9-])[0-9]{1,2}-[0-9]{1,2}(?![0-9-])")
"""From one hour, age or day to another: `8-11`."""
_LONGEST_COUNT = 6
"""A run of more digits before a unit is no count, but a number in disguise."""

_MOBILE = re.compile(r"(?:86)?1[3-9][0-9]{9}")
_SERVICE_NUMBER = re.compile(r"(?:400|800)[0-9]{7}|95[0-9]{3,6}|17[01][0-9]{8}|16[0-9]{9}")
_ANTI_FRAUD_WITH_AREA = re.compile(r"0[0-9]{2,3}96110")
_EXTENSION = re.compile(r"(?<![0-9])[0-9]{3,}[\s,]*(?:转|分机|按|接|ext\.?)\s*[0-9]")

_APPS = (
    "微信|薇信|威信|徽信|卫星号|v信|vx|wx|wei ?xin|wechat|qq|扣扣|企鹅(?:号|群)?|te[li]e?gram|电报|"
    "纸?飞机(?![场票航])|whatsapp|skype|signal|discord|messenger|viber|instagram|facebook|zoom|teams|"
    "钉[钉盯]|抖音|快手|小红书|陌陌|探探|飞书|密信|蝙蝠|企业微信|云视|飞会议|腾讯会议"
)
_LINE = "(?<![a-z])line(?![a-z])"
"""A line is also one to call: somebody's name there follows its 号, id or 群."""
_GROUP = "(?<!人)群(?![众体])"
_ID = "(?=[a-z0-9_-]{5})[a-z0-9_-]+"
_ELSEWHERE = re.compile(
    rf"(?:添|(?<![增更])加|\+|进入?|入|拉|关注|搜索?|私信|建)(?!的)[^,:。]{{0,6}}?"
    rf"(?:{_APPS}|{_LINE}|[^、,:]{{0,2}}{_GROUP}|好友)"
    rf"|(?:{_APPS}|{_LINE}(?=\s*(?:号|id|群)))\s*(?:号码?|群|id)?\s*[:：]?\s*{_ID}"
    r"|(?<![增参更])加(?:上|一下)?我(?![县市区镇们国省])|私我|滴滴我|点(?:击|开|进)?[^,]{0,6}?(?:链接|网址)"
    r"|扫(?:一扫|描|码|下方|以下|这个)|扫[^,]{0,7}码"
    r"|扫[^,]{0,2}图"
    r"|长按(?:识别|图片|保存)|复制(?:口令|链接|这段)|点[^,]{0,6}?蓝字|私信(?:我们|民警|登记)"
    r"|按[0-9*#]{1,2}键?(?:转|接|进入|(?=$|,))"
    r"|\b(?:add|join|contact|message|chat|call|find)\b[^,]{0,20}?(?:wechat|whatsapp|telegram|qq|group|"
    r"on line\b)"
    r"|scan (?:the|this|our)?[^,]{0,6}code"
    r"|\b(?:click|tap|open|follow)\b[^,]{0,10}?\blinks?\b"
)
_MEMBER = (
    "我们?|客服|老师|导师|教练|专员|督导|接待员?|管理员?|理赔员?|机器人|经理|派单员?|红娘|群主|顾问|助理|中介|代理|"
    "指导员|操盘手|主播|师傅|审核员?|[^,]{0,2}姐|[^,]{0,2}哥|阿[^,,]|同名账号|工号"
)
_TALK = (
    "联系|对接|报到|报名|登记|咨询|私聊|聊天?|沟通|详谈|细聊|谈|找|搜|建立联系|加好友|见|领单|"
    "领任务"
)
_MOVE = (
    "(?:切换|转换|换|改|转|移步|转战|挪)(?:到|成|至|用|去|上|在)?|改用|用|使用|通过|经由?|凭|在|到|"
    "去|上|来|打开|进"
)
_MOVED = re.compile(
    rf"(?:{_MOVE})[^,]{{0,6}}?(?:{_APPS})[^,]{{0,8}}?(?:{_TALK}|{_MEMBER}|发句话|连线|会议号)"
    rf"|(?:{_TALK})[^,]{{0,10}}?(?:在|用|上|通过|转)[^,]{{0,4}}?(?:{_APPS})"
    rf"|(?:切换|换|改|转)(?:到|成|至|用|去)[^,]{{0,6}}?(?:{_APPS}|(?:聊天)?软件|app)"
    rf"|(?:{_APPS})[^,]{{0,3}}?(?:同号|联系我|找我|私聊|建立联系|搜)"
    r"|(?:把|将)[^,]{0,6}?软件[^,]{0,4}?换成"
    rf"|(?:{_MOVE})(?![^,]{{0,8}}(?:网点|窗口|柜台|学校|社区|村|官方|营业厅))[^,]{{1,8}}?"
    rf"(?:联系|找|私聊|对接|聊)[^,]{{0,2}}?(?:{_MEMBER})"
    rf"|(?<!官方)(?:软件|app|聊天室|直播间|平台)(?:上|里|内)?(?![^,]{{0,6}}官方)[^,]{{0,4}}?(?:{_TALK}|找)"
    r"(?![^,]{0,4}(?:证|官方))"
    r"|(?:打开|进入|加入|进|上|连)[^,]{0,6}?(?:会议软件|会议号|视频会议室|直播间|聊天室)"
    r"|(?:微|薇|威|扣|群号|id|v|q|account)\s*[:：]\s*(?=[a-z0-9_-]*[0-9_])[a-z0-9_-]{5,}"
    r"|(?<![a-z0-9])@[a-z0-9_]{4,}|(?<![a-z0-9_.{])[a-z0-9]+_[a-z0-9_]+(?![a-z0-9_]*})"
    r"|(?:找我|私信|做单找|➕|\+)\s*(?:我|q|v|薇|微|威)(?![a-z])"
    r"|(?:[vq]|威|薇)\s*x?\s*同号|(?:加|添)[^,]{0,4}?(?:小号|新号|客服号|私人号)"
    r"|(?:通过|同意|接受)[^,]{0,6}?好友(?:申请|请求)|拉[您你]进(?!的)|把手机号发我"
    r"|\b(?:message|chat with|contact|text|reach|add|find|write(?: to)?|talk to|dm|join|follow|"
    r"call)\b"
    r"[^,]{0,24}?\b(?:on|via|through|over)\s+(?!monday|tuesday|wednesday|thursday|friday|saturday|"
    r"sunday|time|foot|this|our|the)[@a-z]"
    r"|\b(?:use|via|switch to|move (?:over )?to|download|open|on)\b[^,]{0,12}?"
    rf"\b(?:{_APPS})\b"
)
"""A move to another way of talking, by whatever verb, or to somebody there."""
_SITE = re.compile(
    f"(?:关注|搜索)[^,]{{0,10}}?(?:公众号|小程序|视频号|{QUOTED})"
    "|(?:登[录陆]|访问|进入|打开)[^,]{0,10}?(?:网站|官网|小程序|公众号|平台|(?<![上联互])网(?=[查办填登核]|,|$))"
)
"""A site or account by its name, which anybody may have taken: a person has to know it."""


@dataclass(frozen=True, slots=True)
class DialableNumber:
    """A number that could be dialled: its digits, and its place in the text as given."""

    digits: str
    at: int
    foreign: bool


def contacts(draft: Draft) -> Iterator[DialableNumber]:
    """Every run of three digits or more that is no date, time, amount or count."""
    plain, places = draft.plain
    for number in _dialable(plain):
        yield replace(number, at=places[number.at])


@lru_cache(16)
def _dialable(plain: str) -> tuple[DialableNumber, ...]:
    """Those of a plain view, with their places in it; several rules ask for them."""
    dressed = [m for kind in (_TIME, _DATE, _SPAN, _AMOUNT) for m in kind.finditer(plain)]
    covered = {at for m in dressed for at in range(*m.span())}
    found = []
    for match in sorted([*dressed, *_RUN.finditer(plain)], key=lambda m: (m.start(), -m.end())):
        if match.re is _RUN and match.start() in covered:
            continue
        digits = re.sub("[^0-9]", "", match[0])
        if len(digits) < 3 or _is_no_number(plain, match, len(digits)):
            continue
        foreign = match[0].startswith("+") or (digits.startswith("00") and len(digits) > 6)
        found.append(DialableNumber(digits, match.start(), foreign))
    return tuple(found)


def _is_no_number(plain: str, match: re.Match[str], digits: int) -> bool:
    """Whether it is a time, a date, an amount or a count. Called by its name as a number, nothing
    is, but a short amount that has its unit (`来电1,200起`).
    """
    called = _CALL.search(plain, max(0, match.start() - _CALL_REACH), match.start())
    if match.re is _RUN:
        return digits <= _LONGEST_COUNT and not called and _is_count(plain, match)
    if called:
        return digits <= _LONGEST_COUNT and bool(_UNIT.match(plain, match.end()))
    return match.re is not _AMOUNT or digits <= _LONGEST_COUNT or _is_count(plain, match)


def _is_count(plain: str, match: re.Match[str]) -> bool:
    before = plain[max(0, match.start() - 12) : match.start()]
    return bool(_UNIT.match(plain, match.end()) or _COUNTED_BEFORE.search(before))


def numbers(draft: Draft) -> Iterator[Hit]:
    """R03: only hotlines and the department's own numbers, two at most."""
    seen: dict[str, int] = {}
    for contact in contacts(draft):
        seen.setdefault(contact.digits, contact.at)
        if not (is_known(draft, contact.digits) or _is_never(contact)):
            yield Hit(
                "block",
                contact.at,
                f"号码不是公布的热线，也未登记为本单位电话（{_shape(contact.digits)}），请改用 "
                f"96110 等热线，"
                "或由县里登记后再用；若是数量请写上单位",
                f"a number ({_shape(contact.digits)}) that is no published hotline nor registered "
                f"for"
                " the department; use 96110 or another hotline, or have it registered; give a count"
                " its unit",
                certain=_is_no_oversight(contact.digits),
            )
    if len(seen) > MOST_CONTACTS:
        yield Hit(
            "block",
            list(seen.values())[MOST_CONTACTS],
            f"有 {len(seen)} 个号码，运营商报备最多 {MOST_CONTACTS} 个，请删减",
            f"{len(seen)} numbers; carriers file at most {MOST_CONTACTS} a text, take some out",
            certain=True,
        )


def private_numbers(draft: Draft) -> Iterator[Hit]:
    """R04: no mobile, unregistered service or foreign number, and no extension."""
    for contact in contacts(draft):
        if _is_never(contact) and not is_known(draft, contact.digits):
            yield Hit(
                "block",
                contact.at,
                f"是手机号、未登记的400/95号码或国际号码（{_shape(contact.digits)}），请改为 "
                f"96110 等热线",
                f"a mobile, unregistered service or foreign number ({_shape(contact.digits)}); "
                f"name a"
                " hotline such as 96110",
            )
    plain, places = draft.plain
    if match := _EXTENSION.search(plain):
        yield Hit(
            "block",
            places[match.start()],
            "号码带分机或按键，请只写热线本身",
            "an extension or keys to press; write the hotline alone",
        )


def is_known(draft: Draft, digits: str) -> bool:
    """Whether it is one of the county's hotlines, or registered for the department."""
    registered = draft.sender.landlines if draft.sender else frozenset[str]()
    return (
        digits in draft.policy.hotlines
        or digits in registered
        or bool(_ANTI_FRAUD_WITH_AREA.fullmatch(digits))
    )


def _is_no_oversight(digits: str) -> bool:
    """Whether an unknown number is too long for a hotline, or the county took it off the list."""
    return len(digits) > _LONGEST_COUNT or digits in SHIPPED.hotlines


def _is_never(contact: DialableNumber) -> bool:
    """Whether a number is of a kind that no official text names unless it is registered."""
    digits = contact.digits
    if contact.foreign:
        return True
    return bool(_MOBILE.fullmatch(digits) or _SERVICE_NUMBER.fullmatch(digits))


def _shape(digits: str) -> str:
    """A number as it may be repeated in a message."""
    if len(digits) <= _LONGEST_COUNT:
        return digits
    return f"{digits[:3]}{'*' * (len(digits) - 5)}{digits[-2:]}"


def links(draft: Draft) -> Iterator[Hit]:
    """R05: no URL, domain, e-mail or IP address, but one that the county and department allow."""
    for count, link in enumerate(draft.links):
        fault = _link_fault(draft, link.what) if count < MOST_LINKS else _TOO_MANY
        if fault:
            chinese, english = fault
            yield Hit(
                "block",
                draft.origins[link.start],
                chinese.format(link.what),
                english.format(link.what),
            )


_NO_LINKS = (
    "含链接、域名、邮箱或IP“{}”，请删除，改为请对方拨打官方电话；若是英文句号，请在其后加空格",
    (
        "a link, domain, e-mail or IP address ({}); take it out and name an official number; after"
        " an English full stop leave a space"
    ),
)
_TOO_MANY = (
    f"链接多于 {MOST_LINKS} 个，请删除“{{}}”",
    f"more than {MOST_LINKS} link; take out {{}}",
)
_BAD_LINK = (
    "链接“{}”须以https开头、为已登记的域名，不含变量、端口、用户名和跳转参数",
    (
        "the link {} must begin with https and be of a registered host, without variable, port,"
        " user name or redirect"
    ),
)


def _link_fault(draft: Draft, link: str) -> tuple[str, str] | None:
    if not (draft.sender and draft.sender.links):
        return _NO_LINKS
    try:
        parts = urlsplit(link)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _BAD_LINK
    allowed = any(host == own or host.endswith("." + own) for own in draft.policy.link_hosts)
    plain = (
        parts.scheme == "https" and port is None and "@" not in parts.netloc and "xn--" not in host
    )
    redirect = "://" in parts.query or "%3a" in parts.query.lower() or re.search("[{}]", link)
    return None if allowed and plain and not redirect else _BAD_LINK


def elsewhere(draft: Draft) -> Iterator[Hit]:
    """R06: no move to another channel, unless the text forbids or condemns exactly that."""
    for sentence in draft.sentences:
        for match in (*_ELSEWHERE.finditer(sentence.text), *_MOVED.finditer(sentence.text)):
            if not _is_told(sentence, match):
                yield Hit(
                    "review" if "工作" in match[0] else "block",
                    sentence.places[match.start()],
                    f"引导到其他渠道“{match[0]}”，请删除；若是提醒，请写明“不要”或“都是骗局”",
                    f"a move to another channel ({match[0]}); take it out, or forbid it in so "
                    f"many words",
                    certain=_names_an_account(sentence, match),
                )
        site = _SITE.search(sentence.text)
        if site and "应用商店" not in sentence.text and not excused(sentence, *site.span()):
            yield Hit(
                "review",
                sentence.places[site.start()],
                "请人去某个网站或账号，请核对它确属本单位，且名称无人可冒用",
                "sends people to a site or account by name; make sure that it is the department's"
                " own",
            )


_ACCOUNT = re.compile(
    rf"(?:{_APPS}|{_LINE}(?=\s*(?:号|id|群))|群号?)\s*(?:号码?|群|id)?\s*[:：]?\s*{_ID}"
    r"|(?<![a-z0-9_-])(?![0-9]+app(?![a-z]))(?=[a-z0-9_-]*[0-9_])(?=[a-z0-9_-]*[a-z])[a-z0-9_-]{5,}|@[a-z0-9_]{4,}"
    rf"|(?:{_APPS})[^,]{{0,4}}(?:联系|找|私聊|对接|加)[^,]{{0,3}}(?:{_MEMBER})"
    "|扫[^,]{0,12}?(?:缴|付|转账|收款|交[费钱款])"
)
"""Somebody's account, by its name or number, somebody who is there, or a code to pay by."""
_ACCOUNT_REACH = 24


def _names_an_account(sentence: TextSentence, match: re.Match[str]) -> bool:
    return bool(_ACCOUNT.search(sentence.text, match.start(), match.end() + _ACCOUNT_REACH))


def _is_told(sentence: TextSentence, match: re.Match[str]) -> bool:
    """Whether a move is forbidden, condemned or told of others, and asks the reader for nothing."""
    before = sentence.text[: match.start()]
    return (
        excused(sentence, match.start(), match.end())
        or described(sentence, match.start())
        or before.endswith("混")
        or (match[0].startswith("app") and bool(re.search(f"国家反诈中心[{QUOTED}]?$", before)))
        or _is_added_by_another(sentence, match[0])
        or bool(re.match("[^,]{0,2}(?:审核|验证)", sentence.text[match.end() :]))
    )


def _is_added_by_another(sentence: TextSentence, move: str) -> bool:
    """Whether somebody adds the reader, who is asked for nothing: `游戏里加你好友的“姐姐”`."""
    return bool(re.match("[加拉][您你]", move)) and not re.search(
        "请|通过|同意|接受|我|老师|专员|客服", sentence.text
    )


_NUMBER_IN_VALUE = re.compile("[0-9]{7,}|(?<![0-9])(?:400|800|95[0-9]{2,})[0-9]{3,}")


def in_value(draft: Draft, value: str) -> bool:
    """Whether the value of a variable carries a way to be reached that is not the sender's own."""
    plain, _ = obfuscation.plain_view(value)
    joined = re.sub(r"(?<=[0-9])[\s-]+(?=[0-9])", "", _TIME.sub("x", _DATE.sub("x", plain)))
    own = draft.sender.landlines if draft.sender else frozenset[str]()
    numbers = {match[0] for match in _NUMBER_IN_VALUE.finditer(joined)}
    return bool(numbers - own or _ELSEWHERE.search(joined))
