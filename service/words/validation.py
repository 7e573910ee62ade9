"""What Pydantic finds wrong with a value, as a phrase: English in its own words, and Chinese."""

import re
from collections.abc import Mapping
from typing import Any

from service.words.phrase import Phrase, pair, sentence_of

_CHINESE = {
    "arguments_type": "参数的形式不对",
    "assertion_error": "不符合要求：{error}",
    "bool_parsing": "请填 true 或 false",
    "bool_type": "请填 true 或 false",
    "bytes_too_long": "最多 {max_length} 个字节",
    "bytes_too_short": "至少 {min_length} 个字节",
    "date_from_datetime_inexact": "请只填日期，不带时间",
    "date_from_datetime_parsing": "请填日期，如 2027-01-31",
    "date_parsing": "请填日期，如 2027-01-31",
    "date_type": "请填日期，如 2027-01-31",
    "datetime_from_date_parsing": "请填时间，如 2027-01-31T09:30:00+08:00",
    "datetime_object_invalid": "请填时间，如 2027-01-31T09:30:00+08:00",
    "datetime_parsing": "请填时间，如 2027-01-31T09:30:00+08:00",
    "datetime_type": "请填时间，如 2027-01-31T09:30:00+08:00",
    "dict_type": "须为 JSON 对象",
    "enum": "须为 {expected} 之一",
    "extra_forbidden": "没有这一项，请去掉",
    "finite_number": "须为有限的数",
    "float_parsing": "须为数字",
    "float_type": "须为数字",
    "frozen_set_type": "须为列表",
    "greater_than": "须大于 {gt}",
    "greater_than_equal": "不得小于 {ge}",
    "int_from_float": "须为整数，没有小数",
    "int_parsing": "须为整数",
    "int_parsing_size": "整数太大",
    "int_type": "须为整数",
    "json_invalid": "不是 JSON：{error}",
    "json_type": "须为 JSON 文本",
    "less_than": "须小于 {lt}",
    "less_than_equal": "不得大于 {le}",
    "list_type": "须为列表",
    "literal_error": "须为 {expected} 之一",
    "mapping_type": "须为 JSON 对象",
    "missing": "必须填写",
    "model_attributes_type": "须为 JSON 对象",
    "model_type": "须为 JSON 对象",
    "multiple_of": "须为 {multiple_of} 的倍数",
    "none_required": "须为空（null）",
    "set_type": "须为列表",
    "string_too_long": "最多 {max_length} 字",
    "string_too_short": "至少 {min_length} 字",
    "string_type": "须为文字",
    "string_unicode": "不是有效的 UTF-8 文字",
    "time_parsing": "请填时刻，如 09:30",
    "time_type": "请填时刻，如 09:30",
    "timezone_aware": "时间须带时区，如 +08:00",
    "timezone_naive": "时间不得带时区",
    "too_long": "最多 {max_length} 项",
    "too_short": "至少 {min_length} 项",
    "tuple_type": "须为列表",
    "union_tag_invalid": "{discriminator} 须为 {expected_tags} 之一",
    "union_tag_not_found": "须写明 {discriminator}",
    "url_parsing": "不是有效的地址",
    "url_scheme": "地址须以 {expected_schemes} 开头",
    "url_syntax_violation": "不是有效的地址",
    "url_too_long": "地址最多 {max_length} 字",
    "url_type": "须为地址",
    "uuid_parsing": "须为编号（UUID）",
    "uuid_type": "须为编号（UUID）",
}
"""By the type of an error; {…} of its context. Those of programs, not of people, are left out."""


PATTERN_EXAMPLES = {
    r"^20\d\d-Q[1-4]$": "2027-Q1",
    r"^\d\d:\d\d$": "09:30",
    r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$": "09:30",
    "^[0-9]{12}$": "341825100000",
    "^[0-9]{12}([0-9]{3})?$": "341825100001",
    "^[0-9]{1,20}$": "96110",
    "^[A-Z][0-9]{2,3}$": "T01",
    "^[a-z][a-z0-9_]{0,30}$": "fake_customer_service",
    "^[A-Z][A-Z0-9]{0,9}$": "G1",
    "^[a-z_:]{1,40}$": "send:template",
    "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    "(,[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})*$": (
        "0190f3a2-7c1d-7a44-9f32-5c6b1e0f9a11,0190f3a2-7c1d-7a44-9f32-5c6b1e0f9a12"
    ),
    r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,9}$": (
        "0190f3a2-7c1d-7a44-9f32-5c6b1e0f9a11.1"
    ),
}
"""By each pattern of the API: a value of that form. A test finds a pattern without one."""

_CHOICE = re.compile(r"\^\(([a-z_:]+(?:\|[a-z_:]+)+)\)\$")
"""A pattern that is a list of words."""


def pattern_words(pattern: str) -> str:
    """How a value is to be written, by an example or the words to choose from; never the pattern,
    which says nothing to whoever is no programmer.
    """
    if words := _CHOICE.fullmatch(pattern):
        listed = words[1].split("|")
        return pair(f"须为 {'、'.join(listed)} 之一", f"write one of {', '.join(listed)}")
    if example := PATTERN_EXAMPLES.get(pattern):
        return pair(f"格式不对，请写成 {example} 这样", f"write it like {example}")
    return pair("格式不对，请按该项的说明填写", "write it as the description of the field says")


def fault(item: Mapping[str, Any]) -> str:
    """The sentence of one error of `ValidationError.errors()`; a validator's own is kept."""
    found = item.get("ctx", {}).get("error")
    if isinstance(found, ValueError) and isinstance(said := sentence_of(found), Phrase):
        return said
    if item["type"] == "string_pattern_mismatch":
        return pattern_words(item["ctx"]["pattern"])
    english = str(item["msg"]).removeprefix("Value error, ")
    chinese = _CHINESE.get(item["type"])
    if chinese is None:
        return english
    return pair(chinese.format(**_context(item)), english)


def _context(item: Mapping[str, Any]) -> dict[str, Any]:
    """What fills the Chinese; lists of what is allowed with Chinese marks between."""
    context = dict(item.get("ctx", {}))
    for name in ("expected", "expected_tags", "expected_schemes"):
        if name in context:
            context[name] = str(context[name]).replace(" or ", "、").replace(", ", "、")
    return context
