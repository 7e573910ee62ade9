"""What a promoted or restored database lacks, by what was told outside of it."""

from uuid import uuid4

import pytest

from service.campaigns.stops.gap import GapFinding, GapVerdict, Witnessed, judge
from service.campaigns.stops.stop_store import Generation, MissingTexts
from service.campaigns.stops.witness import Announced

ID = uuid4()
FIRST, SECOND, OTHER = "7000/00000001", "7000/00000002", "8000/00000001"
MARKS = {(1, 0): 100, (1, 1): 40, (2, 0): 0}
ALL_TOLD = {(1, 0): 100, (1, 1): 40}


def _judged(
    present: str = SECOND,
    *,
    told: dict[tuple[int, int], int] | None = ALL_TOLD,
    cluster: str | None = None,
    beat: int = 7,
    whole: bool = True,
) -> GapFinding:
    announced = None if told is None else Announced(cluster or present, told)
    known = Generation(ID, 7, FIRST)
    return judge(known, present, MARKS, Witnessed(beat, whole, announced))


def test_where_it_was_and_with_all_that_was_told_it_is_the_same() -> None:
    assert _judged(FIRST).verdict is GapVerdict.SAME
    assert _judged(FIRST, told={}, whole=False, beat=0).verdict is GapVerdict.SAME, "proves nothing"
    assert _judged(FIRST, told=None, beat=0).verdict is GapVerdict.SAME


def test_on_a_new_timeline_with_all_that_was_told_it_is_accepted() -> None:
    assert _judged() == GapFinding(GapVerdict.ACCEPT, missing=[])
    assert _judged(told={(1, 0): 90, (1, 1): 40}).verdict is GapVerdict.ACCEPT, (
        "told less, has more"
    )


@pytest.mark.parametrize(
    "told", [{(1, 0): 101, (1, 1): 40}, {**ALL_TOLD, (2, 0): 1}, {**ALL_TOLD, (3, 0): 5}]
)
@pytest.mark.parametrize("present", [FIRST, SECOND, OTHER])
def test_one_text_that_is_missing_on_one_connection_is_a_hold(
    told: dict[tuple[int, int], int], present: str
) -> None:
    found = _judged(present, told=told)
    assert found.verdict is GapVerdict.HOLD
    assert found.missing == [
        MissingTexts(*key, count - MARKS.get(key, 0))
        for key, count in told.items()
        if count > MARKS.get(key, 0)
    ]


def test_a_beat_that_is_missing_is_a_hold_though_no_text_is() -> None:
    for present in (FIRST, SECOND):
        found = _judged(present, beat=8)
        assert (found.verdict, found.missing) == (GapVerdict.HOLD, [])


def test_what_redis_has_forgotten_nobody_knows() -> None:
    for found in (
        _judged(told={}, whole=False, beat=0),
        _judged(told={(1, 0): 100}),
        _judged(told=ALL_TOLD, whole=False),
    ):
        assert (found.verdict, found.missing) == (GapVerdict.HOLD, None)


def test_while_redis_does_not_answer_a_new_timeline_waits() -> None:
    assert _judged(told=None, whole=False, beat=0).verdict is GapVerdict.WAIT
    assert _judged(told=None, whole=False, beat=8).verdict is GapVerdict.HOLD, "a file knows"
    assert _judged(OTHER, told=None, whole=False, beat=0).verdict is GapVerdict.HOLD


def test_another_cluster_is_a_hold_though_nothing_is_missing() -> None:
    found = _judged(OTHER)
    assert (found.verdict, found.missing) == (GapVerdict.HOLD, [])


@pytest.mark.parametrize("accepted", ["7000/00000002", "7000/0000000A", OTHER])
def test_a_primary_that_comes_back_while_another_goes_on_is_a_hold(accepted: str) -> None:
    assert _judged(FIRST, cluster=accepted).verdict is GapVerdict.HOLD
