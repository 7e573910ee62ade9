"""Podman's service, docker-compose on its socket, and the health checks that a daemon would run."""

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.containers.machine import FOLDER, run
from tests.containers.podman import configure, environment, podman
from tests.harness.waiting import until_sync

SOCKET = FOLDER / "podman.sock"
OFTEN_SECONDS = 1.0
"""Between two checks of a container that is not healthy yet; then the compose file's interval."""


class _Unix(http.client.HTTPConnection):
    """HTTP over podman's socket."""

    def __init__(self) -> None:
        super().__init__("podman", timeout=60)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(SOCKET))


def ask(path: str) -> Any:
    """What podman's service says.

    Raises:
        OSError: it does not answer, or not with what was asked for.
    """
    connection = _Unix()
    try:
        connection.request("GET", f"/v5.0.0/libpod/{path}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status} {body[:300]!r}")
        return json.loads(body)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{path}: {error}") from error
    finally:
        connection.close()


@contextmanager
def service() -> Iterator[None]:
    """Podman's service; what ran in it is removed before and after."""
    lock = (FOLDER / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise AssertionError(f"another run uses {FOLDER}: wait for its end") from error
    configure()
    remove_all()
    SOCKET.unlink(missing_ok=True)
    with (FOLDER / "service.log").open("wb") as log:
        process = subprocess.Popen(
            ["podman", "system", "service", "--time", "0", f"unix://{SOCKET}"],
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until_sync(lambda: _answers(process), 60)
        with _health():
            yield
    finally:
        keep_logs()
        remove_all()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        lock.close()


def keep_logs() -> None:
    """The words of every container, for whoever looks into a broken promise."""
    folder = FOLDER / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in podman("ps", "--all", "--format", "{{.Names}}").split():
        with suppress(AssertionError):
            (folder / f"{name}.log").write_text(said(name))


def said(container: str) -> str:
    """What a container has printed."""
    command = ["podman", "logs", container]
    done = subprocess.run(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode("utf-8", "replace")


def remove_all() -> None:
    """Containers, their volumes and their networks; images stay."""
    podman("rm", "--all", "--force", "--time", "5")
    podman("volume", "rm", "--all", "--force")
    podman("network", "prune", "--force")


def _answers(process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, (FOLDER / "service.log").read_text(errors="replace")[-2000:]
    with suppress(OSError):
        ask("info")
        return True
    return False


@contextmanager
def _health() -> Iterator[None]:
    """Run every container's health check at its interval, as a daemon does, until the end."""
    over = threading.Event()
    thread = threading.Thread(target=_check_all, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(90)


def _check_all(over: threading.Event) -> None:
    due: dict[str, float] = {}
    while not over.wait(OFTEN_SECONDS / 4):
        with suppress(OSError):
            for container in ask("containers/json"):
                name = container["Id"]
                if due.get(name, 0.0) <= time.monotonic() and not over.is_set():
                    due[name] = time.monotonic() + _check(name)


def _check(container: str) -> float:
    """Check one container; in how many seconds the next check is due."""
    try:
        found = ask(f"containers/{container}/healthcheck")
        interval = ask(f"containers/{container}/json")["Config"]["Healthcheck"]["Interval"] / 1e9
    except (OSError, KeyError, TypeError):
        return OFTEN_SECONDS  # it has ended, or has no check
    return float(interval) if found["Status"] == "healthy" else OFTEN_SECONDS


class Compose:
    """docker-compose in a folder with the compose file, and what it started."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = settings

    def __call__(self, *words: str, given: bytes | None = None, seconds: float = 300) -> str:
        """What `docker compose WORDS` printed.

        Raises:
            AssertionError: it failed; with its last words.
        """
        env = os.environ | {"DOCKER_HOST": f"unix://{SOCKET}", "DOCKER_BUILDKIT": "0"}
        env |= self.settings
        command: Sequence[str] = ["docker-compose", "--progress", "plain", *words]
        return run(command, cwd=self.folder, env=env, given=given, seconds=seconds)

    def names(self) -> list[str]:
        """The services that have a container which should run."""
        return sorted(_labels(container)["com.docker.compose.service"] for container in _running())

    def container(self, name: str) -> dict[str, Any]:
        """What podman knows of the first container of a service.

        Raises:
            OSError: there is none.
        """
        found: dict[str, Any] = ask(f"containers/tocsin-{name}-1/json")
        return found

    def pid(self, name: str) -> int:
        """The first process of a service's container on this machine; 0: it does not run."""
        with suppress(OSError):
            return int(self.container(name)["State"]["Pid"])
        return 0

    def address(self, name: str, network: str = "inside") -> str:
        """Where a service's container is."""
        networks = self.container(name)["NetworkSettings"]["Networks"]
        return str(networks[f"tocsin_{network}"]["IPAddress"])

    def healthy(self, name: str) -> bool:
        """Whether a service's container runs, and its last check was good."""
        with suppress(OSError, KeyError):
            state = self.container(name)["State"]
            return (state["Status"], state["Health"]["Status"]) == ("running", "healthy")
        return False

    def kill(self, name: str) -> int:
        """kill -9 of a container's first process, which takes all others with it; its id."""
        pid = self.pid(name)
        assert pid, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    def volume(self, name: str) -> Path:
        """Where a volume is on this machine."""
        return Path(ask(f"volumes/tocsin_{name}/json")["Mountpoint"])


def _running() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask("containers/json")
    return [one for one in found if "com.docker.compose.service" in _labels(one)]


def _labels(container: dict[str, Any]) -> dict[str, str]:
    return container.get("Labels") or {}
