"""Sealing the audit trail, and walking it to prove that nothing in it was touched."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.audit import audit_store as store
from service.accounts.audit.audit import COPIED, INVALID, AuditEntry, BrokenTrail, Head, Walk
from service.accounts.long_acts.long_act import LongProgress
from service.crypto import Keyring
from service.logs import seldom
from service.storage.locks import try_lock_sealing
from service.storage.postgres import Connection, Pool, transaction
from service.words.phrase import Phrase, phrase

BATCH = 1000
FOREIGN = "an audit entry that no process of ours has written: run `tocsin audit verify`"
log = logging.getLogger(__name__)


async def seal_committed(pool: Pool, keyring: Keyring) -> int:
    """Seal all committed entries that have no seal; returns how many. Foreign ones are sealed as
    well, so that they can be named, and are logged as an error.

    Any number of processes may try: one at a time does it, and a batch is whole or not there. The
    last seal of each batch is logged, so that the chain is also known outside the database.
    """
    done = 0
    while True:
        async with transaction(pool) as conn:
            if not await try_lock_sealing(conn):
                return done
            sealed, head, foreign = await _seal_batch(conn, keyring)
        for broken in foreign:
            seldom(log, logging.ERROR, FOREIGN, no=broken.no, entry_id=str(broken.entry_id))
        if sealed:
            log.info("sealed audit entries", extra={"head": str(head), "count": sealed})
        done += sealed
        if sealed < BATCH:
            return done


async def _seal_batch(conn: Connection, keyring: Keyring) -> tuple[int, Head, list[BrokenTrail]]:
    head, seals = await store.get_head(conn), []
    entries = await store.unsealed_entries(conn, BATCH)
    for entry in entries:
        seal = head.next(entry)
        seals.append(seal)
        head = Head(seal.no, seal.seal)
    if not seals:
        return 0, head, []
    why = await find_foreign(conn, keyring, entries)
    await store.insert_seals(conn, seals)
    foreign = [BrokenTrail(s.entry_id, s.no, why[s.entry_id]) for s in seals if s.entry_id in why]
    return len(seals), head, foreign


async def find_foreign(
    conn: Connection, keyring: Keyring, entries: Sequence[AuditEntry]
) -> dict[UUID, Phrase]:
    """Which of these entries no process of ours has written, and why. That it may copy an entry
    which is gone is told by `verify` alone.
    """
    foreign = {entry.id: INVALID for entry in entries if entry.is_foreign(keyring)}
    rest = [entry for entry in entries if entry.id not in foreign and entry.mac is not None]
    copies = await store.copies_among(conn, rest) if rest else set()
    return foreign | dict.fromkeys(copies, COPIED)


class TrailCheck(NamedTuple):
    """What a walk found. entries: as they were sealed, and ours. gone: sealed entries that are past
    their record duty and were deleted. foreign: the first of `foreigners` entries that are as they
    were sealed, and that no process of ours has written.
    """

    head: Head
    entries: int
    gone: int
    waiting: int
    broken: BrokenTrail | None
    foreign: Sequence[BrokenTrail] = ()
    foreigners: int = 0


async def verify(
    conn: Connection,
    keyring: Keyring,
    now: datetime,
    known: Head | None = None,
    progress: LongProgress | None = None,
) -> TrailCheck:
    """Walk the whole chain up to the first break; foreign entries do not end it.

    now: by the clock of whoever verifies. known: a seal that somebody wrote down. progress: is told
    how many of the seals were looked at.
    """
    told = progress or LongProgress()
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        told.total = (await store.get_head(conn)).no
        walk = Walk(keyring, now, known, await store.copied_entries(conn))
        broken = None
        async for seal, entry in store.walk_seals(conn):
            broken = walk.follow(seal, entry)
            if broken:
                break
            told.done += 1
        broken = broken or walk.end() or await _stray(conn)
        waiting = await store.count_unsealed(conn)
    return TrailCheck(
        walk.head, walk.entries, walk.gone, waiting, broken, walk.foreign, walk.foreigners
    )


async def _stray(conn: Connection) -> BrokenTrail | None:
    found = await store.stray_entry(conn)
    if found is None:
        return None
    entry_id, there = found
    kept = phrase("it was kept from being sealed")
    missing = phrase("it waits for its seal and is missing")
    return BrokenTrail(entry_id, None, kept if there else missing)
