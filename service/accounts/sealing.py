"""Sealing the audit trail, and walking it to prove that nothing in it was touched."""

import logging
from datetime import datetime
from typing import NamedTuple

from service.accounts import audit_store as store
from service.accounts.audit import Broken, Head, Walk
from service.storage.postgres import Connection, Pool, transaction

BATCH = 1000
log = logging.getLogger(__name__)


async def seal_committed(pool: Pool) -> int:
    """Seal all committed entries that have no seal; returns how many.

    Any number of processes may try: one at a time does it, and a batch is whole or not there. The
    last seal of each batch is logged, so that the chain is also known outside the database.
    """
    done = 0
    while True:
        async with transaction(pool) as conn:
            if not await store.try_lock_sealing(conn):
                return done
            sealed, head = await _seal_batch(conn)
        if sealed:
            log.info("sealed audit entries", extra={"head": str(head), "count": sealed})
        done += sealed
        if sealed < BATCH:
            return done


async def _seal_batch(conn: Connection) -> tuple[int, Head]:
    head, seals = await store.get_head(conn), []
    for entry in await store.unsealed_entries(conn, BATCH):
        seal = head.next(entry)
        seals.append(seal)
        head = Head(seal.no, seal.seal)
    if seals:
        await store.insert_seals(conn, seals)
    return len(seals), head


class Verdict(NamedTuple):
    """What a walk found. gone: sealed entries that are past their record duty and were deleted."""

    head: Head
    entries: int
    gone: int
    waiting: int
    broken: Broken | None


async def verify(conn: Connection, now: datetime, known: Head | None = None) -> Verdict:
    """Walk the whole chain up to the first break.

    now: by the clock of whoever verifies. known: a seal that somebody wrote down.
    """
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        walk = Walk(now, known)
        broken = None
        async for seal, entry in store.walk_seals(conn):
            broken = walk.follow(seal, entry)
            if broken:
                break
        broken = broken or walk.end() or await _stray(conn)
        waiting = await store.count_unsealed(conn)
    return Verdict(walk.head, walk.entries, walk.gone, waiting, broken)


async def _stray(conn: Connection) -> Broken | None:
    found = await store.stray_entry(conn)
    if found is None:
        return None
    entry_id, there = found
    why = "it was kept from being sealed" if there else "it waits for its seal and is missing"
    return Broken(entry_id, None, why)
