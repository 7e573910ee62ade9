"""`tocsin up` outlives a server that does not come up again at once, and a child that is stuck."""

import json
import signal
from pathlib import Path

import pytest

from service.errors import Misconfigured
from service.liveness.alive_file import NAME
from service.local.embedded import Postgres
from service.local.up import System, UpOptions
from tests.harness.live import Live
from tests.harness.waiting import until_sync


def test_a_server_that_does_not_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []

    def start(self: Postgres) -> None:
        started.append(len(started) > 0)
        if not started[-1]:
            raise Misconfigured("no space left on the device")

    monkeypatch.setattr(Postgres, "start", start)
    monkeypatch.setattr(Postgres, "alive", lambda _: started[-1:] == [True])
    running = System(UpOptions(tmp_path), tmp_path)
    running.postgres = Postgres(tmp_path)
    running.tend()
    assert started == [False]
    running.tend()
    running.tend()
    assert started == [False, True], "tried again until it runs, and no more"


@pytest.mark.slow
def test_a_child_that_is_stopped_is_killed_and_started_again(tmp_path: Path) -> None:
    """It cannot end itself. Its peers, and one that was killed, go on as ever."""
    live = Live(tmp_path / "data", "--channels", "none")
    live.start()
    try:
        stopped, api = live.pid("work"), live.pid("api")
        live.kill("work", signal.SIGSTOP)
        live.kill("scheduler")
        until_sync(lambda: live.pid("work") != stopped, PATIENCE_SECONDS)
        until_sync(lambda: _touches(live.folder / "alive" / "work" / NAME), PATIENCE_SECONDS)
        said = (tmp_path / "data.up.log").read_text()
        killed = [line for line in said.splitlines() if "no sign of life" in line]
        assert len(killed) == 1
        assert json.loads(killed[0])["process_name"] == "work"
        assert live.pid("api") == api
    finally:
        live.stop()


PATIENCE_SECONDS = 120.0


def _touches(file: Path) -> bool:
    return file.exists() and file.read_text() != ""
