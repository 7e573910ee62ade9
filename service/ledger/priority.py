"""The priority of a run: which of two texts that wait for a channel leaves first.

It says nothing of what a text is for: that is its class (`message_class`).
"""

from typing import Literal, get_args

Priority = Literal["urgent", "normal", "bulk"]

PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""By their number in the slices: 0 is the most urgent."""


def number_of(priority: str) -> int:
    """The number of a priority in the slices.

    Raises:
        ValueError: there is no such priority.
    """
    return PRIORITIES.index(priority)
