"""What may fill a variable, where its text says so: `{时间:时间}`, `{事项:低保申请|高龄补贴}`.

It stands in the text, so whoever approves the text approves it. A variable that says nothing takes
any value that asks for nothing (`lint_values`), which is judged by its words and can be wrong.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

ValueKind = Literal["name", "date", "time", "number", "amount"]

Allowed = ValueKind | tuple[str, ...]
"""A kind of value, or the values themselves."""

KINDS: Mapping[str, ValueKind] = {
    "人名": "name",
    "name": "name",
    "日期": "date",
    "date": "date",
    "时间": "time",
    "time": "time",
    "数量": "number",
    "number": "number",
    "金额": "amount",
    "amount": "amount",
}
"""How a text calls the kinds."""

_DAY = (
    r"(?:20[0-9]{2}年)?(?:1[0-2]|0?[1-9])月(?:3[01]|[12][0-9]|0?[1-9])日|20[0-9]{2}-(?:1[0-2]|0[1-9])-"
    "(?:3[01]|[12][0-9]|0[1-9])|20[0-9]{2}年(?:(?:1[0-2]|0?[1-9])月)?|(?:1[0-2]|[1-9])月|(?:本|上|下)?周[一二三四五六日]|"
    "(?:3[01]|[12][0-9]|[1-9])日"
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
    "number": re.compile(rf"[0-9]{{1,6}}(?:\.[0-9]{{1,3}})?(?:{_UNIT})?"),
    "amount": re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,2}|[0-9]{1,6})(?:\.[0-9]{1,2})?元?"),
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
    """Whether a value is one of those that are named, or has the form of its kind; a name has none,
    and is judged as names are.
    """
    if isinstance(allowed, tuple):
        return value in allowed
    form = _FORMS.get(allowed)
    return form is None or form.fullmatch(value) is not None
