"""The `tocsin` command as a person uses it: a process of its own, over a test's database."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
    """

    def __init__(
        self, database_url: str, folder: Path, redis_url: str = "redis://127.0.0.1:1"
    ) -> None:
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
        """Start `tocsin ARGUMENTS`; `more` is added to its environment."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", *map(str, arguments)),
            env={**self._environment, **more},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: object, given: str = "", **more: str) -> Said:
        """Run `tocsin ARGUMENTS` to its end; `given` is its standard input."""
        process = await self.start(*arguments, **more)
        out, err = await process.communicate(given.encode())
        assert process.returncode is not None
        return Said(process.returncode, out.decode(), err.decode())
