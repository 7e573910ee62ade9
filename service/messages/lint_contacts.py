"""Lint on where a text sends people: numbers (R03, R04), links (R05), other channels (R06)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.messages import disguise
from service.messages.draft import QUOTED, Draft, Hit
from service.messages.stance import excused

MOST_CONTACTS = 2
MOST_LINKS = 1

_RUN = re.compile(r"(?<![0-9])[+]?[0-9](?:[0-9]|[ ()-]{1,2}(?=[0-9]))+")
_UNIT = re.compile(
    r"\s*(?:年|月|日|时|点|分|秒|天|周|岁|期|届|[千百十]?万|亿|元|块|角|起|人|次|个|条|名|户|件|"
    r"笔|套|家|位|字|份|张|"
    r"栋|幢|楼|室|路|高速|国道|省道|县道|次|版|层|页|米|公里|里|克|斤|多|余|号(?!码)|%|‰|g(?![a-z])|km|kg|am|pm|people|"
    r"persons|cases|yuan|days|hours)"
)
_COUNTED_BEFORE = re.compile(r"(?:第|¥|￥|rmb|cny|nt?o\.|约|近|共|达|超过?)\s*$")
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
_LONGEST_COUNT = 6
"""A run of more digits before a unit is no count, but a number in disguise."""

_MOBILE = re.compile(r"(?:86)?1[3-9][0-9]{9}")
_SERVICE_NUMBER = re.compile(r"(?:400|800)[0-9]{7}|95[0-9]{3,6}|17[01][0-9]{8}|16[0-9]{9}")
_ANTI_FRAUD_WITH_AREA = re.compile(r"0[0-9]{2,3}96110")
_EXTENSION = re.compile(r"[0-9]{3,}[\s,]*(?:转|分机|按|接|ext\.?)\s*[0-9]")

_APPS = (
    "微信|薇信|威信|徽信|v信|vx|wx|wechat|qq|扣扣|企鹅号|telegram|电报|飞机(?![场票航])|whatsapp|skype|"
    "钉钉|抖音"
)
_LINE = "(?<![a-z])line(?![a-z])"
"""A line is also one to call: somebody's name there follows its 号, id or 群."""
_GROUP = "(?<!人)群(?![众体])"
_ID = "(?=[a-z0-9_-]{5})[a-z0-9_-]+"
_ELSEWHERE = re.compile(
    rf"(?:添|(?<![增更])加|\+|进入?|入|拉|关注|搜索?|私信|建)[^,。]{{0,6}}?"
    rf"(?:{_APPS}|{_LINE}|[^、,]{{0,2}}{_GROUP}|好友)"
    rf"|(?:{_APPS}|{_LINE}(?=\s*(?:号|id|群)))\s*(?:号码?|群|id)?\s*[:：]?\s*{_ID}"
    r"|(?<![增参更])加我(?![县市区镇们国省])|点(?:击|开|进)?[^,]{0,6}?(?:链接|网址)"
    r"|扫(?:一扫|描|码|下方|以下|这个)|扫[^,]{0,4}码"
    r"|长按(?:识别|图片|保存)|复制(?:口令|链接|这段)|点[^,]{0,6}?蓝字|私信(?:我们|民警|登记)"
    r"|按[0-9*#]{1,2}键?(?:转|接|进入|(?=$|,))"
    r"|\b(?:add|join|contact|message|chat|call|find)\b[^,]{0,20}?(?:wechat|whatsapp|telegram|qq|group|"
    r"on line\b)"
    r"|scan (?:the|this|our)?[^,]{0,6}code"
    r"|\b(?:click|tap|open|follow)\b[^,]{0,10}?\blinks?\b"
)
_SITE = re.compile(
    f"(?:关注|搜索)[^,]{{0,10}}?(?:公众号|小程序|视频号|{QUOTED})"
    "|(?:登[录陆]|访问|进入|打开)[^,]{0,10}?(?:网站|官网|小程序|公众号|平台|(?<![上联互])网(?=[查办填登核]|,|$))"
)
"""A site or account by its name, which anybody may have taken: a person has to know it."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A number that could be dialled: its digits, and its place in the text as given."""

    digits: str
    at: int
    foreign: bool


def contacts(draft: Draft) -> Iterator[Contact]:
    """Every run of three digits or more that is no date, time, amount or count."""
    plain, places = draft.plain
    dressed = [m for kind in (_TIME, _DATE, _AMOUNT) for m in kind.finditer(plain)]
    for match in sorted([*dressed, *_RUN.finditer(plain)], key=lambda m: (m.start(), -m.end())):
        if match.re is _RUN and any(m.start() <= match.start() < m.end() for m in dressed):
            continue
        digits = re.sub("[^0-9]", "", match[0])
        if len(digits) < 3 or _is_no_number(plain, match, len(digits)):
            continue
        foreign = match[0].startswith("+") or (digits.startswith("00") and len(digits) > 6)
        yield Contact(digits, places[match.start()], foreign)


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
    before = plain[max(0, match.start() - 6) : match.start()]
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
            )
    if len(seen) > MOST_CONTACTS:
        yield Hit(
            "block",
            list(seen.values())[MOST_CONTACTS],
            f"有 {len(seen)} 个号码，运营商报备最多 {MOST_CONTACTS} 个，请删减",
            f"{len(seen)} numbers; carriers file at most {MOST_CONTACTS} a text, take some out",
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


def _is_never(contact: Contact) -> bool:
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
    found = list(disguise.links(draft.body))
    for count, link in enumerate(found):
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
        for match in _ELSEWHERE.finditer(sentence.text):
            if not excused(sentence, match.start(), match.end()):
                yield Hit(
                    "block",
                    sentence.places[match.start()],
                    f"引导到其他渠道“{match[0]}”，请删除；若是提醒，请写明“不要”或“都是骗局”",
                    f"a move to another channel ({match[0]}); take it out, or forbid it in so "
                    f"many words",
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


def in_value(value: str) -> bool:
    """Whether the value of a variable carries a way to be reached."""
    plain, _ = disguise.plain_view(value)
    joined = re.sub(r"(?<=[0-9])[\s-]+(?=[0-9])", "", plain)
    return bool(
        re.search(r"[0-9]{7,}|(?<![0-9])(?:400|800|95[0-9]{2,})[0-9]{3,}", joined)
        or _ELSEWHERE.search(joined)
    )
