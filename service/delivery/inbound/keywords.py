"""What a text from a handset means (pure): an opt-out, an answer, a clue, a question, or nothing.

Opt-outs and answers count only as the whole message, so that a sentence about 退订 stops nothing:
a person reads it. Full-width forms, case, spaces and punctuation do not matter. A clue is looked
for inside the text, since a mistake there costs the police a look, and a miss may cost somebody
their savings; what is taken for a clue is never answered with advice. A text that begins with 查证
asks whether the text behind it is one of ours, whatever that says.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class InboundKind(StrEnum):
    """What a text is."""

    OPT_OUT = "opt_out"
    ANSWER = "answer"
    CLUE = "clue"
    CHECK = "check"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class TextMeaning:
    """The kind of a text; `answer` is the digit, where the text is one."""

    kind: InboundKind
    answer: int | None = None


OPT_OUTS = frozenset(
    {"R", "T", "TD", "N", "0000", "00000", "QX", "退订", "取消", "拒收", "STOP", "UNSUBSCRIBE"}
)
"""The words that end publicity, each as the whole message."""

ANSWERS = {
    "1": TextMeaning(InboundKind.ANSWER, 1),  # done, installed, will come
    "2": TextMeaning(InboundKind.ANSWER, 2),  # later, will not come
    "9": TextMeaning(InboundKind.CLUE, 9),  # somebody in my group has been cheated
}
"""The digits that our texts ask for."""

OTHER = TextMeaning(InboundKind.OTHER)

_CLUE = TextMeaning(InboundKind.CLUE)
_CHECK = re.compile(r"\W*查\s*证[^\w【]*")
_FORM = re.compile(
    r"(?:ljdxjb\s*[#:])?\s*\+?[0-9][0-9 -]{3,19}\s*[*#:].*\S", re.IGNORECASE | re.DOTALL
)
"""How people report a text to their carrier: number*content, number:content,
ljdxjb#number#content."""

_OPENING = re.compile(
    r"\W*(?:我?想?要?)(?:举报|报案|报警|线索|(?:提供|反映)(?:一[条个])?线索|爆料|报料)"
)
_CHEATED = re.compile(
    r"(?P<before>(?<!有)没有?|未|(?<!会)不会?|不能|不要|别|防止?|以防|避免|免得)?"
    r"(?:被人?骗|受骗|上当|骗走|骗了[我他她家])"
)
"""Somebody has been cheated, unless the word before says that nobody was; "会不会被骗" asks."""


def read(text: str, *, whole: bool = True) -> TextMeaning:
    """What a text means; one that is not whole, with parts missing, is no opt-out and no answer."""
    word = normal(text) if whole else ""
    if word in OPT_OUTS:
        return TextMeaning(InboundKind.OPT_OUT)
    if word in ANSWERS:
        return ANSWERS[word]
    if asked_about(text) is not None:
        return TextMeaning(InboundKind.CHECK)
    return _CLUE if _is_clue(unicodedata.normalize("NFKC", text)) else OTHER


def asked_about(text: str) -> str | None:
    """What stands behind 查证 at the head of a text: the text that its sender asks about; None: it
    does not begin so.
    """
    found = _CHECK.match(text)
    return None if found is None else text[found.end() :].strip()


def normal(text: str) -> str:
    """A text as it is compared: NFKC, upper case, no spaces, punctuation, invisible characters."""
    folded = unicodedata.normalize("NFKC", text).upper()
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "ZPC")


def _is_clue(text: str) -> bool:
    if _FORM.fullmatch(text.strip()) or _OPENING.match(text):
        return True
    return any(found["before"] is None for found in _CHEATED.finditer(text))
