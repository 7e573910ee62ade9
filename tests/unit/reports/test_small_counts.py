"""No count below the county's least can be found out from what is published."""

import itertools
from collections.abc import Sequence

import pytest

from service.reports.joint.small_counts import Published, publish


def table(counts: Sequence[int]) -> dict[str, int]:
    return {str(number): count for number, count in enumerate(counts)}


def seen(counts: Sequence[int], small: int) -> tuple[object, ...]:
    """All that a reader is told: the total, and what is published of its parts."""
    found = publish(table(counts), small)
    return sum(counts), tuple(sorted(found.shown.items())), found[1:]


@pytest.mark.parametrize(("cells", "most", "small"), [(2, 9, 3), (3, 8, 3), (3, 8, 5), (4, 7, 5)])
def test_of_each_small_part_at_least_two_values_remain(cells: int, most: int, small: int) -> None:
    """By enumeration of all tables, for a reader who knows the rule: a small part that is not shown
    may always have another value as well.
    """
    alike: dict[tuple[object, ...], list[tuple[int, ...]]] = {}
    for counts in itertools.product(range(most + 1), repeat=cells):
        alike.setdefault(seen(counts, small), []).append(counts)
    given_away = [
        counts
        for said, tables in alike.items()
        for counts in tables
        for cell in range(cells)
        if 0 < counts[cell] < small and len({other[cell] for other in tables}) == 1
    ]
    # A total below `small` says what each of its parts can be at most; no part is given away by it
    # alone. Where the total itself is shown, whoever reads it knows it.
    assert not given_away


def test_the_cases_of_the_rule() -> None:
    assert publish({"a": 7, "b": 0}, 5) == Published({"a": 7, "b": 0})
    assert publish({"a": 7, "b": 3, "c": 4}, 5) == Published({}, hidden=True)
    assert publish({"a": 7, "b": 3, "c": 2, "d": 1}, 5) == Published({"a": 7}, 3, 6)
    assert publish({"a": 7, "b": 1}, 5).hidden  # one part would be found by subtraction
    assert publish({"a": 3, "b": 3}, 5).hidden  # no part is left to show
