"""The SQL of the API itself: the answers that are stored under an Idempotency-Key."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.accounts.audit.audit_store import INSERT_ENTRY
from service.storage import sql
from service.storage.locks import TRY_IDEMPOTENCY
from service.storage.postgres import (
    Connection,
    Overtaken,
    Record,
    UniqueViolation,
    affected,
    one,
)

KEPT = timedelta(days=7)
"""How long an answer is kept for a caller who tries again."""


async def take_key(conn: Connection, caller_id: UUID, key: str) -> Record:
    """Take an Idempotency-Key for the rest of the transaction, and what is stored under it.

    free: whether nobody else has it right now. stored: whether there is an answer: fingerprint,
    status and body. One statement sees what was committed before it began: an answer that is
    committed between that and the lock is not found, and then refused by `insert_answer`.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {TRY_IDEMPOTENCY.format(":lock")} AS free,
               i.fingerprint IS NOT NULL AS stored, i.*
        FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
            SELECT fingerprint, status, body FROM idempotency
            WHERE caller_id = :caller_id AND key = :key) i ON true
        """,  # noqa: S608  # a constant
        caller_id=caller_id,
        key=key,
        lock=f"idempotency {caller_id} {key}",
    )
    return one(row)


async def insert_answer(
    conn: Connection,
    caller: tuple[UUID, UUID],
    key: str,
    answer: tuple[bytes, int, bytes | None],
    entry: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Store an answer of a user and caller (fingerprint, status, and body unless for once), and
    with it the audit entry (`entry_values`), if there is one, in the same statement.

    Raises:
        Overtaken: the same request has been answered meanwhile.
    """
    user_id, caller_id = caller
    fingerprint, status, body = answer
    try:
        await sql.execute(
            conn,
            _INSERT_ANSWER if entry is None else _INSERT_BOTH,
            user_id=user_id,
            caller_id=caller_id,
            key=key,
            fingerprint=fingerprint,
            status=status,
            body=body,
            now=now,
            **(entry or {}),
        )
    except UniqueViolation as error:
        raise Overtaken from error


_INSERT_ANSWER = """
    INSERT INTO idempotency (user_id, caller_id, key, fingerprint, status, body, created_at)
    VALUES (:user_id, :caller_id, :key, :fingerprint, :status, :body, :now)
"""
_INSERT_BOTH = f"WITH entry AS ({INSERT_ENTRY}) {_INSERT_ANSWER}"


async def delete_old_answers(conn: Connection, now: datetime) -> int:
    """Forget answers that nobody will ask for again; returns how many."""
    status = await sql.execute(
        conn, "DELETE FROM idempotency WHERE created_at < :before", before=now - KEPT
    )
    return affected(status)
