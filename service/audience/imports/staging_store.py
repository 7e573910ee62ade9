"""The SQL of an import under way: temporary tables, the merge, and what the file says twice.

Rows come by COPY in batches, in `staged_numbers`. Each batch is merged while the next one is read;
of each number only what tells repeats apart stays behind in `staged_rows`, which is on disk: memory
does not grow with the file. All of it is one transaction, so that a file leaves all of itself or
nothing; one department's imports wait for one another, so that none deadlocks.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from service.audience.imports.report import Repeats
from service.audience.imports.staging import LINK_COLUMNS, STAGED_COLUMNS, Staged, StagedReject
from service.audience.vocabulary.fields import PERSON_COLUMNS, PERSON_FIELDS
from service.storage import sql
from service.storage.locks import share_erasures
from service.storage.postgres import Connection, affected

MERGE_SECONDS = 3_600.0
"""A province's file takes longer to settle than the pool lets a command run."""

SORT_MEMORY = "64MB"
"""PostgreSQL's default is too small for a batch: each would be sorted on disk."""


async def create_staging(conn: Connection) -> None:
    """Make the temporary tables that an import is copied into, and memory to sort a batch in."""
    await conn.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
    tables = {"staged_numbers": STAGED_COLUMNS, "staged_rows": _KEPT}
    await conn.execute(";".join(map(_temporary, tables, tables.values())))


def _temporary(table: str, columns: Sequence[str]) -> str:
    typed = ", ".join(f"{column} {_TYPES[column]}" for column in columns)
    return f"CREATE TEMPORARY TABLE {table} ({typed}) ON COMMIT DROP"


_KEPT = (
    *("no", "part", "parts", "kind", "role_bits", "remark_bits", "content", "name_key"),
    "phone_hash",
)
"""What stays behind of each number, to find the rows that repeat others."""

_TYPES = {field.column: field.sql_type for field in PERSON_FIELDS if field.column} | {
    "no": "bigint",
    "part": "smallint",
    "parts": "smallint",
    "kind": "integer",
    "role_bits": "bigint",
    "remark_bits": "bigint",
    "content": "bigint",
    "name_key": "bigint",
    "phone_hash": "bytea",
    "phone_cipher": "bytea",
    "synthetic_number": "boolean",
    "recipient_carrier": "text",
    "row_no": "integer",
    "digest": "bytea",
    "last_day": "date",
}
"""The type of each column of the temporary tables."""


async def drop_staging(conn: Connection) -> None:
    """Remove the temporary tables, for callers whose transaction goes on."""
    await conn.execute("DROP TABLE staged_numbers, staged_rows, occurrences, outcomes")


async def copy_staged(conn: Connection, import_id: UUID, staged: Staged) -> None:
    """Copy a batch in place of the last one; rejects go where they stay."""
    await conn.execute("TRUNCATE staged_numbers")
    await conn.copy_records_to_table(
        "staged_numbers", records=staged.numbers, columns=STAGED_COLUMNS
    )
    await conn.execute(
        f"INSERT INTO staged_rows SELECT {', '.join(_KEPT)} FROM staged_numbers"  # noqa: S608
    )
    if staged.rejects:
        await conn.copy_records_to_table(
            "import_rejects",
            records=[(import_id, *reject) for reject in staged.rejects],
            columns=("import_id", *StagedReject._fields),
        )


async def merge_contacts(
    conn: Connection, department_id: UUID, import_id: UUID, now: datetime
) -> int:
    """Add the batch's people whom the department has not yet; the others stay as they are."""
    shown = ", ".join(PERSON_COLUMNS)
    return affected(
        await sql.execute(
            conn,
            f"""
            INSERT INTO contacts (department_id, phone_hash, phone_cipher, {shown}, carrier,
                                  synthetic, import_id, created_at, updated_at)
            SELECT :department_id, phone_hash, phone_cipher, {shown}, nullif(recipient_carrier, ''),
                   synthetic_number, :import_id, :now, :now
            FROM staged_numbers ORDER BY phone_hash, no, part
            ON CONFLICT (department_id, phone_hash) DO NOTHING
            """,  # noqa: S608  # names of columns
            department_id=department_id,
            import_id=import_id,
            now=now,
        )
    )


async def merge_links(
    conn: Connection, department_id: UUID, roster_id: UUID, import_id: UUID
) -> int:
    """Add the batch's links that the roster has not yet, in the order of the file.

    Contacts are looked up one by one: statistics know nothing of those just made.
    """
    said = ", ".join(f"s.{column}" for column in LINK_COLUMNS)
    return affected(
        await sql.execute(
            conn,
            f"""
            INSERT INTO links (contact_id, roster_id, import_id, {", ".join(LINK_COLUMNS)})
            SELECT c.id, :roster_id, :import_id, {said}
            FROM staged_numbers s
            CROSS JOIN LATERAL (
                SELECT c.id FROM contacts c
                WHERE c.department_id = :department_id AND c.phone_hash = s.phone_hash OFFSET 0
            ) AS c
            ORDER BY s.no, s.part
            ON CONFLICT (contact_id, roster_id, digest) DO NOTHING
            """,  # noqa: S608  # names of columns
            department_id=department_id,
            roster_id=roster_id,
            import_id=import_id,
        )
    )


async def merge_repeats(
    conn: Connection, department_id: UUID, roster_id: UUID, import_id: UUID
) -> int:
    """Note which of the batch's links an earlier import made, and put those back that had left.

    Returns how many were put back.
    """
    restored: int = await sql.fetchval(
        conn,
        """
        WITH known AS (
            SELECT DISTINCT ON (l.id) l.id, s.row_no, l.left_at, l.left_by
            FROM staged_numbers s
            CROSS JOIN LATERAL (
                SELECT c.id FROM contacts c
                WHERE c.department_id = :department_id AND c.phone_hash = s.phone_hash OFFSET 0
            ) AS c
            CROSS JOIN LATERAL (
                SELECT l.id, l.left_at, l.left_by, l.import_id FROM links l
                WHERE l.contact_id = c.id AND l.roster_id = :roster_id
                  AND l.digest = s.digest OFFSET 0
            ) AS l
            WHERE l.import_id IS DISTINCT FROM :import_id
            ORDER BY l.id, s.no, s.part
        ), noted AS (
            INSERT INTO link_repeats (link_id, import_id, row_no, was_left_at, was_left_by)
            SELECT id, :import_id, row_no, left_at, left_by FROM known
            ON CONFLICT (link_id, import_id) DO NOTHING
        ), restored AS (
            UPDATE links l SET left_at = NULL, left_by = NULL
            FROM known WHERE l.id = known.id AND known.left_by IS NOT NULL
            RETURNING 1
        )
        SELECT count(*) FROM restored
        """,
        department_id=department_id,
        roster_id=roster_id,
        import_id=import_id,
    )
    return restored


async def delete_erased(conn: Connection, department_id: UUID, import_id: UUID) -> None:
    """Delete whom this file has brought back although they were erased after it came.

    The shared lock makes an erasure wait for the commit, or else this sees the erasure.
    """
    await share_erasures(conn)
    await sql.execute(
        conn,
        """
        DELETE FROM contacts c USING erasures e, imports i
        WHERE i.id = :import_id AND e.erased_at >= i.created_at
          AND (e.department_id IS NULL OR e.department_id = :department_id)
          AND c.department_id = :department_id AND c.phone_hash = e.phone_hash
          AND (c.import_id = :import_id OR c.created_at <= e.erased_at)
        """,
        department_id=department_id,
        import_id=import_id,
        timeout=MERGE_SECONDS,
    )


async def find_repeats(conn: Connection, department_id: UUID, now: datetime) -> Repeats:
    """What the staged rows say of numbers that stand in more than one row (import rules §10).

    `occurrences` and `outcomes` have it row by row, until `drop_staging`.
    """
    await conn.execute(
        """
        CREATE TEMPORARY TABLE occurrences ON COMMIT DROP AS
        SELECT s.*,
               row_number() OVER number AS nth,
               row_number() OVER (PARTITION BY s.phone_hash, s.content ORDER BY no, part)
                   AS nth_link,
               row_number() OVER (PARTITION BY s.phone_hash, s.name_key ORDER BY no, part)
                   AS nth_name,
               first_value(s.no) OVER number AS first_no
        FROM staged_rows s
        JOIN (SELECT phone_hash FROM staged_rows GROUP BY phone_hash HAVING count(*) > 1)
            AS repeated USING (phone_hash)
        WINDOW number AS (PARTITION BY s.phone_hash ORDER BY no, part);
        CREATE TEMPORARY TABLE outcomes ON COMMIT DROP AS
        SELECT no, min(remark_bits) AS remark_bits,
               CASE WHEN bool_or(nth = 1) OR count(*) < min(parts) THEN 'new'
                    WHEN NOT bool_or(nth_link = 1) THEN 'duplicate'
                    WHEN (array_agg(name_key <> 0 AND nth_name = 1 ORDER BY part)
                              FILTER (WHERE nth_link = 1))[1] THEN 'two_names'
                    ELSE 'same_name' END AS outcome,
               coalesce((array_agg(first_no ORDER BY part) FILTER (WHERE nth_link = 1))[1],
                        (array_agg(first_no ORDER BY part))[1]) AS first_no
        FROM occurrences GROUP BY no
        """,
        timeout=MERGE_SECONDS,
    )
    return Repeats(
        duplicates=await _counts(conn, _DUPLICATES),
        merged=await _counts(conn, _MERGED),
        kinds=await _counts(conn, _KINDS),
        roles_listed=await _counts(conn, _ROLES_LISTED),
        roles_joined=await _counts(conn, _ROLES_JOINED),
        suppressed=await _count_suppressed(conn, department_id, now),
    )


_DUPLICATES = "SELECT remark_bits, count(*) FROM outcomes WHERE outcome = 'duplicate' GROUP BY 1"
_MERGED = """
    SELECT outcome, count(*) FROM outcomes
    WHERE outcome IN ('two_names', 'same_name') GROUP BY 1
"""
_KINDS = "SELECT kind, count(*) FROM occurrences WHERE nth > 1 GROUP BY 1"
_ROLES_LISTED = "SELECT role_bits, count(*) FROM occurrences GROUP BY 1"
_ROLES_JOINED = """
    SELECT bits, count(*) FROM (
        SELECT bit_or(role_bits) AS bits FROM occurrences GROUP BY phone_hash
    ) AS recipients GROUP BY 1
"""


async def _counts(conn: Connection, query: str) -> dict[Any, int]:
    return {row[0]: row[1] for row in await conn.fetch(query, timeout=MERGE_SECONDS)}


async def _count_suppressed(conn: Connection, department_id: UUID, now: datetime) -> int:
    count: int = await sql.fetchval(
        conn,
        """
        SELECT count(DISTINCT s.phone_hash) FROM staged_rows s
        WHERE s.phone_hash IN (SELECT p.phone_hash FROM suppressions p
                               WHERE (p.expires_at IS NULL OR p.expires_at > :now)
                                 AND (p.department_id IS NULL OR p.department_id = :department_id
                                      OR 'public_interest' = ANY (p.classes)))
        """,
        now=now,
        department_id=department_id,
        timeout=MERGE_SECONDS,
    )
    return count


async def analyze(conn: Connection) -> None:
    """Let PostgreSQL learn what an import has written. Statistics that it collected by itself amid
    the import know none of it: to undo one of 20,000 people by them took minutes, not a second. Of
    lists it collects none by itself until there are fifty.
    """
    await conn.execute("ANALYZE (SKIP_LOCKED) contacts, links, rosters", timeout=MERGE_SECONDS)
