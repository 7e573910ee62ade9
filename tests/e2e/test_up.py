"""`tocsin up` outlives a server that does not come up again at once."""

from pathlib import Path

import pytest

from service.errors import Misconfigured
from service.local.embedded import Postgres
from service.local.up import System, UpOptions


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
