"""Never-words, and what they would hold back: a common one stops every text of a county.

A word that stands in texts in use, in names that texts carry, or in the honest texts that the
program ships is common; `lint_changes` has a second person decide on it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from service.errors import Invalid
from service.messages.lint import wording
from service.messages.lint.draft import closed
from service.messages.policy import Policy
from service.words.phrase import phrase

FEWEST_LETTERS = 2
"""So many letters or digits a never-word has at least: one stands in nearly every text."""


class InUse(NamedTuple):
    """What a never-word could stand in.

    templates: the approved texts of templates. campaigns: all texts of each campaign that is
    scheduled, running, paused or held. names: registered signatures, and places.
    """

    templates: Sequence[str]
    campaigns: Sequence[Sequence[str]]
    names: Sequence[str]


class Holds(NamedTuple):
    """How many texts a never-word would hold back; shipped: honest texts of the program."""

    carrier: str
    word: str
    templates: int
    campaigns: int
    names: int
    shipped: int


Word = tuple[str, str]
"""A carrier, or `*`, and a never-word of it."""


def new_words(in_force: Policy, wanted: Policy) -> list[Word]:
    """The never-words that a policy adds to the one in force.

    Raises:
        Invalid: one has fewer than two letters or digits, as lint reads it.
    """
    found = []
    for carrier, words in wanted.never_words.items():
        known = set(in_force.never_words.get(carrier, ()))
        for place, word in enumerate(words):
            if word in known:
                continue
            if sum(map(str.isalnum, closed(word))) < FEWEST_LETTERS:
                raise Invalid.at(
                    f"never_words.{carrier}.{place}",
                    phrase(
                        "a never-word has at least {fewest_letters} letters or digits: one"
                        " alone stands in nearly every text",
                        fewest_letters=FEWEST_LETTERS,
                    ),
                )
            found.append((carrier, word))
    return found


def held_by(words: Sequence[Word], in_use: InUse) -> list[Holds]:
    """Those of the words that hold anything back, with how much; takes up to a second."""
    if not words:
        return []
    templates = _counter(map(closed, in_use.templates))
    campaigns = _counter(_BETWEEN.join(map(closed, texts)) for texts in in_use.campaigns)
    names = _counter(map(closed, in_use.names))
    shipped = _counter(_shipped())
    found = []
    for carrier, word in words:
        plain = closed(word)
        held = Holds(
            carrier, word, templates(plain), campaigns(plain), names(plain), shipped(plain)
        )
        if any(held[2:]):
            found.append(held)
    return found


def first_in(text: str, never_words: Mapping[str, Sequence[str]]) -> str | None:
    """The first never-word that stands in a text, as lint reads both; None: none does."""
    plain = closed(text)
    every = (word for words in never_words.values() for word in words)
    return next((word for word in every if closed(word) in plain), None)


def _counter(texts: Iterable[str]) -> Callable[[str], int]:
    """Counts the texts in which a word stands."""
    read = list(texts)
    whole = _BETWEEN.join(read)
    return lambda word: sum(word in text for text in read) if word in whole else 0


_BETWEEN = "\n"
"""In no word: one line is asked for."""


@cache
def _shipped() -> tuple[str, ...]:
    """The honest texts as lint reads them, worked out once per process (0.1 s)."""
    return tuple(map(closed, wording.taught()["honest"]))
