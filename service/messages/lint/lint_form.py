"""Lint on the form of a text: signature (R01, R02), length, disguise, variables, opt-out tail."""

import re
from collections.abc import Iterator

from service.coding import parts
from service.ledger.message_class import WARNING
from service.messages import template
from service.messages.lint import lint_contacts, obfuscation
from service.messages.lint.draft import Draft, Hit
from service.messages.policy import Policy, TextSender
from service.messages.value_sources import PERSON_VARIABLES

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


def registered(draft: Draft) -> Iterator[Hit]:
    """R02: the signature is registered for the sender; names of authorities are theirs alone."""
    match = _SIGNATURE.match(draft.body)
    if match is None or draft.sender is None:
        return
    name = match[1]
    if name not in draft.sender.signatures:
        yield Hit(
            "block",
            0,
            f"签名“{name}”未登记给本单位或所用通道，请改用已登记的签名，或由县里登记",
            "the signature is not registered for the department or a channel of it; use one that "
            "is,"
            " or have the county register it",
        )
    for word in others_names(name, draft.sender, draft.policy):
        yield Hit(
            "block",
            0,
            f"签名含“{word}”，只有该类单位可用",
            f"the signature says {word}, which is for such authorities alone",
        )


def others_names(signature: str, sender: TextSender, policy: Policy) -> list[str]:
    """The protected names in a signature, as the eye takes it, by which this sender may not be
    called.
    """
    seen = obfuscation.name_as_seen(signature)
    return [
        word
        for word in sorted(policy.protected_names)
        if obfuscation.name_as_seen(word) in seen and not _may_be_called(sender, word)
    ]


_OF_THE_POLICE = {"公安", "反诈中心"}


def _may_be_called(sender: TextSender, word: str) -> bool:
    """The county's own office registers names, and may send in the name of its authorities."""
    if sender.kind == "county" or (sender.kind == "police" and word in _OF_THE_POLICE):
        return True
    return word in sender.tenant


def length(draft: Draft) -> Iterator[Hit]:
    """R15: one part is best, two or three are paid for twice or three times, more is too long."""
    given = {name: value for name, value in (draft.values or {}).items() if value.strip()}
    longest = draft.audience.longest if draft.audience else {}
    whole = template.render(draft.text, {**template.worst_values(draft.text), **longest, **given})
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
    for kind, found in obfuscation.disguises(draft.body):
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
    yield from _missing_among_readers(draft)
    if draft.values is None:
        yield from _free_variables(draft.text)
        return
    seen = set()
    for slot in template.slots(draft.text):
        if slot.variable and slot.variable not in seen:
            seen.add(slot.variable)
            value = draft.values.get(slot.variable, "")
            for chinese, english in _value_faults(draft, slot.variable, value):
                yield Hit(
                    "block",
                    slot.start,
                    f"变量“{slot.variable}”{chinese}",
                    f"the variable {slot.variable} {english}",
                )


def _free_variables(text: str) -> Iterator[Hit]:
    seen = set(PERSON_VARIABLES)
    for slot in template.slots(text):
        if slot.variable and slot.allowed is None and slot.variable not in seen:
            seen.add(slot.variable)
            yield Hit(
                "warn",
                slot.start,
                f"变量“{slot.variable}”可填入任何内容，且无人审阅；建议写明类型或可选值，如"
                f" {{{slot.variable}:日期}}、{{{slot.variable}:甲|乙}}",
                f"anything may fill the variable {slot.variable}, and nobody reads it; say of which"
                f" kind it is, as in {{{slot.variable}:date}}, or what it may be,"
                f" {{{slot.variable}:A|B}}",
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


def _missing_among_readers(draft: Draft) -> Iterator[Hit]:
    if draft.audience is None:
        return
    people, places = draft.audience.people, template.slots(draft.text)
    for variable, count in draft.audience.missing.items():
        at = next((slot.start for slot in places if slot.variable == variable), None)
        if at is not None:
            yield Hit(
                "block",
                at,
                f"变量“{variable}”有 {count} 人（共 {people} 人）没有值，请补全名单、"
                "缩小范围或从文中删去",
                f"the variable {variable} has no value for {count} of {people} people; complete"
                " the list, mean fewer by the rule, or take it out of the text",
            )


def _value_faults(draft: Draft, variable: str, value: str) -> Iterator[tuple[str, str]]:
    if not value.strip():
        yield "没有值，请填写或从文中删去", "has no value; give one or take it out of the text"
        return
    if len(value) > (most := template.longest_value(variable)):
        yield (
            f"的值有 {len(value)} 字，请减到 {most} 字以内",
            f"has a value of {len(value)} characters; use at most {most}",
        )
    if re.search("[{}【】]", value):
        yield "的值含括号 {} 或 【】，请删除", "has a value with {} or 【】; take them out"
    if any(obfuscation.links(value)):
        yield "的值含链接或域名，请删除", "has a value with a link; take it out"
    if any(obfuscation.disguises(value)):
        yield (
            "的值含伪装字符，请改为普通文字",
            "has disguised characters in its value; use plain ones",
        )
    if lint_contacts.in_value(draft, value):
        yield "的值含联系方式，请删除", "has a number or account in its value; take it out"


TAILS = ("拒收请回复R", "退订回T")
"""The opt-out words that gateways accept, at the very end."""

_TAIL = re.compile(
    r"(?:拒收|退订)[^,，。；;]{0,6}?(?:回复?|发送?|按)[^,，。；;]{0,3}?[a-z0-9]{1,4}|"
    r"reply (?:stop|r|t|td)\b"
)


def opt_out(draft: Draft) -> Iterator[Hit]:
    """R22: at most one opt-out tail, at the end, in approved words, none in a warning."""
    plain, places = draft.plain
    found = list(_TAIL.finditer(plain))
    for count, match in enumerate(found):
        if draft.message_class == WARNING:
            fault = ("预警不带退订语，请删除", "a warning carries no opt-out words; take them out")
        elif count:
            fault = (
                "退订语多于一处，请只留末尾一处",
                "opt-out words more than once; leave the last",
            )
        elif plain[match.end() :].strip(" 。.;!"):
            fault = ("退订语不在末尾，请移到最后", "opt-out words not at the end; move them there")
        elif match[0] not in {tail.lower() for tail in TAILS}:
            approved = "、".join(TAILS)
            fault = (f"退订语请写成{approved}", f"write the opt-out words as {' or '.join(TAILS)}")
        else:
            continue
        yield Hit("warn", places[match.start()], *fault)
