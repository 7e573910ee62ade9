"""The SQL of backups: which cluster it is, the slot of its log, and what was copied last."""

from datetime import datetime
from typing import NamedTuple

from service.storage import sql
from service.storage.postgres import Connection

SLOT = "tocsin_backup"
"""The replication slot that keeps the log until it has been copied."""


class ClusterFacts(NamedTuple):
    """What a base backup must know of its server."""

    cluster: str
    timeline: int
    now: datetime
    superuser: str
    database: str
    segment_octets: int
    summarizes: bool


class SlotState(NamedTuple):
    """The slot. started: it keeps log. lost: it kept too much, and the server gave it up."""

    started: bool
    lost: bool


async def read_cluster(conn: Connection) -> ClusterFacts:
    """Which cluster this is, and what it is set to."""
    row = await conn.fetchrow(
        """
        SELECT (SELECT system_identifier FROM pg_control_system())::text AS cluster,
               (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
               clock_timestamp() AS now,
               (SELECT rolname FROM pg_roles WHERE oid = 10)::text AS superuser,
               current_database()::text AS database,
               (SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size')
                   AS segment_octets,
               current_setting('summarize_wal')::boolean AS summarizes
        """
    )
    return ClusterFacts(**dict(row or {}))


async def read_slot(conn: Connection) -> SlotState | None:
    """The slot, if there is one."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT restart_lsn IS NOT NULL AS started, coalesce(wal_status = 'lost', false) AS lost
        FROM pg_replication_slots WHERE slot_name = :slot
        """,
        slot=SLOT,
    )
    return None if row is None else SlotState(row["started"], row["lost"])


async def read_key_checks(conn: Connection) -> dict[int, bytes]:
    """What the database keeps to know its master keys again."""
    rows = await conn.fetch("SELECT key_id, check_value FROM key_checks")
    return {row["key_id"]: row["check_value"] for row in rows}


async def note_backup(conn: Connection, kind: str, ended_at: datetime, octets: int) -> None:
    """Write down what was copied last, for `/metrics`. It also keeps the log from standing still
    on a database that nothing else writes in.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO backups (kind, ended_at, octets) VALUES (:kind, :ended_at, :octets)
        ON CONFLICT (kind) DO UPDATE SET ended_at = excluded.ended_at, octets = excluded.octets
        """,
        kind=kind,
        ended_at=ended_at,
        octets=octets,
    )
