"""The words of the rule language: fields, values and keywords, in Chinese and English.

A rule keeps what a word means (`finance`, `china_mobile`, `f`), never how somebody spelled it.
Free text (an organisation, a school) is compared in its folded form, see `fold`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from uuid import UUID

from service.audience.vocabulary.cells import squeeze, text_form
from service.audience.vocabulary.choices import CARRIERS
from service.audience.vocabulary.fields import RULES_OF_FIELDS, Kind, RuleWords
from service.audience.vocabulary.roles import ROLES
from service.errors import Invalid
from service.words.phrase import listing, phrase

RuleValue = str | int
"""A value as a rule keeps it: a key, a folded text, a run's id, or an age in years."""


def fold(text: str) -> str:
    """The form in which words are compared: no width, case, spaces or invisible characters."""
    return squeeze(text_form(squeeze(text_form(text)).lower()))


class SegmentError(Invalid):
    """A rule that cannot be read.

    position: of the offending character, counted from 1; one past the end if something is missing.
    found: what stands there, as it was typed; empty at the end of the rule.
    expected: what could stand there.
    suggestions: the nearest words that would be understood, best first.
    """

    code = "segment_rule"

    def __init__(
        self, position: int, found: str, expected: str, suggestions: Iterable[str] = ()
    ) -> None:
        self.position = position
        self.found = found
        self.expected = expected
        self.suggestions = tuple(suggestions)
        seen = phrase("found {found}", found=found) if found else phrase("the rule ends here")
        nearest = (
            phrase("; did you mean {suggestions}?", suggestions=listing(self.suggestions))
            if self.suggestions
            else ""
        )
        sentence = phrase(
            "character {position}: {seen}, expected {expected}{nearest}",
            position=position,
            seen=seen,
            expected=expected,
            nearest=nearest,
        )
        super().__init__(sentence, fields={"rule": sentence})

    def details(self) -> Mapping[str, object]:
        """`fields`, `position`, `expected` and `suggestions`."""
        return {
            **super().details(),
            "position": self.position,
            "expected": self.expected,
            "suggestions": list(self.suggestions),
        }


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a person; `codes` maps each folded word of a closed list to its key."""

    name: str
    chinese: str
    kind: Kind
    codes: Mapping[str, str]

    @property
    def label(self) -> str:
        """Both names, for messages."""
        return f"{self.name} ({self.chinese})"

    @property
    def ordered(self) -> bool:
        """Whether one value can be less than another."""
        return self.kind in {Kind.AGE, Kind.DAYS}


def _codes(table: Mapping[str, str]) -> dict[str, str]:
    """The key of each word of a table of `key: words`; the key is a word too."""
    return {word: key for key, words in table.items() for word in (key, *words.split())}


ROLE_WORDS = _codes(ROLES)
CARRIER_WORDS = _codes(CARRIERS) | {key.removeprefix("china_"): key for key in CARRIERS}
GENDER_WORDS = _codes({"f": "female 女 女性", "m": "male 男 男性"})

_CODES = {"role": ROLE_WORDS, "gender": GENDER_WORDS, "carrier": CARRIER_WORDS}

FIELDS = {
    rule.name: Field(rule.name, rule.chinese, rule.kind, _CODES.get(rule.name, {}))
    for rule in (
        *RULES_OF_FIELDS.values(),
        RuleWords("roster", "名单", Kind.TEXT),
        RuleWords("department", "部门", Kind.TEXT),
        RuleWords("last_sent", "最近发送", Kind.DAYS),
        RuleWords("received", "收到", Kind.RUN),
        RuleWords("segment", "名单规则", Kind.TEXT),
    )
}
"""The fields by their English name, which is the one a parsed rule uses."""

_FIELD_WORDS = {word: field for field in FIELDS.values() for word in (field.name, field.chinese)}
_AGE = re.compile(r"([0-9]{1,3})(?:周?岁)?")
_DAYS = re.compile(r"([0-9]{1,4})(?:天|日|days?)?")
_MAX_AGE = 120
MAX_DAYS = 3_650


def nearest(word: str, words: Iterable[str]) -> list[str]:
    """Up to three of the words that look most like the given one."""
    return get_close_matches(fold(word), list(words), n=3, cutoff=0.5)


def find_field(typed: str, position: int) -> Field:
    """The field of this name.

    Raises:
        SegmentError: there is none.
    """
    word = fold(typed)
    if word not in _FIELD_WORDS:
        labels = listing(field.label for field in FIELDS.values())
        expected = phrase(
            "a field (a value with 且 or 或 in it needs quotes): {labels}", labels=labels
        )
        raise SegmentError(position, typed, expected, nearest(word, _FIELD_WORDS))
    return _FIELD_WORDS[word]


def read_value(field: Field, typed: str, position: int) -> RuleValue:
    """What a word means as a value of this field.

    Raises:
        SegmentError: the field has no such value.
    """
    word = fold(typed)
    if field.kind is Kind.AGE:
        return _read_age(word, typed, position)
    if field.kind is Kind.DAYS:
        return _read_days(word, typed, position)
    if field.kind is Kind.RUN:
        return _read_run(word, typed, position)
    if field.kind is Kind.CODE:
        return _read_code(field, word, typed, position)
    if not word:
        raise SegmentError(
            position,
            typed,
            phrase("a value for {label} that is not empty", label=field.label),
        )
    return word


def _read_code(field: Field, word: str, typed: str, position: int) -> str:
    if word not in field.codes:
        keys = listing(dict.fromkeys(field.codes.values()))
        expected = phrase("a {label}: {keys}", label=field.label, keys=keys)
        raise SegmentError(position, typed, expected, nearest(word, field.codes))
    return field.codes[word]


def _read_age(word: str, typed: str, position: int) -> int:
    match = _AGE.fullmatch(word)
    if match is None or int(match[1]) > _MAX_AGE:
        raise SegmentError(
            position, typed, phrase("an age in whole years from 0 to {max_age}", max_age=_MAX_AGE)
        )
    return int(match[1])


def _read_days(word: str, typed: str, position: int) -> int:
    match = _DAYS.fullmatch(word)
    if match is None or int(match[1]) > MAX_DAYS:
        raise SegmentError(
            position,
            typed,
            phrase("a number of whole days from 0 to {max_days}", max_days=MAX_DAYS),
        )
    return int(match[1])


def _read_run(word: str, typed: str, position: int) -> str:
    try:
        return str(UUID(word))
    except ValueError:
        expected = phrase("the id of a run, such as 0199b3c0-0000-7000-8000-000000000000")
        raise SegmentError(position, typed, expected) from None
