"""What a reading says, into the department's contacts and a roster: all of it or nothing.

A thread reads and encrypts the next rows while the database merges the last ones.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from service.audience.imports import membership_store, staging_store
from service.audience.imports.importing import ContactReading
from service.audience.imports.model import Import, Progress, ReportTable
from service.audience.imports.staging import Staged, Stager
from service.crypto import Keyring
from service.errors import FileRefused
from service.storage.locks import lock_contacts
from service.storage.postgres import Connection
from service.words.phrase import phrase

BATCH_ROWS = 10_000


async def unwatched(_: int) -> None:
    """The progress of an import that nobody looks at."""


@dataclass(slots=True)
class _Merge:
    """Where an import goes, and what it has written so far."""

    claimed: Import
    roster_id: UUID
    has_links: bool
    contacts: int = 0
    links: int = 0


async def load(
    conn: Connection,
    keyring: Keyring,
    claimed: Import,
    reading: ContactReading,
    now: datetime,
    progress: Progress = unwatched,
) -> ReportTable:
    """Write what a reading says, and give the report; needs a transaction.

    A dry run writes the rejected rows only.

    Raises:
        FileRefused: the rows cannot be read to their end, or a whole new list has nobody on it.
    """
    await staging_store.create_staging(conn)
    merge = None if claimed.dry_run else await _begin(conn, claimed, now)
    next_batch, rows = _batches(reading, keyring), 0
    async with _reading(next_batch) as ahead:
        staged = await asyncio.shield(ahead)
    while staged:
        await staging_store.copy_staged(conn, claimed.id, staged)
        async with _reading(next_batch) as ahead:
            if merge:
                await _merge_batch(conn, merge, now)
            rows += staged.rows
            await progress(rows)
            staged = await asyncio.shield(ahead)
    report = reading.report(await staging_store.find_repeats(conn, claimed.department_id, now))
    await staging_store.drop_staging(conn)
    if claimed.mode == "replace" and not report["recipients"]["total"] and report["rows"]["read"]:
        raise FileRefused(
            phrase(
                "no row has a usable number, so the list stays as it was; mend the rows, or"
                " send a list without any to empty it"
            ),
            code="no_recipients",
        )
    if merge:
        report["stored"] = await _finish(conn, merge, report, now)
        await staging_store.delete_erased(conn, claimed.department_id, claimed.id)
    return report | reading.spellings


async def _begin(conn: Connection, claimed: Import, now: datetime) -> _Merge:
    await lock_contacts(conn, claimed.department_id)
    roster_id = await membership_store.upsert_roster(conn, claimed, now)
    return _Merge(claimed, roster_id, await membership_store.has_links(conn, roster_id))


@asynccontextmanager
async def _reading(
    next_batch: Callable[[], Staged | None],
) -> AsyncIterator[asyncio.Future[Staged | None]]:
    """A thread makes the next batch, while the database merges the last one.

    Not while that is copied: then this process has work of its own, and the two would wait for one
    another's turns at the interpreter. However the body ends, it ends after the thread.
    """
    ahead = asyncio.ensure_future(asyncio.to_thread(next_batch))
    try:
        yield ahead
    finally:
        await asyncio.gather(ahead, return_exceptions=True)  # it reads from what is closed next


def _batches(reading: ContactReading, keyring: Keyring) -> Callable[[], Staged | None]:
    results = iter(reading)
    stager = Stager(keyring)

    def next_batch() -> Staged | None:
        batch = list(islice(results, BATCH_ROWS))
        return stager.stage(batch) if batch else None

    return next_batch


async def _merge_batch(conn: Connection, merge: _Merge, now: datetime) -> None:
    department_id, import_id = merge.claimed.department_id, merge.claimed.id
    merge.contacts += await staging_store.merge_contacts(conn, department_id, import_id, now)
    merge.links += await staging_store.merge_links(conn, department_id, merge.roster_id, import_id)
    if merge.has_links:
        await staging_store.merge_repeats(conn, department_id, merge.roster_id, import_id)


async def _finish(
    conn: Connection, merge: _Merge, report: ReportTable, now: datetime
) -> ReportTable:
    import_id = merge.claimed.id
    changes = membership_store.MembershipChanges(report["recipients"]["total"], 0, 0)
    if merge.has_links:
        if merge.claimed.mode == "replace":
            await membership_store.end_links(conn, merge.roster_id, import_id, now)
            await membership_store.refresh_contacts(conn, import_id, merge.roster_id, now)
            await membership_store.unlist_contacts(conn, import_id, merge.roster_id)
        changes = await membership_store.count_changes(conn, merge.roster_id, import_id)
    await membership_store.relist_contacts(conn, merge.claimed.department_id, import_id, now)
    return {
        "roster_id": str(merge.roster_id),
        "new_contacts": merge.contacts,
        "new_links": merge.links,
        "members": changes._asdict(),
    }
