"""The table of guests, in SQL: whom a department's trial keys may reach.

Lists go from new to old; `scope` is a department, or None for all, and `before` the id after which
a page begins.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import User
from service.errors import NotFound
from service.storage import sql
from service.storage.postgres import Connection, affected
from service.words.phrase import phrase

_COLUMNS = "id, phone_hash, phone_cipher, note, created_at"


class Guest(NamedTuple):
    """Somebody whom trial keys may reach."""

    id: UUID
    phone_hash: bytes
    phone_cipher: bytes
    note: str
    created_at: datetime
    """When the number was named last: it goes some time after."""


async def insert_guests(
    conn: Connection, actor: User, phones: Mapping[bytes, bytes], note: str, now: datetime
) -> list[tuple[Guest, bool]]:
    """Add numbers (hash to cipher) to the actor's department, or name them anew; tells which are
    new.
    """
    rows = await sql.fetch(
        conn,
        f"""
        INSERT INTO guests (department_id, phone_hash, phone_cipher, note, created_by, created_at)
        SELECT :department_id, p.hash, p.cipher, :note, :actor_id, :now
        FROM unnest(:phones::bytea[], :ciphers::bytea[]) AS p(hash, cipher) ORDER BY p.hash
        ON CONFLICT (department_id, phone_hash) DO UPDATE SET created_at = excluded.created_at
        RETURNING {_COLUMNS}, old.id IS NULL AS is_new
        """,  # noqa: S608  # the columns stand above
        department_id=actor.department_id,
        phones=list(phones),
        ciphers=list(phones.values()),
        note=note,
        actor_id=actor.id,
        now=now,
    )
    return [(Guest(*tuple(row)[:-1]), row["is_new"]) for row in rows]


async def list_guests(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int
) -> list[Guest]:
    """A page of guests."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {_COLUMNS} FROM guests
        WHERE (:scope::uuid IS NULL OR department_id = :scope)
          AND (:before::uuid IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
        """,  # noqa: S608  # the columns stand above
        scope=scope,
        before=before,
        limit=limit,
    )
    return [Guest(*row) for row in rows]


async def delete_guest(conn: Connection, guest_id: UUID, scope: UUID | None) -> None:
    """Take a guest away.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    status = await sql.execute(
        conn,
        """
        DELETE FROM guests WHERE id = :guest_id AND (:scope::uuid IS NULL OR department_id = :scope)
        """,
        guest_id=guest_id,
        scope=scope,
    )
    if not affected(status):
        raise NotFound(phrase("there is no guest {guest_id}", guest_id=guest_id))
