"""The sign of life of a process that has no watchdog: its event loop goes round."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.liveness.alive_file import TOUCH_SECONDS, AliveFile
from service.liveness.systemd import SystemdSocket


@asynccontextmanager
async def showing_life(folder: Path | None, has_started: asyncio.Event) -> AsyncIterator[None]:
    """Touch the file in this folder, if there is one, and tell systemd, if there is one, while the
    block runs; both hear that the process works once it `has_started`.

    Raises:
        Misconfigured: the folder is unusable.
    """
    systemd = SystemdSocket()
    file = AliveFile(folder) if folder is not None else None
    pulse = asyncio.create_task(_pulse(file, systemd, has_started), name="pulse")
    try:
        yield
    finally:
        systemd.end()
        pulse.cancel()
        await asyncio.gather(pulse, return_exceptions=True)
        if file is not None:
            file.close()


async def _pulse(
    file: AliveFile | None, systemd: SystemdSocket, has_started: asyncio.Event
) -> None:
    while True:
        works = has_started.is_set()
        systemd.show_life(works=works)
        if file is not None:
            file.touch(works=works)
        await asyncio.sleep(TOUCH_SECONDS)
