"""What `tocsin up` makes of the file of a child."""

import os
from pathlib import Path

import pytest

from service.errors import Misconfigured
from service.liveness.alive_file import NAME, OLD_SECONDS, AliveFile
from service.local.supervision import BEGIN_SECONDS, LOOK_SECONDS, STUCK_SECONDS, LifeSigns
from tests.architecture.tree import ROOT


class Parent:
    """Looks at a child's file every second of its own clock."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / NAME
        self.now = 50.0
        self.signs = LifeSigns(folder, self.now)

    def touch(self, at: float) -> None:
        self.file.touch()
        os.utime(self.file, (at, at))

    def stuck_after(self, seconds: float) -> float | None:
        """After how many seconds the child is stuck, if within so many."""
        for n in range(int(seconds)):
            self.now += 1.0
            if self.signs.is_stuck(self.now):
                return n + 1.0
        return None


def test_a_child_without_a_touch_for_so_long_is_stuck(tmp_path: Path) -> None:
    parent = Parent(tmp_path)
    for n in range(100):
        parent.touch(n)
        assert parent.stuck_after(2) is None
    assert parent.stuck_after(60) == pytest.approx(STUCK_SECONDS, abs=2)


def test_a_child_that_begins_has_longer(tmp_path: Path) -> None:
    parent = Parent(tmp_path)
    assert parent.stuck_after(300) == pytest.approx(BEGIN_SECONDS, abs=2)


def test_a_clock_that_is_moved_kills_nobody(tmp_path: Path) -> None:
    """The time of a file may be years from now in either direction."""
    parent = Parent(tmp_path)
    for moved in (1.0e9, 2.0, 3.0e9):
        parent.touch(moved)
        assert parent.stuck_after(STUCK_SECONDS - 2) is None


def test_a_parent_that_was_stopped_counts_anew(tmp_path: Path) -> None:
    parent = Parent(tmp_path)
    parent.touch(1.0)
    assert parent.stuck_after(20) is None
    parent.now += 3_600.0
    assert parent.stuck_after(20) is None
    assert parent.stuck_after(20) is not None
    assert LOOK_SECONDS < 3_600.0


def test_the_health_check_has_the_same_figure() -> None:
    """It is a program of its own, which reads nothing of ours: it is asked every ten seconds."""
    text = (ROOT / "deploy/health.py").read_text("utf-8")
    assert f"OLDEST_SECONDS = {OLD_SECONDS:.0f}\n" in text


def test_two_processes_cannot_show_their_lives_in_one_file(tmp_path: Path) -> None:
    first = AliveFile(tmp_path)
    with pytest.raises(Misconfigured, match="of its own"):
        AliveFile(tmp_path)
    assert (tmp_path / NAME).read_text() == str(os.getpid())
    for works in (False, True, True):
        first.touch(works=works)
    assert (tmp_path / NAME).read_text() == f"{os.getpid()} works\n"
    first.close()
    assert not (tmp_path / NAME).exists()
    AliveFile(tmp_path).close()


def test_a_folder_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="TOCSIN_ALIVE_FOLDER"):
        AliveFile(tmp_path / "nowhere")
