"""The SQL of pictures: kept, found, masked, handed in, and which are like one another."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record, affected

COMPARED = timedelta(days=365)
"""Pictures of reports that were handed in since are compared."""
MOST_BITS = 6
"""Two pictures whose difference hashes differ in so many bits of 64 are alike."""
MOST_SEEN = 10
"""So many that are like one are told, the latest first."""

_PARTS = (10, 9, 9, 9, 9, 9, 9)
"""Bits of each part of a hash: one part more than `MOST_BITS`, so that hashes which are alike have
one in common, and are found by an index.
"""


class NewPicture(NamedTuple):
    """A picture to be kept. The ciphers are of the sizes, the largest first."""

    department_id: UUID
    duty_id: UUID | None
    uploaded_by: UUID
    uploaded_at: datetime
    width: int
    height: int
    octets: int
    sha256: bytes
    content_hash: bytes
    difference_hash: int
    taken_in_week: bool | None
    large_cipher: bytes
    medium_cipher: bytes
    small_cipher: bytes


class KeptPicture(NamedTuple):
    """A picture, without its octets. whole: the large sizes are still there. setter_id: the
    department that asks for the duty it is meant for.
    """

    id: UUID
    department_id: UUID
    department: str
    duty_id: UUID | None
    setter_id: UUID | None
    period: str | None
    uploaded_by: UUID
    uploaded_at: datetime
    reported_at: datetime | None
    width: int
    height: int
    octets: int
    sha256: bytes
    taken_in_week: bool | None
    masked_at: datetime | None
    whole: bool


class SeenPicture(NamedTuple):
    """A picture of an earlier report that is like one. picture_id: the one it is like. bits: in
    how many of 64 the two differ. same: it is the same file.
    """

    picture_id: UUID
    id: UUID
    department_id: UUID
    department: str
    duty_id: UUID
    period: str
    reported_at: datetime
    same: bool
    bits: int


_PICTURE = """
    SELECT p.id, p.department_id, u.name AS department, p.duty_id, d.setter_id, d.period,
           p.uploaded_by, p.uploaded_at, p.reported_at, p.width, p.height, p.octets, p.sha256,
           p.taken_in_week, p.masked_at, p.large_cipher IS NOT NULL AS whole
    FROM pictures p JOIN departments u ON u.id = p.department_id
        LEFT JOIN duties d ON d.id = p.duty_id
"""


def hash_parts(difference_hash: int) -> list[int]:
    """The parts of a hash, each as a number that tells which part it is."""
    left, found = difference_hash & ((1 << 64) - 1), []
    for place, bits in enumerate(_PARTS):
        found.append(place << 10 | (left & ((1 << bits) - 1)))
        left >>= bits
    return found


async def insert_picture(conn: Connection, new: NewPicture) -> UUID:
    """Keep a picture."""
    found: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO pictures (department_id, duty_id, uploaded_by, uploaded_at, width, height,
                              octets, sha256, content_hash, difference_hash, hash_parts,
                              taken_in_week, large_cipher, medium_cipher, small_cipher)
        VALUES (:department_id, :duty_id, :uploaded_by, :uploaded_at, :width, :height, :octets,
                :sha256, :content_hash, :difference_hash, :hash_parts, :taken_in_week,
                :large_cipher, :medium_cipher, :small_cipher)
        RETURNING id
        """,
        **new._asdict(),
        hash_parts=hash_parts(new.difference_hash),
    )
    return found


async def count_waiting(conn: Connection, department_id: UUID, most: int) -> int:
    """How many pictures of a department were not handed in yet; counted up to `most`."""
    count: int = await sql.fetchval(
        conn,
        """
        SELECT count(*) FROM (SELECT FROM pictures WHERE department_id = :department_id
                              AND reported_at IS NULL LIMIT :most) p
        """,
        department_id=department_id,
        most=most,
    )
    return count


async def find_picture(conn: Connection, picture_id: UUID) -> KeptPicture | None:
    """One picture."""
    row = await sql.fetchrow(conn, f"{_PICTURE} WHERE p.id = :id", id=picture_id)
    return None if row is None else KeptPicture(**row)


async def lock_pictures(conn: Connection, picture_ids: Sequence[UUID]) -> list[KeptPicture]:
    """These pictures, which nobody else changes until the end of the transaction, by id."""
    rows = await sql.fetch(
        conn,
        f"{_PICTURE} WHERE p.id = ANY (:ids) ORDER BY p.id FOR NO KEY UPDATE OF p",
        ids=list(picture_ids),
    )
    return [KeptPicture(**row) for row in rows]


async def hashes_of(conn: Connection, picture_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """SHA-256 of these pictures as they are now; a mask makes another one."""
    rows = await sql.fetch(
        conn, "SELECT id, sha256 FROM pictures WHERE id = ANY (:ids)", ids=list(picture_ids)
    )
    return {row["id"]: row["sha256"] for row in rows}


async def list_waiting(
    conn: Connection, department_id: UUID, duty_id: UUID | None, before: UUID | None, limit: int
) -> list[KeptPicture]:
    """The pictures of a department that were not handed in yet, the latest first."""
    rows = await sql.fetch(
        conn,
        f"""
        {_PICTURE}
        WHERE p.department_id = :department_id AND p.reported_at IS NULL
          AND (:duty_id::uuid IS NULL OR p.duty_id = :duty_id)
          AND (:before::uuid IS NULL OR p.id < :before)
        ORDER BY p.id DESC LIMIT :limit
        """,
        department_id=department_id,
        duty_id=duty_id,
        before=before,
        limit=limit,
    )
    return [KeptPicture(**row) for row in rows]


async def get_ciphers(conn: Connection, picture_id: UUID) -> Record | None:
    """The sizes of a picture, encrypted."""
    return await sql.fetchrow(
        conn,
        "SELECT large_cipher, medium_cipher, small_cipher FROM pictures WHERE id = :id",
        id=picture_id,
    )


async def put_masked(
    conn: Connection,
    picture_id: UUID,
    ciphers: Sequence[bytes],
    known: tuple[int, bytes],
    by: tuple[UUID, datetime],
) -> None:
    """Put a masked picture in the place of one. known: octets and hash of the largest; by: who put
    it there and when. What it was compared by stays, so that it is still known again.
    """
    large, medium, small = ciphers
    octets, sha256 = known
    masked_by, masked_at = by
    await sql.execute(
        conn,
        """
        UPDATE pictures SET large_cipher = :large, medium_cipher = :medium, small_cipher = :small,
            octets = :octets, sha256 = :sha256, masked_by = :masked_by, masked_at = :masked_at
        WHERE id = :id
        """,
        id=picture_id,
        large=large,
        medium=medium,
        small=small,
        octets=octets,
        sha256=sha256,
        masked_by=masked_by,
        masked_at=masked_at,
    )


async def delete_picture(conn: Connection, picture_id: UUID) -> None:
    """Delete a picture that was not handed in."""
    await sql.execute(conn, "DELETE FROM pictures WHERE id = :id", id=picture_id)


async def hand_in(
    conn: Connection, duty_id: UUID, no: int, pictures: Sequence[KeptPicture], now: datetime
) -> None:
    """Bind pictures to what is handed in, in this order."""
    await sql.execute(
        conn,
        """
        UPDATE pictures SET duty_id = :duty_id, reported_at = :now
        WHERE id = ANY (:ids) AND reported_at IS NULL
        """,
        duty_id=duty_id,
        now=now,
        ids=[one.id for one in pictures],
    )
    await sql.execute(
        conn,
        """
        INSERT INTO duty_report_pictures (duty_id, no, place, picture_id, sha256)
        SELECT :duty_id, :no, p.place, p.id, p.sha256
        FROM unnest(:ids::uuid[], :hashes::bytea[]) WITH ORDINALITY AS p(id, sha256, place)
        """,
        duty_id=duty_id,
        no=no,
        ids=[one.id for one in pictures],
        hashes=[one.sha256 for one in pictures],
    )


async def list_of_reports(conn: Connection, duty_id: UUID) -> list[tuple[int, KeptPicture]]:
    """The pictures of all that was handed in for a duty: the number of the report, and each in
    its order.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT r.no AS report_no, kept.* FROM duty_report_pictures r
        JOIN ({_PICTURE} WHERE p.duty_id = :duty_id) kept ON kept.id = r.picture_id
        WHERE r.duty_id = :duty_id ORDER BY r.no, r.place
        """,  # noqa: S608  # constants
        duty_id=duty_id,
    )
    found = [dict(row) for row in rows]
    return [(row.pop("report_no"), KeptPicture(**row)) for row in found]


async def list_of_week(conn: Connection, department_id: UUID, period: str) -> list[KeptPicture]:
    """The pictures of the weekly reports that a department handed in last for a period, in their
    order.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT kept.* FROM duties d
        JOIN LATERAL (SELECT no FROM duty_reports WHERE duty_id = d.id
                      ORDER BY no DESC LIMIT 1) last ON true
        JOIN duty_report_pictures r ON r.duty_id = d.id AND r.no = last.no
        JOIN LATERAL ({_PICTURE} WHERE p.id = r.picture_id) kept ON true
        WHERE d.department_id = :department_id AND d.period = :period
          AND d.kind = 'weekly_report'
        ORDER BY d.id, r.place
        """,  # noqa: S608  # constants
        department_id=department_id,
        period=period,
    )
    return [KeptPicture(**row) for row in rows]


async def list_seen(
    conn: Connection, picture_ids: Sequence[UUID], now: datetime
) -> list[SeenPicture]:
    """What earlier reports have that is like these pictures. A picture that was not handed in is
    compared with all reports, one that was with those before, and with its own. What the report of
    its own duty had before that was returned is none of them: it is handed in anew.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT p.id AS picture_id, found.* FROM pictures p, LATERAL (
            SELECT c.id, c.department_id, u.name AS department, c.duty_id, d.period, c.reported_at,
                   c.content_hash = p.content_hash AS same,
                   bit_count((c.difference_hash # p.difference_hash)::bit(64))::int AS bits
            FROM (SELECT o.id FROM pictures o WHERE o.hash_parts && p.hash_parts
                    AND bit_count((o.difference_hash # p.difference_hash)::bit(64)) <= :most_bits
                  UNION
                  SELECT o.id FROM pictures o WHERE o.content_hash = p.content_hash) alike
            JOIN pictures c ON c.id = alike.id
            JOIN departments u ON u.id = c.department_id JOIN duties d ON d.id = c.duty_id
            WHERE c.reported_at > :since
              AND (p.reported_at IS NULL OR (c.reported_at, c.id) < (p.reported_at, p.id))
              AND c.id <> p.id
              AND (c.duty_id IS DISTINCT FROM p.duty_id OR c.reported_at = p.reported_at)
            ORDER BY c.reported_at DESC, c.id DESC LIMIT :most) found
        WHERE p.id = ANY (:ids)
        ORDER BY p.id, found.reported_at DESC, found.id DESC
        """,
        ids=list(picture_ids),
        most_bits=MOST_BITS,
        since=now - COMPARED,
        most=MOST_SEEN,
    )
    return [SeenPicture(**row) for row in rows]


async def drop_large(conn: Connection, before: datetime, rows: int) -> int:
    """Drop the large sizes of pictures that came before; the small one and the hashes stay. They
    are not compared any more.
    """
    status = await sql.execute(
        conn,
        """
        UPDATE pictures SET large_cipher = NULL, medium_cipher = NULL, hash_parts = NULL
        WHERE id IN (SELECT id FROM pictures
                     WHERE uploaded_at < :before AND large_cipher IS NOT NULL
                     ORDER BY uploaded_at LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)


async def delete_unreported(conn: Connection, before: datetime, rows: int) -> int:
    """Delete pictures that came before and were never handed in."""
    status = await sql.execute(
        conn,
        """
        DELETE FROM pictures WHERE id IN (
            SELECT id FROM pictures WHERE uploaded_at < :before AND reported_at IS NULL
            ORDER BY uploaded_at LIMIT :rows FOR UPDATE SKIP LOCKED)
        """,
        before=before,
        rows=rows,
    )
    return affected(status)
