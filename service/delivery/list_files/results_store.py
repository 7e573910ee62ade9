"""The SQL of what a carrier gives back of a list: which texts are meant, and what was given."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By
from service.delivery.list_files.list_file_store import ListFile
from service.ledger.message_id import MessageKey
from service.storage import sql
from service.storage.postgres import Connection


class GivenResults(NamedTuple):
    """What a carrier gave back. run_id: of counts, of which run; None: it was a file."""

    id: UUID
    run_id: UUID | None
    given_by: UUID
    given_at: datetime
    file_sha256: str | None
    counts: Mapping[str, int]


class ListedText(NamedTuple):
    """A text of a list. state: as the ledger has it."""

    key: MessageKey
    ref: bytes
    phone_hash: bytes
    state: str


async def find_texts(
    conn: Connection,
    list_file: ListFile,
    runs: Sequence[UUID],
    refs: Sequence[bytes],
    phones: Sequence[bytes],
) -> list[ListedText]:
    """The texts of a list with one of these references, or to one of these phones. runs: all that
    have texts on it.
    """
    rows = await sql.fetch(
        conn,
        """
        WITH named AS (
            SELECT run_id, no, attempt FROM parts
            WHERE channel_id = :channel_id AND ref = ANY (:refs)
            UNION
            SELECT m.run_id, m.no, p.attempt
            FROM unnest(:runs::uuid[]) AS r(run_id)
            CROSS JOIN unnest(:phones::bytea[]) AS asked(phone)
            CROSS JOIN LATERAL (
                SELECT run_id, no FROM messages
                WHERE run_id = r.run_id AND phone_hash = asked.phone OFFSET 0) m
            CROSS JOIN LATERAL (
                SELECT attempt FROM parts WHERE run_id = m.run_id AND no = m.no OFFSET 0) p
        )
        SELECT n.run_id, n.no, p.ref, m.phone_hash, m.state::text
        FROM named n
        JOIN list_file_lines l ON l.run_id = n.run_id AND l.no = n.no AND l.attempt = n.attempt
          AND l.list_file_id = :list_id
        CROSS JOIN LATERAL (
            SELECT phone_hash, state FROM messages
            WHERE run_id = n.run_id AND no = n.no OFFSET 0) m
        CROSS JOIN LATERAL (
            SELECT ref, attempt FROM parts WHERE run_id = n.run_id AND no = n.no OFFSET 0) p
        WHERE p.attempt = n.attempt
        """,
        list_id=list_file.id,
        channel_id=list_file.channel_id,
        runs=list(runs),
        refs=list(refs),
        phones=list(phones),
    )
    return [
        ListedText((row["run_id"], row["no"]), row["ref"], row["phone_hash"], row["state"])
        for row in rows
    ]


async def insert_results(
    conn: Connection,
    list_id: UUID,
    by: By,
    counts: Mapping[str, int],
    *,
    run_id: UUID | None = None,
    file_sha256: str | None = None,
) -> UUID:
    """Record what the carrier gave back: a file, or counts of a run."""
    made: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO list_file_results
            (list_file_id, run_id, given_by, given_at, file_sha256, counts)
        VALUES (:list_id, :run_id, :user_id, :at, :file_sha256, :counts) RETURNING id
        """,
        list_id=list_id,
        run_id=run_id,
        user_id=by.user_id,
        at=by.at,
        file_sha256=file_sha256,
        counts=dict(counts),
    )
    return made


async def list_results(conn: Connection, list_id: UUID) -> list[GivenResults]:
    """What the carrier gave back, from old to new."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, run_id, given_by, given_at, file_sha256, counts FROM list_file_results
        WHERE list_file_id = :list_id ORDER BY id
        """,
        list_id=list_id,
    )
    return [GivenResults(*row) for row in rows]
