"""English sentences that are left in an answer to somebody who asked for Chinese."""

import re
from collections.abc import Iterator, Mapping

SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
"""Two English words and a space between them."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")

TYPED = frozenset({"name", "reason", "note", "title", "agent", "text"})
"""Members that a person or a program filled with their own words, which stay as they are."""
OTHER: Mapping[str, str] = {
    "en": "a sentence in both languages has its English here",
    "english": "so has a rule",
    "rule": "the rule language has English words",
    "canonical": "so has a rule as it is kept",
    "written_out": "and as it is written out",
    "frozen_rule": "and as it was approved",
    "operator": "and one of its operators",
    "json_schema": "is for programs, and the sentence beside it for people",
    "config": "settings of a channel, as somebody gave them",
}
"""Other members whose English is right, and why."""


def left_english(answer: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Where an answer has an English sentence, as `items.note`, and the sentence."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name not in TYPED and name not in OTHER:
                yield from left_english(value, f"{place}.{name}" if place else name)
    elif isinstance(answer, list):
        for value in answer:
            yield from left_english(value, place)
    elif isinstance(answer, str) and SENTENCE.search(answer) and not CHINESE.search(answer):
        yield place, answer
