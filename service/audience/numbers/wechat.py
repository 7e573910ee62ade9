"""WeChat IDs (微信号) as lists say them: what is one, and the masked form (pure)."""

import re

from service.audience.numbers.number import read_cell
from service.audience.numbers.prefix import Prefixes
from service.audience.vocabulary.cells import is_blank, masked, text_form

_ID = re.compile("[A-Za-z][A-Za-z0-9_-]{5,19}")
_NUMBER = re.compile("[0-9]{11}")


def read_wechat(cell: str, prefixes: Prefixes) -> str | None:
    """The WeChat ID of a cell; "" if it says none, None if what it says is none.

    An ID has 6 to 20 letters, digits, underscores or hyphens and begins with a letter, as WeChat
    says where a person sets it (我, then 个人信息, then 微信号). People are also found by their
    mobile number, so such a number stands for an ID; it is kept as its 11 digits.
    """
    text = text_form(cell)
    if is_blank(text):
        return ""
    if _ID.fullmatch(text):
        return text
    numbers = read_cell(text, prefixes).numbers
    return numbers[0] if len(numbers) == 1 else None


def masked_wechat(wechat: str) -> str:
    """A WeChat ID as people may see it: a number as any other, of an ID the first and the last two
    characters.
    """
    if not wechat or _NUMBER.fullmatch(wechat):
        return masked(wechat)
    return wechat[:1] + "*" * (len(wechat) - 3) + wechat[-2:]
