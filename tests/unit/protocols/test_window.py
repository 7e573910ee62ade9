import pytest

from service.protocols.window import Sequence, Window


def filled() -> Window[str]:
    window = Window[str]()
    for sequence, item in enumerate("abc"):
        window.add(sequence, item, deadline=10.0 + sequence)
    return window


def test_an_answer_takes_its_request_once() -> None:
    window = filled()
    assert window.take(1) == "b"
    assert window.take(1) is None
    assert len(window) == 2
    assert 1 not in window


def test_only_the_overdue_are_swept() -> None:
    window = filled()
    assert window.overdue(9.9) == []
    assert window.overdue(11.0) == ["a", "b"]
    assert window.overdue(11.0) == []
    assert len(window) == 1


def test_a_lost_link_gives_everything_back() -> None:
    window = filled()
    assert window.clear() == ["a", "b", "c"]
    assert len(window) == 0


def test_a_sequence_number_is_in_flight_once() -> None:
    window = filled()
    with pytest.raises(ValueError, match="in flight"):
        window.add(2, "again", deadline=20.0)


def test_sequence_numbers_wrap() -> None:
    sequence = Sequence(first=1, last=3)
    assert [sequence.take() for _ in range(5)] == [1, 2, 3, 1, 2]
