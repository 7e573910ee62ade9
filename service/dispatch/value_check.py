"""The last look at the values of a text, when it is made: what no second person has read.

A text is approved with its variables; names and places come from lists and the area tree, other
values from whoever sends directly. Whoever writes there writes into texts that others approved. So
each value is judged when it is filled in, by what it stands for, at lint's shipped levels or the
county's stricter ones, and by the county's never-words. A verdict is kept by the value: judging
one takes microseconds (a name) to a millisecond (anything else), looking it up next to nothing.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Literal, get_args
from uuid import UUID

from service.audience.vocabulary.names import REQUEST_WORDS, asks, is_name
from service.ledger.reasons import Reason
from service.messages.lint.draft import closed
from service.messages.lint.lint_values import (
    carries_number,
    listed_findings,
    tell_together,
    tells,
    tells_as_name,
    value_findings,
)
from service.messages.policy import SHIPPED
from service.messages.template import allowed_values, planned
from service.messages.value_kinds import Allowed, fits
from service.messages.value_sources import PERSON_VARIABLES, Fact
from service.words.phrase import phrase

ValueOrigin = Literal["name", "place", "listed", "given", "figure"]
"""What a value is: a person's name, a place of the area tree, what a list says of a person, what a
direct send brings, or what has the form that its text asks for or is a word of our own."""

MOST_KEPT = 50_000
"""Verdicts of a kind in memory; beyond that they are begun anew."""

_ORIGINS: Mapping[Fact, ValueOrigin] = {
    "name": "name",
    "town": "place",
    "village": "place",
    "role": "figure",
}
_KINDS: Mapping[str, ValueOrigin] = {
    variable: _ORIGINS.get(fact, "listed") for variable, fact in PERSON_VARIABLES.items()
}
_FIGURE = re.compile("[0-9]{1,4}(?:[.:,年月][0-9]{1,2}){0,2}[元日月年时点分%]?")
_TELLING = "转账帐款汇码验密链扫缴贷领奖冻骗涉罪"
_CONTACTS = ("微", "薇", "扣")
_COMMON = frozenset(
    "一世中主义书会保信全兴加华卫发友国大好安家导平德成教文明春来永海理生致立红胜花荣财贵资金香佳陆钱提热记品牌彩"
)
"""Characters of many names: a word is told by its others, if it has any."""
_FOR_LINT = re.compile(f"[{_TELLING}轉賬帳匯碼驗鏈]|(?<!^)付")
"""A name without any of these has nothing for lint to find; 付 is a family name, too."""
_DIGIT = re.compile("[0-9]")
_SHORT_NAME = re.compile("[\u4e00-\u9fff]{2,4}")


_ValueFate = str | tuple[str, frozenset[str]]
"""What a verdict is kept by: the value, with the numbers of the sender where they count."""


class ValueRefused(Exception):
    """A value that may not stand in a text. Its words are not told: it may be a person's name."""

    reason = Reason.VALUE_REFUSED

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self.sentence = phrase(
            "the value of {{{variable}}} may not stand in a text: give a plain name, place or"
            " figure that asks for nothing and addresses nobody, with no number that is not"
            " registered for the sender, no link and no never-word",
            variable=variable,
        )
        super().__init__(self.sentence)


class ValueCheck:
    """Judges values; one in a process, whose verdicts all channels share."""

    def __init__(self) -> None:
        self._policy = SHIPPED
        self._never = _closed_words(SHIPPED.never_words)
        self._telling = _telling(self._never)
        self._landlines: Mapping[UUID, frozenset[str]] = {}
        self._refused: dict[ValueOrigin, dict[_ValueFate, bool]] = {
            kind: {} for kind in get_args(ValueOrigin)
        }

    def follow(
        self,
        never_words: Mapping[str, Sequence[str]],
        landlines: Mapping[UUID, frozenset[str]] | None = None,
    ) -> None:
        """Judge by these never-words of the county from now on, and by the numbers that are
        registered for each department, in digits; None: as before.
        """
        if landlines is not None:
            self._landlines = landlines
        words = {carrier: tuple(listed) for carrier, listed in never_words.items()}
        if words != self._policy.never_words:
            self._policy = replace(SHIPPED, never_words=words)
            self._never = _closed_words(words)
            self._telling = _telling(self._never)
            for known in self._refused.values():
                known.clear()

    def check(
        self,
        names: Sequence[str],
        values: Mapping[str, str],
        *,
        given: bool,
        department_id: UUID | None = None,
        allowed: Mapping[str, Allowed] = MappingProxyType({}),
    ) -> None:
        """Refuse a text for the first value that may not stand in it; blank ones are not judged.

        names: the variables of the text. given: whether a direct send brought the values.
        allowed: what may fill those of which the text says so; such a value has its form, or is
        one of those named, and is judged no further than for never-words.
        department_id: who sends; what is given may have the numbers that are registered for it.

        Raises:
            ValueRefused: names the variable.
        """
        own = self._landlines.get(department_id) if department_id is not None else None
        free = list[str](names) if given else []
        for name in names:
            kind: ValueOrigin = "given" if given else _KINDS[name]
            if kind == "listed":
                free.append(name)
            value = values.get(name, "")
            if (said := allowed.get(name)) is not None and value.strip():
                if not fits(value, said):
                    raise ValueRefused(name)
                kind = said if said in {"name", "place"} else "figure"
            has_own = own and kind == "given" and _DIGIT.search(value)
            judged: _ValueFate = (value, own) if own and has_own else value
            refused = self._refused[kind].get(judged)
            if refused is None:
                refused = self._judge(kind, value, judged)
            if refused:
                raise ValueRefused(name)
        if len(free) > 1 and tell_together([values.get(name, "") for name in free]):
            raise ValueRefused(free[-1])

    def _judge(self, kind: ValueOrigin, value: str, judged: "_ValueFate") -> bool:
        known = self._refused[kind]
        if len(known) >= MOST_KEPT:
            known.clear()
        own: frozenset[str] = frozenset() if isinstance(judged, str) else judged[1]
        known[judged] = bool(value.strip()) and self._refuses(kind, value, own)
        return known[judged]

    def _refuses(self, kind: ValueOrigin, value: str, landlines: frozenset[str]) -> bool:
        if kind == "name":
            return self._refuses_name(value)
        if kind == "figure" or (kind == "given" and _FIGURE.fullmatch(value)):
            return self._has_never_word(value)
        if kind == "place":
            return asks(closed(value)) or bool(value_findings(value, self._policy, landlines))
        if carries_number(value, landlines):
            return True
        if kind == "listed":
            found = listed_findings(value, self._policy, landlines)
            return bool(found) or tells_as_name(value)
        return tells(value) or bool(value_findings(value, self._policy, landlines))

    def _refuses_name(self, value: str) -> bool:
        if self._telling.isdisjoint(value) and _SHORT_NAME.fullmatch(value):
            return False  # nearly all of them
        if not is_name(value) or asks(closed(value)) or self._has_never_word(value):
            return True
        return bool(_FOR_LINT.search(value) and value_findings(value, self._policy))

    def _has_never_word(self, value: str) -> bool:
        text = closed(value)
        return any(word in text for word in self._never)


@cache
def _of_questions() -> ValueCheck:
    """Judges the values in texts that people ask about, in the memory of this process."""
    return ValueCheck()


def would_be_sent(
    text: str, values: Mapping[str, str], never_words: Mapping[str, Sequence[str]]
) -> bool:
    """Whether a text would leave with these values. Who filled a variable that no contact and no
    list fills is not known; such a value is judged as that of a direct send.
    """
    check = _of_questions()
    check.follow(never_words)
    allowed = {**allowed_values(text), **planned(text)}
    known = [name for name in values if name in PERSON_VARIABLES]
    others = [name for name in values if name not in PERSON_VARIABLES]
    try:
        check.check(known, values, given=False, allowed=allowed)
        check.check(others, values, given=True, allowed=allowed)
    except ValueRefused:
        return False
    return not tell_together(list(values.values()))


def _closed_words(never_words: Mapping[str, Sequence[str]]) -> set[str]:
    return {closed(word) for listed in never_words.values() for word in listed} - {""}


def _telling(never: Collection[str]) -> frozenset[str]:
    """Characters of which every word has one for which a name is refused, as it may be written."""
    words = (*_TELLING, *_CONTACTS, "付", *REQUEST_WORDS, *never)
    plain = {character for word in words for character in (set(word) - _COMMON or word)}
    return frozenset(plain | {odd for odd, twin in _written_otherwise().items() if twin in plain})


@cache
def _written_otherwise() -> Mapping[str, str]:
    """The Chinese characters that lint reads as others, such as traditional ones (0.1 s)."""
    block = map(chr, range(0x4E00, 0xA000))
    return {odd: twin for odd in block if (twin := closed(odd)) != odd}
