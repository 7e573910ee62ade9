"""From an upload to contacts: keep the file, read it by the rules, write all of it or nothing.

The API keeps the file encrypted in PostgreSQL (it shares no disk with the worker); the worker
reads it in a thread, copies the results and merges them in one transaction, and deletes the file.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from uuid import UUID

from service.audience import store
from service.audience.cells import text_form
from service.audience.files import check_encoding
from service.audience.header import Vocabulary
from service.audience.importing import ContactReading, Rules, read_contacts
from service.audience.model import BASES, Import, ImportRequest, Report
from service.audience.prefix import packaged_prefixes
from service.audience.report import RULES_VERSION
from service.audience.staging import Staged, stage
from service.crypto import Keyring
from service.errors import Invalid
from service.storage.postgres import Connection

CHUNK_OCTETS = 262_144
BATCH_ROWS = 5_000
ATTEMPTS = 10
LONGEST_ROSTER_NAME = 100
LONGEST_FILE_NAME = 255
_SPOOL_OCTETS = 8 * 1024 * 1024
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
    """
    checked = check_request(request, now)
    digest = hashlib.sha256()
    size = 0
    async with conn.transaction():
        await store.allow_pauses(conn)
        import_id = await store.insert_import(conn, checked, now)
        async for chunk in _resized(chunks):
            cipher = keyring.encrypt_bytes(_CHUNK, chunk)
            await store.insert_chunk(conn, import_id, size // CHUNK_OCTETS, cipher)
            digest.update(chunk)
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
        await store.seal_import(conn, import_id, size, digest.digest())
    return await store.get_import(conn, import_id)


def check_request(request: ImportRequest, now: datetime) -> ImportRequest:
    """The request in the form that is stored, with its defaults.

    Raises:
        Invalid: with every field that makes no sense.
    """
    roster = text_form(request.roster)
    fields = {}
    if not 0 < len(roster) <= LONGEST_ROSTER_NAME or not roster.isprintable():
        fields["roster"] = f"give the list a name of at most {LONGEST_ROSTER_NAME} characters"
    if request.basis not in BASES:
        fields["basis"] = f"write one of {', '.join(BASES)}"
    expires_on = request.expires_on or _a_year_after(now.date())
    if expires_on < now.date():
        fields["expires_on"] = "this day has passed; give the last day on which the list is valid"
    if fields:
        raise Invalid("the import cannot be accepted", fields=fields)
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
    problem = f"the file is larger than {limit:,} octets; split it and import the parts"
    return Invalid(problem, fields={"file": problem}, code="file_too_large")


async def run_import(conn: Connection, keyring: Keyring, import_id: UUID, now: datetime) -> bool:
    """Read a waiting file into contacts; whether this call did it.

    Harmless to repeat: an import that is done, or in another worker's hands, is left alone. An
    error of the file ends the import as `failed`; any other error leaves it waiting as it was,
    until the attempts are used up. Call it outside a transaction, so that attempts count.
    """
    attempt = await store.begin_attempt(conn, import_id)
    if attempt == 0:
        return False
    async with conn.transaction():
        await store.allow_pauses(conn)
        claimed = await store.claim_import(conn, import_id)
        if claimed is None:
            return False
        if attempt > ATTEMPTS:
            state, report = "failed", _error("gave_up", f"reading broke off {ATTEMPTS} times")
        else:
            state, report = await _read(conn, keyring, claimed, now)
        await store.finish_import(conn, import_id, state, report, now)
    return True


async def _read(
    conn: Connection, keyring: Keyring, claimed: Import, now: datetime
) -> tuple[str, Report]:
    rules = Rules(await store.read_area_tree(conn), packaged_prefixes())
    try:
        # In a transaction of its own, a file found unreadable half-way leaves nothing.
        async with conn.transaction(), _waiting_file(conn, keyring, claimed.id) as spool:
            reading = await asyncio.to_thread(
                read_contacts,
                spool.chunks,
                rules=rules,
                opted_out=_is_counted_later,
                encoding=claimed.encoding,
                columns=claimed.columns,
            )
            return "done", await load(conn, keyring, claimed, reading, now)
    except Invalid as refused:
        return "failed", _error(refused.code, refused.message)


def _error(code: str, message: str) -> Report:
    return {"rules_version": RULES_VERSION, "error": code, "message": message}


@asynccontextmanager
async def _waiting_file(
    conn: Connection, keyring: Keyring, import_id: UUID
) -> AsyncIterator["_Spool"]:
    with _Spool(keyring) as spool:
        async for cipher in store.list_chunks(conn, import_id):
            spool.append(cipher)
        yield spool


def _is_counted_later(_number: str) -> bool:
    """The database counts the suppressed recipients, by hash and all at once."""
    return False


async def load(
    conn: Connection, keyring: Keyring, claimed: Import, reading: ContactReading, now: datetime
) -> Report:
    """Write what a file says, and give the report; needs a transaction.

    A dry run writes the rejected rows only.
    """
    await store.create_staging(conn)
    results = iter(reading)

    def next_batch() -> Staged | None:
        batch = list(islice(results, BATCH_ROWS))
        return stage(batch, keyring) if batch else None

    while staged := await asyncio.to_thread(next_batch):
        await store.copy_staged(conn, claimed.id, staged)
    report = reading.report
    report["recipients"]["suppressed"] = await store.count_suppressed(conn, now)
    if not claimed.dry_run:
        report["stored"] = await _merge(conn, claimed, now)
    await store.drop_staging(conn)
    return report | reading.spellings


async def _merge(conn: Connection, claimed: Import, now: datetime) -> Report:
    department_id = claimed.department_id
    roster_id = await store.upsert_roster(conn, claimed, now)
    contacts = await store.merge_contacts(conn, department_id, now)
    links = await store.merge_links(conn, department_id, roster_id, claimed.id)
    return {"roster_id": str(roster_id), "new_contacts": contacts, "new_links": links}


class _Spool:
    """A waiting file as it came from the database, on disk if it is large: encrypted all the way.

    Each pass keeps its own place, so that passes may overlap.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOL_OCTETS)  # noqa: SIM115  # __exit__
        self._sizes: list[int] = []

    def __enter__(self) -> "_Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, cipher: bytes) -> None:
        self._file.write(cipher)
        self._sizes.append(len(cipher))

    def chunks(self) -> Iterator[bytes]:
        at = 0
        for size in self._sizes:
            self._file.seek(at)
            yield self._keyring.decrypt_bytes(_CHUNK, self._file.read(size))
            at += size
