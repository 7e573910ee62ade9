"""Whose turn it is: classes with a floor, departments by weight, newcomers, many connections."""

import uuid
from collections import Counter
from collections.abc import Collection

import pytest

from service.dispatch.fair_queue import Flow, FlowStanding, Turns

URGENT, NORMAL, BULK = 0, 1, 2


def department(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def flow(priority: int, number: int = 1) -> Flow:
    return Flow(priority, department(number))


def run(turns: Turns, waiting: Collection[Flow], parts: int, batch: int = 5) -> Counter[Flow]:
    """Hand off so many parts, in batches; returns who had how many."""
    had: Counter[Flow] = Counter()
    while had.total() < parts:
        chosen = turns.pick(waiting)
        turns.charge(chosen, batch, waiting)
        had[chosen] += batch
    return had


def entered(*flows: tuple[Flow, int]) -> Turns:
    turns = Turns()
    for one, weight in flows:
        turns.enter(one, weight)
    return turns


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_departments_share_by_weight(batch: int) -> None:
    a, b, c = (flow(NORMAL, n) for n in (1, 2, 3))
    had = run(entered((a, 10), (b, 30), (c, 60)), {a, b, c}, 2_000 * batch, batch)
    for one, share in ((a, 0.1), (b, 0.3), (c, 0.6)):
        assert had[one] / had.total() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("batch", [1, 5, 200])
@pytest.mark.parametrize(
    ("classes", "shares"),
    [
        ((URGENT, NORMAL), (0.95, 0.05)),
        ((NORMAL, BULK), (0.95, 0.05)),
        ((URGENT, BULK), (0.95, 0.05)),
        ((URGENT, NORMAL, BULK), (0.9, 0.05, 0.05)),
        ((BULK,), (1,)),
    ],
)
def test_the_most_urgent_comes_first_and_each_other_has_its_floor(
    classes: tuple[int, ...], shares: tuple[float, ...], batch: int
) -> None:
    flows = [flow(priority) for priority in classes]
    had = run(entered(*((one, 10) for one in flows)), set(flows), 2_000 * batch, batch)
    for one, share in zip(flows, shares, strict=True):
        assert had[one] / had.total() == pytest.approx(share, abs=0.005)


def test_what_is_urgent_comes_before_what_is_not_at_once() -> None:
    turns = entered((flow(BULK), 100))
    run(turns, {flow(BULK)}, 10_000)
    turns.enter(flow(URGENT), 1)
    both = {flow(URGENT), flow(BULK)}
    for _ in range(3):  # the floor is a part in twenty, so not before twenty parts
        assert turns.pick(both) == flow(URGENT)
        turns.charge(flow(URGENT), 5, both)


def test_a_class_saves_up_no_floor_while_it_has_no_work() -> None:
    turns = entered((flow(URGENT), 10), (flow(BULK), 10))
    run(turns, {flow(URGENT), flow(BULK)}, 19, batch=1)
    run(turns, {flow(URGENT)}, 100_000)
    had = run(turns, {flow(URGENT), flow(BULK)}, 19, batch=1)
    assert had[flow(BULK)] == 0


def test_a_newcomer_gets_on_at_once_and_has_no_arrears() -> None:
    huge, small = flow(NORMAL, 1), flow(NORMAL, 2)
    turns = entered((huge, 10))
    run(turns, {huge}, 11_800)
    turns.enter(small, 10)
    had = run(turns, {huge, small}, 100)
    assert had == {huge: 50, small: 50}


def test_whoever_was_away_begins_at_the_present_too() -> None:
    a, b = flow(NORMAL, 1), flow(NORMAL, 2)
    turns = entered((a, 10), (b, 10))
    run(turns, {a, b}, 1_000)
    run(turns, {a}, 50_000)
    turns.enter(b, 10)
    assert run(turns, {a, b}, 1_000)[b] == pytest.approx(500, abs=10)


def test_arrears_are_not_saved_up_for_ever() -> None:
    a, b = flow(NORMAL, 1), flow(NORMAL, 2)
    turns = entered((a, 10), (b, 10))
    run(turns, {a}, 100_000)  # b had work, and its own pace kept it from using its turns
    had = run(turns, {a, b}, 10_000)
    assert 4_000 <= had[a] <= 5_000


def test_who_handed_off_elsewhere_waits_here() -> None:
    """Two connections: A has work on both, B on this one alone, and each is to have half."""
    a, b = flow(NORMAL, 1), flow(NORMAL, 2)
    turns = entered((a, 10), (b, 10))
    had: Counter[Flow] = Counter()
    time = {a: 0.0, b: 0.0}
    for _ in range(100):
        elsewhere = 10
        here = run(turns, {a, b}, 20, batch=1)
        had += here + Counter({a: elsewhere})
        charges = turns.unwritten()
        time[a] += elsewhere / 10
        for one, charge in charges.items():
            time[one] += charge.advance
        turns.mark_written(charges)
        turns.take_standings({one: FlowStanding(time[one], time[one], 10) for one in (a, b)})
    assert had[a] / had.total() == pytest.approx(0.5, abs=0.02)


def test_after_a_restart_a_newcomer_begins_at_the_present() -> None:
    old, new = flow(NORMAL, 1), flow(NORMAL, 2)
    turns = Turns()
    turns.take_standings({old: FlowStanding(time=100_000.0, last_start=99_999.0, weight=10)})
    turns.enter(new, 10)
    turns.enter(old, 10)
    assert run(turns, {old, new}, 1_000)[old] == pytest.approx(500, abs=20)


def test_what_is_told_is_what_was_handed_off() -> None:
    a = flow(NORMAL)
    turns = entered((a, 20))
    turns.charge(a, 30, {a})
    turns.charge(a, 10, {a})
    turns.charge(a, 0, {a})
    (charge,) = turns.unwritten().values()
    assert (charge.parts, charge.first_start, charge.last_start, charge.advance) == (
        40,
        0.0,
        1.5,
        2.0,
    )
    turns.mark_written(turns.unwritten())
    assert turns.unwritten() == {}
