"""Rosters as a department's own system keeps them: the whole list in one call, and taking back.

A list of members is an import like any other: read by the same rules, under an id of its own, with
its rejects; it replaces what the roster held before.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.imports import membership_store, store
from service.audience.imports.importing import ContactReading
from service.audience.imports.loading import check_request, read_rules
from service.audience.imports.membership_store import Undone
from service.audience.imports.merging import load
from service.audience.imports.model import Import, ImportRequest, ReportTable
from service.audience.imports.rows import Rules
from service.audience.tables.files import Sheet, TableFile
from service.audience.tables.header import COLUMNS, Vocabulary
from service.crypto import Keyring
from service.errors import Conflict
from service.storage.locks import lock_contacts, try_lock_contacts
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_MEMBERS = 5_000

Member = Mapping[str, str]
"""One person: the columns of an import that are known of them, as text."""


@dataclass(frozen=True, slots=True)
class NewList:
    """What became of a list of members."""

    import_id: UUID
    report: ReportTable


async def put_members(
    conn: Connection,
    keyring: Keyring,
    request: ImportRequest,
    members: Sequence[Member],
    now: datetime,
) -> NewList:
    """Make a roster hold exactly these members; needs a transaction.

    Raises:
        Invalid: a field of the request makes no sense, or no member has a usable number (code
            `no_recipients`): a list that is broken as a whole must not empty a roster.
        Conflict: the department's contacts are being written, or a file for this roster waits.
    """
    checked = check_request(request, now)
    await claim_contacts(conn, checked.department_id)
    if await store.waits_for(conn, checked.department_id, checked.roster):
        raise Conflict(
            phrase("a file for this roster has not been read yet; try again when it has")
        )
    import_id = await store.insert_import(conn, checked, now)
    claimed = await store.get_import(conn, import_id)
    rules = await read_rules(conn, claimed.department_id)
    reading = await asyncio.to_thread(_open, members, rules)
    report = await load(conn, keyring, claimed, reading, now)
    await store.finish_import(conn, import_id, "done", report, now)
    return NewList(import_id, report)


def _open(members: Sequence[Member], rules: Rules) -> ContactReading:
    sheet = Sheet("", lambda: _records(members))
    return ContactReading(TableFile("json", None, None, (sheet,)), Vocabulary(), rules)


def _records(members: Sequence[Member]) -> Iterator[list[str]]:
    yield list(COLUMNS)
    for member in members:
        yield [member.get(column, "") for column in COLUMNS]


async def ask_undo(conn: Connection, asked: Import, user_id: UUID, now: datetime) -> None:
    """Have an import taken back by a worker; needs a transaction in which `asked` is locked.

    Whom it alone put on the roster goes, whom it took off comes back, and what a later import said
    as well stays. What has been sent stays as it is, and so do ledgers already written.

    Raises:
        Conflict: it was a dry run, has not been read or not to its end, is undone already or being
            undone, a later list has replaced it, or whom it took off is not kept any more.
    """
    if asked.state != "done" or asked.dry_run:
        raise Conflict(phrase("only an import that has been stored can be undone"))
    if asked.undo and asked.undo["state"] == "waiting":
        raise Conflict(phrase("this import is being undone already"), code="undo_waits")
    await _check_undoable(conn, asked)
    await store.ask_undo(conn, asked.id, user_id, now)


async def _check_undoable(conn: Connection, asked: Import) -> None:
    if asked.undone_at is not None:
        raise Conflict(phrase("this import has been undone already"), code="already_undone")
    later = await membership_store.later_replacement(conn, asked)
    if later is not None:
        raise Conflict(
            phrase("a later list has replaced this one; undo import {later} first", later=later),
            code="replaced_since",
        )
    if await membership_store.has_let_go(conn, asked.id):
        raise Conflict(
            phrase(
                "whom this list took off the roster is not kept any more, and could not"
                " come back; upload the list as it was before"
            ),
            code="left_erased",
        )


async def run_undo(conn: Connection, import_id: UUID, now: datetime) -> bool:
    """Take back an import for which that was asked; whether this call did it.

    Harmless to repeat. It waits until nobody else writes the department's contacts; what has come
    between may refuse it then. Call it outside a transaction.
    """
    async with conn.transaction():
        await store.bound_pauses(conn)
        undone = await store.claim_undo(conn, import_id)
        if undone is None:
            return False
        await lock_contacts(conn, undone.department_id)
        try:
            await _check_undoable(conn, undone)
        except Conflict as refused:
            result: ReportTable = {
                "state": "refused",
                "code": refused.code,
                "message": refused.message,
            }
        else:
            await store.mark_undone(conn, import_id, now)  # a roster that only it keeps goes, too
            taken = await _take_back(conn, undone, now)
            result = {"state": "done", **taken._asdict()}
        await store.note_undo(conn, import_id, result)
    return True


async def _take_back(conn: Connection, undone: Import, now: datetime) -> Undone:
    roster_id = await membership_store.find_roster(conn, undone.department_id, undone.roster)
    if roster_id is None:
        return Undone(0, 0, 0)
    result = await membership_store.undo_links(conn, roster_id, undone, now)
    await membership_store.settle_roster(conn, roster_id, undone)
    return result


async def claim_contacts(conn: Connection, department_id: UUID) -> None:
    """Keep everybody else from writing the department's contacts, to the end of the transaction.

    Raises:
        Conflict: somebody is writing them.
    """
    if not await try_lock_contacts(conn, department_id):
        raise Conflict(
            phrase("another import of this department is being written; try again in a moment"),
            code="import_in_progress",
        )
