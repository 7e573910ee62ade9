"""Facts of people in the background: made anew where lists changed, and compared with them daily.

Whoever reads makes those of a few people anew within its own transaction; after an import the whole
department's are made here, and until then the entries are read.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from service.audience.segments import facts_store
from service.storage.postgres import COUNT_SECONDS, Pool, transaction

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
AT_ONCE = 5_000
"""So many people are compared in one transaction."""


async def freshen_waiting(pool: Pool) -> int:
    """Make the facts anew of all people who wait; returns of how many departments."""
    async with pool.acquire() as conn:
        waiting = await facts_store.departments_waiting(conn)
    for department_id in waiting:
        async with transaction(pool, seconds=COUNT_SECONDS) as conn:
            await facts_store.freshen_facts(conn, department_id)
    return len(waiting)


async def check_facts(pool: Pool, now: datetime) -> int:
    """Compare with their entries the facts of departments that were not compared for a day; returns
    of how many people they differ. Those of such a department are made anew. What nobody's entries
    say any more is deleted.
    """
    async with pool.acquire() as conn:
        unchecked = await facts_store.departments_unchecked(conn, now - EVERY)
    return sum([await _check(pool, department_id, now) for department_id in unchecked])


async def _check(pool: Pool, department_id: UUID, now: datetime) -> int:
    people = differing = 0
    after: UUID | None = None
    while True:
        async with (
            pool.acquire(seconds=COUNT_SECONDS) as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            found = await facts_store.compare_stretch(conn, department_id, after, AT_ONCE)
            if found.last is None and not found.waits:
                differing += await facts_store.count_differing_entries(conn, department_id)
                differing += await facts_store.count_differing_kinds(conn, department_id)
        if found.waits:  # they are made anew first, and compared in a later turn
            return 0
        people += found.people
        differing += found.differing
        after = found.last
        if after is None:
            break
    async with transaction(pool) as writer:
        if not await facts_store.compact(writer, department_id) and not differing:
            return 0  # somebody makes facts anew; compared again in a later turn
        await facts_store.save_check(writer, department_id, people, differing, now)
        if differing:
            await facts_store.note_all(writer, department_id)
    if differing:
        told = {"department_id": str(department_id), "people": people, "differing": differing}
        log.error("facts of people are not what their entries say", extra=told)
    return differing
