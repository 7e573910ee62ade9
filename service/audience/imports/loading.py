"""From an upload to contacts: keep the file, read it by the rules, write all of it or nothing.

The API keeps the file encrypted in PostgreSQL (it shares no disk with the worker); the worker
reads it in a thread, copies the results and merges them in one transaction, and deletes the file.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from service.accounts.departments.department_store import get_department
from service.audience.areas import area_store
from service.audience.imports import staging_store, store
from service.audience.imports.importing import ContactReading, read_contacts
from service.audience.imports.merging import load, unwatched
from service.audience.imports.model import (
    BASES,
    MODES,
    Import,
    ImportRequest,
    Progress,
    ReportTable,
)
from service.audience.imports.report import RULES_VERSION
from service.audience.imports.rows import Rules
from service.audience.numbers.prefix_store import current_prefixes
from service.audience.tables.files import check_encoding
from service.audience.tables.header import Vocabulary
from service.audience.vocabulary.cells import text_form
from service.audience.vocabulary.roles import refused_roles
from service.clock import day_in_china
from service.crypto import Keyring
from service.errors import Conflict, Invalid
from service.spool import Spool
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

CHUNK_OCTETS = 262_144
ATTEMPTS = 10
MAX_WAITING_FILES = 100
MAX_WAITING_OCTETS = 1024 * 1024 * 1024
"""The most files of one department that may wait to be read, and their octets; the database stores
them meanwhile."""
LONGEST_ROSTER_NAME = 100
LONGEST_FILE_NAME = 255
_CHUNK = "import_chunk"


async def create_import(
    conn: Connection,
    keyring: Keyring,
    request: ImportRequest,
    chunks: AsyncIterable[bytes],
    *,
    limit: int,
    now: datetime,
) -> Import:
    """Keep an uploaded file until a worker reads it.

    Args:
        conn: inside a transaction or not; the import is stored whole or not at all.
        keyring: encrypts the file.
        request: what the uploader asks for.
        chunks: the file's octets.
        limit: the largest size of a file in octets.
        now: the present.

    Raises:
        Invalid: a field makes no sense, or the file is larger than the limit.
        Conflict: code `too_much_waits`: the department has as much waiting as it may.
    """
    checked = check_request(request, now)
    digest = hashlib.sha256()
    size = 0
    async with conn.transaction():
        await store.allow_pauses(conn)
        await _check_room(conn, checked.department_id, limit, 1)
        import_id = await store.insert_import(conn, checked, now)
        async for chunk in _resized(chunks):
            cipher = keyring.encrypt_bytes(_CHUNK, chunk)
            await store.insert_chunk(conn, import_id, size // CHUNK_OCTETS, cipher)
            digest.update(chunk)
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
        await store.seal_import(conn, import_id, size, digest.digest())
        await _check_room(conn, checked.department_id, limit, 0)
    return await store.get_import(conn, import_id)


def check_request(request: ImportRequest, now: datetime) -> ImportRequest:
    """The request in the form that is stored, with its defaults.

    Raises:
        Invalid: with every field that makes no sense.
    """
    roster = text_form(request.roster)
    fields: dict[str, str] = {}
    if not 0 < len(roster) <= LONGEST_ROSTER_NAME or not roster.isprintable():
        fields["roster"] = phrase(
            "give the list a name of at most {longest_roster_name} characters",
            longest_roster_name=LONGEST_ROSTER_NAME,
        )
    if request.basis not in BASES:
        fields["basis"] = phrase("write one of {bases}", bases=listing(BASES))
    if request.mode not in MODES:
        fields["mode"] = phrase("write one of {modes}", modes=listing(MODES))
    today = day_in_china(now)
    expires_on = request.expires_on or _a_year_after(today)
    if expires_on < today:
        fields["expires_on"] = phrase(
            "this day has passed; give the last day on which the list is valid"
        )
    fields |= request.evidence.problems(today)
    if fields:
        raise Invalid(phrase("the import cannot be accepted"), fields=fields)
    Vocabulary(request.columns)
    return replace(
        request,
        roster=roster,
        expires_on=expires_on,
        file_name="".join(filter(str.isprintable, request.file_name))[:LONGEST_FILE_NAME],
        encoding=check_encoding(request.encoding) if request.encoding else None,
    )


def _a_year_after(day: date) -> date:
    leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year + 1, day=28 if leap_day else day.day)


async def _resized(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same octets in pieces of CHUNK_OCTETS."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= CHUNK_OCTETS:
            yield bytes(waiting[:CHUNK_OCTETS])
            del waiting[:CHUNK_OCTETS]
    if waiting:
        yield bytes(waiting)


def _too_large(limit: int) -> Invalid:
    problem = phrase(
        "the file is larger than {limit:,} octets; split it and import the parts", limit=limit
    )
    return Invalid(problem, fields={"file": problem}, code="file_too_large")


async def _check_room(conn: Connection, department_id: UUID, most_octets: int, added: int) -> None:
    """Refuse a file if too many of the department's files or octets wait to be read.

    most_octets: the most octets that one file may have. added: how many files are to be added; 0:
    the file is there already, and this last check takes a lock, so that nobody else adds a file
    before this transaction ends.
    """
    if not added:
        await store.lock_waiting(conn, department_id)
    files, octets = await store.what_waits(conn, department_id)
    most = max(MAX_WAITING_OCTETS, most_octets)
    if files + added > MAX_WAITING_FILES or octets > most or (added and octets == most):
        raise Conflict(
            phrase(
                "too many files of your department wait to be read: at most"
                " {max_waiting_files} may, and {most:,} octets. Those that wait are safe,"
                " and there is nothing to delete: send this one again once some are read"
                " (GET /imports/{{import_id}} shows how far each is)",
                max_waiting_files=MAX_WAITING_FILES,
                most=most,
            ),
            code="too_much_waits",
        )


async def run_import(
    conn: Connection,
    keyring: Keyring,
    import_id: UUID,
    now: datetime,
    progress: Progress = unwatched,
) -> bool:
    """Read a waiting file into contacts; returns whether this call ended the import.

    Harmless to repeat: an import that is done, or in another worker's hands, is left alone. An
    error of the file ends the import as `failed`; any other error leaves it waiting as it was,
    until the attempts are used up. A worker that dies or stands still loses its session, and with
    it the lock and all that it wrote. Call it outside a transaction: an attempt
    counts even if the reading fails.
    """
    attempt = await store.begin_attempt(conn, import_id)
    if attempt == 0:
        return False
    async with conn.transaction():
        await store.bound_pauses(conn)
        claimed = await store.claim_import(conn, import_id)
        if claimed is None:
            return False
        if attempt > ATTEMPTS:
            state, report = "failed", _error("gave_up", f"reading broke off {ATTEMPTS} times")
        else:
            state, report = await _read(conn, keyring, claimed, now, progress)
        await store.finish_import(conn, import_id, state, report, now)
    if state == "done":
        await staging_store.analyze(conn)
    return True


async def abandon_import(conn: Connection, import_id: UUID, now: datetime) -> None:
    """End an import that nobody is to read any more, unless it is done or somebody reads it."""
    async with conn.transaction():
        if await store.claim_import(conn, import_id):
            report = _error("interrupted", "the import was broken off; nothing of it is stored")
            await store.finish_import(conn, import_id, "failed", report, now)


async def read_rules(conn: Connection, department_id: UUID) -> Rules:
    """What the rows of a department's list are looked up in."""
    department = await get_department(conn, department_id, None)
    return Rules(
        await area_store.read_area_tree(conn),
        await current_prefixes(conn),
        refused_roles(department.kind),
    )


async def _read(
    conn: Connection, keyring: Keyring, claimed: Import, now: datetime, progress: Progress
) -> tuple[str, ReportTable]:
    rules = await read_rules(conn, claimed.department_id)
    try:
        # In a transaction of its own: a file that proves unreadable half-way must leave no rows.
        async with conn.transaction(), _waiting_file(conn, keyring, claimed.id) as spool:
            with await asyncio.to_thread(_open, spool, claimed, rules) as reading:
                return "done", await load(conn, keyring, claimed, reading, now, progress)
    except Invalid as refused:
        return "failed", _error(refused.code, refused.message)


def _open(spool: Spool, claimed: Import, rules: Rules) -> ContactReading:
    return read_contacts(
        spool.chunks, rules=rules, encoding=claimed.encoding, columns=claimed.columns
    )


def _error(code: str, message: str) -> ReportTable:
    return {"rules_version": RULES_VERSION, "error": code, "message": message}


@asynccontextmanager
async def _waiting_file(
    conn: Connection, keyring: Keyring, import_id: UUID
) -> AsyncIterator[Spool]:
    with Spool(keyring, _CHUNK) as spool:
        async for cipher in store.list_chunks(conn, import_id):
            spool.append_cipher(cipher)
        yield spool
