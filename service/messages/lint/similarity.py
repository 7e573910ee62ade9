"""How alike two texts are, for texts sent before (R24) and known scam texts (R25).

Two texts are compared by their pairs of neighbouring characters, digits and signature apart: the
share of pairs that they have in common (Sørensen and Dice), from 0 to 1. Cheap, and blind to order.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from service.messages.lint import obfuscation

_SIGNATURE = re.compile("^【[^【】]*】")
_NO_LETTER = re.compile(r"[\W_0-9]+")


def most_alike(text: str, others: Iterable[str], at_least: float) -> float:
    """How much a text is like the one among others that is most like it; 0 if none is as much as
    `at_least` (above 0) like it.
    """
    own, most = _pairs(text), 0.0
    for other in others:
        pairs = _pairs(other)
        total = own.total + pairs.total
        most_possible = 2 * min(own.total, pairs.total) / total if total else 0.0
        if most_possible >= at_least and most_possible > most:
            most = max(most, 2 * _shared(own.counts, pairs.counts) / total)
    return most if most >= at_least else 0.0


class _TextPairs(NamedTuple):
    counts: Counter[str]
    total: int


def _shared(one: Counter[str], other: Counter[str]) -> int:
    return sum(min(one[pair], other[pair]) for pair in one.keys() & other.keys())


@lru_cache(maxsize=4096)
def _pairs(text: str) -> _TextPairs:
    plain, _ = obfuscation.plain_view(text)
    letters = _NO_LETTER.sub("", _SIGNATURE.sub("", plain))
    counts = Counter(map("".join, pairwise(letters)))
    return _TextPairs(counts, counts.total())
