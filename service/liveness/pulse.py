"""The sign of life of a process that has no watchdog: its event loop goes round."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.liveness.alive_file import TOUCH_SECONDS, AliveFile


@asynccontextmanager
async def showing_life(folder: Path | None, has_started: asyncio.Event) -> AsyncIterator[None]:
    """Touch the file in this folder, if there is one, while the block runs; it says that the
    process works once it `has_started`.

    Raises:
        Misconfigured: the folder is unusable.
    """
    if folder is None:
        yield
        return
    file = AliveFile(folder)
    pulse = asyncio.create_task(_touch(file, has_started), name="pulse")
    try:
        yield
    finally:
        pulse.cancel()
        await asyncio.gather(pulse, return_exceptions=True)
        file.close()


async def _touch(file: AliveFile, has_started: asyncio.Event) -> None:
    while True:
        file.touch(works=has_started.is_set())
        await asyncio.sleep(TOUCH_SECONDS)
