"""How far a file is while it is made, for whoever waits for it: a row, once it takes a second."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from service.accounts.long_acts import store
from service.accounts.long_acts.keeping import kept
from service.accounts.long_acts.long_act import KEPT, LongProgress
from service.runtime import Runtime
from service.storage.postgres import UNREACHABLE, Busy

log = logging.getLogger(__name__)

_NOT_SAID: tuple[type[BaseException], ...] = (*UNREACHABLE, Busy)
SHOWN_AFTER = 1.0
"""A file that is made faster, in seconds, writes nothing down."""
FORGOTTEN_AT_ONCE = 100


@dataclass(slots=True)
class LongFile:
    """A file that is being made. object_id: what it is about."""

    action: str
    object_id: str | None
    user_id: UUID
    progress: LongProgress
    failed: bool = True


@asynccontextmanager
async def noted(runtime: Runtime, file: LongFile) -> AsyncIterator[None]:
    """Say how far a file is while it is made, over a connection beside the one that reads it. Where
    that cannot be said, the file is made all the same.
    """
    over = asyncio.Event()
    noting = asyncio.create_task(_note(runtime, file, over))
    try:
        yield
        file.failed = False
    finally:
        over.set()
        try:
            await noting
        except _NOT_SAID:
            log.warning("nobody was told how far a file is", extra={"action": file.action})


async def _note(runtime: Runtime, file: LongFile, over: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(over.wait(), SHOWN_AFTER)
    except TimeoutError:
        pass
    else:
        return
    now, progress = runtime.clock.now, file.progress
    async with runtime.pool.acquire() as conn:
        await store.forget_acts(conn, now() - KEPT, FORGOTTEN_AT_ONCE)
        act = await store.insert_act(
            conn, file.action, file.object_id, file.user_id, now(), begun=True
        )
        async with kept(conn, act.id, progress):
            await over.wait()
        await store.end_act(
            *(conn, act.id, now()),
            done=progress.done,
            total=progress.total,
            failed=file.failed,
        )
