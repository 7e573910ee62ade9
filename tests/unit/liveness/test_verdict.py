"""What the watchdog decides: who waits rightly, who stands still, and who has for too long."""

from dataclasses import dataclass, field

import pytest

from service.liveness.turns import LOOP
from service.liveness.verdict import Judge, Verdict

LATE = 60.0
LOOK = 2.0


@dataclass
class Scene:
    """A process whose turns have the ages that a test gives. asked: how often servers were."""

    now: float = 1_000.0
    servers: list[str] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.judge = Judge(LATE, LOOK, lambda: self.now, self._ask)

    def _ask(self) -> list[str]:
        self.asked += 1
        return self.servers

    def go(self, seconds: float, work: float | None = None, loop: float = 0.0) -> Verdict:
        """Look every LOOK seconds for so long; the last verdict. work: the age of a turn at first,
        which grows as time goes on; None: it is always young.
        """
        verdict = Verdict.LIVES
        for n in range(int(seconds / LOOK)):
            self.now += LOOK
            ages = {LOOP: loop and loop + n * LOOK}
            if work is not None:
                ages["work"] = work + n * LOOK
            verdict = self.judge.look(ages)
            if verdict is Verdict.LATE:
                break
        return verdict


def test_young_turns_ask_nobody() -> None:
    scene = Scene()
    assert scene.go(600, None) is Verdict.LIVES
    assert scene.asked == 0


def test_a_turn_that_is_late_while_both_answer_ends_the_process_after_its_time() -> None:
    scene = Scene()
    assert scene.go(16, 0.0) is Verdict.LIVES
    assert scene.go(40, 16.0) is Verdict.STANDS
    assert scene.go(10, 56.0) is Verdict.LATE
    assert scene.judge.why == ("work",)


def test_whoever_waits_for_a_server_never_ends_and_has_its_whole_time_afterwards() -> None:
    scene = Scene(servers=["PostgreSQL does not answer"])
    assert scene.go(3_600, 20.0) is Verdict.WAITS
    assert scene.judge.why == ("PostgreSQL does not answer",)
    scene.servers = []
    assert scene.go(LATE - 2, 3_620.0) is Verdict.STANDS
    assert scene.go(6, 3_680.0) is Verdict.LATE


def test_a_blocked_loop_excuses_itself_with_no_server_but_does_not_end_while_one_is_away() -> None:
    scene = Scene(servers=["Redis does not answer"])
    assert scene.go(3_600, None, loop=20.0) is Verdict.STANDS, "its file must grow old"
    scene.servers = []
    assert scene.go(LATE + 4, None, loop=3_600.0) is Verdict.LATE


@pytest.mark.parametrize("stopped", [30.0, 3_600.0])
def test_time_in_which_the_process_was_stopped_does_not_count(stopped: float) -> None:
    scene = Scene()
    scene.go(10, None)
    scene.now += stopped
    assert scene.judge.look({LOOP: stopped, "work": stopped}) is not Verdict.LATE
    assert scene.go(LATE - 4, stopped, loop=stopped) is Verdict.STANDS
    assert scene.go(8, stopped + LATE, loop=stopped + LATE) is Verdict.LATE
