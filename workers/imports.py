"""Contact files into contacts, and out again.

A province's file takes minutes, a job has one: so the job only starts the reading, which goes on
beside the arq worker (that is rebuilt whenever Redis hiccups) and has a connection of its own. If
this process dies, PostgreSQL ends the connection, nothing of the file is left, and whoever the
sweep rings next reads it anew.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from service.audience import store
from service.audience.loading import run_import
from service.audience.rosters import run_undo
from service.runtime import Runtime
from service.storage.postgres import LONG_SECONDS, connected
from workers.context import Kind, runtime_of

MOST_AT_ONCE = 2
"""Files under way in one process; each wants a processor, and the sweep rings for the others."""

_under_way: dict[uuid.UUID, asyncio.Task[None]] = {}
log = logging.getLogger(__name__)


async def read_import(ctx: dict[str, Any], import_id: str) -> None:
    """Start to read one waiting file, unless this process does so already or has enough to do."""
    _start(runtime_of(ctx), uuid.UUID(import_id), _read)


async def undo_import(ctx: dict[str, Any], import_id: str) -> None:
    """Start to take one import back, likewise."""
    _start(runtime_of(ctx), uuid.UUID(import_id), _undo)


Work = Callable[[Runtime, uuid.UUID], Coroutine[Any, Any, None]]


def _start(runtime: Runtime, import_id: uuid.UUID, work: Work) -> None:
    if import_id in _under_way or len(_under_way) >= MOST_AT_ONCE:
        return
    _under_way[import_id] = asyncio.create_task(_logged(work(runtime, import_id), import_id))
    _under_way[import_id].add_done_callback(lambda _: _under_way.pop(import_id))


async def _logged(work: Awaitable[None], import_id: uuid.UUID) -> None:
    try:
        await work
    except Exception:
        # All is as it was; the sweep rings again, of a file until its attempts are used up.
        log.exception("an import broke off", extra={"import_id": str(import_id)})


async def _read(runtime: Runtime, import_id: uuid.UUID) -> None:
    url = runtime.settings.database_url
    async with connected(url, seconds=LONG_SECONDS) as reading, connected(url) as beside:
        progress = partial(store.note_progress, beside, import_id)
        await run_import(reading, runtime.keyring, import_id, runtime.clock.now(), progress)


async def _undo(runtime: Runtime, import_id: uuid.UUID) -> None:
    async with connected(runtime.settings.database_url, seconds=LONG_SECONDS) as conn:
        await run_undo(conn, import_id, runtime.clock.now())


KIND = Kind("imports", [read_import, undo_import])
