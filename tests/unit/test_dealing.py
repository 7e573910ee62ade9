"""Each test of a run goes to one process once, also when one of the processes dies."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from xdist.workermanage import WorkerController

from tests.harness.dealing import MOST, Dealer

GROUP = [f"tests/b.py::test_{n}@live" for n in range(3)]
TESTS = [
    *(f"tests/a.py::test_{n}" for n in range(2_000)),
    *GROUP,
    *(f"tests/c.py::test_{n}[x@y]" for n in range(500)),
]


class Process:
    """A process that runs what it is sent, when the test says so."""

    gateway = SimpleNamespace(id="gw0")

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.batches: list[int] = []
        self.ended: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        assert not self.shutting_down
        self.sent += indices
        self.batches.append(len(indices))

    def shutdown(self) -> None:
        self.shutting_down = True

    def run_one(self, dealer: Dealer) -> bool:
        """Whether there was one; as in earnest, the last is kept until more come or none will."""
        if len(self.sent) < (1 if self.shutting_down else 2):
            return False
        place = self.sent.pop(0)
        self.ended.append(place)
        dealer.mark_test_complete(cast(WorkerController, self), place)
        return True


class Config:
    """As much of pytest's as the dealer asks."""

    option = SimpleNamespace(loadscopereorder=True)

    def __init__(self, processes: int) -> None:
        self.processes = processes

    def getvalue(self, name: str) -> Any:
        assert name == "tx"
        return [f"{self.processes}*popen"]


def dealt(processes: int, tests: Sequence[str] = TESTS) -> tuple[Dealer, list[Process]]:
    dealer = Dealer(cast(pytest.Config, Config(processes)))
    made = [Process() for _ in range(processes)]
    for one in made:
        dealer.add_node(cast(WorkerController, one))
    for one in made:
        dealer.add_node_collection(cast(WorkerController, one), tests)
    dealer.schedule()
    return dealer, made


def run(dealer: Dealer, processes: Sequence[Process]) -> None:
    """In turn, a test each, until none has any."""
    while sum(one.run_one(dealer) for one in processes):
        pass


@pytest.mark.parametrize("processes", [1, 3])
def test_each_test_is_run_once_and_a_group_by_one_process(processes: int) -> None:
    dealer, made = dealt(processes)
    run(dealer, made)
    assert sorted(place for one in made for place in one.ended) == list(range(len(TESTS)))
    group = {TESTS.index(test) for test in GROUP}
    assert sorted(len(group & set(one.ended)) for one in made)[-1] == len(GROUP)
    assert all(one.shutting_down for one in made)
    assert not dealer.has_pending


def test_many_are_sent_at_a_time_and_single_ones_in_the_end() -> None:
    dealer, made = dealt(3)
    run(dealer, made)
    for one in made:
        assert MOST <= one.batches[0] < MOST + len(GROUP)
        assert one.batches[-1] == 1
    assert sum(len(one.batches) for one in made) < len(TESTS) / 4


def test_few_tests_are_sent_one_by_one() -> None:
    dealer, made = dealt(2, TESTS[:10])
    run(dealer, made)
    assert sorted(place for one in made for place in one.ended) == list(range(10))
    assert {size for one in made for size in one.batches} == {1}


def test_what_a_process_that_dies_has_not_run_goes_to_the_others() -> None:
    dealer, made = dealt(3)
    dead, *others = made
    for _ in range(20):
        for one in made:
            one.run_one(dealer)
    crashed = dealer.remove_node(cast(WorkerController, dead))
    assert crashed == TESTS[dead.sent[0]]
    run(dealer, others)
    again = [place for one in others for place in one.ended]
    assert sorted([*dead.ended, *again]) == list(range(len(TESTS)))
