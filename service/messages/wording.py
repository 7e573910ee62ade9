"""How much a text is worded like frauds, or like honest notices (R25): what a filter learns.

Each run of one to three characters (of a Latin text, words) has a weight: how much more often it
stands in the scams than in the honest texts of a corpus, as the logarithm of the ratio (naive
Bayes). A text's score is the sum over the different runs that it has, divided by the square root of
their number: above zero it is worded like scams. `python -m tests.lint_corpus --learn` learns the
weights. Nothing is blocked for its wording; a person is asked.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from math import log, sqrt
from typing import NamedTuple

_LONGEST_RUN = 3
_FEWEST_TEXTS = 2
_SMALLEST_WEIGHT = 0.5
_SMOOTHING = 0.5
"""A run in fewer texts says nothing; a weight that is smaller changes nothing."""

_TOKEN = re.compile("[a-z]+|[\u3400-\u9fff]|[0-9]+(?:[.,:][0-9]+)*|[，。！？；、：“”~@,.!?;:+-]")
_BALANCE = -0.7
"""The quotient at which a text is as likely a scam as not, by texts that taught no weight."""
_ENOUGH_RUNS = 120
"""Of a text with fewer known runs less can be said."""


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
    """The different runs of a text in its plain view; every number is one and the same."""
    tokens = ["0" if token[0].isdecimal() else token for token in _TOKEN.findall(plain)]
    lengths = range(1, _LONGEST_RUN + 1)
    return {
        " ".join(tokens[begin : begin + length])
        for length in lengths
        for begin in range(len(tokens) - length + 1)
    }


def learn(scams: Iterable[str], honest: Iterable[str]) -> dict[str, float]:
    """The weight of each run that texts in their plain view show, in order of the runs."""
    seen, totals = [], []
    for texts in (scams, honest):
        known = [runs(text) for text in texts]
        seen.append(Counter(run for text in known for run in text))
        totals.append(len(known) + 2 * _SMOOTHING)
    weights = {
        run: round(
            log((seen[0][run] + _SMOOTHING) / totals[0])
            - log((seen[1][run] + _SMOOTHING) / totals[1]),
            1,
        )
        for run in sorted(seen[0].keys() | seen[1].keys())
        if seen[0][run] + seen[1][run] >= _FEWEST_TEXTS
    }
    return {run: weight for run, weight in weights.items() if abs(weight) >= _SMALLEST_WEIGHT}


def weigh(plain: str, weights: Mapping[str, float] | None = None) -> Wording:
    """How a text in its plain view, without its signature, is worded.

    weights: of runs; by default those shipped.
    """
    known = _shipped() if weights is None else weights
    found = [(known[run], run) for run in runs(plain) if run in known]
    if not found:
        return Wording(0.0, 0, ())
    evidence = min(1.0, len(found) / _ENOUGH_RUNS)
    total = sum(weight for weight, _ in found)
    score = total / sqrt(max(len(found), _ENOUGH_RUNS)) - _BALANCE * evidence
    longest = sorted(found, key=lambda one: (-one[0] * len(one[1].split()), one[1]))
    return Wording(score, len(found), tuple(run.replace(" ", "") for _, run in longest[:3]))


@cache
def _shipped() -> Mapping[str, float]:
    text = (files("service.messages") / "data" / "wording.json").read_text("utf-8")
    weights: dict[str, float] = json.loads(text)
    return weights
