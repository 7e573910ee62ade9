"""The `tocsin` command as a person uses it, over a test's database.

In `make test` a command runs in a thread of the test's process, for to start another one and read
all modules again takes twenty times as long as most commands do. Slow tests start processes.
"""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from service.cli import main


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A shell with the settings of a server whose key is 01…01, as that of the tests' keyring.

    `redis_url`: nothing listens where it leads by default, for most commands need none.
    `processes`: whether each command that is run is a process of its own.
    """

    def __init__(
        self,
        database_url: str,
        folder: Path,
        redis_url: str = "redis://127.0.0.1:1",
        *,
        processes: bool = False,
    ) -> None:
        self._processes = processes
        key = folder / "key"
        key.write_text("01" * 32)
        key.chmod(0o600)
        self._environment = {
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_REDIS_URL": redis_url,
            "TOCSIN_KEY_FILE": str(key),
            "PATH": "",
        }

    async def start(self, *arguments: object, **more: str) -> asyncio.subprocess.Process:
        """Start `tocsin ARGUMENTS` as a process; `more` is added to its environment."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", *map(str, arguments)),
            env={**self._environment, **more},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: object, given: str = "", **more: str) -> Said:
        """Run `tocsin ARGUMENTS` to its end; `given` is its standard input."""
        if not self._processes:
            words = list(map(str, arguments))
            return await asyncio.to_thread(_ran, words, given, {**self._environment, **more})
        process = await self.start(*arguments, **more)
        out, err = await process.communicate(given.encode())
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())


def _ran(arguments: list[str], given: str, environment: dict[str, str]) -> Said:
    """What a command says that runs in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with (
        _logging_apart(),
        patch.dict(os.environ, environment, clear=True),
        patch("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse
            code = ended.code if isinstance(ended.code, int) else 1
    out.flush()
    err.flush()
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Said(code, *said)


@contextmanager
def _logging_apart() -> Iterator[None]:
    """Let a command set up its logging, and set it up as before afterwards."""
    root, worker, arq = map(logging.getLogger, (None, "arq.worker", "arq"))
    before = root.handlers[:], root.level, worker.filters[:], arq.level
    root.handlers[:] = []  # else they would be closed
    try:
        yield
    finally:
        root.handlers[:], worker.filters[:] = before[0], before[2]
        root.setLevel(before[1])
        arq.setLevel(before[3])
