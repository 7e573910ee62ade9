"""How alike two texts are, for texts sent before (R24) and known scam texts (R25).

Two texts are compared by their pairs of neighbouring characters, digits and signature apart: the
share of pairs that they have in common (Sørensen and Dice), from 0 to 1. Cheap, and blind to order.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from service.messages import disguise

_SIGNATURE = re.compile("^【[^【】]*】")
_NO_LETTER = re.compile(r"[\W_0-9]+")


def likeness(one: str, other: str) -> float:
    """The share of pairs of characters that two texts have in common; 1 for equal texts."""
    a, b = _pairs(one), _pairs(other)
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def most_alike(text: str, others: Iterable[str]) -> float:
    """How much a text is like the one among others that is most like it; 0 if there is none."""
    return max((likeness(text, other) for other in others), default=0.0)


@lru_cache(maxsize=4096)
def _pairs(text: str) -> Counter[str]:
    plain, _ = disguise.plain_view(text)
    letters = _NO_LETTER.sub("", _SIGNATURE.sub("", plain))
    return Counter(letters[i : i + 2] for i in range(len(letters) - 1))
