"""Saying how far an act is while it is done, so that whoever looks sees that somebody does it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from service.accounts.long_acts import store
from service.accounts.long_acts.long_act import EVERY_SECONDS, LongProgress
from service.storage.postgres import UNREACHABLE, Connection

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept(
    conn: Connection, act_id: UUID, progress: LongProgress, every: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """Renew an act's row over a connection that nobody else uses meanwhile, each second until the
    end. Where that fails, the act goes on, and only counts as broken off.
    """
    over = asyncio.Event()
    renewing = asyncio.create_task(_renew(conn, act_id, progress, over, every))
    try:
        yield
    finally:
        over.set()
        try:
            await renewing
        except UNREACHABLE:
            log.warning("nobody was told how far an act is", extra={"act_id": str(act_id)})


async def _renew(
    conn: Connection, act_id: UUID, progress: LongProgress, over: asyncio.Event, every: float
) -> None:
    while not over.is_set():
        await store.renew(conn, act_id, progress.done, progress.total)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), every)
