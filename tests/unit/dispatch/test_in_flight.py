"""How many messages a connection may have on its way, and how many it marks ahead."""

import pytest

from service.dispatch.limits.in_flight import (
    AHEAD_SECONDS,
    AnswerTimes,
    ahead_of,
    most_ahead,
    permits_for,
)


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


def test_the_time_of_an_answer_is_the_mean_of_the_latest() -> None:
    answers = AnswerTimes()
    assert answers.seconds(0.0) == AHEAD_SECONDS
    for number in range(200):
        answers.written(float(number))
        answers.answered(float(number), number + 0.02)
    assert answers.seconds(300.0) == pytest.approx(0.02, rel=0.01)


def test_a_carrier_that_falls_silent_is_as_slow_as_what_waits_for_it() -> None:
    """Little is marked ahead for it then, though its last answers were fast."""
    answers = AnswerTimes()
    for number in range(200):
        answers.written(float(number))
        answers.answered(float(number), number + 0.01)
    fast = answers.seconds(200.0)
    answers.written(200.0)
    answers.written(200.5)
    assert answers.seconds(204.0) == pytest.approx(4.0)
    assert ahead_of(16, answers.seconds(204.0)) == 1
    answers.answered(200.5, 204.0)
    assert answers.seconds(206.0) == pytest.approx(6.0), "the older one has no answer yet"
    answers.answered(200.0, 206.0)
    assert fast < answers.seconds(206.0) < 6.0
    assert answers.seconds(900.0) == answers.seconds(206.0), "nothing waits for an answer"
