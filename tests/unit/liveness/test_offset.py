"""A process's clock beside PostgreSQL's: how far it is off, and how sure that is."""

from datetime import UTC, datetime, timedelta

import pytest

from service.liveness.life import Life
from service.liveness.offset import ClockOffset, ClockState, state_of

NOON = datetime(2027, 1, 12, 12, tzinfo=UTC)


def offset(ahead: float, trip: float = 0.0) -> ClockOffset:
    """As a process measures whose clock is so many seconds ahead, over a trip of so many."""
    before = NOON + timedelta(seconds=ahead)
    asked = NOON + timedelta(seconds=trip / 2)
    return ClockOffset.between(before, asked, before + timedelta(seconds=trip))


@pytest.mark.parametrize("ahead", [0.0, 4.0, -7.5, 3_600.0])
@pytest.mark.parametrize("trip", [0.0, 0.3, 12.0])
def test_it_is_measured_from_the_middle_of_the_trip(ahead: float, trip: float) -> None:
    measured = offset(ahead, trip)
    assert measured.ahead.total_seconds() == pytest.approx(ahead)
    assert measured.uncertainty.total_seconds() == pytest.approx(trip / 2)


@pytest.mark.parametrize(
    ("ahead", "trip", "state"),
    [
        (5.0, 0.0, ClockState.FITS),
        (5.1, 0.0, ClockState.DIFFERS),
        (-5.1, 0.0, ClockState.DIFFERS),
        (5.1, 0.4, ClockState.FITS),
        (60.0, 0.0, ClockState.DIFFERS),
        (60.1, 0.0, ClockState.UNFIT),
        (-60.1, 0.0, ClockState.UNFIT),
        (65.0, 12.0, ClockState.DIFFERS),
    ],
)
def test_only_what_is_certain_counts(ahead: float, trip: float, state: ClockState) -> None:
    assert state_of(offset(ahead, trip)) is state
    assert Life(clock=state).may_hand_off == (state is not ClockState.UNFIT)
