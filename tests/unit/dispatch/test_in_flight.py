"""How many messages a connection may have on its way, and how many it marks ahead."""

import pytest

from service.dispatch.limits.in_flight import ahead_of, most_ahead, permits_for


@pytest.mark.parametrize(
    ("window", "answer_seconds", "ahead"),
    [
        (16, 0.02, 64),  # 800 a second: 80, and no more than 64
        (16, 0.05, 32),
        (16, 1.0, 1),
        (16, 30.0, 1),
        (1, 0.01, 10),
        (256, 0.0, 256),
        (256, 0.2, 128),
    ],
)
def test_what_is_marked_ahead_leaves_within_a_tenth_of_a_second(
    window: int, answer_seconds: float, ahead: int
) -> None:
    assert ahead_of(window, answer_seconds) == ahead


@pytest.mark.parametrize("window", [1, 16, 64, 65, 1_024])
def test_permits_are_a_window_and_what_is_marked_ahead_and_what_is_being_recorded(
    window: int,
) -> None:
    assert permits_for(window) == window + 2 * most_ahead(window)
    assert most_ahead(window) == max(64, window)
