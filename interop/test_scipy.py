"""Exact intervals and tails against scipy, for pairs of every third count up to 200."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cases.exact import chance, poisson_at_least, share_interval

VALUES = Path(__file__).with_name("scipy_values.py")
RECORDED = Path(__file__).parents[1] / "tests/vectors/statistics/scipy.jsonl"


def values(scipy: Path, step: int) -> str:
    done = subprocess.run(
        [sys.executable, str(VALUES), str(step)],
        env=os.environ | {"PYTHONPATH": str(scipy)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_every_value_agrees(scipy: Path) -> None:
    for line in values(scipy, 3).splitlines():
        kind, *found = json.loads(line)
        if kind == "poisson":
            count, expected, tail = found
            assert poisson_at_least(count, expected) == pytest.approx(tail, rel=1e-9, abs=1e-300)
        else:
            now, before, *expected = found
            ours = [*share_interval(now, now + before), chance(now, before)]
            assert ours == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_recorded_values_are_those_of_today(scipy: Path) -> None:
    lines = zip(values(scipy, 20).splitlines(), RECORDED.read_text().splitlines(), strict=True)
    for today, recorded in lines:
        assert json.loads(today)[1:] == pytest.approx(json.loads(recorded)[1:], rel=1e-12)
