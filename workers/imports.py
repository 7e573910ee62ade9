"""Contact files into contacts.

A province's file takes minutes, a job has one: so the job only starts the reading, which goes on
beside the arq worker (that is rebuilt whenever Redis hiccups) and has a connection of its own. If
this process dies, PostgreSQL ends the connection, nothing of the file is left, and whoever the
sweep rings next reads it anew.
"""

import asyncio
import logging
import uuid
from functools import partial
from typing import Any

from service.audience import store
from service.audience.loading import run_import
from service.runtime import Runtime
from service.storage.postgres import connected
from workers.context import Kind, runtime_of

MOST_READINGS = 2
"""Files read at once by one process; each wants a processor, and the sweep rings for the others."""

_readings: dict[uuid.UUID, asyncio.Task[None]] = {}
log = logging.getLogger(__name__)


async def read_import(ctx: dict[str, Any], import_id: str) -> None:
    """Start to read one waiting file, unless this process does so already or has enough to do."""
    wanted = uuid.UUID(import_id)
    if wanted in _readings or len(_readings) >= MOST_READINGS:
        return
    _readings[wanted] = asyncio.create_task(_read(runtime_of(ctx), wanted))
    _readings[wanted].add_done_callback(lambda _: _readings.pop(wanted))


async def _read(runtime: Runtime, import_id: uuid.UUID) -> None:
    url = runtime.settings.database_url
    try:
        async with connected(url) as reading, connected(url) as beside:
            progress = partial(store.note_progress, beside, import_id)
            await run_import(reading, runtime.keyring, import_id, runtime.clock.now(), progress)
    except Exception:
        # The file waits as it was; the sweep rings again until its attempts are used up.
        log.exception("reading broke off", extra={"import_id": str(import_id)})


KIND = Kind("imports", [read_import])
