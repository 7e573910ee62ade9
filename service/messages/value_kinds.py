"""What may fill a variable, where its text says so: `{时间:时间}`, `{事项:低保申请|高龄补贴}`.

It stands in the text, so whoever approves the text approves it. A variable that says nothing takes
any value that asks for nothing (`lint_values`), which is judged by its words and can be wrong.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from service.words.phrase import Sentence

ValueKind = Literal["name", "place", "date", "time", "period", "number", "amount", "frauds"]

Allowed = ValueKind | tuple[str, ...]
"""A kind of value, or the values themselves."""

KINDS: Mapping[str, ValueKind] = {
    "人名": "name",
    "name": "name",
    "地名": "place",
    "place": "place",
    "日期": "date",
    "date": "date",
    "时间": "time",
    "time": "time",
    "周期": "period",
    "period": "period",
    "数量": "number",
    "number": "number",
    "金额": "amount",
    "amount": "amount",
    "诈骗类型": "frauds",
    "frauds": "frauds",
}
"""How a text calls the kinds."""

KIND_WORDS: Mapping[ValueKind, Sentence] = {
    "name": Sentence("人名，如 王建国", "a person's name, such as 王建国"),
    "place": Sentence(
        "名称，不含号码和请求",
        "the name of a place or group, with no number and no request",
    ),
    "date": Sentence("日期，如 11月30日", "a day, such as 11月30日"),
    "time": Sentence("时间，如 9:30", "a time, such as 9:30"),
    "period": Sentence("周期，如 1月10日至16日、本周", "a period, such as 1月10日至16日 or 本周"),
    "number": Sentence("数量，如 12 或 3.5", "a number, such as 12 or 3.5"),
    "amount": Sentence(
        "金额，如 35.6、1,280元、86万元 或 1.2亿元",
        "an amount, such as 35.6, 1,280元, 86万元 or 1.2亿元",
    ),
    "frauds": Sentence(
        "诈骗类型，用顿号隔开，如 刷单返利、虚假征信",
        "kinds of fraud with 、 between them, such as 刷单返利、虚假征信",
    ),
}
"""What fills a variable of each kind, in Chinese and in English."""

_FRAUDS = """
    刷单返利 刷单 虚假投资理财 投资 虚假购物服务 冒充客服 网购退赔 退赔 虚假贷款 网贷 虚假征信 征信
    冒充领导熟人 冒充领导 冒充熟人 冒充公检法 冒充政府机关 网络婚恋交友 婚恋交友 游戏交易 机票退改签
    退改签 冒充老师 养老诈骗 养老 两卡 AI换脸 钓鱼短信 高薪招聘 虚假中奖 冒充军警采购
"""
FRAUDS = tuple(_FRAUDS.split())
"""The kinds of fraud by their names and by the words that bulletins use, after the list that the
Ministry of Public Security publishes.
"""

_DAY = (
    r"(?:20[0-9]{2}年)?(?:1[0-2]|0?[1-9])月(?:3[01]|[12][0-9]|0?[1-9])日|20[0-9]{2}-(?:1[0-2]|0[1-9])-"
    "(?:3[01]|[12][0-9]|0[1-9])|20[0-9]{2}年(?:(?:1[0-2]|0?[1-9])月)?|(?:1[0-2]|[1-9])月|(?:本|上|下)?周[一二三四五六日]|"
    "(?:3[01]|[12][0-9]|[1-9])日"
)
_COUNT = "[0-9一二两三四五六七八九十]{1,3}"
_LASTING = (
    f"(?:20[0-9]{{2}}年)?第{_COUNT}(?:周|季度|期)|[本上]个?(?:周|月|季度|年|半年)|[上下]半年|近{_COUNT}(?:天|日|周|个月)|"
    "(?:20[0-9]{2}年)?(?:1[0-2]|[1-9])月?(?:[至到~-](?:1[0-2]|[1-9])月)|20[0-9]{2}年(?:[上下]半年|[一二三四]季度)|一周"
)
_HALF = "上午|下午|中午|晚上|早上"
_CLOCK = f"(?:{_HALF})?(?:2[0-4]|1[0-9]|0?[0-9])" + "(?::[0-5][0-9]|[点时](?:[0-5]?[0-9]分|半)?)"
_UNIT = (
    "个|件|份|张|次|人|名|户|天|日|小时|分钟|月|年|周|岁|元|度|吨|方|斤|公斤|套|台|辆|本|册|项|期|号|室|楼|层|栋|幢|栏|%|"
    "立方米|平方米|米|公里|分|学时"
)
_FORMS: Mapping[ValueKind, re.Pattern[str]] = {
    "date": re.compile(f"(?:{_DAY})(?:[至到~-](?:{_DAY}))?"),
    "time": re.compile(
        f"(?:{_DAY})? ?(?:(?:{_CLOCK})(?:[至到~-](?:{_CLOCK}))?|{_HALF})|(?:{_DAY})"
    ),
    "period": re.compile(f"(?:{_DAY})(?:[至到~-](?:{_DAY}))?|{_LASTING}"),
    "frauds": re.compile(f"(?:{'|'.join(FRAUDS)})(?:、(?:{'|'.join(FRAUDS)}))*"),
    "number": re.compile(rf"[0-9]{{1,6}}(?:\.[0-9]{{1,3}})?(?:{_UNIT})?"),
    "amount": re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,2}|[0-9]{1,6})(?:\.[0-9]{1,2})?[万亿]?元?"),
}
_TYPED = re.compile(r"([^:：]+)[:：](.+)", re.DOTALL)


@lru_cache(1024)
def read_variable(inside: str) -> tuple[str, Allowed | None]:
    """The name of a variable, and what may fill it; None: its text does not say.

    What stands behind a colon and is neither a kind nor a choice belongs to the name, as ever.
    """
    typed = _TYPED.fullmatch(inside.strip())
    if typed is None:
        return inside.strip(), None
    name, said = typed[1].strip(), typed[2].strip()
    if "|" in said:
        return name, tuple(one.strip() for one in said.split("|"))
    if said in KINDS:
        return name, KINDS[said]
    return inside.strip(), None


def fits(value: str, allowed: Allowed) -> bool:
    """Whether a value is one of those that are named, or has the form of its kind; the name of a
    person or place has none, and is judged as such names are.
    """
    if isinstance(allowed, tuple):
        return value in allowed
    form = _FORMS.get(allowed)
    return form is None or form.fullmatch(value) is not None


def longest_of(allowed: Allowed, most: int) -> int:
    """How many characters a value has at most that is one of those named, or of this kind.

    most: what holds for a kind without a bound of its own.
    """
    if isinstance(allowed, tuple):
        return max(map(len, allowed))
    return _LONGEST.get(allowed, most)


_LONGEST: Mapping[ValueKind, int] = {"number": 6 + 4 + 3, "amount": 11 + 3 + 2}
"""Figures, what stands behind the point, and the longest unit."""
