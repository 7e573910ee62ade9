"""Lint: how an official text is told apart from a scam. Each rule is one function in `RULES`.

Here are the rules on form: signature, links, length, disguise, variables. A `block` finding cannot
be approved; a `warn` finding can. Lint never replaces the second approver.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

from service.coding import parts
from service.messages import disguise, template

Level = Literal["block", "review", "warn"]

SHORTEST_SIGNATURE, LONGEST_SIGNATURE = 2, 12
ONE_PART, MOST_PARTS = 1, 3

_SIGNATURE = re.compile(r"【([^【】]*)】")
_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")
_NEUTRAL = re.compile(
    "(?:温馨|友情|安全|反诈|官方|系统|重要|紧急|短信)?(?:提示|提醒|通知|公告|预警|宣传)"
    "|(?:在线|官方|人工)?客服(?:中心)?|官方"
)
"""A signature that names nobody who could be asked."""

_TEST_WORD = re.compile(r"测试|test", re.IGNORECASE)
_DIGITS_JOINED = re.compile(r"(?<=[0-9])[\s-]+(?=[0-9])")
_CONTACT = re.compile(
    r"[0-9]{7,}|(?<![0-9])(?:400|800|95[0-9]{2,})[0-9]{3,}"
    r"|(?:加|\+)\s*(?:微信|薇信|v信|vx|wx|qq|群)|(?:微信|薇信|v信|qq)\s*号?\s*[:：]?\s*[a-z0-9]{5,}"
    r"|telegram|扫码",
    re.IGNORECASE,
)
"""A way to be reached, which has no place in the value of a variable."""


class Finding(TypedDict):
    """What a rule found; `at` is the character of the text as it was given, counted from 1."""

    rule: str
    level: Level
    message: str
    at: int


class Hit(NamedTuple):
    """What a rule function yields; `at` counts from 0."""

    level: Level
    at: int
    chinese: str
    english: str


@dataclass(frozen=True, slots=True)
class Draft:
    """The text under lint.

    text: as it was given, perhaps with variables.
    values: of the variables, or None for a template that is filled later.
    body: the text with the given values in their places.
    origins: where in `text` each character of `body`, and its end, comes from.
    """

    text: str
    values: Mapping[str, str] | None
    body: str
    origins: tuple[int, ...]


Rule = Callable[[Draft], Iterator[Hit]]


def lint(text: str, values: Mapping[str, str] | None = None) -> list[Finding]:
    """All findings on a text, in the order of the rules; never raises.

    Args:
        text: the template or the whole text.
        values: of its variables; None lints the template itself, its length at the worst case.
    """
    draft = _draft(text, values)
    return [
        Finding(rule=name, level=h.level, message=f"{h.chinese} / {h.english}", at=h.at + 1)
        for name, rule in RULES.items()
        for h in rule(draft)
    ]


def _draft(text: str, values: Mapping[str, str] | None) -> Draft:
    body: list[str] = []
    origins: list[int] = []
    done = 0
    for slot in template.slots(text):
        if value := (values or {}).get(slot.variable):
            body += text[done : slot.start] + value
            origins += [*range(done, slot.start), *[slot.start] * len(value)]
            done = slot.end
    body += text[done:]
    origins += range(done, len(text) + 1)
    return Draft(text, values, "".join(body), tuple(origins))


def signature(draft: Draft) -> Iterator[Hit]:
    """R01: exactly one signature at the very start, and it names a sender."""
    match = _SIGNATURE.match(draft.body)
    if match is None:
        yield Hit(
            "block",
            0,
            "开头缺少签名，请以“【单位名称】”开头",
            "no signature at the very start; begin with 【the sender's name】",
        )
        return
    for chinese, english in _signature_faults(match[1]):
        yield Hit("block", 0, f"签名“{match[1]}”{chinese}", f"the signature {english}")
    if "{" in draft.text[: draft.origins[match.end()]]:
        yield Hit(
            "block",
            0,
            "签名含变量，请直接写单位名称",
            "a variable in the signature; write the name",
        )
    if extra := re.search("[【】]", draft.body[match.end() :]):
        yield Hit(
            "block",
            draft.origins[match.end() + extra.start()],
            "只能有一个签名，正文请勿再用【】，可改用“”",
            "only one signature; use “” instead of 【】 in the text",
        )


def _signature_faults(name: str) -> Iterator[tuple[str, str]]:
    if not SHORTEST_SIGNATURE <= len(name) <= LONGEST_SIGNATURE:
        limits = f"{SHORTEST_SIGNATURE}–{LONGEST_SIGNATURE}"
        yield (
            f"为 {len(name)} 字，请用 {limits} 字的单位简称",
            f"has {len(name)} characters; use a short name of {limits}",
        )
    if not _CHINESE.search(name):
        yield "不含汉字，请写单位的中文名称", "has no Chinese character; write the Chinese name"
    if _NEUTRAL.fullmatch(name):
        yield "没有说明是哪个单位，请写单位名称", "names nobody; write the name of the sender"
    if _TEST_WORD.search(name):
        yield "含“测试”字样，请写单位名称", "says test; write the name of the sender"


def links(draft: Draft) -> Iterator[Hit]:
    """R05: no URL, domain, e-mail or IP address."""
    for found in disguise.links(draft.body):
        yield Hit(
            "block",
            draft.origins[found.start],
            f"含链接、域名、邮箱或IP“{found.what}”，请删除，改为请对方拨打官方电话；"
            "若是英文句号，请在其后加空格",
            f"a link, domain, e-mail or IP address ({found.what}); take it out and name an"
            " official number; after an English full stop leave a space",
        )


def length(draft: Draft) -> Iterator[Hit]:
    """R15: one part is best, two or three are paid for twice or three times, more is too long."""
    given = {name: value for name, value in (draft.values or {}).items() if value.strip()}
    whole = template.render(draft.text, {**template.worst_values(draft.text), **given})
    count = template.characters(whole)
    if count > template.MAX_CHARACTERS:
        yield Hit(
            "block",
            0,
            f"全文 {count} 字，请减到 {template.MAX_CHARACTERS} 字以内",
            f"{count} characters; shorten the text to at most {template.MAX_CHARACTERS}",
        )
        return
    _, part_count = parts.count(whole)
    if part_count > ONE_PART:
        yield Hit(
            "block" if part_count > MOST_PARTS else "warn",
            0,
            f"最长 {count} 字，分 {part_count} 条发送，宜在 70 字以内，最多 {MOST_PARTS} 条",
            f"up to {count} characters, sent in {part_count} parts; best are 70, and at most"
            f" {MOST_PARTS} parts",
        )


def hidden(draft: Draft) -> Iterator[Hit]:
    """R16: no disguise."""
    for kind, found in disguise.disguises(draft.body):
        yield Hit(
            "block",
            draft.origins[found.start],
            f"{kind.chinese}：{found.what}",
            f"{kind.english}: {found.what}",
        )


def filled(draft: Draft) -> Iterator[Hit]:
    """R17: variables are well written, filled, short, and carry nothing that the text may not."""
    for problem in template.variable_problems(draft.text):
        yield Hit("block", problem.at - 1, problem.chinese, problem.english)
    yield from _variables_at_the_ends(draft.text)
    if draft.values is None:
        return
    seen = set()
    for slot in template.slots(draft.text):
        if slot.variable and slot.variable not in seen:
            seen.add(slot.variable)
            value = draft.values.get(slot.variable, "")
            for chinese, english in _value_faults(value):
                yield Hit(
                    "block",
                    slot.start,
                    f"变量“{slot.variable}”{chinese}",
                    f"the variable {slot.variable} {english}",
                )


def _variables_at_the_ends(text: str) -> Iterator[Hit]:
    places = template.slots(text)
    if places and not text[: places[0].start].strip():
        yield Hit(
            "block",
            places[0].start,
            "不能以变量开头，请先写签名",
            "the text begins with a variable; begin with the signature",
        )
    if places and not text[places[-1].end :].strip():
        yield Hit(
            "block",
            places[-1].start,
            "不能以变量结尾，请在其后加上文字或句号",
            "the text ends with a variable; add words or a full stop after it",
        )


def _value_faults(value: str) -> Iterator[tuple[str, str]]:
    if not value.strip():
        yield "没有值，请填写或从文中删去", "has no value; give one or take it out of the text"
        return
    if len(value) > template.MAX_VALUE:
        yield (
            f"的值有 {len(value)} 字，请减到 {template.MAX_VALUE} 字以内",
            f"has a value of {len(value)} characters; use at most {template.MAX_VALUE}",
        )
    if re.search("[{}【】]", value):
        yield "的值含括号 {} 或 【】，请删除", "has a value with {} or 【】; take them out"
    if any(disguise.links(value)):
        yield "的值含链接或域名，请删除", "has a value with a link; take it out"
    if any(disguise.disguises(value)):
        yield (
            "的值含伪装字符，请改为普通文字",
            "has disguised characters in its value; use plain ones",
        )
    if _CONTACT.search(_DIGITS_JOINED.sub("", value)):
        yield "的值含联系方式，请删除", "has a number or account in its value; take it out"


RULES: Mapping[str, Rule] = {
    "R01": signature,
    "R05": links,
    "R15": length,
    "R16": hidden,
    "R17": filled,
}
"""Every rule by its number in the order in which findings are listed."""
