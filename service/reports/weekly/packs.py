"""The county's pack of a week: its versions made due, built once each, signed, given out.

A pack is two steps. First its facts are gathered in one transaction that sees one moment, and
frozen; then the files are made of these facts alone, and kept in one transaction. Whoever builds
holds the pack by a lease, and each of its writes carries the number of its claim: a process that
was killed or frozen is followed by another one, and its own late word counts for nothing. A process
that follows goes on from the facts, so the files are those that the first would have made.

A mask that is put on a picture later withdraws its octets from the versions that showed it, in its
own transaction (`withdraw_masked`, a trigger); so does the term of pictures. What went and why is a
signed list beside the manifest, which stays as it is.
"""

import asyncio
import hashlib
import json
import logging
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from service.accounts.departments.department import COUNTY
from service.accounts.people.model import Right, User
from service.accounts.people.store import get_user
from service.cases.week import need_week
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.notices import mail_store
from service.documents.archive import OLDEST
from service.documents.county_file import CountyFileBad, read_county_file
from service.documents.word import docx_of
from service.documents.workbook import xlsx_of
from service.errors import Conflict, NotFound
from service.pictures import picture_store
from service.pictures.model import SIDES
from service.pictures.pictures import octets_of
from service.reports import store
from service.reports.evidence import CHUNK, IN_MEMORY, PURPOSE, VERIFIER
from service.reports.weekly import pack_due_store, pack_store
from service.reports.weekly.pack_document import pack_document, shortened, with_pictures
from service.reports.weekly.pack_facts import gather
from service.reports.weekly.pack_store import FilePiece, Pack, PackClaim, PackFile
from service.settings import Settings
from service.storage.locks import share_pack_pictures
from service.storage.postgres import LONG_SECONDS, Connection, Pool, transaction
from service.words.phrase import Phrase, phrase

LANGUAGE = "zh"
NOTE_EVERY = 10
"""Units after which it is said how far a pack is."""
WITHDRAWN, WITHDRAWN_SIGNATURE = "withdrawn.json", "withdrawn.sig"
"""The list of files whose octets went, and its signature; `verify_evidence.py` knows both."""
_DIED = "the processes that built it have ended without a word"

log = logging.getLogger(__name__)


class PackLost(Exception):
    """Somebody else has the pack now."""


async def make_due(pool: Pool, now: datetime) -> bool:
    """Add the packs that are due. Returns whether one waits to be built."""
    async with transaction(pool) as conn:
        await pack_due_store.add_due(conn, now)
        await pack_store.fail_given_up(conn, _DIED)
        return await pack_store.waits(conn)


async def build_next(pool: Pool, keyring: Keyring, clock: Clock, settings: Settings) -> bool:
    """Build the pack that has waited for longest; False: there is none that nobody builds."""
    async with transaction(pool) as conn:
        held = await pack_store.claim(conn)
    if held is None:
        return False
    try:
        text = held.facts or await _gather(pool, clock, held)
        while not await _build(pool, keyring, clock, settings, held, text):
            pass  # a picture was masked meanwhile: the files are made anew
    except PackLost:
        log.warning("somebody else builds the pack", extra={"week": held.week, "no": held.no})
    except Exception as error:
        log.exception("a pack broke off", extra={"week": held.week, "version": held.version})
        async with transaction(pool) as conn:
            await pack_store.give_back(conn, held, type(error).__name__)
    return True


async def _build(
    pool: Pool, keyring: Keyring, clock: Clock, settings: Settings, held: PackClaim, text: str
) -> bool:
    """Make the files and keep them; False: a picture is not any more what they were made of."""
    pictures = await _pictures(pool, keyring, held, json.loads(text))
    shown = [(one.name, one.shown) for one in pictures]
    making = asyncio.create_task(
        asyncio.to_thread(_files, text, shown, settings.zone, settings.document_folder)
    )
    while not making.done():
        await _note(pool, held, "documents", 0, 1)
        await asyncio.wait([making], timeout=pack_store.LEASE.total_seconds() / 4)
    files, problem = making.result()
    files += [PackFile(one.file, None, one.sha256, one.size) for one in pictures]
    await _note(pool, held, "signing", 0, 1)
    manifest = _manifest(text, files, keyring)
    files.append(_file("manifest.json", manifest))
    files.append(_file("manifest.sig", keyring.sign(PURPOSE, manifest)))
    async with transaction(pool, seconds=LONG_SECONDS) as conn:
        if not await _are_current(conn, pictures):
            return False
        digest = hashlib.sha256(manifest).digest()
        kept = await pack_store.keep(conn, keyring, held, files, digest, problem, clock.now())
        if not kept:
            raise PackLost
        if settings.smtp_url is not None:
            await _owe_mails(conn, held, clock.now())
    return True


def may_open(user: User) -> bool:
    """Whether somebody sees the reports of all units together."""
    return user.department_kind == COUNTY and user.may(Right.REPORTS)


async def _owe_mails(conn: Connection, held: PackClaim, now: datetime) -> None:
    """Write down who is told by mail of a version, in the transaction that finishes it."""
    wanted = [await get_user(conn, one, None) for one in await mail_store.list_pack_readers(conn)]
    readers = [user.id for user in wanted if may_open(user)]
    await mail_store.insert_pack_mails(conn, held.week, held.version, readers, now)


async def _are_current(conn: Connection, pictures: Sequence["_PackPicture"]) -> bool:
    """Whether all pictures are what was read of them, and kept; they stay so until the end."""
    await share_pack_pictures(conn)
    now = await picture_store.hashes_of(conn, [one.id for one in pictures])
    hashes = {one.sha256 for one in pictures}
    unmasked = all(now[one.id] == one.source_sha256 for one in pictures)
    return unmasked and await pack_store.count_pictures(conn, hashes) == len(hashes)


async def _gather(pool: Pool, clock: Clock, held: PackClaim) -> str:
    async def progress(done: int, total: int) -> None:
        if done % NOTE_EVERY == 0:
            await _note(pool, held, "gathering", done, total)

    async with transaction(pool, seconds=LONG_SECONDS) as conn:
        await store.read_one_moment(conn)
        found = await gather(conn, held, need_week(held.week, "week"), clock.now(), progress)
    async with transaction(pool) as conn:
        if not await pack_store.freeze_facts(conn, held, found):
            raise PackLost
    return found.text


class _PackPicture(NamedTuple):
    """A picture of a pack: its file, kept already, and the smaller one for the document.
    source_sha256: what the picture was when it was read; of one that is older than a year the file
    is smaller, and has another hash.
    """

    id: UUID
    source_sha256: bytes
    name: str
    file: str
    sha256: bytes
    size: int
    shown: bytes


async def _pictures(
    pool: Pool, keyring: Keyring, held: PackClaim, facts: Mapping[str, Any]
) -> list[_PackPicture]:
    """The pictures of all units, kept whole one after the other; the smaller ones are in memory."""
    listed = [
        (at, unit["name"], no, UUID(picture["id"]))
        for at, unit in enumerate(facts["units"], 1)
        for no, picture in enumerate(unit["pictures"], 1)
    ]
    found = []
    for done, (at, unit, no, picture_id) in enumerate(listed):
        if done % NOTE_EVERY == 0:
            await _note(pool, held, "pictures", done, len(listed))
        async with transaction(pool) as conn:
            await share_pack_pictures(conn)
            source = (await picture_store.hashes_of(conn, [picture_id]))[picture_id]
            whole = await octets_of(conn, keyring, picture_id, SIDES[0])
            shown = await octets_of(conn, keyring, picture_id, SIDES[1])
            digest = hashlib.sha256(whole).digest()
            await pack_store.keep_picture(conn, keyring, whole, digest)
        file = f"pictures/{at:04}-{no}.jpg"
        size = len(whole)
        found.append(_PackPicture(picture_id, source, f"{unit} {no}", file, digest, size, shown))
    return found


async def _note(pool: Pool, held: PackClaim, step: str, done: int, total: int) -> None:
    async with pool.acquire() as conn:
        if not await pack_store.note_progress(conn, held, step, done, total):
            raise PackLost


def _files(
    text: str, pictures: Sequence[tuple[str, bytes]], zone: ZoneInfo, folder: Path | None
) -> tuple[list[PackFile], str]:
    """The files of a pack, and what was wrong with the county's own Word file, if anything."""
    document = pack_document(json.loads(text), LANGUAGE, zone)
    problem = ""
    try:
        county_file = read_county_file(folder, document.key)
    except CountyFileBad as error:
        county_file, problem = None, str(error)
    return [
        _file("pack.docx", docx_of(with_pictures(shortened(document), pictures), county_file)),
        _file("pack.xlsx", xlsx_of(document)),
        _file("facts.json", text.encode()),
        _file("verify_evidence.py", VERIFIER.read_bytes()),
    ], problem


def _file(name: str, octets: bytes) -> PackFile:
    return PackFile(name, octets, hashlib.sha256(octets).digest(), len(octets))


def _manifest(text: str, files: list[PackFile], keyring: Keyring) -> bytes:
    facts = json.loads(text)
    manifest = {
        "pack": {name: facts[name] for name in ("week", "version", "as_of")},
        "sha256": {file.name: file.sha256.hex() for file in files},
        "public_key": keyring.public_key(PURPOSE).hex(),
    }
    return json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()


async def find_built(conn: Connection, week: str, version: int | None) -> Pack:
    """A version of a week's pack that is built; None: the last one that is.

    Raises:
        NotFound: there is none of the week, or no such version.
        Conflict: it is not built yet.
    """
    versions = await pack_store.versions_of(conn, week)
    if version is not None:
        versions = [one for one in versions if one.version == version]
    if not versions:
        raise NotFound(phrase("there is no such pack of {week}", week=week), code="pack_unknown")
    built = next((one for one in versions if one.state == "built"), None)
    if built is None:
        raise Conflict(_not_yet(versions[0]), code="pack_not_built")
    return built


def _not_yet(pack: Pack) -> Phrase:
    if pack.state == "failed":
        return phrase(
            "this pack could not be built ({problem}); the next report that is handed in makes"
            " another version",
            problem=pack.problem,
        )
    return phrase(
        "this pack is still being built ({done} of {total}); try again in a minute",
        done=pack.done,
        total=pack.total,
    )


async def archive_of(conn: Connection, keyring: Keyring, pack: Pack) -> AsyncIterator[bytes]:
    """The archive of a pack, in pieces; the same octets each time, until some are withdrawn. Needs
    a transaction.
    """
    with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        with zipfile.ZipFile(file, "w") as archive:
            gone = await _write_files(archive, conn, keyring, pack)
            if gone:
                said = _withdrawn(pack, gone)
                _put(archive, WITHDRAWN, said)
                _put(archive, WITHDRAWN_SIGNATURE, keyring.sign(PURPOSE, said))
        file.seek(0)
        while piece := file.read(CHUNK):
            yield piece


async def _write_files(
    archive: zipfile.ZipFile, conn: Connection, keyring: Keyring, pack: Pack
) -> dict[str, FilePiece]:
    """Write the files of a pack; returns those that were withdrawn, by name."""
    gone: dict[str, FilePiece] = {}
    no, member = 0, None
    try:
        async for piece in pack_store.read_files(conn, keyring, pack.week, pack.version):
            if piece.withdrawn is not None:
                gone[piece.name] = piece
                continue
            if member is None or piece.no != no:
                if member is not None:
                    member.close()
                member, no = archive.open(_entry(piece.name), "w", force_zip64=True), piece.no
            member.write(piece.octets)
    finally:
        if member is not None:
            member.close()
    return gone


def _withdrawn(pack: Pack, gone: Mapping[str, FilePiece]) -> bytes:
    """The list of files whose octets went, bound to the manifest."""
    said = {
        "manifest_sha256": (pack.manifest_sha256 or b"").hex(),
        "withdrawn": {
            name: {
                "sha256": piece.sha256.hex(),
                "why": piece.withdrawn.why,
                "at": piece.withdrawn.at.isoformat(),
            }
            for name, piece in gone.items()
            if piece.withdrawn is not None
        },
    }
    return json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True).encode()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, OLDEST)
    entry.external_attr = 0o600 << 16
    return entry


def _put(archive: zipfile.ZipFile, name: str, octets: bytes) -> None:
    with archive.open(_entry(name), "w", force_zip64=True) as member:
        member.write(octets)
