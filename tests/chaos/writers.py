"""Channel processes that note what they write, kept alive as `tocsin up` keeps its own."""

import contextlib
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from service.parent import VARIABLE
from tests.chaos.system import CARRIERS, System
from tests.harness.pauses import repeatedly

PAUSE_SECONDS = 0.5
STOP_SECONDS = 40.0


class Writers:
    """So many processes, named channel-0 and on as those of `tocsin up` are."""

    def __init__(self, system: System, count: int, share: int) -> None:
        """`share`: the connections that one process holds at most."""
        self._system = system
        self._share = share
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * count
        self._notes: list[Path] = []

    async def run(self) -> None:
        """Start what is not running, until cancelled."""

        async def start() -> None:
            for number, process in enumerate(self._processes):
                if process is None or process.poll() is not None:
                    self._start(number)

        await repeatedly(start, PAUSE_SECONDS)

    def _start(self, number: int) -> None:
        folder = self._system.live.folder
        notes = folder / f"notes-{len(self._notes)}"
        self._notes.append(notes)
        clock = self._system.clock
        assert clock.start is not None
        environment = {
            **os.environ,
            VARIABLE: str(os.getpid()),
            "TOCSIN_DATABASE_URL": self._system.live.summary["database_url"],
            "TOCSIN_REDIS_URL": self._system.live.summary["redis_url"],
            "TOCSIN_KEY_FILE": f"{folder}.key",
            "TOCSIN_CONNECTIONS_PER_PROCESS": str(self._share),
            "TOCSIN_CLOCK_START": clock.start.isoformat(),
            "TOCSIN_CLOCK_ANCHOR": repr(clock.anchor),
        }
        with (folder / f"channel-{number}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.recording", str(notes)],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._processes[number] = process
        (folder / f"channel-{number}.pid").write_text(str(process.pid))

    def stop(self) -> None:
        """Stop them; what does not end by itself is killed."""
        running = [process for process in self._processes if process is not None]
        for process in running:
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()
            process.wait()

    def written(self) -> dict[str, list[float]]:
        """The instants of all parts that were written, by protocol."""
        found: dict[str, list[float]] = defaultdict(list)
        for notes in self._notes:
            if notes.exists():
                for line in notes.read_text().splitlines():
                    protocol, instant = line.split()
                    found[protocol].append(float(instant))
        assert set(found) <= {protocol for _, protocol in CARRIERS}
        return found
