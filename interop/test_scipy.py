"""Exact intervals, tails, limits and sums against scipy, for all counts up to 200."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.statistics import agree, numbers

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
    for line in values(scipy, 1).splitlines():
        agree(json.loads(line))


def test_the_recorded_values_are_those_of_today(scipy: Path) -> None:
    lines = zip(values(scipy, 20).splitlines(), RECORDED.read_text().splitlines(), strict=True)
    for today, recorded in lines:
        assert list(numbers(json.loads(today))) == pytest.approx(
            list(numbers(json.loads(recorded))), rel=1e-12
        )
