"""A rule's text cut into tokens: the lexical half of the rule language.

Full-width signs count as their ASCII twins. 且, 或 and 属于 end a bare word, so they need no
spaces; 非 is a keyword only where a condition may begin, so that 非凡学校 stays a name.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from service.audience.segments.segment_words import SegmentError, fold
from service.words.phrase import phrase


class TokenKind(StrEnum):
    """What a token is; the value is how an error message calls it."""

    WORD = "a word"
    QUOTED = "a quoted text"
    OPERATOR = "a comparison sign"
    AND = "and / 且"
    OR = "or / 或"
    NOT = "not / 非"
    IN = "in / 属于"
    OPEN = "("
    CLOSE = ")"
    COMMA = "a comma"
    END = "the end of the rule"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `typed` as it stands in the rule, `value` as it is meant, `position` from 1."""

    kind: TokenKind
    typed: str
    value: str
    position: int


_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Full-width signs, letters and digits to ASCII, one for one, so that positions stay."""

_INVISIBLE = "\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"

_TOKEN = re.compile(
    rf"""
      (?P<space>[\s{_INVISIBLE}]+)
    | (?P<operator><=|>=|!=|<>|==|[=<>≤≥≠])
    | (?P<open>\()
    | (?P<close>\))
    | (?P<comma>[,、])
    | "(?P<doubled>(?:[^"]|"")*)"
    | [“”](?P<curly>[^“”]*)[“”]
    | '(?P<single>[^']*)'
    | [‘’](?P<curly_single>[^‘’]*)[‘’]
    | (?P<chinese>且|或|不(?=属于)|属于)
    | (?P<word>(?:(?!不?属于)[^\s()=<>!≤≥≠,、"“”'‘’且或])+)
    """,
    re.VERBOSE,
)

_SIGNS = {"==": "=", "<>": "!=", "≠": "!=", "≤": "<=", "≥": ">="}
_KEYWORDS = {
    "and": TokenKind.AND,
    "且": TokenKind.AND,
    "or": TokenKind.OR,
    "或": TokenKind.OR,
    "not": TokenKind.NOT,
    "不": TokenKind.NOT,
    "in": TokenKind.IN,
    "属于": TokenKind.IN,
}
_PLAIN = {
    "operator": TokenKind.OPERATOR,
    "open": TokenKind.OPEN,
    "close": TokenKind.CLOSE,
    "comma": TokenKind.COMMA,
}


def tokenize(text: str) -> list[Token]:
    """The tokens of a rule, the last one of kind END.

    Raises:
        SegmentError: a quotation mark is not closed, or a sign has no meaning here.
    """
    narrow = text.translate(_NARROW)
    tokens: list[Token] = []
    start = 0
    while start < len(narrow):
        match = _TOKEN.match(narrow, start)
        if match is None:
            raise _unreadable(text, start)
        end = match.end()
        if match.lastgroup == "word" and narrow[start] == "非" and _condition_may_begin(tokens):
            end = start + 1
            tokens.append(Token(TokenKind.NOT, text[start:end], "非", end))
        elif match.lastgroup != "space":
            tokens.append(_token(match, text[start:end]))
        start = end
    return [*tokens, Token(TokenKind.END, "", "", len(text) + 1)]


def _token(match: re.Match[str], typed: str) -> Token:
    group = match.lastgroup or ""
    value, position = match[group], match.start() + 1
    if group in _PLAIN:
        return Token(_PLAIN[group], typed, _SIGNS.get(value, value), position)
    if group in {"chinese", "word"}:
        return Token(_KEYWORDS.get(fold(value), TokenKind.WORD), typed, value, position)
    if group == "doubled":
        value = value.replace('""', '"')
    return Token(TokenKind.QUOTED, typed, value, position)


def _condition_may_begin(before: list[Token]) -> bool:
    if not before:
        return True
    if before[-1].kind is TokenKind.OPEN:
        return len(before) < 2 or before[-2].kind is not TokenKind.IN
    return before[-1].kind in {TokenKind.AND, TokenKind.OR, TokenKind.NOT}


def _unreadable(text: str, start: int) -> SegmentError:
    found = text[start]
    if found in "!！":
        return SegmentError(start + 1, found, phrase("!= (or not / 非 before a condition)"))
    return SegmentError(
        start + 1, found, phrase("a closing quotation mark; this one is never closed")
    )
