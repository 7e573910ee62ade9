"""A foreign program that speaks in lines of JSON."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.harness.session import PATIENCE_SECONDS


class Program:
    """Its events, in order; what has come and is not yet looked at waits."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def next(self) -> dict[str, Any]:
        """The next event."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
        assert line, "the program has ended"
        event: dict[str, Any] = json.loads(line)
        return event

    async def take(self, **counts: int) -> dict[str, list[dict[str, Any]]]:
        """So many events of each name, in whatever order they come; no others."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in counts}
        while any(len(found[name]) < count for name, count in counts.items()):
            event = await self.next()
            assert event["event"] in counts, event
            found[event["event"]].append(event)
        return found

    def tell(self, command: str, **fields: object) -> None:
        """Tell it to do something."""
        assert self._process.stdin
        line = json.dumps({"command": command, "fields": fields})
        self._process.stdin.write(line.encode() + b"\n")

    async def end(self) -> int:
        """Wait for its own end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._process.wait()


@asynccontextmanager
async def started(*command: str) -> AsyncIterator[Program]:
    """A program for as long as the block runs."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
