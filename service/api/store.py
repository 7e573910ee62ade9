"""The SQL of the API itself: stored answers, and whether the database is ready."""

from datetime import datetime, timedelta
from uuid import UUID

from service.storage.postgres import Connection, Record, affected

KEPT = timedelta(days=7)
"""How long an answer is kept for a caller who tries again."""


async def try_lock_key(conn: Connection, caller_id: UUID, key: str) -> bool:
    """Take the key for the rest of the transaction; False while another request has it."""
    locked: bool = await conn.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))",
        f"idempotency {caller_id} {key}",
    )
    return locked


async def lock_edit(conn: Connection, path: str) -> None:
    """Keep everybody else from editing what is at this address, to the end of the transaction."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('edit ' || $1, 0))", path)


async def find_answer(conn: Connection, user_id: UUID, caller_id: UUID, key: str) -> Record | None:
    """The stored answer under a key: caller_id, fingerprint, status and body.

    caller_id is NULL in those of the user from before callers were told apart.
    """
    return await conn.fetchrow(
        """
        SELECT caller_id, fingerprint, status, body FROM idempotency
        WHERE key = $3 AND (caller_id = $2 OR caller_id IS NULL AND user_id = $1)
        ORDER BY caller_id LIMIT 1
        """,
        user_id,
        caller_id,
        key,
    )


async def insert_answer(
    conn: Connection,
    caller: tuple[UUID, UUID],
    key: str,
    answer: tuple[bytes, int, bytes | None],
    now: datetime,
) -> None:
    """Store an answer of a user and caller: fingerprint, status, and body unless for once."""
    await conn.execute(
        """
        INSERT INTO idempotency (user_id, caller_id, key, fingerprint, status, body, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        *caller,
        key,
        *answer,
        now,
    )


async def delete_old_answers(conn: Connection, now: datetime) -> int:
    """Forget answers that nobody will ask for again; returns how many."""
    status = await conn.execute("DELETE FROM idempotency WHERE created_at < $1", now - KEPT)
    return affected(status)


async def applied_migrations(conn: Connection) -> set[str]:
    """The names of the migrations that the database has."""
    return {row["name"] for row in await conn.fetch("SELECT name FROM migrations")}
