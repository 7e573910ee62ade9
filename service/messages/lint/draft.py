"""A text as lint reads it: filled, seen as the eye takes it, and cut into sentences and quotations.

Rules on words read `Draft.sentences`: in plain characters, without gaps inside words, with what is
quoted at some length set apart as a sentence of its own. Each character remembers its place in the
text as it was given, so that a finding points there.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

from service.ledger.message_class import PUBLICITY, MessageClass
from service.messages import template
from service.messages.lint import obfuscation
from service.messages.policy import SHIPPED, Level, Policy, TextSender
from service.messages.value_sources import LONGEST_LISTED

QUOTED = "\ufffc"
"""Stands in a sentence for a quotation that is read by itself."""

SHORTEST_SPEECH = 5
"""A shorter quotation only sets off a word: “电话卡”. Longer ones quote what somebody says."""

_CJK = r"[\u3400-\u9fff]"
_GAP = re.compile(rf"(?<={_CJK})[^\S\n]*[\s·•._*|/~^+-]+(?={_CJK})")
_QUOTATION = re.compile(r"“([^“”]*)”|‘([^‘’]*)’|「([^「」]*)」|『([^『』]*)』|\"([^\"]*)\"")
_SENTENCE_END = re.compile(r"[。!?;\n]+|\.(?=\s|$)")
MOST_LOOKS = 20
"""So much of what a sentence mentions is looked at: each look reads the sentence, and honest ones
take ten at most. What it mentions beyond stands there unexcused."""
READ_CHARACTERS = template.MAX_CHARACTERS + template.MAX_VARIABLES * max(LONGEST_LISTED.values())
"""Rules on what it says read no further: no text that may be kept is longer once it is filled, but
one that is too long to be sent (R15).
"""

_CLAUSE_END = re.compile(r"(?:[,—…]|:(?![0-9]))+")


class Hit(NamedTuple):
    """What a rule yields.

    at: counts from 0 in the text as given.
    certain: it is a fact that no honest text has, such as an account to add; then the wording of
        the whole text excuses nothing.
    """

    level: Level
    at: int
    chinese: str
    english: str
    certain: bool = False


@dataclass(frozen=True, slots=True)
class TextSentence:
    """A sentence, or what somebody is quoted as saying.

    places: of its characters in the text as given.
    around: for a quotation, the sentence that quotes it and the next one; else "".
    spoken_at: where in `around` it stands.
    looks: how often rules have looked how it stands to what it mentions, as one number.
    """

    text: str
    places: tuple[int, ...]
    around: str = ""
    spoken_at: int = 0
    looks: list[int] = field(default_factory=lambda: [0], compare=False, repr=False)

    @property
    def is_overloaded(self) -> bool:
        """Whether it mentions more than anybody would say, and is looked at no further."""
        return self.looks[0] > MOST_LOOKS

    def count_look(self) -> bool:
        """Note that a rule looks how it stands to something; whether there is a look left."""
        self.looks[0] += 1
        return not self.is_overloaded

    @property
    def quoted(self) -> bool:
        """Whether this is what somebody is quoted as saying."""
        return bool(self.around)

    def clause(self, at: int) -> tuple[int, int]:
        """Where the clause begins and ends that holds a character."""
        begins, ends = _clauses(self.text)
        return begins[bisect_right(begins, at) - 1], ends[bisect_left(ends, at)]


@lru_cache(256)
def _clauses(text: str) -> tuple[list[int], list[int]]:
    """Where the clauses of a sentence begin and where they end: rules ask at each mention."""
    between = [match.span() for match in _CLAUSE_END.finditer(text)]
    return [0, *(end for _, end in between)], [*(start for start, _ in between), len(text)]


@dataclass(frozen=True, slots=True)
class DraftAudience:
    """Those who would read a text, as far as lint asks.

    longest: the longest value that a variable has among them, by variable.
    missing: how many have no value for a variable, by variable.
    """

    people: int
    longest: Mapping[str, str]
    missing: Mapping[str, int]


@dataclass(frozen=True)
class Draft:
    """The text under lint.

    text: as it was given, perhaps with variables.
    values: of the variables, or None for a template that is filled later.
    body: the text with the given values in their places, as far as it is read.
    origins: where in `text` each character of `body`, and its end, comes from.
    sender: None where it is not known: then the rules on it are silent.
    audience: None where it is not known: then values are as long as they may be.
    """

    text: str
    values: Mapping[str, str] | None
    body: str
    origins: tuple[int, ...]
    message_class: MessageClass = PUBLICITY
    sender: TextSender | None = None
    policy: Policy = SHIPPED
    audience: DraftAudience | None = None

    @cached_property
    def plain(self) -> tuple[str, list[int]]:
        """The body as the eye takes it, and the places of its characters in `text`."""
        plain, places = obfuscation.plain_view(self.body)
        return plain, [self.origins[place] for place in places]

    @cached_property
    def closed(self) -> tuple[str, list[int]]:
        """The plain view without gaps inside Chinese words, and the places as in `plain`."""
        return _without_gaps(*self.plain)

    @cached_property
    def words(self) -> str:
        """The plain view without gaps and without the signature: what the text says."""
        text, _ = self.closed
        return text[text.find("】") + 1 :] if text.startswith("【") else text

    @cached_property
    def links(self) -> tuple[obfuscation.Obfuscation, ...]:
        """The links of the body, however they are spelled."""
        return tuple(obfuscation.links(self.body))

    @cached_property
    def sentences(self) -> tuple[TextSentence, ...]:
        """All sentences behind the signature, then all quotations."""
        return tuple(_sentences(*self.plain))


def draft(
    text: str,
    values: Mapping[str, str] | None,
    message_class: MessageClass = PUBLICITY,
    sender: TextSender | None = None,
    policy: Policy = SHIPPED,
    audience: DraftAudience | None = None,
) -> Draft:
    """The text with the values that are given in their places."""
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
    read = "".join(body)[:READ_CHARACTERS]
    places = tuple(origins[: len(read) + 1])
    return Draft(text, values, read, places, message_class, sender, policy, audience)


@lru_cache(4096)
def closed(word: str) -> str:
    """A word as it stands in `Draft.closed`, however it was written down."""
    plain, places = obfuscation.plain_view(word)
    return _without_gaps(plain, places)[0]


def _sentences(plain: str, places: list[int]) -> Iterator[TextSentence]:
    begin = plain.find("】") + 1 if plain.startswith("【") else 0
    text, kept = _without_gaps(plain[begin:], places[begin:])
    outer, where, quotations = _taken_out(text, kept)
    ends = [(m.start(), m.end()) for m in _SENTENCE_END.finditer(outer)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(outer)]
    spans = [(a, b) for a, b in zip(starts, stops, strict=True) if a < b]
    for a, b in spans:
        yield TextSentence(outer[a:b], tuple(where[a:b]))
    for at, spoken, spoken_places in quotations:
        index = next(i for i, (_, b) in enumerate(spans) if at < b)
        first, last = spans[index][0], spans[min(index + 1, len(spans) - 1)][1]
        around = outer[first:last]
        for a, b in _cut(spoken):
            yield TextSentence(spoken[a:b], tuple(spoken_places[a:b]), around, at - first)


def _cut(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for match in _SENTENCE_END.finditer(text):
        if begin < match.start():
            yield begin, match.start()
        begin = match.end()
    if begin < len(text):
        yield begin, len(text)


def _without_gaps(text: str, places: list[int]) -> tuple[str, list[int]]:
    """Without the blanks and signs that stand between two Chinese characters."""
    gone = {index for match in _GAP.finditer(text) for index in range(*match.span())}
    kept = [index for index in range(len(text)) if index not in gone]
    return "".join(text[i] for i in kept), [places[i] for i in kept]


def _taken_out(
    text: str, places: list[int]
) -> tuple[str, list[int], list[tuple[int, str, list[int]]]]:
    """The text with long quotations taken out and short ones without their marks.

    The quotations come with the place in the new text where they stood.
    """
    outer: list[str] = []
    where: list[int] = []
    quotations = []
    done = 0
    for match in _QUOTATION.finditer(text):
        group = match.lastindex or 1
        spoken, (a, b) = match[group], match.span(group)
        outer += text[done : match.start()]
        where += places[done : match.start()]
        if len(spoken) < SHORTEST_SPEECH:
            outer += spoken
            where += places[a:b]
        else:
            quotations.append((len(outer), spoken, places[a:b]))
            outer.append(QUOTED)
            where.append(places[match.start()])
        done = match.end()
    outer += text[done:]
    where += places[done:]
    return "".join(outer), where, quotations
