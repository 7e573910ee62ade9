"""How much a text is worded like frauds, or like honest notices (R25): what a filter learns.

Each run of one to three characters (of a Latin text, words), and each pair of characters with one
or two between, has a weight: how much more often it stands in scams than in honest texts, as the
logarithm of the ratio (naive Bayes). A text's score is the sum over the different runs that it has,
divided by the square root of their number: above zero it is worded like scams. The texts that teach
the weights are data; `python -m tests.lint_corpus --learn` writes them from a corpus. Nothing is
blocked for its wording; a person is asked.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from heapq import nsmallest
from importlib.resources import files
from math import log, sqrt
from typing import NamedTuple

_LONGEST_RUN = 3
_GAPS = (1, 2)
_SMOOTHING = 0.5
"""Added to each count: a run that stands in one text only says little."""

_TOKEN = re.compile("[a-z]+|[\u3400-\u9fff]|[0-9]+(?:[.,:][0-9]+)*|[，。！？；、：“”~@,.!?;:+-]")
_ENOUGH_RUNS = 120
"""A text with fewer known runs is judged as if it had so many: of a short one less can be said."""
_TELLING = 3
"""So many of the runs that speak most for a fraud are named."""
_BALANCE = -0.7
"""The quotient at which a text is as likely a scam as not, by texts that taught no weight."""


class Wording(NamedTuple):
    """How a text is worded.

    score: below zero like honest texts, above like scams.
    known: how many different runs of it have a weight.
    telling: the runs that speak most for a fraud, the most telling first.
    """

    score: float
    known: int
    telling: tuple[str, ...]


def runs(plain: str) -> set[str]:
    """The different runs of a text in its plain view; every number is one and the same.

    The tokens of a run are joined by blanks, those of a pair by `…`.
    """
    tokens = ["0" if token[0].isdecimal() else token for token in _TOKEN.findall(plain)]
    found = {
        " ".join(tokens[begin : begin + length])
        for length in range(1, _LONGEST_RUN + 1)
        for begin in range(len(tokens) - length + 1)
    }
    for gap in _GAPS:
        pairs = zip(tokens, tokens[gap + 1 :], strict=False)
        found.update(f"{one}{'…' * gap}{other}" for one, other in pairs)
    return found


def learn(scams: Iterable[str], honest: Iterable[str]) -> dict[str, float]:
    """The weight of each run that texts in their plain view show."""
    seen, totals = [], []
    for texts in (scams, honest):
        known = [runs(text) for text in texts]
        seen.append(Counter(run for text in known for run in text))
        totals.append(log(len(known) + 2 * _SMOOTHING))
    return {
        run: log(seen[0][run] + _SMOOTHING) - totals[0] - log(seen[1][run] + _SMOOTHING) + totals[1]
        for run in seen[0].keys() | seen[1].keys()
    }


def weigh(plain: str, weights: Mapping[str, float] | None = None) -> Wording:
    """How a text in its plain view, without its signature, is worded.

    weights: of runs; by default those that the shipped texts teach.
    """
    known = shipped() if weights is None else weights
    if not known:
        return Wording(0.0, 0, ())
    found = [(known[run], run) for run in runs(plain) if run in known]
    if not found:
        return Wording(0.0, 0, ())
    evidence = min(1.0, len(found) / _ENOUGH_RUNS)
    total = sum(weight for weight, _ in found)
    score = total / sqrt(max(len(found), _ENOUGH_RUNS)) - _BALANCE * evidence
    words = [(weight, run) for weight, run in found if "…" not in run and len(run) > 1]
    telling = nsmallest(
        _TELLING, words, key=lambda one: (-one[0] * (one[1].count(" ") + 1), one[1])
    )
    return Wording(score, len(found), tuple(run.replace(" ", "") for _, run in telling))


@cache
def shipped() -> Mapping[str, float]:
    """The weights of the shipped texts, learned once per process (0.2 s)."""
    texts = taught()
    return learn(texts["scam"], texts["honest"])


def taught() -> Mapping[str, Sequence[str]]:
    """The shipped texts that teach the weights, in their plain view: `scam` and `honest`."""
    text = (files("service.messages") / "data" / "wording.json").read_text("utf-8")
    found: Mapping[str, Sequence[str]] = json.loads(text)
    return found
