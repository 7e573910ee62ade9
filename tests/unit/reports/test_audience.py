"""How many people two plans both mean, by samples."""

import random

import pytest

from service.reports.audience import SAMPLE, PlanAudience

_RANDOM = random.Random(7)
_HASHES = [_RANDOM.randrange(-(2**63), 2**63) for _ in range(120_000)]


def _audience(hashes: list[int]) -> PlanAudience:
    return PlanAudience(len(hashes), {}, sorted(hashes)[:SAMPLE])


@pytest.mark.parametrize(
    ("first", "second", "shared", "tolerance"),
    [
        # Small audiences are known exactly.
        ((0, 1_000), (990, 1_900), 10, 0),
        ((0, 1_000), (1_000, 2_000), 0, 0),
        ((0, 0), (0, 1_000), 0, 0),
        # Of large ones it is an estimate.
        ((0, 100_000), (50_000, 120_000), 50_000, 0.06),
        ((0, 100_000), (0, 100_000), 100_000, 0),
        ((0, 100_000), (98_000, 99_900), 1_900, 0.35),
        ((0, 118_000), (118_000, 120_000), 0, 0),
        ((0, 20_000), (10_000, 12_000), 2_000, 0.2),
    ],
)
def test_how_many_are_in_both(
    first: tuple[int, int], second: tuple[int, int], shared: int, tolerance: float
) -> None:
    one, other = (_audience(_HASHES[start:end]) for start, end in (first, second))
    assert one.shared(other) == other.shared(one)
    assert one.shared(other) == pytest.approx(shared, rel=tolerance, abs=0)
