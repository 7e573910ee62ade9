"""Which several texts a plan may have, and whose turn it is."""

from uuid import UUID

import pytest

from service.campaigns.core.texts import (
    MOST_TEXTS,
    MoreText,
    is_sequence,
    next_in_turn,
    text_problems,
)

ID = UUID(int=1)


@pytest.mark.parametrize(
    ("kind", "days", "problem"),
    [
        ("now", [], ""),
        ("now", [7, 21], ""),
        ("once", [1], ""),
        ("joining", [7, 21], ""),
        ("recurring", [None, None, None], ""),
        ("recurring", [7], "in turn"),
        ("now", [None], "recurring"),
        ("joining", [None], "recurring"),
        ("now", [7, None], "or with none"),
        ("recurring", [None, 7], "or with none"),
        ("now", [7, 7], "after the one before"),
        ("now", [21, 7], "after the one before"),
        ("now", [0], "from 1 to"),
        ("now", [367], "from 1 to"),
        ("recurring", [None] * (MOST_TEXTS - 1), ""),
        ("recurring", [None] * MOST_TEXTS, "at most"),
    ],
)
def test_what_texts_a_plan_may_have(kind: str, days: list[int | None], problem: str) -> None:
    found = list(text_problems([MoreText(ID, day) for day in days], kind))
    assert bool(found) == bool(problem)
    assert not found or problem in found[0][1]


def test_texts_take_turns_and_a_plan_of_fewer_texts_goes_on() -> None:
    turns: list[int] = []
    for _ in range(6):
        turns.append(next_in_turn(turns[-1] if turns else None, 4))
    assert turns == [1, 2, 3, 4, 1, 2]
    assert next_in_turn(4, 3) == 2


def test_days_make_a_sequence() -> None:
    assert is_sequence([MoreText(ID, 7)])
    assert not is_sequence([MoreText(ID)])
    assert not is_sequence([])
