"""Which cases of a test `make test` has, and which `make slow` alone."""

from collections.abc import Iterable

import pytest


def cases(every: Iterable[object], *quick: object) -> list[object]:
    """Values for `parametrize`: all of them, those that are not `quick` for `make slow`."""
    found = list(every)
    assert {*quick} <= {*found}
    return [one if one in quick else pytest.param(one, marks=pytest.mark.slow) for one in found]
