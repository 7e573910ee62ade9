"""What systemd hears over its socket: as it reads it."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.liveness.alive_file import OLD_SECONDS
from service.liveness.systemd import VARIABLES, SystemdSocket

LONGER = f"EXTEND_TIMEOUT_USEC={OLD_SECONDS:.0f}000000"


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Its end of the socket, and the name that a process is given."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("only Linux has names that are in no folder")
    name = str(tmp_path / "notify") if request.param == "file" else f"@tocsin-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name[1:] if name.startswith("@") else name)
        end.settimeout(30)
        yield name, end


def test_a_start_takes_as_long_as_it_shows_life_and_then_the_process_works(
    systemd: tuple[str, socket.socket],
) -> None:
    name, end = systemd
    own = SystemdSocket({"NOTIFY_SOCKET": name})
    own.show_life(works=False)
    assert end.recv(100).decode() == LONGER
    for _ in range(2):  # the first may have been lost
        own.show_life(works=True)
        assert end.recv(100).decode() == "READY=1\nWATCHDOG=1"
    own.end()
    assert end.recv(100).decode() == "STOPPING=1"


def test_no_child_has_the_socket() -> None:
    environment = dict.fromkeys(VARIABLES, "/nowhere") | {"HOME": "/"}
    SystemdSocket(environment).end()
    assert environment == {"HOME": "/"}


def test_without_systemd_nothing_is_said() -> None:
    own = SystemdSocket({})
    own.show_life(works=True)
    own.end()


def test_who_hears_nothing_more_holds_nobody_up(systemd: tuple[str, socket.socket]) -> None:
    """Its queue is full, or it is gone: a watchdog that waited would watch nothing."""
    name, end = systemd
    own = SystemdSocket({"NOTIFY_SOCKET": name})
    for _ in range(10_000):
        own.show_life(works=True)
    end.close()
    own.show_life(works=True)
    own.end()
    own.show_life(works=True)
