"""The SQL of imports: waiting files, rejected rows, and imports that are taken back."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from service.audience.imports.model import Import, ImportRequest, ReportTable
from service.audience.imports.staging import StagedReject
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, limit_pauses, one
from service.words.phrase import phrase

_IMPORT = """
    id, department_id, created_by, roster, basis, expires_on, file_name, file_bytes, file_sha256,
    encoding, columns, dry_run, mode, state, report, created_at, finished_at, undone_at,
    evidence, evidence_on, evidence_by, evidence_how, evidence_form,
    coalesce((report #>> '{rows,read}')::bigint,
             (SELECT rows_read FROM import_progress WHERE import_id = imports.id), 0) AS rows_read,
    CASE WHEN undo_asked_at IS NULL THEN undo ELSE '{"state": "waiting"}' END AS undo
"""


_FIRST_OF_ROSTER = """
    i.state = 'reading' AND NOT EXISTS (
        SELECT FROM imports e
        WHERE e.department_id = i.department_id AND e.roster = i.roster
          AND e.state = 'reading' AND e.id < i.id)
"""

LONGEST_PAUSE_SECONDS = 360
"""Longer than a workbook may take to open, which is the longest that a worker says nothing."""


async def insert_import(conn: Connection, request: ImportRequest, now: datetime) -> UUID:
    """Make an import whose file is still to come; `seal_import` completes it."""
    import_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,
                             file_bytes, file_sha256, encoding, columns, dry_run, mode, created_at,
                             evidence, evidence_on, evidence_by, evidence_how, evidence_form)
        VALUES (:department_id, :user_id, :roster, :basis, :expires_on, :file_name, 0, '',
                :encoding, :columns, :dry_run, :mode, :now, :evidence, :evidence_on, :evidence_by,
                :evidence_how, :evidence_form)
        RETURNING id
        """,
        department_id=request.department_id,
        user_id=request.user_id,
        roster=request.roster,
        basis=request.basis,
        expires_on=request.expires_on,
        file_name=request.file_name,
        encoding=request.encoding,
        columns=request.columns and dict(request.columns),
        dry_run=request.dry_run,
        mode=request.mode,
        now=now,
        evidence=request.evidence.reference,
        evidence_on=request.evidence.on,
        evidence_by=request.evidence.by,
        evidence_how=request.evidence.how,
        evidence_form=request.evidence.form,
    )
    return import_id


async def insert_chunk(conn: Connection, import_id: UUID, no: int, cipher: bytes) -> None:
    """Keep one piece of a waiting file."""
    await sql.execute(
        conn,
        "INSERT INTO import_chunks (import_id, no, cipher) VALUES (:import_id, :no, :cipher)",
        import_id=import_id,
        no=no,
        cipher=cipher,
    )


async def seal_import(conn: Connection, import_id: UUID, octets: int, sha256: bytes) -> None:
    """Note the size and the hash of a file that has come whole."""
    await sql.execute(
        conn,
        "UPDATE imports SET file_bytes = :octets, file_sha256 = :sha256 WHERE id = :import_id",
        import_id=import_id,
        octets=octets,
        sha256=sha256,
    )


async def get_import(conn: Connection, import_id: UUID) -> Import:
    """An import as it stands.

    Raises:
        NotFound: there is none of this id.
    """
    query = f"SELECT {_IMPORT} FROM imports WHERE id = :import_id"  # noqa: S608  # a constant
    row = await sql.fetchrow(conn, query, import_id=import_id)
    if row is None:
        raise NotFound(phrase("there is no import of this id"))
    return Import(**row)


async def waiting_imports(conn: Connection) -> list[UUID]:
    """The imports whose file has not been read to its end, oldest first."""
    rows = await conn.fetch("SELECT id FROM imports WHERE state = 'reading' ORDER BY created_at")
    return [row["id"] for row in rows]


async def begin_attempt(conn: Connection, import_id: UUID) -> int:
    """Count an attempt at a waiting import and say which it is; 0 if it is not free to be read.

    A roster's files are read in the order in which they came: the newest list is the last word.
    """
    attempt: int | None = await sql.fetchval(
        conn,
        f"""
        WITH begun AS (
            UPDATE imports SET attempts = attempts + 1
            WHERE id = (SELECT id FROM imports i WHERE id = :import_id AND {_FIRST_OF_ROSTER}
                        FOR UPDATE SKIP LOCKED)
            RETURNING attempts, department_id
        ), turn AS (
            INSERT INTO import_turns (department_id, turn)
            SELECT department_id, nextval('import_turn') FROM begun
            ON CONFLICT (department_id) DO UPDATE SET turn = excluded.turn
        )
        SELECT attempts FROM begun
        """,  # noqa: S608  # a constant
        import_id=import_id,
    )
    return attempt or 0


async def next_import(
    conn: Connection, in_hand: Sequence[UUID], busy: Sequence[UUID]
) -> tuple[UUID, UUID] | None:
    """The waiting file whose turn it is, and its department; None: nothing waits that may be read.

    Departments take turns: first who has had none, then whose last one was begun longest ago; of
    one department, the oldest file. in_hand: files, and busy: departments, that are left out; so is
    what another worker reads.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT i.id, i.department_id
        FROM imports i LEFT JOIN import_turns t ON t.department_id = i.department_id
        WHERE {_FIRST_OF_ROSTER} AND i.id <> ALL (:in_hand) AND i.department_id <> ALL (:busy)
        ORDER BY t.turn NULLS FIRST, i.created_at, i.id
        LIMIT 1 FOR UPDATE OF i SKIP LOCKED
        """,  # noqa: S608  # a constant
        in_hand=in_hand,
        busy=busy,
    )
    return None if row is None else (row["id"], row["department_id"])


async def lock_waiting(conn: Connection, department_id: UUID) -> None:
    """Let nobody else add a waiting file of a department until the end of the transaction."""
    await sql.execute(
        conn,
        "SELECT FROM departments WHERE id = :department_id FOR NO KEY UPDATE",
        department_id=department_id,
    )


async def what_waits(conn: Connection, department_id: UUID) -> tuple[int, int]:
    """How many files of a department wait to be read, and their octets."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT count(*) AS files, coalesce(sum(file_bytes), 0)::bigint AS octets
        FROM imports WHERE department_id = :department_id AND state = 'reading'
        """,
        department_id=department_id,
    )
    return one(row)["files"], one(row)["octets"]


async def allow_pauses(conn: Connection) -> None:
    """Let this transaction wait for a slow sender or a long calculation; it holds no lock that
    the hand-off needs.
    """
    await limit_pauses(conn, 0)


async def bound_pauses(conn: Connection) -> None:
    """Let the server end this session if its process stands still: the import is free again."""
    await limit_pauses(conn, LONGEST_PAUSE_SECONDS)


async def claim_import(conn: Connection, import_id: UUID) -> Import | None:
    """Lock an import that waits to be read; None if it is done, or another worker has it."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_IMPORT} FROM imports WHERE id = :import_id AND state = 'reading'
        FOR UPDATE SKIP LOCKED
        """,  # noqa: S608  # a constant
        import_id=import_id,
    )
    return None if row is None else Import(**row)


async def note_progress(conn: Connection, import_id: UUID, rows: int, /) -> None:
    """Say how many rows have been read; over another connection than the one that reads."""
    await sql.execute(
        conn,
        """
        INSERT INTO import_progress (import_id, rows_read) VALUES (:import_id, :rows)
        ON CONFLICT (import_id) DO UPDATE SET rows_read = excluded.rows_read
        """,
        import_id=import_id,
        rows=rows,
    )


async def list_chunks(conn: Connection, import_id: UUID) -> AsyncIterator[bytes]:
    """The pieces of a waiting file in order; needs a transaction."""
    async for row in sql.cursor(
        conn,
        "SELECT cipher FROM import_chunks WHERE import_id = :import_id ORDER BY no",
        import_id=import_id,
        prefetch=4,
    ):
        yield row["cipher"]


async def waits_for(conn: Connection, department_id: UUID, roster: str) -> bool:
    """Whether a file for this roster waits to be read."""
    waiting: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (SELECT FROM imports
                       WHERE department_id = :department_id AND roster = :roster
                         AND state = 'reading')
        """,
        department_id=department_id,
        roster=roster,
    )
    return waiting


async def lock_import(conn: Connection, import_id: UUID) -> Import:
    """An import as it stands, kept so to the end of the transaction.

    Raises:
        NotFound: there is none of this id.
    """
    query = f"SELECT {_IMPORT} FROM imports WHERE id = :import_id FOR UPDATE"  # noqa: S608  # a constant
    row = await sql.fetchrow(conn, query, import_id=import_id)
    if row is None:
        raise NotFound(phrase("there is no import of this id"))
    return Import(**row)


async def ask_undo(conn: Connection, import_id: UUID, user_id: UUID, now: datetime) -> None:
    """Note who wants an import taken back."""
    await sql.execute(
        conn,
        """
        UPDATE imports SET undo_asked_at = :now, undo_asked_by = :user_id, undo = NULL
        WHERE id = :import_id
        """,
        import_id=import_id,
        now=now,
        user_id=user_id,
    )


async def waiting_undos(conn: Connection) -> list[UUID]:
    """The imports that are to be taken back, in the order in which that was asked."""
    rows = await conn.fetch(
        "SELECT id FROM imports WHERE undo_asked_at IS NOT NULL ORDER BY undo_asked_at"
    )
    return [row["id"] for row in rows]


async def claim_undo(conn: Connection, import_id: UUID) -> Import | None:
    """Lock an import that is to be taken back; None if it is not, or another worker has it."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_IMPORT} FROM imports WHERE id = :import_id AND undo_asked_at IS NOT NULL
        FOR UPDATE SKIP LOCKED
        """,  # noqa: S608  # a constant
        import_id=import_id,
    )
    return None if row is None else Import(**row)


async def mark_undone(conn: Connection, import_id: UUID, now: datetime) -> None:
    """Note that an import is taken back, by whoever asked for that."""
    await sql.execute(
        conn,
        """
        UPDATE imports SET undone_at = :now, undone_by = undo_asked_by,
                           undo_asked_at = NULL, undo_asked_by = NULL
        WHERE id = :import_id
        """,
        import_id=import_id,
        now=now,
    )


async def note_undo(conn: Connection, import_id: UUID, undo: ReportTable) -> None:
    """Note what became of taking an import back; nobody waits for it any more."""
    await sql.execute(
        conn,
        """
        UPDATE imports SET undo = :undo, undo_asked_at = NULL, undo_asked_by = NULL
        WHERE id = :import_id
        """,
        import_id=import_id,
        undo=undo,
    )


async def finish_import(
    conn: Connection, import_id: UUID, state: str, report: ReportTable, now: datetime
) -> None:
    """Note what became of an import, and delete its file."""
    await sql.execute(
        conn,
        """
        UPDATE imports SET state = :state, report = :report, finished_at = :now
        WHERE id = :import_id
        """,
        import_id=import_id,
        state=state,
        report=report,
        now=now,
    )
    await sql.execute(
        conn, "DELETE FROM import_chunks WHERE import_id = :import_id", import_id=import_id
    )
    await sql.execute(
        conn, "DELETE FROM import_progress WHERE import_id = :import_id", import_id=import_id
    )


async def list_rejects(conn: Connection, import_id: UUID) -> AsyncIterator[StagedReject]:
    """The rejected rows of an import in the order of the file; needs a transaction."""
    async for row in sql.cursor(
        conn,
        """
        SELECT sheet, row_no, code, masked, suggestion_cipher, repair FROM import_rejects
        WHERE import_id = :import_id ORDER BY sheet, row_no
        """,
        import_id=import_id,
        prefetch=1_000,
    ):
        yield StagedReject(*row)
