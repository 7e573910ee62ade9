"""Watching a process, from before it opens anything to its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from service.liveness.life import Life
from service.liveness.systemd import SystemdSocket
from service.liveness.turns import LOOP, START, LoopTurns
from service.liveness.watchdog import Watchdog, ask_servers
from service.settings import Settings

PULSE_SECONDS = 1.0
START_SECONDS = 45.0
"""So much longer than a turn a start may take: on a busy machine many begin at once."""


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[Life]:
    """Watch this process while the block runs. Whoever works in it notes its turns in its `Life`.

    Raises:
        Misconfigured: TOCSIN_ALIVE_FOLDER is unusable.
    """
    life = Life()
    life.turns.note(LOOP)
    life.turns.note(START, ago=-START_SECONDS)
    watchdog = Watchdog(
        life.turns,
        partial(ask_servers, settings.database_url, settings.redis_url),
        late_seconds=settings.late_seconds,
        folder=settings.alive_folder,
        systemd=SystemdSocket(),
        loop=asyncio.get_running_loop(),
    )
    pulse = asyncio.create_task(_pulse(life.turns), name="pulse")
    watchdog.start()
    try:
        yield life
    finally:
        watchdog.stop()
        pulse.cancel()
        await asyncio.gather(pulse, return_exceptions=True)


async def _pulse(turns: LoopTurns) -> None:
    """The loop goes round."""
    while True:
        turns.note(LOOP)
        await asyncio.sleep(PULSE_SECONDS)
