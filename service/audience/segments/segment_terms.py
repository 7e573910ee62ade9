"""Rules as terms that a page can show as fields: conditions of which all must hold, and back.

A rule is of this simple form if it is one condition, or several joined by `and`, each of them a
comparison or the opposite of an equality. Other rules are for whoever writes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.audience.segments import segment_words as words
from service.audience.segments.segment import (
    MAX_COMPARISONS,
    And,
    Comparison,
    Not,
    Rule,
    canonical,
    joined,
)
from service.audience.segments.segment_words import FIELDS, Field, RuleValue, SegmentError
from service.errors import Invalid
from service.words.phrase import Phrase, Sentence, listing, phrase

EQUALITIES = ("=", "!=", "in", "not in")
ORDERS = ("<", "<=", ">", ">=")


SIGNS = {
    "=": Sentence("是", "is"),
    "!=": Sentence("不是", "is not"),
    "in": Sentence("是其中之一", "is one of"),
    "not in": Sentence("都不是", "is none of"),
    "<": Sentence("小于", "is less than"),
    "<=": Sentence("不大于", "is at most"),
    ">": Sentence("大于", "is more than"),
    ">=": Sentence("不小于", "is at least"),
}
"""What each operator is called."""

TITLES = {
    "gender": Sentence("性别", "Gender"),
    "age": Sentence("年龄", "Age"),
    "area": Sentence("区域", "Area"),
    "role": Sentence("身份", "Role"),
    "org": Sentence("单位", "Organisation"),
    "school": Sentence("学校", "School"),
    "grade": Sentence("年级", "Grade"),
    "class": Sentence("班级", "Class"),
    "college": Sentence("学院", "College"),
    "office": Sentence("科室", "Office"),
    "tag": Sentence("标签", "Tag"),
    "carrier": Sentence("运营商", "Carrier"),
    "roster": Sentence("名单", "List"),
    "department": Sentence("部门", "Department"),
    "last_sent": Sentence("距上次发送的天数", "Days since the last text"),
    "received": Sentence("收到过的批次", "Run that was received"),
    "segment": Sentence("已有人群", "Saved segment"),
}
"""What each field is called."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. operator: of `EQUALITIES`, or of `ORDERS` if the field has an order; `in` and
    `not in` take several values, the others one.
    """

    field: str
    operator: str
    values: tuple[RuleValue, ...]


def operators_of(field: Field) -> tuple[str, ...]:
    """The operators that a field takes."""
    return EQUALITIES + ORDERS if field.ordered else EQUALITIES


def compose(terms: Sequence[Term]) -> Rule:
    """The rule that means everybody for whom all of these terms hold.

    Raises:
        Invalid: by `terms.N` what is wrong with a term.
    """
    if not 0 < len(terms) <= MAX_COMPARISONS:
        problem = phrase("give 1 to {most} conditions", most=MAX_COMPARISONS)
        raise Invalid(problem, fields={"terms": problem})
    rules: list[Rule] = []
    problems: dict[str, str] = {}
    for number, term in enumerate(terms):
        try:
            rules.append(_condition(term))
        except Invalid as wrong:
            problems[f"terms.{number}"] = (
                wrong.expected if isinstance(wrong, SegmentError) else wrong.message
            )
    if problems:
        raise Invalid(phrase("conditions of the rule are wrong"), fields=problems)
    return joined(And, rules)


def terms_of(rule: Rule) -> list[Term] | None:
    """The terms of a rule of the simple form, such that `compose` makes the same rule; None: it is
    not of that form.
    """
    operands = rule.operands if isinstance(rule, And) else (rule,)
    terms = [_term(operand) for operand in operands]
    return None if None in terms else [term for term in terms if term is not None]


def text_of(terms: Sequence[Term]) -> str:
    """The rule of these terms as text; raises as `compose`."""
    return canonical(compose(terms))


def _term(rule: Rule) -> Term | None:
    match rule:
        case Comparison(field, operator, values):
            return Term(field, operator, values)
        case Not(Comparison(field, "=" | "in", values)):
            return Term(field, "not in", values)
        case _:
            return None


def _condition(term: Term) -> Rule:
    field = FIELDS.get(term.field)
    if field is None:
        raise Invalid(phrase("a field: {fields}", fields=listing(FIELDS)))
    if term.operator not in operators_of(field):
        raise Invalid(
            phrase("one of {operators}", operators=listing(operators_of(field))),
        )
    values = _distinct(field, term.values)
    if term.operator in {"in", "not in"}:
        equal = Comparison(field.name, "in" if len(values) > 1 else "=", values)
        return Not(equal) if term.operator == "not in" else equal
    if len(values) != 1:
        raise Invalid(_one_value(term.operator))
    return Comparison(field.name, term.operator, values)


def _one_value(operator: str) -> Phrase:
    return phrase("one value after {operator}; in and not in take several", operator=operator)


def _distinct(field: Field, given: Sequence[RuleValue]) -> tuple[RuleValue, ...]:
    """The values as a rule keeps them, sorted, each once."""
    read = set(_read(field, given))
    if not read:
        raise Invalid(phrase("at least one value"))
    return tuple(sorted(read, key=str))


def _read(field: Field, given: Sequence[RuleValue]) -> Iterator[RuleValue]:
    for value in given:
        yield words.read_value(field, str(value), 1)
