"""Up to when a standby is known to have everything."""

from datetime import UTC, datetime, timedelta

import pytest

from service.storage.replica import Noted, latest_seen

NOW = datetime(2027, 1, 12, tzinfo=UTC)
NOTED = [Noted(100 * n, "a/1", float(n), NOW + timedelta(seconds=n)) for n in range(5)]


@pytest.mark.parametrize(
    ("position", "seconds"), [(0, 0), (99, 0), (100, 1), (399, 3), (400, 4), (9_999, 4)]
)
def test_the_latest_position_that_it_has_passed_says_when(position: int, seconds: int) -> None:
    seen = latest_seen(NOTED, position, "a/1")
    assert seen is not None
    assert seen.instant == NOW + timedelta(seconds=seconds)


def test_an_idle_primary_makes_nobody_older() -> None:
    idle = [*NOTED, Noted(400, "a/1", 60.0, NOW + timedelta(minutes=1))]
    seen = latest_seen(idle, 400, "a/1")
    assert seen is not None
    assert seen.instant == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(("position", "generation"), [(-1, "a/1"), (400, "a/2"), (400, None)])
def test_one_that_is_older_than_all_or_of_another_timeline_is_not_known(
    position: int, generation: str | None
) -> None:
    assert latest_seen(NOTED, position, generation) is None


def test_what_was_noted_on_another_timeline_is_passed_over() -> None:
    promoted = [*NOTED, Noted(500, "a/2", 5.0, NOW + timedelta(seconds=5))]
    assert latest_seen(promoted, 600, "a/1") == NOTED[-1]
    assert latest_seen(promoted, 600, "a/2") == promoted[-1]
