"""The turns of a process, and where it stands when they stop."""

import asyncio
import threading

import pytest

from service.liveness import turns as module
from service.liveness.stacks import task_stacks, thread_stacks
from service.liveness.turns import LOOP, LoopTurns
from tests.harness.waiting import turns as turns_of_loop


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    monkeypatch.setattr(module, "time", Time)
    return now


def test_a_turn_is_as_old_as_its_last_note(time: list[float]) -> None:
    turns = LoopTurns()
    turns.note("work")
    turns.note("acts", 7.0)
    time[0] += 3.0
    assert turns.ages() == {"work": 3.0, "acts": 10.0}
    turns.note("acts", -5.0)
    assert turns.ages()["acts"] == 0.0, "none is younger than now"


def test_whoever_has_all_hands_full_is_not_late_and_is_when_they_are_empty(
    time: list[float],
) -> None:
    turns, busy = LoopTurns(), [True]
    turns.note("queue")
    turns.excuse("queue", lambda: busy[0])
    time[0] += 500.0
    assert turns.ages() == {"queue": 0.0}
    busy[0] = False
    time[0] += 4.0
    assert turns.ages() == {"queue": 4.0}


def test_who_was_asked_to_stop_has_no_turns_but_that_of_the_loop(time: list[float]) -> None:
    turns = LoopTurns()
    turns.note(LOOP)
    turns.note("work")
    turns.end()
    turns.note("work")
    assert list(turns.ages()) == [LOOP]


def test_a_loop_that_is_built_anew_is_as_late_as_it_was(time: list[float]) -> None:
    """Else a worker that is built again and again, and never gets an answer, would seem to work."""
    turns = LoopTurns()
    turns.begin("queue")
    time[0] += 9.0
    turns.begin("queue")
    assert turns.ages() == {"queue": 9.0}


async def _inner() -> None:
    await asyncio.Event().wait()


async def _outer() -> None:
    await _inner()


async def test_the_stack_of_a_task_names_each_call_down_to_what_it_waits_for() -> None:
    task = asyncio.create_task(_outer(), name="hangs")
    await turns_of_loop()
    places = dict(task_stacks(asyncio.get_running_loop()))["hangs"]
    task.cancel()
    calls = [place.rsplit(" ", 1)[1] for place in places]
    assert calls[:3] == ["_outer", "_inner", "Event.wait"]
    assert places[0].startswith("unit/liveness/test_turns.py:")


def test_the_stack_of_a_thread_names_where_it_blocks() -> None:
    gate, there = threading.Event(), threading.Event()

    def block() -> None:
        there.set()
        gate.wait()

    thread = threading.Thread(target=block, name="blocks")
    thread.start()
    there.wait()
    places = dict(thread_stacks())["blocks"]
    gate.set()
    thread.join()
    assert any(place.endswith(".block") for place in places)
