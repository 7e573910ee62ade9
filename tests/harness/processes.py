"""Real processes of the service, with what they log and whether they are healthy."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.liveness.alive_file import NAME
from service.local.embedded import free_port
from tests.architecture.tree import ROOT
from tests.harness.waiting import until

PATIENCE_SECONDS = 90.0
LATE_SECONDS = 20
"""In the place of 60, so that a test does not take minutes."""


@dataclass
class Running:
    """One process in a folder of its own, which is also where it shows that it lives."""

    folder: Path
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process
    words: tuple[str, ...]

    @property
    def fault(self) -> Path:
        """The file with which the fault of `tests.harness.faulty` strikes."""
        return self.folder / "fault"

    def strike(self, what: str = "") -> None:
        self.fault.write_text(what)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def lines(self, message: str) -> list[dict[str, Any]]:
        """What it has logged under a message."""
        found = []
        for line in self.log.splitlines():
            with suppress(ValueError):
                if (said := json.loads(line)).get("message") == message:
                    found.append(said)
        return found

    async def says(self, message: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged this so often; the lines."""
        await until(
            lambda: self.process.returncode is not None or len(self.lines(message)) >= times,
            PATIENCE_SECONDS, f"{message!r} in the log", every=0.1,
        )  # fmt: skip
        assert len(self.lines(message)) >= times, self.log[-3000:]
        return self.lines(message)

    async def ends(self) -> int:
        """Wait for its end; the exit code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()

    @property
    def touched(self) -> float:
        """When it last showed that it lives; 0: never."""
        try:
            return (self.folder / NAME).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    async def begins(self) -> None:
        """Wait until it shows that it lives."""
        await until(
            lambda: self.touched or self.process.returncode is not None,
            PATIENCE_SECONDS, "a sign of life", every=0.1,
        )  # fmt: skip
        assert self.process.returncode is None, self.log[-3000:]

    async def touches(self, times: int) -> None:
        """Wait until it has shown so often more that it lives."""
        seen: set[float] = set()

        def enough() -> bool:
            seen.add(self.touched)
            return len(seen) > times

        await until(enough, PATIENCE_SECONDS, f"{times} touches", every=0.1)

    def is_healthy(self, *words: str) -> bool:
        """What the health check of its container says."""
        check = [sys.executable, str(ROOT / "deploy/health.py"), *words]
        return subprocess.run(check, env=self.environment, check=False).returncode == 0

    async def starts(self) -> None:
        """Wait until it does its work."""
        if "serve" in self.words:
            await self.becomes(healthy=True, words=("api",))
        else:
            await self.says("workers started")

    async def becomes(self, *, healthy: bool, words: tuple[str, ...] = ()) -> None:
        """Wait until its health check says so."""
        await until(
            lambda: self.is_healthy(*words) is healthy,
            PATIENCE_SECONDS, f"healthy: {healthy}", every=0.2,
        )  # fmt: skip


@asynccontextmanager
async def running(
    folder: Path, environment: Mapping[str, str], *words: str, fault: str = "none"
) -> AsyncIterator[Running]:
    """The workers of these words, or `serve`; killed at the end if it is still there."""
    await asyncio.to_thread(folder.mkdir)
    own = {
        **os.environ,
        **environment,
        "TOCSIN_ALIVE_FOLDER": str(folder),
        "TOCSIN_API_PORT": str(free_port()),
    }
    if fault != "none":
        own["TOCSIN_LATE_SECONDS"] = str(LATE_SECONDS)
    command = ["-m", "tests.harness.faulty", fault, str(folder / "fault"), *words]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=own, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        yield Running(folder, own, process, words)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
