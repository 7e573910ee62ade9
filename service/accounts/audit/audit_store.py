"""The tables of the audit trail, in SQL. The database refuses to change what is in them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.audit.audit import AuditAct, AuditEntry, Head, Seal, make_mac
from service.crypto import Keyring
from service.storage import sql
from service.storage.postgres import Connection, Record


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; None: any. scope: the only department whose actors' entries are meant."""

    scope: UUID | None = None
    actor_id: UUID | None = None
    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class SealedEntry(NamedTuple):
    """An entry and the number of its seal, if it has one yet."""

    entry: AuditEntry
    seal_no: int | None


INSERT_ENTRY = """
    INSERT INTO audit_entries (action, at, via, actor_id, department_id, object_kind, object_id,
                               request_id, request_hash, details, mac)
    VALUES (:action, :at, :via, :actor_id, :department_id, :object_kind, :object_id,
            :request_id, :request_hash, :details, :mac) RETURNING id
"""
"""Writes down an act, also beside what else a statement does; it takes `entry_values`."""


def entry_values(keyring: Keyring, act: AuditAct) -> dict[str, Any]:
    """The parameters of INSERT_ENTRY."""
    return {
        "action": act.action,
        "at": act.at,
        "via": act.via,
        "actor_id": act.actor_id,
        "department_id": act.department_id,
        "object_kind": act.object_kind,
        "object_id": act.object_id,
        "request_id": act.request_id,
        "request_hash": act.request_hash,
        "details": dict(act.details),
        "mac": make_mac(keyring, act),
    }


async def insert_entry(conn: Connection, keyring: Keyring, act: AuditAct) -> UUID:
    """Write down an act, in the transaction of its effect; returns the entry's id."""
    entry_id: UUID = await sql.fetchval(conn, INSERT_ENTRY, **entry_values(keyring, act))
    return entry_id


async def list_entries(
    conn: Connection, wanted: Wanted, before: UUID | None, limit: int
) -> list[SealedEntry]:
    """A page of entries, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT e.*, s.no AS seal_no
        FROM audit_entries e LEFT JOIN audit_seals s ON s.entry_id = e.id
        WHERE (:scope::uuid IS NULL OR e.department_id = :scope)
          AND (:actor_id::uuid IS NULL OR e.actor_id = :actor_id)
          AND (:action::text IS NULL OR e.action = :action)
          AND (:object_kind::text IS NULL OR e.object_kind = :object_kind)
          AND (:object_id::text IS NULL OR e.object_id = :object_id)
          AND (:since::timestamptz IS NULL OR e.at >= :since)
          AND (:until::timestamptz IS NULL OR e.at < :until)
          AND (:before::uuid IS NULL OR e.id < :before)
        ORDER BY e.id DESC LIMIT :limit
        """,
        scope=wanted.scope,
        actor_id=wanted.actor_id,
        action=wanted.action,
        object_kind=wanted.object_kind,
        object_id=wanted.object_id,
        since=wanted.since,
        until=wanted.until,
        before=before,
        limit=limit,
    )
    return [SealedEntry(_entry(row), row["seal_no"]) for row in rows]


async def entries_about(
    conn: Connection, objects: Sequence[tuple[str, str]]
) -> list[tuple[AuditEntry, Seal | None]]:
    """All entries about these things (kind, id), from old to new, with their seals."""
    rows = await sql.fetch(
        conn,
        """
        SELECT e.*, s.no AS seal_no, s.digest AS seal_digest, s.seal
        FROM unnest(:kinds::text[], :object_ids::text[]) AS o(kind, id)
        JOIN audit_entries e ON e.object_kind = o.kind AND e.object_id = o.id
        LEFT JOIN audit_seals s ON s.entry_id = e.id
        ORDER BY e.id
        """,
        kinds=[kind for kind, _ in objects],
        object_ids=[object_id for _, object_id in objects],
    )
    return [
        (
            _entry(row),
            Seal(row["seal_no"], row["id"], row["at"], row["seal_digest"], row["seal"])
            if row["seal_no"] is not None
            else None,
        )
        for row in rows
    ]


async def get_head(conn: Connection) -> Head:
    """The last seal."""
    row = await conn.fetchrow("SELECT no, seal FROM audit_seals ORDER BY no DESC LIMIT 1")
    return Head(row["no"], row["seal"]) if row else Head()


async def unsealed_entries(conn: Connection, limit: int) -> list[AuditEntry]:
    """Committed entries that have no seal yet."""
    rows = await sql.fetch(
        conn,
        """
        SELECT e.* FROM audit_unsealed u JOIN audit_entries e ON e.id = u.entry_id
        ORDER BY e.id LIMIT :limit
        """,
        limit=limit,
    )
    return [_entry(row) for row in rows]


async def insert_seals(conn: Connection, seals: Sequence[Seal]) -> None:
    """Seal entries, which then wait no longer (a trigger sees to that)."""
    await sql.execute(
        conn,
        """
        INSERT INTO audit_seals (no, entry_id, at, digest, seal)
        SELECT *
        FROM unnest(:nos::bigint[], :entry_ids::uuid[], :ats::timestamptz[], :digests::bytea[],
                    :seals::bytea[])
        """,
        nos=[seal.no for seal in seals],
        entry_ids=[seal.entry_id for seal in seals],
        ats=[seal.at for seal in seals],
        digests=[seal.digest for seal in seals],
        seals=[seal.seal for seal in seals],
    )


async def walk_seals(conn: Connection) -> AsyncIterator[tuple[Seal, AuditEntry | None]]:
    """All seals in their order, with their entries; inside a transaction."""
    cursor = conn.cursor(
        """
        SELECT e.*, s.no AS seal_no, s.entry_id AS seal_entry_id, s.at AS seal_at,
               s.digest AS seal_digest, s.seal
        FROM audit_seals s LEFT JOIN audit_entries e ON e.id = s.entry_id
        ORDER BY s.no
        """,
        prefetch=1000,
    )
    async for row in cursor:
        seal = Seal(
            row["seal_no"], row["seal_entry_id"], row["seal_at"], row["seal_digest"], row["seal"]
        )
        yield seal, _entry(row) if row["id"] is not None else None


async def copied_entries(conn: Connection) -> set[UUID]:
    """Entries whose MAC an older entry has; reads the whole trail."""
    rows = await conn.fetch(
        """
        SELECT e.id FROM audit_entries e JOIN (
            SELECT mac, min(id::text)::uuid AS first FROM audit_entries WHERE mac IS NOT NULL
            GROUP BY mac HAVING count(*) > 1) c ON c.mac = e.mac
        WHERE e.id <> c.first
        """
    )
    return {row["id"] for row in rows}


async def copies_among(conn: Connection, entries: Sequence[AuditEntry]) -> set[UUID]:
    """Which of these entries have the MAC of an older one: a copy says the same instant, so only
    entries of that are looked at.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT e.id
        FROM unnest(:entry_ids::uuid[], :ats::timestamptz[], :macs::bytea[]) AS e(id, at, mac)
        WHERE EXISTS (
            SELECT FROM audit_entries o WHERE o.at = e.at AND o.mac = e.mac AND o.id < e.id)
        """,
        entry_ids=[entry.id for entry in entries],
        ats=[entry.act.at for entry in entries],
        macs=[entry.mac for entry in entries],
    )
    return {row["id"] for row in rows}


async def stray_entry(conn: Connection) -> tuple[UUID, bool] | None:
    """An entry that neither has a seal nor waits for one (True), or that waits and is gone."""
    row = await conn.fetchrow(
        """
        SELECT coalesce(e.id, u.entry_id) AS id, e.id IS NOT NULL AS there
        FROM audit_entries e
            FULL JOIN audit_unsealed u ON u.entry_id = e.id
            LEFT JOIN audit_seals s ON s.entry_id = e.id
        WHERE e.id IS NULL OR (s.no IS NULL AND u.entry_id IS NULL)
        ORDER BY 1 LIMIT 1
        """
    )
    return (row["id"], row["there"]) if row else None


async def count_unsealed(conn: Connection) -> int:
    """How many entries wait for their seal."""
    count: int = await conn.fetchval("SELECT count(*) FROM audit_unsealed")
    return count


def _entry(row: Record) -> AuditEntry:
    act = AuditAct(
        action=row["action"],
        at=row["at"],
        via=row["via"],
        actor_id=row["actor_id"],
        department_id=row["department_id"],
        object_kind=row["object_kind"],
        object_id=row["object_id"],
        request_id=row["request_id"],
        request_hash=row["request_hash"],
        details=row["details"],
    )
    return AuditEntry(row["id"], act, row["mac"])
