"""A rule in plain words, Chinese and English, for whoever approves it and does not write rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.audience.segments.segment import And, Comparison, Not, Or, Rule, comparisons
from service.audience.segments.segment_words import RuleValue
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.fields import RULE_TEXTS
from service.audience.vocabulary.roles import ROLE_TITLES, ROLES_IN_ENGLISH
from service.words.phrase import Sentence


@dataclass(frozen=True, slots=True)
class Explanation:
    """The same rule in two languages."""

    english: str
    chinese: str


@dataclass(frozen=True, slots=True)
class _Tongue:
    """What a language needs.

    phrases: each field, said and denied; texts of lists have one form, unless one has its own.
    orders: the phrases of <, <=, > and >=. words: how a field's keys are called.
    either, both: join conditions. any_of: joins values.
    """

    opening: str
    phrases: dict[str, tuple[str, str]]
    orders: dict[str, dict[str, str]]
    words: dict[str, Mapping[str, str]]
    either: str
    both: str
    any_of: str
    denial: str
    brackets: tuple[str, str]
    unclear: str
    end: str


_ENGLISH = _Tongue(
    opening="Everybody who ",
    phrases={
        **{
            name: (f"has an entry of the {name} {{}}", f"has no entry of the {name} {{}}")
            for name in RULE_TEXTS
        },
        "area": ("lives in {} or within it", "does not live in {} or within it"),
        "role": ("is listed as {}", "is not listed as {}"),
        "org": ("belongs to {}", "does not belong to {}"),
        "gender": ("is {}", "is not known to be {}"),
        "age": ("is {} years old", "is not {} years old"),
        "carrier": ("is a customer of {}", "is not a customer of {}"),
        "roster": ("is on the roster {}", "is not on the roster {}"),
        "department": ("is held by the department {}", "is not held by the department {}"),
        "tag": ("has the tag {}", "does not have the tag {}"),
        "last_sent": (
            "got the last text of this department {} days ago",
            "did not get the last text of this department {} days ago",
        ),
        "received": ("received a text of the run {}", "received no text of the run {}"),
        "segment": ("is in the segment {}", "is not in the segment {}"),
    },
    orders={
        "age": {
            "<": "is younger than {} years",
            "<=": "is {} years old or younger",
            ">": "is older than {} years",
            ">=": "is {} years old or older",
        },
        "last_sent": {
            "<": "got the last text of this department less than {} days ago",
            "<=": "got the last text of this department at most {} days ago",
            ">": "got the last text of this department more than {} days ago, or never one",
            ">=": "got the last text of this department {} or more days ago, or never one",
        },
    },
    words={
        "role": ROLES_IN_ENGLISH,
        "carrier": {key: key.replace("china_", "China ").title() for key in CARRIERS},
        "gender": {"f": "female", "m": "male"},
    },
    either=", or ",
    both=", and ",
    any_of=" or ",
    denial="does not fit this: ",
    brackets=("(", ")"),
    unclear=" Of whom the age band cannot tell is left out and counted.",
    end=".",
)

_CHINESE = _Tongue(
    opening="满足以下条件的人：",
    phrases={
        **{
            name: (f"{text.chinese}是{{}}", f"{text.chinese}不是{{}}")
            for name, text in RULE_TEXTS.items()
        },
        "area": ("区域属于{}（含下辖）", "区域不属于{}（含下辖）"),
        "role": ("身份是{}", "身份不是{}"),
        "gender": ("性别为{}", "性别不为{}或未知"),
        "age": ("年龄为{}岁", "年龄不为{}岁"),
        "carrier": ("运营商是{}", "运营商不是{}"),
        "roster": ("在名单{}中", "不在名单{}中"),
        "department": ("所属部门是{}", "所属部门不是{}"),
        "tag": ("有标签{}", "没有标签{}"),
        "last_sent": ("本部门最近一次发送在{}天前", "本部门最近一次发送不在{}天前"),
        "received": ("已收到发送{}的短信", "未收到发送{}的短信"),
        "segment": ("符合名单规则{}", "不符合名单规则{}"),
    },
    orders={
        "age": {
            "<": "年龄小于{}岁",
            "<=": "年龄不大于{}岁",
            ">": "年龄大于{}岁",
            ">=": "年龄不小于{}岁",
        },
        "last_sent": {
            "<": "本部门最近一次发送不足{}天",
            "<=": "本部门最近一次发送不超过{}天",
            ">": "本部门最近一次发送超过{}天，或从未发送",
            ">=": "本部门最近一次发送已满{}天，或从未发送",
        },
    },
    words={
        "role": ROLE_TITLES,
        "carrier": {key: names.split()[0] for key, names in CARRIERS.items()},
        "gender": {"f": "女", "m": "男"},
    },
    either="，或者",
    both="，并且",
    any_of="或",
    denial="不满足",
    brackets=("（", "）"),
    unclear="年龄段无法判断的人不发送，单独计数。",
    end="。",
)


def explain(rule: Rule, area_name: Callable[[str], str]) -> Explanation:
    """A rule in words; `area_name` is how an area that a rule names is called in full."""
    return Explanation(
        *(_RuleTeller(tongue, area_name).told(rule) for tongue in (_ENGLISH, _CHINESE))
    )


def called(field: str, key: str) -> Sentence:
    """What a value of a field is called in both languages; as it is, where it has no words."""
    return Sentence(
        _CHINESE.words.get(field, {}).get(key, key), _ENGLISH.words.get(field, {}).get(key, key)
    )


class _RuleTeller:
    def __init__(self, tongue: _Tongue, area_name: Callable[[str], str]) -> None:
        self._tongue = tongue
        self._area_name = area_name

    def told(self, rule: Rule) -> str:
        tongue = self._tongue
        asks_age = any(one.field == "age" for one in comparisons(rule))
        sentence = f"{tongue.opening}{self._clause(rule)}{tongue.end}"
        return sentence + tongue.unclear if asks_age else sentence

    def _clause(self, rule: Rule) -> str:
        match rule:
            case Comparison():
                return self._condition(rule, denied=False)
            case Not(Comparison() as operand) if operand.operator in {"=", "!=", "in"}:
                return self._condition(operand, denied=True)
            case Not(operand):
                return self._tongue.denial + self._bracketed(operand)
            case And(operands):
                return self._tongue.both.join(
                    self._bracketed(one) if isinstance(one, Or) else self._clause(one)
                    for one in operands
                )
            case Or(operands):
                return self._tongue.either.join(
                    self._bracketed(one) if isinstance(one, And) else self._clause(one)
                    for one in operands
                )

    def _bracketed(self, rule: Rule) -> str:
        opening, closing = self._tongue.brackets
        return f"{opening}{self._clause(rule)}{closing}"

    def _condition(self, comparison: Comparison, *, denied: bool) -> str:
        orders = self._tongue.orders.get(comparison.field, {})
        phrase = orders.get(comparison.operator)
        if phrase is None:
            negated = denied != (comparison.operator == "!=")
            phrase = self._tongue.phrases[comparison.field][negated]
        values = [self._word(comparison.field, value) for value in comparison.values]
        return phrase.format(self._tongue.any_of.join(values))

    def _word(self, field: str, value: RuleValue) -> str:
        if field == "area":
            return self._area_name(str(value))
        known = self._tongue.words.get(field, {}).get(str(value))
        if known is not None:
            return known
        is_plain = isinstance(value, int) or field == "received"
        return str(value) if is_plain else f"“{value}”"
