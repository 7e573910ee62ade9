"""What may be stored as a person's name: import rules §6.

A name is mended where its typing is at fault, and refused where the cell holds something else: a
number, a link, an account. Refusing the name never refuses the row.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from unicodedata import category

from service.audience.cells import CJK, WHITE, is_blank, is_formula, squeeze, text_form

LONGEST = 20
_CACHED_NAMES = 16_384
_NO_NAME = frozenset({"测试", "test", "匿名"})
_TITLE_WORDS = "主任 书记 局长 经理 老师 会计 科长 镇长 村长 校长 院长 所长 站长 组长 老板"
_TITLES = tuple(_TITLE_WORDS.split())
_PLAIN = re.compile("[\u4e00-\u9fff]{2,4}")
_DOT = re.compile(f"[•‧・∙⋅]|(?<=[{CJK}])\\.(?=[{CJK}])")
_HAS_CJK = re.compile(f"[{CJK}]")
_CONTACT_DETAILS = re.compile(
    r"[0-9]{3}|://|www\.|[a-z0-9-]+\.[a-z]{2,}|@|微信|薇信|V信|QQ|扣扣|加V|VX", re.IGNORECASE
)
_ALLOWED = "0123456789 ·'’-.()"


class Name(NamedTuple):
    """The name to store ("" for none), the codes of what was mended, and of what to warn of."""

    value: str = ""
    fixes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@lru_cache(_CACHED_NAMES)
def read_name(cell: str) -> Name:
    """The name in a cell of a mapped name column."""
    text = text_form(cell)
    formula = ("csv_injection",) if is_formula(cell, text) else ()
    if is_blank(text) or text.lower() in _NO_NAME:
        return Name(warnings=("name_missing", *formula))
    name = text if _PLAIN.fullmatch(text) else _mend(text)
    if _is_refused(name):
        return Name(warnings=("name_refused", *formula))
    title = ("name_title",) if name.endswith(_TITLES) else ()
    cleaned = ("name_cleaned",) if name != cell.strip(WHITE) else ()
    return Name(name, cleaned, title + formula)


def _mend(text: str) -> str:
    dotted = _DOT.sub("·", text)
    return squeeze(dotted, "" if _HAS_CJK.search(dotted) else " ")


def _is_refused(name: str) -> bool:
    if len(name) > LONGEST or _CONTACT_DETAILS.search(name):
        return True
    return not (_PLAIN.fullmatch(name) or all(map(_may_stand_in_name, name)))


def _may_stand_in_name(char: str) -> bool:
    return char in _ALLOWED or category(char)[0] in "LM"
