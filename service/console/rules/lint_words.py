"""Lint's levels, lists and changes in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from service.api.content.lint import LintPolicyOut
from service.console.language import Language
from service.console.words import carrier_word
from service.messages.policy import ANY_CARRIER
from service.words.phrase import Phrase, phrase

LEVELS: Final[Mapping[str, Phrase]] = {
    "block": phrase("blocks"),
    "review": phrase("to be confirmed"),
    "warn": phrase("hint"),
}
LEVEL_HINTS: Final[Mapping[str, Phrase]] = {
    "block": phrase("blocks: such a text cannot be submitted"),
    "review": phrase("to be confirmed: whoever signs says that it was read"),
    "warn": phrase("hint: the author is told"),
}
LISTS: Final[Mapping[str, Phrase]] = {
    "hotlines": phrase("Hotlines that every text may name"),
    "protected_names": phrase("Names that only their owners may sign with"),
    "link_hosts": phrase("Hosts that may be linked to"),
    "never_words": phrase("Words that are never used"),
    "small_count": phrase("The smallest count of people or cases that others may see"),
}


def level_options(language: Language) -> list[tuple[str, str]]:
    """The levels as choices."""
    return [(code, language.say(word)) for code, word in LEVEL_HINTS.items()]


def carrier(code: str, language: Language) -> str:
    """On whose network a never-word holds."""
    if code == ANY_CARRIER:
        return language.say(phrase("with every carrier"))
    return carrier_word(code, language)


def never_words(
    language: Language, found: Mapping[str, Sequence[str]]
) -> list[tuple[str, str, Sequence[str]]]:
    """The never-words by carrier: its code, what it is called, the words."""
    return [(code, carrier(code, language), words) for code, words in found.items()]


def lines(language: Language, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a change sets, line by line; what it does not name is as shipped."""
    say = language.say
    for rule, level in sorted(content.get("levels", {}).items()):
        yield rule, say(LEVELS.get(level, level))
    for name, word in LISTS.items():
        value = content.get(name)
        if isinstance(value, Mapping):
            for code, words in value.items():
                yield f"{say(word)} ({carrier(code, language)})", "、".join(words) or "–"
        elif isinstance(value, list):
            yield say(word), "、".join(value) or "–"
        elif value is not None:
            yield say(word), str(value)


def weakened(language: Language, found: LintPolicyOut) -> Iterator[str]:
    """In what the change that waits is less strict, a sentence each."""
    if found.waiting is None:
        return
    rules = {rule.rule: rule for rule in found.rules}
    content = found.waiting.content
    for field in found.waiting.weakens:
        kind, _, what = field.partition(".")
        if kind == "levels":
            rule = rules[what]
            after = content.get("levels", {}).get(what, rule.shipped_level)
            yield language.say(_level(what, rule.level, after))
        else:
            yield language.say(_loosened(language, kind, what, content))


def _level(rule: str, before: str, after: str) -> Phrase:
    return phrase(
        "{rule}: {before} becomes {after}", rule=rule, before=LEVELS[before], after=LEVELS[after]
    )


def _loosened(language: Language, kind: str, what: str, content: Mapping[str, Any]) -> Phrase:
    if kind == "hotlines":
        return phrase("every text may name {number}", number=what)
    if kind == "link_hosts":
        return phrase("departments with links may link to {host}", host=what)
    if kind == "protected_names":
        return phrase("others may sign with {name}", name=what)
    if kind == "never_words":
        code, _, word = what.partition(".")
        return phrase("{word} may be used ({carrier})", word=word, carrier=carrier(code, language))
    return phrase("counts from {count} on are shown", count=content.get("small_count", 5))
