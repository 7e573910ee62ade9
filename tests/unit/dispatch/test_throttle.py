"""When "too fast" answers mean that the whole account is too fast."""

from service.dispatch.limits.throttle import FEW, PAUSE_FIRST, Throttle

RATE = 1_000


def answers(throttle: Throttle[int], second: float, refused: range) -> list[float]:
    """One second of RATE answers, those of these numbers refused; the pauses asked for."""
    pauses = []
    for n in range(RATE):
        now = second + n / RATE
        throttle.answered(now)
        if n in refused:
            pauses.append(throttle.refused(n, now))
    return [pause for pause in pauses if pause]


def test_a_carrier_that_is_busy_now_and_then_slows_nobody_down() -> None:
    """Few of a second, even if they come together at its beginning."""
    throttle = Throttle[int]()
    assert answers(throttle, 10.0, range(0)) == []
    for second in range(11, 20):
        assert answers(throttle, float(second), range(5, 5 + FEW)) == []


def test_more_than_a_hundredth_of_a_second_is_too_many() -> None:
    throttle = Throttle[int]()
    assert answers(throttle, 10.0, range(0)) == []
    assert answers(throttle, 11.0, range(500, 500 + RATE // 100)) == []
    assert answers(throttle, 12.0, range(500, 501 + RATE // 100)) == [PAUSE_FIRST]


def test_with_nothing_before_the_first_answers_count() -> None:
    throttle = Throttle[int]()
    assert answers(throttle, 10.0, range(FEW)) == [PAUSE_FIRST]
    assert answers(throttle, 60.0, range(FEW)) == [PAUSE_FIRST], "a minute ago is not before"
