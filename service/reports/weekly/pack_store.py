"""The SQL of the county's packs: who builds one, how far it is, its files.

Until when somebody holds a pack is of the database's own clock.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from service.crypto import Keyring
from service.storage import sql
from service.storage.postgres import Connection, affected

LEASE = timedelta(seconds=60)
"""So long a pack stays with whoever builds it without a word."""
MOST_CLAIMS = 5
"""What has broken off so often is not begun again."""
PIECE_OCTETS = 1 << 20
CIPHER = "pack"
"""The kind of what is encrypted."""


class Pack(NamedTuple):
    """A version of a week's pack. done of total: how far its step is. withdrawn: of how many files
    the octets went since.
    """

    week: str
    version: int
    state: str
    asked_at: datetime
    as_of: datetime | None
    units: int | None
    handed_in: int | None
    claims: int
    step: str
    done: int
    total: int
    problem: str
    built_at: datetime | None
    octets: int | None
    manifest_sha256: bytes | None
    withdrawn: int


class PackClaim(NamedTuple):
    """A pack that somebody builds. no: of the claim; another one ends it. facts: if they were
    gathered before.
    """

    week: str
    version: int
    no: int
    facts: str | None


class PackFile(NamedTuple):
    """A file of a pack; None: of a picture that is kept already, of so many octets."""

    name: str
    octets: bytes | None
    sha256: bytes
    size: int


class FileWithdrawal(NamedTuple):
    """Why the octets of a file went (`masked`, `term`), and when."""

    why: str
    at: datetime


class FilePiece(NamedTuple):
    """A piece of a file of a pack; withdrawn: the file has no octets any more."""

    no: int
    name: str
    sha256: bytes
    withdrawn: FileWithdrawal | None
    octets: bytes


_COLUMNS = """
    week, version, state, asked_at, as_of, units, handed_in, claims, step, done, total, problem,
    built_at, octets, manifest_sha256, (
        SELECT count(*)::int FROM pack_withdrawals w
        WHERE (w.week, w.version) = (packs.week, packs.version)) AS withdrawn
"""


async def waits(conn: Connection) -> bool:
    """Whether a pack is to be built that nobody builds."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM packs
                       WHERE state = 'waiting' AND lives_until < clock_timestamp())
        """,
    )
    return found


async def claim(conn: Connection) -> PackClaim | None:
    """Take the pack that has waited for longest; None: there is none that nobody builds."""
    row = await sql.fetchrow(
        conn,
        """
        WITH mine AS (
            SELECT week, version FROM packs
            WHERE state = 'waiting' AND lives_until < clock_timestamp()
            ORDER BY asked_at, week, version LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        UPDATE packs p SET claims = claims + 1, lives_until = clock_timestamp() + :lease::interval
        FROM mine m WHERE p.week = m.week AND p.version = m.version
        RETURNING p.week, p.version, p.claims AS no, p.facts
        """,
        lease=LEASE,
    )
    return None if row is None else PackClaim(**row)


async def note_progress(
    conn: Connection, held: PackClaim, step: str, done: int, total: int
) -> bool:
    """Say how far a pack is, and hold it on; False: somebody else has it now."""
    status = await sql.execute(
        conn,
        """
        UPDATE packs SET step = :step, done = :done, total = :total,
            lives_until = clock_timestamp() + :lease::interval
        WHERE week = :week AND version = :version AND claims = :no AND state = 'waiting'
        """,
        step=step,
        done=done,
        total=total,
        lease=LEASE,
        **_of(held),
    )
    return affected(status) == 1


class Gathered(NamedTuple):
    """Facts at an instant. reports: how many had been handed in for the week."""

    as_of: datetime
    text: str
    sha256: bytes
    units: int
    handed_in: int
    reports: int


async def freeze_facts(conn: Connection, held: PackClaim, new: Gathered) -> bool:
    """Write down the facts of a pack, for good; False: somebody else has it now."""
    status = await sql.execute(
        conn,
        """
        WITH mine AS (
            UPDATE packs SET as_of = :as_of, facts = :text, facts_sha256 = :sha256,
                units = :units, handed_in = :handed_in
            WHERE week = :week AND version = :version AND claims = :no AND state = 'waiting'
              AND facts IS NULL
            RETURNING week
        )
        UPDATE pack_weeks w SET packed = greatest(packed, :reports) FROM mine m
        WHERE w.week = m.week
        """,
        **new._asdict(),
        **_of(held),
    )
    return affected(status) == 1


async def count_reports(conn: Connection, week: str) -> int:
    """How many reports were handed in for a week since it has a pack."""
    found: int = await sql.fetchval(
        conn, "SELECT reports FROM pack_weeks WHERE week = :week", week=week
    )
    return found


async def keep(
    conn: Connection,
    keyring: Keyring,
    held: PackClaim,
    files: Sequence[PackFile],
    manifest_sha256: bytes,
    problem: str,
    now: datetime,
) -> bool:
    """Keep a pack that is built, whole; False: somebody else has it now. Needs a transaction."""
    status = await sql.execute(
        conn,
        """
        UPDATE packs SET state = 'built', built_at = :now, octets = :octets, step = '',
            manifest_sha256 = :manifest_sha256, problem = :problem
        WHERE week = :week AND version = :version AND claims = :no AND state = 'waiting'
        """,
        now=now,
        octets=sum(file.size for file in files),
        manifest_sha256=manifest_sha256,
        problem=problem,
        **_of(held),
    )
    if affected(status) != 1:
        return False
    for no, file in enumerate(files, 1):
        await _keep_file(conn, keyring, held, no, file)
    return True


async def _keep_file(
    conn: Connection, keyring: Keyring, held: PackClaim, no: int, file: PackFile
) -> None:
    await sql.execute(
        conn,
        """
        INSERT INTO pack_files (week, version, no, name, octets, sha256, is_picture)
        VALUES (:week, :version, :no, :name, :octets, :sha256, :is_picture)
        """,
        week=held.week,
        version=held.version,
        no=no,
        name=file.name,
        octets=file.size,
        sha256=file.sha256,
        is_picture=file.octets is None,
    )
    octets = file.octets or b""
    for at in range(0, len(octets), PIECE_OCTETS):
        await sql.execute(
            conn,
            """
            INSERT INTO pack_pieces (week, version, file_no, no, cipher)
            VALUES (:week, :version, :file_no, :no, :cipher)
            """,
            week=held.week,
            version=held.version,
            file_no=no,
            no=at // PIECE_OCTETS,
            cipher=keyring.encrypt_bytes(CIPHER, octets[at : at + PIECE_OCTETS]),
        )


async def keep_picture(conn: Connection, keyring: Keyring, octets: bytes, sha256: bytes) -> None:
    """Keep a whole picture; one that is there stays."""
    await sql.execute(
        conn,
        """
        INSERT INTO pack_pictures (sha256, cipher) VALUES (:sha256, :cipher) ON CONFLICT DO NOTHING
        """,
        sha256=sha256,
        cipher=keyring.encrypt_bytes(CIPHER, octets),
    )


async def count_pictures(conn: Connection, hashes: Collection[bytes]) -> int:
    """How many of these whole pictures are kept."""
    found: int = await sql.fetchval(
        conn,
        "SELECT count(*) FROM pack_pictures WHERE sha256 = ANY (:hashes)",
        hashes=list(hashes),
    )
    return found


async def give_back(conn: Connection, held: PackClaim, problem: str) -> None:
    """Note why a pack broke off; after `MOST_CLAIMS` it has failed."""
    await sql.execute(
        conn,
        """
        UPDATE packs SET problem = :problem, step = '',
            state = CASE WHEN claims >= :most THEN 'failed' ELSE state END
        WHERE week = :week AND version = :version AND claims = :no AND state = 'waiting'
        """,
        problem=problem,
        most=MOST_CLAIMS,
        **_of(held),
    )


async def fail_given_up(conn: Connection, problem: str) -> None:
    """Fail the packs whose builders have died without a word too often."""
    await sql.execute(
        conn,
        """
        UPDATE packs SET state = 'failed', step = '',
            problem = CASE WHEN problem = '' THEN :problem ELSE problem END
        WHERE state = 'waiting' AND claims >= :most AND lives_until < clock_timestamp()
        """,
        most=MOST_CLAIMS,
        problem=problem,
    )


async def latest_packs(conn: Connection, before: str | None, limit: int) -> list[Pack]:
    """The last version of each week's pack, from the latest week to earlier ones."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM packs
        WHERE (:before::text IS NULL OR week < :before)
          AND version = (SELECT max(version) FROM packs p WHERE p.week = packs.week)
        ORDER BY week DESC LIMIT :limit
        """,  # noqa: S608  # constants
        before=before,
        limit=limit,
    )
    return [Pack(**row) for row in rows]


async def versions_of(conn: Connection, week: str) -> list[Pack]:
    """All versions of a week's pack, the last one first."""
    rows = await sql.fetch(
        conn,
        f"SELECT {_COLUMNS} FROM packs WHERE week = :week ORDER BY version DESC",  # noqa: S608
        week=week,
    )
    return [Pack(**row) for row in rows]


async def read_files(
    conn: Connection, keyring: Keyring, week: str, version: int
) -> AsyncIterator[FilePiece]:
    """The octets of a pack's files, piece by piece, in the order of files; of one that was
    withdrawn one piece without octets. All of it is of one moment. Needs a transaction.
    """
    cursor = sql.cursor(
        conn,
        """
        SELECT f.no, f.name, f.sha256, w.why, w.at, x.cipher
        FROM pack_files f
        LEFT JOIN pack_withdrawals w
            ON (w.week, w.version, w.file_no) = (f.week, f.version, f.no)
        LEFT JOIN LATERAL (
            SELECT p.no, p.cipher FROM pack_pieces p
            WHERE (p.week, p.version, p.file_no) = (f.week, f.version, f.no) AND NOT f.is_picture
            UNION ALL
            SELECT 0, k.cipher FROM pack_pictures k WHERE k.sha256 = f.sha256 AND f.is_picture
        ) x ON w.why IS NULL
        WHERE f.week = :week AND f.version = :version ORDER BY f.no, x.no
        """,
        week=week,
        version=version,
        prefetch=4,
    )
    async for row in cursor:
        gone = None if row["why"] is None else FileWithdrawal(row["why"], row["at"])
        cipher = row["cipher"]
        octets = b"" if cipher is None else keyring.decrypt_bytes(CIPHER, cipher)
        yield FilePiece(row["no"], row["name"], row["sha256"], gone, octets)


def _of(held: PackClaim) -> dict[str, Any]:
    return {"week": held.week, "version": held.version, "no": held.no}
