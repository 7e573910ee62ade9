"""The SQL of the audience: waiting files, imports, contacts and links, areas, suppressions.

An import is staged in temporary tables by COPY and merged in the same transaction, so that a file
leaves all of itself or nothing. Contacts are merged in the order of their hash: two imports that
meet wait for one another instead of deadlocking.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from uuid import UUID

from service.audience.area import Area, AreaTree, packaged_areas
from service.audience.model import Import, ImportRequest, Report
from service.audience.staging import Staged, StagedContact, StagedLink, StagedReject
from service.errors import NotFound
from service.storage.postgres import Connection, affected

_IMPORT = """
    id, department_id, created_by, roster, basis, expires_on, file_name, file_bytes, file_sha256,
    encoding, columns, dry_run, state, report, created_at, finished_at
"""


MERGE_SECONDS = 3_600.0
"""A province's file takes longer to merge than the pool lets a command run."""


async def insert_import(conn: Connection, request: ImportRequest, now: datetime) -> UUID:
    """Make an import whose file is still to come; `seal_import` completes it."""
    import_id: UUID = await conn.fetchval(
        """
        INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,
                             file_bytes, file_sha256, encoding, columns, dry_run, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, 0, '', $7, $8, $9, $10)
        RETURNING id
        """,
        request.department_id,
        request.user_id,
        request.roster,
        request.basis,
        request.expires_on,
        request.file_name,
        request.encoding,
        request.columns and dict(request.columns),
        request.dry_run,
        now,
    )
    return import_id


async def insert_chunk(conn: Connection, import_id: UUID, no: int, cipher: bytes) -> None:
    """Keep one piece of a waiting file."""
    await conn.execute(
        "INSERT INTO import_chunks (import_id, no, cipher) VALUES ($1, $2, $3)",
        import_id,
        no,
        cipher,
    )


async def seal_import(conn: Connection, import_id: UUID, octets: int, sha256: bytes) -> None:
    """Note the size and the hash of a file that has come whole."""
    await conn.execute(
        "UPDATE imports SET file_bytes = $2, file_sha256 = $3 WHERE id = $1",
        import_id,
        octets,
        sha256,
    )


async def get_import(conn: Connection, import_id: UUID) -> Import:
    """An import as it stands.

    Raises:
        NotFound: there is none of this id.
    """
    row = await conn.fetchrow(f"SELECT {_IMPORT} FROM imports WHERE id = $1", import_id)  # noqa: S608  # a constant
    if row is None:
        raise NotFound("there is no import of this id")
    return Import(**row)


async def waiting_imports(conn: Connection) -> list[UUID]:
    """The imports whose file has not been read to its end, oldest first."""
    rows = await conn.fetch("SELECT id FROM imports WHERE state = 'reading' ORDER BY created_at")
    return [row["id"] for row in rows]


async def begin_attempt(conn: Connection, import_id: UUID) -> int:
    """Count an attempt at a waiting import and say which it is; 0 if it is not free to be read."""
    attempt: int | None = await conn.fetchval(
        """
        UPDATE imports SET attempts = attempts + 1
        WHERE id = (SELECT id FROM imports WHERE id = $1 AND state = 'reading'
                    FOR UPDATE SKIP LOCKED)
        RETURNING attempts
        """,
        import_id,
    )
    return attempt or 0


async def allow_pauses(conn: Connection) -> None:
    """Let this transaction wait for a slow sender or a long calculation; it holds no lock that
    the hand-off needs.
    """
    await conn.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


async def claim_import(conn: Connection, import_id: UUID) -> Import | None:
    """Lock an import that waits to be read; None if it is done, or another worker has it."""
    row = await conn.fetchrow(
        f"""
        SELECT {_IMPORT} FROM imports WHERE id = $1 AND state = 'reading'
        FOR UPDATE SKIP LOCKED
        """,  # noqa: S608  # a constant
        import_id,
    )
    return None if row is None else Import(**row)


async def list_chunks(conn: Connection, import_id: UUID) -> AsyncIterator[bytes]:
    """The pieces of a waiting file in order; needs a transaction."""
    async for row in conn.cursor(
        "SELECT cipher FROM import_chunks WHERE import_id = $1 ORDER BY no", import_id, prefetch=4
    ):
        yield row["cipher"]


async def finish_import(
    conn: Connection, import_id: UUID, state: str, report: Report, now: datetime
) -> None:
    """Note what became of an import, and delete its file."""
    await conn.execute(
        "UPDATE imports SET state = $2, report = $3, finished_at = $4 WHERE id = $1",
        import_id,
        state,
        report,
        now,
    )
    await conn.execute("DELETE FROM import_chunks WHERE import_id = $1", import_id)


async def create_staging(conn: Connection) -> None:
    """Make the temporary tables that an import is copied into."""
    await conn.execute(
        """
        CREATE TEMPORARY TABLE staged_contacts (
            phone_hash bytea, phone_cipher bytea, name_cipher bytea, carrier text,
            area_code text, age_band text, gender text, synthetic boolean
        ) ON COMMIT DROP;
        CREATE TEMPORARY TABLE staged_links (
            no bigint GENERATED ALWAYS AS IDENTITY,
            phone_hash bytea, row_no integer, digest bytea, name_cipher bytea, gender text,
            age_band text, area_code text, household_group text, roles text[], org text,
            org_type text, school text, grade text, class_ text, guardian_of_cipher bytea,
            carrier text, consent_basis text, source_dept text, valid_until text,
            note_cipher bytea, synthetic boolean
        ) ON COMMIT DROP
        """
    )


async def drop_staging(conn: Connection) -> None:
    """Remove the temporary tables, for callers whose transaction goes on."""
    await conn.execute("DROP TABLE staged_contacts, staged_links")


async def copy_staged(conn: Connection, import_id: UUID, staged: Staged) -> None:
    """Copy a batch of records: contacts and links for the merge, rejects where they stay."""
    await conn.copy_records_to_table(
        "staged_contacts", records=staged.contacts, columns=StagedContact._fields
    )
    await conn.copy_records_to_table(
        "staged_links", records=staged.links, columns=StagedLink._fields
    )
    await conn.copy_records_to_table(
        "import_rejects",
        records=[(import_id, *reject) for reject in staged.rejects],
        columns=("import_id", *StagedReject._fields),
    )


async def count_suppressed(conn: Connection, now: datetime) -> int:
    """How many staged contacts have a number that is never sent to."""
    count: int = await conn.fetchval(
        """
        SELECT count(*) FROM staged_contacts s
        WHERE EXISTS (SELECT FROM suppressions p WHERE p.phone_hash = s.phone_hash
                      AND (p.expires_at IS NULL OR p.expires_at > $1))
        """,
        now,
    )
    return count


async def merge_contacts(conn: Connection, department_id: UUID, now: datetime) -> int:
    """Add the staged contacts that the department has not yet; the others stay as they are."""
    await conn.execute("ANALYZE staged_contacts; ANALYZE staged_links")
    return affected(
        await conn.execute(
            """
            INSERT INTO contacts (department_id, phone_hash, phone_cipher, name_cipher, carrier,
                                  area_code, age_band, gender, synthetic, created_at, updated_at)
            SELECT $1, phone_hash, phone_cipher, name_cipher, carrier, area_code, age_band, gender,
                   synthetic, $2, $2
            FROM staged_contacts ORDER BY phone_hash
            ON CONFLICT (department_id, phone_hash) DO NOTHING
            """,
            department_id,
            now,
            timeout=MERGE_SECONDS,
        )
    )


async def upsert_roster(conn: Connection, request: Import, now: datetime) -> UUID:
    """The roster of an import, which takes the basis and expiry of the latest one.

    Its row stays locked to the end of the transaction: one import a roster at a time.
    """
    roster_id: UUID = await conn.fetchval(
        """
        INSERT INTO rosters (department_id, name, basis, expires_on, created_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (department_id, name)
            DO UPDATE SET basis = excluded.basis, expires_on = excluded.expires_on
        RETURNING id
        """,
        request.department_id,
        request.roster,
        request.basis,
        request.expires_on,
        now,
    )
    return roster_id


async def merge_links(
    conn: Connection, department_id: UUID, roster_id: UUID, import_id: UUID
) -> int:
    """Add the staged links that the roster has not yet, in the order of the file."""
    return affected(
        await conn.execute(
            """
            INSERT INTO links (contact_id, roster_id, import_id, row_no, digest, name_cipher,
                               gender, age_band, area_code, household_group, roles, org, org_type,
                               school, grade, class, guardian_of_cipher, carrier, consent_basis,
                               source_dept, valid_until, note_cipher, synthetic)
            SELECT c.id, $2, $3, s.row_no, s.digest, s.name_cipher, s.gender, s.age_band,
                   s.area_code, s.household_group, s.roles, s.org, s.org_type, s.school, s.grade,
                   s.class_, s.guardian_of_cipher, s.carrier, s.consent_basis, s.source_dept,
                   s.valid_until, s.note_cipher, s.synthetic
            FROM staged_links s
            JOIN contacts c ON c.department_id = $1 AND c.phone_hash = s.phone_hash
            ORDER BY s.no
            ON CONFLICT (contact_id, roster_id, digest) DO NOTHING
            """,
            department_id,
            roster_id,
            import_id,
            timeout=MERGE_SECONDS,
        )
    )


async def list_rejects(conn: Connection, import_id: UUID) -> AsyncIterator[StagedReject]:
    """The rejected rows of an import in the order of the file; needs a transaction."""
    async for row in conn.cursor(
        """
        SELECT sheet, row_no, code, masked, suggestion_cipher FROM import_rejects
        WHERE import_id = $1 ORDER BY sheet, row_no
        """,
        import_id,
        prefetch=1_000,
    ):
        yield StagedReject(*row)


async def load_areas(conn: Connection) -> int:
    """Bring the areas of the package into the database; those already there are updated."""
    areas = packaged_areas()
    return affected(
        await conn.execute(
            """
            INSERT INTO areas (code, name, level, parent_code, population)
            SELECT code, name, level, nullif(parent, ''), population
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[])
                AS u (code, name, level, parent, population)
            ON CONFLICT (code) DO UPDATE SET
                name = excluded.name, level = excluded.level,
                parent_code = excluded.parent_code, population = excluded.population
            """,
            *map(list, zip(*areas, strict=True)),
        )
    )


async def read_area_tree(conn: Connection) -> AreaTree:
    """All areas of the database."""
    rows = await conn.fetch(
        "SELECT code, name, level, coalesce(parent_code, '') AS parent, population FROM areas"
    )
    return AreaTree(Area(**row) for row in rows)


async def insert_suppressions(
    conn: Connection,
    phone_hashes: Iterable[bytes],
    *,
    reason: str,
    user_id: UUID | None,
    now: datetime,
) -> int:
    """Stop all sending to these numbers; how many were not yet stopped for this reason."""
    return affected(
        await conn.execute(
            """
            INSERT INTO suppressions (phone_hash, reason, created_by, created_at)
            SELECT DISTINCT u.phone_hash, $2, $3::uuid, $4::timestamptz
            FROM unnest($1::bytea[]) AS u (phone_hash) ORDER BY 1
            ON CONFLICT (phone_hash, reason) DO NOTHING
            """,
            list(phone_hashes),
            reason,
            user_id,
            now,
        )
    )
