"""The rule language of segments: text to syntax tree, and the tree's normal form.

A rule says to whom: `身份 = 财务人员 且 年龄 >= 60`, `area = "旌阳镇" and not carrier = unicom`.
docs/segments.md is the user's page; `segment_sql` turns a tree into a condition on contacts.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from service.audience.segments import segment_words as words
from service.audience.segments.segment_tokens import Token, TokenKind, tokenize
from service.audience.segments.segment_words import RuleValue, SegmentError
from service.words.phrase import phrase

MAX_CHARACTERS = 4_000
MAX_COMPARISONS = 250
MAX_DEPTH = 32
"""How deep parentheses and negations may nest."""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """A field compared with one value, or by `in` with several.

    The values of `in` are sorted and distinct. Positions say where each value stood in the text,
    for errors that show up only later; they are no part of what the rule means.
    """

    field: str
    operator: str
    values: tuple[RuleValue, ...]
    positions: tuple[int, ...] = dataclasses.field(default=(), compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a rule."""

    operand: "Rule"


@dataclasses.dataclass(frozen=True, slots=True)
class And:
    """All of several rules, none of them an And itself."""

    operands: tuple["Rule", ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Or:
    """Any of several rules, none of them an Or itself."""

    operands: tuple["Rule", ...]


Rule: TypeAlias = Comparison | Not | And | Or


def parse(text: str, *, max_characters: int = MAX_CHARACTERS) -> Rule:
    """Read a rule.

    Args:
        text: the rule as a person or program wrote it.
        max_characters: the longest text to accept; a canonical form may be longer than what was
            typed, so whoever reads one back passes its length.

    Raises:
        SegmentError: says where, what was found and what was expected.
    """
    if len(text) > max_characters:
        expected = phrase(
            "a rule of at most {max_characters} characters", max_characters=max_characters
        )
        raise SegmentError(
            max_characters + 1, phrase("{count} characters", count=len(text)), expected
        )
    return _Parser(tokenize(text)).whole()


def canonical(rule: Rule) -> str:
    """The normal form of a rule: English names, keys as values, no needless parentheses."""
    match rule:
        case Comparison(name, operator, values):
            listed = ", ".join(map(_quoted, values))
            return (
                f"{name} {operator} ({listed})"
                if operator == "in"
                else f"{name} {operator} {listed}"
            )
        case Not(operand):
            return f"not {_bracketed(operand, And, Or)}"
        case And(operands):
            return " and ".join(_bracketed(operand, Or) for operand in operands)
        case Or(operands):
            return " or ".join(map(canonical, operands))


def comparisons(rule: Rule) -> Iterator[Comparison]:
    """All comparisons of a rule, in its order."""
    match rule:
        case Comparison():
            yield rule
        case Not(operand):
            yield from comparisons(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                yield from comparisons(operand)


def depth(rule: Rule) -> int:
    """How deep parentheses and negations nest in the normal form; at most MAX_DEPTH is read."""
    match rule:
        case Comparison():
            return 0
        case Not(operand):
            return 1 + isinstance(operand, And | Or) + depth(operand)
        case And(operands):
            return max(isinstance(operand, Or) + depth(operand) for operand in operands)
        case Or(operands):
            return max(map(depth, operands))


def _bracketed(rule: Rule, *weaker: type[And | Or]) -> str:
    return f"({canonical(rule)})" if isinstance(rule, weaker) else canonical(rule)


def _quoted(value: RuleValue) -> str:
    return str(value) if isinstance(value, int) else '"' + value.replace('"', '""') + '"'


@contextmanager
def _as_typed(token: Token) -> Iterator[None]:
    """Let a mistake name what was typed: the value of a token has its full-width signs narrowed."""
    try:
        yield
    except SegmentError as error:
        if error.found != token.value:
            raise
        typed = token.typed[1:-1] if token.kind is TokenKind.QUOTED else token.typed
        raise SegmentError(error.position, typed, error.expected, error.suggestions) from None


class _Parser:
    """Recursive descent, one method a level of precedence: or, and, not, comparison."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self._comparisons = 0

    def whole(self) -> Rule:
        rule = self._any_of()
        self._expect(
            TokenKind.END, phrase("and / 且, or / 或, or the end; a value with spaces needs quotes")
        )
        return rule

    def _any_of(self) -> Rule:
        operands = [self._all_of()]
        while self._take(TokenKind.OR):
            operands.append(self._all_of())
        return joined(Or, operands)

    def _all_of(self) -> Rule:
        operands = [self._one()]
        while self._take(TokenKind.AND):
            operands.append(self._one())
        return joined(And, operands)

    def _one(self) -> Rule:
        if token := self._take(TokenKind.NOT):
            with self._deeper(token):
                return Not(self._one())
        if token := self._take(TokenKind.OPEN):
            with self._deeper(token):
                rule = self._any_of()
            self._expect(TokenKind.CLOSE, phrase("and / 且, or / 或, or a closing parenthesis"))
            return rule
        return self._comparison()

    def _comparison(self) -> Rule:
        token = self._expect(
            TokenKind.WORD, phrase("a condition, such as role = finance or 身份 = 财务人员")
        )
        self._count(token)
        with _as_typed(token):
            subject = words.find_field(token.value, token.position)
        if sign := self._take(TokenKind.OPERATOR):
            return self._compared(subject, sign)
        negated = self._take(TokenKind.NOT)
        self._expect(
            TokenKind.IN,
            phrase(
                "one of {signs} after {label}",
                signs=_signs(subject),
                label=subject.label,
            ),
        )
        rule = self._listed(subject)
        return Not(rule) if negated else rule

    def _compared(self, subject: words.Field, sign: Token) -> Comparison:
        if sign.value not in {"=", "!="} and not subject.ordered:
            expected = phrase(
                "one of {signs}: {label} has no order",
                signs=_signs(subject),
                label=subject.label,
            )
            raise SegmentError(sign.position, sign.typed, expected)
        value, position = self._value(subject)
        return Comparison(subject.name, sign.value, (value,), (position,))

    def _listed(self, subject: words.Field) -> Comparison:
        self._expect(
            TokenKind.OPEN, phrase("an opening parenthesis, as in role in (finance, owner)")
        )
        found = [self._value(subject)]
        while self._take(TokenKind.COMMA):
            found.append(self._value(subject))
        self._expect(
            TokenKind.CLOSE,
            phrase("a comma or a closing parenthesis; a name with 且 or 或 in quotes"),
        )
        distinct = dict(sorted(found, key=lambda pair: str(pair[0])))
        operator = "in" if len(distinct) > 1 else "="
        return Comparison(subject.name, operator, tuple(distinct), tuple(distinct.values()))

    def _value(self, subject: words.Field) -> tuple[RuleValue, int]:
        token = self._take(TokenKind.QUOTED) or self._expect(
            TokenKind.WORD,
            phrase(
                "a value for {label}; quote it if it is a keyword or has signs",
                label=subject.label,
            ),
        )
        with _as_typed(token):
            return words.read_value(subject, token.value, token.position), token.position

    def _take(self, kind: TokenKind) -> Token | None:
        token = self._tokens[self._next]
        if token.kind is not kind:
            return None
        self._next += kind is not TokenKind.END
        return token

    def _expect(self, kind: TokenKind, expected: str) -> Token:
        if token := self._take(kind):
            return token
        found = self._tokens[self._next]
        raise SegmentError(found.position, found.typed, expected)

    def _count(self, token: Token) -> None:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            expected = phrase(
                "no more: a rule has at most {max_comparisons} comparisons",
                max_comparisons=MAX_COMPARISONS,
            )
            raise SegmentError(token.position, token.typed, expected)

    @contextmanager
    def _deeper(self, token: Token) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            expected = phrase(
                "less nesting: at most {max_depth} parentheses and negations deep",
                max_depth=MAX_DEPTH,
            )
            raise SegmentError(token.position, token.typed, expected)
        yield
        self._depth -= 1


def joined(kind: type[And | Or], operands: Sequence[Rule]) -> Rule:
    """One rule of several; the operands of an And within an And become its own."""
    if len(operands) == 1:
        return operands[0]
    flat: list[Rule] = []
    for operand in operands:
        flat.extend(operand.operands if isinstance(operand, kind) else [operand])
    return kind(tuple(flat))


def _signs(subject: words.Field) -> str:
    return "= != < <= > >= in" if subject.ordered else "= != in"
