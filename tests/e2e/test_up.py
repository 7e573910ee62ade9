"""`tocsin up` outlives a server that does not come up again at once, and a child that is stuck."""

import json
import signal
import socket
import struct
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


@pytest.mark.slow
def test_systemd_hears_the_parent_alone(tmp_path: Path) -> None:
    """NotifyAccess=main: a child's word would be logged as a stranger's each time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_SECONDS)
        live = Live(tmp_path / "data", "--channels", "none", NOTIFY_SOCKET=str(tmp_path / "notify"))
        live.start()
        try:
            assert live.process is not None
            for _ in range(50):  # a child would say something each time the parent has said ten
                said, credentials, *_rest = systemd.recvmsg(200, socket.CMSG_SPACE(12))
                assert said.decode() == "READY=1\nWATCHDOG=1"
                assert struct.unpack("iii", credentials[0][2])[0] == live.process.pid
        finally:
            live.stop()


def _touches(file: Path) -> bool:
    return file.exists() and file.read_text() != ""
