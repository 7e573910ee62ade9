"""Who has a place under the caps at fires to come, for people who fare alike."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.dispatch.forecast.cap_places import CapEffect, Had, Occasion, fates
from service.dispatch.limits.caps import CapLimits

NOW = datetime(2027, 1, 17, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PUBLICITY = CapLimits(1, 2, 6, same_text=False)


def fire(days: float, text: int, source: str = "ours", **more: Any) -> Occasion:
    at = NOW + days * DAY
    usual: dict[str, Any] = {"valid_until": at + DAY / 2, "stops": False, "opening": lambda at: at}
    return Occasion(at, at, text=text, source=source, **usual | more)


def had(days: float, text: int = 9) -> Had:
    return Had(NOW - days * DAY, text, "before")


LEAVES = CapEffect(ledger=True)


@pytest.mark.parametrize(
    ("earlier", "occasions", "wanted"),
    [
        ([], [fire(0, 1), fire(14, 2), fire(28, 3)], [LEAVES] * 3),
        ([], [fire(0, 1), fire(14, 1)], [LEAVES, CapEffect(False, "same_text", "ours")]),
        ([], [fire(0, 1), fire(31, 1)], [LEAVES, LEAVES]),
        ([had(20, 1)], [fire(0, 1)], [CapEffect(False, "same_text", "before")]),
        ([had(30, 1)], [fire(0, 1)], [LEAVES]),
        (
            [],
            [fire(0, 1), fire(10, 3, "theirs"), fire(28, 3)],
            [LEAVES, LEAVES, CapEffect(False, "same_text", "theirs")],
        ),
        # A text that does not leave takes no place.
        (
            [],
            [fire(0, 1), fire(0.5, 3, "theirs"), fire(28, 3)],
            [LEAVES, CapEffect(False, "capped"), LEAVES],
        ),
        ([had(0.5)], [fire(0, 1)], [CapEffect(False, "capped")]),
        ([had(0.75)], [fire(0, 1)], [CapEffect(True, "capped", None, True)]),
        ([had(0.75)], [fire(0, 1, stops=True)], [CapEffect(False, "capped")]),
        ([had(1), had(3)], [fire(0, 1)], [CapEffect(False, "capped")]),
        ([had(1), had(7)], [fire(0, 1)], [LEAVES]),
        # Two at one instant: both ledgers have them; the more urgent leaves.
        (
            [],
            [fire(0, 1, order=1), fire(0, 2, order=0)],
            [CapEffect(True, "capped"), LEAVES],
        ),
        # What is sent every day at the same time waits for the moment in which the last one left.
        ([], [fire(0, 1), fire(1, 2)], [LEAVES, CapEffect(True, "capped", None, True)]),
        ([], [fire(0, 1), fire(1, 2, stops=True)], [LEAVES, CapEffect(False, "capped")]),
    ],
)
def test_what_becomes_of_each_fire(
    earlier: list[Had], occasions: list[Occasion], wanted: list[CapEffect]
) -> None:
    found = fates(occasions, earlier, PUBLICITY)
    assert [found[one] for one in occasions] == wanted


def test_a_step_goes_to_whom_the_fire_before_it_had() -> None:
    first = fire(0, 1)
    step = fire(10, 2, after=first)
    assert fates([first, step], [had(0.1)], PUBLICITY) == {first: CapEffect(False, "capped")}
    assert fates([first, step], [], PUBLICITY) == {first: LEAVES, step: LEAVES}
