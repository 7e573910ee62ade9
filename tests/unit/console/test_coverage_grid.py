"""The tiles of a coverage page: fixed steps, and nothing coloured that chance decides."""

import pytest

from service.console.reports.coverage_grid import FEW, TileShare


@pytest.mark.parametrize(
    ("part", "whole", "percent", "step"),
    [
        (95, 100, 95, 5),
        (9499, 10000, 94, 4),  # rounded down: the number never says more than the colour
        (90, 100, 90, 4),
        (85, 100, 85, 3),
        (80, 100, 80, 2),
        (79, 100, 79, 1),
        (0, 100, 0, 1),
        (130, 100, 130, 5),
        (FEW - 1, FEW - 1, 100, None),
        (FEW, FEW, 100, 5),
        (0, 0, None, None),
        (3, None, None, None),
    ],
)
def test_a_colour_is_a_fixed_step_of_the_share(
    part: int, whole: int | None, percent: int | None, step: int | None
) -> None:
    share = TileShare(part, whole)
    assert (share.percent, share.step) == (percent, step)
