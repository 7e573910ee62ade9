"""Counting scopes in the background, a stretch of people at a time.

Each stretch is a transaction that adds to the facts of a new count and notes how far it is. So a
process that dies loses one stretch, and pages read the count before until the new one is whole.
"""

import time

from service.clock import Clock
from service.reports.coverage import fact_store, scope_store
from service.storage.postgres import COUNT_SECONDS, Pool, transaction

AT_ONCE_SECONDS = 2.0
"""A turn begins no stretch after this, and does one at least."""


async def count_coverage(pool: Pool, clock: Clock) -> int:
    """Count scopes that are due; returns how many stretches were counted."""
    until = time.monotonic() + AT_ONCE_SECONDS
    now = clock.now()
    async with transaction(pool, seconds=COUNT_SECONDS) as conn:
        await scope_store.add_scopes(conn, now)
    counted = 0
    while counted == 0 or time.monotonic() < until:
        if await _count_next(pool, clock):
            counted += 1
            continue
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            if await scope_store.begin_due(conn, clock.now()) is None:
                break
    return counted


async def _count_next(pool: Pool, clock: Clock) -> bool:
    """Count the next stretch of a count under way; returns whether there was one."""
    async with transaction(pool, seconds=COUNT_SECONDS) as conn:
        count = await scope_store.lock_under_way(conn)
        if count is None:
            return False
        await fact_store.count_stretch(conn, count)
        if count.is_last:
            await scope_store.show(conn, count, clock.now())
        else:
            await scope_store.note_done(conn, count)
    return True
