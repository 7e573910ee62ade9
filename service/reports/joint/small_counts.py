"""Counts of people that somebody else than those whose people they are may see (pure).

A count below the county's `small_count` can point at a person, and a hidden one is found by
subtraction from a total. So no cell is hidden by itself: either the small parts of a total are
shown as one sum that leaves each of them open, or the total is shown alone.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """Parts of a total as others may see them: those that are shown, and what the rest adds up to.

    rest_parts: how many parts the rest has; rest: their sum. None for both: all are shown. hidden:
    the total is shown alone.
    """

    shown: Mapping[str, int]
    rest_parts: int | None = None
    rest: int | None = None
    hidden: bool = False


def publish(parts: Mapping[str, int], small: int) -> Published:
    """The parts of a total, zeros among them, of which none below `small` can be found out.

    A reader who knows this rule learns of each part of the rest no more than that it may be
    anything from 0 to `small` - 1.
    """
    rest = {name: count for name, count in parts.items() if count < small}
    total = sum(rest.values())
    if total == 0:
        return Published(dict(parts))
    shown = {name: count for name, count in parts.items() if count >= small}
    if shown and small <= total <= (len(rest) - 1) * (small - 1):
        return Published(shown, len(rest), total)
    return Published({}, hidden=True)
